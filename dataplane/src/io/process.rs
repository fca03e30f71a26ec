//! What a measuring program asks of the kernel about itself.

#![expect(
    unsafe_code,
    reason = "setns(2) and signal(2) have no safe wrapper here"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Moves the calling thread, and the threads and processes that it starts from here on, into the
/// network namespace of this file (`/run/netns/NAME`).
///
/// # Errors
/// No such file, or no privilege (`CAP_SYS_ADMIN`).
pub fn enter_network_namespace(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: changes only which network the calling thread sees.
    match unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP end nothing; [`stop_requested`] tells that one came.
pub fn catch_stop_signals() {
    let handler = note_stop as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which a signal handler may do.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Has a signal come that asks this process to stop?
#[must_use]
pub fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

extern "C" fn note_stop(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_does_not_exist_is_an_error() {
        let path = Path::new("/run/netns/no-such-namespace");
        let error = enter_network_namespace(path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_handler_notes_that_a_stop_was_asked_for() {
        assert!(!stop_requested());
        note_stop(libc::SIGINT);
        assert!(stop_requested());
    }
}
