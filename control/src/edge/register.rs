//! REGISTER in Contact mode.

use std::time::{Duration, Instant};

use super::binding::Binding;
use super::{Edge, address_of_record};
use crate::engine::context::{Context, Incoming};
use crate::engine::input::{ConnectionId, Peer};
use crate::engine::output::LogLine;
use crate::limits::TRUNK_REGISTRATION_EXPIRES_DEFAULT_S;
use crate::sip::{Contact, HeaderName, Message, NameAddr, Uri};
use crate::trunk;

/// Separates the user from the token in our Contacts.
const TOKEN_MARK: char = '~';

/// Option tags that promise what a registrar does with the browser's own Contact or Path; in
/// Contact mode there is neither.
const OPTIONS_NOT_PASSED: [&str; 3] = ["path", "outbound", "gruu"];

/// A registration under way.
#[derive(Debug)]
pub(crate) struct Registration {
    connection: ConnectionId,
    address_of_record: String,
    trunk: usize,
    /// The browser's Contacts with the tokens that stand for them.
    contacts: Vec<(String, NameAddr)>,
}

impl Edge {
    /// Passes a REGISTER on to a trunk.
    pub(crate) fn register(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
        trunk: usize,
    ) {
        let Some(connection) = request.connection() else {
            return context.refuse(now, &request, 403, "browsers register over WebSocket");
        };
        let to = request
            .message
            .header(HeaderName::To)
            .and_then(address_of_record);
        let (Some(address_of_record), Some(contacts)) = (to, Contact::all(&request.message)) else {
            return context.refuse(now, &request, 400, "To or Contact not understood");
        };
        let address = context.config.trunks.get(trunk).and_then(trunk::address);
        let Some(address) = address else {
            return context.refuse(now, &request, 503, "trunk has no address");
        };
        let Some(mut onward) = self.prepare(context, now, &request) else {
            return;
        };
        let mut registration = Registration {
            connection,
            address_of_record,
            trunk,
            contacts: Vec::new(),
        };
        onward.remove(HeaderName::Contact);
        for contact in contacts {
            let value = match contact {
                Contact::Star => "*".to_owned(),
                Contact::Address(contact) => ours(context, &mut registration, contact),
            };
            onward.push(HeaderName::Contact, value);
        }
        strip_options(&mut onward);
        strip_transport(&mut onward);
        self.pass_on(
            context,
            now,
            request,
            Peer::Udp(address),
            onward,
            Some(registration),
        );
    }

    /// The registrar has answered: its Contacts become the browser's own again.
    pub(super) fn registered(
        &mut self,
        context: &mut Context,
        now: Instant,
        registration: &Registration,
        response: &Message,
        answer: &mut Message,
    ) {
        let status = response.status().unwrap_or_default();
        if (200..300).contains(&status) {
            let default = response
                .header(HeaderName::Expires)
                .and_then(|text| text.parse().ok());
            let default = default.unwrap_or(TRUNK_REGISTRATION_EXPIRES_DEFAULT_S);
            let mut alive = Vec::new();
            for contact in Contact::all(response).unwrap_or_default() {
                let Contact::Address(contact) = contact else {
                    continue;
                };
                let expires = contact
                    .params
                    .get("expires")
                    .and_then(|text| text.parse().ok());
                let expires: u32 = expires.unwrap_or(default);
                let token = token_of(&contact.uri).unwrap_or_default();
                let original = self.original(now, registration, &token);
                if original.is_some() && expires > 0 {
                    alive.push((token, expires));
                }
                let mut shown = original.unwrap_or(contact);
                shown.params.set("expires", Some(&expires.to_string()));
                answer.push(HeaderName::Contact, shown.to_string());
            }
            self.bind(context, now, registration, &alive);
        }
        let name = context
            .config
            .trunks
            .get(registration.trunk)
            .map(|trunk| trunk.name.clone());
        context.log(LogLine::Registration {
            address_of_record: registration.address_of_record.clone(),
            status,
            registrar: name.unwrap_or_default(),
        });
    }

    /// The browser's Contact behind a token: of this registration, or of an earlier one.
    fn original(&self, now: Instant, registration: &Registration, token: &str) -> Option<NameAddr> {
        let own = registration
            .contacts
            .iter()
            .find(|(known, _)| known == token);
        let own = own.map(|(_, contact)| contact.clone());
        own.or_else(|| {
            self.bindings
                .get(now, token)
                .map(|binding| binding.contact.clone())
        })
    }

    fn bind(
        &mut self,
        context: &Context,
        now: Instant,
        registration: &Registration,
        alive: &[(String, u32)],
    ) {
        for (token, contact) in &registration.contacts {
            let Some((_, expires)) = alive.iter().find(|(known, _)| known == token) else {
                self.bindings.remove(token);
                continue;
            };
            let binding = Binding {
                connection: registration.connection,
                is_connected: context.connections.contains_key(&registration.connection),
                contact: contact.clone(),
                address_of_record: registration.address_of_record.clone(),
                trunk: registration.trunk,
                // At most 2^32 seconds (RFC 3261 section 20.19): no clock ends before.
                expires_at: now + Duration::from_secs(u64::from(*expires)),
            };
            if let Some(old) = self.bindings.insert(now, token.clone(), binding) {
                self.moved.push((old, registration.connection));
            }
        }
    }
}

/// Our Contact for a browser's: the token is the same each time the same tab registers the same
/// address, so that coming back renews a binding rather than adds one.
fn ours(context: &Context, registration: &mut Registration, contact: NameAddr) -> String {
    let mut contact = contact;
    let instance = contact.params.get("+sip.instance").map(str::to_owned);
    let tab = instance.unwrap_or_else(|| contact.uri.to_string());
    let token = context.keyed("contact", &[&registration.address_of_record, &tab]);
    let user = registration.address_of_record.rsplit_once('@');
    let user = user.map(|(user, _)| user).unwrap_or_default();
    let host = context.trunk_side_host();
    let mut shown = format!(
        "<sip:{}{TOKEN_MARK}{token}@{host}>",
        crate::sip::uri::escape_user(user)
    );
    for name in ["expires", "q"] {
        if let Some(value) = contact.params.get(name) {
            shown.push_str(&format!(";{name}={value}"));
        }
    }
    contact.params.remove("expires");
    registration.contacts.push((token, contact));
    shown
}

/// The token in the user part of a URI of ours.
pub(crate) fn token_of(uri: &Uri) -> Option<String> {
    let user = uri.user_decoded()?;
    user.rsplit_once(TOKEN_MARK)
        .map(|(_, token)| token.to_owned())
}

fn strip_options(onward: &mut Message) {
    for name in [HeaderName::Supported, HeaderName::Require] {
        let kept: Vec<String> = onward
            .values(&name)
            .filter(|option| {
                !OPTIONS_NOT_PASSED
                    .iter()
                    .any(|o| o.eq_ignore_ascii_case(option))
            })
            .map(str::to_owned)
            .collect();
        if kept.is_empty() {
            onward.remove(&name);
        } else {
            onward.set(&name, kept.join(", "));
        }
    }
}

/// The browser's transport is not the carrier's (sipML5 writes it into the Request-URI).
fn strip_transport(onward: &mut Message) {
    let uri = onward.request_uri().and_then(Uri::parse);
    if let Some(mut uri) = uri
        && uri.params.remove("transport")
    {
        onward.set_request_uri(&uri.to_string());
    }
}
