//! What changes in a message that passes through: Contact and Record-Route by the mode of the
//! registration, identities by who is trusted.

use super::binding::Binding;
use super::route::{self, RecordRoutes};
use super::{Place, Way, identity, register};
use crate::config::Registration as Mode;
use crate::engine::context::Context;
use crate::sip::{HeaderName, Message, Method, NameAddr};

/// What the previous hop is told of a flow that is dead (RFC 5626 section 5.3.1): 430 makes a
/// registrar with outbound try the instance's next flow; others know 480.
pub(crate) const fn dead_flow(mode: Mode) -> u16 {
    match mode {
        Mode::Path => 430,
        Mode::Contact => 480,
    }
}

/// May requests of this method begin a dialog that passes through here? What is not known may.
pub(crate) const fn makes_dialog(method: &Method) -> bool {
    match method {
        Method::Subscribe | Method::Notify | Method::Refer | Method::Other(_) => true,
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Message
        | Method::Update
        | Method::Publish => false,
    }
}

/// What a carrier gets to see of a browser's request.
pub(super) fn to_trunk(
    context: &Context,
    place: &Place,
    binding: Option<&Binding>,
    makes_dialog: bool,
    message: &mut Message,
) {
    match binding {
        Some(binding) => identity::assert(message, binding),
        None => identity::strip(message),
    }
    let from = message.header(HeaderName::From).and_then(NameAddr::parse);
    if from.is_none_or(|from| identity::is_anonymous(&from.uri)) {
        identity::keep_private(message);
    }
    match place.mode {
        Mode::Contact if makes_dialog => {
            let uri = register::contact_of(context, &place.address_of_record, &place.token);
            message.set(HeaderName::Contact, format!("<{uri}>"));
        }
        Mode::Contact => {
            message.remove(HeaderName::Contact);
        }
        Mode::Path if makes_dialog => {
            let ours = RecordRoutes::new(context, &place.address_of_record, &place.token);
            message.push_front(HeaderName::RecordRoute, ours.browser_side);
            message.push_front(HeaderName::RecordRoute, ours.trunk_side);
        }
        Mode::Path => {}
    }
}

/// Keeps an address in From that is none from a browser, which would not understand the request.
pub(super) fn name_nobody(message: &mut Message) {
    let from = message.header(HeaderName::From);
    if from.and_then(NameAddr::parse).is_some() {
        return;
    }
    let tag = message.from_tag().map(|tag| format!(";tag={tag}"));
    let anonymous = format!("{}{}", identity::ANONYMOUS, tag.unwrap_or_default());
    message.set(HeaderName::From, anonymous);
}

/// Replaces the Route of a request, where it stands.
pub(super) fn set_routes(message: &mut Message, routes: &[String]) {
    if routes.is_empty() {
        message.remove(HeaderName::Route);
    } else {
        message.set(HeaderName::Route, routes.join(", "));
    }
}

/// What a browser gets to see of a carrier's request.
pub(super) fn to_browser(
    context: &Context,
    place: &Place,
    makes_dialog: bool,
    message: &mut Message,
) {
    if identity::wants_privacy(message) {
        message.remove(HeaderName::PAssertedIdentity);
    }
    name_nobody(message);
    match place.mode {
        Mode::Contact if makes_dialog => {
            let ours = route::record_route_of_browser(&place.token);
            message.push_front(HeaderName::RecordRoute, ours);
        }
        Mode::Path if makes_dialog => {
            let ours = RecordRoutes::new(context, &place.address_of_record, &place.token);
            message.push_front(HeaderName::RecordRoute, ours.trunk_side);
            message.push_front(HeaderName::RecordRoute, ours.browser_side);
        }
        Mode::Contact | Mode::Path => {}
    }
}

/// What the answer says about the way of later requests, and about who answers.
pub(super) fn way_back(
    context: &Context,
    way: &Way,
    makes_dialog: bool,
    response: &Message,
    answer: &mut Message,
) {
    let status = response.status().unwrap_or_default();
    if makes_dialog {
        answer.copy_from(response, HeaderName::RecordRoute);
    }
    match way {
        Way::ToTrunk(place) => {
            if identity::wants_privacy(response) {
                answer.remove(HeaderName::PAssertedIdentity);
            }
            if makes_dialog && place.mode == Mode::Contact {
                // At the far end of the list: the browser reads it from there.
                let ours = route::record_route_of_browser(&place.token);
                answer.push(HeaderName::RecordRoute, ours);
            }
            if makes_dialog || (300..400).contains(&status) || status == 485 {
                answer.copy_from(response, HeaderName::Contact);
            }
        }
        Way::ToBrowser(place) => {
            identity::strip(answer);
            match place.mode {
                Mode::Contact if makes_dialog => {
                    route::remove_own_record_routes(context, answer);
                    let uri = register::contact_of(context, &place.address_of_record, &place.token);
                    answer.push(HeaderName::Contact, format!("<{uri}>"));
                }
                Mode::Path if makes_dialog => answer.copy_from(response, HeaderName::Contact),
                Mode::Contact | Mode::Path => {}
            }
        }
        Way::Line => identity::strip(answer),
    }
}

/// What carriers tell each other for their bills: neither shown to a browser nor believed of one
/// (RFC 7315 sections 4.5 and 4.6: it stays within the trust domain).
const FOR_BILLS: [HeaderName; 2] = [
    HeaderName::PChargingVector,
    HeaderName::PChargingFunctionAddresses,
];

/// Removes what is for carriers only. A browser is at one end of all that passes here.
pub(super) fn strip_charging(message: &mut Message) {
    for name in &FOR_BILLS {
        message.remove(name);
    }
}

/// Headers of a response that are made new, or name the way it came.
const NOT_COPIED: [HeaderName; 12] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::RecordRoute,
    HeaderName::Path,
    HeaderName::ContentLength,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
    HeaderName::Warning,
];

/// The next hop's response, as the response to the request that came in.
pub(super) fn answer_from(request: &Message, response: &Message, status: u16) -> Message {
    let mut answer = Message::response_to(request, status, response.reason());
    // From is ours byte for byte; the To tag is the answerer's.
    if let (Some(tag), None) = (response.to_tag(), request.to_tag()) {
        answer.set_to_tag(tag);
    }
    for (name, value) in response.lines() {
        if !NOT_COPIED.contains(name) && *name != HeaderName::ContentType {
            answer.push(name, value);
        }
    }
    strip_charging(&mut answer);
    if let Some(media_type) = response.header(HeaderName::ContentType) {
        answer.set_body(media_type, response.body().clone());
    }
    answer
}
