//! What the registrar's answer to a REGISTER makes known: bindings, for how long, and beside them
//! the user's other identities and the way of its requests.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::binding::Binding;
use super::register::{Place, Registration, log, realm_of, token_in};
use super::{Edge, Moved, address_of_record};
use crate::config::Registration as Mode;
use crate::engine::context::Context;
use crate::engine::output::LogLine;
use crate::limits::{ROUTES_PER_BINDING_MAX, TRUNK_REGISTRATION_EXPIRES_DEFAULT_S};
use crate::sip::{HeaderName, Message, NameAddr};

/// The Contacts of an answer, as they are understood.
#[derive(Default)]
struct Listed {
    /// Tokens of the user's places that are bound, and for how long, in seconds.
    alive: Vec<(String, u32)>,
    /// What the browser is shown.
    shown: Vec<String>,
    /// True if one of the user's places was among them.
    has_ours: bool,
    /// The lifetime, in seconds, of each that is nobody's.
    others: Vec<u32>,
}

impl Edge {
    /// The registrar has answered: in Contact mode its Contacts become the browser's own again.
    pub(super) fn registered(
        &mut self,
        context: &mut Context,
        now: Instant,
        registration: Registration,
        response: &Message,
        answer: &mut Message,
    ) {
        let status = response.status().unwrap_or_default();
        log(context, &registration, status);
        if !(200..300).contains(&status) {
            return;
        }
        let mut listed = self.listed(now, &registration, response);
        if !listed.has_ours && take_as_ours(context, &registration, response, &mut listed) {
            self.say_contact_is_missing(context, registration.trunk);
        }
        for contact in listed.shown {
            answer.push(HeaderName::Contact, contact);
        }
        if !response.lists_token(HeaderName::Require, "outbound")
            || registration.mode == Mode::Contact
        {
            // RFC 5626 section 5.4: without outbound nobody watches the flow.
            answer.remove(HeaderName::FlowTimer);
        }
        self.bind(context, now, registration, &listed.alive, response);
    }

    fn listed(&self, now: Instant, registration: &Registration, response: &Message) -> Listed {
        let default = expires_of(response).unwrap_or(TRUNK_REGISTRATION_EXPIRES_DEFAULT_S);
        let mut listed = Listed::default();
        for value in response.values(HeaderName::Contact) {
            let Some(contact) = NameAddr::parse(value) else {
                continue;
            };
            let expires = contact.params.get("expires");
            let expires = expires.and_then(|text| text.trim().parse().ok());
            let expires: u32 = expires.unwrap_or(default);
            let place = self.place_of(now, registration, &contact);
            listed.has_ours |= place.is_some();
            match &place {
                Some(place) if expires > 0 => listed.alive.push((place.token.clone(), expires)),
                Some(_) => {}
                None => listed.others.push(expires),
            }
            listed.shown.push(match (registration.mode, place) {
                (Mode::Contact, Some(place)) => shown(place.into_owned(), expires),
                (Mode::Contact, None) => with_expires(contact, expires),
                // The browser looks for its Contact as it gave it.
                (Mode::Path, _) => value.to_owned(),
            });
        }
        listed
    }

    /// Says it once of each trunk.
    fn say_contact_is_missing(&mut self, context: &mut Context, trunk: usize) {
        if self.contacts_missed.insert(trunk) {
            let name = context.config.trunks.get(trunk);
            let trunk = name.map(|trunk| trunk.name.clone()).unwrap_or_default();
            context.log(LogLine::ContactMissing { trunk });
        }
    }

    /// The browser's Contact behind one of the registrar's: of this registration, or of an earlier
    /// one in Contact mode.
    fn place_of<'r>(
        &self,
        now: Instant,
        registration: &'r Registration,
        contact: &NameAddr,
    ) -> Option<Cow<'r, Place>> {
        let mut own = registration.contacts.iter();
        match registration.mode {
            Mode::Path => own
                .find(|place| is_same_place(&place.contact, contact))
                .map(Cow::Borrowed),
            Mode::Contact => {
                let token = token_in(&contact.uri)?;
                if let Some(place) = own.find(|place| place.token == token) {
                    return Some(Cow::Borrowed(place));
                }
                let binding = self.bindings.get(now, token)?;
                Some(Cow::Owned(Place {
                    token: token.to_owned(),
                    contact: binding.contact.clone(),
                    asked: None,
                }))
            }
        }
    }

    fn bind(
        &mut self,
        context: &Context,
        now: Instant,
        registration: Registration,
        alive: &[(String, u32)],
        response: &Message,
    ) {
        let associated = response
            .values(HeaderName::PAssociatedUri)
            .filter_map(address_of_record)
            .take(ROUTES_PER_BINDING_MAX);
        let associated: Vec<String> = associated.collect();
        let service_route = response.values(HeaderName::ServiceRoute);
        let service_route: Vec<String> = service_route
            .take(ROUTES_PER_BINDING_MAX)
            .map(str::to_owned)
            .collect();
        if registration.removes_all {
            let user = &registration.address_of_record;
            self.bindings.remove_user(registration.trunk, user);
        }
        for place in registration.contacts {
            let Some((_, expires)) = alive.iter().find(|(known, _)| *known == place.token) else {
                self.bindings.remove(&place.token);
                continue;
            };
            // At most 2^32 seconds (RFC 3261 section 20.19): no clock ends before.
            let granted = Duration::from_secs(u64::from(*expires));
            let binding = Binding {
                connection: registration.connection,
                is_connected: context.connections.contains_key(&registration.connection),
                contact: place.contact,
                address_of_record: registration.address_of_record.clone(),
                associated: associated.clone(),
                service_route: service_route.clone(),
                trunk: registration.trunk,
                mode: registration.mode,
                last: registration.last.clone(),
                granted,
                expires_at: now + granted,
            };
            if let Some(old) = self.bindings.insert(now, place.token, binding) {
                let own = registration.address_of_record.clone();
                self.moved.push(Moved {
                    from: old,
                    to: registration.connection,
                    users: associated.iter().cloned().chain([own]).collect(),
                });
            }
        }
    }
}

/// Takes a 2xx at its word that does not list the Contact that was sent (against RFC 3261 section
/// 10.3): what was asked for counts. One Contact sent, another one come back: that is how the
/// registrar writes ours, and the browser looks for its own. False if nothing was asked for.
fn take_as_ours(
    context: &Context,
    registration: &Registration,
    response: &Message,
    listed: &mut Listed,
) -> bool {
    let is_wanted = |place: &&Place| place.asked != Some(0);
    let wanted: Vec<&Place> = registration.contacts.iter().filter(is_wanted).collect();
    let rewritten = match (registration.contacts.as_slice(), listed.others.as_slice()) {
        ([_], [expires]) => Some(*expires),
        _ => None,
    };
    if wanted.is_empty() || rewritten == Some(0) {
        return false;
    }
    if rewritten.is_some() {
        listed.shown.clear();
    }
    let realm = realm_of(context, &registration.address_of_record);
    for place in wanted {
        let asked = place.asked_upstream(registration.mode, &realm);
        let granted = rewritten.or_else(|| expires_of(response)).unwrap_or(asked);
        let granted = granted.min(asked);
        if granted > 0 {
            listed.alive.push((place.token.clone(), granted));
            listed.shown.push(shown(place.clone(), granted));
        }
    }
    true
}

fn expires_of(response: &Message) -> Option<u32> {
    response.header(HeaderName::Expires)?.trim().parse().ok()
}

/// The same URI, and the same flow of it.
fn is_same_place(own: &NameAddr, given: &NameAddr) -> bool {
    own.uri.is_equivalent(&given.uri) && own.params.get("reg-id") == given.params.get("reg-id")
}

/// What the browser sees of its own Contact: not more time than it asked for.
fn shown(place: Place, granted: u32) -> String {
    let expires = place.asked.map_or(granted, |asked| granted.min(asked));
    with_expires(place.contact, expires)
}

pub(super) fn with_expires(mut contact: NameAddr, expires: u32) -> String {
    contact.params.set("expires", Some(&expires.to_string()));
    contact.to_string()
}
