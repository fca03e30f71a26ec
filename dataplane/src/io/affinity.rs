//! CPU cores of threads.

use core_affinity::CoreId;

/// Cores in a `cpu_set_t` (`CPU_SETSIZE`).
const CORES_MAX: usize = 1024;

/// The cores that the calling thread may run on.
#[must_use]
pub fn allowed() -> Vec<usize> {
    core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .map(|core| core.id)
        .collect()
}

/// Pins the calling thread to one core. False when the core does not exist or is not allowed.
#[must_use]
pub fn pin_thread(core: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: core })
}

/// Can a thread of this process be pinned to this core? Tries it in one: what a unit's CPUAffinity=
/// leaves out can be, what a cpuset leaves out cannot.
#[must_use]
pub fn can_pin(core: usize) -> bool {
    // The set of cores that the kernel is told has no room for others.
    let is_known = core < CORES_MAX;
    let tried = is_known.then(|| std::thread::Builder::new().spawn(move || pin_thread(core)));
    let tried = tried.and_then(Result::ok);
    tried.is_some_and(|thread| thread.join().unwrap_or(false))
}

/// Can threads be pinned to this core? If not, here are those that this one may run on.
pub(crate) fn check(core: usize) -> Result<(), Vec<usize>> {
    if can_pin(core) {
        Ok(())
    } else {
        Err(allowed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cores_that_there_are_can_be_pinned_to() {
        let first = allowed()[0];
        assert!(can_pin(first));
        assert_eq!(check(first), Ok(()));
        // Whoever asked is where it was.
        let before = allowed();
        for core in [CORES_MAX - 1, CORES_MAX, usize::MAX] {
            assert!(!can_pin(core), "{core}");
            assert_eq!(check(core), Err(before.clone()));
        }
    }
}
