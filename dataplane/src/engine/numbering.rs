//! The sequence numbers of one medium as they arrive (RFC 3550 appendix A.1).

use super::ticks::{distance, is_near};
use crate::limits::{SEQUENCE_DROPOUT_MAX, SEQUENCE_MISORDER_MAX};
use crate::wire::rtp::RtpHeader;

/// The place of a packet in the numbers of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The first packet of a source.
    Begins,
    /// The second in a row of a new numbering of the same source.
    Restarts,
    /// So many numbers ahead of the newest packet, 1 for the next.
    Ahead(u16),
    /// So many numbers behind it, and not seen before.
    Late(u16),
    /// Seen before.
    Repeated,
    /// Far from all others: perhaps the first of a new numbering, perhaps an accident.
    Stray,
}

/// Follows the numbers of the present source, whether its packets go on or not.
#[derive(Default)]
pub(super) struct Numbering {
    /// Bit n: `newest - n` has arrived, or is before the beginning.
    seen: u128,
    source: Option<u32>,
    newest: u16,
    /// The number that makes a new numbering: the one after a stray packet, as long as no other
    /// packet went ahead since. Equal to `newest` when there is none.
    awaited: u16,
    /// Of the newest packet.
    timestamp: u32,
}

impl Numbering {
    /// Takes in the numbers of one authentic packet.
    pub(super) fn take(&mut self, header: &RtpHeader, clock_hz: u32) -> Arrival {
        if self.source != Some(header.ssrc) {
            self.begin(header, u128::MAX);
            return Arrival::Begins;
        }
        let step = distance(self.newest, header.sequence);
        let width = step.unsigned_abs();
        if step > 0 && width < SEQUENCE_DROPOUT_MAX {
            self.seen = self.seen.checked_shl(width.into()).unwrap_or(0) | 1;
            self.advance(header);
            return Arrival::Ahead(width);
        }
        if step > 0 || width >= SEQUENCE_MISORDER_MAX {
            return self.take_far(header);
        }
        let bit = 1_u128 << width;
        if self.seen & bit == 0 {
            self.seen |= bit;
            return Arrival::Late(width);
        }
        if self.is_new(header, clock_hz) {
            return self.take_far(header);
        }
        Arrival::Repeated
    }

    /// The source whose numbers these are.
    pub(super) fn source(&self) -> Option<u32> {
        self.source
    }

    /// The number of the newest packet.
    pub(super) fn newest(&self) -> u16 {
        self.newest
    }

    /// A number that was seen, on a packet of another time: the source has gone back a little.
    /// (A repeated packet has the time of the first, which is not after the newest.)
    #[cold]
    fn is_new(&self, header: &RtpHeader, clock_hz: u32) -> bool {
        let ahead = header.timestamp.wrapping_sub(self.timestamp).cast_signed();
        ahead > 0 || !is_near(ahead, clock_hz)
    }

    #[cold]
    fn take_far(&mut self, header: &RtpHeader) -> Arrival {
        if header.sequence == self.awaited && self.awaited != self.newest {
            // The stray packet did not go on: it may come again.
            self.begin(header, u128::MAX ^ 0b10);
            return Arrival::Restarts;
        }
        self.awaited = header.sequence.wrapping_add(1);
        Arrival::Stray
    }

    fn begin(&mut self, header: &RtpHeader, seen: u128) {
        self.source = Some(header.ssrc);
        self.seen = seen;
        self.advance(header);
    }

    fn advance(&mut self, header: &RtpHeader) {
        self.newest = header.sequence;
        self.awaited = header.sequence;
        self.timestamp = header.timestamp;
    }
}

#[cfg(test)]
mod tests;
