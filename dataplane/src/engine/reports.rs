//! Reports of our own: each peer gets sender reports about what we send to it, with blocks about
//! what we receive from it, and its name (RFC 3550 section 6). Both legs have their own; neither
//! sees the other's.

use std::num::NonZeroI64;
use std::time::{Duration, Instant};

use super::Engine;
use super::flow::{Flow, MEDIA, MediaProtocol};
use super::verdict::Transmit;
use crate::limits::{
    MEDIA_TIME_DEVIATION_MAX, REPORT_INTERVAL, REPORT_INTERVAL_VIDEO, SOURCE_CLOCK_STEP_MIN,
};
use crate::link::Media;
use crate::wire::ntp::NtpTime;
use crate::wire::rtcp::CompoundWriter;

/// The NTP clock of a flow's peer against ours, from the sender reports that came.
#[derive(Default)]
pub(super) struct PeerClock {
    /// What ours is ahead, in 2^-32 seconds, with the shortest time that a report was under way.
    offset: Option<NonZeroI64>,
}

impl PeerClock {
    /// A sender report written at `written` came at `arrived`.
    ///
    /// One offset for all media of a flow, and one that does not jump with each report's time on
    /// the way: so the media stay together as their source had them.
    pub(super) fn follow(&mut self, written: NtpTime, arrived: NtpTime) {
        let offset = arrived.minus(written);
        let known = self.offset.map_or(offset, NonZeroI64::get);
        let change = offset.wrapping_sub(known);
        let was_set = change.unsigned_abs() > SOURCE_CLOCK_STEP_MIN.as_secs() << 32;
        let followed = if was_set || change < 0 {
            offset
        } else {
            // Clocks drift apart, slowly.
            known.wrapping_add(change / 32)
        };
        // The smallest step that there is stands for none at all.
        self.offset = NonZeroI64::new(followed).or(NonZeroI64::new(1));
    }

    /// The peer's time at a moment of ours, as its packets reach us.
    fn at(&self, ours: NtpTime) -> Option<NtpTime> {
        let offset = self.offset?.get().cast_unsigned();
        Some(NtpTime(ours.0.wrapping_sub(offset)))
    }
}

impl Engine {
    /// Writes the next report that is due into `buffer`
    /// ([`REPORT_BYTES_MAX`](crate::limits::REPORT_BYTES_MAX) at most), protected, and says where
    /// it goes. `None` when there is none: to be called until then, or as often as the shell can
    /// send in one turn.
    pub fn poll_report(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        while let Some(slot) = self.reports_due.pop_front() {
            if let Some(transmit) = self.write_report(now, slot, buffer) {
                self.counters.count_report();
                return Some(transmit);
            }
        }
        None
    }

    /// True if [`Engine::poll_report`] has more to say.
    #[must_use]
    pub fn has_reports_due(&self) -> bool {
        !self.reports_due.is_empty()
    }

    /// Wall-clock time, as far as reports are concerned.
    pub(super) fn ntp_time(&self, now: Instant) -> NtpTime {
        let (at, ntp) = self.config.epoch;
        ntp.after(now.saturating_duration_since(at))
    }

    /// Queues the report of a flow, if it is time. The first comes at once, which RFC 3550 section
    /// 6.2 allows on unicast: until then the peer cannot know how late its packets are, nor play
    /// sound and picture together.
    pub(super) fn check_report(&mut self, now: Instant, slot: u16) {
        let room = self.reports_due.len() < self.table.slots_count();
        let Some(flow) = self.table.at_mut(slot) else {
            return;
        };
        let is_time = flow.report_at.is_none_or(|at| now >= at);
        if is_time && room && !flow.report_is_due && flow.is_alive() {
            flow.report_is_due = true;
            self.reports_due.push_back(slot);
        }
    }

    fn write_report(&mut self, now: Instant, slot: u16, buffer: &mut [u8]) -> Option<Transmit> {
        let flow = self.table.at(slot).filter(|flow| flow.report_is_due)?;
        let ntp = self.ntp_time(now);
        let times = MEDIA.map(|media| self.media_time(now, ntp, flow, media));
        let own_ssrc = self.own_ssrc(flow.id);
        let interval = interval(flow.medium(Media::Video).is_alive(), self.next_random());
        let flow = self.table.at_mut(slot)?;
        flow.report_at = Some(now + interval);
        flow.report_is_due = false;
        let (length, asks) = compose(flow, own_ssrc, (now, ntp), times, buffer)?;
        let sent = flow.protect(self.clock.moment(now), buffer, length, MediaProtocol::Rtcp);
        // Without keys, or without a destination: the next one may go.
        let (length, socket, to) = sent.ok()?;
        if let Some(key_frames) = flow.key_frames_mut().filter(|_| asks) {
            key_frames.asked(now);
        }
        Some(Transmit::new(socket, to, length))
    }

    /// The media time of the stream that `flow`'s peer gets, now: where its source says that it is,
    /// in the timestamps that we send; as long as it says nothing, or nothing that can be true,
    /// where its packets are.
    fn media_time(&self, now: Instant, ntp: NtpTime, flow: &Flow, media: Media) -> u32 {
        let medium = flow.medium(media);
        let by_packets = medium.sending.media_time(now);
        let clock_hz = medium.sending.clock_hz();
        let by_source = || {
            let sender = self.table.get(medium.sender?)?;
            let source = sender.medium(media);
            source.known_route().filter(|route| route.to == flow.id)?;
            let clock = source.reception.source_clock()?;
            let offset = source.rewrite.timestamp_offset(source.reception.ssrc?)?;
            let elapsed = sender.peer_clock.at(ntp)?.minus(clock.ntp);
            let elapsed = (i128::from(elapsed) * i128::from(clock_hz)) >> 32;
            let elapsed = u32::try_from(elapsed & i128::from(u32::MAX)).ok()?;
            Some(clock.timestamp.wrapping_add(offset).wrapping_add(elapsed))
        };
        let is_possible = |time: &u32| {
            let deviation = time.wrapping_sub(by_packets).cast_signed().unsigned_abs();
            u64::from(deviation) <= MEDIA_TIME_DEVIATION_MAX.as_secs() * u64::from(clock_hz)
        };
        by_source().filter(is_possible).unwrap_or(by_packets)
    }

    /// The next of a sequence that begins with the seed (xorshift64).
    pub(super) fn next_random(&mut self) -> u64 {
        let mut state = self.random;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random = state;
        state
    }
}

/// RFC 3550 section 6.3.1: half to one and a half of the mean, so that the reports of many flows
/// do not come at once, divided by e - 3/2.
fn interval(has_video: bool, random: u64) -> Duration {
    let mean = if has_video {
        REPORT_INTERVAL_VIDEO
    } else {
        REPORT_INTERVAL
    };
    let thousandths = u32::try_from(500 + random % 1001).unwrap_or(1000);
    mean * thousandths / 1218
}

/// Writes the compound: reports, then the name, and a request for a key frame if one is wanted: true
/// then.
fn compose(
    flow: &mut Flow,
    own_ssrc: u32,
    (now, ntp): (Instant, NtpTime),
    times: [u32; 2],
    buffer: &mut [u8],
) -> Option<(usize, bool)> {
    let takes = flow.key_frame_feedback();
    let source = flow.medium(Media::Video).reception.ssrc;
    let mut blocks = [None; 2];
    let mut streams = [None; 2];
    for ((medium, time), (block, stream)) in flow
        .media_mut()
        .zip(times)
        .zip(blocks.iter_mut().zip(&mut streams))
    {
        *block = medium.reception.report(ntp);
        *stream = medium.sending.report(ntp, time);
    }
    let mut names = streams.map(|stream| stream.map(|(ssrc, _)| ssrc));
    let mut writer = CompoundWriter::new(buffer);
    if names == [None; 2] {
        writer.receiver_report(own_ssrc, &blocks);
        names = [Some(own_ssrc), None];
    } else {
        let mut blocks = blocks.as_slice();
        for (ssrc, info) in streams.iter().flatten() {
            writer.sender_report(*ssrc, info, blocks);
            // Each source is reported on once.
            blocks = &[];
        }
    }
    writer.canonical_name(&names, flow.cname.as_bytes());
    let asks = takes.zip(flow.key_frames_mut());
    let asks = asks.is_some_and(|(takes, key_frames)| {
        key_frames.write(now, takes, (own_ssrc, source), &mut writer)
    });
    Some((writer.length()?, asks))
}

#[cfg(test)]
mod tests;
