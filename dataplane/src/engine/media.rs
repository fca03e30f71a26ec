//! RTP through a worker: in from one flow, out on another (or on the same: an echo).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::flow::{Flow, MEDIA, MediaProtocol};
use super::numbering::Arrival;
use super::peer::Kind;
use super::rewrite::Numbers;
use super::verdict::{DropReason, PeerChange, Transmit, Verdict};
use crate::link::{Event, FlowId, Media};
use crate::wire::rtp::{RtpHeader, rewrite};

/// An RTP packet that is ready to leave, but for protection.
struct Departure {
    to: FlowId,
    media: Media,
    length: usize,
    ssrc: u32,
    numbers: Numbers,
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
        let Some(departure) = self.receive_rtp(now, slot, source, buffer, length)? else {
            return Ok(Verdict::Consumed);
        };
        let sent = self.send_rtp(now, &departure, buffer);
        if sent.is_err()
            && let Some(flow) = self.table.at_mut(slot)
        {
            let medium = flow.medium_mut(departure.media);
            medium.rewrite.withdraw(&departure.numbers);
        }
        sent
    }

    /// Protects the packet at the start of the buffer for the peer that it goes to.
    fn send_rtp(
        &mut self,
        now: Instant,
        departure: &Departure,
        buffer: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let flow = self
            .table
            .get_mut(departure.to)
            .ok_or(DropReason::NoDestination)?;
        let (length, socket, to) = flow.protect(
            self.clock.moment(now),
            buffer,
            departure.length,
            MediaProtocol::Rtp,
        )?;
        let Departure { ssrc, numbers, .. } = departure;
        let sending = &mut flow.medium_mut(departure.media).sending;
        sending.count(now, *ssrc, numbers, departure.payload_bytes);
        Ok(Verdict::Forward(Transmit {
            socket,
            to,
            length,
            is_video: departure.media == Media::Video,
        }))
    }

    /// Proves the packet, takes it into the flow's account, and rewrites it for where it goes;
    /// `None` if it goes nowhere, as it is a digit for control.
    fn receive_rtp(
        &mut self,
        now: Instant,
        slot: u16,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Option<Departure>, DropReason> {
        let flow = self.table.at_mut(slot).ok_or(DropReason::UnknownSource)?;
        check_source(flow, source, MediaProtocol::Rtp, &mut self.events)?;
        let packet = buffer.get_mut(..length).ok_or(DropReason::Truncated)?;
        let length = flow.unprotect(packet, MediaProtocol::Rtp)?;
        let packet = packet.get_mut(..length).ok_or(DropReason::RtpMalformed)?;
        let header = RtpHeader::parse(packet).ok_or(DropReason::RtpMalformed)?;
        self.peer_changes
            .extend(learn_source(flow, source, MediaProtocol::Rtp));
        self.events.extend(flow.follow(self.clock, now, source));
        flow.heard(now);
        if !flow.media_started {
            flow.media_started = true;
            self.events.push_back(Event::MediaStarted { flow: flow.id });
        }
        let (media, outgoing_type) = match find_medium(flow, header.payload_type) {
            Ok(found) => found,
            Err(_) if ends_digits(flow, header.payload_type) => {
                self.hear_digit(now, slot, &header, packet);
                return Ok(None);
            }
            Err(reason) => return Err(reason),
        };
        let since_open = now.saturating_duration_since(flow.opened_at);
        let medium = flow.medium_mut(media);
        let arrival = medium.take(&header, since_open);
        let Some(route) = medium.open_route() else {
            return Err(medium.withhold(arrival));
        };
        let (to, ssrc, clock_hz) = (route.to, route.outgoing_ssrc, route.clock_hz);
        let numbers = medium
            .rewrite
            .apply(now, &header, arrival, clock_hz)
            .ok_or_else(|| stays_behind(arrival))?;
        let (sequence, timestamp) = (numbers.sequence, numbers.timestamp);
        let length = header.strip_extension(packet);
        rewrite(packet, outgoing_type, sequence, timestamp, ssrc)
            .ok_or(DropReason::RtpMalformed)?;
        Ok(Some(Departure {
            to,
            media,
            length,
            ssrc,
            numbers,
            payload_bytes: header.payload_bytes,
        }))
    }
}

/// The medium that a payload type belongs to, and what becomes of the type.
fn find_medium(flow: &Flow, payload_type: u8) -> Result<(Media, u8), DropReason> {
    let has = |media: &Media| {
        let route = flow.medium(*media).known_route()?;
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

fn stays_behind(arrival: Arrival) -> DropReason {
    match arrival {
        Arrival::Stray => DropReason::StraySequence,
        Arrival::Begins
        | Arrival::Restarts
        | Arrival::Ahead(_)
        | Arrival::Late(_)
        | Arrival::Repeated => DropReason::Replayed,
    }
}

/// True for the telephone-events of audio that goes on without them.
fn ends_digits(flow: &Flow, payload_type: u8) -> bool {
    let route = flow.audio.route();
    route.is_some_and(|route| route.payload_types.ends(payload_type))
}

/// Trunk flows: only from the signalled IP address or a network of the policy, and from the learned
/// port. Browser flows are found by their validated address in the first place, and proven by SRTP.
/// `events` hears once of media that comes from elsewhere.
pub(super) fn check_source(
    flow: &mut Flow,
    source: SocketAddr,
    protocol: MediaProtocol,
    events: &mut VecDeque<Event>,
) -> Result<(), DropReason> {
    let Kind::Trunk(trunk) = &mut flow.kind else {
        return Ok(());
    };
    if trunk.accepts(source, protocol) {
        return Ok(());
    }
    if let Some(signalled) = trunk.refuse(source, protocol) {
        events.push_back(Event::MediaRefused {
            flow: flow.id,
            source,
            signalled,
        });
    }
    Err(DropReason::UnknownSource)
}

/// Returns what the shell may connect: see [`PeerChange`].
pub(super) fn learn_source(
    flow: &mut Flow,
    source: SocketAddr,
    protocol: MediaProtocol,
) -> Option<PeerChange> {
    let Kind::Trunk(trunk) = &mut flow.kind else {
        return None;
    };
    trunk.learn(source, protocol).then_some(PeerChange {
        socket: protocol.trunk_socket(flow.id.slot),
        peer: Some(source),
    })
}
