//! D4: UPDATE (RFC 3311) on either leg, and offers of both sides that meet (S2, RFC 3261 section
//! 14.1).

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

const SECOND: Duration = Duration::from_secs(1);

fn early(world: &mut World, sdp: Option<&str>) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 183, "bob1", sdp));
    world.expect_status(browser, 183);
    (browser, invite, onward)
}

fn update_of_carrier(onward: &Message, sdp: &str) -> Message {
    let mut update = in_dialog_of_callee(onward, "bob1", &Method::Update);
    update.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    update.set_body("application/sdp", sdp.to_owned().into());
    update
}

fn held(sdp: &str) -> String {
    format!("{}a=sendonly\r\n", sdp.replace("a=sendrecv\r\n", ""))
}

fn peers_set(world: &World) -> usize {
    let is_peer = |command: &&Command| matches!(command, Command::SetPeer { .. });
    world.commands.iter().filter(is_peer).count()
}

#[test]
fn d4_an_update_while_it_rings_is_answered_here() {
    let mut world = World::new();
    let (browser, _, onward) = early(&mut world, Some(CARRIER_ANSWER));
    let before = peers_set(&world);
    let moved = CARRIER_ANSWER.replace("198.51.100.", "198.51.101.");
    assert_ne!(moved, CARRIER_ANSWER, "the fixture has another address");
    world.receive(trunk(), &update_of_carrier(&onward, &moved));
    let answer = world.expect_status(trunk(), 200);
    assert!(text(&answer).contains("RTP/AVP"), "{}", text(&answer));
    assert_eq!(peers_set(&world), before + 1);
    world.expect_silence(browser);
}

#[test]
fn d4_what_an_early_update_changes_reaches_the_browser_after_its_ack() {
    let mut world = World::new();
    let (browser, invite, onward) = early(&mut world, Some(CARRIER_ANSWER));
    world.receive(trunk(), &update_of_carrier(&onward, &held(CARRIER_ANSWER)));
    let answer = world.expect_status(trunk(), 200);
    assert!(text(&answer).contains("a=recvonly"), "{}", text(&answer));
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", None));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.expect_silence(browser);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.advance(Duration::ZERO);
    let told = world.expect_request(browser, &Method::Invite);
    assert!(text(&told).contains("a=sendonly"), "{}", text(&told));
    let answer = BROWSER_ANSWER.replace("a=sendrecv", "a=recvonly");
    world.receive(browser, &answer_to(&told, 200, "caller", Some(&answer)));
    world.expect_request(browser, &Method::Ack);
    world.expect_silence(trunk());
}

#[test]
fn d4_an_offer_before_the_first_is_answered_waits() {
    let mut world = World::new();
    let (_, _, onward) = early(&mut world, None);
    world.receive(trunk(), &update_of_carrier(&onward, CARRIER_ANSWER));
    world.expect_status(trunk(), 491);

    // And one of the side that waits for our answer (RFC 3311 section 5.2).
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    let ringing = world.expect_status(trunk(), 180);
    let mut update = in_dialog(&invite, &ringing, &Method::Update, 1);
    update.set_body("application/sdp", CARRIER_OFFER.into());
    world.receive(trunk(), &update);
    let refusal = world.expect_status(trunk(), 500);
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    world.expect_silence(browser);
}

#[test]
fn d4_an_update_without_offer_only_moves_the_target() {
    let mut world = World::new();
    let (browser, _, onward) = early(&mut world, None);
    let mut update = in_dialog_of_callee(&onward, "bob1", &Method::Update);
    update.push(HeaderName::Contact, "<sip:moved@198.51.100.20:5060>");
    world.receive(trunk(), &update);
    world.expect_status(trunk(), 200);
    world.expect_silence(browser);
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_status(browser, 183);
}

#[test]
fn d4_an_update_that_holds_becomes_a_reinvite_to_the_browser() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    world.receive(trunk(), &update_of_carrier(&onward, &held(CARRIER_ANSWER)));
    let told = world.expect_request(browser, &Method::Invite);
    assert!(text(&told).contains("a=sendonly"), "{}", text(&told));
    world.expect_silence(trunk());
    let answer = BROWSER_ANSWER.replace("a=sendrecv", "a=recvonly");
    world.receive(browser, &answer_to(&told, 200, "caller", Some(&answer)));
    world.expect_request(browser, &Method::Ack);
    let answer = world.expect_status(trunk(), 200);
    assert!(text(&answer).contains("a=recvonly"), "{}", text(&answer));
}

/// The browser holds; what the carrier gets.
fn hold(world: &mut World, browser: Peer, invite: &Message, accepted: &Message) -> Message {
    let mut hold = in_dialog(invite, accepted, &Method::Invite, 1);
    hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    world.expect_request(trunk(), &Method::Invite)
}

fn refuse(world: &mut World, request: &Message, status: u16) {
    world.receive(trunk(), &answer_to(request, status, "bob1", None));
    world.expect_request(trunk(), &Method::Ack);
}

#[test]
fn s2_a_refused_change_leaves_the_session_as_it_was() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.remove(HeaderName::SessionExpires);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let mut answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    answer.push(HeaderName::SessionExpires, "90;refresher=uac");
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    let change = hold(&mut world, browser, &invite, &accepted);
    assert_ne!(change.body(), onward.body());
    refuse(&mut world, &change, 488);
    world.expect_status(browser, 488);
    // A refresh repeats what is in force, not what was refused.
    world.advance(45 * SECOND);
    let refresh = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(refresh.body(), onward.body(), "{}", text(&refresh));
}

#[test]
fn s2_a_change_that_meets_another_is_tried_again() {
    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    let first = hold(&mut world, browser, &invite, &accepted);
    refuse(&mut world, &first, 491);
    world.expect_silence(browser);
    // The carrier's own, meanwhile, waits too.
    let mut theirs = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    theirs.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    theirs.set_body("application/sdp", held(CARRIER_ANSWER).into());
    world.receive(trunk(), &theirs);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 491);
    let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
    world.receive(trunk(), &ack);
    // We made the Call-ID: 2.1 to 4 s.
    world.advance(Duration::from_millis(2099));
    assert!(!world.sent.iter().any(|(_, m)| m.is_request()));
    world.sent.clear();
    world.advance(Duration::from_millis(1901));
    let second = world
        .sent
        .iter()
        .find(|(_, m)| m.method() == Method::Invite && m.is_request())
        .map(|(_, m)| m.clone())
        .unwrap();
    world.sent.clear();
    assert!(second.cseq().unwrap().number > first.cseq().unwrap().number);
    let answer = format!("{CARRIER_ANSWER}a=recvonly\r\n");
    world.receive(trunk(), &answer_to(&second, 200, "bob1", Some(&answer)));
    world.expect_request(trunk(), &Method::Ack);
    world.expect_status(browser, 200);
}

#[test]
fn s2_a_change_that_is_never_taken_is_a_491_in_the_end() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut attempt = hold(&mut world, browser, &invite, &accepted);
    for _ in 0..2 {
        refuse(&mut world, &attempt, 491);
        for _ in 0..400 {
            world.advance(Duration::from_millis(10));
            if !world.sent.is_empty() {
                break;
            }
        }
        attempt = world.expect_request(trunk(), &Method::Invite);
    }
    refuse(&mut world, &attempt, 491);
    world.expect_status(browser, 491);
    assert_eq!(world.engine.calls(), 1);
}
