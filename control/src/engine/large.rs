//! Requests that are too large for a datagram (RFC 3261 section 18.1.1): over TCP where the trunk
//! allows it and the carrier takes it; over UDP all the same where not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::context::Context;
use super::input::Peer;
use super::output::LogLine;
use crate::limits::{LARGE_CONNECT_WITHIN, NO_TCP_FOR, STREAMS_MAX};
use crate::sip::limits::DATAGRAM_REQUEST_BYTES_MAX;
use crate::sip::transaction::Way;

/// Which addresses take TCP for requests that are too large for a datagram.
#[derive(Debug, Default)]
pub(crate) struct LargeRequests {
    /// Connections that are being opened, and until when large requests wait for them.
    opening: BTreeMap<Peer, Instant>,
    /// Those that could not be opened, and until when none is tried again. Each has been a target
    /// of a trunk.
    refused: BTreeMap<Peer, Instant>,
    /// Trunks, by index, that the operator has been warned of.
    warned: BTreeSet<usize>,
}

impl LargeRequests {
    /// When [`Context::give_up_connecting`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.opening.values().min().copied()
    }

    /// A connection is being opened.
    pub(super) fn connecting(&mut self, now: Instant, peer: Peer) {
        if matches!(peer, Peer::Tcp(_)) {
            self.opening.insert(peer, now + LARGE_CONNECT_WITHIN);
        }
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, peer: Peer) {
        self.opening.remove(&peer);
        self.refused.remove(&peer);
    }
}

impl Context {
    /// The way of a request to a target of a trunk if it is too large for a datagram; `None` if
    /// there is no other way.
    pub(super) fn way_if_large(&self, now: Instant, trunk: usize, peer: Peer) -> Option<Way> {
        let Peer::Udp(address) = peer else {
            return None;
        };
        let trunk = self.config.trunks.get(trunk)?;
        let peer = Peer::Tcp(address);
        let is_refused = self.large.refused.get(&peer).is_some_and(|at| *at > now);
        let has_room = self.streams.len() < STREAMS_MAX || self.streams.contains(&peer);
        (trunk.tcp_for_large && !is_refused && has_room).then(|| Way {
            peer,
            via: self.via(peer),
        })
    }

    /// Warns once for each trunk whose requests leave in datagrams for which they are too large.
    pub(super) fn note_size(&mut self, peer: Peer, message: &[u8]) {
        let is_large = message.len() > DATAGRAM_REQUEST_BYTES_MAX && matches!(peer, Peer::Udp(_));
        if !is_large || message.starts_with(b"SIP/") {
            return;
        }
        let Some(index) = self.trunks.of_peer(peer) else {
            return;
        };
        let trunk = self.config.trunks.get(index);
        if let Some(trunk) = trunk.filter(|trunk| !trunk.tcp_for_large)
            && self.large.warned.insert(index)
        {
            let warning = format!(
                "trunk `{}`: requests of more than {DATAGRAM_REQUEST_BYTES_MAX} bytes leave in \
                 datagrams, whose fragments may get lost; if the carrier takes TCP, say \
                 `tcp_for_large = true`",
                trunk.name
            );
            self.log(LogLine::Warning(warning));
        }
    }

    /// A connection is gone, or could not be opened. "If the attempt to establish the connection
    /// generates either an ICMP Protocol Not Supported, or results in a TCP reset, the element
    /// SHOULD retry the request, using UDP" (RFC 3261 section 18.1.1).
    pub(super) fn no_connection(&mut self, now: Instant, peer: Peer) {
        if self.large.opening.remove(&peer).is_some() && self.trunks.is_for_large(peer) {
            self.large.refused.retain(|_, at| *at > now);
            self.large.refused.insert(peer, now + NO_TCP_FOR);
            let warning = "no TCP: requests that are too large for a datagram leave in one";
            self.log(LogLine::Warning(format!("{peer:?}: {warning}")));
        }
    }

    /// Large requests have waited long enough for connections.
    pub(super) fn give_up_connecting(&mut self, now: Instant) {
        let opening = self.large.opening.iter();
        let late: Vec<Peer> = opening
            .filter(|(_, at)| **at <= now)
            .map(|(p, _)| *p)
            .collect();
        for peer in late {
            self.no_connection(now, peer);
            self.transactions.fall_back(now, peer);
        }
    }
}
