//! How a ring is made, and whether there can be one.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use super::{COMPLETION_ENTRIES, SUBMISSION_ENTRIES};
use crate::StartError;
use crate::io::setup;

/// Lets requests take buffers from a ring.
pub(super) fn register_buffers(
    ring: &IoUring,
    (address, entries): (u64, u16),
    group: u16,
) -> Result<(), StartError> {
    // SAFETY: the address is that of `entries` ring entries on a page boundary, and the map stays
    // until the ring has no request left that could use it.
    unsafe {
        let submitter = ring.submitter();
        submitter.register_buf_ring_with_flags(address, entries, group, 0)
    }
    .map_err(|source| setup::explain("register the packet buffers with io_uring", source))
}

/// Tries whether this process can have a ring as we need it: each of the three system calls may be
/// forbidden. In a thread of its own: what the kernel still does for a ring that is gone
/// interrupts system calls of the thread that had it.
pub(in crate::io) fn probe() -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(|| {
        let mut ring = build_ring()?;
        ring.submitter().register_probe(&mut Probe::new())?;
        // SAFETY: the request has no pointers.
        let pushed = unsafe { ring.submission().push(&opcode::Nop::new().build()) };
        pushed.map_err(io::Error::other)?;
        ring.submit_and_wait(1).map(drop)
    })?;
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
}

pub(in crate::io) fn build_ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_clamp()
        .setup_cqsize(u32::try_from(COMPLETION_ENTRIES).unwrap_or(u32::MAX))
        .build(SUBMISSION_ENTRIES)
}
