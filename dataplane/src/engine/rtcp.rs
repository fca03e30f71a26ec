//! RTCP that arrives: reports end here and are taken into the flow's account; feedback and
//! goodbyes go on to the leg that they concern.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::feedback::{OutgoingStream, ReportedStream, Subject, Translation};
use super::flow::{Flow, MEDIA, MediaProtocol};
use super::media::{check_source, learn_source};
use super::reception::SourceClock;
use super::verdict::{DropReason, Transmit, Verdict};
use crate::limits::REPORT_BYTES_MAX;
use crate::link::{FlowId, Media};
use crate::wire::ntp::NtpTime;
use crate::wire::read_u32;
use crate::wire::rtcp::{
    CompoundWriter, RECEIVER_REPORT, RtcpHeader, SENDER_REPORT, SenderInfo, is_compound,
    report_blocks,
};

impl Engine {
    /// A compound may speak of both media of a flow. What is feedback in it goes to the flow at
    /// the other end of the stream that the first message is about; what concerns a third flow is
    /// taken out.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, DropReason> {
        let ntp = self.ntp_time(now);
        let flow = self.table.at_mut(slot).ok_or(DropReason::UnknownSource)?;
        check_source(flow, source, MediaProtocol::Rtcp, &mut self.events)?;
        let packet = buffer.get_mut(..length).ok_or(DropReason::Truncated)?;
        let length = flow.unprotect(packet, MediaProtocol::Rtcp)?;
        let compound = packet.get_mut(..length).ok_or(DropReason::RtcpMalformed)?;
        if !is_compound(compound) {
            return Err(DropReason::RtcpMalformed);
        }
        self.peer_changes
            .extend(learn_source(flow, source, MediaProtocol::Rtcp));
        self.events.extend(flow.follow(self.clock, now, source));
        flow.heard(now);
        let from = flow.id;
        let has_report = take_reports(flow, ntp, compound);
        let to = self.concerned_flow(from, compound);
        let translation = to.and_then(|to| self.translation(now, from, to));
        let translated = translation.unwrap_or_default().translate(compound);
        self.counters
            .count_dropped_feedback(translated.dropped_messages);
        let asks = translated.asks_for_key_frame;
        if let Some(to) = to.filter(|_| asks) {
            self.pass_key_frame_request(now, to);
        }
        match to {
            Some(to) if translated.length > 0 => {
                self.send_feedback(now, to, buffer, translated.length)
            }
            Some(_) | None if has_report || asks => Ok(Verdict::Consumed),
            Some(_) | None => Err(DropReason::RtcpNotForwarded),
        }
    }

    /// Sends messages that lie at the start of the buffer, behind an empty receiver report and our
    /// name: what every compound must begin with (RFC 4585 section 3.1).
    fn send_feedback(
        &mut self,
        now: Instant,
        to: FlowId,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, DropReason> {
        let own_ssrc = self.own_ssrc(to);
        let flow = self.table.get_mut(to).ok_or(DropReason::NoDestination)?;
        let mut head = [0; REPORT_BYTES_MAX];
        let mut writer = CompoundWriter::new(&mut head);
        writer.receiver_report(own_ssrc, &[]);
        writer.canonical_name(&[Some(own_ssrc)], flow.cname.as_bytes());
        let head_bytes = writer.length().ok_or(DropReason::RtcpNotForwarded)?;
        let total = head_bytes + length;
        if total > buffer.len() {
            return Err(DropReason::RtcpNotForwarded);
        }
        buffer.copy_within(..length, head_bytes);
        if let (Some(place), Some(head)) = (buffer.get_mut(..head_bytes), head.get(..head_bytes)) {
            place.copy_from_slice(head);
        }
        let (length, socket, to) =
            flow.protect(self.clock.moment(now), buffer, total, MediaProtocol::Rtcp)?;
        Ok(Verdict::Forward(Transmit::new(socket, to, length)))
    }

    /// The flow at the other end of the first stream that a message of the compound is about.
    fn concerned_flow(&self, from: FlowId, compound: &[u8]) -> Option<FlowId> {
        let flow = self.table.get(from)?;
        packets(compound).find_map(|(header, packet)| match Subject::of(&header, packet)? {
            Subject::Receiver(ssrc) => MEDIA.iter().find_map(|media| {
                let medium = flow.medium(*media);
                let is_subject = medium.reception.ssrc == Some(ssrc);
                medium.route().filter(|_| is_subject).map(|route| route.to)
            }),
            Subject::Sender(ssrc) => MEDIA.iter().find_map(|media| {
                let (sender, stream) = self.reported_stream(flow, *media)?;
                (stream.seen_ssrc == ssrc).then_some(sender)
            }),
        })
    }

    /// One that was translated leaves now, or is asked for again when it may.
    fn pass_key_frame_request(&mut self, now: Instant, to: FlowId) {
        match self.table.get_mut(to).and_then(Flow::key_frames_mut) {
            Some(key_frames) if key_frames.may_ask(now) => key_frames.asked(now),
            Some(_) | None => self.want_key_frame(now, to),
        }
    }

    fn translation(&self, now: Instant, from: FlowId, to: FlowId) -> Option<Translation> {
        let flow = self.table.get(from)?;
        let withholds_key_frames = !self.table.get(to)?.key_frames().may_ask(now);
        let outgoing = MEDIA.map(|media| outgoing_stream(flow, media, to));
        let reported = MEDIA.map(|media| {
            self.reported_stream(flow, media)
                .filter(|(sender, _)| *sender == to)
                .map(|(_, stream)| stream)
        });
        Some(Translation {
            outgoing,
            reported,
            own_ssrc: self.own_ssrc(to),
            withholds_key_frames,
        })
    }

    /// The stream of a medium that `flow`'s peer receives, and the flow it comes from.
    fn reported_stream(&self, flow: &Flow, media: Media) -> Option<(FlowId, ReportedStream)> {
        let sender = flow.medium(media).sender?;
        let medium = self.table.get(sender)?.medium(media);
        let route = medium.known_route().filter(|route| route.to == flow.id)?;
        let stream = ReportedStream {
            seen_ssrc: route.outgoing_ssrc,
            sender_ssrc: medium.reception.ssrc?,
            sequence_offset: medium.rewrite.sequence_offset(),
            takes: route.feedback,
        };
        Some((sender, stream))
    }

    /// Our name towards a flow's peer: that of a stream which it gets, if there is one.
    pub(super) fn own_ssrc(&self, flow: FlowId) -> u32 {
        let known = self.table.get(flow).and_then(Flow::sent_ssrc);
        // A constant: any value that is not a stream's.
        known.unwrap_or_else(|| {
            let mixed = (self.config.seed >> 32) ^ u64::from(flow.generation.rotate_left(16));
            (u32::try_from(mixed & u64::from(u32::MAX)).unwrap_or(0) ^ u32::from(flow.slot)) | 1
        })
    }
}

/// Takes in what the peer's reports say; true if there is one.
fn take_reports(flow: &mut Flow, now: NtpTime, compound: &[u8]) -> bool {
    let mut has_report = false;
    for (header, packet) in packets(compound) {
        if !matches!(header.kind, SENDER_REPORT | RECEIVER_REPORT) {
            continue;
        }
        has_report = true;
        if header.kind == SENDER_REPORT {
            take_sender_info(flow, now, packet);
        }
        for block in report_blocks(&header, packet) {
            for medium in flow.media_mut() {
                medium.sending.note_report(now, &block);
            }
        }
    }
    has_report
}

fn take_sender_info(flow: &mut Flow, now: NtpTime, report: &[u8]) {
    let Some((ssrc, info)) = read_u32(report, 4).zip(SenderInfo::parse(report)) else {
        return;
    };
    let clock = SourceClock {
        ntp: info.ntp,
        timestamp: info.timestamp,
        arrived: now.middle(),
    };
    let mut is_known = false;
    for medium in flow.media_mut() {
        is_known |= medium.reception.note_sender_report(ssrc, clock);
    }
    if is_known {
        flow.peer_clock.follow(info.ntp, now);
    }
}

/// The packets of a compound, without their padding.
fn packets(compound: &[u8]) -> impl Iterator<Item = (RtcpHeader, &[u8])> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        let header = RtcpHeader::parse(rest)?;
        let packet = rest.get(..header.length - header.padding)?;
        rest = rest.get(header.length..)?;
        Some((header, packet))
    })
}

/// The stream of a medium that comes from `flow`'s peer, as the flow `to` knows it.
fn outgoing_stream(flow: &Flow, media: Media, to: FlowId) -> Option<OutgoingStream> {
    let medium = flow.medium(media);
    let route = medium.route().filter(|route| route.to == to)?;
    Some(OutgoingStream {
        incoming_ssrc: medium.reception.ssrc?,
        outgoing_ssrc: route.outgoing_ssrc,
    })
}
