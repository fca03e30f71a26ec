//! G2: calls of a trunk that have a way of their own (`call_route`, `OUTBOUND_ROUTE`), while
//! registrations and everything else go to its target.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::digest::{Credentials, verify};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at_carrier, trunk,
};
use crate::proxy::from_browser;

const ROUTE: &str = "198.51.100.30:5070";
const ACCOUNT: &str = "username = \"joe\"\npassword = \"trunk secret\"\n";

fn route() -> Peer {
    Peer::Udp(ROUTE.parse().unwrap())
}

/// The usual carrier, with a route for calls and more keys.
fn config(keys: &str) -> String {
    let keys = format!("call_route = \"{ROUTE}\"\n{keys}\n[[realm]]");
    CONFIG.replacen("[[realm]]", &keys, 1)
}

fn dial(world: &mut World, browser: Peer, invite: &Message) -> Message {
    world.receive(browser, invite);
    world.expect_status(browser, 100);
    world.expect_request(route(), &Method::Invite)
}

fn challenge(request: &Message) -> Message {
    let mut response = answer_to(request, 407, "challenger", None);
    let value = "Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"";
    response.push(HeaderName::ProxyAuthenticate, value);
    response
}

fn credentials(request: &Message) -> Option<Credentials> {
    let value = request.header(HeaderName::ProxyAuthorization)?;
    Credentials::parse(value)
}

#[test]
fn ux_g2_users_register_at_one_place_and_call_at_the_other() {
    let mut world = World::with_config(&config(ACCOUNT));
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    let first = dial(&mut world, browser, &invite);
    assert_eq!(first.request_uri(), Some("sip:5551234@carrier.test"));
    assert!(credentials(&first).is_none());
    world.receive(route(), &challenge(&first));
    world.expect_request(route(), &Method::Ack);
    let again = world.expect_request(route(), &Method::Invite);
    let proof = credentials(&again).unwrap();
    assert_eq!(proof.username, "joe");
    assert!(verify(&proof, &Method::Invite, "trunk secret"));
    world.receive(
        route(),
        &answer_to(&again, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(route(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    let bye = world.expect_request(route(), &Method::Bye);
    assert_eq!(credentials(&bye).unwrap().username, "joe");
    world.expect_silence(trunk());
}

#[test]
fn ux_g2_the_account_of_the_calls_is_told_to_nobody_else() {
    let mut world = World::with_config(&config(ACCOUNT));
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut message = from_browser(Method::Message, "sip:5551234@lines.test", 1);
    message.set(HeaderName::From, "<sip:1001@lines.test>;tag=m");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert!(credentials(&onward).is_none());
    world.receive(trunk(), &challenge(&onward));
    world.expect_status(browser, 407);
    world.expect_silence(trunk());
    world.expect_silence(route());

    // One that registers is of both places.
    let both = config(&format!("{ACCOUNT}register = true\n"));
    let mut world = World::with_config(&both);
    world.advance(Duration::ZERO);
    let register = world.expect_request(trunk(), &Method::Register);
    world.receive(trunk(), &challenge(&register));
    let again = world.expect_request(trunk(), &Method::Register);
    assert_eq!(credentials(&again).unwrap().username, "joe");
}

#[test]
fn ux_g2_calls_come_from_either_place() {
    for carrier in [trunk(), route()] {
        let mut world = World::with_config(&config(ACCOUNT));
        let browser = world.browser();
        let request = World::register_message("alice", "carrier.test", "reg");
        world.receive(browser, &request);
        let onward = world.expect_request(trunk(), &Method::Register);
        let contact = onward.header(HeaderName::Contact).unwrap().to_owned();
        let mut granted = Message::response_to(&onward, 200, None);
        granted.push(HeaderName::Contact, contact.as_str());
        world.receive(trunk(), &granted);
        world.expect_status(browser, 200);
        let uri = contact.trim_start_matches('<').split('>').next().unwrap();
        world.receive(carrier, &carrier_invite(uri, CARRIER_OFFER));
        world.expect_request(browser, &Method::Invite);
    }
}

#[test]
fn ux_g2_what_the_registrar_says_of_its_own_way_is_not_for_calls() {
    let mut world = World::with_config(&config(""));
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    let contact = onward.header(HeaderName::Contact).unwrap();
    granted.push(HeaderName::Contact, contact);
    granted.push("Service-Route", "<sip:edge.carrier.test;lr>");
    world.receive(trunk(), &granted);
    world.expect_status(browser, 200);
    let invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    let onward = dial(&mut world, browser, &invite);
    assert_eq!(onward.values(HeaderName::Route).count(), 0);
}

#[test]
fn ux_g2_calls_have_the_numbers_of_the_route() {
    let keys = "caller_number = \"16046288900\"\ncalled_number = \"0100\"\n";
    let mut world = World::with_config(&config(keys));
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    invite.push(
        HeaderName::Identity,
        "eyJ.signed;info=<https://a.example/c>",
    );
    let onward = dial(&mut world, browser, &invite);
    assert_eq!(onward.request_uri(), Some("sip:0100@carrier.test"));
    assert_eq!(
        onward.header(HeaderName::To),
        Some("<sip:0100@carrier.test>")
    );
    let from = onward.header(HeaderName::From).unwrap();
    let expected = "\"alice\" <sip:16046288900@carrier.test>;tag=";
    assert!(from.starts_with(expected), "{from}");
    let asserted: Vec<&str> = onward.values(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:16046288900@carrier.test>"]);
    let signature = onward.header(HeaderName::Identity);
    assert_eq!(signature, None, "it is over other numbers");
}

#[test]
fn ux_g2_a_caller_who_hides_stays_hidden_behind_the_number_of_the_route() {
    let mut world = World::with_config(&config("caller_number = \"16046288900\"\n"));
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    let hidden = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=caller";
    invite.set(HeaderName::From, hidden);
    let onward = dial(&mut world, browser, &invite);
    let from = onward.header(HeaderName::From).unwrap();
    assert!(from.contains("anonymous@anonymous.invalid"), "{from}");
    let asserted: Vec<&str> = onward.values(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:16046288900@carrier.test>"]);
}

#[test]
fn ux_g2_without_a_registrar_lines_call_and_nobody_registers() {
    let text = config(ACCOUNT).replace("target = \"198.51.100.20:5060\"", "target = []");
    let mut world = World::with_config(&text);
    let stranger = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg");
    world.receive(stranger, &request);
    let refused = world.expect_status(stranger, 403);
    let warning = refused.header("Warning").unwrap();
    assert!(warning.contains("has no registrar"), "{warning}");
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "5551234", BROWSER_OFFER);
    let onward = dial(&mut world, line, &invite);
    assert_eq!(onward.request_uri(), Some("sip:5551234@carrier.test"));
}

#[test]
fn ux_g2_a_route_with_srv_records_is_looked_up_and_fails_over() {
    let at = |last: u8| Peer::Udp(([198, 51, 100, last], 5060).into());
    let text = config(ACCOUNT).replace(&format!("\"{ROUTE}\""), "\"calls.test\"");
    let mut world = World::with_config(&text);
    let servers = [
        (10, 0, 5060, "one.calls.test"),
        (20, 0, 5060, "two.calls.test"),
    ];
    world.dns.service("_sip._udp.calls.test", &servers);
    world.dns.host("one.calls.test", &["198.51.100.41"]);
    world.dns.host("two.calls.test", &["198.51.100.42"]);
    world.advance(Duration::ZERO);
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let first = world.expect_request(at(41), &Method::Invite);
    world.receive(at(41), &answer_to(&first, 503, "no", None));
    let second = world.expect_request(at(42), &Method::Invite);
    world.receive(at(42), &challenge(&second));
    world.expect_request(at(42), &Method::Ack);
    let proven = world.expect_request(at(42), &Method::Invite);
    assert_eq!(credentials(&proven).unwrap().username, "joe");
    world.expect_silence(trunk());
}

#[test]
fn ux_g2_a_route_that_cannot_be_found_leaves_the_registrar_alone() {
    let text = config("").replace(&format!("\"{ROUTE}\""), "\"calls.test\"");
    let mut world = World::with_config(&text);
    world.dns.is_down = true;
    world.advance(Duration::ZERO);
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "5551234", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.expect_status(browser, 503);
    world.expect_silence(trunk());
}

#[test]
fn ux_g2_both_places_are_asked_whether_they_live() {
    let mut world = World::with_config(&config("probe_s = 20\n"));
    world.advance(Duration::ZERO);
    world.expect_request(trunk(), &Method::Options);
    world.expect_request(route(), &Method::Options);
}
