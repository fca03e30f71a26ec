//! Who is registered through us: token → browser.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::engine::input::ConnectionId;
use crate::limits::BINDINGS_MAX;
use crate::sip::NameAddr;

/// One browser's Contact, as a carrier knows it by a token of ours.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) connection: ConnectionId,
    /// False while the browser is away.
    pub(crate) is_connected: bool,
    /// The browser's Contact, without `expires`.
    pub(crate) contact: NameAddr,
    /// `user@domain`.
    pub(crate) address_of_record: String,
    /// Index of the trunk that the registration went to.
    pub(crate) trunk: usize,
    pub(crate) expires_at: Instant,
}

/// All registrations that went through us, at most [`BINDINGS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    by_token: BTreeMap<String, Binding>,
    tokens_by_connection: BTreeMap<ConnectionId, BTreeSet<String>>,
}

impl Bindings {
    /// Adds or renews a binding. Gives the connection that it was bound to before, if that is
    /// another one. At the limit, what has expired makes room; a new one beyond it is dropped.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        token: String,
        binding: Binding,
    ) -> Option<ConnectionId> {
        if self.by_token.len() >= BINDINGS_MAX && !self.by_token.contains_key(&token) {
            self.forget_expired(now);
            if self.by_token.len() >= BINDINGS_MAX {
                return None;
            }
        }
        let old = self.remove(&token);
        self.tokens_by_connection
            .entry(binding.connection)
            .or_default()
            .insert(token.clone());
        let connection = binding.connection;
        self.by_token.insert(token, binding);
        old.map(|old| old.connection)
            .filter(|old| *old != connection)
    }

    /// Removes a binding.
    pub(crate) fn remove(&mut self, token: &str) -> Option<Binding> {
        let binding = self.by_token.remove(token)?;
        if let Some(tokens) = self.tokens_by_connection.get_mut(&binding.connection) {
            tokens.remove(token);
            if tokens.is_empty() {
                self.tokens_by_connection.remove(&binding.connection);
            }
        }
        Some(binding)
    }

    /// The binding with this token, unless it has expired.
    pub(crate) fn get(&self, now: Instant, token: &str) -> Option<&Binding> {
        self.by_token
            .get(token)
            .filter(|binding| binding.expires_at > now)
    }

    /// Is this user registered at this trunk on this connection?
    pub(crate) fn is_registered(
        &self,
        now: Instant,
        connection: ConnectionId,
        trunk: usize,
        address_of_record: &str,
    ) -> bool {
        let tokens = self.tokens_by_connection.get(&connection);
        tokens
            .into_iter()
            .flatten()
            .filter_map(|token| self.get(now, token))
            .any(|binding| binding.trunk == trunk && binding.address_of_record == address_of_record)
    }

    /// The browsers of a connection are away.
    pub(crate) fn connection_closed(&mut self, connection: ConnectionId) {
        for token in self
            .tokens_by_connection
            .get(&connection)
            .into_iter()
            .flatten()
        {
            if let Some(binding) = self.by_token.get_mut(token) {
                binding.is_connected = false;
            }
        }
    }

    fn forget_expired(&mut self, now: Instant) {
        let expired = |(_, binding): &(&String, &Binding)| binding.expires_at <= now;
        let tokens: Vec<String> = self
            .by_token
            .iter()
            .filter(expired)
            .map(|(token, _)| token.clone())
            .collect();
        for token in tokens {
            self.remove(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn binding(connection: u64, expires_at: Instant) -> Binding {
        Binding {
            connection: ConnectionId(connection),
            is_connected: true,
            contact: NameAddr::parse("<sip:a@x.invalid>").unwrap(),
            address_of_record: "alice@carrier.test".to_owned(),
            trunk: 0,
            expires_at,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a starting point for a fake clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn only_the_connection_that_registered_is_registered() {
        let now = start();
        let until = now + Duration::from_secs(60);
        let mut bindings = Bindings::default();
        bindings.insert(now, "t".to_owned(), binding(1, until));
        let asks = |bindings: &Bindings, at, connection, aor| {
            bindings.is_registered(at, ConnectionId(connection), 0, aor)
        };
        assert!(asks(&bindings, now, 1, "alice@carrier.test"));
        assert!(!asks(&bindings, now, 2, "alice@carrier.test"));
        assert!(!asks(&bindings, now, 1, "bob@carrier.test"));
        assert!(!asks(&bindings, until, 1, "alice@carrier.test"));
    }

    #[test]
    fn coming_back_on_another_connection_tells_the_old_one() {
        let now = start();
        let until = now + Duration::from_secs(60);
        let mut bindings = Bindings::default();
        assert_eq!(
            bindings.insert(now, "t".to_owned(), binding(1, until)),
            None
        );
        bindings.connection_closed(ConnectionId(1));
        assert!(!bindings.get(now, "t").unwrap().is_connected);
        let old = bindings.insert(now, "t".to_owned(), binding(2, until));
        assert_eq!(old, Some(ConnectionId(1)));
        assert!(bindings.get(now, "t").unwrap().is_connected);
        assert!(!bindings.tokens_by_connection.contains_key(&ConnectionId(1)));
    }
}
