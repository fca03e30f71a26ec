//! Limits of a trunk: calls at a time, new calls per second.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at_carrier, trunk,
};
use crate::trouble::cancel_of;

fn with_keys(keys: &str) -> World {
    World::with_config(&CONFIG.replace("[[trunk]]\n", &format!("[[trunk]]\n{keys}\n")))
}

/// The browser calls a number. The INVITE.
fn dial(world: &mut World, browser: Peer, number: &str) -> Message {
    let invite = browser_invite("alice", "carrier.test", number, BROWSER_OFFER);
    world.receive(browser, &invite);
    invite
}

/// The same; what reaches the carrier.
fn reach(world: &mut World, browser: Peer, number: &str) -> Message {
    dial(world, browser, number);
    world.expect_status(browser, 100);
    world.expect_request(trunk(), &Method::Invite)
}

/// The number is called, and refused before the carrier hears of it.
fn is_refused(world: &mut World, browser: Peer, number: &str) -> Message {
    dial(world, browser, number);
    world.expect_status(browser, 100);
    let refusal = world.expect_status(browser, 503);
    world.expect_silence(trunk());
    refusal
}

/// The carrier calls a line.
fn ring(world: &mut World, number: u32) -> Message {
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::CallId, format!("carrier-call-{number}"));
    let via = invite.header(HeaderName::Via).unwrap().to_owned();
    invite.set(
        HeaderName::Via,
        via.replace("carrier1", &format!("c{number}")),
    );
    world.receive(trunk(), &invite);
    invite
}

fn warnings(world: &World) -> usize {
    let is_warning = |line: &&String| line.contains("Limit") && line.contains("refused: None");
    world.logged.iter().filter(is_warning).count()
}

#[test]
fn calls_of_both_directions_count_towards_calls_max() {
    let mut world = with_keys("calls_max = 2");
    let browser = register_at_carrier(&mut world, "alice");
    let line = log_in(&mut world, "1001", "secret-one");
    let first = reach(&mut world, browser, "bob");
    ring(&mut world, 1);
    world.expect_status(trunk(), 100);
    world.expect_request(line, &Method::Invite);
    let refusal = is_refused(&mut world, browser, "carol");
    assert_eq!(refusal.header(HeaderName::RetryAfter), Some("5"));
    ring(&mut world, 2);
    world.expect_status(trunk(), 100);
    let refusal = world.expect_status(trunk(), 503);
    assert_eq!(refusal.header(HeaderName::RetryAfter), Some("5"));
    world.expect_silence(line);
    assert_eq!(world.engine.usage().trunk_calls, 2);
    assert_eq!(world.engine.usage().calls, 2, "nothing was planned");
    // One ends: there is room for one.
    world.receive(trunk(), &answer_to(&first, 486, "bob1", None));
    world.expect_status(browser, 486);
    world.sent.clear();
    reach(&mut world, browser, "dave");
    is_refused(&mut world, browser, "erin");
}

#[test]
fn a_place_is_free_again_however_a_call_ends() {
    let mut world = with_keys("calls_max = 1");
    let browser = register_at_carrier(&mut world, "alice");
    // Hung up.
    let invite = dial(&mut world, browser, "a");
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 200, "t", Some(CARRIER_ANSWER)));
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    is_refused_after_clear(&mut world, browser, "b");
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.sent.clear();
    // Cancelled: before the carrier has said so.
    let invite = dial(&mut world, browser, "c");
    world.expect_status(browser, 100);
    world.receive(browser, &cancel_of(&invite));
    world.sent.clear();
    // Without any answer.
    reach(&mut world, browser, "d");
    world.advance(Duration::from_secs(33));
    world.sent.clear();
    // The browser is gone.
    reach(&mut world, browser, "e");
    world.disconnect(browser);
    assert_eq!(world.engine.usage().trunk_calls, 0);
}

fn is_refused_after_clear(world: &mut World, browser: Peer, number: &str) {
    world.sent.clear();
    is_refused(world, browser, number);
}

#[test]
fn new_calls_per_second_are_limited_and_the_pause_is_short() {
    let mut world = with_keys("calls_per_second = 2");
    let browser = register_at_carrier(&mut world, "alice");
    log_in(&mut world, "1001", "secret-one");
    reach(&mut world, browser, "a");
    reach(&mut world, browser, "b");
    let refusal = is_refused(&mut world, browser, "c");
    assert_eq!(refusal.header(HeaderName::RetryAfter), Some("1"));
    world.sent.clear();
    ring(&mut world, 1);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 503);
    world.advance(Duration::from_millis(500));
    world.sent.clear();
    reach(&mut world, browser, "d");
    assert_eq!(world.engine.trunk_usage()[0].refused_by_rate, 2);
}

#[test]
fn calls_between_lines_do_not_count() {
    let mut world = with_keys("calls_max = 1\ncalls_per_second = 1");
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    for number in 0..3 {
        let mut invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
        invite.set(HeaderName::CallId, format!("between-{number}"));
        let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKb{number}");
        invite.set(HeaderName::Via, via);
        world.receive(alice, &invite);
        world.expect_status(alice, 100);
        world.expect_request(bob, &Method::Invite);
    }
    assert_eq!(world.engine.usage().trunk_calls, 0);
}

#[test]
fn what_is_no_call_yet_or_malformed_costs_nothing() {
    let mut world = with_keys("calls_per_second = 1");
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.push(HeaderName::Require, "teleport");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.expect_status(browser, 420);
    let invite = browser_invite("alice", "carrier.test", "carol", "v=0\r\n");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.expect_status(browser, 400);
    reach(&mut world, browser, "dave");
}

#[test]
fn credentials_and_failover_make_no_second_call_of_one() {
    let targets = "target = [\"198.51.100.20:5060\", \"198.51.100.30:5060\"]";
    let config = CONFIG
        .replace("target = \"198.51.100.20:5060\"", targets)
        .replace("[[trunk]]\n", "[[trunk]]\ncalls_per_second = 1\n");
    let mut world = World::with_config(&config);
    let browser = register_at_carrier(&mut world, "alice");
    let invite = dial(&mut world, browser, "bob");
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let mut challenge = answer_to(&onward, 407, "t", None);
    let digest = "Digest realm=\"carrier.test\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    challenge.push(HeaderName::ProxyAuthenticate, digest);
    world.receive(trunk(), &challenge);
    let challenge = world.expect_status(browser, 407);
    world.sent.clear();
    // Somebody else has to wait, but not the retry; nor its second target.
    is_refused(&mut world, browser, "carol");
    let retry = crate::peers::with_credentials(&invite, &challenge, "alice", "secret");
    world.receive(browser, &retry);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 503, "t", None));
    let second = Peer::Udp("198.51.100.30:5060".parse().unwrap());
    let onward = world.expect_request(second, &Method::Invite);
    let mut too_brief = answer_to(&onward, 422, "t", None);
    too_brief.push(HeaderName::MinSe, "3600");
    world.receive(second, &too_brief);
    world.expect_request(second, &Method::Ack);
    world.expect_request(second, &Method::Invite);
    assert_eq!(world.engine.usage().trunk_calls, 1);
}

#[test]
fn one_warning_is_logged_when_a_limit_bites_and_one_line_when_it_is_over() {
    let mut world = with_keys("calls_max = 1");
    let browser = register_at_carrier(&mut world, "alice");
    reach(&mut world, browser, "bob");
    for number in 0..20 {
        is_refused(&mut world, browser, &format!("x{number}"));
        world.advance(Duration::from_secs(1));
        world.sent.clear();
    }
    assert_eq!(warnings(&world), 1, "{:#?}", world.logged);
    assert_eq!(world.engine.trunk_usage()[0].refused_by_calls, 20);
    world.advance(Duration::from_secs(61));
    let over = world.logged.iter().filter(|l| l.contains("Some(20)"));
    assert_eq!(over.count(), 1, "{:#?}", world.logged);
}
