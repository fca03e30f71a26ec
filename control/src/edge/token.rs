//! What carriers bring back to us so that their request finds the right browser: tokens in the
//! user part of our Path, Record-Route and Contact.
//!
//! Two kinds, both with a MAC (HMAC-SHA256, cut to 80 bits) that only the holders of the secret
//! can make, so that nobody reaches a connection by guessing its number (RFC 5626 section 5.1,
//! section 10):
//!
//! - a *flow* names one connection: node, generation of the process, connection, trunk. It needs
//!   no table, and dies with its connection;
//! - a *place* names where one instance of one user registers. It stays the same when the browser
//!   comes back on another connection, so that a refresh renews a binding rather than adds one.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::random::Random;

use crate::config::Secret;
use crate::engine::input::ConnectionId;

/// Bytes of a MAC: 80 bits.
const MAC_BYTES: usize = 10;
const FLOW: u8 = 1;
const PLACE: u8 = 2;
/// Kind, node, generation, connection, trunk.
const FLOW_BYTES: usize = 1 + 4 + 4 + 8 + 2;
/// Kind, name.
const PLACE_BYTES: usize = 1 + 10;

/// One connection of one browser, as a token names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowToken {
    /// `None` if the token is of another node, or of this one before it was started again: the
    /// connection is gone for certain.
    pub(crate) connection: Option<ConnectionId>,
    /// Index of the trunk whose requests may use it.
    pub(crate) trunk: usize,
}

/// What a token says, once its MAC is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A connection.
    Flow(FlowToken),
    /// The name of a binding in [`Bindings`](super::binding::Bindings).
    Place(String),
}

/// Makes and reads tokens.
pub(crate) struct FlowTokens {
    key: hmac::Key,
    node: [u8; 4],
    generation: [u8; 4],
}

impl fmt::Debug for FlowTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowTokens").finish_non_exhaustive()
    }
}

impl FlowTokens {
    /// With the secret of the configuration, tokens outlive the process and are understood by
    /// every node that has it; else the secret is random. `node` is what no other node has.
    pub(crate) fn new(secret: Option<&Secret>, node: &str, random: &mut Random) -> Self {
        let key = derived_key(secret, "flow tokens", random);
        let mac = hmac::sign(&key, node.as_bytes());
        let mut generation = [0; 4];
        random.fill(&mut generation);
        let mut node = [0; 4];
        node.copy_from_slice(mac.as_ref().get(..4).unwrap_or(&[0; 4]));
        Self {
            key,
            node,
            generation,
        }
    }

    /// The token of a connection, for requests of one trunk.
    pub(crate) fn flow(&self, connection: ConnectionId, trunk: usize) -> String {
        let mut bytes = Vec::with_capacity(FLOW_BYTES + MAC_BYTES);
        bytes.push(FLOW);
        bytes.extend(self.node);
        bytes.extend(self.generation);
        bytes.extend(connection.0.to_be_bytes());
        bytes.extend(u16::try_from(trunk).unwrap_or(u16::MAX).to_be_bytes());
        self.seal(bytes)
    }

    /// The token of one instance of one user: the same each time for the same names.
    pub(crate) fn place(&self, names: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"place");
        for name in names {
            // With its length: no two lists of names are the same text.
            context.update(&name.len().to_be_bytes());
            context.update(name.as_bytes());
        }
        let mut bytes = Vec::with_capacity(PLACE_BYTES + MAC_BYTES);
        bytes.push(PLACE);
        bytes.extend(context.sign().as_ref().iter().take(PLACE_BYTES - 1));
        self.seal(bytes)
    }

    /// What a token says. `None` for one that was not made with our secret.
    pub(crate) fn read(&self, text: &str) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let expected = hmac::sign(&self.key, said);
        let expected = expected.as_ref().get(..MAC_BYTES)?;
        constant_time::verify_slices_are_equal(mac, expected).ok()?;
        match *said.first()? {
            PLACE if said.len() == PLACE_BYTES => Some(Token::Place(text.to_owned())),
            FLOW if said.len() == FLOW_BYTES => {
                let is_ours = *said.get(1..5)? == self.node && *said.get(5..9)? == self.generation;
                let connection = u64::from_be_bytes(said.get(9..17)?.try_into().ok()?);
                let trunk = u16::from_be_bytes(said.get(17..19)?.try_into().ok()?);
                Some(Token::Flow(FlowToken {
                    connection: is_ours.then_some(ConnectionId(connection)),
                    trunk: usize::from(trunk),
                }))
            }
            _ => None,
        }
    }

    fn seal(&self, mut bytes: Vec<u8>) -> String {
        let mac = hmac::sign(&self.key, &bytes);
        bytes.extend(mac.as_ref().iter().take(MAC_BYTES));
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A key for one purpose: from the secret of the configuration if there is one, else random.
pub(crate) fn derived_key(
    secret: Option<&Secret>,
    purpose: &str,
    random: &mut Random,
) -> hmac::Key {
    let mut seed = [0; 32];
    match secret {
        None => random.fill(&mut seed),
        Some(secret) => {
            let master = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
            let mac = hmac::sign(&master, purpose.as_bytes());
            seed.copy_from_slice(mac.as_ref());
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &seed);
    zeroize::Zeroize::zeroize(&mut seed);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: Option<&str>, node: &str, seed: u64) -> FlowTokens {
        let secret = secret.map(|text| Secret::from(text.to_owned()));
        FlowTokens::new(secret.as_ref(), node, &mut Random::seeded(seed))
    }

    #[test]
    fn o1_a_flow_token_names_its_connection_and_trunk() {
        let tokens = tokens(None, "a:5060", 1);
        let token = tokens.flow(ConnectionId(77), 3);
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            "{token}"
        );
        let flow = FlowToken {
            connection: Some(ConnectionId(77)),
            trunk: 3,
        };
        assert_eq!(tokens.read(&token), Some(Token::Flow(flow)));
    }

    #[test]
    fn o1_a_token_that_was_changed_anywhere_is_not_read() {
        let tokens = tokens(None, "a:5060", 1);
        for token in [tokens.flow(ConnectionId(77), 0), tokens.place(&["a", "b"])] {
            for at in 0..token.len() {
                let mut forged = token.clone().into_bytes();
                forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(tokens.read(std::str::from_utf8(&forged).unwrap()), None);
            }
            assert_eq!(tokens.read(&token[1..]), None);
        }
        for text in [
            "",
            "AAAA",
            "~",
            "ringway",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(tokens.read(text), None);
        }
    }

    #[test]
    fn o1_a_token_of_another_secret_is_not_read() {
        let token = tokens(None, "a:5060", 1).flow(ConnectionId(1), 0);
        assert_eq!(tokens(None, "a:5060", 2).read(&token), None);
        let token = tokens(Some("one secret of many"), "a:5060", 1).flow(ConnectionId(1), 0);
        assert_eq!(
            tokens(Some("another secret"), "a:5060", 1).read(&token),
            None
        );
    }

    #[test]
    fn o1_a_flow_of_another_node_or_of_an_earlier_process_is_known_to_be_gone() {
        let secret = Some("shared by the nodes");
        let token = tokens(secret, "a:5060", 1).flow(ConnectionId(9), 2);
        let gone = Some(Token::Flow(FlowToken {
            connection: None,
            trunk: 2,
        }));
        assert_eq!(tokens(secret, "a:5060", 2).read(&token), gone);
        assert_eq!(tokens(secret, "b:5060", 1).read(&token), gone);
    }

    #[test]
    fn o9_a_place_is_the_same_for_the_same_instance_after_a_restart() {
        let secret = Some("shared by the nodes");
        let token = tokens(secret, "a:5060", 1).place(&["alice@c", "<urn:uuid:1>", "1"]);
        let again = tokens(secret, "b:5060", 2);
        assert_eq!(again.place(&["alice@c", "<urn:uuid:1>", "1"]), token);
        assert_eq!(again.read(&token), Some(Token::Place(token.clone())));
        assert_ne!(again.place(&["alice@c", "<urn:uuid:1>", "2"]), token);
        assert_ne!(again.place(&["alice@c", "<urn:uuid:1>1", ""]), token);
    }
}
