//! Event descriptors: how one thread wakes another that waits in the kernel.

#![expect(
    unsafe_code,
    reason = "eventfd(2), poll(2) and friends have no safe wrapper here"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::time::Duration;

/// An `eventfd(2)`, non-blocking. Readable from the first [`notify`](Self::notify) until the next
/// [`drain`](Self::drain).
#[derive(Debug)]
pub struct EventFd {
    file: File,
}

impl EventFd {
    /// Makes one that is not readable yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let file = unsafe { File::from_raw_fd(fd) };
        Ok(Self { file })
    }

    /// Makes it readable and wakes whoever waits for that.
    pub fn notify(&self) {
        // Fails only when the counter is at its maximum: then it is readable already.
        drop((&self.file).write(&1_u64.to_ne_bytes()));
    }

    /// Makes it unreadable. True when it was readable.
    pub fn drain(&self) -> bool {
        let mut value = [0; 8];
        (&self.file).read(&mut value).is_ok()
    }

    /// Blocks the thread until it is readable or the time is over, then drains it. True when it
    /// was readable. For plain threads; an async task waits for readability by itself.
    pub fn wait(&self, timeout: Duration) -> bool {
        wait_any(&[self], timeout);
        self.drain()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Blocks the thread until one of them is readable or the time is over. Drains none. A signal may
/// end the wait early: look at what you wait for, then wait again.
pub fn wait_any(events: &[&EventFd], timeout: Duration) {
    let mut entries: Vec<libc::pollfd> = events
        .iter()
        .map(|event| libc::pollfd {
            fd: event.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // Rounded up, or a wait below one millisecond would spin.
    let timeout_ms = i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    let count = libc::nfds_t::try_from(entries.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: the pointer and the count describe `entries`, which outlives the call.
    unsafe { libc::poll(entries.as_mut_ptr(), count, timeout_ms) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_readable_from_notify_until_drain() {
        let event = EventFd::new().unwrap();
        assert!(!event.drain());
        event.notify();
        event.notify();
        assert!(event.wait(Duration::ZERO));
        assert!(!event.wait(Duration::ZERO));
    }

    #[test]
    fn wakes_a_waiting_thread() {
        let event = EventFd::new().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| event.wait(Duration::from_secs(60)));
            event.notify();
            assert!(waiter.join().unwrap());
        });
    }
}
