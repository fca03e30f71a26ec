//! Where trunks are: who may speak for them, where connections to them go, and what follows when
//! they move.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use super::Trunks;
use super::dns::{Answer, Question};
use super::hop::Hop;
use super::sites::Moves;
use crate::config::TrunkConfig;
use crate::engine::input::Peer;
use crate::sip::Transport;

impl Trunks {
    /// The trunk that the sender of a message belongs to. Nobody else may make requests on the
    /// trunk side.
    #[must_use]
    pub fn of_peer(&self, peer: Peer) -> Option<usize> {
        (0..self.config.trunks.len()).find(|trunk| self.is_source(*trunk, peer))
    }

    /// Is this peer one of the trunk's addresses? What a trunk sends over TLS, nobody may send in
    /// its name without.
    #[must_use]
    pub fn is_source(&self, trunk: usize, peer: Peer) -> bool {
        self.comes_from(trunk, peer, |ip| self.sites.is_source(trunk, ip))
    }

    /// The same, or an address that it had before it moved: calls under way go on there.
    #[must_use]
    pub fn is_or_was_source(&self, trunk: usize, peer: Peer) -> bool {
        self.comes_from(trunk, peer, |ip| {
            let mut former = self.sites.former(trunk);
            self.sites.is_source(trunk, ip) || former.any(|hop| hop.address.ip() == ip)
        })
    }

    /// Does this peer belong to a trunk, or did it once?
    #[must_use]
    pub fn knows(&self, peer: Peer) -> bool {
        (0..self.config.trunks.len()).any(|trunk| self.is_or_was_source(trunk, peer))
    }

    /// The trunk that a connection can be opened to, and the name that its certificate must have
    /// (RFC 5922 section 7.3).
    #[must_use]
    pub fn server_of(&self, peer: Peer) -> Option<(usize, String)> {
        self.config
            .trunks
            .iter()
            .enumerate()
            .find_map(|(index, trunk)| {
                let hops = self.sites.all_hops(index);
                let mut hops = hops.chain(self.sites.former(index));
                let hop = hops.find(|hop| is_at(trunk, hop, peer))?;
                Some((index, hop.certificate_name(&trunk.domain)))
            })
    }

    /// How a trunk is spoken to: as configured, or as its domain chose.
    #[must_use]
    pub fn transport(&self, trunk: usize) -> Transport {
        let config = self.config.trunks.get(trunk);
        let configured = config.map_or(Transport::Udp, |trunk| trunk.transport);
        if config.is_none_or(|trunk| !trunk.transport_by_dns) {
            return configured;
        }
        let first = self.sites.all_hops(trunk).next();
        first.map_or(configured, |hop| hop.transport)
    }

    /// All addresses that trunks have, or had and may still use.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<IpAddr> {
        self.sites.sources()
    }

    /// When [`Trunks::due_questions`] wants to be called.
    #[must_use]
    pub fn poll_questions(&self) -> Option<Instant> {
        self.sites.poll_timeout()
    }

    /// What the DNS is to be asked now. Each question is answered once.
    pub fn due_questions(&mut self, now: Instant) -> Vec<Question> {
        self.sites.due(now)
    }

    /// The DNS has answered. Returns what has changed.
    pub fn resolved(&mut self, now: Instant, question: &Question, answer: Answer) -> Moves {
        let moves = self.sites.answered(now, question, answer);
        self.follow(now);
        moves
    }

    /// True while it is not known yet whether a trunk can be found: the DNS was asked first now.
    #[must_use]
    pub fn is_unknown(&self, trunk: usize) -> bool {
        self.sites.is_unknown(trunk)
    }

    /// Does this peer speak TCP only for requests that are too large for a datagram?
    #[must_use]
    pub fn is_for_large(&self, peer: Peer) -> bool {
        self.server_of(peer).is_some()
            && (0..self.config.trunks.len()).all(|trunk| !self.leads_to(trunk, peer))
    }

    /// The way to a trunk that leads to this peer, be it the other one for large requests.
    pub(super) fn way_to(&self, trunk: usize, peer: Peer) -> Option<Peer> {
        let config = self.config.trunks.get(trunk)?;
        let mut hops = self.sites.all_hops(trunk);
        hops.find(|hop| is_at(config, hop, peer)).map(Hop::peer)
    }

    /// Is this one of the ways to a trunk?
    #[must_use]
    pub fn leads_to(&self, trunk: usize, peer: Peer) -> bool {
        self.sites.all_hops(trunk).any(|hop| hop.peer() == peer)
    }

    /// May the account of a trunk be used there? One for the calls of a trunk whose calls have a
    /// route of their own is told nobody else.
    #[must_use]
    pub fn has_account_at(&self, trunk: usize, peer: Peer) -> bool {
        let Some(config) = self.config.trunks.get(trunk) else {
            return false;
        };
        let Some(account) = &config.account else {
            return false;
        };
        let mut hops = self.sites.hops_of_calls(trunk).iter();
        config.call_route.is_none()
            || account.register_expires.is_some()
            || hops.any(|hop| is_at(config, hop, peer) || is_connection_from(hop, peer))
    }

    /// What is known of addresses that stay is kept; new ones are up, and asked at once if they are
    /// to be asked whether they live.
    pub(super) fn follow(&mut self, now: Instant) {
        let mut current = BTreeSet::new();
        for (index, trunk) in self.config.trunks.iter().enumerate() {
            for hop in self.sites.all_hops(index) {
                let key = (index, hop.peer());
                current.insert(key);
                if trunk.probe.is_some() {
                    self.probes.entry(key).or_insert(now);
                }
            }
        }
        self.health.retain(|key, _| current.contains(key));
        self.probes.retain(|key, _| current.contains(key));
    }

    fn comes_from(&self, trunk: usize, peer: Peer, is_known: impl Fn(IpAddr) -> bool) -> bool {
        let Some((transport, address)) = peer.on_trunk_side() else {
            return false;
        };
        let secure = transport == Transport::Tls || self.transport(trunk) != Transport::Tls;
        secure && is_known(address.ip().to_canonical())
    }
}

/// Is this a connection that was opened from there?
fn is_connection_from(hop: &Hop, peer: Peer) -> bool {
    let address = peer.on_trunk_side().map(|(_, address)| address.ip());
    peer.is_stream() && address.is_some_and(|ip| ip.to_canonical() == hop.address.ip())
}

/// Does a peer stand for this hop: itself, or over TCP for requests that are too large for a
/// datagram?
fn is_at(trunk: &TrunkConfig, hop: &Hop, peer: Peer) -> bool {
    let may_be_large = trunk.tcp_for_large && hop.transport == Transport::Udp;
    hop.peer() == peer || (may_be_large && Peer::Tcp(hop.address) == peer)
}
