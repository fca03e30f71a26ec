//! Descriptions of one side are compared whole, with direction, formats and address, against what
//! the other side was told: whoever must be told is asked by re-INVITE.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::Command;
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, answer_to, browser_invite, carrier_invite, in_dialog,
    in_dialog_of_callee, log_in, register_at_carrier, trunk,
};
use crate::talker::{Talker, ack_of, audio, audio_routes, both_hear, is_quiet, numbered, obey};

fn dial(world: &mut World) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

/// The carrier answers; the browser acknowledges. Our 200.
fn answered(world: &mut World, call: &(Peer, Message, Message), tag: &str, sdp: Option<&str>) {
    let (browser, invite, onward) = call;
    world.receive(trunk(), &answer_to(onward, 200, tag, sdp));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(*browser, 200);
    world.receive(*browser, &in_dialog(invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
}

fn directed(sdp: &str, direction: &str) -> String {
    format!("{}a={direction}\r\n", sdp.replace("a=sendrecv\r\n", ""))
}

fn a_browser() -> Talker {
    Talker::browser("opus G722 PCMU PCMA")
}

#[test]
fn case_a03_a04_the_caller_is_heard_when_a_183_was_sendonly() {
    let announcements = [
        directed(CARRIER_ANSWER, "sendonly"),
        CARRIER_ANSWER.replace("c=IN IP4 198.51.100.7", "c=IN IP4 0.0.0.0"),
        directed(CARRIER_ANSWER, "inactive"),
    ];
    for early in announcements {
        // The same fork answers, or another one.
        for tag in ["bob1", "other"] {
            let mut world = World::new();
            let call = dial(&mut world);
            let (browser, _, onward) = &call;
            world.receive(trunk(), &answer_to(onward, 183, "bob1", Some(&early)));
            assert!(!audio(&world.expect_status(*browser, 183)).receives);
            answered(&mut world, &call, tag, Some(CARRIER_ANSWER));
            let told = obey(&mut world, *browser, "caller", &mut a_browser());
            assert_eq!(audio(&told).direction(), "sendrecv", "{}", text(&told));
            assert!(both_hear(&world, 8));
            is_quiet(&mut world, &[*browser]);
        }
    }
}

#[test]
fn case_a03_an_update_that_raises_the_direction_while_it_rings_reaches_the_caller() {
    let mut world = World::new();
    let call = dial(&mut world);
    let (browser, _, onward) = &call;
    let early = directed(CARRIER_ANSWER, "sendonly");
    world.receive(trunk(), &answer_to(onward, 183, "bob1", Some(&early)));
    world.expect_status(*browser, 183);
    let update = in_dialog_of_callee(onward, "bob1", &Method::Update);
    let mut update = numbered(update, 101);
    update.set_body("application/sdp", CARRIER_ANSWER.into());
    world.receive(trunk(), &update);
    world.expect_status(trunk(), 200);
    answered(&mut world, &call, "bob1", None);
    let told = obey(&mut world, *browser, "caller", &mut a_browser());
    assert_eq!(audio(&told).direction(), "sendrecv");
    assert!(both_hear(&world, 8));
    is_quiet(&mut world, &[*browser]);
}

#[test]
fn case_a03_telephone_events_that_only_the_200_has_are_told() {
    let without = CARRIER_ANSWER
        .replace("RTP/AVP 8 96", "RTP/AVP 8")
        .replace("a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n", "");
    for (early, last, has) in [
        (without.as_str(), CARRIER_ANSWER, true),
        (CARRIER_ANSWER, without.as_str(), false),
    ] {
        let mut world = World::new();
        let call = dial(&mut world);
        world.receive(trunk(), &answer_to(&call.2, 183, "bob1", Some(early)));
        assert_ne!(audio(&world.expect_status(call.0, 183)).has_events(), has);
        answered(&mut world, &call, "bob1", Some(last));
        let told = obey(&mut world, call.0, "caller", &mut a_browser());
        assert_eq!(audio(&told).has_events(), has);
        is_quiet(&mut world, &[call.0]);
    }
}

#[test]
fn case_a03_one_line_that_announces_itself_is_heard_by_the_other() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    let mut callee = a_browser();
    callee.receives = false;
    let early = callee.answer(&text(&onward));
    world.receive(bob, &answer_to(&onward, 183, "bob1", early.as_deref()));
    assert_eq!(
        audio(&world.expect_status(alice, 183)).direction(),
        "sendonly"
    );
    callee.receives = true;
    let last = callee.answer(&text(&onward));
    world.receive(bob, &answer_to(&onward, 200, "bob1", last.as_deref()));
    world.expect_request(bob, &Method::Ack);
    let accepted = world.expect_status(alice, 200);
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let told = obey(&mut world, alice, "caller", &mut a_browser());
    assert_eq!(audio(&told).direction(), "sendrecv");
    is_quiet(&mut world, &[alice, bob]);
    assert_eq!(audio_routes(&world).len(), 2);
}

#[test]
fn suite_s7_a_direction_that_rises_before_the_answer_reaches_both_sides() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let (mut carrier, mut alice) = (Talker::carrier("PCMU PCMA"), a_browser());
    (carrier.sends, carrier.receives) = (false, false);
    carrier.is_terse = false;
    let offer = carrier.offer();
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", &offer);
    invite.push(HeaderName::Require, "100rel");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = alice.answer(&text(&onward));
    world.receive(
        browser,
        &answer_to(&onward, 183, "alice1", answer.as_deref()),
    );
    let early = world.expect_status(trunk(), 183);
    let mut prack = in_dialog(&invite, &early, &Method::Prack, 1);
    let number = early.header(HeaderName::RSeq).unwrap();
    prack.push(HeaderName::RAck, format!("{number} 1 INVITE"));
    world.receive(trunk(), &prack);
    world.expect_status(trunk(), 200);
    (carrier.sends, carrier.receives) = (true, true);
    let mut update = in_dialog(&invite, &early, &Method::Update, 2);
    let offer = carrier.offer();
    update.set_body("application/sdp", offer.clone().into());
    world.receive(trunk(), &update);
    carrier.answered(&offer, &world.expect_status(trunk(), 200));
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", answer.as_deref()),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    let told = obey(&mut world, browser, "alice1", &mut alice);
    assert_eq!(audio(&told).direction(), "sendrecv");
    let told = obey(&mut world, trunk(), "bob1", &mut carrier);
    assert_eq!(audio(&told).direction(), "sendrecv");
    is_quiet(&mut world, &[browser]);
    assert_eq!(audio_routes(&world).len(), 2);
}

/// The carrier's Bob holds, and the browser knows it.
fn held(world: &mut World, alice: &mut Talker, bob: &mut Talker) -> (Peer, Message, Message) {
    let (browser, invite, onward, accepted) = talk(world);
    bob.receives = false;
    let offer = bob.offer();
    let mut hold = numbered(in_dialog_of_callee(&onward, "bob1", &Method::Invite), 101);
    hold.set_body("application/sdp", offer.clone().into());
    world.receive(trunk(), &hold);
    world.expect_status(trunk(), 100);
    obey(world, browser, "caller", alice);
    bob.answered(&offer, &world.expect_status(trunk(), 200));
    let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
    world.receive(trunk(), &ack_of(ack, 101, None));
    let dialog = in_dialog(&invite, &accepted, &Method::Invite, 0);
    (browser, onward, dialog)
}

#[test]
fn case_c02_e31_suite_s5_an_offer_that_a_held_peer_asks_for_is_as_for_a_new_call() {
    for resumes in [true, false] {
        let mut world = World::new();
        let (mut alice, mut bob) = (a_browser(), Talker::carrier("PCMA"));
        let (browser, onward, _) = held(&mut world, &mut alice, &mut bob);
        let resume = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
        world.receive(trunk(), &numbered(resume, 102));
        world.expect_status(trunk(), 100);
        let ours = world.expect_status(trunk(), 200);
        let said = audio(&ours);
        assert_eq!(said.direction(), "sendrecv", "{}", text(&ours));
        for codec in ["G722/8000", "PCMU/8000", "PCMA/8000"] {
            assert!(said.codecs().contains(&codec), "{}", text(&ours));
        }
        bob.receives = resumes;
        let answer = bob.answer(&text(&ours));
        let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
        world.receive(trunk(), &ack_of(ack, 102, answer.as_deref()));
        if resumes {
            let told = obey(&mut world, browser, "caller", &mut alice);
            assert_eq!(audio(&told).direction(), "sendrecv");
            assert!(both_hear(&world, 8));
        }
        is_quiet(&mut world, &[browser]);
    }
}

#[test]
fn case_e31_suite_s5_another_codec_in_the_ack_is_offered_to_the_browser() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let mut other = Talker::carrier("PCMU");
    let empty = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    world.receive(trunk(), &numbered(empty, 101));
    world.expect_status(trunk(), 100);
    let ours = world.expect_status(trunk(), 200);
    let answer = other.answer(&text(&ours)).expect("all codecs are offered");
    let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
    world.receive(trunk(), &ack_of(ack, 101, Some(&answer)));
    // Nothing passes in a codec that the browser has not agreed to.
    assert!(audio_routes(&world).is_empty());
    let told = obey(&mut world, browser, "caller", &mut a_browser());
    assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
    assert!(both_hear(&world, 0));
    is_quiet(&mut world, &[browser]);
}

#[test]
fn case_c02_a_browser_that_asks_for_an_offer_gets_a_whole_one() {
    let mut world = World::new();
    let (mut alice, mut bob) = (a_browser(), Talker::carrier("PCMA"));
    let (browser, _, empty) = held(&mut world, &mut alice, &mut bob);
    // It holds by itself too, and comes back.
    alice.receives = false;
    let mut hold = numbered(empty.clone(), 7500);
    let offer = alice.offer();
    hold.set_body("application/sdp", offer.clone().into());
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    obey(&mut world, trunk(), "bob1", &mut bob);
    alice.answered(&offer, &world.expect_status(browser, 200));
    let mut ack = empty.clone();
    ack.set(HeaderName::CSeq, "7500 ACK");
    alice.receives = true;
    bob.receives = true;
    world.receive(browser, &numbered(empty, 7501));
    world.expect_status(browser, 100);
    let ours = world.expect_status(browser, 200);
    assert!(text(&ours).contains("a=setup:actpass"), "{}", text(&ours));
    // Bob holds: he wants to send only.
    assert_eq!(audio(&ours).direction(), "sendonly");
}

#[test]
fn case_c03_suite_s4_a_codec_that_only_one_side_has_agreed_to_is_asked_for() {
    for method in [Method::Invite, Method::Update] {
        let mut world = World::new();
        let (browser, _, onward, _) = talk(&mut world);
        let mut other = Talker::carrier("PCMU");
        let offer = other.offer();
        let mut change = numbered(in_dialog_of_callee(&onward, "bob1", &method), 101);
        change.set_body("application/sdp", offer.clone().into());
        world.receive(trunk(), &change);
        if method == Method::Invite {
            world.expect_status(trunk(), 100);
        }
        world.expect_silence(trunk());
        let told = obey(&mut world, browser, "caller", &mut a_browser());
        assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
        other.answered(&offer, &world.expect_status(trunk(), 200));
        if method == Method::Invite {
            let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
            world.receive(trunk(), &ack_of(ack, 101, None));
        }
        assert!(both_hear(&world, 0));
        is_quiet(&mut world, &[browser]);
    }
}

#[test]
fn case_c03_a_browser_changes_the_codec_too() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let (mut alice, mut bob) = (Talker::browser("PCMU"), Talker::carrier("PCMA PCMU"));
    let mut change = in_dialog(&invite, &accepted, &Method::Update, 1);
    let offer = alice.offer();
    change.set_body("application/sdp", offer.clone().into());
    world.receive(browser, &change);
    let told = obey(&mut world, trunk(), "bob1", &mut bob);
    assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
    alice.answered(&offer, &world.expect_status(browser, 200));
    assert!(both_hear(&world, 0));
    is_quiet(&mut world, &[browser]);
}

#[test]
fn case_c03_a_codec_that_nobody_else_has_is_refused_and_the_call_goes_on() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let ilbc = CARRIER_ANSWER
        .replace("RTP/AVP 8 96", "RTP/AVP 97")
        .replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:97 iLBC/8000");
    let pcmu = Talker::carrier("PCMU").offer();
    for (n, offer) in [(101, ilbc), (102, pcmu)] {
        let mut change = numbered(in_dialog_of_callee(&onward, "bob1", &Method::Update), n);
        change.set_body("application/sdp", offer.into());
        world.receive(trunk(), &change);
        if n == 102 {
            let told = world.expect_request(browser, &Method::Invite);
            world.receive(browser, &answer_to(&told, 488, "caller", None));
            world.expect_request(browser, &Method::Ack);
        }
        world.expect_status(trunk(), 488);
        assert!(both_hear(&world, 8));
        is_quiet(&mut world, &[browser]);
    }
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn case_c03_a_codec_that_changes_while_it_rings_is_told_after_the_ack() {
    let mut world = World::new();
    let call = dial(&mut world);
    world.receive(
        trunk(),
        &answer_to(&call.2, 183, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_status(call.0, 183);
    let mut other = Talker::carrier("PCMU");
    let offer = other.offer();
    let mut change = numbered(in_dialog_of_callee(&call.2, "bob1", &Method::Update), 101);
    change.set_body("application/sdp", offer.clone().into());
    world.receive(trunk(), &change);
    other.answered(&offer, &world.expect_status(trunk(), 200));
    assert!(audio_routes(&world).is_empty());
    answered(&mut world, &call, "bob1", None);
    let told = obey(&mut world, call.0, "caller", &mut a_browser());
    assert_eq!(audio(&told).codecs(), ["PCMU/8000"]);
    assert!(both_hear(&world, 0));
    is_quiet(&mut world, &[call.0]);
}

/// Answers that are none: text, if any.
fn unusable() -> [Option<String>; 4] {
    [
        Some(CARRIER_ANSWER.replace("IP4 198.51.100.7\r\nt=", "IP4 media.example.com\r\nt=")),
        Some("v=0\r\nnothing\r\n".to_owned()),
        None,
        Some(
            CARRIER_ANSWER
                .replace("RTP/AVP 8 96", "RTP/AVP 97")
                .replace("a=rtpmap:8 PCMA/8000", "a=rtpmap:97 iLBC/8000"),
        ),
    ]
}

#[test]
fn case_e06_suite_s9_a_change_whose_answer_cannot_be_used_is_taken_back() {
    for bad in unusable() {
        for repeats in [false, true] {
            let mut world = World::new();
            let (browser, invite, _, accepted) = talk(&mut world);
            let mut alice = a_browser();
            alice.receives = false;
            let mut hold = in_dialog(&invite, &accepted, &Method::Update, 1);
            hold.set_body("application/sdp", alice.offer().into());
            world.receive(browser, &hold);
            let told = world.expect_request(trunk(), &Method::Invite);
            assert_eq!(audio(&told).direction(), "sendonly");
            world.receive(trunk(), &answer_to(&told, 200, "bob1", bad.as_deref()));
            world.expect_request(trunk(), &Method::Ack);
            // The browser asked for nothing wrong.
            world.expect_status(browser, 502);
            if repeats {
                world.advance(Duration::ZERO);
                let again = world.expect_request(trunk(), &Method::Invite);
                world.receive(trunk(), &answer_to(&again, 200, "bob1", bad.as_deref()));
                world.expect_request(trunk(), &Method::Ack);
                let bye = world.expect_request(trunk(), &Method::Bye);
                assert!(bye.header(HeaderName::Reason).unwrap().contains("488"));
                world.expect_request(browser, &Method::Bye);
                continue;
            }
            let again = obey(&mut world, trunk(), "bob1", &mut Talker::carrier("PCMA"));
            assert_eq!(audio(&again).direction(), "sendrecv");
            assert_eq!(audio(&again).codecs(), ["PCMA/8000"]);
            assert!(both_hear(&world, 8));
            is_quiet(&mut world, &[browser]);
            assert_eq!(world.engine.calls(), 1);
        }
    }
}

#[test]
fn case_e06_a_browser_s_unusable_answer_is_taken_back_too() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let mut bob = Talker::carrier("PCMA");
    bob.receives = false;
    let mut hold = numbered(in_dialog_of_callee(&onward, "bob1", &Method::Update), 101);
    hold.set_body("application/sdp", bob.offer().into());
    world.receive(trunk(), &hold);
    let told = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&told, 200, "caller", None));
    world.expect_request(browser, &Method::Ack);
    world.expect_status(trunk(), 502);
    let again = obey(&mut world, browser, "caller", &mut a_browser());
    assert_eq!(audio(&again).direction(), "sendrecv");
    assert!(both_hear(&world, 8));
    is_quiet(&mut world, &[browser]);
}

#[test]
fn case_e06_an_unusable_answer_in_an_ack_is_taken_back() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let empty = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    world.receive(trunk(), &numbered(empty, 101));
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 200);
    let ack = in_dialog_of_callee(&onward, "bob1", &Method::Ack);
    world.receive(trunk(), &ack_of(ack, 101, Some("v=0\r\n")));
    let again = obey(&mut world, trunk(), "bob1", &mut Talker::carrier("PCMA"));
    assert_eq!(audio(&again).codecs(), ["PCMA/8000"]);
    assert!(both_hear(&world, 8));
    is_quiet(&mut world, &[browser]);
}

/// A reliable 183 of a fork, whose media are at this address.
fn reliable_183(onward: &Message, tag: &str, address: &str) -> Message {
    let sdp = CARRIER_ANSWER.replace("198.51.100.7", address);
    let mut early = answer_to(onward, 183, tag, Some(&sdp));
    early.push(HeaderName::Require, "100rel");
    early.push(HeaderName::RSeq, "1");
    early
}

/// The address that the carrier's media were last expected at.
fn last_peer(world: &World) -> String {
    let address = |command: &Command| {
        let Command::SetPeer { peer, .. } = command else {
            return None;
        };
        Some(peer.rtp.ip().to_string())
    };
    let found = world.commands.iter().rev().find_map(address);
    found.unwrap_or_default()
}

#[test]
fn case_e03_the_media_are_those_of_the_fork_that_answers() {
    for answers in ["f1", "f2"] {
        for has_body in [false, true] {
            let mut world = World::new();
            let call = dial(&mut world);
            for (tag, address) in [("f1", "198.51.100.71"), ("f2", "198.51.100.72")] {
                world.receive(trunk(), &reliable_183(&call.2, tag, address));
                let prack = world.expect_request(trunk(), &Method::Prack);
                world.receive(trunk(), &answer_to(&prack, 200, tag, None));
                world.expect_status(call.0, 183);
                assert_eq!(last_peer(&world), address, "who has spoken last");
            }
            let address = format!("198.51.100.7{}", &answers[1..]);
            let body = CARRIER_ANSWER.replace("198.51.100.7", &address);
            let body = has_body.then_some(body.as_str());
            answered(&mut world, &call, answers, body);
            assert_eq!(last_peer(&world), address);
            assert!(both_hear(&world, 8));
            is_quiet(&mut world, &[call.0]);
        }
    }
}

#[test]
fn case_e03_each_fork_has_its_own_codec_and_direction() {
    let mut world = World::new();
    let call = dial(&mut world);
    let pcmu = Talker::carrier("PCMU").answer(&text(&call.2)).unwrap();
    let held = directed(CARRIER_ANSWER, "sendonly");
    for (tag, sdp) in [("f1", &pcmu), ("f2", &held)] {
        world.receive(trunk(), &answer_to(&call.2, 183, tag, Some(sdp)));
        world.expect_status(call.0, 183);
    }
    answered(&mut world, &call, "f1", None);
    // It was told PCMU, which is what holds again.
    assert!(both_hear(&world, 0));
    is_quiet(&mut world, &[call.0]);
}

#[test]
fn case_e03_a_fork_that_has_said_nothing_has_no_media_of_another() {
    let mut world = World::new();
    let call = dial(&mut world);
    world.receive(trunk(), &reliable_183(&call.2, "f1", "198.51.100.71"));
    world.expect_request(trunk(), &Method::Prack);
    world.receive(trunk(), &answer_to(&call.2, 200, "f2", None));
    world.expect_request(trunk(), &Method::Ack);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("f2"));
}
