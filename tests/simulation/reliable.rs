//! D3: reliable provisional responses (RFC 3262), from the carrier and towards it.

use std::time::Duration;

use bytes::Bytes;
use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::World;

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at_carrier, trunk,
};

fn dial(world: &mut World, require: Option<&str>) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    if let Some(option) = require {
        invite.push(HeaderName::Require, option);
    }
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

fn reliable(invite: &Message, status: u16, number: u32, sdp: Option<&str>) -> Message {
    let mut response = answer_to(invite, status, "bob1", sdp);
    response.push(HeaderName::Require, "100rel");
    response.push(HeaderName::RSeq, number.to_string());
    response
}

/// A carrier's call that requires reliable responses, ringing at a line.
fn ring(world: &mut World) -> (Peer, Message, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::Require, "100rel");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    (browser, invite, onward)
}

fn prack(invite: &Message, response: &Message, n: u32) -> Message {
    let mut prack = in_dialog(invite, response, &Method::Prack, n);
    let via = format!("SIP/2.0/UDP 198.51.100.20:5060;rport;branch=z9hG4bKprack{n}");
    prack.set(HeaderName::Via, via);
    let number = response.header(HeaderName::RSeq).unwrap();
    let cseq = invite.cseq().unwrap().number;
    prack.push(HeaderName::RAck, format!("{number} {cseq} INVITE"));
    prack
}

#[test]
fn d3_a_reliable_183_is_acknowledged_and_the_browser_sees_a_plain_one() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world, None);
    assert!(onward.lists_token(HeaderName::Supported, "100rel"));
    assert!(!onward.lists_token(HeaderName::Require, "100rel"));
    let number = onward.cseq().unwrap().number;

    let progress = reliable(&onward, 183, 5, Some(CARRIER_ANSWER));
    world.receive(trunk(), &progress);
    let prack = world.expect_request(trunk(), &Method::Prack);
    assert_eq!(
        prack.header(HeaderName::RAck),
        Some(format!("5 {number} INVITE").as_str())
    );
    assert_eq!(prack.cseq().unwrap().number, number + 1);
    assert_eq!(prack.to_tag(), Some("bob1"));
    assert!(prack.body().is_empty());
    world.receive(trunk(), &answer_to(&prack, 200, "bob1", None));
    let early = world.expect_status(browser, 183);
    assert_eq!(early.header(HeaderName::RSeq), None);
    assert_eq!(early.header(HeaderName::Require), None);
    assert!(!early.body().is_empty());

    // The same again, and one out of order: not acknowledged, not passed on (section 4).
    world.receive(trunk(), &progress);
    world.receive(trunk(), &reliable(&onward, 180, 7, None));
    world.expect_silence(trunk());
    world.expect_silence(browser);
    world.receive(trunk(), &reliable(&onward, 180, 6, None));
    let second = world.expect_request(trunk(), &Method::Prack);
    assert_eq!(
        second.header(HeaderName::RAck),
        Some(format!("6 {number} INVITE").as_str())
    );
    world.expect_status(browser, 180);

    // The answer was in the 183; browsers want it in the 200.
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", None));
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.cseq().unwrap().number, number);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(accepted.body(), early.body());
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.cseq().unwrap().number, number + 3);
}

#[test]
fn d3_a_carrier_that_requires_it_gets_ringing_again_until_its_prack() {
    let mut world = World::new();
    let (browser, invite, onward) = ring(&mut world);
    assert!(!onward.lists_token(HeaderName::Require, "100rel"));
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    let first = world.expect_status(trunk(), 180);
    assert!(first.lists_token(HeaderName::Require, "100rel"));
    assert!(first.to_tag().is_some() && first.header(HeaderName::Contact).is_some());
    for wait_ms in [500, 1000, 2000] {
        world.advance(Duration::from_millis(wait_ms - 1));
        world.expect_silence(trunk());
        world.advance(Duration::from_millis(1));
        let again = world.expect_status(trunk(), 180);
        assert_eq!(
            again.header(HeaderName::RSeq),
            first.header(HeaderName::RSeq)
        );
    }
    // The next one waits for the PRACK to this one.
    world.receive(browser, &answer_to(&onward, 182, "alice1", None));
    world.expect_silence(trunk());
    world.receive(trunk(), &prack(&invite, &first, 1));
    world.expect_status(trunk(), 200);
    let second = world.expect_status(trunk(), 182);
    let number = |m: &Message| -> u32 { m.header(HeaderName::RSeq).unwrap().parse().unwrap() };
    assert_eq!(number(&second), number(&first) + 1);
    world.receive(trunk(), &prack(&invite, &second, 2));
    world.expect_status(trunk(), 200);
    world.advance(Duration::from_secs(30));
    world.expect_silence(trunk());
}

#[test]
fn d3_without_prack_the_call_fails_with_504() {
    let mut world = World::new();
    let (browser, _, onward) = ring(&mut world);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    world.advance(Duration::from_millis(31_999));
    assert_eq!(world.engine.calls(), 1);
    world.sent.clear();
    world.advance(Duration::from_millis(1));
    world.expect_status(trunk(), 504);
    world.expect_request(browser, &Method::Cancel);
}

#[test]
fn d3_a_prack_for_nothing_is_a_481() {
    let mut world = World::new();
    let (browser, invite, onward) = ring(&mut world);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    let ringing = world.expect_status(trunk(), 180);
    let mut wrong = prack(&invite, &ringing, 1);
    wrong.set(HeaderName::RAck, "1 1 INVITE");
    world.receive(trunk(), &wrong);
    world.expect_status(trunk(), 481);
    world.receive(trunk(), &prack(&invite, &ringing, 2));
    world.expect_status(trunk(), 200);
    world.receive(trunk(), &prack(&invite, &ringing, 3));
    world.expect_status(trunk(), 481);
}

#[test]
fn d3_a_browser_that_requires_it_gets_it_and_the_200_waits_for_its_prack() {
    let mut world = World::new();
    // As SIP.js with sipExtension100rel Required.
    let (browser, invite, onward) = dial(&mut world, Some("100rel"));
    assert!(!onward.lists_token(HeaderName::Require, "100rel"));
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER)),
    );
    let early = world.expect_status(browser, 183);
    assert!(early.lists_token(HeaderName::Require, "100rel"));
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(browser);
    world.receive(browser, &prack(&invite, &early, 1));
    world.expect_status(browser, 200);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(accepted.body(), early.body());
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn d3_an_offer_in_a_prack_is_answered_in_its_200() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world, Some("100rel"));
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER)),
    );
    let early = world.expect_status(browser, 183);
    let mut prack = prack(&invite, &early, 1);
    prack.set_body("application/sdp", BROWSER_OFFER.into());
    world.receive(browser, &prack);
    let answer = world.expect_status(browser, 200);
    assert_eq!(answer.body(), early.body());
    assert_eq!(answer.header(HeaderName::SessionExpires), None);
    world.expect_silence(trunk());
}

#[test]
fn suite_s8_a_prack_whose_offer_cannot_be_taken_is_answered_and_the_invite_refused() {
    let no_codec = BROWSER_OFFER.replace("SAVPF 111 63 9 0 8 13 110 126", "SAVPF 63 13");
    for offer in [no_codec.as_str(), "v=1\r\n"] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        invite.push(HeaderName::Require, "100rel");
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let early = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
        world.receive(trunk(), &early);
        let early = world.expect_status(browser, 183);
        // The 200 that waits for the PRACK is not passed on any more.
        let accepted = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
        world.receive(trunk(), &accepted);
        world.expect_request(trunk(), &Method::Ack);
        let mut prack = prack(&invite, &early, 1);
        prack.set_body("application/sdp", Bytes::from(offer.to_owned()));
        world.receive(browser, &prack);
        assert!(world.expect_status(browser, 200).body().is_empty());
        world.expect_status(browser, 488);
        world.expect_request(trunk(), &Method::Bye);
    }
}
