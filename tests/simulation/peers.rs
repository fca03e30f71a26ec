//! A browser and a carrier made of text.

use bytes::Bytes;
use control::engine::input::Peer;
use control::sip::digest::{self, Challenge};
use control::sip::{HeaderName, Message, Method};
use tests::world::{TRUNK, World};

pub(crate) const BROWSER_OFFER: &str = include_str!("../fixtures/chromium_offer_audio.sdp");
pub(crate) const BROWSER_VIDEO_OFFER: &str =
    include_str!("../fixtures/chromium_offer_audio_video.sdp");
pub(crate) const BROWSER_ANSWER: &str = include_str!("../fixtures/chromium_answer_audio.sdp");
pub(crate) const CARRIER_OFFER: &str = include_str!("../fixtures/carrier_offer.sdp");
pub(crate) const CARRIER_ANSWER: &str = include_str!("../fixtures/carrier_answer.sdp");

pub(crate) fn trunk() -> Peer {
    Peer::Udp(TRUNK.parse().unwrap())
}

/// Registers a browser at the built-in lines.
pub(crate) fn log_in(world: &mut World, user: &str, password: &str) -> Peer {
    let browser = world.browser();
    let request = World::register_message(user, "lines.test", &format!("reg-{user}"));
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    let retry = with_credentials(&request, &challenge, user, password);
    world.receive(browser, &retry);
    world.expect_status(browser, 200);
    browser
}

/// The same request again, with credentials for a challenge.
pub(crate) fn with_credentials(
    request: &Message,
    challenge: &Message,
    user: &str,
    password: &str,
) -> Message {
    let (asked, answered) = if challenge.status() == Some(401) {
        (HeaderName::WwwAuthenticate, HeaderName::Authorization)
    } else {
        (
            HeaderName::ProxyAuthenticate,
            HeaderName::ProxyAuthorization,
        )
    };
    let value = challenge.header(&asked).expect("a challenge");
    let parsed = Challenge::parse(value).expect("a digest challenge");
    let uri = request.request_uri().unwrap();
    let method = request.method();
    let credentials =
        digest::answer(&parsed, user, password, &method, uri, 1, "cnonce").expect("MD5");
    let mut retry = request.clone();
    let via = request.header(HeaderName::Via).unwrap().to_owned();
    retry.set(HeaderName::Via, format!("{via}again"));
    let number = request.cseq().unwrap().number + 1;
    retry.set(HeaderName::CSeq, format!("{number} {method}"));
    retry.push(answered, credentials.to_string());
    retry
}

/// Registers a browser at the carrier, which grants it without a challenge.
pub(crate) fn register_at_carrier(world: &mut World, user: &str) -> Peer {
    register_at(world, trunk(), user)
}

/// The same, with a carrier that is spoken to in some way.
pub(crate) fn register_at(world: &mut World, carrier: Peer, user: &str) -> Peer {
    let browser = world.browser();
    let request = World::register_message(user, "carrier.test", &format!("creg-{user}"));
    world.receive(browser, &request);
    let onward = world.expect_request(carrier, &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    granted.set_to_tag("registrar");
    granted.push(
        HeaderName::Contact,
        onward.header(HeaderName::Contact).unwrap(),
    );
    world.receive(carrier, &granted);
    world.expect_status(browser, 200);
    browser
}

/// An INVITE as JsSIP writes it.
pub(crate) fn browser_invite(from: &str, domain: &str, to: &str, offer: &str) -> Message {
    let uri = format!("sip:{to}@{domain}");
    let mut invite = Message::request(Method::Invite, &uri);
    invite.push(
        HeaderName::Via,
        format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{from}{to}"),
    );
    invite.push(HeaderName::MaxForwards, "69");
    invite.push(HeaderName::To, format!("<{uri}>"));
    invite.push(
        HeaderName::From,
        format!("\"{from}\" <sip:{from}@{domain}>;tag=caller"),
    );
    invite.push(HeaderName::CallId, format!("call-{from}-{to}"));
    invite.push(HeaderName::CSeq, "7421 INVITE");
    invite.push(
        HeaderName::Contact,
        format!("<sip:{from}x@x1.invalid;transport=ws;ob>"),
    );
    invite.push(HeaderName::SessionExpires, "90");
    invite.push(HeaderName::Supported, "timer,ice,replaces,outbound");
    invite.push(HeaderName::UserAgent, "JsSIP 3.13.8");
    invite.push("X-Internal", "10.0.0.7");
    invite.set_body("application/sdp", Bytes::from(offer.to_owned()));
    invite
}

/// An INVITE of the carrier to a Contact or number of ours.
pub(crate) fn carrier_invite(uri: &str, offer: &str) -> Message {
    let mut invite = Message::request(Method::Invite, uri);
    invite.push(
        HeaderName::Via,
        format!("SIP/2.0/UDP {TRUNK};branch=z9hG4bKcarrier1;rport"),
    );
    invite.push(HeaderName::MaxForwards, "68");
    invite.push(HeaderName::To, "<sip:alice@carrier.test>");
    invite.push(HeaderName::From, "\"Bob\" <sip:bob@carrier.test>;tag=bob1");
    invite.push(HeaderName::CallId, "carrier-call-1");
    invite.push(HeaderName::CSeq, "1 INVITE");
    invite.push(HeaderName::Contact, format!("<sip:bob@{TRUNK}>"));
    invite.set_body("application/sdp", Bytes::from(offer.to_owned()));
    invite
}

/// A response of whoever got this request, with a Contact and perhaps a description.
pub(crate) fn answer_to(request: &Message, status: u16, tag: &str, sdp: Option<&str>) -> Message {
    let mut response = Message::response_to(request, status, None);
    response.set_to_tag(tag);
    response.push(HeaderName::Contact, format!("<sip:peer@{TRUNK}>"));
    if let Some(sdp) = sdp {
        response.set_body("application/sdp", Bytes::from(sdp.to_owned()));
    }
    response
}

/// A request in the dialog that a response to an INVITE made, from the caller.
pub(crate) fn in_dialog(invite: &Message, accepted: &Message, method: &Method, n: u32) -> Message {
    let contact = accepted.header(HeaderName::Contact).unwrap();
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    let mut request = Message::request(method.clone(), uri);
    let via = invite.header(HeaderName::Via).unwrap();
    request.push(HeaderName::Via, format!("{via}{method}{n}"));
    request.push(HeaderName::MaxForwards, "69");
    request.push(HeaderName::To, accepted.header(HeaderName::To).unwrap());
    request.push(HeaderName::From, invite.header(HeaderName::From).unwrap());
    request.push(HeaderName::CallId, invite.call_id());
    let number = invite.cseq().unwrap().number + n;
    request.push(HeaderName::CSeq, format!("{number} {method}"));
    request
}

/// A request in the dialog of an INVITE that we received, from the side that was called.
pub(crate) fn in_dialog_of_callee(invite: &Message, tag: &str, method: &Method) -> Message {
    let contact = invite.header(HeaderName::Contact).unwrap();
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    let mut request = Message::request(method.clone(), uri);
    request.push(
        HeaderName::Via,
        format!("SIP/2.0/UDP {TRUNK};branch=z9hG4bK{tag}{method}"),
    );
    request.push(HeaderName::MaxForwards, "69");
    request.push(HeaderName::To, invite.header(HeaderName::From).unwrap());
    let from = invite.header(HeaderName::To).unwrap();
    request.push(HeaderName::From, format!("{from};tag={tag}"));
    request.push(HeaderName::CallId, invite.call_id());
    request.push(HeaderName::CSeq, format!("100 {method}"));
    request
}

/// A call of the carrier at a line.
pub(crate) struct CarrierCall {
    pub(crate) browser: Peer,
    /// The carrier's INVITE, ours to the browser, and our 200 to the carrier.
    pub(crate) invite: Message,
    pub(crate) onward: Message,
    pub(crate) accepted: Message,
}

/// The carrier calls line 1001, which answers with the tag `alice1`.
pub(crate) fn carrier_talks(world: &mut World) -> CarrierCall {
    carrier_talks_with(world, CARRIER_OFFER, |_| BROWSER_ANSWER.to_owned())
}

/// The same, with descriptions of its own.
pub(crate) fn carrier_talks_with(
    world: &mut World,
    offer: &str,
    answer: impl FnOnce(&Message) -> String,
) -> CarrierCall {
    let browser = log_in(world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", offer);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(&answer(&onward)));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    CarrierCall {
        browser,
        invite,
        onward,
        accepted,
    }
}
