//! What is on the other end of a flow, and from where and to where its packets go.
//!
//! What a packet needs of it fits, with the name of the flow, into one cache line; the rest is
//! behind a pointer.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::ice::IceAgent;
use super::moment::{Clock, Moment};
use crate::limits::{CONSENT_EXPIRES_AFTER, DTLS_DATAGRAMS_PER_SWEEP_MAX, PEER_MOVED_AFTER};
use crate::link::PeerAddresses;

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
    pub(super) rtp: TrunkPeer,
    /// Behind a pointer: a few packets a minute.
    pub(super) rtcp: Box<TrunkPeer>,
}

/// One address of a SIP peer: what it signalled, and what it really sends from (symmetric RTP,
/// RFC 4961).
#[derive(Clone, Copy, Default)]
pub(super) struct TrunkPeer {
    /// What was learned, else what was signalled: their IP addresses are the same.
    address: Option<SocketAddr>,
    signalled_port: u16,
    is_learned: bool,
}

impl TrunkPeer {
    fn new(signalled: SocketAddr) -> Self {
        Self {
            address: Some(signalled),
            signalled_port: signalled.port(),
            is_learned: false,
        }
    }

    /// May a packet from here be the peer's? The IP address must be the signalled one; once a port
    /// is learned only that port, or the one that was signalled.
    pub(super) fn accepts(&self, source: SocketAddr) -> bool {
        let Some(address) = self.address else {
            return false;
        };
        let port = source.port();
        address.ip().to_canonical() == source.ip().to_canonical()
            && (!self.is_learned || port == self.signalled_port || port == address.port())
    }

    /// A valid packet came from an accepted source. The first one pins the port; only the
    /// signalled port itself may still take its place, and then for good: true in that moment.
    pub(super) fn learn(&mut self, source: SocketAddr) -> bool {
        debug_assert!(self.accepts(source), "only an accepted source is learned");
        if self.is_learned && self.address == Some(source) {
            return false;
        }
        self.address = Some(source);
        self.is_learned = true;
        self.is_final()
    }

    /// The signalled address has proven itself: nobody else will be accepted.
    fn is_final(&self) -> bool {
        let port = self.address.map(|address| address.port());
        self.is_learned && port == Some(self.signalled_port)
    }

    /// Where to send: what was learned, else what was signalled.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.address
            .filter(|address| address.port() != 0 && is_host(address.ip()))
    }
}

/// False for 0.0.0.0 (an old way to say hold, and this very host to the kernel) and for groups.
fn is_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    !ip.is_unspecified() && !ip.is_multicast()
}

impl Trunk {
    /// Takes new signalled addresses; learning begins again. True when a former one was final.
    pub(super) fn set_peer(&mut self, peer: PeerAddresses) -> bool {
        let was_final = self.rtp.is_final() || self.rtcp.is_final();
        self.rtp = TrunkPeer::new(peer.rtp);
        *self.rtcp = TrunkPeer::new(peer.rtcp);
        was_final
    }
}
