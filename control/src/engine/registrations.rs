//! REGISTER of our own, at trunks that want one, and what the carriers answer.

use std::time::{Duration, Instant};

use super::Engine;
use super::context::Context;
use super::input::Peer;
use super::output::LogLine;
use super::targets::retry_after;
use crate::config::AccountConfig;
use crate::limits::{TRUNK_REGISTER_EXPIRES_MAX_S, TRUNK_REGISTER_GRANT_MIN_S};
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method, NameAddr, Transport, Uri};
use crate::trunk::registration::{Outcome, Registrations};

impl Context {
    /// All registrations that the configuration asks for.
    pub(super) fn begin_registrations(&mut self, now: Instant) -> Registrations {
        let mut registrations = Registrations::default();
        let config = std::sync::Arc::clone(&self.config);
        for (index, trunk) in config.trunks.iter().enumerate() {
            let asked = trunk.account.as_ref().and_then(|a| a.register_expires);
            if let Some(asked) = asked {
                let names = [self.token(), self.token()];
                registrations.add(index, names, asked, now);
            }
        }
        registrations
    }

    /// A number below 1000, another one each time.
    pub(super) fn spread(&mut self) -> u32 {
        self.random.u32() % 1000
    }
}

impl Engine {
    /// When [`Engine::register_at_trunks`] is due.
    pub(super) fn poll_registrations(&self) -> Option<Instant> {
        let due = self.context.registrations.poll_timeout();
        due.filter(|_| !self.context.stopping)
    }

    /// Sends the REGISTERs whose time has come.
    pub(super) fn register_at_trunks(&mut self, now: Instant) {
        if self.context.stopping {
            return;
        }
        for trunk in self.context.registrations.due(now) {
            self.register_at(now, trunk);
        }
    }

    fn register_at(&mut self, now: Instant, trunk: usize) {
        let context = &mut self.context;
        let config = std::sync::Arc::clone(&context.config);
        let Some((config, account)) = config
            .trunks
            .get(trunk)
            .and_then(|config| Some((config, config.account.as_ref()?)))
        else {
            return;
        };
        let trunks = &context.trunks;
        if trunks.is_unknown(trunk) {
            // Once it is found, it is due again.
            return;
        }
        let route = || trunks.route(now, trunk, &account.username);
        let Some((peer, patience)) = context.registrations.next(trunk, route) else {
            let spread = context.spread();
            let changed = context.registrations.no_target(now, trunk, spread);
            return self.log_registration(trunk, 503, changed);
        };
        let asked_s = context.registrations.get(trunk).map_or(0, |r| r.asked_s);
        let request = register(context, trunk, &config.domain, account, peer, asked_s);
        let transaction = context.send_to_trunk(now, trunk, peer, request, patience);
        context.registrations.sent(trunk, transaction, peer);
    }

    /// An answer to a REGISTER of our own. False if it is to something else.
    pub(super) fn registered_at_trunk(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        peer: Peer,
        response: &Message,
    ) -> bool {
        let Some(trunk) = self.context.registrations.trunk_of(transaction) else {
            return false;
        };
        self.note_answer(now, peer, response);
        let status = response.status().unwrap_or_default();
        let outcome = match status {
            0..=199 => return true,
            200..=299 => {
                let routes = response.values(HeaderName::ServiceRoute);
                let registrations = &mut self.context.registrations;
                registrations.set_service_route(trunk, routes);
                Outcome::Granted(granted(&self.context, trunk, peer, response))
            }
            423 => Outcome::TooBrief(number(response, HeaderName::MinExpires).unwrap_or(0)),
            408 | 503 => Outcome::Unavailable,
            _ => Outcome::Refused(retry_after(response)),
        };
        let spread = self.context.spread();
        let registrations = &mut self.context.registrations;
        let changed = registrations.answered(now, transaction, outcome, spread);
        self.log_registration(trunk, status, changed);
        true
    }

    /// A REGISTER of our own found no answer. False if it is something else.
    pub(super) fn not_registered_at_trunk(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(trunk) = self.context.registrations.trunk_of(transaction) else {
            return false;
        };
        let spread = self.context.spread();
        let registrations = &mut self.context.registrations;
        let changed = registrations.answered(now, transaction, Outcome::Unavailable, spread);
        self.log_registration(trunk, status, changed);
        true
    }

    /// Takes the registrations back, because the process stops.
    pub(super) fn unregister_at_trunks(&mut self, now: Instant) {
        let context = &mut self.context;
        let config = std::sync::Arc::clone(&context.config);
        for trunk in context.registrations.granted(now) {
            let found = config.trunks.get(trunk);
            let Some((config, account)) = found.and_then(|c| Some((c, c.account.as_ref()?))) else {
                continue;
            };
            let trunks = &context.trunks;
            let route = || trunks.route(now, trunk, &account.username);
            let Some((peer, patience)) = context.registrations.next(trunk, route) else {
                continue;
            };
            let request = register(context, trunk, &config.domain, account, peer, 0);
            let transaction = context.send_to_trunk(now, trunk, peer, request, patience);
            context.goodbyes.push(transaction);
        }
    }

    fn log_registration(&mut self, trunk: usize, status: u16, changed: Option<bool>) {
        let name = self.context.config.trunks.get(trunk);
        let trunk = name.map(|trunk| trunk.name.clone()).unwrap_or_default();
        if let Some(is_registered) = changed {
            self.context.log(LogLine::TrunkRegistration {
                trunk,
                is_registered,
                status,
            });
        }
    }
}

/// The REGISTER of an account (RFC 3261 section 10.2); 0 seconds take it back.
fn register(
    context: &Context,
    trunk: usize,
    domain: &str,
    account: &AccountConfig,
    peer: Peer,
    asked_s: u32,
) -> Message {
    let mut request = Message::request(Method::Register, &format!("sip:{domain}"));
    let Some(registration) = context.registrations.get(trunk) else {
        return request;
    };
    let user = Uri::sip(Some(&account.username), domain, None);
    request.push(
        HeaderName::From,
        format!("<{user}>;tag={}", registration.tag),
    );
    request.push(HeaderName::To, format!("<{user}>"));
    request.push(HeaderName::CallId, registration.call_id.as_str());
    let number = registration.sequence;
    request.push(HeaderName::CSeq, format!("{number} REGISTER"));
    let contact = context.account_uri(account, peer);
    request.push(
        HeaderName::Contact,
        format!("<{contact}>;expires={asked_s}"),
    );
    request.push(HeaderName::Expires, asked_s.to_string());
    request.push(HeaderName::Allow, super::context::allow());
    request
}

impl Context {
    /// Where the calls of an account come to.
    pub(crate) fn account_uri(&self, account: &AccountConfig, peer: Peer) -> String {
        let transport = peer.on_trunk_side().map_or(Transport::Udp, |(t, _)| t);
        let user = crate::sip::uri::escape_user(&account.username);
        self.trunk_side_uri(&user, transport)
    }
}

/// How long our Contact counts: as its parameter says, or `Expires`, or as asked (RFC 3261 section
/// 10.2.4).
fn granted(context: &Context, trunk: usize, peer: Peer, response: &Message) -> Duration {
    let account = context.config.trunks.get(trunk);
    let account = account.and_then(|trunk| trunk.account.as_ref());
    let ours = account.and_then(|account| Uri::parse(&context.account_uri(account, peer)));
    let listed: Vec<NameAddr> = response
        .values(HeaderName::Contact)
        .filter_map(NameAddr::parse)
        .collect();
    let is_ours = |contact: &&NameAddr| {
        ours.as_ref().is_some_and(|ours| {
            ours.user == contact.uri.user && ours.host.eq_ignore_ascii_case(&contact.uri.host)
        })
    };
    // One sent, another one come back: that is how the registrar writes ours.
    let only = listed.first().filter(|_| listed.len() == 1);
    let of_contact = listed.iter().find(is_ours).or(only);
    let of_contact = of_contact.and_then(|contact| contact.params.get("expires")?.parse().ok());
    let asked_s = context.registrations.get(trunk).map_or(0, |r| r.asked_s);
    let seconds = of_contact
        .or_else(|| number(response, HeaderName::Expires))
        .unwrap_or(asked_s);
    // A carrier that grants next to nothing is not asked without end.
    let seconds = seconds.clamp(TRUNK_REGISTER_GRANT_MIN_S, TRUNK_REGISTER_EXPIRES_MAX_S);
    Duration::from_secs(u64::from(seconds))
}

fn number(response: &Message, name: HeaderName) -> Option<u32> {
    response.header(name)?.trim().parse().ok()
}
