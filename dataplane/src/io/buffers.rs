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

pub(super) mod map;

use std::io;
use std::slice;

use self::map::{Layout, Map};
use crate::limits::{BUFFER_BYTES, BUFFERS_PER_WORKER};

const LAYOUT: Layout = {
    assert!(BUFFERS_PER_WORKER <= 1 << 15 && BUFFER_BYTES <= 1 << 16);
    #[expect(clippy::cast_possible_truncation, reason = "asserted")]
    let (count, bytes) = (BUFFERS_PER_WORKER as u16, BUFFER_BYTES as u32);
    Layout { count, bytes }
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
    map: Map,
    places: Box<[Place]>,
    spares: Vec<u16>,
    spares_max: usize,
    with_kernel: usize,
    handled: usize,
    in_flight: usize,
}

impl Buffers {
    /// Maps the memory and puts all buffers into the ring, but for `spares_max` spares.
    pub(super) fn new(spares_max: usize, huge_pages: bool) -> io::Result<Self> {
        let mut buffers = Self {
            map: Map::new(LAYOUT, huge_pages)?,
            places: vec![Place::Handled; BUFFERS_PER_WORKER].into_boxed_slice(),
            spares: Vec::with_capacity(spares_max),
            spares_max,
            with_kernel: 0,
            handled: BUFFERS_PER_WORKER,
            in_flight: 0,
        };
        for id in 0..LAYOUT.count {
            buffers.give_back(Buffer { id });
        }
        buffers.commit();
        Ok(buffers)
    }

    /// Set when the kernel may still write into a buffer: then the map must outlive us.
    pub(super) fn set_leak(&mut self, leak: bool) {
        self.map.leak = leak;
    }

    /// For `register_buf_ring`: address and number of entries.
    pub(super) fn ring(&self) -> (u64, u16) {
        self.map.ring()
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
        self.map.address(buffer.id)
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
        self.map.offer(id);
    }

    /// The kernel sends from the buffer until [`sent`](Self::sent). Returns where it lies.
    pub(super) fn sending(&mut self, buffer: &Buffer) -> *mut u8 {
        self.move_to(buffer.id, Place::Handled, Place::InFlight);
        self.handled -= 1;
        self.in_flight += 1;
        self.map.address(buffer.id)
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
        unsafe { slice::from_raw_parts(self.map.address(buffer.id), BUFFER_BYTES) }
    }

    /// The whole buffer, to write.
    pub(super) fn bytes_mut(&mut self, buffer: &mut Buffer) -> &mut [u8] {
        debug_assert_eq!(self.places.get(buffer.index()), Some(&Place::Handled));
        // SAFETY: as in `bytes`; `self` and the token are borrowed mutably, so nobody else reads.
        unsafe { slice::from_raw_parts_mut(self.map.address(buffer.id), BUFFER_BYTES) }
    }

    /// Shows the kernel what was given back.
    pub(super) fn commit(&self) {
        self.map.commit();
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
        let id = LAYOUT.count - 1;
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
        let first = buffers.received(LAYOUT.count - 1);
        let second = buffers.received(LAYOUT.count - 1);
        drop((first, second));
    }
}
