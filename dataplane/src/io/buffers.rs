//! The packet buffers of one worker, and the ring through which the kernel takes them.
//!
//! Where a buffer can be, and always is in exactly one of:
//!
//! ```text
//!   with the kernel, to receive into ──► handled by the worker ──► in flight, being sent
//!          ▲                                 │        ▲                    │
//!          └────────── give_back ────────────┘        │                    │
//!   spare, for datagrams of our own ──────────────────┘                    │
//!          ▲───────────────────────── sent ────────────────────────────────┘
//! ```
//!
//! (What was sent goes back like what was given back: to the spares until they are full, else to
//! the kernel. The mmsg back end has spares only: it lends them to the kernel for one system call
//! at a time, the one that was used last first, while it is in the cache.)

#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

use std::sync::atomic::{AtomicU16, Ordering};
use std::{io, ptr, slice};

use io_uring::types::BufRingEntry;

use crate::limits::{BUFFER_BYTES, BUFFERS_PER_WORKER};

/// Entries of the ring: every buffer has room in it.
const RING_ENTRIES: u16 = {
    assert!(BUFFERS_PER_WORKER <= 1 << 15);
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^15, asserted")]
    let entries = BUFFERS_PER_WORKER as u16;
    entries
};
const RING_BYTES: usize = BUFFERS_PER_WORKER * size_of::<BufRingEntry>();
/// Whole huge pages, so that the map fits into them.
const MAP_BYTES: usize =
    (RING_BYTES + BUFFERS_PER_WORKER * BUFFER_BYTES).next_multiple_of(HUGE_PAGE_BYTES);
/// Of x86-64, and of AArch64 with pages of 4 KiB.
const HUGE_PAGE_BYTES: usize = 2 << 20;
const ENTRY_BYTES: u32 = {
    assert!(BUFFER_BYTES <= 1 << 16);
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^16, asserted")]
    let bytes = BUFFER_BYTES as u32;
    bytes
};

/// A buffer that the worker handles. There is one token per buffer, so holding it is the right to
/// read and write the buffer.
#[derive(Debug)]
#[must_use = "a token that is dropped is a buffer that is lost"]
pub(super) struct Buffer {
    id: u16,
}

impl Buffer {
    pub(super) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn index(&self) -> usize {
        usize::from(self.id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Kernel,
    Handled,
    InFlight,
    Spare,
}

pub(super) struct Buffers {
    /// The map: the ring's entries, then the buffers.
    map: *mut u8,
    /// Of the ring, counting on and on; published by [`commit`](Self::commit).
    tail: u16,
    places: Box<[Place]>,
    spares: Vec<u16>,
    spares_max: usize,
    with_kernel: usize,
    handled: usize,
    in_flight: usize,
    /// Set when the kernel may still write into a buffer: then the map must outlive us.
    pub(super) leak: bool,
}

impl Buffers {
    /// Maps the memory and puts all buffers into the ring, but for `spares_max` spares.
    pub(super) fn new(spares_max: usize, huge_pages: bool) -> io::Result<Self> {
        let mut buffers = Self {
            map: map(huge_pages)?,
            tail: 0,
            places: vec![Place::Handled; BUFFERS_PER_WORKER].into_boxed_slice(),
            spares: Vec::with_capacity(spares_max),
            spares_max,
            with_kernel: 0,
            handled: BUFFERS_PER_WORKER,
            in_flight: 0,
            leak: false,
        };
        for id in 0..RING_ENTRIES {
            buffers.give_back(Buffer { id });
        }
        buffers.commit();
        Ok(buffers)
    }

    /// For `register_buf_ring`: address and number of entries.
    pub(super) fn ring(&self) -> (u64, u16) {
        (self.map.addr() as u64, RING_ENTRIES)
    }

    /// The kernel has put a packet into this buffer.
    ///
    /// # Panics
    /// When the kernel does not have that buffer: going on could overwrite a packet.
    pub(super) fn received(&mut self, id: u16) -> Buffer {
        self.move_to(id, Place::Kernel, Place::Handled);
        self.with_kernel -= 1;
        self.handled += 1;
        Buffer { id }
    }

    /// Lends a buffer to the kernel without the ring, until [`received`](Self::received). Returns
    /// where it lies.
    pub(super) fn lend(&mut self, buffer: &Buffer) -> *mut u8 {
        self.move_to(buffer.id, Place::Handled, Place::Kernel);
        self.handled -= 1;
        self.with_kernel += 1;
        self.address(buffer.id)
    }

    /// A buffer for a datagram of our own; `None` while all spares are being sent.
    pub(super) fn take_spare(&mut self) -> Option<Buffer> {
        let id = self.spares.pop()?;
        self.move_to(id, Place::Spare, Place::Handled);
        self.handled += 1;
        Some(Buffer { id })
    }

    /// The worker is done with the buffer. The kernel sees it after [`commit`](Self::commit).
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        let Buffer { id } = buffer;
        self.handled -= 1;
        if self.spares.len() < self.spares_max {
            self.move_to(id, Place::Handled, Place::Spare);
            self.spares.push(id);
            return;
        }
        self.with_kernel += 1;
        self.move_to(id, Place::Handled, Place::Kernel);
        let address = self.address(id).addr() as u64;
        let entry = self.entry(self.tail);
        entry.set_addr(address);
        entry.set_len(ENTRY_BYTES);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// The kernel sends from the buffer until [`sent`](Self::sent). Returns where it lies.
    pub(super) fn sending(&mut self, buffer: &Buffer) -> *mut u8 {
        self.move_to(buffer.id, Place::Handled, Place::InFlight);
        self.handled -= 1;
        self.in_flight += 1;
        self.address(buffer.id)
    }

    /// The kernel has sent it (or failed to).
    ///
    /// # Panics
    /// When the buffer was not being sent: going on could overwrite a packet.
    pub(super) fn sent(&mut self, id: u16) -> Buffer {
        self.move_to(id, Place::InFlight, Place::Handled);
        self.in_flight -= 1;
        self.handled += 1;
        Buffer { id }
    }

    /// The whole buffer.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        debug_assert_eq!(self.places.get(buffer.index()), Some(&Place::Handled));
        // SAFETY: the address is that of BUFFER_BYTES mapped bytes, and by the token neither the
        // kernel nor a mutable slice has them.
        unsafe { slice::from_raw_parts(self.address(buffer.id), BUFFER_BYTES) }
    }

    /// The whole buffer, to write.
    pub(super) fn bytes_mut(&mut self, buffer: &mut Buffer) -> &mut [u8] {
        debug_assert_eq!(self.places.get(buffer.index()), Some(&Place::Handled));
        // SAFETY: as in `bytes`; `self` and the token are borrowed mutably, so nobody else reads.
        unsafe { slice::from_raw_parts_mut(self.address(buffer.id), BUFFER_BYTES) }
    }

    /// Shows the kernel what was given back.
    pub(super) fn commit(&self) {
        // SAFETY: the map begins with the ring's first entry, aligned to a page.
        let tail = unsafe { BufRingEntry::tail(self.map.cast::<BufRingEntry>()) };
        // SAFETY: the field is in the map for as long as `self` lives, aligned, and only written
        // by this thread; the kernel reads it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Buffers that the kernel can receive into.
    pub(super) fn with_kernel(&self) -> usize {
        self.with_kernel
    }

    /// While the worker handles no packet, every buffer is in one of the other places.
    ///
    /// # Panics
    /// When a token was dropped: its buffer is lost.
    pub(super) fn assert_conserved(&self) {
        let sum = self.with_kernel + self.in_flight + self.spares.len();
        assert_eq!(sum, BUFFERS_PER_WORKER, "a packet buffer was lost");
        debug_assert_eq!(self.handled, 0);
    }

    fn move_to(&mut self, id: u16, from: Place, to: Place) {
        let place = self.places.get_mut(usize::from(id));
        assert!(
            place.as_deref() == Some(&from),
            "buffer {id} is not {from:?}"
        );
        if let Some(place) = place {
            *place = to;
        }
    }

    fn address(&self, id: u16) -> *mut u8 {
        debug_assert!(id < RING_ENTRIES);
        // SAFETY: every id that gets here passed `move_to`, so it is below BUFFERS_PER_WORKER and
        // the result lies in the map.
        unsafe { self.map.add(RING_BYTES + usize::from(id) * BUFFER_BYTES) }
    }

    fn entry(&mut self, position: u16) -> &mut BufRingEntry {
        let index = usize::from(position & (RING_ENTRIES - 1));
        // SAFETY: the index is below the number of entries with which the map begins.
        let entry = unsafe { self.map.cast::<BufRingEntry>().add(index) };
        // SAFETY: aligned, inside the map, initialised (zeroed by mmap). The kernel only reads
        // entries below the tail, and there is room for every buffer: it is not reading this one.
        unsafe { &mut *entry }
    }
}

/// Memory for all buffers, in huge pages if that is wanted and the system has them.
fn map(huge_pages: bool) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if huge_pages {
        let flags = flags | libc::MAP_HUGETLB | libc::MAP_POPULATE;
        // SAFETY: a new anonymous map touches no memory that anybody has.
        let map = unsafe { libc::mmap(ptr::null_mut(), MAP_BYTES, protection, flags, -1, 0) };
        if map != libc::MAP_FAILED {
            return Ok(map.cast());
        }
    }
    // SAFETY: as above.
    let map = unsafe { libc::mmap(ptr::null_mut(), MAP_BYTES, protection, flags, -1, 0) };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if huge_pages {
        // Transparent ones, where the kernel has them; it does no harm where not.
        // SAFETY: the map is ours, and the advice changes no contents.
        unsafe { libc::madvise(map, MAP_BYTES, libc::MADV_HUGEPAGE) };
    }
    // Else the first packets would wait for pages.
    // SAFETY: the map is ours and writable; kernels before 5.14 refuse, and give pages later.
    unsafe { libc::madvise(map, MAP_BYTES, libc::MADV_POPULATE_WRITE) };
    Ok(map.cast())
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.leak {
            return;
        }
        // SAFETY: the map was made with this length, and nobody uses it any more.
        unsafe { libc::munmap(self.map.cast(), MAP_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SPARE_BUFFERS_PER_WORKER;

    #[test]
    fn every_buffer_is_somewhere_on_its_way_round() {
        let mut buffers = Buffers::new(SPARE_BUFFERS_PER_WORKER, true).unwrap();
        buffers.assert_conserved();
        assert_eq!(
            buffers.with_kernel(),
            BUFFERS_PER_WORKER - SPARE_BUFFERS_PER_WORKER
        );
        let id = RING_ENTRIES - 1;
        let mut buffer = buffers.received(id);
        buffers.bytes_mut(&mut buffer).fill(7);
        assert_eq!(buffers.bytes(&buffer).len(), BUFFER_BYTES);
        buffers.sending(&buffer);
        buffers.assert_conserved();
        let buffer = buffers.sent(id);
        buffers.give_back(buffer);
        buffers.assert_conserved();
        assert_eq!(
            buffers.with_kernel(),
            BUFFERS_PER_WORKER - SPARE_BUFFERS_PER_WORKER
        );
    }

    #[test]
    fn spares_run_out_and_come_back_first() {
        let mut buffers = Buffers::new(SPARE_BUFFERS_PER_WORKER, true).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| buffers.take_spare()).collect();
        assert_eq!(taken.len(), SPARE_BUFFERS_PER_WORKER);
        for buffer in taken {
            buffers.give_back(buffer);
        }
        assert!(buffers.take_spare().is_some());
    }

    #[test]
    #[should_panic(expected = "is not Kernel")]
    fn a_buffer_that_the_kernel_does_not_have_is_refused() {
        let mut buffers = Buffers::new(SPARE_BUFFERS_PER_WORKER, true).unwrap();
        let first = buffers.received(RING_ENTRIES - 1);
        let second = buffers.received(RING_ENTRIES - 1);
        drop((first, second));
    }
}
