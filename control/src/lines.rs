//! The built-in lines: a small registrar with digest, for browsers that have no carrier.
//!
//! A line is a number with a password in the configuration. Each open tab of its user is a
//! binding: a connection and the Contact that it gave.

mod guesses;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::guesses::Guesses;
use crate::config::{LineConfig, LinesConfig};
use crate::edge::Moved;
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
    /// False while the browser is away.
    is_connected: bool,
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
    guesses: Guesses,
    /// Users who have come back on another connection.
    pub(crate) moved: Vec<Moved>,
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
            guesses: Guesses::default(),
            moved: Vec::new(),
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
        let config = context.config.clone();
        let Some(line) = to.as_ref().and_then(|to| named(&config.lines, &to.uri)) else {
            let source = context.source(request);
            self.guesses.failed(now, source, None);
            let user = to.map(|to| to.uri.to_string()).unwrap_or_default();
            context.log_failed_login(now, request, user, 404);
            return context.refuse(now, request, 404, "unknown line");
        };
        let number = line.number.as_str();
        if !self.authenticate(context, now, request, line, HeaderName::Authorization) {
            return;
        }
        let domain = config.lines.domain.as_str();
        let outcome = self.update(now, connection, (number, domain), &request.message);
        match outcome {
            Ok(()) => {
                let mut response = context.response(&request.message, 200);
                for (contact, left) in self.contacts(now, number) {
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
        &mut self,
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
        self.is_bound(now, request, number)
            || self.authenticate(context, now, request, line, HeaderName::ProxyAuthorization)
    }

    /// Has this line registered on the very connection of this request?
    fn is_bound(&self, now: Instant, request: &Incoming, number: &str) -> bool {
        let here = |binding: &LineBinding| {
            Some(binding.connection) == request.connection() && binding.expires_at > now
        };
        let bindings = self.bindings.get(number);
        bindings.is_some_and(|bindings| bindings.iter().any(here))
    }

    /// The lines that have registered on a connection.
    pub(crate) fn on_connection(
        &self,
        now: Instant,
        connection: ConnectionId,
    ) -> impl Iterator<Item = &str> {
        let here = move |binding: &LineBinding| {
            binding.connection == connection && binding.expires_at > now
        };
        let bindings = self.bindings.iter();
        bindings
            .filter(move |(_, bindings)| bindings.iter().any(here))
            .map(|(number, _)| number.as_str())
    }

    /// The newest tab of a line's user.
    pub(crate) fn newest(&self, now: Instant, number: &str) -> Option<&LineBinding> {
        let live = |binding: &&LineBinding| binding.expires_at > now && binding.is_connected;
        self.bindings.get(number)?.iter().rev().find(live)
    }

    /// The line that has registered this Contact on a connection.
    pub(crate) fn number_at(&self, connection: ConnectionId, uri: &str) -> Option<&str> {
        let here = |known: &LineBinding| {
            known.connection == connection && known.contact.uri.to_string() == uri
        };
        let mut bindings = self.bindings.iter();
        let found = bindings.find(|(_, bindings)| bindings.iter().any(here));
        found.map(|(number, _)| number.as_str())
    }

    /// The Contact that a line has registered on a connection.
    pub(crate) fn contact_at(
        &self,
        now: Instant,
        connection: ConnectionId,
        number: &str,
    ) -> Option<String> {
        let here = |known: &&LineBinding| known.connection == connection && known.expires_at > now;
        let found = self.bindings.get(number)?.iter().rev().find(here);
        found.map(LineBinding::uri)
    }

    /// A connection is gone. Its bindings stay until they expire, so that dialogs follow the user
    /// who comes back; nobody is called through them.
    pub(crate) fn connection_closed(&mut self, connection: ConnectionId) {
        for binding in self.bindings.values_mut().flatten() {
            if binding.connection == connection {
                binding.is_connected = false;
            }
        }
    }

    /// Checks digest credentials; sends 401, 407 or 403 if they do not do.
    fn authenticate(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: &Incoming,
        line: &LineConfig,
        header: HeaderName,
    ) -> bool {
        let identity = context.identity(request.connection());
        let domain = context.config.lines.domain.clone();
        if identity.is_some_and(|id| id.user() == line.number && id.domain() == domain) {
            // A token has proven it.
            return true;
        }
        let realm = context.config.lines.realm.clone();
        let uptime = context.uptime(now);
        let source = context.source(request);
        let wait = self.guesses.wait(now, source, &line.number);
        if let Some(wait) = wait.filter(|_| !self.is_bound(now, request, &line.number)) {
            let mut response = context.response(&request.message, 503);
            response.set(HeaderName::RetryAfter, (wait.as_secs() + 1).to_string());
            context.respond(now, request.transaction, response);
            let user = format!("{}@{domain}", line.number);
            context.log_failed_login(now, request, user, 503);
            let reason = "too many wrong passwords".to_owned();
            let peer = request.peer;
            context.log(LogLine::Refused { peer, reason });
            return false;
        }
        let lines = &context.config.lines;
        match self.check(&request.message, &header, lines, line, uptime) {
            Proof::Given => true,
            Proof::Wrong => {
                self.guesses.failed(now, source, Some(&line.number));
                let user = format!("{}@{domain}", line.number);
                context.log_failed_login(now, request, user, 403);
                context.refuse(now, request, 403, "wrong password");
                false
            }
            Proof::Missing { stale } => {
                let (status, name) = if header == HeaderName::Authorization {
                    (401, HeaderName::WwwAuthenticate)
                } else {
                    (407, HeaderName::ProxyAuthenticate)
                };
                // The strongest in front (RFC 8760 section 2.3).
                let offered: &[Algorithm] = match context.config.lines.sha256 {
                    true => &[Algorithm::Sha256, Algorithm::Md5],
                    false => &[Algorithm::Md5],
                };
                let nonce = self.nonces.make(uptime, &realm);
                let mut response = context.response(&request.message, status);
                for algorithm in offered {
                    let challenge = Challenge::new(&realm, nonce.clone(), algorithm.clone(), stale);
                    response.push(&name, challenge.to_string());
                }
                context.respond(now, request.transaction, response);
                false
            }
        }
    }

    fn check(
        &mut self,
        request: &Message,
        header: &HeaderName,
        lines: &LinesConfig,
        line: &LineConfig,
        uptime: Duration,
    ) -> Proof {
        let realm = lines.realm.as_str();
        let given: Vec<Credentials> = request
            .headers(header)
            .filter_map(Credentials::parse)
            .filter(|credentials| credentials.realm == realm)
            .filter(|credentials| {
                let state = self.nonces.check(&credentials.nonce, uptime, realm);
                state != NonceState::Foreign
            })
            .collect();
        if given.is_empty() {
            return Proof::Missing { stale: false };
        }
        // One of several will do: sipML5 answers every challenge, and all of them with MD5.
        let method = request.method();
        let proven = given.iter().find(|credentials| {
            is_user(&credentials.username, lines, line)
                && is_for_target(credentials, request)
                && digest::verify(credentials, &method, line.password.expose())
        });
        let Some(proven) = proven else {
            return Proof::Wrong;
        };
        // Without a count (RFC 2069) it could be replayed.
        let nc = proven.nc.as_deref();
        let nc = nc.and_then(|text| u32::from_str_radix(text, 16).ok());
        let Some(nc) = nc.filter(|_| proven.qop.is_some()) else {
            return Proof::Missing { stale: false };
        };
        match self.nonces.count(&proven.nonce, nc, uptime, realm) {
            NonceState::Fresh => Proof::Given,
            NonceState::Stale => Proof::Missing { stale: true },
            NonceState::Foreign => Proof::Missing { stale: false },
        }
    }

    /// Adds, refreshes and removes bindings (RFC 3261 section 10.3).
    fn update(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        (number, domain): (&str, &str),
        request: &Message,
    ) -> Result<(), u16> {
        let contacts = Contact::all(request).ok_or(400u16)?;
        let default = seconds(request.header(HeaderName::Expires));
        // All of it or nothing (RFC 3261 section 10.3): changed aside, put back at the end.
        let mut bindings = self.bindings.get(number).cloned().unwrap_or_default();
        bindings.retain(|binding| binding.expires_at > now);
        let mut left = Vec::new();
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
            let old = bindings.iter().filter(|known| same(known));
            left.extend(old.map(|known| known.connection));
            bindings.retain(|known| !same(known));
            if bindings.len() >= CONTACTS_PER_LINE_MAX {
                bindings.remove(0);
            }
            bindings.push(LineBinding {
                connection,
                contact,
                is_connected: true,
                expires_at: now + life,
            });
        }
        left.retain(|old| *old != connection);
        self.moved.extend(left.into_iter().map(|from| Moved {
            from,
            to: connection,
            users: vec![format!("{number}@{domain}")],
        }));
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
        let is_live = |binding: &&LineBinding| binding.expires_at > now && binding.is_connected;
        let live = bindings.iter().filter(is_live);
        live.map(|binding| (binding.contact.clone(), binding.expires_at - now))
            .collect()
    }
}

/// Is this the user name of a line: its number, or as IMS clients have it (their private identity),
/// the number at the domain or realm of the lines?
fn is_user(username: &str, lines: &LinesConfig, line: &LineConfig) -> bool {
    let (number, domain) = match username.rsplit_once('@') {
        Some((number, domain)) => (number, Some(domain)),
        None => (username, None),
    };
    let is_ours =
        |domain: &str| lines.has_domain(domain) || lines.realm.eq_ignore_ascii_case(domain);
    number == line.number && domain.is_none_or(is_ours)
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

/// The line with the first of these numbers that is one.
pub(crate) fn find_any<'c>(config: &'c LinesConfig, numbers: &[String]) -> Option<&'c LineConfig> {
    numbers.iter().find_map(|number| find(config, number))
}

/// The line that an address names, whatever parameters its number has.
pub(crate) fn named<'c>(config: &'c LinesConfig, uri: &Uri) -> Option<&'c LineConfig> {
    find_any(config, &uri.numbers())
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
