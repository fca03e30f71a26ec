//! Requests that are no calls, at trunks with several targets (D1; RFC 3263 section 4.3): they go on
//! at the next target as calls do.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World};

use crate::flows::granted;
use crate::peers::{answer_to, register_at, trunk};
use crate::proxy::from_browser;

fn at(last: u8) -> Peer {
    Peer::Udp(([198, 51, 100, last], 5060).into())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A carrier with so many targets, the first of which is `trunk()`; and a browser without a
/// registration.
fn world_of(count: u8) -> World {
    let targets: Vec<String> = (0..count)
        .map(|number| format!("\"198.51.100.{}:5060\"", 20 + number))
        .collect();
    let list = format!("target = [{}]", targets.join(", "));
    World::with_config(&CONFIG.replace(&format!("target = \"{TRUNK}\""), &list))
}

fn register(world: &mut World) -> Peer {
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg-1");
    world.receive(browser, &request);
    browser
}

/// Takes the request at a target, and its repeats.
fn asked(world: &mut World, target: Peer, method: &Method) -> Message {
    let request = world.expect_request(target, method);
    world.sent.retain(|(peer, _)| *peer != target);
    request
}

fn refusal(request: &Message, status: u16) -> Message {
    answer_to(request, status, "no", None)
}

#[test]
fn d1_a_register_that_meets_silence_goes_on_at_the_next_target() {
    let mut world = world_of(2);
    let browser = register(&mut world);
    world.advance(Duration::from_millis(5_900));
    world.expect_silence(at(21));
    let first = asked(&mut world, trunk(), &Method::Register);
    world.advance(Duration::from_millis(200));
    let second = asked(&mut world, at(21), &Method::Register);
    for name in [HeaderName::CallId, HeaderName::CSeq, HeaderName::Contact] {
        assert_eq!(first.header(&name), second.header(&name));
    }
    assert_ne!(
        first.header(HeaderName::Via),
        second.header(HeaderName::Via),
        "another branch"
    );
    world.receive(at(21), &granted(&second));
    world.expect_status(browser, 200);
    assert_eq!(world.engine.usage().relayed, 0);
    // It is registered.
    let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
    world.receive(browser, &message);
    world.expect_request(at(21), &Method::Message);
}

#[test]
fn d1_a_503_leads_to_the_next_target_at_once() {
    let mut world = world_of(2);
    let browser = register_at(&mut world, trunk(), "alice");
    let message = from_browser(Method::Message, "sip:bob@carrier.test", 1);
    world.receive(browser, &message);
    let first = asked(&mut world, trunk(), &Method::Message);
    world.receive(trunk(), &refusal(&first, 503));
    let second = asked(&mut world, at(21), &Method::Message);
    assert_eq!(first.body(), second.body());
    world.receive(at(21), &refusal(&second, 202));
    world.expect_status(browser, 202);
    world.expect_silence(browser);
}

#[test]
fn d1_a_connection_that_cannot_be_had_leads_to_the_next_target_at_once() {
    let config = CONFIG
        .replace("[sip]\n", "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\n")
        .replace(
            &format!("target = \"{TRUNK}\""),
            &format!("transport = \"tcp\"\ntarget = [\"{TRUNK}\", \"198.51.100.21\"]"),
        );
    let mut world = World::with_config(&config);
    let over_tcp = |last: u8| Peer::Tcp(([198, 51, 100, last], 5060).into());
    world.unreachable.push(over_tcp(20));
    let browser = register(&mut world);
    world.sent.retain(|(peer, _)| *peer != over_tcp(20));
    let request = world.expect_request(over_tcp(21), &Method::Register);
    world.receive(over_tcp(21), &granted(&request));
    world.expect_status(browser, 200);
}

#[test]
fn d1_any_other_answer_to_a_request_is_final() {
    for status in [401, 403, 404, 408, 500, 600] {
        let mut world = world_of(2);
        let browser = register(&mut world);
        let request = asked(&mut world, trunk(), &Method::Register);
        world.receive(trunk(), &refusal(&request, status));
        world.expect_status(browser, status);
        world.expect_silence(at(21));
    }
}

#[test]
fn d1_the_best_answer_to_a_request_is_passed_on() {
    let mut world = world_of(2);
    let browser = register(&mut world);
    world.advance(seconds(7));
    let request = asked(&mut world, at(21), &Method::Register);
    world.receive(at(21), &refusal(&request, 503));
    // 408 of the first is of a lower class (RFC 3261 section 16.7).
    world.expect_status(browser, 408);
    assert_eq!(world.engine.usage().relayed, 0);
}

#[test]
fn d1_a_request_is_given_up_when_its_sender_has_given_up_and_not_later() {
    let mut world = world_of(12);
    let browser = register(&mut world);
    world.advance(Duration::from_millis(31_900));
    world.expect_silence(browser);
    world.advance(Duration::from_millis(200));
    world.expect_status(browser, 408);
    let is_asked = |last: &u8| {
        let mut sent = world.sent.iter();
        sent.any(|(peer, message)| *peer == at(*last) && message.method() == Method::Register)
    };
    let targets: Vec<u8> = (20..32).filter(is_asked).collect();
    assert_eq!(targets, [20, 21, 22, 23, 24, 25], "6 s each");
    world.sent.clear();
    world.advance(seconds(60));
    assert!(world.sent.is_empty());
    assert_eq!(world.engine.usage().transactions, 0);
}

#[test]
fn d1_a_request_is_tried_at_eight_targets_at_most() {
    let mut world = world_of(12);
    let browser = register(&mut world);
    let mut tried = 0;
    while let Some(last) = (20..32).find(|last| {
        let mut sent = world.sent.iter();
        sent.any(|(peer, message)| *peer == at(*last) && message.method() == Method::Register)
    }) {
        let request = asked(&mut world, at(last), &Method::Register);
        world.receive(at(last), &refusal(&request, 503));
        tried += 1;
    }
    assert_eq!(tried, 8);
    world.expect_status(browser, 503);
}

#[test]
fn d1_a_browser_that_has_gone_takes_its_request_along() {
    let mut world = world_of(2);
    let browser = register(&mut world);
    world.disconnect(browser);
    world.advance(seconds(60));
    world.expect_silence(at(21));
    assert_eq!(world.engine.usage().relayed, 0);
}

#[test]
fn d1_a_browser_is_unregistered_at_the_next_target_if_the_first_is_silent() {
    let list = format!("target = [\"{TRUNK}\", \"198.51.100.21\"]");
    let config = CONFIG
        .replace(&format!("target = \"{TRUNK}\""), &list)
        .replace("[[realm]]\n", "[[realm]]\nunregister_after_s = 5\n");
    let mut world = World::with_config(&config);
    let browser = register_at(&mut world, trunk(), "alice");
    world.disconnect(browser);
    world.advance(seconds(5));
    asked(&mut world, trunk(), &Method::Register);
    world.advance(seconds(7));
    let request = asked(&mut world, at(21), &Method::Register);
    let contact = request.header(HeaderName::Contact).unwrap();
    assert!(contact.ends_with(";expires=0"), "{contact}");
    world.receive(at(21), &refusal(&request, 200));
    assert_eq!(world.engine.usage().relayed, 0);
}
