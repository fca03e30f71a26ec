//! Why ringway ends a call, as both sides are told (RFC 3326), and what passes of a peer's reasons.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::media::handshake::HandshakeEvent;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Event;
use tests::world::{World, text};

use crate::calls::talk;
use crate::forks::dial;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, trunk,
};
use crate::trouble::cancel_of;

/// The next request to a peer is this one, with exactly these Reason headers.
fn expect_reasons(world: &mut World, peer: Peer, method: &Method, reasons: &[&str]) {
    let request = world.expect_request(peer, method);
    let told: Vec<&str> = request.headers(HeaderName::Reason).collect();
    assert_eq!(told, reasons, "{}", text(&request));
}

fn expect_byes(world: &mut World, browser: Peer, reason: &str) {
    for peer in [browser, trunk()] {
        expect_reasons(world, peer, &Method::Bye, &[reason]);
    }
}

#[test]
fn media_f15_a_failed_handshake_tells_both_sides_why() {
    let mut world = World::new();
    let (browser, _, _, _) = talk(&mut world);
    let flow = world.handshake_flows()[0];
    let reason = "fingerprint does not match".to_owned();
    world.input(Input::Handshake(HandshakeEvent::Failed { flow, reason }));
    let reason = "SIP;cause=488;text=\"DTLS handshake failed\", Q.850;cause=58";
    expect_byes(&mut world, browser, reason);
}

#[test]
fn media_f15_ux_g7_silence_a_stop_and_a_session_that_expires_tell_both_sides_why() {
    let silent: fn(&mut World) = |world| {
        let flow = world.opened_flows()[1];
        let silent_for = Duration::from_secs(60);
        world.input(Input::Media(Event::MediaSilent { flow, silent_for }));
    };
    let stop: fn(&mut World) = |world| world.input(Input::Stop);
    let expire: fn(&mut World) = |world| world.advance(Duration::from_secs(90));
    for (ending, reason) in [
        (
            silent,
            "SIP;cause=408;text=\"Media timeout\", Q.850;cause=102",
        ),
        (stop, "SIP;cause=503;text=\"Gateway stops\", Q.850;cause=41"),
        (
            expire,
            "SIP;cause=408;text=\"Session not refreshed\", Q.850;cause=102",
        ),
    ] {
        let mut world = World::new();
        let (browser, _, _, _) = talk(&mut world);
        ending(&mut world);
        expect_byes(&mut world, browser, reason);
    }
}

#[test]
fn media_f15_ux_g7_no_media_path_tells_both_sides_why() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.advance(Duration::from_secs(30));
    let reason = "SIP;cause=408;text=\"No media path\", Q.850;cause=102";
    expect_byes(&mut world, browser, reason);
}

#[test]
fn case_a47_a48_the_bye_after_an_unusable_answer_says_why() {
    let unusable = CARRIER_ANSWER.replace("RTP/AVP 8 96", "RTP/AVP 18");
    for answer in [Some(unusable.as_str()), Some("v=0\r\n"), None] {
        let mut world = World::new();
        let (browser, _, onward) = dial(&mut world);
        world.receive(trunk(), &answer_to(&onward, 200, "bob1", answer));
        world.expect_request(trunk(), &Method::Ack);
        let reason = "SIP;cause=488;text=\"Unusable answer\", Q.850;cause=88";
        expect_reasons(&mut world, trunk(), &Method::Bye, &[reason]);
        assert!(world.expect(browser).status().unwrap() >= 400);
    }
}

#[test]
fn media_f15_each_cancel_says_why() {
    let caller_goes: fn(&mut World, Peer, &Message) = |world, browser, _| world.disconnect(browser);
    let caller_cancels: fn(&mut World, Peer, &Message) =
        |world, browser, invite| world.receive(browser, &cancel_of(invite));
    let nobody_answers: fn(&mut World, Peer, &Message) =
        |world, _, _| world.advance(Duration::from_secs(190));
    for (ending, reason) in [
        (
            caller_goes,
            "SIP;cause=487;text=\"Caller connection lost\", Q.850;cause=31",
        ),
        (
            caller_cancels,
            "SIP;cause=487;text=\"Request Terminated\", Q.850;cause=16",
        ),
        (
            nobody_answers,
            "SIP;cause=408;text=\"No answer\", Q.850;cause=19",
        ),
    ] {
        let mut world = World::new();
        let (browser, invite, onward) = dial(&mut world);
        world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
        world.expect_status(browser, 180);
        ending(&mut world, browser, &invite);
        expect_reasons(&mut world, trunk(), &Method::Cancel, &[reason]);
    }
}

#[test]
fn media_f15_who_answers_too_late_or_second_is_told_so() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(browser, &cancel_of(&invite));
    let late = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &late);
    world.expect_request(trunk(), &Method::Ack);
    let reason = "SIP;cause=487;text=\"Request Terminated\", Q.850;cause=16";
    expect_reasons(&mut world, trunk(), &Method::Bye, &[reason]);

    let mut world = World::new();
    let (_, _, onward, _) = talk(&mut world);
    let second = answer_to(&onward, 200, "bob2", Some(CARRIER_ANSWER));
    world.receive(trunk(), &second);
    world.expect_request(trunk(), &Method::Ack);
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=26";
    expect_reasons(&mut world, trunk(), &Method::Bye, &[reason]);
}

#[test]
fn case_e30_all_reasons_of_a_peer_pass() {
    let all = [
        "SIP;cause=200;text=\"Call completed elsewhere\"",
        "Q.850;cause=16;text=\"a, b\", X-Own;cause=1",
    ];
    let with = |mut request: Message| {
        for reason in all {
            request.push(HeaderName::Reason, reason);
        }
        request
    };
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let bye = with(in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.receive(browser, &bye);
    expect_reasons(&mut world, trunk(), &Method::Bye, &all);

    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let bye = with(in_dialog_of_callee(&onward, "bob1", &Method::Bye));
    world.receive(trunk(), &bye);
    expect_reasons(&mut world, browser, &Method::Bye, &all);

    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    world.receive(trunk(), &with(cancel_of(&invite)));
    expect_reasons(&mut world, browser, &Method::Cancel, &all);
}

#[test]
fn case_e30_all_reasons_pass_between_lines_and_with_a_cancelled_change() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    world.receive(bob, &answer_to(&onward, 200, "bob1", Some(BROWSER_ANSWER)));
    world.expect_request(bob, &Method::Ack);
    let accepted = world.expect_status(alice, 200);
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    let mut hold = in_dialog(&invite, &accepted, &Method::Invite, 1);
    hold.push(HeaderName::Contact, "<sip:1001x@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    world.receive(alice, &hold);
    let change = world.expect_request(bob, &Method::Invite);
    world.receive(bob, &answer_to(&change, 100, "bob1", None));
    let mut cancel = cancel_of(&hold);
    cancel.push(HeaderName::Reason, "SIP;cause=487");
    cancel.push(HeaderName::Reason, "Q.850;cause=31");
    world.receive(alice, &cancel);
    let both = ["SIP;cause=487", "Q.850;cause=31"];
    expect_reasons(&mut world, bob, &Method::Cancel, &both);
}
