//! Many calls: who is refused when there is no room, and what is kept of calls that are over.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, log_in, register_at_carrier, trunk,
};
use crate::trouble::cancel_of;

fn with_server_keys(keys: &str) -> World {
    World::with_config(&format!("[server]\n{keys}\n{CONFIG}"))
}

/// The browser calls somebody, in a call of its own. The INVITE.
fn dial(world: &mut World, browser: Peer, number: usize) -> Message {
    dial_as(world, browser, "alice", number)
}

fn dial_as(world: &mut World, browser: Peer, user: &str, number: usize) -> Message {
    let invite = browser_invite(user, "carrier.test", &format!("n{number}"), BROWSER_OFFER);
    world.receive(browser, &invite);
    invite
}

/// The same; what reaches the carrier.
fn reach(world: &mut World, browser: Peer, number: usize) -> (Message, Message) {
    let invite = dial(world, browser, number);
    world.expect_status(browser, 100);
    (invite, world.expect_request(trunk(), &Method::Invite))
}

/// The same, answered and acknowledged. The INVITE, and the 200 to it.
fn talk(world: &mut World, browser: Peer, number: usize) -> (Message, Message) {
    let (invite, onward) = reach(world, browser, number);
    let tag = format!("t{number}");
    world.receive(
        trunk(),
        &answer_to(&onward, 200, &tag, Some(CARRIER_ANSWER)),
    );
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    (invite, accepted)
}

/// The browser hangs up: it has its 200, and the carrier its BYE.
fn hang_up(world: &mut World, browser: Peer, (invite, accepted): &(Message, Message)) -> Message {
    let bye = in_dialog(invite, accepted, &Method::Bye, 1);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    let onward = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &Message::response_to(&onward, 200, None));
    bye
}

/// The carrier calls line 1001, in a call of its own.
fn ring(world: &mut World, number: usize) -> Message {
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::CallId, format!("carrier-call-{number}"));
    let via = invite.header(HeaderName::Via).unwrap().to_owned();
    invite.set(
        HeaderName::Via,
        via.replace("carrier1", &format!("c{number}")),
    );
    world.receive(trunk(), &invite);
    invite
}

/// The call is refused at once, without a 100 and without a transaction, as often as it comes; the
/// ACK leads to nothing.
fn is_refused_without_state(world: &mut World, from: Peer, invite: &Message) {
    let before = world.engine.usage();
    let refusal = world.expect_status(from, 503);
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
    world.receive(from, invite);
    let again = world.expect_status(from, 503);
    assert_eq!(again.to_tag(), refusal.to_tag());
    let mut ack = in_ack(invite);
    ack.set(HeaderName::To, refusal.header(HeaderName::To).unwrap());
    world.receive(from, &ack);
    world.expect_silence(from);
    assert_eq!(world.engine.usage(), before);
}

/// The ACK to a final response other than 2xx.
fn in_ack(invite: &Message) -> Message {
    let cancel = cancel_of(invite);
    let mut ack = Message::request(Method::Ack, invite.request_uri().unwrap());
    for name in [HeaderName::Via, HeaderName::From, HeaderName::CallId] {
        ack.push(&name, cancel.header(&name).unwrap());
    }
    let number = invite.cseq().unwrap().number;
    ack.push(HeaderName::CSeq, format!("{number} ACK"));
    ack
}

fn lines_with(world: &World, word: &str) -> usize {
    world
        .logged
        .iter()
        .filter(|line| line.contains(word))
        .count()
}

#[test]
fn suite_s14_beyond_calls_max_new_calls_of_both_sides_are_refused_without_state() {
    let mut world = with_server_keys("calls_max = 3");
    let browser = register_at_carrier(&mut world, "alice");
    let line = log_in(&mut world, "1001", "secret-one");
    let first = talk(&mut world, browser, 1);
    let (second, onward) = reach(&mut world, browser, 2);
    world.receive(trunk(), &answer_to(&onward, 180, "t2", None));
    world.expect_status(browser, 180);
    let third = ring(&mut world, 3);
    world.expect_status(trunk(), 100);
    let at_line = world.expect_request(line, &Method::Invite);
    let refused = dial(&mut world, browser, 4);
    is_refused_without_state(&mut world, browser, &refused);
    let refused = ring(&mut world, 5);
    is_refused_without_state(&mut world, trunk(), &refused);
    world.expect_silence(line);
    assert_eq!(lines_with(&world, "Overload {"), 1, "{:#?}", world.logged);
    // Everything in dialogs goes on: offers, the end, and the end before the beginning.
    let offer = in_dialog(&first.0, &first.1, &Method::Info, 1);
    world.receive(browser, &offer);
    let onward = world.expect_request(trunk(), &Method::Info);
    world.receive(trunk(), &Message::response_to(&onward, 200, None));
    world.expect_status(browser, 200);
    let (invite, accepted) = &first;
    let bye = in_dialog(invite, accepted, &Method::Bye, 2);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    world.expect_request(trunk(), &Method::Bye);
    world.receive(browser, &cancel_of(&second));
    world.expect_status(browser, 200);
    world.expect_status(browser, 487);
    world.expect_request(trunk(), &Method::Cancel);
    world.receive(line, &answer_to(&at_line, 200, "l", Some(BROWSER_ANSWER)));
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&third, &accepted, &Method::Ack, 0));
    world.receive(trunk(), &in_dialog(&third, &accepted, &Method::Bye, 1));
    world.expect_status(trunk(), 200);
    // There is room again; the log says so after a while.
    world.sent.clear();
    world.advance(Duration::from_secs(70));
    world.sent.clear();
    reach(&mut world, browser, 6);
    assert_eq!(lines_with(&world, "OverloadOver"), 1);
    assert_eq!(world.engine.transaction_counts().refused_calls, 4);
}

#[test]
fn suite_s14_with_a_full_table_bye_and_cancel_are_answered_and_go_on() {
    let mut world = with_server_keys("transactions_max = 1024");
    let users = ["alice", "bob", "carol"];
    let browsers = users.map(|user| register_at_carrier(&mut world, user));
    let talking: Vec<_> = (0..20).map(|n| talk(&mut world, browsers[0], n)).collect();
    // Calls that ring: two transactions each.
    let mut ringing = Vec::new();
    for number in 100.. {
        let (browser, user) = (browsers[number % 3], users[number % 3]);
        let invite = dial_as(&mut world, browser, user, number);
        if world.expect(browser).status() == Some(503) {
            world.receive(browser, &invite);
            is_refused_without_state(&mut world, browser, &invite);
            break;
        }
        let onward = world.expect_request(trunk(), &Method::Invite);
        world.receive(trunk(), &answer_to(&onward, 180, "r", None));
        world.expect_status(browser, 180);
        ringing.push((browser, invite));
    }
    assert_eq!(ringing.len(), 256, "half of the table");
    let refused = ring(&mut world, 1);
    is_refused_without_state(&mut world, trunk(), &refused);
    for call in &talking {
        hang_up(&mut world, browsers[0], call);
    }
    for (browser, invite) in &ringing {
        world.receive(*browser, &cancel_of(invite));
        world.expect_status(*browser, 200);
        world.expect_status(*browser, 487);
        world.expect_request(trunk(), &Method::Cancel);
    }
}

#[test]
fn suite_s14_requests_that_are_no_calls_leave_room_for_those_in_dialogs() {
    let mut world = with_server_keys("transactions_max = 1024");
    let browser = register_at_carrier(&mut world, "alice");
    let call = talk(&mut world, browser, 1);
    let mut refused = 0;
    // 64 of one connection are passed on at a time.
    let users: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let senders: Vec<Peer> = users
        .iter()
        .map(|user| register_at_carrier(&mut world, user))
        .collect();
    for number in 0..600 {
        let (from, user) = (senders[number / 60], &users[number / 60]);
        let invite = browser_invite(user, "carrier.test", &format!("m{number}"), "");
        let mut message = Message::request(Method::Message, invite.request_uri().unwrap());
        for name in [
            HeaderName::Via,
            HeaderName::MaxForwards,
            HeaderName::To,
            HeaderName::From,
            HeaderName::CallId,
        ] {
            message.push(&name, invite.header(&name).unwrap());
        }
        message.push(HeaderName::CSeq, "1 MESSAGE");
        world.receive(from, &message);
        let is_full = world
            .sent
            .iter()
            .any(|(to, m)| *to == from && m.status() == Some(503));
        refused += usize::from(is_full);
        world.sent.clear();
    }
    let counts = world.engine.transaction_counts();
    assert!(refused > 100, "{refused} {counts:?}");
    assert!(counts.live <= 1024 * 3 / 4, "{counts:?}");
    let info = in_dialog(&call.0, &call.1, &Method::Info, 1);
    world.receive(browser, &info);
    world.expect_request(trunk(), &Method::Info);
    let bye = in_dialog(&call.0, &call.1, &Method::Bye, 2);
    world.receive(browser, &bye);
    world.expect_status(browser, 200);
    world.expect_request(trunk(), &Method::Bye);
}

#[test]
fn suite_s14_short_calls_never_fill_the_table() {
    // 100 calls a second leave 3,200 and more behind, ten times what is kept here.
    let mut world = with_server_keys("transactions_max = 1024\nfinished_transactions_max = 1024");
    let browser = register_at_carrier(&mut world, "alice");
    let mut last = None;
    for number in 0..2000 {
        let call = talk(&mut world, browser, number);
        let bye = hang_up(&mut world, browser, &call);
        last = Some((call, bye));
        world.advance(Duration::from_millis(10));
        assert_eq!(world.sent.len(), 0, "{:?}", world.sent);
    }
    let counts = world.engine.transaction_counts();
    assert_eq!((counts.refused_calls, counts.refused_others), (0, 0));
    assert_eq!(counts.finished, 1024);
    assert!(counts.forgotten > 2000, "{counts:?}");
    assert_eq!(counts.live, 0);
    // What is repeated of the last call is still known.
    let ((invite, accepted), _) = last.unwrap();
    world.receive(browser, &invite);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    assert!(world.sent.is_empty(), "{:?}", world.sent);
    world.advance(Duration::from_secs(40));
    assert_eq!(world.engine.usage().transactions, 0);
}

#[test]
fn suite_s14_a_repeated_bye_of_the_carrier_has_its_answer_for_32_seconds() {
    let mut world = World::new();
    let line = log_in(&mut world, "1001", "secret-one");
    let mut byes = Vec::new();
    for number in 0..50 {
        let invite = ring(&mut world, number);
        world.expect_status(trunk(), 100);
        let at_line = world.expect_request(line, &Method::Invite);
        world.receive(line, &answer_to(&at_line, 200, "l", Some(BROWSER_ANSWER)));
        world.expect_request(line, &Method::Ack);
        let accepted = world.expect_status(trunk(), 200);
        world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
        let bye = in_dialog(&invite, &accepted, &Method::Bye, 1);
        world.receive(trunk(), &bye);
        world.expect_status(trunk(), 200);
        let onward = world.expect_request(line, &Method::Bye);
        world.receive(line, &Message::response_to(&onward, 200, None));
        byes.push(bye);
    }
    assert_eq!(world.engine.transaction_counts().live, 0);
    world.advance(Duration::from_secs(31));
    for bye in &byes {
        world.receive(trunk(), bye);
        world.expect_status(trunk(), 200);
    }
    world.advance(Duration::from_secs(2));
    world.receive(trunk(), &byes[0]);
    world.expect_status(trunk(), 481);
}

#[test]
fn suite_s14_while_messages_wait_too_long_new_calls_are_refused_and_no_bye() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let call = talk(&mut world, browser, 1);
    let entries = world.engine.transaction_counts().live;

    world.input(Input::Late { is_late: true });
    for number in 2..20 {
        dial(&mut world, browser, number);
        world.expect_status(browser, 503);
    }
    assert_eq!(world.engine.transaction_counts().live, entries);
    hang_up(&mut world, browser, &call);

    world.input(Input::Late { is_late: false });
    let call = talk(&mut world, browser, 20);
    hang_up(&mut world, browser, &call);
}
