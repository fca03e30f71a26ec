//! C11: a carrier that sends no offer gets ours in the 200 and answers in its ACK.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, trunk,
};

fn call(world: &mut World, require: Option<&str>) -> (Peer, Message, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.clear_body();
    if let Some(option) = require {
        invite.push(HeaderName::Require, option);
    }
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    (browser, invite, onward)
}

fn answered(world: &mut World) -> (Peer, Message, Message) {
    let (browser, invite, onward) = call(world, None);
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    (browser, invite, accepted)
}

fn peers_set(world: &World) -> usize {
    let is_peer = |command: &&Command| matches!(command, Command::SetPeer { .. });
    world.commands.iter().filter(is_peer).count()
}

#[test]
fn c11_an_invite_without_offer_gets_ours_in_the_200_and_answers_in_the_ack() {
    let mut world = World::new();
    let (browser, invite, onward) = call(&mut world, None);
    let offer = text(&onward);
    for needed in [
        "UDP/TLS/RTP/SAVPF",
        "a=setup:actpass",
        "PCMU/8000",
        "PCMA/8000",
        "G722/8000",
        "telephone-event/8000",
        "a=sendrecv",
    ] {
        assert!(offer.contains(needed), "{needed} in {offer}");
    }
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    assert!(world.expect_status(trunk(), 180).body().is_empty());
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    let ours = text(&accepted);
    assert!(
        ours.contains("m=audio") && ours.contains("RTP/AVP"),
        "{ours}"
    );
    // All that the browser has accepted, and telephone-event.
    assert_eq!(ours.matches("a=rtpmap").count(), 3, "{ours}");
    assert_eq!(peers_set(&world), 0);

    let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
    ack.set_body("application/sdp", CARRIER_OFFER.into());
    world.receive(trunk(), &ack);
    assert_eq!(peers_set(&world), 1);
    let routes = world
        .commands
        .iter()
        .rev()
        .take_while(|c| !matches!(c, Command::SetPeer { .. }));
    let routes = routes.filter(|c| matches!(c, Command::SetRoute(_)));
    assert_eq!(routes.count(), 2, "both directions");
    world.complete_handshakes();
    // An ACK that comes again changes nothing.
    world.receive(trunk(), &ack);
    assert_eq!(peers_set(&world), 1);
    world.advance(Duration::from_secs(120));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn c11_an_ack_without_answer_ends_both_legs() {
    for body in ["", "v=0\r\n"] {
        let mut world = World::new();
        let (browser, invite, accepted) = answered(&mut world);
        let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
        if !body.is_empty() {
            ack.set_body("application/sdp", body.into());
        }
        world.receive(trunk(), &ack);
        let bye = world.expect_request(trunk(), &Method::Bye);
        let reason = bye.header(HeaderName::Reason).unwrap();
        assert!(reason.contains("cause=488"), "{reason}");
        world.expect_request(browser, &Method::Bye);
    }
}

#[test]
fn c11_a_carrier_that_answers_on_hold_holds_the_browser() {
    let mut world = World::new();
    let (browser, invite, accepted) = answered(&mut world);
    let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
    let held = CARRIER_OFFER.replace("a=ptime:20", "a=ptime:20\r\na=sendonly");
    ack.set_body("application/sdp", held.into());
    world.receive(trunk(), &ack);
    world.advance(Duration::ZERO);
    let told = world.expect_request(browser, &Method::Invite);
    assert!(text(&told).contains("a=sendonly"), "{}", text(&told));
}

#[test]
fn c11_ringing_waits_for_the_offer_where_it_would_have_to_be_reliable() {
    let mut world = World::new();
    let (browser, _, onward) = call(&mut world, Some("100rel"));
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    world.expect_silence(trunk());
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_status(trunk(), 200);
}

#[test]
fn c11_a_reinvite_without_offer_that_changes_nothing_is_none_of_the_browser_s_business() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let mut refresh = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    refresh.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    world.receive(trunk(), &refresh);
    world.expect_status(trunk(), 100);
    let offer = world.expect_status(trunk(), 200);
    assert!(text(&offer).contains("a=sendrecv"), "{}", text(&offer));
    assert!(text(&offer).contains("PCMA/8000"), "{}", text(&offer));
    let before = peers_set(&world);
    let mut ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
    let moved = CARRIER_ANSWER.replace("198.51.100.", "198.51.101.");
    ack.set_body("application/sdp", moved.into());
    world.receive(trunk(), &ack);
    assert_eq!(peers_set(&world), before + 1);
    world.advance(Duration::ZERO);
    world.expect_silence(browser);
}

#[test]
fn c11_a_browser_s_invite_without_offer_is_refused_with_a_reason() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    log_in(&mut world, "1002", "secret-two");
    let mut invite = browser_invite("1001", "lines.test", "1002", "");
    invite.clear_body();
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let refusal = world.expect_status(browser, 488);
    assert!(refusal.header(HeaderName::Warning).is_some());
}
