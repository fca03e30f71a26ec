//! What a caller is told until the answer and with it: descriptions, headers, the end of a browser's
//! association, the time that the caller waits.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::media::handshake::{HandshakeCommand, HandshakeEvent};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::forks::dial;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, log_in, trunk,
};

const SECOND: Duration = Duration::from_secs(1);

fn close_association(world: &mut World) {
    let flow = world.handshake_flows()[0];
    world.input(Input::Handshake(HandshakeEvent::Closed { flow }));
}

/// A carrier's call that rings at a line.
fn ring(world: &mut World) -> (Peer, Message, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    (browser, invite, onward)
}

#[test]
fn ux_g5_a_browser_that_closes_its_media_before_it_declines_declines() {
    let mut world = World::new();
    let (browser, _, onward) = ring(&mut world);
    close_association(&mut world);
    world.advance(30 * SECOND);
    world.expect_silence(trunk());
    world.receive(browser, &answer_to(&onward, 603, "alice1", None));
    world.expect_request(browser, &Method::Ack);
    world.expect_status(trunk(), 603);
}

#[test]
fn ux_g5_between_lines_a_decline_is_a_decline_too_and_a_caller_may_close_and_cancel() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    for flow in world.handshake_flows() {
        world.input(Input::Handshake(HandshakeEvent::Closed { flow }));
    }
    world.expect_silence(alice);
    world.expect_silence(bob);
    world.receive(bob, &answer_to(&onward, 603, "bob1", None));
    world.expect_status(alice, 603);
}

#[test]
fn ux_g5_another_association_may_begin_before_the_answer_a_few_times() {
    let mut world = World::new();
    let (browser, _, onward) = ring(&mut world);
    for _ in 0..10 {
        close_association(&mut world);
    }
    assert_eq!(world.handshake_flows().len(), 1 + 4);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_status(trunk(), 200);
    let last = world.handshakes.last();
    assert!(matches!(last, Some(HandshakeCommand::Expect { .. })));
}

#[test]
fn ux_g5_after_the_answer_the_bye_has_a_second_to_come() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    close_association(&mut world);
    world.advance(SECOND / 2);
    world.expect_silence(trunk());
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    world.expect_request(trunk(), &Method::Bye);
    assert_eq!(world.records.pop().unwrap().reason, "caller hung up");

    let mut world = World::new();
    let (browser, invite, onward) = ring(&mut world);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    close_association(&mut world);
    world.advance(SECOND);
    let bye = world.expect_request(trunk(), &Method::Bye);
    let reason = bye.header(HeaderName::Reason).unwrap();
    assert!(reason.contains("Media connection closed"), "{reason}");
    world.expect_request(browser, &Method::Bye);
    let reason = world.records.pop().unwrap().reason;
    assert_eq!(reason, "callee closed its media connection");
}

#[test]
fn case_a61_a_180_without_description_is_passed_on_without() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut progress = |status, sdp| {
        world.receive(trunk(), &answer_to(&onward, status, "bob1", sdp));
        if status == 200 {
            world.expect_request(trunk(), &Method::Ack);
        }
        world.expect_status(browser, status).body().clone()
    };
    let answer = progress(183, Some(CARRIER_ANSWER));
    assert!(!answer.is_empty());
    assert!(progress(180, None).is_empty());
    // A client that loses nothing would take it for another answer.
    assert!(progress(183, Some(CARRIER_ANSWER)).is_empty());
    assert_eq!(progress(200, None), answer);
}

#[test]
fn case_a61_to_a_carrier_a_description_is_repeated_as_the_browser_repeats_it() {
    let mut world = World::new();
    let (browser, _, onward) = ring(&mut world);
    let mut progress = |status, sdp| {
        world.receive(browser, &answer_to(&onward, status, "alice1", sdp));
        world.expect_status(trunk(), status).body().clone()
    };
    assert!(progress(180, None).is_empty());
    let answer = progress(183, Some(BROWSER_ANSWER));
    assert!(!answer.is_empty());
    assert!(progress(180, None).is_empty());
    assert_eq!(progress(183, Some(BROWSER_ANSWER)), answer);
    assert_eq!(progress(200, None), answer);
}

#[test]
fn case_a61_what_could_not_be_heard_before_is_told_with_what_lets_it_be_heard() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut off = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
    off.push(HeaderName::PEarlyMedia, "inactive");
    world.receive(trunk(), &off);
    assert!(world.expect_status(browser, 180).body().is_empty());
    let mut on = answer_to(&onward, 180, "bob1", None);
    on.push(HeaderName::PEarlyMedia, "sendrecv");
    world.receive(trunk(), &on);
    assert!(!world.expect_status(browser, 180).body().is_empty());
}

fn world_that_passes(names: &str) -> World {
    let listed = format!("domain = \"carrier.test\"\npass_headers = [{names}]\ncodecs");
    World::with_config(&CONFIG.replace("domain = \"carrier.test\"\ncodecs", &listed))
}

#[test]
fn suite_s6_a_200_passes_the_headers_that_a_180_passes() {
    let mut world = world_that_passes("\"X-Account\"");
    let (browser, _, onward) = dial(&mut world);
    for status in [180, 200] {
        let mut response = answer_to(&onward, status, "bob1", Some(CARRIER_ANSWER));
        response.push(HeaderName::PAssertedIdentity, "<sip:bob@carrier.test>");
        response.push(HeaderName::UserToUser, "56a390;encoding=hex");
        response.push("X-Account", "4711");
        response.push("X-Other", "secret");
        world.receive(trunk(), &response);
        if status == 200 {
            world.expect_request(trunk(), &Method::Ack);
        }
        let told = world.expect_status(browser, status);
        let said = |name| told.header(name);
        assert_eq!(
            said(HeaderName::PAssertedIdentity),
            Some("<sip:bob@carrier.test>")
        );
        assert_eq!(said(HeaderName::UserToUser), Some("56a390;encoding=hex"));
        assert_eq!(told.header("X-Account"), Some("4711"));
        assert_eq!(told.header("X-Other"), None, "{}", text(&told));
    }
}

#[test]
fn suite_s6_who_wants_to_be_private_stays_so_in_the_answer() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut response = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    response.push(HeaderName::PAssertedIdentity, "<sip:bob@carrier.test>");
    response.push(HeaderName::Privacy, "id");
    world.receive(trunk(), &response);
    world.expect_request(trunk(), &Method::Ack);
    let told = world.expect_status(browser, 200);
    assert_eq!(told.header(HeaderName::PAssertedIdentity), None);
}

#[test]
fn suite_s6_listed_headers_of_a_browser_s_responses_reach_the_carrier() {
    for last in [200, 486] {
        let mut world = world_that_passes("\"X-Agent\"");
        let (browser, _, onward) = ring(&mut world);
        for status in [180, last] {
            let sdp = (status == 200).then_some(BROWSER_ANSWER);
            let mut response = answer_to(&onward, status, "alice1", sdp);
            response.push("X-Agent", "7");
            response.push("X-Other", "secret");
            response.push(HeaderName::PAssertedIdentity, "<sip:forged@lines.test>");
            world.receive(browser, &response);
            let told = world.expect_status(trunk(), status);
            assert_eq!(told.header("X-Agent"), Some("7"), "{}", text(&told));
            assert_eq!(told.header("X-Other"), None);
            assert_eq!(told.header(HeaderName::PAssertedIdentity), None);
        }
    }
}

#[test]
fn case_f38_an_invite_that_expires_is_cancelled_and_487() {
    let mut world = World::new();
    let browser = crate::peers::register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.push(HeaderName::Expires, "20");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.advance(19 * SECOND);
    world.expect_silence(browser);
    world.advance(SECOND);
    world.expect_status(browser, 487);
    let cancel = world.expect_request(trunk(), &Method::Cancel);
    let reason = cancel.header(HeaderName::Reason).unwrap();
    assert!(reason.contains("Invitation expired"), "{reason}");
}

#[test]
fn case_f38_a_carrier_s_invite_expires_too_and_no_longer_than_it_may_ring() {
    for (expires, after, status) in [("20", 20, 487), ("4294967295", 185, 408)] {
        let mut world = World::new();
        let browser = log_in(&mut world, "1001", "secret-one");
        let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
        invite.push(HeaderName::Expires, expires);
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        let onward = world.expect_request(browser, &Method::Invite);
        world.receive(browser, &answer_to(&onward, 180, "alice1", None));
        world.expect_status(trunk(), 180);
        world.advance((after - 1) * SECOND);
        world.expect_silence(browser);
        world.advance(SECOND);
        world.expect_request(browser, &Method::Cancel);
        world.expect_status(trunk(), status);
    }
    // An answer in time is one.
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::Expires, "20");
    world.receive(trunk(), &invite);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.complete_handshakes();
    world.advance(25 * SECOND);
    assert_eq!(world.engine.calls(), 1);
}
