//! The built-in lines: a small registrar with digest, for browsers that have no carrier.
//!
//! A line is a number with a password in the configuration. Each open tab of its user is a
//! binding: a connection and the Contact that it gave.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::{LineConfig, LinesConfig};
use crate::engine::context::{Context, Incoming};
use crate::engine::input::ConnectionId;
use crate::engine::output::LogLine;
use crate::limits::{
    CONTACTS_PER_LINE_MAX, REGISTRATION_EXPIRES_DEFAULT, REGISTRATION_EXPIRES_MAX,
    REGISTRATION_EXPIRES_MIN,
};
use crate::sip::digest::{self, Algorithm, Challenge, Credentials, NonceState, Nonces};
use crate::sip::{Contact, HeaderName, Message, NameAddr, Uri};

/// One open tab of a line's user.
#[derive(Clone, Debug)]
pub(crate) struct LineBinding {
    pub(crate) connection: ConnectionId,
    /// The Contact as it was given, without `expires`.
    contact: NameAddr,
    expires_at: Instant,
}

impl LineBinding {
    /// Request-URI of requests to this tab.
    pub(crate) fn uri(&self) -> String {
        self.contact.uri.to_string()
    }
}

/// The registrar.
#[derive(Debug)]
pub(crate) struct Lines {
    nonces: Nonces,
    /// The newest binding is last.
    bindings: BTreeMap<String, Vec<LineBinding>>,
}

/// What a check of credentials came to.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    Given,
    Missing { stale: bool },
    Wrong,
}

impl Lines {
    /// No line is registered. The secret signs nonces.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self {
            nonces: Nonces::new(secret),
            bindings: BTreeMap::new(),
        }
    }

    /// Answers a REGISTER for the domain of the lines.
    pub(crate) fn register(&mut self, context: &mut Context, now: Instant, request: &Incoming) {
        let Some(connection) = request.connection() else {
            return context.refuse(now, request, 403, "lines register over WebSocket");
        };
        let to = request
            .message
            .header(HeaderName::To)
            .and_then(NameAddr::parse);
        let number = to.and_then(|to| to.uri.user_decoded()).unwrap_or_default();
        let config = context.config.clone();
        let Some(line) = find(&config.lines, &number) else {
            return context.refuse(now, request, 404, "unknown line");
        };
        if !self.authenticate(context, now, request, line, HeaderName::Authorization) {
            return;
        }
        let outcome = self.update(now, connection, &number, &request.message);
        match outcome {
            Ok(()) => {
                let mut response = context.response(&request.message, 200);
                for (contact, left) in self.contacts(now, &number) {
                    response.push(HeaderName::Contact, with_expires(contact, left));
                }
                context.respond(now, request.transaction, response);
            }
            Err(423) => {
                let mut response = context.response(&request.message, 423);
                let least = REGISTRATION_EXPIRES_MIN.as_secs().to_string();
                response.push(HeaderName::MinExpires, least);
                context.respond(now, request.transaction, response);
            }
            Err(status) => context.refuse(now, request, status, "Contact not understood"),
        }
        context.log(LogLine::Registration {
            address_of_record: format!("sip:{number}@{}", config.lines.domain),
            status: outcome.err().unwrap_or(200),
            registrar: "lines".to_owned(),
        });
    }

    /// Proves that a request comes from a line's user: it registered on this very connection, or
    /// it brings credentials. If not, the challenge or refusal has been sent.
    pub(crate) fn prove(
        &self,
        context: &mut Context,
        now: Instant,
        request: &Incoming,
        number: &str,
    ) -> bool {
        let config = context.config.clone();
        let Some(line) = find(&config.lines, number) else {
            context.refuse(now, request, 403, "From is no line of ours");
            return false;
        };
        let bound = self.bindings.get(number).is_some_and(|bindings| {
            let here = |binding: &LineBinding| {
                Some(binding.connection) == request.connection() && binding.expires_at > now
            };
            bindings.iter().any(here)
        });
        bound || self.authenticate(context, now, request, line, HeaderName::ProxyAuthorization)
    }

    /// The newest tab of a line's user.
    pub(crate) fn newest(&self, now: Instant, number: &str) -> Option<&LineBinding> {
        let live = |binding: &&LineBinding| binding.expires_at > now;
        self.bindings.get(number)?.iter().rev().find(live)
    }

    /// A connection is gone, and its bindings with it.
    pub(crate) fn connection_closed(&mut self, connection: ConnectionId) {
        self.bindings.retain(|_, bindings| {
            bindings.retain(|binding| binding.connection != connection);
            !bindings.is_empty()
        });
    }

    /// Checks digest credentials; sends 401, 407 or 403 if they do not do.
    fn authenticate(
        &self,
        context: &mut Context,
        now: Instant,
        request: &Incoming,
        line: &LineConfig,
        header: HeaderName,
    ) -> bool {
        let identity = context.identity(request.connection());
        let domain = &context.config.lines.domain;
        if identity.is_some_and(|id| id.user() == line.number && id.domain() == domain) {
            // A token has proven it.
            return true;
        }
        let realm = context.config.lines.realm.clone();
        let uptime = context.uptime(now);
        match self.check(&request.message, &header, &realm, line, uptime) {
            Proof::Given => true,
            Proof::Wrong => {
                context.refuse(now, request, 403, "wrong password");
                false
            }
            Proof::Missing { stale } => {
                let (status, name) = if header == HeaderName::Authorization {
                    (401, HeaderName::WwwAuthenticate)
                } else {
                    (407, HeaderName::ProxyAuthenticate)
                };
                // MD5 alone: JsSIP, SIP.js and sipML5 know nothing else.
                let nonce = self.nonces.make(uptime, &realm);
                let challenge = Challenge::new(&realm, nonce, Algorithm::Md5, stale);
                let mut response = context.response(&request.message, status);
                response.push(name, challenge.to_string());
                context.respond(now, request.transaction, response);
                false
            }
        }
    }

    fn check(
        &self,
        request: &Message,
        header: &HeaderName,
        realm: &str,
        line: &LineConfig,
        uptime: Duration,
    ) -> Proof {
        let credentials = request
            .headers(header)
            .filter_map(Credentials::parse)
            .find(|credentials| credentials.realm == realm);
        let Some(credentials) = credentials else {
            return Proof::Missing { stale: false };
        };
        match self.nonces.check(&credentials.nonce, uptime, realm) {
            NonceState::Foreign => return Proof::Missing { stale: false },
            NonceState::Stale => return Proof::Missing { stale: true },
            NonceState::Fresh => {}
        }
        let named = credentials.username == line.number && is_for_target(&credentials, request);
        let proven = digest::verify(&credentials, &request.method(), line.password.expose());
        if named && proven {
            Proof::Given
        } else {
            Proof::Wrong
        }
    }

    /// Adds, refreshes and removes bindings (RFC 3261 section 10.3).
    fn update(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        number: &str,
        request: &Message,
    ) -> Result<(), u16> {
        let contacts = Contact::all(request).ok_or(400u16)?;
        let default = seconds(request.header(HeaderName::Expires));
        // All of it or nothing (RFC 3261 section 10.3): changed aside, put back at the end.
        let mut bindings = self.bindings.get(number).cloned().unwrap_or_default();
        bindings.retain(|binding| binding.expires_at > now);
        for contact in contacts {
            let mut contact = match contact {
                Contact::Star if default == Some(0) => {
                    bindings.clear();
                    continue;
                }
                Contact::Star => return Err(400),
                Contact::Address(contact) => contact,
            };
            let asked = seconds(contact.params.get("expires")).or(default);
            contact.params.remove("expires");
            let life = match asked {
                None => REGISTRATION_EXPIRES_DEFAULT,
                Some(s) => Duration::from_secs(s).min(REGISTRATION_EXPIRES_MAX),
            };
            let same = |known: &LineBinding| is_same_contact(&known.contact, &contact);
            if life.is_zero() {
                bindings.retain(|known| !same(known));
                continue;
            }
            if life < REGISTRATION_EXPIRES_MIN {
                return Err(423);
            }
            bindings.retain(|known| !same(known));
            if bindings.len() >= CONTACTS_PER_LINE_MAX {
                bindings.remove(0);
            }
            bindings.push(LineBinding {
                connection,
                contact,
                expires_at: now + life,
            });
        }
        if bindings.is_empty() {
            self.bindings.remove(number);
        } else {
            self.bindings.insert(number.to_owned(), bindings);
        }
        Ok(())
    }

    fn contacts(&self, now: Instant, number: &str) -> Vec<(NameAddr, Duration)> {
        let bindings = self
            .bindings
            .get(number)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let live = bindings.iter().filter(|binding| binding.expires_at > now);
        live.map(|binding| (binding.contact.clone(), binding.expires_at - now))
            .collect()
    }
}

/// Credentials prove what they were made for: their URI must be that of the request (RFC 3261
/// section 22.4), or what was seen once would open other targets.
fn is_for_target(credentials: &Credentials, request: &Message) -> bool {
    let Some(target) = request.request_uri() else {
        return false;
    };
    credentials.uri == target
        || match (Uri::parse(&credentials.uri), Uri::parse(target)) {
            (Some(named), Some(target)) => named.is_equivalent(&target),
            _ => false,
        }
}

/// The line with this number.
pub(crate) fn find<'c>(config: &'c LinesConfig, number: &str) -> Option<&'c LineConfig> {
    config.entries.iter().find(|line| line.number == number)
}

/// The same tab: its instance if it names one (RFC 5626 section 4.1), else its URI.
fn is_same_contact(known: &NameAddr, given: &NameAddr) -> bool {
    match (
        known.params.get("+sip.instance"),
        given.params.get("+sip.instance"),
    ) {
        (Some(known_instance), Some(given_instance)) => {
            known_instance == given_instance
                && known.params.get("reg-id") == given.params.get("reg-id")
        }
        (None, None) => known.uri.is_equivalent(&given.uri),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn with_expires(mut contact: NameAddr, left: Duration) -> String {
    contact
        .params
        .set("expires", Some(&left.as_secs().to_string()));
    contact.to_string()
}

fn seconds(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.trim().parse().ok())
}
