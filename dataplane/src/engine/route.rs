//! One medium of a flow: what is received of it, where it goes, and how it is renumbered.

use std::time::{Duration, Instant};

use crate::limits::{REORDER_WINDOW_PACKETS, SEQUENCE_JUMP_MAX};
use crate::link::{FlowId, Route, StreamTotals};
use crate::wire::rtp::RtpHeader;

/// One medium of one flow.
#[derive(Default)]
pub(super) struct Medium {
    /// Where what arrives goes. Kept during hold, so that the medium is still recognised.
    route: Option<Route>,
    /// The route is in use; false during hold.
    is_forwarding: bool,
    /// The flow whose medium is sent to this one's peer: reports from here are about it.
    pub(super) sender: Option<FlowId>,
    pub(super) reception: Reception,
    pub(super) rewrite: Rewrite,
    sent_packets: u64,
    sent_bytes: u64,
}

impl Medium {
    pub(super) fn set_route(&mut self, route: Route) {
        let continues = self
            .route
            .as_ref()
            .is_some_and(|old| old.to == route.to && old.outgoing_ssrc == route.outgoing_ssrc);
        if !continues {
            self.rewrite = Rewrite::default();
        }
        self.route = Some(route);
        self.is_forwarding = true;
    }

    pub(super) fn clear_route(&mut self) {
        self.is_forwarding = false;
    }

    pub(super) fn count_sent(&mut self, payload_bytes: usize) {
        self.sent_packets += 1;
        self.sent_bytes = self.sent_bytes.saturating_add(payload_bytes as u64);
    }

    /// The route, whether in use or not.
    pub(super) fn known_route(&self) -> Option<&Route> {
        self.route.as_ref()
    }

    /// The route, if in use.
    pub(super) fn route(&self) -> Option<&Route> {
        self.route.as_ref().filter(|_| self.is_forwarding)
    }

    pub(super) fn totals(&self) -> StreamTotals {
        StreamTotals {
            received_packets: self.reception.packets,
            received_bytes: self.reception.bytes,
            lost_packets: self.reception.lost_packets(),
            jitter_us: self.reception.jitter_us(),
            sent_packets: self.sent_packets,
            sent_bytes: self.sent_bytes,
        }
    }
}

/// What arrived of one medium (RFC 3550 appendix A).
#[derive(Default)]
pub(super) struct Reception {
    /// The present source; its packets were authentic.
    pub(super) ssrc: Option<u32>,
    /// Extended sequence numbers of the present numbering.
    base_sequence: i64,
    highest_sequence: i64,
    /// Packets expected in earlier numberings.
    expected_before: i64,
    packets: u64,
    bytes: u64,
    /// Arrival minus RTP timestamp of the last frame, and that timestamp.
    transit: Option<(u32, u32)>,
    /// In sixteenths of an RTP clock tick.
    jitter_sixteenths: u32,
    clock_hz: u32,
}

impl Reception {
    /// Takes in one authentic packet, `since_open` after the flow was opened.
    pub(super) fn observe(&mut self, header: &RtpHeader, since_open: Duration, clock_hz: u32) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(header.payload_bytes as u64);
        let step = distance(low_16(self.highest_sequence), header.sequence);
        if self.ssrc == Some(header.ssrc) && step.unsigned_abs() <= SEQUENCE_JUMP_MAX {
            self.highest_sequence += i64::from(step.max(0));
        } else {
            self.expected_before += self.expected_now();
            self.ssrc = Some(header.ssrc);
            self.base_sequence = i64::from(header.sequence);
            self.highest_sequence = self.base_sequence;
            self.transit = None;
        }
        if self.clock_hz != clock_hz {
            self.transit = None;
            self.clock_hz = clock_hz;
        }
        self.follow_jitter(header.timestamp, ticks(since_open, clock_hz));
    }

    /// RFC 3550 appendix A.8. Only the first packet with each timestamp counts: the others (of one
    /// video frame, or one telephone-event) were not sent at the time that the timestamp tells.
    fn follow_jitter(&mut self, timestamp: u32, arrival: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some((last_transit, last_timestamp)) = self.transit {
            if last_timestamp == timestamp {
                return;
            }
            let change = transit
                .wrapping_sub(last_transit)
                .cast_signed()
                .unsigned_abs();
            let decay = self.jitter_sixteenths.saturating_add(8) >> 4;
            self.jitter_sixteenths = self
                .jitter_sixteenths
                .saturating_sub(decay)
                .saturating_add(change);
        }
        self.transit = Some((transit, timestamp));
    }

    fn expected_now(&self) -> i64 {
        self.ssrc
            .map_or(0, |_| self.highest_sequence - self.base_sequence + 1)
    }

    fn lost_packets(&self) -> i64 {
        self.expected_before + self.expected_now() - i64::try_from(self.packets).unwrap_or(i64::MAX)
    }

    fn jitter_us(&self) -> u32 {
        let ticks = u64::from(self.jitter_sixteenths >> 4);
        let microseconds = (ticks * 1_000_000)
            .checked_div(u64::from(self.clock_hz))
            .unwrap_or(0);
        u32::try_from(microseconds).unwrap_or(u32::MAX)
    }
}

/// Keeps what leaves one continuous stream, whatever its source does, and lets no sequence number
/// leave twice: with SRTP behind it, that would be the same key stream for two packets.
#[derive(Default)]
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
        let elapsed = ticks(now.saturating_duration_since(newest.sent_at), clock_hz);
        // At least one frame of 20 ms: two frames never carry the same time.
        let step = elapsed.max(clock_hz / 50).max(1);
        let timestamp = newest.timestamp.wrapping_add(step);
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

    /// What is added to incoming sequence numbers.
    pub(super) fn sequence_offset(&self) -> u16 {
        self.sequence_offset
    }

    /// What is added to incoming timestamps.
    pub(super) fn timestamp_offset(&self) -> u32 {
        self.timestamp_offset
    }
}

impl Newest {
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
fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// A time in ticks of an RTP clock, modulo 2^32 as timestamps are.
fn ticks(time: Duration, clock_hz: u32) -> u32 {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let ticks = microseconds.wrapping_mul(u64::from(clock_hz)) / 1_000_000;
    u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(0)
}

fn low_16(extended: i64) -> u16 {
    u16::try_from(extended & 0xFFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests;
