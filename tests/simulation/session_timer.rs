//! D2: session timers (RFC 4028), each leg its own.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, log_in, register_at_carrier, trunk,
};

const SECOND: Duration = Duration::from_secs(1);

/// A browser without timers in a call with a carrier whose 200 has these headers.
fn talk_to_carrier(world: &mut World, headers: &[(HeaderName, &str)]) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.remove(HeaderName::SessionExpires);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let mut answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    for (name, value) in headers {
        answer.push(name, *value);
    }
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    (browser, invite, onward)
}

fn granted(request: &Message, expires: &str, sdp: Option<&str>) -> Message {
    let mut answer = answer_to(request, 200, "bob1", sdp);
    answer.push(HeaderName::SessionExpires, expires);
    answer
}

#[test]
fn d2_a_browser_refreshes_its_own_leg_and_the_carrier_hears_nothing() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    assert_eq!(
        accepted.header(HeaderName::SessionExpires),
        Some("90;refresher=uac")
    );
    assert!(accepted.lists_token(HeaderName::Require, "timer"));
    for n in 1..10 {
        world.advance(45 * SECOND);
        let mut update = in_dialog(&invite, &accepted, &Method::Update, n);
        update.push(HeaderName::Supported, "timer");
        update.push(HeaderName::SessionExpires, "90;refresher=uac");
        world.receive(browser, &update);
        let answer = world.expect_status(browser, 200);
        assert_eq!(
            answer.header(HeaderName::SessionExpires),
            Some("90;refresher=uac")
        );
    }
    world.expect_silence(trunk());
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn d2_a_browser_that_stops_to_refresh_ends_both_legs() {
    let mut world = World::new();
    let (browser, ..) = talk(&mut world);
    world.advance(59 * SECOND);
    assert_eq!(world.engine.calls(), 1);
    world.advance(2 * SECOND);
    world.expect_request(browser, &Method::Bye);
    world.expect_request(trunk(), &Method::Bye);
    let reason = world.records.pop().unwrap().reason;
    assert_eq!(reason, "session expired: no refresh with the caller");
}

#[test]
fn d2_a_browser_may_not_ask_for_less_than_90_seconds() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set(HeaderName::SessionExpires, "60");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let refusal = world.expect_status(browser, 422);
    assert_eq!(refusal.header(HeaderName::MinSe), Some("90"));
    world.expect_silence(trunk());
}

#[test]
fn d2_a_browser_that_is_called_refreshes_or_the_call_ends() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    assert!(onward.lists_token(HeaderName::Supported, "timer"));
    assert_eq!(onward.header(HeaderName::SessionExpires), None);
    // As JsSIP answers.
    world.receive(
        browser,
        &granted(&onward, "90;refresher=uas", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.advance(59 * SECOND);
    assert_eq!(world.engine.calls(), 1);
    world.advance(2 * SECOND);
    world.expect_request(trunk(), &Method::Bye);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn d2_the_carrier_is_asked_for_1800_seconds_and_once_again_for_what_it_wants() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let first = world.expect_request(trunk(), &Method::Invite);
    assert!(first.lists_token(HeaderName::Supported, "timer"));
    assert_eq!(
        first.header(HeaderName::SessionExpires),
        Some("1800;refresher=uac")
    );
    assert_eq!(first.header(HeaderName::MinSe), Some("90"));

    let mut refusal = answer_to(&first, 422, "bob0", None);
    refusal.push(HeaderName::MinSe, "3600");
    world.receive(trunk(), &refusal);
    world.expect_request(trunk(), &Method::Ack);
    let second = world.expect_request(trunk(), &Method::Invite);
    world.expect_silence(browser);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from_tag(), first.from_tag());
    assert_eq!(second.to_tag(), None);
    assert_eq!(
        second.cseq().unwrap().number,
        first.cseq().unwrap().number + 1
    );
    assert_eq!(
        second.header(HeaderName::SessionExpires),
        Some("3600;refresher=uac")
    );
    assert_eq!(second.header(HeaderName::MinSe), Some("3600"));
    assert_eq!(second.body(), first.body());

    let mut refusal = answer_to(&second, 422, "bob0", None);
    refusal.push(HeaderName::MinSe, "7200");
    world.receive(trunk(), &refusal);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_status(browser, 422);
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn d2_a_call_goes_on_after_the_second_attempt() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let first = world.expect_request(trunk(), &Method::Invite);
    let mut refusal = answer_to(&first, 422, "bob0", None);
    refusal.push(HeaderName::MinSe, "3600");
    world.receive(trunk(), &refusal);
    world.expect_request(trunk(), &Method::Ack);
    let second = world.expect_request(trunk(), &Method::Invite);
    let answer = granted(&second, "3600;refresher=uac", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.cseq().unwrap().number, second.cseq().unwrap().number);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(
        bye.cseq().unwrap().number,
        second.cseq().unwrap().number + 1
    );
}

#[test]
fn d2_a_carrier_that_takes_update_is_refreshed_by_it_at_half_of_the_interval() {
    let mut world = World::new();
    let headers = [
        (HeaderName::SessionExpires, "1800;refresher=uac"),
        (HeaderName::Allow, "INVITE, ACK, BYE, UPDATE"),
    ];
    let (browser, ..) = talk_to_carrier(&mut world, &headers);
    for _ in 0..3 {
        world.advance(899 * SECOND);
        world.expect_silence(trunk());
        world.advance(SECOND);
        let update = world.expect_request(trunk(), &Method::Update);
        assert!(update.body().is_empty());
        assert_eq!(
            update.header(HeaderName::SessionExpires),
            Some("1800;refresher=uac")
        );
        assert!(update.header(HeaderName::Contact).is_some());
        world.receive(trunk(), &granted(&update, "1800;refresher=uac", None));
    }
    world.expect_silence(browser);
}

#[test]
fn d2_a_carrier_without_update_is_refreshed_by_a_reinvite_that_changes_nothing() {
    let mut world = World::new();
    let headers = [(HeaderName::SessionExpires, "90;refresher=uac")];
    let (browser, _, onward) = talk_to_carrier(&mut world, &headers);
    world.advance(45 * SECOND);
    let again = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(again.body(), onward.body(), "{}", text(&again));
    assert_eq!(
        again.header(HeaderName::SessionExpires),
        Some("90;refresher=uac")
    );
    let answer = granted(&again, "90;refresher=uac", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.cseq().unwrap().number, again.cseq().unwrap().number);
    // The ACK was lost.
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(browser);
    world.advance(45 * SECOND);
    world.expect_request(trunk(), &Method::Invite);
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn d2_an_update_that_is_not_taken_becomes_a_reinvite() {
    let mut world = World::new();
    let headers = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, UPDATE"),
    ];
    talk_to_carrier(&mut world, &headers);
    world.advance(45 * SECOND);
    let update = world.expect_request(trunk(), &Method::Update);
    world.receive(trunk(), &answer_to(&update, 405, "bob1", None));
    world.advance(SECOND);
    world.expect_request(trunk(), &Method::Invite);
}

#[test]
fn d2_a_refresh_that_meets_one_of_the_carrier_is_tried_again_later() {
    let mut world = World::new();
    let headers = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, UPDATE"),
    ];
    talk_to_carrier(&mut world, &headers);
    world.advance(45 * SECOND);
    let update = world.expect_request(trunk(), &Method::Update);
    world.receive(trunk(), &answer_to(&update, 491, "bob1", None));
    // The Call-ID is ours: 2.1 to 4 seconds (RFC 3261 section 14.1).
    world.advance(2 * SECOND);
    world.expect_silence(trunk());
    world.advance(2 * SECOND);
    world.expect_request(trunk(), &Method::Update);
}

#[test]
fn d2_a_refresh_with_a_longer_interval_follows_a_422() {
    let mut world = World::new();
    let headers = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, UPDATE"),
    ];
    talk_to_carrier(&mut world, &headers);
    world.advance(45 * SECOND);
    let update = world.expect_request(trunk(), &Method::Update);
    let mut refusal = answer_to(&update, 422, "bob1", None);
    refusal.push(HeaderName::MinSe, "600");
    world.receive(trunk(), &refusal);
    world.advance(Duration::from_millis(1));
    let again = world.expect_request(trunk(), &Method::Update);
    assert_eq!(
        again.header(HeaderName::SessionExpires),
        Some("600;refresher=uac")
    );
    assert_eq!(again.header(HeaderName::MinSe), Some("600"));
}

#[test]
fn d2_a_carrier_that_does_not_answer_refreshes_ends_both_legs() {
    for (status, within) in [(Some(481), 1), (None, 40)] {
        let mut world = World::new();
        let headers = [
            (HeaderName::SessionExpires, "1800;refresher=uac"),
            (HeaderName::Allow, "INVITE, UPDATE"),
        ];
        let (browser, ..) = talk_to_carrier(&mut world, &headers);
        world.advance(901 * SECOND);
        let update = world.expect_request(trunk(), &Method::Update);
        if let Some(status) = status {
            world.receive(trunk(), &answer_to(&update, status, "bob1", None));
        }
        world.advance(within * SECOND);
        world.expect_request(browser, &Method::Bye);
        assert!(
            world
                .sent
                .iter()
                .any(|(to, m)| *to == trunk() && m.method() == Method::Bye)
        );
    }
}

#[test]
fn d2_a_carrier_that_refuses_every_refresh_is_ended_before_the_session_expires() {
    let mut world = World::new();
    let headers = [
        (HeaderName::SessionExpires, "90;refresher=uac"),
        (HeaderName::Allow, "INVITE, UPDATE"),
    ];
    talk_to_carrier(&mut world, &headers);
    world.advance(45 * SECOND);
    for _ in 0..3 {
        let update = world.expect_request(trunk(), &Method::Update);
        world.receive(trunk(), &answer_to(&update, 503, "bob1", None));
        world.advance(5 * SECOND);
    }
    assert_eq!(world.records.len(), 1, "after 60 s of 90");
    assert!(world.records[0].reason.contains("session expired"));
}

#[test]
fn d2_a_carrier_that_refreshes_and_stops_ends_both_legs() {
    let mut world = World::new();
    let headers = [(HeaderName::SessionExpires, "1800;refresher=uas")];
    let (browser, ..) = talk_to_carrier(&mut world, &headers);
    world.advance(1767 * SECOND);
    world.expect_silence(trunk());
    world.advance(2 * SECOND);
    world.expect_request(browser, &Method::Bye);
    world.expect_request(trunk(), &Method::Bye);
}

/// What the carrier's INVITE asks for, and what the 200 grants.
fn carrier_calls(world: &mut World, headers: &[(HeaderName, &str)]) -> Message {
    let browser = log_in(world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    for (name, value) in headers {
        invite.push(name, *value);
    }
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let next = world.expect(if world.sent.iter().any(|(to, _)| *to == browser) {
        browser
    } else {
        trunk()
    });
    if !next.is_request() {
        return next;
    }
    world.receive(
        browser,
        &answer_to(&next, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    accepted
}

#[test]
fn d2_the_carrier_s_timer_is_honoured_and_its_refresher_kept() {
    let timer = (HeaderName::Supported, "timer");
    for (asked, expected) in [
        ("600", "600;refresher=uac"),
        ("600;refresher=uac", "600;refresher=uac"),
        ("600;refresher=uas", "600;refresher=uas"),
    ] {
        let mut world = World::new();
        let headers = [timer.clone(), (HeaderName::SessionExpires, asked)];
        let accepted = carrier_calls(&mut world, &headers);
        assert_eq!(
            accepted.header(HeaderName::SessionExpires),
            Some(expected),
            "{asked}"
        );
        world.advance(301 * SECOND);
        if expected.ends_with("uas") {
            world.expect_request(trunk(), &Method::Invite);
        } else {
            world.expect_silence(trunk());
            world.advance(270 * SECOND);
            world.expect_request(trunk(), &Method::Bye);
        }
    }
}

#[test]
fn d2_a_carrier_without_timers_is_refreshed_by_us() {
    let mut world = World::new();
    let allow = (HeaderName::Allow, "INVITE, ACK, BYE, UPDATE");
    let accepted = carrier_calls(&mut world, &[allow]);
    assert_eq!(
        accepted.header(HeaderName::SessionExpires),
        Some("1800;refresher=uas")
    );
    assert!(!accepted.lists_token(HeaderName::Require, "timer"));
    world.advance(901 * SECOND);
    let update = world.expect_request(trunk(), &Method::Update);
    // To that request we are the client, whoever called.
    assert_eq!(
        update.header(HeaderName::SessionExpires),
        Some("1800;refresher=uac")
    );
}

#[test]
fn d2_an_interval_below_the_trunk_s_minimum_is_a_422() {
    let config = CONFIG.replace(
        "domain = \"carrier.test\"\ncodecs",
        "domain = \"carrier.test\"\nsession_expires_s = 900\nmin_se_s = 300\ncodecs",
    );
    let mut world = World::with_config(&config);
    let headers = [
        (HeaderName::Supported, "timer"),
        (HeaderName::SessionExpires, "120"),
    ];
    let refusal = carrier_calls(&mut world, &headers);
    assert_eq!(refusal.status(), Some(422));
    assert_eq!(refusal.header(HeaderName::MinSe), Some("300"));
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn d2_a_trunk_can_be_asked_for_no_timer() {
    let config = CONFIG.replace(
        "domain = \"carrier.test\"\ncodecs",
        "domain = \"carrier.test\"\nsession_expires_s = 0\ncodecs",
    );
    let mut world = World::with_config(&config);
    let browser = register_at_carrier(&mut world, "alice");
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(onward.header(HeaderName::SessionExpires), None);
}
