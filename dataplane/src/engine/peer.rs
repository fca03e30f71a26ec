//! What is on the other end of a flow, and from where and to where its packets go.
//!
//! What a packet needs of it fits, with the name of the flow, into one cache line; the rest is
//! behind a pointer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::flow::MediaProtocol;
use super::ice::IceAgent;
use super::moment::{Clock, Moment};
use crate::limits::{
    CONSENT_EXPIRES_AFTER, DTLS_DATAGRAMS_PER_SWEEP_MAX, PEER_MOVED_AFTER, REFUSED_PACKETS_TOLD_AT,
};
use crate::link::{PeerAddresses, PeerPolicy};

/// What is on the other end.
pub(super) enum Kind {
    Browser(Browser),
    Trunk(Trunk),
}

/// A WebRTC peer.
pub(super) struct Browser {
    /// What the agent says of the selected address: most packets go there and come from there.
    consent: Option<Consent>,
    agent: Box<Agent>,
}

/// What only checks, commands and sweeps touch.
struct Agent {
    ice: IceAgent,
    /// DTLS datagrams that may still be passed up until the next sweep.
    dtls_datagrams_left: u8,
}

/// The selected address, when it last sent an authentic check (RFC 7675), and when an authentic
/// packet of any kind.
#[derive(Clone, Copy)]
struct Consent {
    address: SocketAddr,
    checked_at: Moment,
    heard_at: Moment,
}

impl Browser {
    pub(super) fn new(ice: IceAgent) -> Self {
        Self {
            consent: None,
            agent: Box::new(Agent {
                ice,
                dtls_datagrams_left: DTLS_DATAGRAMS_PER_SWEEP_MAX,
            }),
        }
    }

    pub(super) fn ice(&self) -> &IceAgent {
        &self.agent.ice
    }

    /// Lets something change the agent.
    pub(super) fn change_ice<T>(
        &mut self,
        clock: Clock,
        change: impl FnOnce(&mut IceAgent) -> T,
    ) -> T {
        let outcome = change(&mut self.agent.ice);
        let before = self.consent;
        self.consent = self.agent.ice.chosen().map(|(address, checked_at)| {
            let checked_at = clock.moment(checked_at);
            // The later one of a check and what came before it.
            let heard_at = before
                .filter(|before| before.address == address && before.checked_at == checked_at)
                .map_or(checked_at, |before| before.heard_at);
            Consent {
                address,
                checked_at,
                heard_at,
            }
        });
        outcome
    }

    /// An authentic packet of media came from here. True if media goes there from now on: the
    /// browser has moved.
    pub(super) fn follow(&mut self, clock: Clock, now: Instant, source: SocketAddr) -> bool {
        let moment = clock.moment(now);
        if let Some(consent) = &mut self.consent
            && consent.address == source
        {
            consent.heard_at = moment;
            return false;
        }
        let is_silent = self
            .consent
            .is_none_or(|consent| moment.since(consent.heard_at) >= PEER_MOVED_AFTER);
        let has_moved = self.change_ice(clock, |ice| ice.prove(now, source, is_silent));
        if let Some(consent) = &mut self.consent
            && has_moved
        {
            consent.heard_at = moment;
        }
        has_moved
    }

    /// Where media goes: the selected address, as long as the peer consents.
    pub(super) fn destination(&self, now: Moment) -> Option<SocketAddr> {
        let consent = self.consent?;
        (now.since(consent.checked_at) < CONSENT_EXPIRES_AFTER).then_some(consent.address)
    }

    /// May a packet from here be the peer's?
    pub(super) fn accepts(&self, clock: Clock, now: Instant, source: SocketAddr) -> bool {
        self.destination(clock.moment(now)) == Some(source)
            || self.agent.ice.is_validated(now, source)
    }

    /// One more DTLS datagram is passed up; false when that would be too many.
    pub(super) fn take_dtls_datagram(&mut self) -> bool {
        let left = self.agent.dtls_datagrams_left.checked_sub(1);
        self.agent.dtls_datagrams_left = left.unwrap_or(0);
        left.is_some()
    }

    /// A new period for DTLS datagrams begins.
    pub(super) fn allow_dtls_datagrams(&mut self) {
        self.agent.dtls_datagrams_left = DTLS_DATAGRAMS_PER_SWEEP_MAX;
    }
}

/// A SIP peer: plain RTP and RTCP.
#[derive(Default)]
pub(super) struct Trunk {
    rtp: TrunkPeer,
    /// Behind a pointer: needed for a few packets a minute, and where RTP is not symmetric.
    details: Box<TrunkDetails>,
}

#[derive(Default)]
struct TrunkDetails {
    rtcp: TrunkPeer,
    /// `None` before the peer has said anything.
    signalled: Option<PeerAddresses>,
    policy: PeerPolicy,
    /// Packets from an address that is none of the peer's, counted until control is told.
    refused_packets: u8,
}

/// What is known of one of the two ports of a SIP peer.
#[derive(Clone, Copy, Default)]
struct TrunkPeer {
    /// Where its packets really come from.
    learned: Option<SocketAddr>,
    /// Packets go there too (symmetric RTP, RFC 4961), not where it said.
    is_symmetric: bool,
}

impl Trunk {
    /// Takes new signalled addresses; learning begins again. True when a former one was final.
    pub(super) fn set_peer(&mut self, peer: PeerAddresses, policy: PeerPolicy) -> bool {
        let was_final = [MediaProtocol::Rtp, MediaProtocol::Rtcp]
            .iter()
            .any(|protocol| self.is_final(*protocol));
        self.rtp = TrunkPeer::default();
        self.details.rtcp = TrunkPeer::default();
        self.details.signalled = Some(peer);
        self.details.policy = policy;
        was_final
    }

    /// May a packet from here be the peer's? The IP address must be the signalled one, or be in a
    /// network of the policy; once an address is learned only that one, or the signalled one.
    pub(super) fn accepts(&self, source: SocketAddr, protocol: MediaProtocol) -> bool {
        let learned = self.peer(protocol).learned;
        learned == Some(source) || self.could_learn(source, protocol)
    }

    fn could_learn(&self, source: SocketAddr, protocol: MediaProtocol) -> bool {
        let Some(signalled) = self.details.signalled(protocol) else {
            return false;
        };
        is_same(signalled, source)
            || (self.peer(protocol).learned.is_none()
                && self.details.is_allowed(signalled.ip(), source.ip()))
    }

    /// A valid packet came from an accepted source. The first one pins the address; only the
    /// signalled one itself may still take its place, and then for good: true in that moment.
    pub(super) fn learn(&mut self, source: SocketAddr, protocol: MediaProtocol) -> bool {
        debug_assert!(
            self.accepts(source, protocol),
            "only an accepted source is learned"
        );
        if self.peer(protocol).learned == Some(source) {
            return false;
        }
        let is_symmetric = !self.details.policy.asymmetric;
        let peer = match protocol {
            MediaProtocol::Rtp => &mut self.rtp,
            MediaProtocol::Rtcp => &mut self.details.rtcp,
        };
        peer.learned = Some(source);
        peer.is_symmetric = is_symmetric;
        self.is_final(protocol)
    }

    /// A packet from here is none of the peer's. Returns the signalled address when it is time to
    /// tell control: its IP address is a stranger's, and several came.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        source: SocketAddr,
        protocol: MediaProtocol,
    ) -> Option<SocketAddr> {
        let signalled = self.details.signalled(protocol)?;
        let details = &mut self.details;
        if details.is_allowed(signalled.ip(), source.ip())
            || details.refused_packets >= REFUSED_PACKETS_TOLD_AT
        {
            return None;
        }
        details.refused_packets += 1;
        (details.refused_packets == REFUSED_PACKETS_TOLD_AT).then_some(signalled)
    }

    /// Where to send: what was learned, else what was signalled.
    pub(super) fn destination(&self, protocol: MediaProtocol) -> Option<SocketAddr> {
        let peer = self.peer(protocol);
        if peer.is_symmetric {
            return peer.learned;
        }
        self.details
            .signalled(protocol)
            .filter(|address| address.port() != 0 && is_host(address.ip()))
    }

    /// The signalled address has proven itself: nobody else will be accepted.
    fn is_final(&self, protocol: MediaProtocol) -> bool {
        let both = (self.peer(protocol).learned).zip(self.details.signalled(protocol));
        both.is_some_and(|(learned, signalled)| is_same(learned, signalled))
    }

    fn peer(&self, protocol: MediaProtocol) -> &TrunkPeer {
        match protocol {
            MediaProtocol::Rtp => &self.rtp,
            MediaProtocol::Rtcp => &self.details.rtcp,
        }
    }
}

impl TrunkDetails {
    fn signalled(&self, protocol: MediaProtocol) -> Option<SocketAddr> {
        let signalled = self.signalled.as_ref()?;
        Some(match protocol {
            MediaProtocol::Rtp => signalled.rtp,
            MediaProtocol::Rtcp => signalled.rtcp,
        })
    }

    /// The networks are for a peer that is somewhere: one that said 0.0.0.0 sends nothing.
    fn is_allowed(&self, signalled: IpAddr, source: IpAddr) -> bool {
        let source = source.to_canonical();
        signalled.to_canonical() == source
            || (is_host(signalled) && self.policy.networks.iter().any(|net| net.contains(&source)))
    }
}

fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// False for 0.0.0.0 (an old way to say hold, and this very host to the kernel) and for groups.
fn is_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    !ip.is_unspecified() && !ip.is_multicast()
}
