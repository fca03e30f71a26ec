//! Bodies that hold more than a session description, or none (RFC 5621): calls come about all the
//! same, or are refused with 415.

use std::time::Duration;

use bytes::Bytes;
use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::{talk, talk_by};
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, carrier_talks, in_dialog, in_dialog_of_callee, log_in, register_at_carrier,
    trunk,
};

const ISUP: &str = "Content-Type: application/isup;version=itu-t92+\r\n\
                    Content-Disposition: signal;handling=optional";
const ISUP_REQUIRED: &str = "Content-Type: application/isup\r\n\
                             Content-Disposition: signal;handling=required";
/// As Asterisk writes it: without disposition.
const PIDF: &str = "Content-Type: application/pidf+xml\r\nContent-ID: <target@carrier.test>";
const AOC: &str = "application/vnd.etsi.aoc+xml";

/// Puts a part beside the description of a message, behind it or before.
fn with_part(mut message: Message, head: &str, is_first: bool) -> Message {
    let sdp = String::from_utf8(message.body().to_vec()).unwrap();
    let sdp = format!("--unique-b1\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n");
    let other = format!("--unique-b1\r\n{head}\r\n\r\n\u{1}\0 \u{1}\r\n");
    let parts = if is_first { other + &sdp } else { sdp + &other };
    message.set_body(
        "multipart/mixed;boundary=unique-b1",
        Bytes::from(format!("{parts}--unique-b1--\r\n")),
    );
    message
}

fn with_body(mut message: Message, content_type: &str, body: &'static str) -> Message {
    message.set_body(content_type, Bytes::from(body));
    message
}

/// The carrier's offer within a call, from a new address, as the caller.
fn carrier_reoffer(invite: &Message, accepted: &Message, method: &Method) -> Message {
    let mut request = in_dialog(invite, accepted, method, 1);
    let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKsecond{method}");
    request.set(HeaderName::Via, via);
    request.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    let moved = CARRIER_OFFER.replace("198.51.100.7/127", "198.51.100.8");
    request.set_body("application/sdp", Bytes::from(moved));
    request
}

fn is_415(refused: &Message) {
    assert_eq!(refused.status(), Some(415));
    assert!(refused.lists_token(HeaderName::Accept, "application/sdp"));
    assert!(refused.lists_token(HeaderName::Accept, "multipart/mixed"));
    assert!(refused.lists_token(HeaderName::AcceptEncoding, "identity"));
}

fn peers_set(world: &World) -> usize {
    let is_peer = |command: &&Command| matches!(command, Command::SetPeer { .. });
    world.commands.iter().filter(is_peer).count()
}

/// The carrier calls line 1001 with this INVITE.
fn call_line(world: &mut World, invite: &Message) -> Peer {
    let browser = log_in(world, "1001", "secret-one");
    world.receive(trunk(), invite);
    world.expect_status(trunk(), 100);
    browser
}

#[test]
fn case_a01_a02_b01_suite_s1_a_carriers_answer_beside_isup_makes_the_call() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let early = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &with_part(early, ISUP, false));
    let early = world.expect_status(browser, 183);
    assert!(text(&early).contains("UDP/TLS/RTP/SAVPF"));
    // A response cannot be refused, whatever it requires.
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &with_part(answer, ISUP_REQUIRED, true));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(
        accepted.header(HeaderName::ContentType),
        Some("application/sdp")
    );
    assert_eq!(accepted.body(), early.body());
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn suite_s1_a_200_with_advice_of_charge_leaves_the_answer_of_the_reliable_183() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let mut early = answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER));
    early.push(HeaderName::Require, "100rel");
    early.push(HeaderName::RSeq, "1");
    world.receive(trunk(), &early);
    let prack = world.expect_request(trunk(), &Method::Prack);
    world.receive(trunk(), &answer_to(&prack, 200, "bob1", None));
    let early = world.expect_status(browser, 183);
    let answer = with_body(answer_to(&onward, 200, "bob1", None), AOC, "<aoc/>");
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(accepted.body(), early.body());
    world.expect_silence(trunk());
}

#[test]
fn a_200_with_another_body_alone_and_no_answer_before_it_ends_the_call() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let early = with_body(answer_to(&onward, 183, "bob1", None), AOC, "<aoc/>");
    world.receive(trunk(), &early);
    assert!(world.expect_status(browser, 183).body().is_empty());
    let answer = with_body(answer_to(&onward, 200, "bob1", None), AOC, "<aoc/>");
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_request(trunk(), &Method::Bye);
    world.expect_status(browser, 500);
}

#[test]
fn case_b01_b02_suite_s1_an_offer_among_other_parts_is_taken_and_the_rest_stays_here() {
    for (head, is_first) in [(ISUP, false), (PIDF, true), (PIDF, false)] {
        let mut world = World::new();
        let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
        let browser = call_line(&mut world, &with_part(invite, head, is_first));
        let onward = world.expect_request(browser, &Method::Invite);
        let offer = text(&onward);
        assert!(offer.contains("UDP/TLS/RTP/SAVPF"), "{offer}");
        assert!(
            !offer.contains("isup") && !offer.contains("pidf"),
            "{offer}"
        );
    }
    // A browser with a location, too.
    let mut world = World::new();
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    talk_by(&mut world, with_part(invite, PIDF, true));
}

#[test]
fn suite_s1_a_body_that_must_be_understood_is_415_and_one_that_need_not_is_no_offer() {
    let plain = || carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    let mut world = World::new();
    call_line(&mut world, &with_part(plain(), ISUP_REQUIRED, false));
    is_415(&world.expect_status(trunk(), 415));
    let mut world = World::new();
    call_line(
        &mut world,
        &with_body(plain(), "application/pidf+xml", "<presence/>"),
    );
    is_415(&world.expect_status(trunk(), 415));
    let mut world = World::new();
    call_line(&mut world, &with_body(plain(), "multipart/mixed", "--b1--"));
    world.expect_status(trunk(), 400);
    // A late offer.
    let mut world = World::new();
    let mut invite = with_body(plain(), "application/pidf+xml", "<presence/>");
    invite.push(HeaderName::ContentDisposition, "render;handling=optional");
    let browser = call_line(&mut world, &invite);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    let accepted = world.expect_status(trunk(), 200);
    assert!(text(&accepted).contains("RTP/AVP"));
    // Its answer comes beside a part that would have to be understood; an ACK cannot be refused.
    let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
    ack.set_body("application/sdp", CARRIER_OFFER.into());
    world.receive(trunk(), &with_part(ack, ISUP_REQUIRED, true));
    assert_eq!(peers_set(&world), 1);
    world.complete_handshakes();
    world.advance(Duration::from_secs(60));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn case_b53_b54_an_encoded_body_and_an_early_session_are_no_offers() {
    for (name, value) in [
        (HeaderName::ContentEncoding, "gzip"),
        (
            HeaderName::ContentDisposition,
            "early-session;handling=required",
        ),
    ] {
        let mut world = World::new();
        let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
        invite.push(&name, value);
        let browser = call_line(&mut world, &invite);
        is_415(&world.expect_status(trunk(), 415));
        world.expect_silence(browser);
        assert_eq!(world.engine.calls(), 0);
        // Within a call the session stays as it was.
        let mut world = World::new();
        let call = carrier_talks(&mut world);
        let mut reinvite = carrier_reoffer(&call.invite, &call.accepted, &Method::Invite);
        reinvite.push(&name, value);
        let before = peers_set(&world);
        world.receive(trunk(), &reinvite);
        world.expect_status(trunk(), 100);
        is_415(&world.expect_status(trunk(), 415));
        assert_eq!(peers_set(&world), before);
        world.expect_silence(call.browser);
    }
}

#[test]
fn case_c10_c11_suite_s1_offers_within_a_call_are_found_among_other_parts_or_refused() {
    for method in [Method::Invite, Method::Update] {
        let mut world = World::new();
        let call = carrier_talks(&mut world);
        let before = peers_set(&world);
        let request = carrier_reoffer(&call.invite, &call.accepted, &method);
        world.receive(trunk(), &with_part(request, ISUP, false));
        if method == Method::Invite {
            world.expect_status(trunk(), 100);
        }
        let accepted = world.expect_status(trunk(), 200);
        assert!(text(&accepted).contains("m=audio"));
        assert!(peers_set(&world) > before, "the carrier has moved");

        let mut world = World::new();
        let call = carrier_talks(&mut world);
        let request = carrier_reoffer(&call.invite, &call.accepted, &method);
        let metadata = with_body(request, "application/rs-metadata+xml", "<recording/>");
        world.receive(trunk(), &metadata);
        if method == Method::Invite {
            world.expect_status(trunk(), 100);
        }
        is_415(&world.expect_status(trunk(), 415));
        assert_eq!(world.engine.calls(), 1);
    }
}

#[test]
fn case_c11_an_answer_to_our_reinvite_is_found_among_other_parts() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut hold = in_dialog(&invite, &accepted, &Method::Invite, 1);
    hold.push(HeaderName::Contact, "<sip:alice@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", Bytes::from(offer));
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let held = CARRIER_ANSWER.replace("a=sendrecv", "a=recvonly");
    let answer = answer_to(&onward, 200, "bob1", Some(&held));
    world.receive(trunk(), &with_part(answer, ISUP, false));
    world.expect_request(trunk(), &Method::Ack);
    assert!(text(&world.expect_status(browser, 200)).contains("m=audio"));
}

#[test]
fn a_prack_with_another_body_is_acknowledged_and_is_no_offer() {
    let mut world = World::new();
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::Require, "100rel");
    let browser = call_line(&mut world, &invite);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    let ringing = world.expect_status(trunk(), 180);
    let number = ringing.header(HeaderName::RSeq).unwrap();
    let mut prack = in_dialog(&invite, &ringing, &Method::Prack, 1);
    prack.push(HeaderName::RAck, format!("{number} 1 INVITE"));
    world.receive(trunk(), &with_body(prack, "application/isup", "x"));
    let acknowledged = world.expect_status(trunk(), 200);
    assert!(acknowledged.body().is_empty());
}

#[test]
fn a_browsers_answer_is_found_among_other_parts() {
    let mut world = World::new();
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    let browser = call_line(&mut world, &invite);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &with_part(answer, PIDF, true));
    world.expect_request(browser, &Method::Ack);
    world.expect_status(trunk(), 200);
    // The carrier, called, offers within the call.
    let mut world = World::new();
    let (_, _, onward, _) = talk(&mut world);
    let mut reinvite = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    reinvite.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    reinvite.set_body("application/sdp", CARRIER_ANSWER.into());
    world.receive(trunk(), &with_part(reinvite, ISUP, true));
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 200);
}
