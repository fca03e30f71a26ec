//! Calls that fail, peers that go silent, input that is wrong.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::media::handshake::HandshakeEvent;
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Command, Event, RefuseReason};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

fn dial(world: &mut World) -> (Peer, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

pub(crate) fn cancel_of(invite: &Message) -> Message {
    let mut cancel = Message::request(Method::Cancel, invite.request_uri().unwrap());
    for name in [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
    ] {
        cancel.push(&name, invite.header(&name).unwrap());
    }
    cancel.push(HeaderName::MaxForwards, "69");
    cancel.push(
        HeaderName::CSeq,
        format!("{} CANCEL", invite.cseq().unwrap().number),
    );
    cancel
}

#[test]
fn failures_of_the_carrier_become_the_browser_s() {
    for (theirs, ours) in [(486, 486), (404, 404), (603, 603), (302, 480), (503, 503)] {
        let mut world = World::new();
        let (browser, _, onward) = dial(&mut world);
        world.receive(trunk(), &answer_to(&onward, theirs, "bob1", None));
        world.expect_request(trunk(), &Method::Ack);
        world.expect_status(browser, ours);
        assert_eq!(world.engine.calls(), 0, "{theirs}");
        assert_eq!(world.records.pop().unwrap().status, ours);
    }
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_carrier() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.receive(browser, &cancel_of(&invite));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    let cancel = world.expect_request(trunk(), &Method::Cancel);
    world.receive(trunk(), &answer_to(&cancel, 200, "bob1", None));
    world.receive(trunk(), &answer_to(&onward, 487, "bob1", None));
    world.expect_request(trunk(), &Method::Ack);
    assert_eq!(world.engine.calls(), 0);
    assert_eq!(world.records.pop().unwrap().status, 487);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_ended() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.receive(browser, &cancel_of(&invite));
    world.expect_request(trunk(), &Method::Cancel);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_request(trunk(), &Method::Bye);
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn a_carrier_that_never_answers_is_a_408() {
    let mut world = World::new();
    let (browser, _, _) = dial(&mut world);
    world.advance(Duration::from_secs(40));
    world.expect_status(browser, 408);
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn a_phone_that_rings_for_ever_is_given_up() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.advance(Duration::from_secs(190));
    world.expect_status(browser, 408);
    world.expect_request(trunk(), &Method::Cancel);
}

#[test]
fn a_browser_that_is_not_registered_cannot_use_the_trunk() {
    let mut world = World::new();
    register_at_carrier(&mut world, "alice");
    let stranger = world.browser();
    world.receive(
        stranger,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    world.expect_status(stranger, 100);
    world.expect_status(stranger, 403);
    world.expect_silence(trunk());
    assert!(world.commands.is_empty());
}

#[test]
fn a_line_s_call_needs_its_password_on_an_unknown_connection() {
    let mut world = World::new();
    log_in(&mut world, "1001", "secret-one");
    let stranger = world.browser();
    world.receive(
        stranger,
        &browser_invite("1001", "lines.test", "9196", BROWSER_OFFER),
    );
    world.expect_status(stranger, 100);
    world.expect_status(stranger, 407);
}

#[test]
fn an_offer_without_fingerprint_is_refused_before_the_carrier_is_bothered() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let offer: String = BROWSER_OFFER
        .lines()
        .filter(|l| !l.contains("fingerprint"))
        .map(|l| format!("{l}\r\n"))
        .collect();
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", &offer),
    );
    world.expect_status(browser, 100);
    let refusal = world.expect_status(browser, 488);
    assert!(
        refusal
            .header(HeaderName::Warning)
            .unwrap()
            .contains("fingerprint")
    );
    world.expect_silence(trunk());
    assert!(world.commands.is_empty());
}

#[test]
fn an_offer_without_a_common_codec_is_refused_with_a_warning() {
    let mut world = World::with_config(&CONFIG.replace("\"PCMU\", \"PCMA\", \"G722\"", "\"PCMU\""));
    let browser = register_at_carrier(&mut world, "alice");
    let offer = BROWSER_OFFER
        .replace("PCMU", "iLBC")
        .replace(" 9 0 8 13 ", " 9 97 8 13 ");
    let offer = offer.replace("rtpmap:0 ", "rtpmap:97 ");
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", &offer),
    );
    world.expect_status(browser, 100);
    let refusal = world.expect_status(browser, 488);
    assert!(
        refusal
            .header(HeaderName::Warning)
            .is_some_and(|w| w.starts_with("305"))
    );
    world.expect_silence(trunk());
}

#[test]
fn used_up_ports_are_a_503_before_any_state() {
    let narrow = CONFIG.replace(
        "[media]",
        "[media]\nrtp_port_min = 30000\nrtp_port_max = 30001",
    );
    let mut world = World::with_config(&narrow);
    let (_, _, _) = dial(&mut world);
    let second = register_at_carrier(&mut world, "carol");
    let calls = world.engine.calls();
    world.receive(
        second,
        &browser_invite("carol", "carrier.test", "bob", BROWSER_OFFER),
    );
    world.expect_status(second, 100);
    let refusal = world.expect_status(second, 503);
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    assert_eq!(world.engine.calls(), calls);
}

#[test]
fn a_port_that_cannot_be_bound_is_replaced_by_another() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    world.workers_answer = false;
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    let opens: Vec<_> = world
        .commands
        .iter()
        .filter_map(|c| {
            if let Command::OpenFlow(open) = c {
                Some(open.flow)
            } else {
                None
            }
        })
        .collect();
    let [first, second] = opens[..] else {
        panic!("{opens:?}")
    };
    world.input(Input::Media(Event::FlowOpened { flow: first }));
    world.workers_answer = true;
    let reason = RefuseReason::PortUnavailable;
    world.input(Input::Media(Event::Refused {
        flow: second,
        reason,
    }));
    world.expect_request(trunk(), &Method::Invite);
}

#[test]
fn a_worker_without_ports_is_a_503_and_everything_is_given_back() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    world.refuse_opens.push_back(RefuseReason::FragmentTaken);
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    world.expect_status(browser, 100);
    world.expect_status(browser, 503);
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn a_silent_browser_ends_the_call_at_the_carrier() {
    let mut world = World::new();
    let (browser, _, _, _) = talk(&mut world);
    world.disconnect(browser);
    let flow = world.handshake_flows()[0];
    let silent_for = Duration::from_secs(60);
    world.input(Input::Media(Event::MediaSilent { flow, silent_for }));
    world.expect_request(trunk(), &Method::Bye);
    assert!(
        world
            .records
            .pop()
            .unwrap()
            .reason
            .contains("media timeout")
    );
}

#[test]
fn a_failed_handshake_ends_the_call_on_both_sides() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_status(browser, 200);
    let flow = world.handshake_flows()[0];
    let reason = "fingerprint does not match".to_owned();
    world.input(Input::Handshake(HandshakeEvent::Failed { flow, reason }));
    world.expect_request(trunk(), &Method::Bye);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn media_that_is_never_keyed_ends_the_call() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.advance(Duration::from_secs(31));
    world.expect_request(trunk(), &Method::Bye);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn ux_p1_the_log_says_once_that_no_media_comes_and_what_did() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.advance(Duration::from_millis(4900));
    assert_eq!(unheard(&world), Vec::<&str>::new());
    world.advance(Duration::from_millis(200));
    let [from_browser, from_trunk] = unheard(&world)[..] else {
        panic!("{:?}", world.logged);
    };
    assert!(
        from_browser.contains("calling browser") && from_browser.contains("no valid ICE check"),
        "{from_browser}"
    );
    assert!(from_trunk.contains("no RTP"), "{from_trunk}");
    world.advance(Duration::from_secs(15));
    assert_eq!(unheard(&world).len(), 2);
}

#[test]
fn ux_p1_a_call_with_media_is_not_complained_of() {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    let held = CARRIER_ANSWER.to_owned() + "a=recvonly\r\n";
    world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some(&held)));
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    let flow = world.handshake_flows()[0];
    world.input(Input::Media(Event::MediaStarted { flow }));
    world.advance(Duration::from_secs(10));
    assert_eq!(unheard(&world), Vec::<&str>::new());
}

/// What the log says of sides that are not heard.
fn unheard(world: &World) -> Vec<&str> {
    let lines = world.logged.iter().map(String::as_str);
    lines.filter(|line| line.starts_with("Unheard")).collect()
}

#[test]
fn a_caller_that_goes_before_the_answer_cancels_the_call() {
    let mut world = World::new();
    let (browser, _, onward) = dial(&mut world);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.disconnect(browser);
    world.expect_request(trunk(), &Method::Cancel);
}

#[test]
fn a_callee_that_goes_while_ringing_is_unavailable() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    world.receive(
        trunk(),
        &carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER),
    );
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "a", None));
    world.expect_status(trunk(), 180);
    world.disconnect(browser);
    let refusal = world.expect(trunk());
    assert!(
        matches!(refusal.status(), Some(480 | 503)),
        "{}",
        text(&refusal)
    );
    assert_eq!(world.engine.calls(), 0);
}

#[test]
fn a_request_of_no_dialog_is_481() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "9196", BROWSER_OFFER);
    let mut accepted = Message::response_to(&invite, 200, None);
    accepted.set_to_tag("nobody");
    accepted.push(HeaderName::Contact, "<sip:x@y.invalid>");
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 481);
}

#[test]
fn malformed_messages_are_answered_400_and_harm_nobody() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    let bad = "OPTIONS sip:lines.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKbad\r\n\
               From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: bad\r\nCSeq: 1 REGISTER\r\n\r\n";
    world.receive_bytes(browser, bad);
    world.expect_status(browser, 400);
    world.receive_bytes(browser, "OPTIONS SIP/2.0\r\n\r\n");
    world.expect_silence(browser);
    assert_eq!(world.engine.calls(), 1);
    assert_eq!(world.closed, []);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
}

#[test]
fn w5_what_is_no_sip_closes_its_connection_with_1003() {
    for garbage in [
        &b"no SIP at all"[..],
        &[0xff; 300],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut world = World::new();
        let (browser, other) = (world.browser(), log_in(&mut world, "1001", "secret-one"));
        world.receive_bytes(browser, garbage.to_vec());
        world.expect_silence(browser);
        let Peer::WebSocket(connection) = browser else {
            unreachable!("a browser")
        };
        assert_eq!(world.closed, [(connection, 1003)]);
        // Nobody else is harmed, and on the trunk side there is nothing to close.
        world.receive_bytes(trunk(), garbage.to_vec());
        world.receive(other, &World::register_message("1001", "lines.test", "r"));
        world.expect(other);
        assert_eq!(world.closed.len(), 1);
    }
}

#[test]
fn stopping_ends_calls_and_refuses_new_ones() {
    let mut world = World::new();
    let (browser, _, _, _) = talk(&mut world);
    world.input(Input::Stop);
    let to_carrier = world.expect_request(trunk(), &Method::Bye);
    let to_browser = world.expect_request(browser, &Method::Bye);
    assert!(!world.engine.is_stopped(), "the peers have not answered");
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "carol", BROWSER_OFFER),
    );
    world.expect_status(browser, 100);
    world.expect_status(browser, 503);
    world.receive(trunk(), &answer_to(&to_carrier, 200, "bob1", None));
    world.receive(browser, &answer_to(&to_browser, 200, "a", None));
    assert!(world.engine.is_stopped());
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let mut world = World::new();
    talk(&mut world);
    world.input(Input::Stop);
    world.advance(Duration::from_secs(4));
    assert!(world.engine.is_stopped());
}

#[test]
fn a_browser_that_sends_garbage_as_its_answer_ends_the_call() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    world.receive(
        trunk(),
        &carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER),
    );
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let broken = BROWSER_ANSWER.replace("a=fingerprint", "a=nothing");
    world.receive(browser, &answer_to(&onward, 200, "a", Some(&broken)));
    world.expect_request(browser, &Method::Ack);
    world.expect_request(browser, &Method::Bye);
    world.expect_status(trunk(), 488);
}

#[test]
fn a_second_fork_of_the_carrier_is_acknowledged_and_ended() {
    let mut world = World::new();
    let (_, _, onward, _) = talk(&mut world);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "fork2", Some(CARRIER_ANSWER)),
    );
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("fork2"));
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("fork2"));
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn somebody_else_s_dialog_cannot_be_ended_without_its_tags() {
    let mut world = World::new();
    let (_, _, onward, _) = talk(&mut world);
    let mut forged = in_dialog_of_callee(&onward, "guess", &Method::Bye);
    forged.set(
        HeaderName::Via,
        "SIP/2.0/WSS evil.invalid;branch=z9hG4bKevil",
    );
    let evil = world.browser();
    world.receive(evil, &forged);
    world.expect_status(evil, 481);
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn c10_a_bye_that_overtakes_the_answer_is_a_480_to_the_caller() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    let bye = in_dialog_of_callee(&onward, "bob1", &Method::Bye);
    world.receive(trunk(), &bye);
    world.expect_status(trunk(), 200);
    world.expect_status(browser, 480);
    assert_eq!(world.records[0].status, 480);
    assert_eq!(world.records[0].talked, None);
    // The answer comes after all: it is acknowledged, and ended by us, too.
    world.expect_request(trunk(), &Method::Cancel);
    let late = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &late);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_request(trunk(), &Method::Bye);
    world.expect_silence(browser);
}

#[test]
fn c3_the_t1_of_a_trunk_holds_for_what_it_is_answered() {
    let keys = "[[trunk]]\nt1_ms = 1000\n";
    let mut world = World::with_config(&CONFIG.replace("[[trunk]]\n", keys));
    let invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 480);
    // Timer G is T1 at first.
    world.advance(Duration::from_millis(999));
    world.expect_silence(trunk());
    world.advance(Duration::from_millis(1));
    world.expect_status(trunk(), 480);

    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::CallId, "carrier-call-2");
    let via = "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKcarrier2;rport";
    invite.set(HeaderName::Via, via);
    world.sent.clear();
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_status(trunk(), 200);
    world.advance(Duration::from_millis(999));
    let of_call = |world: &World| {
        let is_it = |(peer, message): &&(Peer, Message)| {
            *peer == trunk() && message.call_id() == "carrier-call-2"
        };
        world.sent.iter().filter(is_it).count()
    };
    assert_eq!(of_call(&world), 0);
    world.advance(Duration::from_millis(1));
    assert_eq!(of_call(&world), 1);
}
