//! D12: callers who do not want to be known (RFC 3323, RFC 3325).

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use control::token::Identity;
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// The browser calls as JsSIP does with `anonymous: true`, or without what is `None`.
fn hidden(user: &str, domain: &str, named: bool, privacy: Option<&str>) -> Message {
    let mut invite = browser_invite(user, domain, "5551234", BROWSER_OFFER);
    invite.set(HeaderName::From, format!("{ANONYMOUS};tag=caller"));
    if named {
        let preferred = format!("<sip:{user}@{domain}>");
        invite.push(HeaderName::PPreferredIdentity, preferred);
    }
    if let Some(privacy) = privacy {
        invite.push(HeaderName::Privacy, privacy);
    }
    invite
}

fn dial(world: &mut World, browser: Peer, invite: &Message) -> Message {
    world.receive(browser, invite);
    world.expect_status(browser, 100);
    world.expect_request(trunk(), &Method::Invite)
}

/// The carrier learns who calls, and that it is not to tell.
fn is_hidden(onward: &Message, identity: &str, privacy: &str) {
    let from = onward.header(HeaderName::From).unwrap();
    assert!(from.starts_with(&format!("{ANONYMOUS};tag=")), "{from}");
    let asserted: Vec<&str> = onward.values(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, [identity]);
    let asked: Vec<&str> = onward.headers(HeaderName::Privacy).collect();
    assert_eq!(asked, [privacy]);
    assert_eq!(onward.header(HeaderName::PPreferredIdentity), None);
}

#[test]
fn d12_an_anonymous_call_tells_the_carrier_alone_who_calls() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = hidden("alice", "carrier.test", true, Some("id"));
    let onward = dial(&mut world, browser, &invite);
    is_hidden(&onward, "<sip:alice@carrier.test>", "id");
    let seen = text(&onward).replace("P-Asserted-Identity: <sip:alice@carrier.test>", "");
    assert!(!seen.contains("alice"), "{seen}");
}

#[test]
fn d12_whoever_hides_is_who_alone_is_registered_on_the_connection() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = hidden("alice", "carrier.test", false, None);
    let onward = dial(&mut world, browser, &invite);
    is_hidden(&onward, "<sip:alice@carrier.test>", "id");
    let mut world = World::new();
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = hidden("1001", "lines.test", false, Some("header"));
    let onward = dial(&mut world, line, &invite);
    is_hidden(&onward, "<sip:1001@carrier.test>", "header;id");
}

#[test]
fn d12_nobody_hides_behind_somebody_else() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    world.receive(browser, &hidden("bob", "carrier.test", true, Some("id")));
    world.expect_status(browser, 100);
    world.expect_status(browser, 403);
    let stranger = world.browser();
    world.receive(
        stranger,
        &hidden("alice", "carrier.test", false, Some("id")),
    );
    world.expect_status(stranger, 100);
    world.expect_status(stranger, 403);
    // A line that has not registered here proves itself.
    world.receive(stranger, &hidden("1001", "lines.test", true, Some("id")));
    world.expect_status(stranger, 100);
    world.expect_status(stranger, 407);
}

#[test]
fn d12_a_caller_that_asks_for_privacy_is_hidden_in_from_too() {
    for privacy in ["id", "user;id", "ID;critical"] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        invite.push(HeaderName::Privacy, privacy);
        let onward = dial(&mut world, browser, &invite);
        is_hidden(&onward, "<sip:alice@carrier.test>", privacy);
    }
}

#[test]
fn d12_a_token_does_not_forbid_to_hide() {
    let config = format!(
        "{CONFIG}\n[web.token]\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
         required = \"handshake\"\n"
    );
    let mut world = World::with_config(&config);
    let browser = world.browser_of(Some(Identity::new("1001", "lines.test")));
    let onward = dial(
        &mut world,
        browser,
        &hidden("1001", "lines.test", true, None),
    );
    is_hidden(&onward, "<sip:1001@carrier.test>", "id");
}

#[test]
fn d12_who_calls_another_line_hides_from_it() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let mut invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    invite.push(HeaderName::Privacy, "id");
    world.receive(alice, &invite);
    let told = world.expect_request(bob, &Method::Invite);
    assert!(!text(&told).contains("1001"), "{}", text(&told));
}

#[test]
fn d12_a_carrier_that_leaves_the_hiding_to_us_is_obeyed() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    invite.push(HeaderName::PAssertedIdentity, "<sip:bob@carrier.test>");
    invite.push(HeaderName::Privacy, "user;id");
    world.receive(trunk(), &invite);
    let told = world.expect_request(browser, &Method::Invite);
    assert!(
        !text(&told).to_lowercase().contains("bob"),
        "{}",
        text(&told)
    );
}

#[test]
fn d12_an_anonymous_message_names_its_sender_to_the_carrier_alone() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = Message::request(Method::Message, "sip:bob@carrier.test");
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm");
    message.push(HeaderName::From, format!("{ANONYMOUS};tag=m"));
    message.push(HeaderName::To, "<sip:bob@carrier.test>");
    message.push(HeaderName::CallId, "m");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    is_hidden(&onward, "<sip:alice@carrier.test>", "id");
}

#[test]
fn o7_the_dialog_of_a_hidden_caller_follows_it_to_another_connection() {
    for named in [true, false] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let invite = hidden("alice", "carrier.test", named, Some("id"));
        let onward = dial(&mut world, browser, &invite);
        let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
        world.receive(trunk(), &answer);
        world.expect_request(trunk(), &Method::Ack);
        let accepted = world.expect_status(browser, 200);
        world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
        world.disconnect(browser);
        let again = register_at_carrier(&mut world, "alice");
        let bye = in_dialog_of_callee(&onward, "bob1", &Method::Bye);
        world.receive(trunk(), &bye);
        world.expect_status(trunk(), 200);
        world.expect_request(again, &Method::Bye);
    }
}
