//! REGISTER: in Contact mode and in Path mode; `granted.rs` reads the registrar's answer.

use std::time::{Duration, Instant};

use super::away::LastRegister;
use super::failover::Destination;
use super::granted::with_expires;
use super::{Edge, address_of_record, route};
use crate::config::{RealmConfig, Registration as Mode, WithoutPath};
use crate::engine::context::{Context, Incoming};
use crate::engine::input::ConnectionId;
use crate::engine::output::LogLine;
use crate::limits::TRUNK_REGISTRATION_EXPIRES_DEFAULT_S;
use crate::sip::uri::{decode, split_number};
use crate::sip::{Contact, HeaderName, Message, NameAddr, Uri};

/// Separates the user from the token in our Contacts.
const TOKEN_MARK: char = '~';

/// Option tags that promise what a registrar does with the browser's own Contact or Path; in
/// Contact mode there is neither.
const OPTIONS_NOT_PASSED: [&str; 3] = ["path", "outbound", "gruu"];

/// A registration under way.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(super) connection: ConnectionId,
    pub(super) address_of_record: String,
    pub(super) trunk: usize,
    pub(super) mode: Mode,
    /// The browser's Contacts with the places that stand for them.
    pub(super) contacts: Vec<Place>,
    /// True if all bindings of the user are to go: `Contact: *`.
    pub(super) removes_all: bool,
    /// Kept where the realm unregisters who is gone.
    pub(super) last: Option<Box<LastRegister>>,
}

/// One Contact of a registration.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) token: String,
    /// The browser's Contact, without `expires`.
    pub(super) contact: NameAddr,
    /// What the browser asked for, in seconds.
    pub(super) asked: Option<u32>,
}

impl Place {
    /// What the carrier is asked for, in seconds: in Contact mode the realm may want more than the
    /// browser.
    pub(super) fn asked_upstream(&self, mode: Mode, realm: &RealmConfig) -> u32 {
        let asked = self.asked.unwrap_or(TRUNK_REGISTRATION_EXPIRES_DEFAULT_S);
        let upstream = realm.upstream_expires.map_or(0, |time| time.as_secs());
        let upstream = u32::try_from(upstream).unwrap_or(u32::MAX);
        match mode {
            Mode::Contact if asked > 0 => asked.max(upstream),
            Mode::Contact | Mode::Path => asked,
        }
    }
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
        let ways = context.trunks.route(now, trunk, &address_of_record);
        let Some(to) = Destination::of_trunk(ways) else {
            let reason = "no target of the trunk takes requests";
            return context.refuse(now, &request, 503, reason);
        };
        let realm = realm_of(context, &address_of_record);
        let Some(mode) = mode_of(&realm, &request.message) else {
            let mut response = context.response(&request.message, 421);
            response.push(HeaderName::Require, "path");
            return context.respond(now, request.transaction, response);
        };
        let mut registration = Registration {
            connection,
            address_of_record,
            trunk,
            mode,
            contacts: Vec::new(),
            removes_all: contacts.contains(&Contact::Star),
            last: realm
                .unregister_after
                .and_then(|_| LastRegister::of(&request.message))
                .map(Box::new),
        };
        self.name_places(&mut registration, &request.message, &contacts);
        if self.refresh_here(context, now, &request, &registration, &realm) {
            return;
        }
        let Some(mut onward) = self.prepare(context, now, &request) else {
            return;
        };
        onward.remove(HeaderName::Path);
        match mode {
            Mode::Contact => show_ours(context, &registration, &contacts, &realm, &mut onward),
            Mode::Path => {
                let token = self.tokens.flow(connection, trunk);
                let user = &registration.address_of_record;
                let path = route::path(context, user, &token, wants_outbound(&contacts));
                onward.push(HeaderName::Path, path);
            }
        }
        strip_transport(&mut onward);
        self.pass_on(
            context,
            now,
            request,
            to,
            onward,
            super::Kind::Register(registration),
        );
    }

    /// The place of each Contact: one per user, instance and flow (RFC 5626 section 4.2), so that
    /// coming back renews a binding rather than adds one.
    fn name_places(&self, registration: &mut Registration, request: &Message, all: &[Contact]) {
        let default = request
            .header(HeaderName::Expires)
            .and_then(|text| text.trim().parse().ok());
        for contact in all {
            let Contact::Address(contact) = contact else {
                continue;
            };
            let mut contact = contact.clone();
            let instance = contact.params.get("+sip.instance").map(str::to_owned);
            let flow = instance.is_some().then(|| contact.params.get("reg-id"));
            let tab = instance.clone().unwrap_or_else(|| contact.uri.to_string());
            let names = [
                registration.address_of_record.as_str(),
                &tab,
                flow.flatten().unwrap_or_default(),
            ];
            let token = self.tokens.place(&names);
            let expires = contact.params.get("expires");
            let asked = expires.and_then(|text| text.parse().ok()).or(default);
            contact.params.remove("expires");
            registration.contacts.push(Place {
                token,
                contact,
                asked,
            });
        }
    }

    /// Answers a refresh by itself (a mid-registrar): the registration at the carrier is to last
    /// longer than the browser's, more than half of it is left, and nothing has changed. The
    /// connection is the one that proved who it is.
    fn refresh_here(
        &self,
        context: &mut Context,
        now: Instant,
        request: &Incoming,
        registration: &Registration,
        realm: &RealmConfig,
    ) -> bool {
        let [place] = registration.contacts.as_slice() else {
            return false;
        };
        let asked = place.asked.unwrap_or(TRUNK_REGISTRATION_EXPIRES_DEFAULT_S);
        let binding = self.bindings.get(now, &place.token).filter(|binding| {
            let left = binding.expires_at - now;
            binding.connection == registration.connection
                && binding.is_connected
                && binding.mode == Mode::Contact
                && binding.contact == place.contact
                && left > binding.granted / 2
                && left >= Duration::from_secs(u64::from(asked))
        });
        let throttles = registration.mode == Mode::Contact && realm.upstream_expires.is_some();
        let Some(binding) = binding.filter(|_| throttles && asked > 0) else {
            return false;
        };
        let mut response = context.response(&request.message, 200);
        let contact = with_expires(place.contact.clone(), asked);
        response.push(HeaderName::Contact, contact);
        for route in &binding.service_route {
            response.push(HeaderName::ServiceRoute, route.as_str());
        }
        for identity in &binding.associated {
            response.push(HeaderName::PAssociatedUri, format!("<sip:{identity}>"));
        }
        context.respond(now, request.transaction, response);
        log(context, registration, 200);
        true
    }
}

pub(super) fn log(context: &mut Context, registration: &Registration, status: u16) {
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

/// The settings of the user's realm; those of an empty one if there is none.
pub(super) fn realm_of(context: &Context, address_of_record: &str) -> RealmConfig {
    let domain = address_of_record.rsplit_once('@');
    let realm = domain.and_then(|(_, domain)| context.config.realm_of_domain(domain));
    realm.cloned().unwrap_or_default()
}

/// How this REGISTER is passed on; `None` if the browser must know Path, and does not.
fn mode_of(realm: &RealmConfig, request: &Message) -> Option<Mode> {
    let knows_path = request.lists_token(HeaderName::Supported, "path");
    match (realm.registration, realm.without_path) {
        (Mode::Contact, _) => Some(Mode::Contact),
        (Mode::Path, _) if knows_path => Some(Mode::Path),
        (Mode::Path, WithoutPath::Add) => Some(Mode::Path),
        (Mode::Path, WithoutPath::Contact) => Some(Mode::Contact),
        (Mode::Path, WithoutPath::Refuse) => None,
    }
}

/// Does the browser register a flow of an instance (RFC 5626 section 4.2)?
fn wants_outbound(contacts: &[Contact]) -> bool {
    contacts.iter().any(|contact| match contact {
        Contact::Star => false,
        Contact::Address(contact) => {
            contact.params.has("reg-id") && contact.params.has("+sip.instance")
        }
    })
}

/// Puts our Contacts in the place of the browser's.
fn show_ours(
    context: &Context,
    registration: &Registration,
    contacts: &[Contact],
    realm: &RealmConfig,
    onward: &mut Message,
) {
    onward.remove(HeaderName::Contact);
    let mut places = registration.contacts.iter();
    for contact in contacts {
        let value = match contact {
            Contact::Star => Some("*".to_owned()),
            Contact::Address(contact) => places
                .next()
                .map(|place| ours(context, registration, place, contact, realm)),
        };
        onward.push(HeaderName::Contact, value.unwrap_or_default());
    }
    strip_options(onward);
}

/// Our Contact for a browser's.
fn ours(
    context: &Context,
    registration: &Registration,
    place: &Place,
    contact: &NameAddr,
    realm: &RealmConfig,
) -> String {
    let uri = contact_of(context, &registration.address_of_record, &place.token);
    let mut shown = format!("<{uri}>");
    let asked = place.asked.unwrap_or(TRUNK_REGISTRATION_EXPIRES_DEFAULT_S);
    let upstream = place.asked_upstream(Mode::Contact, realm);
    if asked < upstream {
        shown.push_str(&format!(";expires={upstream}"));
    } else if let Some(expires) = contact.params.get("expires") {
        shown.push_str(&format!(";expires={expires}"));
    }
    if let Some(q) = contact.params.get("q") {
        shown.push_str(&format!(";q={q}"));
    }
    shown
}

/// Our URI for one place of a user, as carriers see it.
pub(crate) fn contact_of(context: &Context, address_of_record: &str, token: &str) -> String {
    let user = address_of_record.rsplit_once('@');
    let user = user.map(|(user, _)| user).unwrap_or_default();
    let user = crate::sip::uri::escape_user(user);
    let transport = context.transport_of_user(address_of_record);
    context.trunk_side_uri(&format!("{user}{TOKEN_MARK}{token}"), transport)
}

/// The line in the user part of a URI of ours, in front of the token.
pub(crate) fn line_in(uri: &Uri) -> Option<String> {
    let (line, _) = uri.user.as_deref()?.rsplit_once(TOKEN_MARK)?;
    decode(line)
}

/// The text in the user part of a URI of ours that should be a token. A carrier may have added
/// parameters of a number behind it.
pub(crate) fn token_in(uri: &Uri) -> Option<&str> {
    let user = uri.user.as_deref()?;
    let token = user.rsplit_once(TOKEN_MARK);
    let (token, _) = split_number(token.map_or(user, |(_, token)| token));
    Some(token)
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
