//! D8: digits in INFO become telephone-events (RFC 4733) on the way to a trunk, and the other way
//! round.

use std::time::Duration;

use control::engine::input::Input;
use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Event, FlowId, RefuseReason, SendDigit};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, carrier_talks_with, in_dialog, in_dialog_of_callee, log_in,
    register_at_carrier, trunk,
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
    world.complete_handshakes();
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
        | Command::ExpectMedia { .. }
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
        clock_hz: 8_000,
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

fn without_events(sdp: &str) -> String {
    let keeps = |line: &&str| !line.contains("telephone-event") && !line.contains("0-1");
    let lines: Vec<&str> = sdp.lines().filter(keeps).collect();
    lines.join("\r\n").replace(" 96", "").replace(" 101", "") + "\r\n"
}

/// A call to a trunk that takes INFO only.
fn talk_by_info(world: &mut World) -> (Peer, Message, Message) {
    talk_with(world, &without_events(CARRIER_ANSWER))
}

/// A digit of the browser has ended at its worker.
fn hear(world: &mut World, event: u8, ms: u64) {
    let flow = world.handshake_flows()[0];
    let duration = Duration::from_millis(ms);
    world.input(Input::Media(Event::Digit {
        flow,
        event,
        duration,
    }));
}

/// The payload types of digits that end at the worker, of the last route of a flow.
fn ended_types(world: &World, flow: FlowId) -> Vec<u8> {
    let route = |command: &Command| match command {
        Command::SetRoute(route) if route.from == flow => Some(route.payload_types),
        Command::OpenFlow(_)
        | Command::SetPeer { .. }
        | Command::SetIceCredentials { .. }
        | Command::InstallKeys { .. }
        | Command::SetRoute(_)
        | Command::SendDigit(_)
        | Command::ClearRoute { .. }
        | Command::ExpectMedia { .. }
        | Command::CloseFlow { .. }
        | Command::Stop => None,
    };
    let types = world.commands.iter().filter_map(route).next_back().unwrap();
    (0..128).filter(|number| types.ends(*number)).collect()
}

fn expect_digit(world: &mut World, body: &str) -> Message {
    let info = world.expect_request(trunk(), &Method::Info);
    assert_eq!(info.header(HeaderName::ContentType), Some(RELAY));
    assert_eq!(info.body(), body);
    info
}

#[test]
fn d8_telephone_events_of_a_browser_become_info_in_order_one_at_a_time() {
    let mut world = world_with_dtmf("info");
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert!(
        !text(&onward).contains("telephone-event"),
        "{}",
        text(&onward)
    );
    let answer = without_events(CARRIER_ANSWER);
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert!(text(&accepted).contains("a=rtpmap:126 telephone-event/8000"));
    assert_eq!(ended_types(&world, world.handshake_flows()[0]), [126]);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    for (event, ms) in [(5, 160), (11, 90), (12, 1000)] {
        hear(&mut world, event, ms);
    }
    for body in [
        "Signal=5\r\nDuration=160\r\n",
        "Signal=#\r\nDuration=90\r\n",
        "Signal=A\r\nDuration=1000\r\n",
    ] {
        let info = expect_digit(&mut world, body);
        world.expect_silence(trunk());
        world.receive(trunk(), &answer_to(&info, 100, "bob1", None));
        world.expect_silence(trunk());
        world.receive(trunk(), &answer_to(&info, 200, "bob1", None));
    }
    world.expect_silence(trunk());
    world.expect_silence(browser);
}

#[test]
fn d8_a_carrier_s_call_has_events_with_the_browser_and_info_with_the_carrier() {
    let mut world = world_with_dtmf("info");
    let offer = without_events(CARRIER_OFFER);
    assert!(!offer.contains("telephone-event"));
    let number_of = |onward: &Message| {
        let offered = text(onward);
        let mut lines = offered.lines();
        let line = lines.find(|line| line.ends_with("telephone-event/8000"));
        line.and_then(|line| line.split([':', ' ']).nth(1))
            .unwrap()
            .to_owned()
    };
    let answer = |onward: &Message| BROWSER_ANSWER.replace("101", &number_of(onward));
    let call = carrier_talks_with(&mut world, &offer, answer);
    let accepted = text(&call.accepted);
    assert!(!accepted.contains("telephone-event"), "{accepted}");
    let number = number_of(&call.onward);
    let number: u8 = number.parse().unwrap();
    assert_eq!(ended_types(&world, world.handshake_flows()[0]), [number]);
    hear(&mut world, 0, 100);
    expect_digit(&mut world, "Signal=0\r\nDuration=100\r\n");
}

#[test]
fn d8_a_digit_that_the_trunk_refuses_is_logged_and_the_next_one_goes() {
    let mut world = world_with_dtmf("info");
    talk_by_info(&mut world);
    hear(&mut world, 1, 100);
    hear(&mut world, 2, 100);
    let info = expect_digit(&mut world, "Signal=1\r\nDuration=100\r\n");
    world.receive(trunk(), &answer_to(&info, 415, "bob1", None));
    let lost = |world: &World, what: &str| {
        let is_it = |line: &&String| line.contains("DigitsLost") && line.contains(what);
        world.logged.iter().filter(is_it).count()
    };
    assert_eq!(lost(&world, "415"), 1);
    expect_digit(&mut world, "Signal=2\r\nDuration=100\r\n");
    // No answer at all: what waits meanwhile is too late, and so is what does not find a place.
    for _ in 0..40 {
        hear(&mut world, 3, 100);
    }
    assert_eq!(lost(&world, "count: 1, "), 1 + 8);
    world.advance(Duration::from_secs(32));
    assert_eq!(lost(&world, "count: 33"), 1);
    world.sent.clear();
    hear(&mut world, 4, 100);
    let info = expect_digit(&mut world, "Signal=4\r\nDuration=100\r\n");
    assert_eq!(world.engine.calls(), 1);
    world.receive(trunk(), &answer_to(&info, 481, "bob1", None));
    world.expect_request(trunk(), &Method::Bye);
}

#[test]
fn d8_digits_end_with_the_call() {
    let mut world = world_with_dtmf("info");
    let (browser, invite, accepted) = talk_by_info(&mut world);
    hear(&mut world, 1, 100);
    hear(&mut world, 2, 100);
    let info = expect_digit(&mut world, "Signal=1\r\nDuration=100\r\n");
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &answer_to(&info, 200, "bob1", None));
    world.receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    world.expect_silence(trunk());
    hear(&mut world, 3, 100);
    world.advance(Duration::from_secs(64));
    assert_eq!(world.engine.calls(), 0);
    world.expect_silence(trunk());
}

#[test]
fn d8_hold_and_what_follows_keep_the_way_of_digits() {
    let mut world = world_with_dtmf("info");
    let (browser, invite, accepted) = talk_by_info(&mut world);
    for (n, direction) in [(1, "sendonly"), (2, "sendrecv")] {
        let mut again = in_dialog(&invite, &accepted, &Method::Invite, n);
        again.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        let offer = BROWSER_OFFER.replace("a=sendrecv", &format!("a={direction}"));
        again.set_body("application/sdp", offer.into());
        world.receive(browser, &again);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        assert!(
            !text(&onward).contains("telephone-event"),
            "{}",
            text(&onward)
        );
        let answer = without_events(CARRIER_ANSWER);
        world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&answer)));
        world.expect_request(trunk(), &Method::Ack);
        let answered = world.expect_status(browser, 200);
        assert!(text(&answered).contains("a=rtpmap:126 telephone-event/8000"));
        world.receive(browser, &in_dialog(&invite, &answered, &Method::Ack, n));
        assert_eq!(ended_types(&world, world.handshake_flows()[0]), [126]);
    }
    // INFO of the browser passes, beside.
    world.receive(browser, &info(&invite, &accepted, 3, RELAY, "Signal=1\r\n"));
    world.expect_request(trunk(), &Method::Info);
    assert_eq!(digits(&world), []);
}

#[test]
fn d8_digits_of_a_trunk_that_takes_events_are_no_info() {
    for dtmf in ["relay", "rfc4733"] {
        let mut world = world_with_dtmf(dtmf);
        talk(&mut world);
        assert!(ended_types(&world, world.handshake_flows()[0]).is_empty());
        hear(&mut world, 1, 100);
        world.expect_silence(trunk());
    }
}
