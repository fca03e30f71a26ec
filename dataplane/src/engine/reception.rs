//! What arrived of one medium: the receiver's statistics (RFC 3550 sections 6.4.1, A.1, A.3, A.8).

use std::time::Duration;

use crypto::srtp::Visitor;

use super::numbering::Arrival;
use super::ticks::{is_near, ticks};
use crate::link::StreamTotals;
use crate::wire::ntp::NtpTime;
use crate::wire::rtcp::ReportBlock;
use crate::wire::rtp::RtpHeader;

/// The number of lost packets has 24 bits in a report.
const LOST_MAX: i64 = 0x7F_FFFF;
const LOST_MIN: i64 = -0x80_0000;

/// The clocks of a source at one moment, from its last sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceClock {
    /// Its NTP time …
    pub(super) ntp: NtpTime,
    /// … the same moment in its RTP timestamps …
    pub(super) timestamp: u32,
    /// … and the middle of our NTP time when the report came.
    pub(super) arrived: u32,
}

/// What arrived of one medium (RFC 3550 appendix A).
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Reception {
    /// The present source; its packets were authentic.
    pub(super) ssrc: Option<u32>,
    /// The highest sequence number of the present numbering, extended by its cycles.
    highest_sequence: i64,
    packets: u64,
    bytes: u64,
    /// Arrival minus RTP timestamp of the last frame, and that timestamp.
    transit: Option<(u32, u32)>,
    /// In sixteenths of an RTP clock tick.
    jitter_sixteenths: u32,
    clock_hz: u32,
    /// When the last packet came, in milliseconds after the flow was opened: up to 49 days.
    last_at_ms: u32,

    // From here on only for reports and a new numbering.
    /// The lowest sequence number of the present numbering.
    base_sequence: i64,
    /// Packets expected in earlier numberings.
    expected_before: i64,
    /// Packets of earlier numberings.
    packets_before: u64,
    /// Packets that had come before.
    repeated: u64,
    /// Packets of the present numbering, expected and received, when the last report was written.
    reported: (i64, i64),
    /// What the source said last of its clocks.
    source_clock: Option<SourceClock>,
}

impl Reception {
    /// The line that a packet touches.
    pub(super) fn show(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.ssrc);
    }

    /// What a packet touches.
    #[cfg(test)]
    pub(super) const HOT_BYTES: usize = std::mem::offset_of!(Self, base_sequence);

    /// Takes in one authentic packet, `since_open` after the flow was opened. A stray one is not
    /// valid (RFC 3550 appendix A.1).
    pub(super) fn observe(
        &mut self,
        header: &RtpHeader,
        arrival: Arrival,
        since_open: Duration,
        clock_hz: u32,
    ) {
        self.last_at_ms = u32::try_from(since_open.as_millis()).unwrap_or(u32::MAX);
        match arrival {
            Arrival::Ahead(width) => self.highest_sequence += i64::from(width),
            Arrival::Begins | Arrival::Restarts => self.begin(header),
            Arrival::Late(width) => {
                let sequence = self.highest_sequence - i64::from(width);
                self.base_sequence = self.base_sequence.min(sequence);
            }
            Arrival::Repeated => self.repeated += 1,
            Arrival::Stray => return,
        }
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(header.payload_bytes as u64);
        if self.clock_hz != clock_hz {
            self.transit = None;
            self.clock_hz = clock_hz;
        }
        self.follow_jitter(header.timestamp, ticks(since_open, clock_hz));
    }

    /// A numbering begins.
    #[cold]
    fn begin(&mut self, header: &RtpHeader) {
        self.expected_before += self.expected_now();
        self.packets_before = self.packets;
        self.reported = (0, 0);
        if self.ssrc != Some(header.ssrc) {
            self.source_clock = None;
        }
        self.ssrc = Some(header.ssrc);
        self.base_sequence = i64::from(header.sequence);
        self.highest_sequence = self.base_sequence;
        self.transit = None;
    }

    /// RFC 3550 appendix A.8. Only the first packet with each timestamp counts: the others (of one
    /// video frame, or one telephone-event) were not sent at the time that the timestamp tells.
    fn follow_jitter(&mut self, timestamp: u32, arrival: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if let Some((last_transit, last_timestamp)) = self.transit {
            if last_timestamp == timestamp {
                return;
            }
            let change = transit.wrapping_sub(last_transit).cast_signed();
            // Another clock is no jitter.
            if is_near(change, self.clock_hz) {
                let decay = self.jitter_sixteenths.saturating_add(8) >> 4;
                self.jitter_sixteenths = self
                    .jitter_sixteenths
                    .saturating_sub(decay)
                    .saturating_add(change.unsigned_abs());
            }
        }
        self.transit = Some((transit, timestamp));
    }

    fn expected_now(&self) -> i64 {
        self.ssrc
            .map_or(0, |_| self.highest_sequence - self.base_sequence + 1)
    }

    fn received_now(&self) -> i64 {
        i64::try_from(self.packets - self.packets_before).unwrap_or(i64::MAX)
    }

    /// A sender report has come; true if it is of the present source.
    pub(super) fn note_sender_report(&mut self, ssrc: u32, clock: SourceClock) -> bool {
        let is_source = self.ssrc == Some(ssrc);
        if is_source {
            self.source_clock = Some(clock);
        }
        is_source
    }

    /// The clocks of the present source.
    pub(super) fn source_clock(&self) -> Option<SourceClock> {
        self.source_clock
    }

    /// What a report says of the source (RFC 3550 sections 6.4.1 and A.3); `None` when nothing
    /// came of it since the last report.
    pub(super) fn report(&mut self, now: NtpTime) -> Option<ReportBlock> {
        let ssrc = self.ssrc?;
        let (expected, received) = (self.expected_now(), self.received_now());
        let (expected_before, received_before) = self.reported;
        if received == received_before {
            return None;
        }
        self.reported = (expected, received);
        let newly_expected = expected - expected_before;
        let newly_lost = newly_expected - (received - received_before);
        let fraction = (newly_lost.max(0) * 256).checked_div(newly_expected);
        let lost = expected - received;
        let since = |clock: SourceClock| now.middle().wrapping_sub(clock.arrived);
        Some(ReportBlock {
            ssrc,
            fraction_lost: u8::try_from(fraction.unwrap_or(0)).unwrap_or(u8::MAX),
            lost_packets: i32::try_from(lost.clamp(LOST_MIN, LOST_MAX)).unwrap_or(0),
            highest_sequence: low_32(self.highest_sequence),
            jitter: self.jitter_sixteenths >> 4,
            last_report: self.source_clock.map_or(0, |clock| clock.ntp.middle()),
            since_last_report: self.source_clock.map_or(0, since),
        })
    }

    /// Fills in what concerns reception, `since_open` after the flow was opened.
    pub(super) fn add_to(&self, totals: &mut StreamTotals, since_open: Duration) {
        totals.received_packets = self.packets;
        totals.received_bytes = self.bytes;
        totals.lost_packets = self.lost_packets();
        totals.jitter_us = self.jitter_us();
        let is_known = self.ssrc.is_some();
        let last_at = Duration::from_millis(self.last_at_ms.into());
        totals.last_received = is_known.then(|| since_open.saturating_sub(last_at));
    }

    /// Numbers that did not come. Unlike in a report, a packet that came twice makes up for none.
    fn lost_packets(&self) -> i64 {
        let came = i64::try_from(self.packets - self.repeated).unwrap_or(i64::MAX);
        self.expected_before + self.expected_now() - came
    }

    fn jitter_us(&self) -> u32 {
        let ticks = u64::from(self.jitter_sixteenths >> 4);
        let microseconds = (ticks * 1_000_000)
            .checked_div(u64::from(self.clock_hz))
            .unwrap_or(0);
        u32::try_from(microseconds).unwrap_or(u32::MAX)
    }
}

/// An extended sequence number as a report has it: 16 bits of cycles, 16 of the number.
fn low_32(extended: i64) -> u32 {
    u32::try_from(extended & 0xFFFF_FFFF).unwrap_or(0)
}

#[cfg(test)]
mod tests;
