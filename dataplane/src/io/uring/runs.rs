//! Datagrams of one length from one peer that the kernel hands over as one (UDP generic receive
//! offload, `UDP_GRO` in udp(7)), until they are copied apart: one way up the stack for all of
//! them, and a copy costs a hundredth of that way.
//!
//! They need buffers of the longest datagram, so they have their own, in a ring of their own: what
//! the sockets of trunks receive cannot take them away.

use std::io;
use std::slice;

use crate::io::buffers::lending::Lending;
use crate::io::buffers::map::{Layout, Map};
use crate::limits::{RUN_BYTES, RUNS_LENT_MIN, RUNS_PER_WORKER};

const LAYOUT: Layout = {
    assert!(RUNS_PER_WORKER <= 1 << 15 && RUN_BYTES <= 1 << 20);
    #[expect(clippy::cast_possible_truncation, reason = "asserted")]
    let (count, bytes) = (RUNS_PER_WORKER as u16, RUN_BYTES as u32);
    Layout { count, bytes }
};

/// A buffer that the kernel has filled. There is one token per buffer.
#[derive(Debug)]
#[must_use = "a token that is dropped is a buffer that is lost"]
pub(super) struct Run {
    id: u16,
}

/// The buffers of one worker: each is with the kernel, or was received.
pub(super) struct Runs {
    map: Map,
    is_with_kernel: Box<[bool]>,
    with_kernel: usize,
    /// Those that neither the kernel has nor we; the one that was used last is the last.
    spares: Vec<u16>,
    lending: Lending,
}

impl Runs {
    pub(super) fn new(huge_pages: bool) -> io::Result<Self> {
        let mut runs = Self {
            map: Map::new(LAYOUT, huge_pages)?,
            is_with_kernel: vec![false; RUNS_PER_WORKER].into_boxed_slice(),
            with_kernel: 0,
            spares: (0..LAYOUT.count).collect(),
            lending: Lending::new(RUNS_LENT_MIN, RUNS_PER_WORKER),
        };
        runs.fill_up(runs.lending.now());
        Ok(runs)
    }

    /// For `register_buf_ring`: address and number of entries.
    pub(super) fn ring(&self) -> (u64, u16) {
        self.map.ring()
    }

    /// Whether the map must outlive us.
    pub(super) fn set_leak(&mut self, leak: bool) {
        self.map.leak = leak;
    }

    /// The kernel has filled this buffer.
    ///
    /// # Panics
    /// When the kernel does not have it: going on could read what is being written.
    pub(super) fn received(&mut self, id: u16) -> Run {
        let place = self.is_with_kernel.get_mut(usize::from(id));
        let was_there = place.is_some_and(|place| std::mem::replace(place, false));
        assert!(was_there, "run {id} is not with the kernel");
        self.with_kernel -= 1;
        Run { id }
    }

    /// The whole buffer.
    pub(super) fn bytes(&self, run: &Run) -> &[u8] {
        // SAFETY: the address is that of RUN_BYTES mapped bytes, and by the token the kernel does
        // not have them; nobody else writes there.
        unsafe { slice::from_raw_parts(self.map.address(run.id), RUN_BYTES) }
    }

    /// Where it lies, whoever has it.
    pub(super) fn address(&self, id: u16) -> *const u8 {
        self.map.address(id)
    }

    /// We are done with it.
    pub(super) fn give_back(&mut self, run: Run) {
        self.spares.push(run.id);
    }

    /// Lends the kernel what it needs for the next turn. To be called once a turn.
    pub(super) fn commit(&mut self) {
        let lent = self.lending.next(self.with_kernel);
        self.fill_up(lent);
    }

    fn fill_up(&mut self, lent: usize) {
        while self.with_kernel < lent
            && let Some(id) = self.spares.pop()
        {
            if let Some(place) = self.is_with_kernel.get_mut(usize::from(id)) {
                *place = true;
            }
            self.with_kernel += 1;
            self.map.offer(id);
        }
        self.map.commit();
    }

    /// Buffers that the kernel can receive into.
    pub(super) fn with_kernel(&self) -> usize {
        self.with_kernel
    }
}
