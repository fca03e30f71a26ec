//! The packet buffers of one worker, and the ring through which the kernel takes them.
//!
//! Where a buffer can be, and always is in exactly one of:
//!
//! ```text
//!   with the kernel, to receive into ──► handled by the worker ──► in flight, being sent
//!          ▲                                 │        ▲                    │
//!          │ commit                give_back │        │ take_spare         │ sent, give_back
//!          │                                 ▼        │                    │
//!          └─────────────────────────────── spare ────┴◄───────────────────┘
//! ```
//!
//! Of the spares, the one that was used last is taken first, while it is in the cache; and the
//! kernel has no more than it needs ([`lending`]). (The mmsg back end lends a buffer for one system
//! call at a time, and no others.)

#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

pub(super) mod lending;
pub(super) mod map;

use std::io;
use std::slice;

use self::lending::Lending;
use self::map::{Layout, Map};
use crate::limits::{BUFFER_BYTES, BUFFERS_LENT_MIN, BUFFERS_PER_WORKER};

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
    /// The one that was used last is the last.
    spares: Vec<u16>,
    /// So many spares stay out of the kernel's reach.
    reserve: usize,
    lending: Lending,
    with_kernel: usize,
    handled: usize,
    in_flight: usize,
}

impl Buffers {
    /// Maps the memory. `reserve`: buffers that the kernel never gets to receive into.
    pub(super) fn new(reserve: usize, huge_pages: bool) -> io::Result<Self> {
        let most = BUFFERS_PER_WORKER.saturating_sub(reserve);
        let mut buffers = Self {
            map: Map::new(LAYOUT, huge_pages)?,
            places: vec![Place::Spare; BUFFERS_PER_WORKER].into_boxed_slice(),
            spares: (0..LAYOUT.count).collect(),
            reserve,
            lending: Lending::new(BUFFERS_LENT_MIN, most),
            with_kernel: 0,
            handled: 0,
            in_flight: 0,
        };
        buffers.fill_up(buffers.lending.now());
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

    /// A buffer for a datagram of our own; `None` while all are elsewhere.
    pub(super) fn take_spare(&mut self) -> Option<Buffer> {
        let id = self.spares.pop()?;
        self.move_to(id, Place::Spare, Place::Handled);
        self.handled += 1;
        Some(Buffer { id })
    }

    /// The worker is done with the buffer.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        let Buffer { id } = buffer;
        self.move_to(id, Place::Handled, Place::Spare);
        self.handled -= 1;
        self.spares.push(id);
    }

    /// Where a buffer lies, whoever has it.
    pub(super) fn address(&self, id: u16) -> *const u8 {
        self.map.address(id)
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

    /// Lends the kernel what it needs for the next turn. To be called once a turn.
    pub(super) fn commit(&mut self) {
        let lent = self.lending.next(self.with_kernel);
        self.fill_up(lent);
    }

    fn fill_up(&mut self, lent: usize) {
        while self.with_kernel < lent && self.spares.len() > self.reserve {
            let Some(id) = self.spares.pop() else {
                break;
            };
            self.move_to(id, Place::Spare, Place::Kernel);
            self.with_kernel += 1;
            self.map.offer(id);
        }
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
        assert_eq!(buffers.with_kernel(), BUFFERS_LENT_MIN);
        let id = LAYOUT.count - 1;
        let mut buffer = buffers.received(id);
        buffers.bytes_mut(&mut buffer).fill(7);
        assert_eq!(buffers.bytes(&buffer).len(), BUFFER_BYTES);
        buffers.sending(&buffer);
        buffers.assert_conserved();
        let buffer = buffers.sent(id);
        buffers.give_back(buffer);
        buffers.assert_conserved();
        assert_eq!(buffers.with_kernel(), BUFFERS_LENT_MIN - 1);
        buffers.commit();
        assert_eq!(buffers.with_kernel(), BUFFERS_LENT_MIN);
    }

    #[test]
    fn the_buffer_that_was_used_last_is_lent_first() {
        let mut buffers = Buffers::new(SPARE_BUFFERS_PER_WORKER, true).unwrap();
        let used = buffers.received(LAYOUT.count - 1);
        buffers.give_back(used);
        buffers.commit();
        assert_eq!(buffers.received(LAYOUT.count - 1).id(), LAYOUT.count - 1);
    }

    #[test]
    fn the_kernel_gets_all_that_it_needs_but_the_reserve() {
        let mut buffers = Buffers::new(SPARE_BUFFERS_PER_WORKER, true).unwrap();
        let mut all = Vec::new();
        for _ in 0..8 {
            for id in 0..LAYOUT.count {
                if buffers.places.get(usize::from(id)) == Some(&Place::Kernel) {
                    all.push(buffers.received(id));
                }
            }
            buffers.commit();
        }
        assert_eq!(all.len(), BUFFERS_PER_WORKER - SPARE_BUFFERS_PER_WORKER);
        let own: Vec<_> = std::iter::from_fn(|| buffers.take_spare()).collect();
        assert_eq!(own.len(), SPARE_BUFFERS_PER_WORKER);
        for buffer in all.into_iter().chain(own) {
            buffers.give_back(buffer);
        }
        buffers.assert_conserved();
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
