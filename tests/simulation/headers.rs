//! D11, D12, D15, D16, D17: who calls, as each side may know it, and what passes unchanged.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at_carrier, trunk,
};

const PASSPORT: &str = "eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiJ9.eyJhdHRlc3QiOiJBIn0.sig;\
                        info=<https://cert.example/c.pem>;alg=ES256;ppt=\"shaken\"";

fn with_keys(keys: &str) -> World {
    let domain = "domain = \"carrier.test\"\ncodecs";
    World::with_config(&CONFIG.replace(
        domain,
        &domain.replace("codecs", &format!("{keys}\ncodecs")),
    ))
}

fn dial_with(world: &mut World, headers: &[(&str, &str)]) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    for (name, value) in headers {
        invite.set(*name, *value);
    }
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

fn ring_with(world: &mut World, headers: &[(&str, &str)]) -> (Peer, Message, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    for (name, value) in headers {
        invite.push(*name, *value);
    }
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    (browser, invite, onward)
}

#[test]
fn d11_what_a_caller_has_signed_reaches_the_carrier_as_it_is() {
    let mut world = World::new();
    let from = "\"Alice, A.\" <sip:+15551234@carrier.test;user=phone>;x=y;tag=caller";
    let to = "<sip:+15559876@carrier.test;user=phone>";
    let browser = register_at_carrier(&mut world, "+15551234");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set(HeaderName::From, from);
    invite.set(HeaderName::To, to);
    invite.push(HeaderName::Date, "Fri, 20 Nov 2026 14:00:00 GMT");
    invite.push(HeaderName::Identity, PASSPORT);
    invite.push(HeaderName::Identity, PASSPORT.replace("shaken", "div"));
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let passed: Vec<&str> = onward.headers(HeaderName::Identity).collect();
    let signed: Vec<&str> = invite.headers(HeaderName::Identity).collect();
    assert_eq!(passed, signed);
    assert_eq!(
        onward.header(HeaderName::Date),
        Some("Fri, 20 Nov 2026 14:00:00 GMT")
    );
    let ours = onward.header(HeaderName::From).unwrap();
    let unsigned = from.replace(";tag=caller", "");
    assert!(ours.starts_with(&unsigned), "{ours}");
    assert_eq!(onward.header(HeaderName::To), Some(to));
}

#[test]
fn d11_a_signature_over_a_from_that_changes_is_dropped() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = browser_invite("1001", "lines.test", "+15551234", BROWSER_OFFER);
    invite.push(HeaderName::Identity, PASSPORT);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(onward.header(HeaderName::Identity), None);
}

#[test]
fn d11_browsers_get_the_verdict_and_the_signature_only_if_configured() {
    let verdict = "<sip:+15559876;verstat=TN-Validation-Passed@carrier.test>";
    let headers = [("Identity", PASSPORT), ("P-Asserted-Identity", verdict)];
    let (_, _, told) = ring_with(&mut World::new(), &headers);
    assert_eq!(told.header(HeaderName::Identity), None);
    assert_eq!(told.header(HeaderName::PAssertedIdentity), Some(verdict));
    let mut world = with_keys("pass_headers = [\"identity\"]");
    let (_, _, told) = ring_with(&mut world, &headers);
    assert_eq!(told.header(HeaderName::Identity), Some(PASSPORT));
}

#[test]
fn d12_the_carrier_is_told_who_calls_by_us_and_not_by_the_browser() {
    let forged = [
        ("P-Asserted-Identity", "<sip:ceo@carrier.test>"),
        ("P-Preferred-Identity", "<sip:ceo@carrier.test>"),
        ("Privacy", "id"),
    ];
    let (_, _, onward) = dial_with(&mut World::new(), &forged);
    let asserted: Vec<&str> = onward.headers(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:alice@carrier.test>"]);
    assert_eq!(onward.header(HeaderName::PPreferredIdentity), None);
    assert_eq!(onward.header(HeaderName::Privacy), Some("id"));
    let mut world = with_keys("assert_identity = false");
    let (_, _, onward) = dial_with(&mut world, &forged);
    assert_eq!(onward.header(HeaderName::PAssertedIdentity), None);
}

#[test]
fn d12_a_private_caller_stays_private_to_browsers() {
    let asserted = ("P-Asserted-Identity", "<sip:+15559876@carrier.test>");
    let (_, _, told) = ring_with(&mut World::new(), &[asserted, ("Privacy", "user;id")]);
    assert_eq!(told.header(HeaderName::PAssertedIdentity), None);
    let (_, _, told) = ring_with(&mut World::new(), &[asserted]);
    assert_eq!(told.header(HeaderName::PAssertedIdentity), Some(asserted.1));
}

#[test]
fn d12_a_browser_is_not_believed_by_another_browser() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let mut invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    invite.push(HeaderName::PAssertedIdentity, "<sip:ceo@lines.test>");
    invite.push(HeaderName::Diversion, "<sip:ceo@lines.test>");
    world.receive(alice, &invite);
    let told = world.expect_request(bob, &Method::Invite);
    assert_eq!(told.header(HeaderName::PAssertedIdentity), None);
    assert_eq!(told.header(HeaderName::Diversion), None);
}

#[test]
fn d15_who_was_called_first_is_told_to_the_browser() {
    let diversion = "<sip:+15550000@carrier.test>;reason=unconditional";
    let history = "<sip:+15550000@carrier.test>;index=1, <sip:1001@x.test>;index=1.1";
    let headers = [("Diversion", diversion), ("History-Info", history)];
    let (_, _, told) = ring_with(&mut World::new(), &headers);
    assert_eq!(told.header(HeaderName::Diversion), Some(diversion));
    assert_eq!(told.header(HeaderName::HistoryInfo), Some(history));
    // And in a response: where the call went.
    let mut world = World::new();
    let (browser, _, onward) = dial_with(&mut world, &[]);
    let mut ringing = answer_to(&onward, 181, "bob1", None);
    ringing.push(HeaderName::HistoryInfo, history);
    world.receive(trunk(), &ringing);
    let told = world.expect_status(browser, 181);
    assert_eq!(told.header(HeaderName::HistoryInfo), Some(history));
}

fn ids(message: &Message) -> (String, String) {
    let value = message.header(HeaderName::SessionId).expect("a Session-ID");
    let (local, remote) = value.split_once(";remote=").expect("both identifiers");
    assert_eq!((local.len(), remote.len()), (32, 32), "{value}");
    (local.to_owned(), remote.to_owned())
}

#[test]
fn d16_one_pair_of_identifiers_names_a_call_on_both_legs() {
    let nil = "0".repeat(32);
    let mut world = World::new();
    let (browser, invite, onward) = dial_with(&mut world, &[]);
    let (caller, unknown) = ids(&onward);
    assert_eq!(unknown, nil);
    assert_ne!(caller, nil);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    let (callee, remote) = ids(&world.expect_status(browser, 180));
    assert_eq!(remote, caller);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ids(&ack), (caller.clone(), callee.clone()));
    let accepted = world.expect_status(browser, 200);
    assert_eq!(ids(&accepted), (callee.clone(), caller.clone()));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(ids(&bye), (caller.clone(), callee));
    let record = world.records.pop().unwrap();
    assert_eq!(record.began.session_id, caller);
}

#[test]
fn d16_identifiers_of_the_peers_are_kept() {
    let (a, b) = ("a".repeat(32), "b".repeat(32));
    let mut world = World::new();
    let said = format!("{a};remote={}", "0".repeat(32));
    let (browser, _, onward) = dial_with(&mut world, &[("Session-ID", &said)]);
    assert_eq!(onward.header(HeaderName::SessionId), Some(said.as_str()));
    let mut ringing = answer_to(&onward, 180, "bob1", None);
    ringing.push(HeaderName::SessionId, format!("{b};remote={a}"));
    world.receive(trunk(), &ringing);
    assert_eq!(ids(&world.expect_status(browser, 180)), (b, a));
}

#[test]
fn d17_user_to_user_passes_both_ways() {
    let uui = "56a390f3d2b7310023a2;encoding=hex;purpose=isdn-uui";
    let mut world = World::new();
    let (browser, _, onward) = dial_with(&mut world, &[("User-to-User", uui)]);
    assert_eq!(onward.header(HeaderName::UserToUser), Some(uui));
    let mut ringing = answer_to(&onward, 180, "bob1", None);
    ringing.push(HeaderName::UserToUser, uui);
    world.receive(trunk(), &ringing);
    let told = world.expect_status(browser, 180);
    assert_eq!(told.header(HeaderName::UserToUser), Some(uui));
    let (_, _, told) = ring_with(&mut World::new(), &[("User-to-User", uui)]);
    assert_eq!(told.header(HeaderName::UserToUser), Some(uui));
}

#[test]
fn c20_only_listed_headers_pass_beside_the_usual_ones() {
    let headers = [("X-Account", "7, \"a, b\""), ("X-Secret", "10.0.0.7")];
    let (_, _, onward) = dial_with(&mut World::new(), &headers);
    let seen = text(&onward);
    assert!(!seen.contains("X-"), "{seen}");
    let keys = "pass_headers = [\"X-Account\"]";
    let mut world = with_keys(keys);
    let (browser, _, onward) = dial_with(&mut world, &headers);
    assert_eq!(onward.header("X-Account"), Some("7, \"a, b\""));
    assert_eq!(onward.header("X-Secret"), None);
    let mut ringing = answer_to(&onward, 180, "bob1", None);
    ringing.push("X-Account", "8");
    ringing.push("X-Secret", "10.0.0.8");
    world.receive(trunk(), &ringing);
    let told = world.expect_status(browser, 180);
    assert_eq!(told.header("X-Account"), Some("8"));
    assert_eq!(told.header("X-Secret"), None);
    let (_, _, told) = ring_with(&mut with_keys(keys), &headers);
    assert_eq!(told.header("x-account"), Some("7, \"a, b\""));
    assert_eq!(told.header("X-Secret"), None);
}
