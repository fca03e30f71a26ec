//! What the process must be allowed to do, looked at before the first worker starts.

#![expect(
    unsafe_code,
    reason = "getrlimit(2) and setrlimit(2) have no safe wrapper here"
)]

#[cfg(test)]
pub(crate) mod forbidden;

use std::io;

use super::uring;

use crate::config::{BackendChoice, BackendKind};
use crate::{StartError, StartWarning};

/// The oldest kernel that has what io/uring.rs uses (deferred task work, multishot receives).
const KERNEL_MIN: (u32, u32) = (6, 1);
/// Descriptors of a worker besides its trunk sockets: ring, event descriptors, browser socket.
const FILES_PER_WORKER: usize = 8;
/// Descriptors left for the rest of the process: signalling, logs, listeners.
const FILES_SPARE: usize = 64;

/// The back end that is taken, and what the operator should know about it.
///
/// # Errors
/// io_uring was asked for and cannot be had.
pub(crate) fn choose_backend(
    choice: BackendChoice,
) -> Result<(BackendKind, Option<StartWarning>), StartError> {
    if choice == BackendChoice::Mmsg {
        return Ok((BackendKind::Mmsg, None));
    }
    let outcome = check_kernel()
        .and_then(|()| uring::probe().map_err(|source| explain("set up io_uring", source)));
    match outcome {
        Ok(()) => Ok((BackendKind::Uring, None)),
        Err(error) => fall_back(choice, error),
    }
}

/// Without io_uring, only a choice left to us can be met.
fn fall_back(
    choice: BackendChoice,
    error: StartError,
) -> Result<(BackendKind, Option<StartWarning>), StartError> {
    if choice == BackendChoice::Uring {
        return Err(error);
    }
    let reason = error.to_string();
    Ok((BackendKind::Mmsg, Some(StartWarning::NoIoUring { reason })))
}

/// Network cards that put all packets into one queue.
pub(crate) fn interfaces_with_one_queue() -> Vec<String> {
    let Ok(interfaces) = std::fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let has_one_queue = |path: &std::path::Path| {
        let queues = std::fs::read_dir(path.join("queues")).into_iter().flatten();
        let receive = queues
            .flatten()
            .filter(|queue| queue.file_name().to_string_lossy().starts_with("rx-"));
        // Real cards only: bridges and tunnels work in the context of whoever sends.
        path.join("device").exists() && receive.count() == 1
    };
    interfaces
        .flatten()
        .filter(|interface| has_one_queue(&interface.path()))
        .map(|interface| interface.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Refuses kernels that are too old.
fn check_kernel() -> Result<(), StartError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|source| {
        StartError::Kernel {
            what: "read the kernel's release",
            source,
        }
    })?;
    let release = release.trim();
    match version(release) {
        Some(version) if version < KERNEL_MIN => Err(StartError::KernelTooOld {
            release: release.to_owned(),
        }),
        Some(_) | None => Ok(()),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Makes sure that the process may open two sockets for every second flow, since a call has one
/// flow to a browser, which needs none, and one to a trunk: raises the soft limit to the hard
/// limit when needed.
pub(crate) fn raise_file_limit(workers: usize, flows_max: usize) -> Result<(), StartError> {
    let needed = workers * (flows_max + FILES_PER_WORKER) + FILES_SPARE;
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
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
    if limit.rlim_cur >= needed {
        return Ok(());
    }
    if limit.rlim_max < needed {
        return Err(StartError::TooFewFiles {
            needed,
            allowed: limit.rlim_max,
        });
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live `rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
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
        assert_eq!(version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version("5.15.133.1-microsoft"), Some((5, 15)));
        assert!(version("6.18.44").unwrap() >= KERNEL_MIN);
        assert!(version("5.19.0").unwrap() < KERNEL_MIN);
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn more_flows_than_files_are_refused_with_the_numbers() {
        let error = raise_file_limit(usize::from(u16::MAX), 1 << 40).unwrap_err();
        assert!(error.to_string().contains("LimitNOFILE"), "{error}");
    }

    #[test]
    fn without_io_uring_a_forced_back_end_fails_and_a_free_choice_goes_on_with_a_warning() {
        let forbidden = || explain("set up io_uring", io::Error::from_raw_os_error(libc::EPERM));
        let error = fall_back(BackendChoice::Uring, forbidden()).unwrap_err();
        assert!(matches!(error, StartError::IoUringForbidden(_)));
        let (kind, warning) = fall_back(BackendChoice::Auto, forbidden()).unwrap();
        assert_eq!(kind, BackendKind::Mmsg);
        let text = warning.unwrap().to_string();
        assert!(text.contains("kernel.io_uring_disabled=0"), "{text}");
    }

    #[test]
    fn where_the_kernel_forbids_io_uring_the_free_choice_is_mmsg() {
        for call in forbidden::IO_URING_CALLS {
            let chosen = forbidden::without(call, || choose_backend(BackendChoice::Auto));
            let (kind, warning) = chosen.unwrap();
            assert_eq!(kind, BackendKind::Mmsg);
            assert!(matches!(warning, Some(StartWarning::NoIoUring { .. })));
            let refused = forbidden::without(call, || choose_backend(BackendChoice::Uring));
            assert!(matches!(refused, Err(StartError::IoUringForbidden(_))));
        }
        // The filters were those of their threads.
        let (kind, _) = choose_backend(BackendChoice::Auto).unwrap();
        assert_eq!(kind, BackendKind::Uring);
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
