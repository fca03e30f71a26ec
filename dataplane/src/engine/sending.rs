//! What is sent of one medium to a peer, and what the peer says of it.

use std::time::Instant;

use crypto::srtp::Visitor;

use super::key_frames::KeyFrames;
use super::rewrite::{Numbers, Place};
use super::ticks::{distance, ticks};
use crate::link::StreamTotals;
use crate::wire::ntp::NtpTime;
use crate::wire::rtcp::{ReportBlock, SenderInfo};

/// What is sent of one medium to a peer (the sender's side of RFC 3550 section 6.4).
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Sending {
    packets: u64,
    bytes: u64,
    /// The stream of the last packet; `None` before the first.
    stream: Option<Stream>,

    // From here on only for reports.
    /// The name of the stream that is to come.
    prepared: Option<u32>,
    clock_hz: u32,
    remote: Remote,
    /// What the peer is asked of the pictures that it sends itself.
    pub(super) key_frames: KeyFrames,
}

#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    /// The latest sequence number.
    sequence: u16,
    /// The latest media time, and when the first packet that bore it left.
    timestamp: u32,
    sent_at: Instant,
    /// Packets and bytes that left under other names before; packets in all when each of the last
    /// two reports was written, latest first. All modulo 2^32, as reports have them.
    packets_before: u32,
    bytes_before: u32,
    reported: [u32; 2],
}

/// What the peer's last report says.
#[derive(Default)]
struct Remote {
    lost_packets: i32,
    jitter: u32,
    round_trip_us: Option<u32>,
}

impl Sending {
    /// The line that a packet touches.
    pub(super) fn show(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.packets);
    }

    /// What a packet touches.
    #[cfg(test)]
    pub(super) const HOT_BYTES: usize = std::mem::offset_of!(Self, prepared);

    /// A route leads here: what its packets will be like.
    pub(super) fn prepare(&mut self, ssrc: u32, clock_hz: u32) {
        self.prepared = Some(ssrc);
        self.clock_hz = clock_hz;
    }

    /// Takes in one packet that leaves.
    pub(super) fn count(
        &mut self,
        now: Instant,
        ssrc: u32,
        numbers: &Numbers,
        payload_bytes: usize,
    ) {
        let timestamp = numbers.timestamp;
        let (packets, bytes) = (low_32(self.packets), low_32(self.bytes));
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(payload_bytes as u64);
        match &mut self.stream {
            Some(stream) if stream.ssrc == ssrc => {
                if distance(stream.sequence, numbers.sequence) > 0 {
                    stream.sequence = numbers.sequence;
                }
                // The others of a video frame or telephone-event leave later than the time they
                // tell.
                if stream.timestamp != timestamp {
                    (stream.timestamp, stream.sent_at) = (timestamp, now);
                }
            }
            stream @ (Some(_) | None) => {
                *stream = Some(Stream {
                    ssrc,
                    sequence: numbers.sequence,
                    timestamp,
                    sent_at: now,
                    packets_before: packets,
                    bytes_before: bytes,
                    reported: [packets; 2],
                });
            }
        }
    }

    /// What the peer knows the stream as.
    pub(super) fn ssrc(&self) -> Option<u32> {
        self.stream.map(|stream| stream.ssrc)
    }

    /// Where the stream of this name has got to; `None` if nothing left as it last.
    pub(super) fn place(&self, ssrc: u32) -> Option<Place> {
        let stream = self.stream.filter(|stream| stream.ssrc == ssrc)?;
        Some(Place {
            sequence: stream.sequence,
            timestamp: stream.timestamp,
            sent_at: stream.sent_at,
        })
    }

    /// The same, or what it is to be known as.
    pub(super) fn name(&self) -> Option<u32> {
        self.ssrc().or(self.prepared)
    }

    /// The rate of its timestamps; 0 before there was a route.
    pub(super) fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// The stream's media time now, as its packets leave: one second for each second since the
    /// last.
    pub(super) fn media_time(&self, now: Instant) -> u32 {
        self.stream.map_or(0, |stream| {
            let elapsed = now.saturating_duration_since(stream.sent_at);
            stream.timestamp.wrapping_add(ticks(elapsed, self.clock_hz))
        })
    }

    /// For a report that is written now: the stream and what a sender report says of it; `None`
    /// when nothing was sent since the report before the last (RFC 3550 section 6.4: then it is
    /// a receiver).
    pub(super) fn report(&mut self, ntp: NtpTime, timestamp: u32) -> Option<(u32, SenderInfo)> {
        let stream = self.stream.as_mut()?;
        let [latest, earlier] = stream.reported;
        let packets = low_32(self.packets);
        stream.reported = [packets, latest];
        if packets == earlier {
            return None;
        }
        let info = SenderInfo {
            ntp,
            timestamp,
            packets: packets.wrapping_sub(stream.packets_before),
            octets: low_32(self.bytes).wrapping_sub(stream.bytes_before),
        };
        Some((stream.ssrc, info))
    }

    /// The peer reports on a stream, perhaps on this one.
    pub(super) fn note_report(&mut self, now: NtpTime, block: &ReportBlock) {
        if self.ssrc() != Some(block.ssrc) {
            return;
        }
        self.remote.lost_packets = block.lost_packets;
        self.remote.jitter = block.jitter;
        if let Some(round_trip) = round_trip_us(now, block) {
            self.remote.round_trip_us = Some(round_trip);
        }
    }

    /// Fills in what concerns sending.
    pub(super) fn add_to(&self, totals: &mut StreamTotals) {
        totals.sent_packets = self.packets;
        totals.sent_bytes = self.bytes;
        totals.remote_lost_packets = self.remote.lost_packets.into();
        let jitter_us = (u64::from(self.remote.jitter) * 1_000_000)
            .checked_div(self.clock_hz.into())
            .unwrap_or(0);
        totals.remote_jitter_us = u32::try_from(jitter_us).unwrap_or(u32::MAX);
        totals.round_trip_us = self.remote.round_trip_us;
    }
}

/// RFC 3550 section 6.4.1: what has gone by since our report, less the time that the peer had it.
/// `None` without a report of ours, or when the times cannot be true.
fn round_trip_us(now: NtpTime, block: &ReportBlock) -> Option<u32> {
    if block.last_report == 0 {
        return None;
    }
    let units = now
        .middle()
        .wrapping_sub(block.last_report)
        .wrapping_sub(block.since_last_report);
    // A peer that rounds up may seem to have kept it for longer than it was away.
    let units = units.cast_signed();
    if units < -ROUNDING_UNITS_MAX {
        return None;
    }
    let microseconds = (u64::try_from(units).unwrap_or(0) * 1_000_000) >> 16;
    u32::try_from(microseconds).ok()
}

/// 2 ms in units of 2^-16 seconds.
const ROUNDING_UNITS_MAX: i32 = 131;

fn low_32(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test begins somewhere and goes on by itself"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn numbers(timestamp: u32) -> Numbers {
        Numbers {
            sequence: 1,
            timestamp,
            before: None,
        }
    }

    #[test]
    fn is_a_sender_until_two_reports_without_a_packet() {
        let mut sending = Sending::default();
        let t = start();
        assert_eq!(sending.report(NtpTime(1), 0), None);
        sending.count(t, 5, &numbers(160), 20);
        sending.count(t, 5, &numbers(320), 30);
        let (ssrc, info) = sending.report(NtpTime(1), 99).unwrap();
        assert_eq!((ssrc, info.packets, info.octets), (5, 2, 50));
        assert_eq!((info.ntp, info.timestamp), (NtpTime(1), 99));
        assert!(sending.report(NtpTime(2), 99).is_some());
        assert_eq!(sending.report(NtpTime(3), 99), None);
        // Another name begins to count anew.
        sending.count(t, 6, &numbers(0), 7);
        let (ssrc, info) = sending.report(NtpTime(4), 0).unwrap();
        assert_eq!((ssrc, info.packets, info.octets), (6, 1, 7));
    }

    #[test]
    fn media_time_goes_on_from_the_first_packet_that_bore_the_latest() {
        let mut sending = Sending::default();
        let t = start();
        sending.prepare(5, 8000);
        sending.count(t, 5, &numbers(u32::MAX - 79), 20);
        sending.count(t + Duration::from_secs(2), 5, &numbers(u32::MAX - 79), 20);
        assert_eq!(sending.media_time(t + Duration::from_secs(3)), 23_920);
    }

    #[test]
    fn a_round_trip_is_what_the_peer_did_not_keep() {
        let sent = NtpTime::from_unix(Duration::from_secs(1_000_000));
        let block = |kept_ms: u32| ReportBlock {
            ssrc: 5,
            last_report: sent.middle(),
            since_last_report: kept_ms * 65_536 / 1000,
            lost_packets: 3,
            jitter: 80,
            ..ReportBlock::default()
        };
        let now = sent.after(Duration::from_millis(1050));
        let mut sending = Sending::default();
        sending.prepare(5, 8000);
        sending.count(start(), 6, &numbers(0), 1);
        sending.note_report(now, &block(1000));
        assert_eq!(sending.remote.lost_packets, 0, "another stream");
        sending.count(start(), 5, &numbers(0), 1);
        sending.note_report(now, &block(1000));
        let mut totals = StreamTotals::default();
        sending.add_to(&mut totals);
        let round_trip = totals.round_trip_us.unwrap();
        assert!((49_900..50_100).contains(&round_trip), "{round_trip}");
        assert_eq!(
            (totals.remote_lost_packets, totals.remote_jitter_us),
            (3, 10_000)
        );
        // It cannot have kept the report for longer than it is old, but for rounding.
        assert_eq!(round_trip_us(now, &block(1051)), Some(0));
        assert_eq!(round_trip_us(now, &block(1100)), None);
        let none = ReportBlock {
            last_report: 0,
            ..block(0)
        };
        assert_eq!(round_trip_us(now, &none), None);
    }
}
