//! RTP and RTCP through a worker: in from one flow, out on another (or on the same: an echo).

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::flow::{Flow, Kind, MEDIA, MediaProtocol};
use super::rtcp::{OutgoingStream, ReportedStream, Subject, Translation};
use super::verdict::{DropReason, PeerChange, SocketId, Transmit, Verdict};
use crate::link::{Event, FlowId, Media, Route};
use crate::wire::rtcp::is_compound;
use crate::wire::rtp::{RtpHeader, rewrite};

/// An RTP packet that is ready to leave, but for protection.
struct Departure {
    to: FlowId,
    media: Media,
    length: usize,
    payload_bytes: usize,
}

impl Engine {
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, DropReason> {
        let departure = self.receive_rtp(now, slot, source, buffer, length)?;
        let flow = self
            .table
            .get_mut(departure.to)
            .ok_or(DropReason::NoDestination)?;
        let (length, socket, to) =
            flow.protect(now, buffer, departure.length, MediaProtocol::Rtp)?;
        flow.medium_mut(departure.media)
            .count_sent(departure.payload_bytes);
        Ok(Verdict::Forward(Transmit { socket, to, length }))
    }

    /// Proves the packet, takes it into the flow's account, and rewrites it for where it goes.
    fn receive_rtp(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Departure, DropReason> {
        let flow = self.table.at_mut(slot).ok_or(DropReason::UnknownSource)?;
        check_source(flow, source, MediaProtocol::Rtp)?;
        let packet = buffer.get_mut(..length).ok_or(DropReason::Truncated)?;
        let length = flow.unprotect(packet, MediaProtocol::Rtp)?;
        let packet = packet.get_mut(..length).ok_or(DropReason::RtpMalformed)?;
        let header = RtpHeader::parse(packet).ok_or(DropReason::RtpMalformed)?;
        self.peer_changes
            .extend(learn_source(flow, source, MediaProtocol::Rtp));
        flow.heard(now);
        if !flow.media_started {
            flow.media_started = true;
            self.events.push_back(Event::MediaStarted { flow: flow.id });
        }
        let (media, outgoing_type) = find_medium(flow, header.payload_type)?;
        let since_open = now.saturating_duration_since(flow.opened_at);
        let medium = flow.medium_mut(media);
        let clock_hz = medium.known_route().map_or(0, |route| route.clock_hz);
        medium.reception.observe(&header, since_open, clock_hz);
        let (to, ssrc) = medium
            .route()
            .map(|route| (route.to, route.outgoing_ssrc.0))
            .ok_or(DropReason::NoRoute)?;
        let (sequence, timestamp) = medium
            .rewrite
            .apply(now, &header, clock_hz)
            .ok_or(DropReason::Replayed)?;
        let length = header.strip_extension(packet);
        rewrite(packet, outgoing_type, sequence, timestamp, ssrc)
            .ok_or(DropReason::RtpMalformed)?;
        Ok(Departure {
            to,
            media,
            length,
            payload_bytes: header.payload_bytes,
        })
    }

    /// A compound may speak of both media of a flow. It goes, whole, to the flow at the other end
    /// of the stream that its first packet is about; what concerns a third flow is taken out.
    pub(super) fn handle_rtcp(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, DropReason> {
        let flow = self.table.at_mut(slot).ok_or(DropReason::UnknownSource)?;
        check_source(flow, source, MediaProtocol::Rtcp)?;
        let packet = buffer.get_mut(..length).ok_or(DropReason::Truncated)?;
        let length = flow.unprotect(packet, MediaProtocol::Rtcp)?;
        let packet = packet.get_mut(..length).ok_or(DropReason::RtcpMalformed)?;
        if !is_compound(packet) {
            return Err(DropReason::RtcpMalformed);
        }
        self.peer_changes
            .extend(learn_source(flow, source, MediaProtocol::Rtcp));
        flow.heard(now);
        let from = flow.id;
        let to = self
            .rtcp_target(from, Subject::of(packet))
            .ok_or(DropReason::NoRoute)?;
        let translation = self
            .translation(from, to)
            .ok_or(DropReason::NoDestination)?;
        let length = translation.translate(packet);
        if length == 0 {
            return Err(DropReason::RtcpNotForwarded);
        }
        let flow = self.table.get_mut(to).ok_or(DropReason::NoDestination)?;
        let (length, socket, to) = flow.protect(now, buffer, length, MediaProtocol::Rtcp)?;
        Ok(Verdict::Forward(Transmit { socket, to, length }))
    }

    /// The flow at the other end of the stream that a compound is about; when it is about none
    /// that we know, the other end of any.
    fn rtcp_target(&self, from: FlowId, subject: Subject) -> Option<FlowId> {
        let flow = self.table.get(from)?;
        let sent = MEDIA.iter().find_map(|media| {
            let medium = flow.medium(*media);
            let is_subject = subject.sender.is_some() && medium.reception.ssrc == subject.sender;
            medium.route().filter(|_| is_subject).map(|route| route.to)
        });
        let reported = || {
            MEDIA.iter().find_map(|media| {
                let (sender, stream) = self.reported_stream(flow, *media)?;
                (Some(stream.seen_ssrc) == subject.reported).then_some(sender)
            })
        };
        let any_route = || {
            MEDIA
                .iter()
                .find_map(|media| flow.medium(*media).route().map(|route| route.to))
        };
        let any_sender = || MEDIA.iter().find_map(|media| flow.medium(*media).sender);
        sent.or_else(reported)
            .or_else(any_route)
            .or_else(any_sender)
    }

    fn translation(&self, from: FlowId, to: FlowId) -> Option<Translation> {
        let flow = self.table.get(from)?;
        let outgoing = MEDIA.map(|media| outgoing_stream(flow, media, to));
        let reported = MEDIA.map(|media| {
            self.reported_stream(flow, media)
                .filter(|(sender, _)| *sender == to)
                .map(|(_, stream)| stream)
        });
        let any_route = MEDIA
            .iter()
            .filter_map(|media| flow.medium(*media).known_route())
            .find(|route| route.to == to);
        let own_ssrc = any_route.map_or_else(|| nameless_ssrc(from), |route| route.outgoing_ssrc.0);
        Some(Translation {
            outgoing,
            reported,
            own_ssrc,
            takes_feedback: self.table.get(to)?.is_browser(),
            seed: self.config.seed,
        })
    }

    /// The stream of a medium that `flow`'s peer receives, and the flow it comes from.
    fn reported_stream(&self, flow: &Flow, media: Media) -> Option<(FlowId, ReportedStream)> {
        let sender = flow.medium(media).sender?;
        let medium = self.table.get(sender)?.medium(media);
        let route = medium.known_route().filter(|route| route.to == flow.id)?;
        let stream = ReportedStream {
            seen_ssrc: route.outgoing_ssrc.0,
            sender_ssrc: medium.reception.ssrc?,
            sequence_offset: medium.rewrite.sequence_offset(),
        };
        Some((sender, stream))
    }
}

/// The stream of a medium that comes from `flow`'s peer, as the flow `to` knows it.
fn outgoing_stream(flow: &Flow, media: Media, to: FlowId) -> Option<OutgoingStream> {
    let medium = flow.medium(media);
    let route = medium.route().filter(|route| route.to == to)?;
    Some(OutgoingStream {
        incoming_ssrc: medium.reception.ssrc?,
        outgoing_ssrc: route.outgoing_ssrc.0,
        timestamp_offset: medium.rewrite.timestamp_offset(),
    })
}

/// A constant name for a peer that sends no media: any value that is not a stream's.
fn nameless_ssrc(flow: FlowId) -> u32 {
    (flow.generation.rotate_left(16) ^ u32::from(flow.slot)) | 1
}

/// The medium that a payload type belongs to, and what becomes of the type.
fn find_medium(flow: &Flow, payload_type: u8) -> Result<(Media, u8), DropReason> {
    let has = |media: &Media| {
        let route: &Route = flow.medium(*media).known_route()?;
        route
            .payload_types
            .get(payload_type)
            .map(|outgoing| (*media, outgoing))
    };
    MEDIA.iter().find_map(has).ok_or_else(|| {
        let is_routed = MEDIA
            .iter()
            .any(|media| flow.medium(*media).known_route().is_some());
        if is_routed {
            DropReason::UnknownPayloadType
        } else {
            DropReason::NoRoute
        }
    })
}

/// Trunk flows: only from the signalled IP address, and from the learned port. Browser flows are
/// found by their validated address in the first place, and proven by SRTP.
fn check_source(
    flow: &Flow,
    source: SocketAddr,
    protocol: MediaProtocol,
) -> Result<(), DropReason> {
    let Kind::Trunk(trunk) = &flow.kind else {
        return Ok(());
    };
    let peer = match protocol {
        MediaProtocol::Rtp => &trunk.rtp,
        MediaProtocol::Rtcp => &trunk.rtcp,
    };
    if peer.accepts(source) {
        Ok(())
    } else {
        Err(DropReason::UnknownSource)
    }
}

/// Returns what the shell may connect: see [`PeerChange`].
fn learn_source(
    flow: &mut Flow,
    source: SocketAddr,
    protocol: MediaProtocol,
) -> Option<PeerChange> {
    let slot = flow.id.slot;
    let Kind::Trunk(trunk) = &mut flow.kind else {
        return None;
    };
    let (socket, is_final) = match protocol {
        MediaProtocol::Rtp => (SocketId::TrunkRtp(slot), trunk.rtp.learn(source)),
        MediaProtocol::Rtcp => (SocketId::TrunkRtcp(slot), trunk.rtcp.learn(source)),
    };
    is_final.then_some(PeerChange {
        socket,
        peer: Some(source),
    })
}
