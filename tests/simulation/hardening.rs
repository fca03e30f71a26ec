//! What peers may not do, and what is owed to them when calls end in the middle of something.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::sip::{HeaderName, Message, Method};
use dataplane::link::{Event, RefuseReason};
use tests::world::{CONFIG, World, text};

use crate::calls::talk;
use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk, with_credentials,
};

/// A hold of the caller that has reached the carrier and waits for its answer.
fn hold_under_way(world: &mut World) -> (Peer, Message, Message, Message, Message) {
    let (browser, invite, onward, accepted) = talk(world);
    let hold = hold(&invite, &accepted, 1);
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    let reinvite = world.expect_request(trunk(), &Method::Invite);
    assert!(reinvite.cseq().expect("a header").number > onward.cseq().expect("a header").number);
    (browser, invite, accepted, hold, reinvite)
}

fn hold(invite: &Message, accepted: &Message, n: u32) -> Message {
    let mut hold = in_dialog(invite, accepted, &Method::Invite, n);
    hold.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    hold.set_body(
        "application/sdp",
        BROWSER_OFFER.replace("a=sendrecv", "a=sendonly").into(),
    );
    hold
}

fn cancel_of(invite: &Message) -> Message {
    let mut cancel = Message::request(Method::Cancel, invite.request_uri().expect("a header"));
    for name in [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
    ] {
        cancel.push(&name, invite.header(&name).expect("a header"));
    }
    cancel.push(
        HeaderName::CSeq,
        format!("{} CANCEL", invite.cseq().expect("a header").number),
    );
    cancel
}

/// Everything but connections is given back once all timers have fired.
fn expect_nothing_left(world: &mut World) {
    world.advance(Duration::from_secs(600));
    let usage = world.engine.usage();
    let kept = (
        usage.call_entries,
        usage.relayed,
        usage.transactions,
        usage.flows,
    );
    assert_eq!((kept, usage.port_pairs), ((0, 0, 0, 0), 0), "{usage:?}");
}

#[test]
fn a_reinvite_that_waits_when_the_call_ends_is_answered_487() {
    let mut world = World::new();
    let (browser, invite, accepted, _, _) = hold_under_way(&mut world);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 2));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    world.expect_request(trunk(), &Method::Bye);
    expect_nothing_left(&mut world);
}

#[test]
fn an_info_that_waits_when_the_call_ends_is_answered_487() {
    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    let mut info = in_dialog(&invite, &accepted, &Method::Info, 1);
    info.set_body("application/media_control+xml", "<media_control/>".into());
    world.receive(browser, &info);
    world.expect_request(trunk(), &Method::Info);
    world.receive(trunk(), &in_dialog_of_callee(&onward, "bob1", &Method::Bye));
    world.expect_status(browser, 487);
    world.expect_request(browser, &Method::Bye);
    expect_nothing_left(&mut world);
}

#[test]
fn a_cancelled_reinvite_is_answered_487_and_cancelled_at_the_other_side() {
    let mut world = World::new();
    let (browser, _, _, hold, reinvite) = hold_under_way(&mut world);
    world.receive(trunk(), &answer_to(&reinvite, 100, "bob1", None));
    world.receive(browser, &cancel_of(&hold));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    let cancel = world.expect_request(trunk(), &Method::Cancel);
    assert_eq!(
        cancel.cseq().unwrap().number,
        reinvite.cseq().unwrap().number
    );
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn a_repeated_answer_to_a_reinvite_is_acknowledged_again() {
    let mut world = World::new();
    let (browser, _, _, _, reinvite) = hold_under_way(&mut world);
    let held = CARRIER_ANSWER.replace("a=sendrecv", "a=recvonly");
    let answer = answer_to(&reinvite, 200, "bob1", Some(&held));
    for _ in 0..2 {
        world.receive(trunk(), &answer);
        let ack = world.expect_request(trunk(), &Method::Ack);
        assert_eq!(ack.cseq().unwrap().number, reinvite.cseq().unwrap().number);
    }
    world.expect_status(browser, 200);
}

#[test]
fn a_reinvite_that_finds_no_dialog_ends_the_call() {
    let mut world = World::new();
    let (browser, _, _, _, reinvite) = hold_under_way(&mut world);
    world.receive(trunk(), &answer_to(&reinvite, 481, "bob1", None));
    world.expect_status(browser, 481);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn a_second_offer_waits_for_the_first() {
    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    world.receive(browser, &hold(&invite, &accepted, 1));
    world.expect_status(browser, 100);
    world.expect_request(trunk(), &Method::Invite);
    // Its own is still under way: 500; that of the other side: 491, with an offer or without.
    world.receive(browser, &hold(&invite, &accepted, 2));
    world.expect_status(browser, 100);
    assert!(
        world
            .expect_status(browser, 500)
            .header(HeaderName::RetryAfter)
            .is_some()
    );
    let mut theirs = in_dialog_of_callee(&onward, "bob1", &Method::Invite);
    theirs.push(HeaderName::Contact, "<sip:bob@198.51.100.20>");
    world.receive(trunk(), &theirs);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 491);
}

#[test]
fn a_bye_before_the_answer_ends_the_invite_with_487() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    let ringing = world.expect_status(browser, 180);
    world.receive(browser, &in_dialog(&invite, &ringing, &Method::Bye, 1));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    world.expect_request(trunk(), &Method::Cancel);
    expect_nothing_left(&mut world);
}

#[test]
fn a_registration_for_longer_than_any_clock_runs_is_no_harm() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg"),
    );
    let onward = world.expect_request(trunk(), &Method::Register);
    let contact = onward
        .header(HeaderName::Contact)
        .unwrap()
        .replace("=600", "=18446744073709551615");
    let mut granted = Message::response_to(&onward, 200, None);
    granted.push(HeaderName::Contact, contact);
    granted.push(HeaderName::Expires, "18446744073709551615");
    world.receive(trunk(), &granted);
    world.expect_status(browser, 200);
}

#[test]
fn credentials_for_the_lines_reach_neither_carrier_nor_other_browsers() {
    let mut world = World::new();
    let bob = log_in(&mut world, "1002", "secret-two");
    let alice = world.browser();
    let mut message = Message::request(Method::Message, "sip:1002@lines.test");
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm1");
    message.push(HeaderName::From, "<sip:1001@lines.test>;tag=m");
    message.push(HeaderName::To, "<sip:1002@lines.test>");
    message.push(HeaderName::CallId, "m1");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    message.push(HeaderName::PAssertedIdentity, "<sip:boss@lines.test>");
    world.receive(alice, &message);
    let challenge = world.expect_status(alice, 407);
    world.receive(
        alice,
        &with_credentials(&message, &challenge, "1001", "secret-one"),
    );
    let seen = text(&world.expect_request(bob, &Method::Message));
    assert!(
        !seen.contains("Authorization") && !seen.contains("boss"),
        "{seen}"
    );

    let invite = browser_invite("1001", "lines.test", "+15551234", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let challenge = world.expect_status(alice, 407);
    world.receive(
        alice,
        &with_credentials(&invite, &challenge, "1001", "secret-one"),
    );
    let seen = text(&world.expect_request(trunk(), &Method::Invite));
    assert!(!seen.contains("Authorization"), "{seen}");
}

#[test]
fn credentials_made_for_one_target_do_not_open_another() {
    let mut world = World::new();
    let browser = world.browser();
    let invite = browser_invite("1001", "lines.test", "9196", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let challenge = world.expect_status(browser, 407);
    let mut retry = with_credentials(&invite, &challenge, "1001", "secret-one");
    retry.set_request_uri("sip:+15551234@lines.test");
    world.receive(browser, &retry);
    world.expect_status(browser, 100);
    world.expect_status(browser, 403);
}

#[test]
fn a_description_in_an_ack_that_nobody_asked_for_changes_nothing() {
    let mut world = World::new();
    let (browser, invite, _, accepted) = talk(&mut world);
    world.commands.clear();
    let mut ack = in_dialog(&invite, &accepted, &Method::Ack, 0);
    ack.set_body(
        "application/sdp",
        BROWSER_OFFER.replace("ufrag:Wm3x", "ufrag:Evil").into(),
    );
    world.receive(browser, &ack);
    assert!(world.commands.is_empty(), "{:?}", world.commands);
}

#[test]
fn what_is_required_and_not_supported_is_named() {
    let mut world = World::new();
    log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::Require, "timer, precondition");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let refusal = world.expect_status(trunk(), 420);
    let named: Vec<&str> = refusal.headers(HeaderName::Unsupported).collect();
    assert_eq!(named, ["precondition"]);
}

#[test]
fn a_session_timer_is_granted_only_to_who_refreshes_it() {
    for (asked, granted) in [
        ("90", Some("90;refresher=uac")),
        ("90;refresher=uac", Some("90;refresher=uac")),
        ("90;refresher=uas", None),
        ("soon", None),
    ] {
        let mut world = World::new();
        let (browser, invite, _, accepted) = talk(&mut world);
        let mut update = in_dialog(&invite, &accepted, &Method::Update, 1);
        update.push(HeaderName::Supported, "timer");
        update.push(HeaderName::SessionExpires, asked);
        world.receive(browser, &update);
        let answer = world.expect_status(browser, 200);
        assert_eq!(
            answer.header(HeaderName::SessionExpires),
            granted,
            "{asked}"
        );
    }
}

#[test]
fn the_route_of_a_dialog_is_that_of_its_answer_for_ever() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let routed = |status, tag, route: &str| {
        let mut response = answer_to(&onward, status, tag, Some(CARRIER_ANSWER));
        response.push(HeaderName::RecordRoute, route);
        response
    };
    world.receive(trunk(), &routed(183, "fork1", "<sip:one.test;lr>"));
    world.expect_status(browser, 183);
    world.receive(
        trunk(),
        &routed(200, "fork2", "<sip:two.test;lr>, <sip:three.test;lr>"),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.receive(browser, &hold(&invite, &accepted, 1));
    let reinvite = world.expect_request(trunk(), &Method::Invite);
    let mut held = answer_to(&reinvite, 200, "fork2", Some(CARRIER_ANSWER));
    held.push(HeaderName::RecordRoute, "<sip:four.test;lr>");
    world.receive(trunk(), &held);
    world.expect_request(trunk(), &Method::Ack);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 2));
    let bye = world.expect_request(trunk(), &Method::Bye);
    let routes: Vec<&str> = bye.values(HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:three.test;lr>", "<sip:two.test;lr>"]);
}

#[test]
fn early_answers_carry_the_caller_s_record_route() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::RecordRoute, "<sip:198.51.100.20;lr>");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&onward, 180, "a", None));
    let ringing = world.expect_status(trunk(), 180);
    assert_eq!(
        ringing.header(HeaderName::RecordRoute),
        Some("<sip:198.51.100.20;lr>")
    );
}

#[test]
fn a_stranger_who_knows_the_tags_cannot_end_a_carrier_s_call() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let bye = in_dialog_of_callee(&onward, "bob1", &Method::Bye);
    let stranger = Peer::Udp("203.0.113.66:5060".parse().unwrap());
    world.receive(stranger, &bye);
    world.expect_status(stranger, 403);
    world.receive(browser, &bye);
    world.expect_status(browser, 403);
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn a_carrier_forks_to_two_contacts_and_both_ring() {
    let mut world = World::new();
    let first = log_in(&mut world, "1001", "secret-one");
    let second = log_in(&mut world, "1002", "secret-two");
    let to = |number: &str| {
        let uri = format!("sip:{number}@198.51.100.1:5060");
        let mut invite = carrier_invite(&uri, CARRIER_OFFER);
        let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK{number};rport");
        invite.set(HeaderName::Via, via);
        invite
    };
    world.receive(trunk(), &to("1001"));
    world.receive(trunk(), &to("1002"));
    let one = world.expect_request(first, &Method::Invite);
    let two = world.expect_request(second, &Method::Invite);
    assert_ne!(
        (one.call_id(), one.from_tag()),
        (two.call_id(), two.from_tag())
    );
}

#[test]
fn the_same_call_twice_does_not_take_over_its_dialog() {
    let mut world = World::new();
    let (browser, invite, _, _) = talk(&mut world);
    let mut again = invite;
    again.set(
        HeaderName::Via,
        "SIP/2.0/WSS x1.invalid;branch=z9hG4bKtwice",
    );
    again.set(HeaderName::CSeq, "7500 INVITE");
    world.receive(browser, &again);
    world.expect_status(browser, 100);
    world.expect_status(browser, 482);
    assert_eq!(world.engine.calls(), 1);
}

#[test]
fn a_register_that_fails_in_part_changes_nothing() {
    let mut world = World::new();
    let browser = world.browser();
    let mut request = World::register_message("1001", "lines.test", "reg");
    request.push(HeaderName::Contact, "<sip:other@x2.invalid>;expires=5");
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    world.receive(
        browser,
        &with_credentials(&request, &challenge, "1001", "secret-one"),
    );
    world.expect_status(browser, 423);
    world.receive(
        trunk(),
        &carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER),
    );
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 480);
}

#[test]
fn one_browser_does_not_take_all_room() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    for n in 0..128 {
        let mut invite = browser_invite("1001", "lines.test", "9196", BROWSER_OFFER);
        invite.set(HeaderName::CallId, format!("call-{n}"));
        invite.set(
            HeaderName::Via,
            format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{n}"),
        );
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        world.expect_status(browser, 200);
    }
    world.receive(
        browser,
        &browser_invite("1001", "lines.test", "9196", BROWSER_OFFER),
    );
    world.expect_status(browser, 100);
    world.expect_status(browser, 503);
    let other = log_in(&mut world, "1002", "secret-two");
    world.receive(
        other,
        &browser_invite("1002", "lines.test", "9196", BROWSER_OFFER),
    );
    world.expect_status(other, 100);
    world.expect_status(other, 200);
}

#[test]
fn a_message_that_outlives_its_connection_is_not_heard() {
    let mut world = World::new();
    let browser = world.browser();
    world.disconnect(browser);
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg"),
    );
    world.expect_silence(trunk());
    assert_eq!(world.engine.usage().transactions, 0);
}

#[test]
fn the_largest_sequence_number_is_no_harm() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set(HeaderName::CSeq, "2147483647 INVITE");
    world.receive(browser, &invite);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.input(Input::Stop);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert!(bye.cseq().unwrap().number < 1 << 31);
}

#[test]
fn a_user_s_name_stays_escaped_in_what_the_browser_is_sent() {
    let mut world = World::new();
    let browser = world.browser();
    let user = "al%0d%0aX-Evil: 1%40ice".replace(": ", ":%20");
    let mut request = World::register_message("alice", "carrier.test", "reg");
    request.set(
        HeaderName::To,
        format!("<sip:{}@carrier.test>", user.replace(':', "%3a")),
    );
    world.receive(browser, &request);
    let register = world.expect_request(trunk(), &Method::Register);
    let contact = register.header(HeaderName::Contact).unwrap().to_owned();
    let mut granted = Message::response_to(&register, 200, None);
    granted.push(HeaderName::Contact, contact.as_str());
    world.receive(trunk(), &granted);
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    world.receive(trunk(), &carrier_invite(uri, CARRIER_OFFER));
    world.expect_status(browser, 200);
    let invite = world.expect_request(browser, &Method::Invite);
    let to = invite.header(HeaderName::To).unwrap();
    assert!(
        to.contains("%0D%0A") && to.ends_with("@carrier.test>"),
        "{to}"
    );
}

#[test]
fn a_refusal_that_comes_after_the_call_has_gone_still_frees_the_ports() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    world.workers_answer = false;
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    world.advance(Duration::from_secs(10));
    assert_eq!(world.engine.calls(), 0);
    for flow in world.opened_flows() {
        let reason = RefuseReason::PortUnavailable;
        world.input(Input::Media(Event::Refused { flow, reason }));
    }
    expect_nothing_left(&mut world);
}

#[test]
fn both_flows_refused_are_given_back_once() {
    let narrow = CONFIG.replace(
        "[media]",
        "[media]\nrtp_port_min = 30000\nrtp_port_max = 30001",
    );
    let mut world = World::with_config(&narrow);
    let browser = register_at_carrier(&mut world, "alice");
    world
        .refuse_opens
        .extend([RefuseReason::FragmentTaken, RefuseReason::PortUnavailable]);
    world.receive(
        browser,
        &browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER),
    );
    world.expect_status(browser, 100);
    world.expect_status(browser, 503);
    assert_eq!(world.engine.calls(), 0);
    expect_nothing_left(&mut world);
}

#[test]
fn a_late_answer_is_ended_even_if_the_workers_are_silent() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    world.workers_answer = false;
    world.receive(browser, &cancel_of(&invite));
    world.expect_request(trunk(), &Method::Cancel);
    world.advance(Duration::from_secs(3));
    world.sent.clear();
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_request(trunk(), &Method::Bye);
}

#[test]
fn a_browser_that_goes_does_not_put_the_gateway_out_of_service() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    world.receive(
        trunk(),
        &carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER),
    );
    world.expect_status(trunk(), 100);
    world.expect_request(browser, &Method::Invite);
    world.disconnect(browser);
    world.expect_status(trunk(), 480);
}

/// Brings a new call to where both talk, without looking at what else is sent.
fn talk_again(world: &mut World, n: u32) -> (Peer, Message, Message, Message) {
    let (browser, invite, onward) = dial_again(world, n);
    world.receive(
        trunk(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    let accepted = answer_for(world, browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    (browser, invite, onward, accepted)
}

fn dial_again(world: &mut World, n: u32) -> (Peer, Message, Message) {
    world.sent.clear();
    let user = format!("alice{n}");
    let browser = register_at_carrier(world, &user);
    let invite = browser_invite(&user, "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

fn answer_for(world: &World, peer: Peer, status: u16) -> Message {
    let fits = |(to, message): &&(Peer, Message)| *to == peer && message.status() == Some(status);
    let found = world.sent.iter().find(fits).cloned();
    found.expect("an answer").1
}

/// What happens, and how.
type Ending = (&'static str, fn(&mut World, u32));

#[test]
#[expect(clippy::too_many_lines, reason = "one table: an entry for each ending")]
fn whatever_ends_a_call_everything_is_given_back() {
    let endings: [Ending; 14] = [
        ("caller hangs up", |world, n| {
            let (browser, invite, _, accepted) = talk_again(world, n);
            world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
        }),
        ("callee hangs up", |world, n| {
            let (_, _, onward, _) = talk_again(world, n);
            world.receive(trunk(), &in_dialog_of_callee(&onward, "bob1", &Method::Bye));
        }),
        ("caller hangs up before the answer", |world, n| {
            let (browser, invite, onward) = dial_again(world, n);
            world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
            let ringing = answer_for(world, browser, 180);
            world.receive(browser, &in_dialog(&invite, &ringing, &Method::Bye, 1));
        }),
        ("cancel", |world, n| {
            let (browser, invite, onward) = dial_again(world, n);
            world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
            world.receive(browser, &cancel_of(&invite));
            world.receive(trunk(), &answer_to(&onward, 487, "bob1", None));
        }),
        ("cancel that crosses the answer", |world, n| {
            let (browser, invite, onward) = dial_again(world, n);
            world.receive(browser, &cancel_of(&invite));
            world.receive(
                trunk(),
                &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
            );
        }),
        ("busy", |world, n| {
            let (_, _, onward) = dial_again(world, n);
            world.receive(trunk(), &answer_to(&onward, 486, "bob1", None));
        }),
        ("no answer", |world, n| drop(dial_again(world, n))),
        ("rings for ever", |world, n| {
            let (_, _, onward) = dial_again(world, n);
            world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
        }),
        ("answer that cannot be read", |world, n| {
            let (_, _, onward) = dial_again(world, n);
            world.receive(trunk(), &answer_to(&onward, 200, "bob1", Some("v=0\r\n")));
        }),
        ("answer without its ACK", |world, n| {
            let (_, _, onward) = dial_again(world, n);
            world.receive(
                trunk(),
                &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
            );
            world.complete_handshakes();
        }),
        ("browser goes while it rings", |world, n| {
            let (browser, _, _) = dial_again(world, n);
            world.disconnect(browser);
        }),
        ("media falls silent", |world, n| {
            let (browser, _, _, _) = talk_again(world, n);
            world.disconnect(browser);
            let flow = *world.handshake_flows().last().expect("a browser flow");
            let silent_for = Duration::from_secs(60);
            world.input(Input::Media(Event::MediaSilent { flow, silent_for }));
        }),
        ("a flow that is refused", |world, n| {
            world.sent.clear();
            world.refuse_opens.push_back(RefuseReason::FragmentTaken);
            let user = format!("alice{n}");
            let browser = register_at_carrier(world, &user);
            world.receive(
                browser,
                &browser_invite(&user, "carrier.test", "bob", BROWSER_OFFER),
            );
        }),
        ("hang-up during a hold", |world, n| {
            let (browser, invite, onward, accepted) = talk_again(world, n);
            world.receive(browser, &hold(&invite, &accepted, 1));
            world.receive(trunk(), &in_dialog_of_callee(&onward, "bob1", &Method::Bye));
        }),
    ];
    let mut world = World::new();
    for (n, (name, ending)) in (0u32..).zip(endings) {
        ending(&mut world, n);
        assert!(
            world.engine.usage().transactions > 0,
            "{name}: nothing happened"
        );
        expect_nothing_left(&mut world);
        assert_eq!(world.records.len(), n as usize + 1, "{name}");
    }
}
