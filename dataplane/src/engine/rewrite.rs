//! The numbers that the packets of one medium leave with.

use std::time::Instant;

use super::numbering::{Arrival, Numbering};
use super::ticks::{is_near, ticks};
use crate::limits::{FIRST_SEQUENCE_MAX, REORDER_WINDOW_PACKETS};
use crate::wire::rtp::RtpHeader;

/// Keeps what leaves one continuous stream, whatever its source does, and lets no sequence number
/// leave twice: with SRTP behind it, that would be the same key stream for two packets. For the
/// same reason the stream begins far from the wrap of its numbers, and never jumps: a receiver
/// guesses the rollover counter (RFC 3711 section 3.3.1).
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Rewrite {
    /// What comes.
    numbering: Numbering,
    /// When the packet left that bore the newest timestamp; `None` before the first.
    sent_at: Option<Instant>,
    /// The newest numbers that left, and what is added to those that come. The number that came
    /// last leads to the one that left last, whether it left itself or not.
    timestamp: u32,
    timestamp_offset: u32,
    sequence: u16,
    sequence_offset: u16,
    /// So many numbers, the newest of the source and those before, are added to as it is now: later
    /// ones would land on what is used.
    movable: u8,
    /// The source has begun anew while nothing of it left: the offsets are of no use.
    is_stale: bool,
}

/// Where a stream has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) sent_at: Instant,
}

/// The numbers of a packet that is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// The number of the packet before, if this one goes ahead of it.
    pub(super) before: Option<u16>,
}

impl Rewrite {
    /// Takes in an authentic packet. Then comes [`Self::apply`] if it is to leave, else
    /// [`Self::skip`].
    pub(super) fn take(&mut self, header: &RtpHeader, clock_hz: u32) -> Arrival {
        self.numbering.take(header, clock_hz)
    }

    /// What leaves is another stream from now on. It goes on from `place` if some of it has left
    /// already.
    pub(super) fn leave_as(&mut self, place: Option<Place>) {
        self.sent_at = place.map(|place| place.sent_at);
        self.timestamp = place.map_or(0, |place| place.timestamp);
        self.sequence = place.map_or(0, |place| place.sequence);
        (self.timestamp_offset, self.sequence_offset) = (0, 0);
        (self.movable, self.is_stale) = (0, true);
    }

    /// The numbers of the packet that was taken in last; `None` for one that was sent before, is
    /// too old to tell, or belongs nowhere.
    pub(super) fn apply(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        arrival: Arrival,
        clock_hz: u32,
    ) -> Option<Numbers> {
        match arrival {
            Arrival::Ahead(width) if !self.is_stale && self.sent_at.is_some() => {
                Some(self.advance(now, header, width, clock_hz))
            }
            Arrival::Begins | Arrival::Ahead(_) => Some(self.start(now, header, clock_hz, 1)),
            // The stray packet before this one was the first: it is missed, and may be sent again.
            Arrival::Restarts => Some(self.start(now, header, clock_hz, 2)),
            Arrival::Late(width) => {
                let is_movable = width < u16::from(self.movable);
                is_movable.then(|| self.numbers(header, None))
            }
            Arrival::Repeated | Arrival::Stray => None,
        }
    }

    /// The packet that was taken in last does not leave: the next one follows on what did.
    pub(super) fn skip(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Begins | Arrival::Restarts => (self.is_stale, self.movable) = (true, 0),
            Arrival::Ahead(_) => self.follow(),
            Arrival::Late(_) | Arrival::Repeated | Arrival::Stray => {}
        }
    }

    /// A packet with these numbers could not be sent: the next one takes them.
    #[cold]
    pub(super) fn withdraw(&mut self, numbers: &Numbers) {
        if let Some(before) = numbers.before
            && numbers.sequence == self.sequence
        {
            self.sequence = before;
            self.follow();
        }
    }

    /// The time of something of ours that begins now. `random` is where a stream begins that has
    /// no packet yet.
    pub(super) fn begin(&mut self, now: Instant, clock_hz: u32, random: u64) -> u32 {
        let Some(sent_at) = self.sent_at else {
            let [low, high, ..] = random.to_le_bytes();
            self.sequence = before_first(u16::from_le_bytes([low, high]));
            self.timestamp = u32::try_from(random >> 32).unwrap_or(0);
            self.sent_at = Some(now);
            self.is_stale = true;
            return self.timestamp;
        };
        self.time_after(sent_at, now, clock_hz)
    }

    /// The numbers of a packet of ours with this time, which was [begun](Self::begin): the source's
    /// go on behind it.
    pub(super) fn insert(&mut self, now: Instant, timestamp: u32) -> Numbers {
        let before = Some(self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        if self.timestamp != timestamp {
            (self.timestamp, self.sent_at) = (timestamp, Some(now));
        }
        self.follow();
        Numbers {
            sequence: self.sequence,
            timestamp,
            before,
        }
    }

    /// What is added to incoming sequence numbers.
    pub(super) fn sequence_offset(&self) -> u16 {
        self.sequence_offset
    }

    /// What is added to timestamps of a source; `None` if it is not the one that is sent on.
    pub(super) fn timestamp_offset(&self, source_ssrc: u32) -> Option<u32> {
        let is_sent = self.numbering.source() == Some(source_ssrc) && !self.is_stale;
        (is_sent && self.sent_at.is_some()).then_some(self.timestamp_offset)
    }

    /// A packet ahead of the others in the same numbering.
    fn advance(&mut self, now: Instant, header: &RtpHeader, width: u16, clock_hz: u32) -> Numbers {
        let before = Some(self.sequence);
        let timestamp = header.timestamp.wrapping_add(self.timestamp_offset);
        let ahead = timestamp.wrapping_sub(self.timestamp).cast_signed();
        if !is_near(ahead, clock_hz) {
            self.follow_clock(now, header, clock_hz);
        }
        let numbers = self.numbers(header, before);
        let movable = width.saturating_add(self.movable.into());
        let movable = movable.min(REORDER_WINDOW_PACKETS);
        self.movable = u8::try_from(movable).unwrap_or(u8::MAX);
        self.set(now, &numbers);
        numbers
    }

    /// A packet of another source or numbering, `step` behind the last one that left; or the first
    /// of all.
    #[cold]
    fn start(&mut self, now: Instant, header: &RtpHeader, clock_hz: u32, step: u16) -> Numbers {
        let step = if let Some(sent_at) = self.sent_at {
            let timestamp = self.time_after(sent_at, now, clock_hz);
            self.timestamp_offset = timestamp.wrapping_sub(header.timestamp);
            step
        } else {
            self.sequence = before_first(header.sequence);
            self.timestamp_offset = 0;
            1
        };
        let before = Some(self.sequence);
        let sequence = self.sequence.wrapping_add(step);
        self.sequence_offset = sequence.wrapping_sub(header.sequence);
        self.movable = u8::try_from(step).unwrap_or(1);
        self.is_stale = false;
        let numbers = self.numbers(header, before);
        self.set(now, &numbers);
        numbers
    }

    /// The source has set its clock: media time goes on as time went by.
    #[cold]
    fn follow_clock(&mut self, now: Instant, header: &RtpHeader, clock_hz: u32) {
        let Some(sent_at) = self.sent_at else {
            return;
        };
        let expected = self.time_after(sent_at, now, clock_hz);
        let timestamp = header.timestamp.wrapping_add(self.timestamp_offset);
        if !is_near(timestamp.wrapping_sub(expected).cast_signed(), clock_hz) {
            self.timestamp_offset = expected.wrapping_sub(header.timestamp);
        }
    }

    /// The next number of the source leads to the one behind the newest that left.
    fn follow(&mut self) {
        self.sequence_offset = self.sequence.wrapping_sub(self.numbering.newest());
        self.movable = 0;
    }

    fn numbers(&self, header: &RtpHeader, before: Option<u16>) -> Numbers {
        Numbers {
            sequence: header.sequence.wrapping_add(self.sequence_offset),
            timestamp: header.timestamp.wrapping_add(self.timestamp_offset),
            before,
        }
    }

    fn set(&mut self, now: Instant, numbers: &Numbers) {
        self.sequence = numbers.sequence;
        self.timestamp = numbers.timestamp;
        self.sent_at = Some(now);
    }

    /// The time of what follows now, from another clock.
    fn time_after(&self, sent_at: Instant, now: Instant, clock_hz: u32) -> u32 {
        let elapsed = ticks(now.saturating_duration_since(sent_at), clock_hz);
        // At least one frame of 20 ms: two frames never carry the same time.
        let step = elapsed.max(clock_hz / 50).max(1);
        self.timestamp.wrapping_add(step)
    }
}

/// The number before the first one of a stream, of which a source has chosen the lower bits.
fn before_first(chosen: u16) -> u16 {
    (chosen & FIRST_SEQUENCE_MAX).wrapping_sub(1)
}

#[cfg(test)]
mod tests;
