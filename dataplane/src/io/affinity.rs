//! CPU cores of threads.

use core_affinity::CoreId;

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

/// Is this core allowed? If not, here are those that are.
pub(crate) fn check(core: usize) -> Result<(), Vec<usize>> {
    let allowed = allowed();
    if allowed.contains(&core) {
        Ok(())
    } else {
        Err(allowed)
    }
}
