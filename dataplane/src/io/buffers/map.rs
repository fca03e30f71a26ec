//! The memory of packet buffers, and the ring in it through which the kernel takes them.

use std::sync::atomic::{AtomicU16, Ordering};
use std::{io, ptr};

use io_uring::types::BufRingEntry;

use crate::limits::{HUGE_PAGE_BYTES, RING_ENTRY_BYTES};

const _: () = assert!(size_of::<BufRingEntry>() == RING_ENTRY_BYTES);

/// How many buffers of which size.
#[derive(Clone, Copy, Debug)]
pub(in crate::io) struct Layout {
    /// A power of two, at most 2^15: every buffer has an entry in the ring.
    pub(in crate::io) count: u16,
    /// From one to the next, and what the kernel may fill; at most 2^32 - 1.
    pub(in crate::io) bytes: u32,
}

impl Layout {
    const fn count(self) -> usize {
        self.count as usize
    }

    const fn ring_bytes(self) -> usize {
        self.count() * size_of::<BufRingEntry>()
    }

    /// Whole huge pages, so that the map fits into them.
    const fn map_bytes(self) -> usize {
        (self.ring_bytes() + self.count() * self.bytes as usize).next_multiple_of(HUGE_PAGE_BYTES)
    }
}

/// The map: the ring's entries, then the buffers.
pub(in crate::io) struct Map {
    start: *mut u8,
    layout: Layout,
    /// Of the ring, counting on and on; published by [`commit`](Self::commit).
    tail: u16,
    /// Set when the kernel may still write into a buffer: then the map must outlive us.
    pub(in crate::io) leak: bool,
}

impl Map {
    /// In huge pages, if that is wanted and the system has them.
    pub(in crate::io) fn new(layout: Layout, huge_pages: bool) -> io::Result<Self> {
        assert!(layout.count.is_power_of_two() && layout.count <= 1 << 15);
        Ok(Self {
            start: map(layout.map_bytes(), huge_pages)?,
            layout,
            tail: 0,
            leak: false,
        })
    }

    /// For `register_buf_ring`: address and number of entries.
    pub(in crate::io) fn ring(&self) -> (u64, u16) {
        (self.start.addr() as u64, self.layout.count)
    }

    /// Gives a buffer to the kernel, which sees it after [`commit`](Self::commit).
    pub(in crate::io) fn offer(&mut self, id: u16) {
        let (address, bytes) = (self.address(id).addr() as u64, self.layout.bytes);
        let entry = self.entry(self.tail);
        entry.set_addr(address);
        entry.set_len(bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was offered.
    pub(in crate::io) fn commit(&self) {
        // SAFETY: the map begins with the ring's first entry, aligned to a page.
        let tail = unsafe { BufRingEntry::tail(self.start.cast::<BufRingEntry>()) };
        // SAFETY: the field is in the map for as long as `self` lives, aligned, and only written
        // by this thread; the kernel reads it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Where a buffer lies.
    pub(in crate::io) fn address(&self, id: u16) -> *mut u8 {
        assert!(id < self.layout.count, "there is no buffer {id}");
        let offset = usize::from(id) * usize::try_from(self.layout.bytes).unwrap_or_default();
        // SAFETY: the buffer with that number lies in the map.
        unsafe { self.start.add(self.layout.ring_bytes() + offset) }
    }

    fn entry(&mut self, position: u16) -> &mut BufRingEntry {
        let index = usize::from(position & (self.layout.count - 1));
        // SAFETY: the index is below the number of entries with which the map begins.
        let entry = unsafe { self.start.cast::<BufRingEntry>().add(index) };
        // SAFETY: aligned, inside the map, initialised (zeroed by mmap). The kernel only reads
        // entries below the tail, and there is room for every buffer: it is not reading this one.
        unsafe { &mut *entry }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.leak {
            return;
        }
        // SAFETY: the map was made with this length, and nobody uses it any more.
        unsafe { libc::munmap(self.start.cast(), self.layout.map_bytes()) };
    }
}

fn map(bytes: usize, huge_pages: bool) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if huge_pages {
        let flags = flags | libc::MAP_HUGETLB | libc::MAP_POPULATE;
        // SAFETY: a new anonymous map touches no memory that anybody has.
        let map = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if map != libc::MAP_FAILED {
            return Ok(map.cast());
        }
    }
    // SAFETY: as above.
    let map = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    if huge_pages {
        // Transparent ones, where the kernel has them; it does no harm where not.
        // SAFETY: the map is ours, and the advice changes no contents.
        unsafe { libc::madvise(map, bytes, libc::MADV_HUGEPAGE) };
    }
    // Else the first packets would wait for pages.
    // SAFETY: the map is ours and writable; kernels before 5.14 refuse, and give pages later.
    unsafe { libc::madvise(map, bytes, libc::MADV_POPULATE_WRITE) };
    Ok(map.cast())
}
