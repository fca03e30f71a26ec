//! The sources (SSRC) of one direction and what was seen of each: a small fixed table.

use super::rollover::index_of;
use super::{SrtpError, SrtpOptions, Visitor, replay};
use crate::limits::ROLLOVER_RESET_PACKETS_MAX;

/// One source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) ssrc: [u8; 4],
    /// Authentic packets that may still pass before a signalled rollover reset is forgotten; 0
    /// when none is expected.
    pub(super) reset_packets: u16,
    /// A packet was seen. Before, only the rollover counter of `highest` counts.
    pub(super) started: bool,
    /// The highest index.
    pub(super) highest: u64,
    /// When it was used last, in packets of the table.
    pub(super) used_at: u64,
}

/// Where a source lies in its table.
pub(super) type Slot = usize;

/// At most as many sources as were configured, found by looking at all of them: there are a few
/// at most. Takes its memory when it is made.
pub(super) struct Sources {
    sources: Box<[Source]>,
    /// The replay lists, one after the other.
    seen: Box<[u64]>,
    count: u16,
    /// Packets committed, over all sources.
    packets: u64,
    window_packets: u16,
}

impl Sources {
    /// The table, and its first source, which is mostly the only one.
    pub(super) fn show(&self, visitor: &mut impl Visitor) {
        visitor.visit(self);
        if let (Some(source), Some(seen)) = (self.sources.first(), self.seen.first()) {
            visitor.visit(source);
            visitor.visit(seen);
        }
    }

    pub(super) fn new(options: &SrtpOptions) -> Self {
        let unused = Source {
            ssrc: [0; 4],
            reset_packets: 0,
            started: false,
            highest: 0,
            used_at: 0,
        };
        let sources = usize::from(options.sources_max);
        let words = replay::words_for(options.replay_window_packets);
        Self {
            sources: vec![unused; sources].into_boxed_slice(),
            seen: vec![0; sources * words].into_boxed_slice(),
            count: 0,
            packets: 0,
            window_packets: options.replay_window_packets,
        }
    }

    /// Where a source is; `None` for a new one.
    #[inline]
    pub(super) fn find(&self, ssrc: [u8; 4]) -> Option<Slot> {
        self.used().iter().position(|source| source.ssrc == ssrc)
    }

    /// The sources that have a place.
    pub(super) fn used(&self) -> &[Source] {
        self.sources.get(..self.count.into()).unwrap_or_default()
    }

    /// Whether a new source would take the place of another.
    pub(super) fn is_full(&self) -> bool {
        usize::from(self.count) == self.sources.len()
    }

    /// Packets committed, over all sources.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// The one candidate for the index of an RTP packet, not used before. A new source starts
    /// with the signalled rollover counter, else with 0 (RFC 3711 section 3.3.1).
    #[inline]
    pub(super) fn index_of(&self, slot: Option<Slot>, sequence: u16) -> Result<u64, SrtpError> {
        let Some(source) = slot.and_then(|slot| self.sources.get(slot)) else {
            return Ok(sequence.into());
        };
        if !source.started {
            return Ok(source.highest | u64::from(sequence));
        }
        let index = index_of(source.highest, sequence)?;
        self.check(slot, index)?;
        Ok(index)
    }

    /// Whether this index of that source may be taken.
    #[inline]
    pub(super) fn check(&self, slot: Option<Slot>, index: u64) -> Result<(), SrtpError> {
        let Some(slot) = slot else {
            return Ok(());
        };
        match self.sources.get(slot) {
            Some(source) if source.started => {
                let seen = self.seen.get(self.words(slot)).unwrap_or_default();
                replay::check(seen, self.window_packets, source.highest, index)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Remembers that this index of this source was used. A new source in a full table takes the
    /// place of the one that was silent longest.
    #[inline]
    pub(super) fn commit(&mut self, slot: Option<Slot>, ssrc: [u8; 4], index: u64) {
        self.packets += 1;
        let slot = slot.unwrap_or_else(|| self.place(ssrc));
        let words = self.words(slot);
        let seen = self.seen.get_mut(words).unwrap_or_default();
        if let Some(source) = self.sources.get_mut(slot) {
            if source.started {
                source.highest = replay::commit(seen, source.highest, index);
            } else {
                replay::restart(seen, index);
                source.highest = index;
                source.started = true;
            }
            source.used_at = self.packets;
            source.reset_packets = source.reset_packets.saturating_sub(1);
        }
    }

    /// Remembers that the source has started anew with this index.
    pub(super) fn restart(&mut self, slot: Slot, index: u64) {
        self.packets += 1;
        let words = self.words(slot);
        replay::restart(self.seen.get_mut(words).unwrap_or_default(), index);
        if let Some(source) = self.sources.get_mut(slot) {
            source.highest = index;
            source.started = true;
            source.used_at = self.packets;
            source.reset_packets = 0;
        }
    }

    /// Every source may start anew from now on.
    pub(super) fn expect_reset(&mut self) {
        for source in self.sources.iter_mut().take(self.count.into()) {
            source.reset_packets = ROLLOVER_RESET_PACKETS_MAX;
        }
    }

    /// The source, if a reset of it is expected.
    pub(super) fn expects_reset(&self, slot: Option<Slot>) -> Option<Slot> {
        let source = self.sources.get(slot?)?;
        slot.filter(|_| source.reset_packets > 0)
    }

    /// Gives a new source a rollover counter.
    pub(super) fn start(&mut self, ssrc: [u8; 4], rollover_counter: u32) -> Result<(), SrtpError> {
        if self.find(ssrc).is_some() {
            return Err(SrtpError::SourceInUse);
        }
        if self.is_full() {
            return Err(SrtpError::TooManySources);
        }
        let slot = self.place(ssrc);
        if let Some(source) = self.sources.get_mut(slot) {
            source.highest = u64::from(rollover_counter) << 16;
            source.used_at = self.packets;
        }
        Ok(())
    }

    /// Forgets a source.
    pub(super) fn remove(&mut self, ssrc: [u8; 4]) {
        let Some(slot) = self.find(ssrc) else {
            return;
        };
        // The last one moves into the gap.
        self.count -= 1;
        let last = usize::from(self.count);
        let (from, to) = (self.words(last), self.words(slot).start);
        self.sources.copy_within(last..=last, slot);
        self.seen.copy_within(from, to);
    }

    /// The replay list of a source.
    pub(super) fn seen(&self, slot: Slot) -> &[u64] {
        self.seen.get(self.words(slot)).unwrap_or_default()
    }

    /// Takes a source with its replay list from elsewhere; `false` when there is no place for it
    /// or it is there already.
    pub(super) fn restore(&mut self, source: Source, seen: impl Iterator<Item = u64>) -> bool {
        if self.is_full() || self.find(source.ssrc).is_some() {
            return false;
        }
        let slot = self.place(source.ssrc);
        let words = self.words(slot);
        for (to, from) in self
            .seen
            .get_mut(words)
            .unwrap_or_default()
            .iter_mut()
            .zip(seen)
        {
            *to = from;
        }
        if let Some(place) = self.sources.get_mut(slot) {
            *place = source;
        }
        true
    }

    /// Goes on counting where another table was.
    pub(super) fn restore_packets(&mut self, packets: u64) {
        self.packets = packets;
    }

    /// Gives a new source a place: a free one, else that of the source silent longest.
    #[cold]
    fn place(&mut self, ssrc: [u8; 4]) -> Slot {
        let slot = if self.is_full() {
            let sources = self.sources.iter().enumerate();
            let silent = sources.min_by_key(|(_, source)| source.used_at);
            silent.map_or(0, |(slot, _)| slot)
        } else {
            self.count += 1;
            usize::from(self.count - 1)
        };
        if let Some(source) = self.sources.get_mut(slot) {
            *source = Source {
                ssrc,
                reset_packets: 0,
                started: false,
                highest: 0,
                used_at: self.packets,
            };
        }
        slot
    }

    /// Where the replay list of a source lies.
    fn words(&self, slot: Slot) -> std::ops::Range<usize> {
        let words = replay::words_for(self.window_packets);
        slot * words..(slot + 1) * words
    }
}
