//! D8: digits in INFO become telephone-events (RFC 4733) on the way to a trunk.

use std::time::Duration;

use control::engine::input::Input;
use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Event, FlowId, RefuseReason, SendDigit};
use tests::world::{CONFIG, World};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

const RELAY: &str = "application/dtmf-relay";

/// A world whose trunk takes digits in some way.
pub(crate) fn world_with_dtmf(dtmf: &str) -> World {
    let domain = "domain = \"carrier.test\"\ncodecs";
    let with_key = format!("domain = \"carrier.test\"\ndtmf = \"{dtmf}\"\ncodecs");
    World::with_config(&CONFIG.replace(domain, &with_key))
}

/// A call of the browser, as `talk`, with another answer of the carrier.
fn talk_with(world: &mut World, answer: &str) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(answer)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    (browser, invite, accepted)
}

fn info(invite: &Message, accepted: &Message, n: u32, media_type: &str, body: &str) -> Message {
    let mut info = in_dialog(invite, accepted, &Method::Info, n);
    info.set_body(media_type, body.to_owned().into());
    info
}

/// The digits that workers were asked to send.
fn digits(world: &World) -> Vec<SendDigit> {
    let digit = |command: &Command| match command {
        Command::SendDigit(digit) => Some(*digit),
        Command::OpenFlow(_)
        | Command::SetPeer { .. }
        | Command::SetIceCredentials { .. }
        | Command::InstallKeys { .. }
        | Command::SetRoute(_)
        | Command::ClearRoute { .. }
        | Command::CloseFlow { .. }
        | Command::Stop => None,
    };
    world.commands.iter().filter_map(digit).collect()
}

fn digit(from: FlowId, event: u8, ms: u64, payload_type: u8) -> SendDigit {
    SendDigit {
        from,
        event,
        duration: Duration::from_millis(ms),
        payload_type,
    }
}

#[test]
fn d8_a_digit_of_a_browser_becomes_a_telephone_event() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let flow = world.handshake_flows()[0];
    for (n, media_type, body) in [
        (1, RELAY, "Signal=5\r\nDuration=160\r\n"),
        (2, "application/dtmf", "#"),
        (3, RELAY, "Signal=A\r\nDuration=5\r\n"),
        (4, RELAY, "Signal=*\r\nDuration=6000\r\n"),
    ] {
        world.receive(browser, &info(&invite, &accepted, n, media_type, body));
        world.expect_status(browser, 200);
    }
    world.expect_silence(trunk());
    let expected = [(5, 160), (11, 100), (12, 40), (10, 1000)];
    let expected = expected.map(|(event, ms)| digit(flow, event, ms, 96));
    assert_eq!(digits(&world), expected);
}

#[test]
fn d8_a_digit_of_a_browser_that_was_called_goes_to_the_caller() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let mut info = in_dialog_of_callee(&onward, "alice1", &Method::Info);
    info.set_body(RELAY, "Signal=7\r\nDuration=100\r\n".into());
    world.receive(browser, &info);
    world.expect_status(browser, 200);
    let flow = world.handshake_flows()[0];
    assert_eq!(digits(&world), [digit(flow, 7, 100, 101)]);
    // The carrier's own pass as they are.
    let mut info = in_dialog(&invite, &accepted, &Method::Info, 1);
    info.set_body(RELAY, "Signal=1\r\n".into());
    world.receive(trunk(), &info);
    let passed = world.expect_request(browser, &Method::Info);
    assert_eq!(passed.body(), info.body());
}

#[test]
fn d8_what_cannot_be_a_telephone_event_passes_as_info() {
    let without = CARRIER_ANSWER
        .replace(" 96", "")
        .replace("a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n", "");
    assert!(!without.contains("telephone-event"));
    let few = CARRIER_ANSWER.replace("0-15", "0-4,6-9");
    let held = format!("{CARRIER_ANSWER}a=sendonly\r\n");
    for answer in [without, few, held] {
        let mut world = World::new();
        let (browser, invite, accepted) = talk_with(&mut world, &answer);
        let info = info(&invite, &accepted, 1, RELAY, "Signal=5\r\nDuration=160\r\n");
        world.receive(browser, &info);
        let passed = world.expect_request(trunk(), &Method::Info);
        assert_eq!(passed.header(HeaderName::ContentType), Some(RELAY));
        assert_eq!(passed.body(), info.body());
        world.receive(trunk(), &answer_to(&passed, 415, "bob1", None));
        world.expect_status(browser, 415);
        assert_eq!(digits(&world), []);
    }
}

#[test]
fn d8_what_is_no_digit_passes_and_a_bad_digit_is_a_400() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    for (n, media_type, body) in [
        (1, "application/media_control+xml", "<media_control/>"),
        (2, RELAY, "Signal=flash\r\n"),
    ] {
        world.receive(browser, &info(&invite, &accepted, n, media_type, body));
        let passed = world.expect_request(trunk(), &Method::Info);
        world.receive(trunk(), &answer_to(&passed, 200, "bob1", None));
        world.expect_status(browser, 200);
    }
    let mut package = info(&invite, &accepted, 3, RELAY, "Signal=5\r\n");
    package.push("Info-Package", "x-keys");
    world.receive(browser, &package);
    let passed = world.expect_request(trunk(), &Method::Info);
    world.receive(trunk(), &answer_to(&passed, 200, "bob1", None));
    world.expect_status(browser, 200);
    for (n, body) in [(4, "Signal=55\r\n"), (5, "Duration=100\r\n"), (6, "")] {
        world.receive(browser, &info(&invite, &accepted, n, RELAY, body));
        world.expect_status(browser, 400);
    }
    world.expect_silence(trunk());
    assert_eq!(digits(&world), []);
}

#[test]
fn d8_more_digits_than_can_wait_are_a_503_until_they_are_sent() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let body = "Signal=1\r\nDuration=40\r\n";
    // 3 s of digits wait, of 120 ms each with their pauses, and one is being sent.
    for n in 1..=26 {
        world.receive(browser, &info(&invite, &accepted, n, RELAY, body));
        world.expect_status(browser, 200);
    }
    world.receive(browser, &info(&invite, &accepted, 27, RELAY, body));
    let refused = world.expect_status(browser, 503);
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    assert_eq!(digits(&world).len(), 26);
    world.advance(Duration::from_millis(240));
    for n in 28..=29 {
        world.receive(browser, &info(&invite, &accepted, n, RELAY, body));
        world.expect_status(browser, 200);
    }
    world.receive(browser, &info(&invite, &accepted, 30, RELAY, body));
    world.expect_status(browser, 503);
}

#[test]
fn d8_a_digit_that_a_worker_refuses_does_not_end_the_call() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.receive(browser, &info(&invite, &accepted, 1, RELAY, "Signal=1\r\n"));
    world.expect_status(browser, 200);
    let flow = digits(&world)[0].from;
    let reason = RefuseReason::NoRoute;
    world.input(Input::Media(Event::Refused { flow, reason }));
    world.expect_silence(browser);
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn d8_info_passes_to_a_trunk_that_wants_it() {
    let mut world = world_with_dtmf("relay");
    let (browser, invite, _, accepted) = talk(&mut world);
    for (n, media_type, body) in [
        (1, RELAY, "Signal=5\r\nDuration=160\r\n"),
        (2, "application/dtmf", "5"),
        (3, RELAY, "nonsense"),
    ] {
        let info = info(&invite, &accepted, n, media_type, body);
        world.receive(browser, &info);
        let passed = world.expect_request(trunk(), &Method::Info);
        assert_eq!(passed.header(HeaderName::ContentType), Some(media_type));
        assert_eq!(passed.body(), info.body());
        world.receive(trunk(), &answer_to(&passed, 200, "bob1", None));
        world.expect_status(browser, 200);
    }
    assert_eq!(digits(&world), []);
}
