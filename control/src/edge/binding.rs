//! Who is registered through us: token → browser.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::away::LastRegister;
use crate::config::Registration as Mode;
use crate::engine::input::ConnectionId;
use crate::limits::BINDINGS_MAX;
use crate::sip::NameAddr;

/// One browser's Contact at a carrier. Its name is a place token.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) connection: ConnectionId,
    /// False while the browser is away.
    pub(crate) is_connected: bool,
    /// The browser's Contact, without `expires`.
    pub(crate) contact: NameAddr,
    /// `user@domain`.
    pub(crate) address_of_record: String,
    /// What the registrar allows the user to call itself beside it (RFC 7315 section 4.1).
    pub(crate) associated: Vec<String>,
    /// Route of new requests towards the carrier (RFC 3608).
    pub(crate) service_route: Vec<String>,
    /// Index of the trunk that the registration went to.
    pub(crate) trunk: usize,
    /// Which address the carrier knows: the browser's own, or ours.
    pub(crate) mode: Mode,
    /// What to take back when the browser is gone, where the realm wants that.
    pub(crate) last: Option<Box<LastRegister>>,
    /// For how long the registrar granted it.
    pub(crate) granted: Duration,
    pub(crate) expires_at: Instant,
}

impl Binding {
    /// May its user call itself so? `identity` is `user@domain`.
    pub(crate) fn is_identity(&self, identity: &str) -> bool {
        self.address_of_record == identity || self.associated.iter().any(|known| known == identity)
    }
}

/// All registrations that went through us, at most [`BINDINGS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    by_token: BTreeMap<String, Binding>,
    tokens_by_connection: BTreeMap<ConnectionId, BTreeSet<String>>,
    /// By address of record.
    tokens_by_user: BTreeSet<(String, String)>,
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
        if let Some(old) = self.by_token.get_mut(&token)
            && old.connection == binding.connection
            && old.address_of_record == binding.address_of_record
        {
            // A refresh, as most are: it is found by the same as before.
            *old = binding;
            return None;
        }
        let old = self.remove(&token);
        self.tokens_by_connection
            .entry(binding.connection)
            .or_default()
            .insert(token.clone());
        let user = binding.address_of_record.clone();
        self.tokens_by_user.insert((user, token.clone()));
        let connection = binding.connection;
        self.by_token.insert(token, binding);
        old.map(|old| old.connection)
            .filter(|old| *old != connection)
    }

    /// Removes a binding.
    pub(crate) fn remove(&mut self, token: &str) -> Option<Binding> {
        let binding = self.by_token.remove(token)?;
        let user = (binding.address_of_record.clone(), token.to_owned());
        self.tokens_by_user.remove(&user);
        if let Some(tokens) = self.tokens_by_connection.get_mut(&binding.connection) {
            tokens.remove(token);
            if tokens.is_empty() {
                self.tokens_by_connection.remove(&binding.connection);
            }
        }
        Some(binding)
    }

    /// Removes all bindings of a user at a trunk.
    pub(crate) fn remove_user(&mut self, trunk: usize, address_of_record: &str) {
        let first = (address_of_record.to_owned(), String::new());
        let tokens: Vec<String> = self
            .tokens_by_user
            .range(first..)
            .take_while(|(user, _)| user == address_of_record)
            .map(|(_, token)| token.clone())
            .collect();
        for token in tokens {
            if self.find(&token).is_some_and(|b| b.trunk == trunk) {
                self.remove(&token);
            }
        }
    }

    /// The binding with this token, unless it has expired.
    pub(crate) fn get(&self, now: Instant, token: &str) -> Option<&Binding> {
        self.by_token
            .get(token)
            .filter(|binding| binding.expires_at > now)
    }

    /// The binding with this token, even if it has expired.
    pub(crate) fn find(&self, token: &str) -> Option<&Binding> {
        self.by_token.get(token)
    }

    /// The place of a user at a trunk that lives longest: a connected one if there is one.
    pub(crate) fn of_address(
        &self,
        now: Instant,
        trunk: usize,
        address_of_record: &str,
    ) -> Option<(&str, &Binding)> {
        let first = (address_of_record.to_owned(), String::new());
        self.tokens_by_user
            .range(first..)
            .take_while(|(user, _)| user == address_of_record)
            .filter_map(|(_, token)| Some((token.as_str(), self.get(now, token)?)))
            .filter(|(_, binding)| binding.trunk == trunk)
            .max_by_key(|(_, binding)| (binding.is_connected, binding.expires_at))
    }

    /// The binding by which this user is registered at this trunk on this connection, and its
    /// token.
    pub(crate) fn of_user(
        &self,
        now: Instant,
        connection: ConnectionId,
        trunk: usize,
        identity: &str,
    ) -> Option<(&str, &Binding)> {
        self.on_connection(now, connection)
            .find(|(_, binding)| binding.trunk == trunk && binding.is_identity(identity))
    }

    /// The bindings of a connection that have not expired.
    pub(crate) fn on_connection(
        &self,
        now: Instant,
        connection: ConnectionId,
    ) -> impl Iterator<Item = (&str, &Binding)> {
        let tokens = self.tokens_by_connection.get(&connection);
        tokens
            .into_iter()
            .flatten()
            .filter_map(move |token| Some((token.as_str(), self.get(now, token)?)))
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
    use super::*;

    fn binding(connection: u64, expires_at: Instant) -> Binding {
        Binding {
            connection: ConnectionId(connection),
            is_connected: true,
            contact: NameAddr::parse("<sip:a@x.invalid>").unwrap(),
            address_of_record: "alice@carrier.test".to_owned(),
            associated: Vec::new(),
            service_route: Vec::new(),
            trunk: 0,
            mode: Mode::Contact,
            last: None,
            granted: Duration::from_secs(60),
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
    fn a_refresh_replaces_all_of_the_binding() {
        let now = start();
        let seconds = |count| now + Duration::from_secs(count);
        let mut bindings = Bindings::default();
        bindings.insert(now, "t".to_owned(), binding(1, seconds(60)));
        let mut refreshed = binding(1, seconds(120));
        refreshed.trunk = 1;
        assert_eq!(bindings.insert(now, "t".to_owned(), refreshed), None);
        let asks = |trunk| {
            let found = bindings.of_user(seconds(90), ConnectionId(1), trunk, "alice@carrier.test");
            found.is_some()
        };
        assert!(asks(1) && !asks(0));
        assert_eq!(bindings.by_token.len(), 1);
        assert_eq!(bindings.tokens_by_connection.len(), 1);
    }

    #[test]
    fn only_the_connection_that_registered_is_registered() {
        let now = start();
        let until = now + Duration::from_secs(60);
        let mut bindings = Bindings::default();
        bindings.insert(now, "t".to_owned(), binding(1, until));
        let asks = |bindings: &Bindings, at, connection, aor| {
            let connection = ConnectionId(connection);
            bindings.of_user(at, connection, 0, aor).is_some()
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
