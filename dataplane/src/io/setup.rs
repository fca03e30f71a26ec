//! What the process must be allowed to do, looked at before the first worker starts.

#![expect(
    unsafe_code,
    reason = "getrlimit(2) and setrlimit(2) have no safe wrapper here"
)]

#[cfg(test)]
pub(crate) mod forbidden;

use std::io;

use super::uring;

use crate::StartError;
use crate::config::{BackendChoice, BackendKind};
use crate::limits::{KERNEL_MIN, files_needed};

/// The back end that is taken.
///
/// # Errors
/// io_uring was asked for and cannot be had.
pub(crate) fn choose_backend(choice: BackendChoice) -> Result<BackendKind, StartError> {
    match choice {
        BackendChoice::Mmsg => Ok(BackendKind::Mmsg),
        BackendChoice::Auto => {
            Ok(check_io_uring().map_or(BackendKind::Mmsg, |()| BackendKind::Uring))
        }
        BackendChoice::Uring => check_io_uring().map(|()| BackendKind::Uring),
    }
}

/// Can this process use io_uring as a worker does? Tries it.
///
/// # Errors
/// The kernel is too old, or does not allow it.
pub fn check_io_uring() -> Result<(), StartError> {
    check_kernel()?;
    uring::probe().map_err(|source| explain("set up io_uring", source))
}

/// Refuses kernels that are too old. One that a unit hides (`ProcSubset=pid`) shows what it is when
/// a ring is tried.
fn check_kernel() -> Result<(), StartError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match kernel_version(release) {
        Some(version) if version < KERNEL_MIN => Err(StartError::KernelTooOld {
            release: release.to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Major and minor number of a kernel, out of its release (`uname -r`).
#[must_use]
pub fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Makes sure that the process may open the sockets of all flows: raises the soft limit to the hard
/// limit, which leaves the rest to signalling.
pub(crate) fn raise_file_limit(workers: usize, flows_max: usize) -> Result<(), StartError> {
    let needed = u64::try_from(files_needed(workers, flows_max)).unwrap_or(u64::MAX);
    let failed = |source| StartError::Kernel {
        what: "read the limit of open files",
        source,
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live, writable `rlimit`.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    if limit.rlim_max < needed {
        return Err(StartError::TooFewFiles {
            needed,
            allowed: limit.rlim_max,
        });
    }
    let is_enough = limit.rlim_cur >= needed;
    if limit.rlim_cur == limit.rlim_max {
        return Ok(());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live `rlimit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if set != 0 && !is_enough {
        return Err(failed(io::Error::last_os_error()));
    }
    Ok(())
}

/// What a failure to make the ring or its buffers means to an operator.
pub(super) fn explain(what: &'static str, source: io::Error) -> StartError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => StartError::IoUringForbidden(source),
        Some(libc::ENOMEM) => StartError::NoMemory(source),
        _ => StartError::Kernel { what, source },
    }
}

/// The same for what needs no ring.
pub(super) fn explain_memory(what: &'static str, source: io::Error) -> StartError {
    match source.raw_os_error() {
        Some(libc::ENOMEM) => StartError::NoMemory(source),
        _ => StartError::Kernel { what, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_kernel_releases_by_number() {
        assert_eq!(kernel_version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(kernel_version("5.15.133.1-microsoft"), Some((5, 15)));
        assert!(kernel_version("6.18.44").unwrap() >= KERNEL_MIN);
        assert!(kernel_version("5.19.0").unwrap() < KERNEL_MIN);
        assert_eq!(kernel_version("unknown"), None);
    }

    #[test]
    fn more_flows_than_files_are_refused_with_the_numbers() {
        let error = raise_file_limit(usize::from(u16::MAX), 1 << 40).unwrap_err();
        assert!(error.to_string().contains("LimitNOFILE"), "{error}");
    }

    #[test]
    fn where_the_kernel_forbids_io_uring_the_free_choice_is_mmsg() {
        for call in forbidden::IO_URING_CALLS {
            let chosen = forbidden::without(call, || choose_backend(BackendChoice::Auto));
            assert_eq!(chosen.unwrap(), BackendKind::Mmsg);
            let refused = forbidden::without(call, || choose_backend(BackendChoice::Uring));
            assert!(matches!(refused, Err(StartError::IoUringForbidden(_))));
        }
        // The filters were those of their threads.
        let chosen = choose_backend(BackendChoice::Auto).unwrap();
        assert_eq!(chosen, BackendKind::Uring);
    }

    #[test]
    fn a_forbidden_ring_names_its_remedy() {
        let error = explain("set up io_uring", io::Error::from_raw_os_error(libc::EPERM));
        assert!(
            error.to_string().contains("kernel.io_uring_disabled=0"),
            "{error}"
        );
    }
}
