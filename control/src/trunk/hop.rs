//! One address of a trunk.

use std::net::SocketAddr;

use super::select::{self, Rank};
use crate::config::HostPort;
use crate::engine::input::Peer;
use crate::sip::Transport;

/// One address that requests to a trunk can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// How it is spoken to.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
    /// The target of the configuration that it is an address of.
    pub place: HostPort,
    /// The rank of that target.
    pub rank: Rank,
    /// The host and port of the SRV record that it was found by; `None` without SRV.
    pub server: Option<String>,
    /// The rank of that record among those of the target.
    pub server_rank: Rank,
}

impl Hop {
    /// Whom messages are exchanged with.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        Peer::of_trunk(self.transport, self.address)
    }

    /// The name that its certificate must have: that of the target as configured, whatever SRV
    /// records lead to it (RFC 5922 section 7.1); or, where that is an address, the trunk's domain.
    #[must_use]
    pub fn certificate_name(&self, domain: &str) -> String {
        match self.place.literal() {
            Some(_) => domain.to_owned(),
            None => self.place.host.trim_end_matches('.').to_owned(),
        }
    }
}

/// Orders hops: by target, then by SRV record (RFC 2782), then addresses of one host as equals.
/// `hop_of` tells the hop of an item.
pub(super) fn order<T>(items: &mut [T], key: &str, hop_of: impl Fn(&T) -> &Hop) {
    let equal = Rank {
        priority: 0,
        weight: 0,
    };
    // Sorting is stable: what is more important comes last.
    select::order(
        items,
        key,
        |_| equal,
        |item| hop_of(item).address.to_string(),
    );
    let server = |item: &T| hop_of(item).server.clone().unwrap_or_default();
    select::order(items, key, |item| hop_of(item).server_rank, server);
    let place = |item: &T| hop_of(item).place.to_string();
    select::order(items, key, |item| hop_of(item).rank, place);
}
