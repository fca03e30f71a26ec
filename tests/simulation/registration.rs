//! REGISTER: built-in lines with digest, and trunks in Contact mode.

use std::time::Duration;

use control::sip::{HeaderName, Message, Method};
use tests::world::{World, text};

use crate::peers::{CARRIER_OFFER, answer_to};
use crate::peers::{carrier_invite, log_in, register_at_carrier, trunk, with_credentials};

#[test]
fn a_line_registers_with_its_password() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("1001", "lines.test", "reg");
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    let value = challenge.header(HeaderName::WwwAuthenticate).unwrap();
    assert!(
        value.contains("algorithm=MD5") && value.contains("qop=\"auth\""),
        "{value}"
    );
    world.receive(
        browser,
        &with_credentials(&request, &challenge, "1001", "secret-one"),
    );
    let granted = world.expect_status(browser, 200);
    let contact = granted.header(HeaderName::Contact).unwrap();
    assert!(
        contact.contains("1001x@x1.invalid") && contact.contains("expires=600"),
        "{contact}"
    );
}

#[test]
fn a_wrong_password_is_forbidden_and_an_unknown_line_not_found() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("1001", "lines.test", "reg");
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    world.receive(
        browser,
        &with_credentials(&request, &challenge, "1001", "guess"),
    );
    world.expect_status(browser, 403);
    world.receive(
        browser,
        &World::register_message("1999", "lines.test", "reg2"),
    );
    world.expect_status(browser, 404);
    world.receive(
        browser,
        &World::register_message("1001", "elsewhere.test", "reg3"),
    );
    world.expect_status(browser, 404);
}

#[test]
fn one_line_s_password_does_not_open_another() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("1002", "lines.test", "reg");
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    world.receive(
        browser,
        &with_credentials(&request, &challenge, "1001", "secret-one"),
    );
    world.expect_status(browser, 403);
}

#[test]
fn an_old_nonce_is_stale_and_a_foreign_one_is_not_taken() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("1001", "lines.test", "reg");
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    world.advance(Duration::from_secs(301));
    world.receive(
        browser,
        &with_credentials(&request, &challenge, "1001", "secret-one"),
    );
    let again = world.expect_status(browser, 401);
    assert!(
        again
            .header(HeaderName::WwwAuthenticate)
            .unwrap()
            .contains("stale=true")
    );
}

#[test]
fn the_carrier_sees_our_contact_and_the_browser_its_own() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    assert_eq!(onward.request_uri(), Some("sip:carrier.test"));
    assert_eq!(onward.headers(HeaderName::Via).count(), 1);
    let contact = onward.header(HeaderName::Contact).unwrap().to_owned();
    assert!(contact.starts_with("<sip:alice~"), "{contact}");
    assert!(
        contact.contains("@198.51.100.1:5060>;expires=600"),
        "{contact}"
    );
    let seen = text(&onward);
    for secret in [
        ".invalid",
        "transport=ws",
        "reg-id",
        "sip.instance",
        "203.0.113",
    ] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert!(onward.header(HeaderName::Supported).is_none(), "{seen}");

    let mut granted = Message::response_to(&onward, 200, None);
    granted.set_to_tag("r");
    granted.push(HeaderName::Contact, contact.replace("600", "300"));
    granted.push(HeaderName::Contact, "<sip:desk@198.51.100.77>;expires=60");
    world.receive(trunk(), &granted);
    let answer = world.expect_status(browser, 200);
    let contacts: Vec<&str> = answer.values(HeaderName::Contact).collect();
    assert_eq!(contacts.len(), 2);
    assert!(contacts[0].contains("alicex@x1.invalid"), "{contacts:?}");
    assert!(contacts[0].contains("expires=300") && contacts[0].contains("reg-id=1"));
    assert!(contacts[1].contains("desk@198.51.100.77"));
    assert_eq!(
        answer.header(HeaderName::Via),
        request.header(HeaderName::Via)
    );
}

#[test]
fn challenges_reach_the_browser_as_it_can_take_them() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg"),
    );
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut challenge = Message::response_to(&onward, 401, None);
    challenge.set_to_tag("r");
    let digest = "Digest realm=\"carrier.test\", nonce=\"n\"";
    let strong = format!("{digest}, algorithm=SHA-256, qop=\"auth\"");
    challenge.push(HeaderName::WwwAuthenticate, strong);
    let md5 = format!("{digest}, algorithm=MD5, qop=\"auth,auth-int\"");
    challenge.push(HeaderName::WwwAuthenticate, md5);
    world.receive(trunk(), &challenge);
    let answer = world.expect_status(browser, 401);
    let values: Vec<&str> = answer.headers(HeaderName::WwwAuthenticate).collect();
    assert_eq!(values.len(), 1, "{values:?}");
    assert!(
        values[0].contains("MD5") && !values[0].contains("auth-int"),
        "{values:?}"
    );
    assert!(values[0].contains("realm=\"carrier.test\"") && values[0].contains("nonce=\"n\""));
}

#[test]
fn coming_back_renews_the_same_contact() {
    let mut world = World::new();
    let first = register_at_carrier(&mut world, "alice");
    world.disconnect(first);
    let second = world.browser();
    world.receive(
        second,
        &World::register_message("alice", "carrier.test", "reg-2"),
    );
    let again = world.expect_request(trunk(), &Method::Register);
    let contact = again.header(HeaderName::Contact).unwrap().to_owned();
    world.receive(trunk(), &{
        let mut granted = Message::response_to(&again, 200, None);
        granted.push(HeaderName::Contact, contact.clone());
        granted
    });
    world.expect_status(second, 200);
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    world.receive(trunk(), &carrier_invite(uri, CARRIER_OFFER));
    world.expect_status(trunk(), 100);
    world.expect_request(second, &Method::Invite);
}

#[test]
fn the_carrier_s_silence_is_a_408_and_its_contact_is_gone_with_the_browser() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg"),
    );
    world.expect_request(trunk(), &Method::Register);
    world.advance(Duration::from_secs(40));
    world.expect_status(browser, 408);
}

#[test]
fn strangers_on_the_trunk_side_are_refused() {
    let mut world = World::new();
    let stranger = control::engine::input::Peer::Udp("198.51.100.66:5060".parse().unwrap());
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(stranger, &invite);
    world.expect_status(stranger, 403);
    assert!(world.commands.is_empty());
    // Once: what is repeated to an address that can be forged is a weapon.
    world.advance(Duration::from_secs(60));
    world.expect_silence(stranger);
    assert_eq!(world.engine.usage().transactions, 0);
}

#[test]
fn messages_pass_between_browser_and_carrier() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = Message::request(Method::Message, "sip:bob@carrier.test");
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm1");
    message.push(HeaderName::MaxForwards, "1");
    message.push(HeaderName::From, "<sip:alice@carrier.test>;tag=m");
    message.push(HeaderName::To, "<sip:bob@carrier.test>");
    message.push(HeaderName::CallId, "m1");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    message.set_body("text/plain", "hello".into());
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert_eq!(onward.header(HeaderName::MaxForwards), Some("0"));
    assert_eq!(onward.body().as_ref(), b"hello");
    assert!(!text(&onward).contains(".invalid"));
    world.receive(trunk(), &answer_to(&onward, 202, "b", None));
    let answer = world.expect_status(browser, 202);
    assert!(answer.header(HeaderName::Contact).is_none());
}

#[test]
fn options_to_us_are_answered_and_a_message_without_hops_is_not_passed_on() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut options = Message::request(Method::Options, "sip:lines.test");
    options.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKo1");
    options.push(HeaderName::MaxForwards, "0");
    options.push(HeaderName::From, "<sip:1001@lines.test>;tag=o");
    options.push(HeaderName::To, "<sip:lines.test>");
    options.push(HeaderName::CallId, "o1");
    options.push(HeaderName::CSeq, "1 OPTIONS");
    world.receive(browser, &options);
    let answer = world.expect_status(browser, 200);
    assert!(answer.header(HeaderName::Allow).unwrap().contains("INVITE"));
}
