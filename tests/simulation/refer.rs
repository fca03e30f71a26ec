//! D5: transfer (RFC 3515, 3891, 3892, 4488); D8: INFO.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    carrier_talks, in_dialog, in_dialog_of_callee, trunk,
};

/// Another call of the same browser to the carrier.
fn talk_to(world: &mut World, browser: Peer, callee: &str) -> (Message, Message, Message) {
    let invite = browser_invite("alice", "carrier.test", callee, BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let tag = format!("{callee}1");
    world.receive(
        trunk(),
        &answer_to(&onward, 200, &tag, Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    (invite, onward, accepted)
}

fn refer(invite: &Message, accepted: &Message, refer_to: &str) -> Message {
    let mut refer = in_dialog(invite, accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, refer_to);
    refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    refer
}

fn accepted_refer(request: &Message) -> Message {
    let mut response = Message::response_to(request, 202, None);
    response.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    response
}

#[test]
fn d5_a_refer_of_the_browser_passes_and_its_progress_comes_back() {
    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    let mut asked = refer(&invite, &accepted, "<sip:carol@carrier.test;transport=ws>");
    asked.push(
        HeaderName::ReferredBy,
        "\"Alice\" <sip:alice@carrier.test;gr=x>",
    );
    world.receive(browser, &asked);
    let passed = world.expect_request(trunk(), &Method::Refer);
    assert_eq!(
        passed.header(HeaderName::ReferTo),
        Some("<sip:carol@carrier.test>")
    );
    assert_eq!(
        passed.header(HeaderName::ReferredBy),
        Some("\"Alice\" <sip:alice@carrier.test>")
    );
    assert_eq!(
        passed.header(HeaderName::Contact),
        Some("<sip:ringway@198.51.100.1:5060>")
    );
    assert!(!text(&passed).contains(".invalid"), "{}", text(&passed));
    world.receive(trunk(), &accepted_refer(&passed));
    let answer = world.expect_status(browser, 202);
    assert!(
        answer
            .header(HeaderName::Contact)
            .unwrap()
            .contains("ringway.invalid")
    );

    let mut notify = in_dialog_of_callee(&onward, "bob1", &Method::Notify);
    let ours = passed.cseq().unwrap().number;
    notify.push(HeaderName::Event, format!("refer;id={ours}"));
    notify.push(
        HeaderName::SubscriptionState,
        "terminated;reason=noresource",
    );
    notify.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    notify.set_body("message/sipfrag;version=2.0", "SIP/2.0 200 OK\r\n".into());
    world.receive(trunk(), &notify);
    let told = world.expect_request(browser, &Method::Notify);
    // The number is that of the browser's REFER (RFC 3515 section 2.4.6).
    let theirs = asked.cseq().unwrap().number;
    assert_eq!(
        told.header(HeaderName::Event),
        Some(format!("refer;id={theirs}").as_str())
    );
    assert_eq!(
        told.header(HeaderName::SubscriptionState),
        Some("terminated;reason=noresource")
    );
    assert_eq!(told.body(), notify.body());
    assert_eq!(
        told.header(HeaderName::ContentType),
        Some("message/sipfrag;version=2.0")
    );
    let mut taken = Message::response_to(&told, 200, None);
    taken.push(HeaderName::Contact, "<sip:alicex@x1.invalid>");
    world.receive(browser, &taken);
    let taken = world.expect_status(trunk(), 200);
    assert!(!text(&taken).contains(".invalid"));
}

#[test]
fn d5_replaces_in_refer_to_names_the_carrier_s_dialog() {
    let mut world = World::new();
    let (browser, first, _, first_accepted) = talk(&mut world);
    let (second, carol, second_accepted) = talk_to(&mut world, browser, "carol");
    let refer_to = format!(
        "<sip:ringway@ringway.invalid?Replaces={}%3Bto-tag%3D{}%3Bfrom-tag%3D{}>",
        second.call_id(),
        second_accepted.to_tag().unwrap(),
        second.from_tag().unwrap(),
    );
    world.receive(browser, &refer(&first, &first_accepted, &refer_to));
    let passed = world.expect_request(trunk(), &Method::Refer);
    let expected = format!(
        "<sip:carol@carrier.test?Replaces={}%3Bto-tag%3Dcarol1%3Bfrom-tag%3D{}>",
        carol.call_id(),
        carol.from_tag().unwrap(),
    );
    assert_eq!(passed.header(HeaderName::ReferTo), Some(expected.as_str()));
}

#[test]
fn d5_a_refused_refer_is_refused_to_the_browser() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.receive(
        browser,
        &refer(&invite, &accepted, "<sip:carol@carrier.test>"),
    );
    let passed = world.expect_request(trunk(), &Method::Refer);
    let mut refusal = Message::response_to(&passed, 603, None);
    refusal.push(HeaderName::RetryAfter, "60");
    world.receive(trunk(), &refusal);
    let told = world.expect_status(browser, 603);
    assert_eq!(told.header(HeaderName::RetryAfter), Some("60"));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn d5_a_refer_that_names_nobody_is_a_400() {
    for target in ["", "<sip:>"] {
        let mut world = World::new();
        let (browser, invite, _, accepted) = talk(&mut world);
        let mut asked = in_dialog(&invite, &accepted, &Method::Refer, 1);
        if !target.is_empty() {
            asked.push(HeaderName::ReferTo, target);
        }
        world.receive(browser, &asked);
        world.expect_status(browser, 400);
        world.expect_silence(trunk());
    }
}

#[test]
fn d5_no_subscription_is_asked_for_and_granted_end_to_end() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut asked = refer(&invite, &accepted, "<sip:carol@carrier.test>");
    asked.push(HeaderName::ReferSub, "false");
    asked.push(HeaderName::Supported, "timer, norefersub");
    world.receive(browser, &asked);
    let passed = world.expect_request(trunk(), &Method::Refer);
    assert_eq!(passed.header(HeaderName::ReferSub), Some("false"));
    assert!(passed.lists_token(HeaderName::Supported, "norefersub"));
    let mut answer = accepted_refer(&passed);
    answer.push(HeaderName::ReferSub, "false");
    world.receive(trunk(), &answer);
    let told = world.expect_status(browser, 202);
    assert_eq!(told.header(HeaderName::ReferSub), Some("false"));
}

#[test]
fn d5_a_refer_of_the_carrier_reaches_the_browser() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let mut asked = in_dialog_of_callee(&onward, "bob1", &Method::Refer);
    let target = "<sip:carol@carrier.test?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    asked.push(HeaderName::ReferTo, target);
    asked.push(HeaderName::ReferredBy, "<sip:bob@carrier.test>");
    world.receive(trunk(), &asked);
    let passed = world.expect_request(browser, &Method::Refer);
    // The dialog is none of ours: it is the carrier's, and stays as it is.
    assert_eq!(passed.header(HeaderName::ReferTo), Some(target));
    assert_eq!(
        passed.header(HeaderName::ReferredBy),
        Some("<sip:bob@carrier.test>")
    );
    let contact = passed.header(HeaderName::Contact).unwrap();
    assert!(contact.contains("ringway.invalid"), "{contact}");
}

/// A carrier's call at a line; the browser, and what names its dialog at the carrier.
fn replaceable(world: &mut World) -> (Peer, Message, String) {
    let call = carrier_talks(world);
    let ours = call.accepted.to_tag().unwrap();
    let replaces = format!("carrier-call-1;to-tag={ours};from-tag=bob1");
    (call.browser, call.onward, replaces)
}

fn replacing(replaces: &str) -> Message {
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::CallId, "carrier-call-2");
    invite.set(
        HeaderName::Via,
        "SIP/2.0/UDP 198.51.100.20:5060;rport;branch=z9hG4bKcarrier2",
    );
    invite.push(HeaderName::Replaces, replaces);
    invite.push(HeaderName::Require, "replaces");
    invite
}

#[test]
fn d5_an_invite_of_the_carrier_that_replaces_names_the_browser_s_dialog() {
    let mut world = World::new();
    let (browser, onward, replaces) = replaceable(&mut world);
    world.receive(trunk(), &replacing(&replaces));
    world.expect_status(trunk(), 100);
    let second = world.expect_request(browser, &Method::Invite);
    let expected = format!(
        "{};to-tag=alice1;from-tag={}",
        onward.call_id(),
        onward.from_tag().unwrap()
    );
    assert_eq!(second.header(HeaderName::Replaces), Some(expected.as_str()));
    assert_ne!(second.call_id(), onward.call_id());
}

#[test]
fn d5_an_invite_that_replaces_nothing_is_a_481_and_what_is_no_longer_early_a_486() {
    let mut world = World::new();
    let (browser, _, replaces) = replaceable(&mut world);
    world.receive(trunk(), &replacing("carrier-call-1;to-tag=x;from-tag=bob1"));
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 481);
    let mut early = replacing(&format!("{replaces};early-only"));
    early.set(HeaderName::CallId, "carrier-call-3");
    early.set(
        HeaderName::Via,
        "SIP/2.0/UDP 198.51.100.20:5060;rport;branch=z9hG4bKcarrier3",
    );
    world.receive(trunk(), &early);
    let mut last = world.expect(trunk());
    while last.status().is_none_or(|status| status < 486) {
        last = world.expect(trunk());
    }
    assert_eq!(last.status(), Some(486));
    world.expect_silence(browser);
}

#[test]
fn d5_a_browser_s_invite_that_replaces_a_dialog_of_the_carrier_keeps_its_names() {
    let mut world = World::new();
    let browser = crate::peers::register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    let replaces = "far-away@carrier;to-tag=1;from-tag=2";
    invite.push(HeaderName::Replaces, replaces);
    invite.push(HeaderName::ReferredBy, "<sip:carol@carrier.test>");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(onward.header(HeaderName::Replaces), Some(replaces));
    assert_eq!(
        onward.header(HeaderName::ReferredBy),
        Some("<sip:carol@carrier.test>")
    );
}

#[test]
fn d8_info_passes_both_ways_as_it_is() {
    let mut world = crate::digits::world_with_dtmf("relay");
    let (browser, invite, onward, accepted) = talk(&mut world);
    for (n, media_type, body) in [
        (1, "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        (2, "application/dtmf", "5"),
        (3, "application/media_control+xml", "<media_control/>"),
    ] {
        let mut info = in_dialog(&invite, &accepted, &Method::Info, n);
        info.set_body(media_type, body.into());
        world.receive(browser, &info);
        let passed = world.expect_request(trunk(), &Method::Info);
        assert_eq!(passed.header(HeaderName::ContentType), Some(media_type));
        assert_eq!(passed.body(), info.body());
        world.receive(trunk(), &answer_to(&passed, 200, "bob1", None));
        world.expect_status(browser, 200);
    }
    let mut info = in_dialog_of_callee(&onward, "bob1", &Method::Info);
    info.set_body("application/dtmf-relay", "Signal=#\r\n".into());
    world.receive(trunk(), &info);
    let passed = world.expect_request(browser, &Method::Info);
    assert_eq!(passed.body(), info.body());
    world.receive(browser, &answer_to(&passed, 415, "caller", None));
    world.expect_status(trunk(), 415);
}

#[test]
fn d8_candidates_of_a_browser_stay_here() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let mut info = in_dialog(&invite, &accepted, &Method::Info, 1);
    info.push("Info-Package", "trickle-ice");
    let body = "a=candidate:1 1 udp 1 192.168.1.7 4242 typ host\r\n";
    info.set_body("application/trickle-ice-sdpfrag", body.into());
    world.receive(browser, &info);
    world.expect_status(browser, 200);
    world.expect_silence(trunk());
}
