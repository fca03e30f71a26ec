//! Which sockets have news.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::limits::PACKETS_PER_TURN_MAX;

/// An epoll descriptor, and room for the news of one turn.
pub(super) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and belongs to nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; PACKETS_PER_TURN_MAX];
        Ok(Self { descriptor, events })
    }

    /// Says once, each time that something new can be read, that `index` has it. Ends with the
    /// descriptor `raw`.
    pub(super) fn watch(&self, raw: RawFd, index: u32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLET).cast_unsigned(),
            u64: index.into(),
        };
        let epoll = self.descriptor.as_raw_fd();
        // SAFETY: the pointer is to a live event, which the kernel copies.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, raw, &raw mut event) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Waits for news, for at most this long (`None`: without end; a signal may end it early).
    /// What does not fit stays for the next call.
    pub(super) fn wait(&mut self, wait: Option<Duration>) -> io::Result<impl Iterator<Item = u32>> {
        // Rounded up, or a wait below one millisecond would spin.
        let timeout_ms = wait.map_or(-1, |wait| {
            i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        let capacity = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        let (epoll, events) = (self.descriptor.as_raw_fd(), self.events.as_mut_ptr());
        // SAFETY: pointer and count describe `self.events`, borrowed until the call returns.
        let count = unsafe { libc::epoll_wait(epoll, events, capacity, timeout_ms) };
        let count = match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        let events = self.events.get(..count).unwrap_or_default();
        Ok(events
            .iter()
            .filter_map(|event| u32::try_from(event.u64).ok()))
    }
}
