//! Who sends a browser's request, where it does not want to be named (RFC 3323, RFC 3325).

use std::collections::BTreeSet;
use std::time::Instant;

use super::Engine;
use super::input::ConnectionId;
use super::routing::NoRoute;
use crate::edge::identity::is_anonymous;
use crate::sip::{HeaderName, Message, NameAddr, Uri};

impl Engine {
    /// The user that a browser's request is of, as it says; it is not proven yet. Of an anonymous
    /// one (RFC 3323 section 4.1) it is who it prefers to be for the carrier, else who alone the
    /// connection can be.
    pub(super) fn sender(
        &self,
        now: Instant,
        connection: ConnectionId,
        message: &Message,
    ) -> Result<NameAddr, NoRoute> {
        let from = message.header(HeaderName::From).and_then(NameAddr::parse);
        // An address that is none is nobody's.
        if let Some(from) = from.filter(|from| !is_anonymous(&from.uri)) {
            return Ok(from);
        }
        let preferred = message
            .values(HeaderName::PPreferredIdentity)
            .filter_map(NameAddr::parse)
            .find(|named| !is_anonymous(&named.uri));
        let sender = preferred.or_else(|| self.only_user(now, connection));
        sender.ok_or((403, "anonymous, and the connection is of no one user"))
    }

    /// The user of a connection, if it is of one only.
    fn only_user(&self, now: Instant, connection: ConnectionId) -> Option<NameAddr> {
        let identity = self.context.identity(Some(connection));
        if let Some(identity) = identity {
            let uri = Uri::sip(Some(identity.user()), identity.domain(), None);
            return Some(NameAddr::new(uri));
        }
        let bindings = self.edge.bindings.on_connection(now, connection);
        let registered = bindings.map(|(_, binding)| binding.address_of_record.clone());
        let domain = &self.context.config.lines.domain;
        let lines = self.lines.on_connection(now, connection);
        let lines = lines.map(|number| format!("{number}@{domain}"));
        let users: BTreeSet<String> = registered.chain(lines).collect();
        let only = users.first().filter(|_| users.len() == 1)?;
        let (user, domain) = only.rsplit_once('@')?;
        Some(NameAddr::new(Uri::sip(Some(user), domain, None)))
    }
}
