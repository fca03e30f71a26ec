//! Files that the ring knows by a place in a table: a request that names one saves the kernel the
//! look-up of a descriptor, and the counting of who uses it.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;

use io_uring::{IoUring, opcode, types};

use super::build_ring;
use crate::io::place::{self, BROWSER_INDEX};

/// Before Linux 6.13 a registered file is let go only when every older request on *any* registered
/// file has ended. The receive of the browser socket never ends, so the port of a registered trunk
/// socket would stay taken; there, trunk sockets are named by their descriptors.
static LETS_GO_AT_ONCE: LazyLock<bool> = LazyLock::new(|| {
    let thread = std::thread::Builder::new().spawn(lets_go_at_once);
    let outcome = thread.map(std::thread::JoinHandle::join);
    matches!(outcome, Ok(Ok(Ok(true))))
});

/// The table of one ring.
pub(super) struct Files {
    /// Place of the event descriptor.
    wake: u32,
    /// There are places for trunk sockets, those of [`place::index`].
    takes_trunks: bool,
}

impl Files {
    /// Registers the browser socket and the event descriptor, and on demand makes room for trunk
    /// sockets where the kernel lets go of them.
    ///
    /// # Errors
    /// The kernel takes no table at all.
    pub(super) fn register(
        ring: &IoUring,
        [browser, wake]: [RawFd; 2],
        flows_max: usize,
        with_trunks: bool,
    ) -> io::Result<Self> {
        let places = u32::try_from(place::count(flows_max)).unwrap_or(u32::MAX);
        let submitter = ring.submitter();
        // More places than descriptors this process may have are refused: then there are two.
        let with_trunks = with_trunks && *LETS_GO_AT_ONCE;
        if with_trunks && submitter.register_files_sparse(places + 1).is_ok() {
            submitter.register_files_update(BROWSER_INDEX, &[browser])?;
            submitter.register_files_update(places, &[wake])?;
            return Ok(Self {
                wake: places,
                takes_trunks: true,
            });
        }
        submitter.register_files(&[browser, wake])?;
        Ok(Self {
            wake: BROWSER_INDEX + 1,
            takes_trunks: false,
        })
    }

    pub(super) fn wake(&self) -> types::Fixed {
        types::Fixed(self.wake)
    }

    /// True when the socket can from now on be named by its place.
    pub(super) fn add(&self, ring: &IoUring, index: u32, descriptor: RawFd) -> bool {
        let add = || ring.submitter().register_files_update(index, &[descriptor]);
        self.takes_trunks && matches!(add(), Ok(1))
    }

    /// Lets go of a socket that was added, when no request uses it any more.
    pub(super) fn remove(&self, ring: &IoUring, index: u32) {
        debug_assert!(self.takes_trunks && index != self.wake);
        // Can only fail for a place that is not in the table.
        drop(ring.submitter().register_files_update(index, &[-1]));
    }
}

/// Tries it: is the one file let go while a request on the other goes on?
pub(super) fn lets_go_at_once() -> io::Result<bool> {
    let mut ring = build_ring()?;
    let (busy, _other_end) = UnixStream::pair()?;
    let (released, mut other_end) = UnixStream::pair()?;
    other_end.set_nonblocking(true)?;
    let files = [busy.as_raw_fd(), released.as_raw_fd()];
    ring.submitter().register_files(&files)?;
    let events = u32::from(libc::POLLIN.cast_unsigned());
    let request = opcode::PollAdd::new(types::Fixed(0), events).build();
    // SAFETY: the request has no pointers.
    unsafe { ring.submission().push(&request) }.map_err(io::Error::other)?;
    ring.submit()?;
    ring.submitter().register_files_update(1, &[-1])?;
    drop(released);
    match other_end.read(&mut [0]) {
        Ok(bytes) => Ok(bytes == 0),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
