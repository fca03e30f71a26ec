//! C10, C12, D13, D14: forks behind the carrier, cancelled calls, reasons, early media.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};
use crate::trouble::cancel_of;

pub(crate) fn dial(world: &mut World) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

fn pcmu() -> String {
    CARRIER_ANSWER
        .replace("RTP/AVP 8 ", "RTP/AVP 0 ")
        .replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000")
}

#[test]
fn c12_the_browser_sees_one_dialog_whatever_forks_behind_the_carrier() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(trunk(), &answer_to(&onward, 180, "one", None));
    let first = world.expect_status(browser, 180);
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "two", Some(CARRIER_ANSWER)),
    );
    let second = world.expect_status(browser, 183);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "one", Some(CARRIER_ANSWER)),
    );
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("one"));
    let accepted = world.expect_status(browser, 200);
    assert_eq!(first.to_tag(), second.to_tag());
    assert_eq!(first.to_tag(), accepted.to_tag());
    assert_eq!(second.body(), accepted.body());

    // The first 2xx wins; the other is acknowledged each time and ended once.
    let late = answer_to(&onward, 200, "two", Some(CARRIER_ANSWER));
    world.receive(trunk(), &late);
    assert_eq!(
        world.expect_request(trunk(), &Method::Ack).to_tag(),
        Some("two")
    );
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("two"));
    world.receive(trunk(), &answer_to(&bye, 200, "two", None));
    world.receive(trunk(), &late);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(trunk());

    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("one"));
}

#[test]
fn c12_each_fork_has_its_own_numbers() {
    let mut world = World::new();
    let (_, _, onward) = dial(&mut world);
    let number = onward.cseq().unwrap().number;
    for (tag, rseq, expected) in [("one", 1, 1), ("two", 1, 1), ("one", 2, 2), ("two", 2, 2)] {
        let mut progress = answer_to(&onward, 180, tag, None);
        progress.push(HeaderName::Require, "100rel");
        progress.push(HeaderName::RSeq, rseq.to_string());
        world.receive(trunk(), &progress);
        let prack = world.expect_request(trunk(), &Method::Prack);
        assert_eq!(prack.to_tag(), Some(tag));
        assert_eq!(prack.cseq().unwrap().number, number + expected);
    }
}

#[test]
fn c12_a_200_with_another_description_moves_the_media_and_not_the_browser() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "one", Some(CARRIER_ANSWER)),
    );
    let early = world.expect_status(browser, 183);
    world.commands.clear();
    let moved = CARRIER_ANSWER.replace("198.51.100.", "198.51.101.");
    world.receive(trunk(), &answer_to(&onward, 200, "two", Some(&moved)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(accepted.body(), early.body());
    let is_moved = |command: &Command| {
        matches!(command, Command::SetPeer { peer, .. }
            if peer.rtp.ip().to_string().starts_with("198.51.101."))
    };
    assert!(world.commands.iter().any(is_moved), "{:?}", world.commands);
}

#[test]
fn c12_a_200_with_another_codec_is_told_to_the_browser_after_its_ack() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "one", Some(CARRIER_ANSWER)),
    );
    let early = world.expect_status(browser, 183);
    world.receive(trunk(), &answer_to(&onward, 200, "two", Some(&pcmu())));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(accepted.body(), early.body());
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.advance(Duration::ZERO);
    let told = world.expect_request(browser, &Method::Invite);
    let offer = text(&told);
    assert!(
        offer.contains("PCMU/8000") && !offer.contains("PCMA"),
        "{offer}"
    );
    world.expect_silence(trunk());
}

#[test]
fn c12_an_answer_of_another_fork_is_ended_even_after_the_call() {
    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    assert_eq!(world.engine.calls(), 0);
    let mut late = answer_to(&onward, 200, "two", Some(CARRIER_ANSWER));
    late.push(HeaderName::RecordRoute, "<sip:198.51.100.20;lr>");
    world.receive(trunk(), &late);
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("two"));
    assert_eq!(ack.cseq().unwrap().number, onward.cseq().unwrap().number);
    assert_eq!(
        ack.header(HeaderName::Route),
        Some("<sip:198.51.100.20;lr>")
    );
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("two"));
    assert!(bye.cseq().unwrap().number > onward.cseq().unwrap().number);
}

#[test]
fn c10_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    // No CANCEL before the first 1xx (RFC 3261 section 9.1).
    world.receive(browser, &cancel_of(&invite));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    world.expect_silence(trunk());
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_request(trunk(), &Method::Cancel);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("bob1"));
    world.expect_request(trunk(), &Method::Bye);
    // Again: its ACK was lost.
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(browser);
}

#[test]
fn c10_the_reason_of_a_cancel_reaches_the_browser() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    world.expect_status(trunk(), 180);
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    let mut cancel = cancel_of(&invite);
    cancel.push(HeaderName::Reason, reason);
    world.receive(trunk(), &cancel);
    world.expect_status(trunk(), 200);
    world.expect_status(trunk(), 487);
    let cancel = world.expect_request(browser, &Method::Cancel);
    assert_eq!(cancel.header(HeaderName::Reason), Some(reason));
}

#[test]
fn d13_reasons_pass_both_ways_with_q850() {
    let reason = "Q.850;cause=16;text=\"Normal call clearing\"";
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut bye = in_dialog(&invite, &accepted, &Method::Bye, 1);
    bye.push(HeaderName::Reason, reason);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    let onward = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(onward.header(HeaderName::Reason), Some(reason));

    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let mut bye = in_dialog_of_callee(&onward, "bob1", &Method::Bye);
    bye.push(HeaderName::Reason, reason);
    world.receive(trunk(), &bye);
    world.expect_status(trunk(), 200);
    let told = world.expect_request(browser, &Method::Bye);
    assert_eq!(told.header(HeaderName::Reason), Some(reason));

    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut busy = answer_to(&onward, 486, "bob1", None);
    busy.push(HeaderName::Reason, "Q.850;cause=17");
    world.receive(trunk(), &busy);
    world.expect_request(trunk(), &Method::Ack);
    let told = world.expect_status(browser, 486);
    assert_eq!(told.header(HeaderName::Reason), Some("Q.850;cause=17"));
}

#[test]
fn d14_early_media_that_the_carrier_does_not_grant_are_not_heard() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut silent = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
    silent.push(HeaderName::PEarlyMedia, "inactive");
    world.receive(trunk(), &silent);
    // The browser makes its own ringing tone.
    let ringing = world.expect_status(browser, 180);
    assert!(ringing.body().is_empty());
    let routes = |world: &World| {
        let is_route = |command: &&Command| matches!(command, Command::SetRoute(_));
        world.commands.iter().filter(is_route).count()
    };
    assert_eq!(routes(&world), 1, "only towards the carrier");
    world.commands.clear();
    let mut heard = answer_to(&onward, 183, "bob1", None);
    heard.push(HeaderName::PEarlyMedia, "sendrecv");
    world.receive(trunk(), &heard);
    let early = world.expect_status(browser, 183);
    assert!(!early.body().is_empty());
    assert_eq!(routes(&world), 2);
}

#[test]
fn d14_the_answer_opens_what_early_media_did_not() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    let mut silent = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
    silent.push(HeaderName::PEarlyMedia, "inactive");
    world.receive(trunk(), &silent);
    world.expect_status(browser, 180);
    world.commands.clear();
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", None));
    let accepted = world.expect_status(browser, 200);
    assert!(!accepted.body().is_empty());
    let is_route = |command: &&Command| matches!(command, Command::SetRoute(_));
    assert_eq!(world.commands.iter().filter(is_route).count(), 2);
}
