//! Calls as they should go: browser to carrier, carrier to browser, line to line, echo.

use std::time::Duration;

use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Feedback, Media};
use tests::world::{World, text};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, BROWSER_VIDEO_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to,
    browser_invite, carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier,
    trunk,
};

/// Brings a browser's call to the carrier to the point where both talk.
pub(crate) fn talk(world: &mut World) -> (control::engine::input::Peer, Message, Message, Message) {
    talk_by(
        world,
        browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    )
}

/// The same, by an INVITE of alice's.
pub(crate) fn talk_by(
    world: &mut World,
    invite: Message,
) -> (control::engine::input::Peer, Message, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    (browser, invite, onward, accepted)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one call from end to end")]
fn a_browser_calls_the_carrier() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);

    let seen = text(&onward);
    assert!(seen.len() < 1300, "{} bytes: {seen}", seen.len());
    for secret in [
        ".invalid",
        "transport=ws",
        "203.0.113",
        "JsSIP",
        "X-Internal",
        "ice-",
        "127.0",
    ] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    assert_eq!(onward.headers(HeaderName::Via).count(), 1);
    assert_eq!(onward.request_uri(), Some("sip:bob@carrier.test"));
    assert_eq!(onward.header(HeaderName::MaxForwards), Some("68"));
    assert_ne!(onward.call_id(), invite.call_id());

    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    assert!(world.expect_status(browser, 180).body().is_empty());
    world.receive(
        trunk(),
        &answer_to(&onward, 183, "bob1", Some(CARRIER_ANSWER)),
    );
    let early = world.expect_status(browser, 183);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    assert_eq!(
        early.body(),
        accepted.body(),
        "183 and 200 must carry the same answer"
    );
    assert_eq!(early.to_tag(), accepted.to_tag());
    assert_eq!(
        accepted.header(HeaderName::SessionExpires),
        Some("90;refresher=uac")
    );

    let routes = world
        .commands
        .iter()
        .filter(|c| matches!(c, Command::SetRoute(_)))
        .count();
    assert!(routes >= 2, "both directions: {:?}", world.commands);
    assert!(
        world
            .commands
            .iter()
            .any(|c| matches!(c, Command::SetPeer { .. }))
    );

    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    assert_eq!(world.engine.calls(), 0);
    let record = world.records.pop().expect("a record");
    assert_eq!(
        (record.status, record.reason.as_str()),
        (200, "caller hung up")
    );
    assert_eq!(record.codec.as_deref(), Some("PCMA/8000"));
    assert_eq!(record.began.direction, "browser→trunk");
}

#[test]
fn the_carrier_calls_a_registered_browser() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg"),
    );
    let register = world.expect_request(trunk(), &Method::Register);
    let contact = register.header(HeaderName::Contact).unwrap().to_owned();
    let mut granted = Message::response_to(&register, 200, None);
    granted.push(HeaderName::Contact, contact.as_str());
    world.receive(trunk(), &granted);
    world.expect_status(browser, 200);

    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    let invite = carrier_invite(uri, CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    assert_eq!(
        onward.request_uri(),
        Some("sip:alicex@x1.invalid;transport=ws")
    );
    let offer = text(&onward);
    for needed in [
        "UDP/TLS/RTP/SAVPF",
        "a=setup:actpass",
        "a=ice-lite",
        "a=rtcp-mux",
        "BUNDLE",
    ] {
        assert!(offer.contains(needed), "{needed} in {offer}");
    }
    world.receive(browser, &answer_to(&onward, 180, "alice1", None));
    world.expect_status(trunk(), 180);
    world.receive(
        browser,
        &answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    let answer = text(&accepted);
    assert!(
        answer.contains("RTP/AVP") && !answer.contains("fingerprint"),
        "{answer}"
    );
    assert!(
        answer.contains("<sip:ringway@198.51.100.1:5060>"),
        "{answer}"
    );
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));

    // The browser hangs up.
    let bye = in_dialog_of_callee(&onward, "alice1", &Method::Bye);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    world.expect_request(trunk(), &Method::Bye);
    assert_eq!(world.records.pop().unwrap().reason, "callee hung up");
}

#[test]
fn two_lines_call_each_other_with_video() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1001", "lines.test", "1002", BROWSER_VIDEO_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    assert!(onward.header(HeaderName::From).unwrap().contains("1001"));
    assert!(text(&onward).contains("m=video"), "{}", text(&onward));
    let answer = include_str!("../fixtures/chromium_answer_audio_video.sdp");
    world.receive(bob, &answer_to(&onward, 200, "bob1", Some(answer)));
    world.expect_request(bob, &Method::Ack);
    let accepted = world.expect_status(alice, 200);
    assert!(text(&accepted).contains("m=video"), "{}", text(&accepted));
    let video = |command: &&Command| matches!(command, Command::SetRoute(route) if route.media == Media::Video);
    assert_eq!(
        world.commands.iter().filter(video).count(),
        2,
        "video both ways"
    );
    // What both have agreed to, and nothing else of what the browsers offer.
    let agreed = Feedback::NACK
        .with(Feedback::PICTURE_LOSS)
        .with(Feedback::FULL_INTRA);
    assert!(
        text(&onward).contains("goog-remb"),
        "Bob has not agreed to it"
    );
    assert!(!text(&accepted).contains("transport-cc"));
    for command in &world.commands {
        if let Command::SetRoute(route) = command {
            let expected = match route.media {
                Media::Video => agreed,
                Media::Audio => Feedback::NONE,
            };
            assert_eq!(route.feedback, expected);
            // As the description that its receiver got tells it.
            let name = String::from_utf8_lossy(route.cname.as_bytes()).into_owned();
            let told = format!("a=ssrc:{} cname:{name}", route.outgoing_ssrc.0);
            let texts = [text(&onward), text(&accepted)];
            assert_eq!(texts.iter().filter(|t| t.contains(&told)).count(), 1);
        }
    }
}

#[test]
fn no_feedback_goes_to_a_carrier_that_knows_only_rtp_avp() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    let routes = |command: &&Command| matches!(command, Command::SetRoute(_));
    assert_eq!(world.commands.iter().filter(routes).count(), 2);
    for command in &world.commands {
        if let Command::SetRoute(route) = command {
            assert_eq!(route.feedback, Feedback::NONE);
        }
    }
}

#[test]
fn the_echo_line_answers_by_itself() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "9196", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let accepted = world.expect_status(alice, 200);
    assert!(text(&accepted).contains("a=setup:passive"));
    let echoes =
        |command: &&Command| matches!(command, Command::SetRoute(route) if route.from == route.to);
    assert_eq!(world.commands.iter().filter(echoes).count(), 1);
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(alice, 200);
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn a_line_of_the_house_calls_out_through_the_only_trunk() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "+15551234", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(onward.request_uri(), Some("sip:+15551234@carrier.test"));
    assert!(
        onward
            .header(HeaderName::From)
            .unwrap()
            .contains("1001@carrier.test")
    );
}

#[test]
fn credentials_for_the_carrier_s_challenge_pass_in_the_same_dialog_names() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let first = world.expect_request(trunk(), &Method::Invite);
    let mut challenge = answer_to(&first, 407, "proxy", None);
    let digest = "Digest realm=\"carrier.test\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    challenge.push(HeaderName::ProxyAuthenticate, digest);
    world.receive(trunk(), &challenge);
    world.expect_request(trunk(), &Method::Ack);
    let asked = world.expect_status(browser, 407);
    let retry = crate::peers::with_credentials(&invite, &asked, "alice", "pw");
    world.receive(browser, &retry);
    world.expect_status(browser, 100);
    let second = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from_tag(), first.from_tag());
    assert!(second.cseq().unwrap().number > first.cseq().unwrap().number);
    let credentials = second.header(HeaderName::ProxyAuthorization).unwrap();
    assert!(
        credentials.contains("uri=\"sip:bob@carrier.test\""),
        "{credentials}"
    );
    assert_eq!(second.request_uri(), Some("sip:bob@carrier.test"));
}

#[test]
fn hold_passes_to_the_other_side_and_back() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.commands.clear();
    let mut hold = in_dialog(&invite, &accepted, &Method::Invite, 1);
    hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert!(text(&onward).contains("a=sendonly"), "{}", text(&onward));
    let held = CARRIER_ANSWER.replace("a=sendrecv", "a=recvonly");
    let held = if held.contains("recvonly") {
        held
    } else {
        format!("{held}a=recvonly\r\n")
    };
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&held)));
    world.expect_request(trunk(), &Method::Ack);
    let answer = world.expect_status(browser, 200);
    assert!(text(&answer).contains("a=recvonly"), "{}", text(&answer));
    assert!(
        world
            .commands
            .iter()
            .any(|c| matches!(c, Command::ClearRoute { .. }))
    );
}

#[test]
fn a_session_refresh_is_answered_here() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut update = in_dialog(&invite, &accepted, &Method::Update, 1);
    update.push(HeaderName::Supported, "timer");
    update.push(HeaderName::SessionExpires, "90;refresher=uac");
    world.receive(browser, &update);
    let answer = world.expect_status(browser, 200);
    assert_eq!(
        answer.header(HeaderName::SessionExpires),
        Some("90;refresher=uac")
    );
    world.expect_silence(trunk());
}

#[test]
fn an_ice_restart_is_answered_here_with_new_credentials() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut again = in_dialog(&invite, &accepted, &Method::Invite, 1);
    again.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    let offer = BROWSER_OFFER.replace("ice-ufrag:Wm3x", "ice-ufrag:Zz9y");
    again.set_body("application/sdp", offer.into());
    world.receive(browser, &again);
    world.expect_status(browser, 100);
    let answer = world.expect_status(browser, 200);
    let ufrag = |message: &Message| {
        let body = text(message);
        body.lines()
            .find(|l| l.starts_with("a=ice-ufrag"))
            .map(str::to_owned)
            .unwrap()
    };
    assert_ne!(ufrag(&answer), ufrag(&accepted));
    world.expect_silence(trunk());
}

#[test]
fn a_dialog_follows_its_user_to_another_connection() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.disconnect(browser);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.engine.calls(), 1, "a dialog outlives its connection");
    let back = world.browser();
    world.receive(back, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(back, 200);
    world.expect_request(trunk(), &Method::Bye);
}
