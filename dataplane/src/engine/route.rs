//! One medium of a flow: what is received of it, where it goes, and how it is renumbered.

use std::time::{Duration, Instant};

use crypto::srtp::Visitor;

use super::reception::Reception;
use super::sending::Sending;
use super::verdict::DropReason;
use crate::limits::{REORDER_WINDOW_PACKETS, SEQUENCE_JUMP_MAX};
use crate::link::{Feedback, FlowId, PayloadTypeMap, Route, StreamTotals};
use crate::wire::rtp::RtpHeader;

/// What of a [`Route`] is needed for its packets.
pub(super) struct KnownRoute {
    pub(super) to: FlowId,
    pub(super) outgoing_ssrc: u32,
    pub(super) clock_hz: u32,
    pub(super) payload_types: PayloadTypeMap,
    pub(super) feedback: Feedback,
}

impl KnownRoute {
    const fn new(route: &Route) -> Self {
        Self {
            to: route.to,
            outgoing_ssrc: route.outgoing_ssrc.0,
            clock_hz: route.clock_hz,
            payload_types: route.payload_types,
            feedback: route.feedback,
        }
    }
}

/// Whether what arrives goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    /// No: there is no route, or the medium is on hold.
    #[default]
    Closed,
    /// Yes.
    Open,
    /// Not now: a digit is sent in its place.
    Replaced,
}

/// One medium of one flow. A packet that arrives touches one cache line of each of the first three,
/// one that leaves the first line of the last.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Medium {
    /// Where what arrives goes. Kept during hold, so that the medium is still recognised.
    route: Option<KnownRoute>,
    gate: Gate,
    /// The flow whose medium is sent to this one's peer: reports from here are about it.
    pub(super) sender: Option<FlowId>,
    pub(super) rewrite: Rewrite,
    pub(super) reception: Reception,
    /// What is sent of the medium to this one's peer.
    pub(super) sending: Sending,
}

impl Medium {
    /// False if the stream that it makes is another one than before.
    pub(super) fn set_route(&mut self, route: &Route) -> bool {
        let continues = self
            .route
            .as_ref()
            .is_some_and(|old| old.to == route.to && old.outgoing_ssrc == route.outgoing_ssrc.0);
        if !continues {
            self.rewrite = Rewrite::default();
        }
        self.route = Some(KnownRoute::new(route));
        if !continues || self.gate == Gate::Closed {
            self.gate = Gate::Open;
        }
        continues
    }

    pub(super) fn clear_route(&mut self) {
        self.gate = Gate::Closed;
    }

    /// A digit begins or ends; of no consequence while the route is not in use.
    pub(super) fn replace(&mut self, by_digit: bool) {
        self.gate = match (self.gate, by_digit) {
            (Gate::Closed, _) => Gate::Closed,
            (Gate::Open | Gate::Replaced, true) => Gate::Replaced,
            (Gate::Open | Gate::Replaced, false) => Gate::Open,
        };
    }

    /// Takes note of a packet that has no [`Medium::open_route`], and says why.
    #[cold]
    pub(super) fn withhold(&mut self, header: &RtpHeader) -> DropReason {
        match self.gate {
            Gate::Closed | Gate::Open => DropReason::NoRoute,
            Gate::Replaced => {
                self.rewrite.skip(header);
                DropReason::DigitInstead
            }
        }
    }

    /// What a packet that arrives touches.
    pub(super) fn show_arrival(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.route);
        visitor.visit(&self.rewrite);
        self.reception.show(visitor);
    }

    /// The route, whether in use or not.
    pub(super) fn known_route(&self) -> Option<&KnownRoute> {
        self.route.as_ref()
    }

    /// The route, if in use.
    pub(super) fn route(&self) -> Option<&KnownRoute> {
        self.route.as_ref().filter(|_| self.gate != Gate::Closed)
    }

    /// The route, if packets go along it now.
    pub(super) fn open_route(&self) -> Option<&KnownRoute> {
        self.route.as_ref().filter(|_| self.gate == Gate::Open)
    }

    /// True once a packet came from the peer or went to it.
    pub(super) fn is_alive(&self) -> bool {
        self.reception.ssrc.is_some() || self.sending.ssrc().is_some()
    }

    /// `since_open` after the flow was opened.
    pub(super) fn totals(&self, since_open: Duration) -> StreamTotals {
        let mut totals = StreamTotals::default();
        self.reception.add_to(&mut totals, since_open);
        self.sending.add_to(&mut totals);
        totals
    }
}

/// Keeps what leaves one continuous stream, whatever its source does, and lets no sequence number
/// leave twice: with SRTP behind it, that would be the same key stream for two packets.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Rewrite {
    sequence_offset: u16,
    timestamp_offset: u32,
    /// `None` before the first packet.
    newest: Option<Newest>,
}

#[derive(Clone, Copy)]
struct Newest {
    source_ssrc: u32,
    sequence: u16,
    timestamp: u32,
    sent_at: Instant,
    /// Bit n: `sequence - n` has left, or must not leave any more.
    sent: u128,
}

impl Rewrite {
    /// The outgoing sequence number and timestamp; `None` for a packet that was sent before or is
    /// too old to tell.
    pub(super) fn apply(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        clock_hz: u32,
    ) -> Option<(u16, u32)> {
        let Some(newest) = self.newest else {
            let (sequence, timestamp) = (header.sequence, header.timestamp);
            let source_ssrc = header.ssrc;
            self.newest = Some(Newest {
                source_ssrc,
                sequence,
                timestamp,
                sent_at: now,
                sent: 1,
            });
            return Some((sequence, timestamp));
        };
        let expected = newest.sequence.wrapping_sub(self.sequence_offset);
        let step = distance(expected, header.sequence);
        if newest.source_ssrc != header.ssrc || step.unsigned_abs() > SEQUENCE_JUMP_MAX {
            return Some(self.restart(now, newest, header, clock_hz));
        }
        let sequence = header.sequence.wrapping_add(self.sequence_offset);
        let timestamp = header.timestamp.wrapping_add(self.timestamp_offset);
        self.newest = Some(newest.followed_by(now, sequence, timestamp)?);
        Some((sequence, timestamp))
    }

    /// Another source, or a new numbering: goes on where the old one ended.
    fn restart(
        &mut self,
        now: Instant,
        newest: Newest,
        header: &RtpHeader,
        clock_hz: u32,
    ) -> (u16, u32) {
        let timestamp = newest.time_after(now, clock_hz);
        let sequence = newest.sequence.wrapping_add(1);
        self.sequence_offset = sequence.wrapping_sub(header.sequence);
        self.timestamp_offset = timestamp.wrapping_sub(header.timestamp);
        // Nothing of the new numbering may land on what the old one has used.
        let (source_ssrc, sent) = (header.ssrc, u128::MAX);
        self.newest = Some(Newest {
            source_ssrc,
            sequence,
            timestamp,
            sent_at: now,
            sent,
        });
        (sequence, timestamp)
    }

    /// The time of something of ours that begins now. `random` is where a stream begins that has
    /// no packet yet.
    pub(super) fn begin(&mut self, now: Instant, clock_hz: u32, random: u64) -> u32 {
        let Some(newest) = self.newest else {
            let timestamp = u32::try_from(random >> 32).unwrap_or(0);
            self.newest = Some(Newest {
                source_ssrc: 0,
                // Far from its wrap: a receiver of SRTP that misses the first packets still
                // guesses the rollover counter (RFC 3711 section 3.3.1).
                sequence: u16::try_from(random & 0x7FFF).unwrap_or(0),
                timestamp,
                sent_at: now,
                sent: u128::MAX,
            });
            return timestamp;
        };
        newest.time_after(now, clock_hz)
    }

    /// The sequence number of a packet of ours with this time, which was [begun](Self::begin): the
    /// source's go on behind it.
    pub(super) fn insert(&mut self, now: Instant, timestamp: u32) -> u16 {
        self.sequence_offset = self.sequence_offset.wrapping_add(1);
        let Some(newest) = &mut self.newest else {
            return 0;
        };
        newest.sequence = newest.sequence.wrapping_add(1);
        if newest.timestamp != timestamp {
            (newest.timestamp, newest.sent_at) = (timestamp, now);
        }
        // What comes late would land on what is used.
        newest.sent = u128::MAX;
        newest.sequence
    }

    /// A packet of the source does not leave: the next one follows on what did.
    pub(super) fn skip(&mut self, header: &RtpHeader) {
        let Some(newest) = &mut self.newest else {
            return;
        };
        let expected = newest.sequence.wrapping_sub(self.sequence_offset);
        let step = distance(expected, header.sequence);
        let is_same = newest.source_ssrc == header.ssrc && step.unsigned_abs() <= SEQUENCE_JUMP_MAX;
        if is_same && step > 0 {
            self.sequence_offset = newest.sequence.wrapping_sub(header.sequence);
            newest.sent = u128::MAX;
        }
    }

    /// What is added to incoming sequence numbers.
    pub(super) fn sequence_offset(&self) -> u16 {
        self.sequence_offset
    }

    /// What is added to timestamps of a source; `None` if it is not the one that is sent on.
    pub(super) fn timestamp_offset(&self, source_ssrc: u32) -> Option<u32> {
        let newest = self.newest.as_ref()?;
        (newest.source_ssrc == source_ssrc).then_some(self.timestamp_offset)
    }
}

impl Newest {
    /// The time of what follows now, from another clock.
    fn time_after(&self, now: Instant, clock_hz: u32) -> u32 {
        let elapsed = ticks(now.saturating_duration_since(self.sent_at), clock_hz);
        // At least one frame of 20 ms: two frames never carry the same time.
        let step = elapsed.max(clock_hz / 50).max(1);
        self.timestamp.wrapping_add(step)
    }

    /// The state after one more packet; `None` if it must not be sent.
    fn followed_by(mut self, now: Instant, sequence: u16, timestamp: u32) -> Option<Self> {
        let step = distance(self.sequence, sequence);
        if step > 0 {
            let shift = u32::from(step.unsigned_abs());
            self.sent = self.sent.checked_shl(shift).unwrap_or(0) | 1;
            (self.sequence, self.timestamp, self.sent_at) = (sequence, timestamp, now);
            return Some(self);
        }
        let back = step.unsigned_abs();
        let bit = 1_u128 << (back % REORDER_WINDOW_PACKETS);
        if back >= REORDER_WINDOW_PACKETS || self.sent & bit != 0 {
            return None;
        }
        self.sent |= bit;
        Some(self)
    }
}

/// How far `to` is ahead of `from`, over the wrap.
pub(super) fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// A time in ticks of an RTP clock, modulo 2^32 as timestamps are.
pub(super) fn ticks(time: Duration, clock_hz: u32) -> u32 {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let ticks = microseconds.wrapping_mul(u64::from(clock_hz)) / 1_000_000;
    u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
