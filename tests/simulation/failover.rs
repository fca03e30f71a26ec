//! Trunks with several targets: who is called, and who else when that one does not take it.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, log_in, register_at, trunk,
};
use crate::trouble::cancel_of;

const SECOND: &str = "198.51.100.30:5060";

fn second() -> Peer {
    Peer::Udp(SECOND.parse().unwrap())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn config_of_two() -> String {
    CONFIG.replace(
        &format!("target = \"{TRUNK}\""),
        &format!("target = [\"{TRUNK}\", \"{SECOND}\"]"),
    )
}

/// A carrier of two, and a browser that is registered at the first.
fn two_targets() -> (World, Peer) {
    let mut world = World::with_config(&config_of_two());
    let browser = register_at(&mut world, trunk(), "alice");
    (world, browser)
}

/// The browser calls a number; the first INVITE to the carrier.
fn call(world: &mut World, browser: Peer, number: &str, target: Peer) -> (Message, Message) {
    let invite = browser_invite("alice", "carrier.test", number, BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(target, &Method::Invite);
    (invite, onward)
}

/// The INVITE that this target is sent in the end, once its repeats are taken.
fn invited(world: &mut World, target: Peer) -> Message {
    let onward = world.expect_request(target, &Method::Invite);
    world.sent.retain(|(peer, _)| *peer != target);
    onward
}

fn refusal(invite: &Message, status: u16, retry_after: Option<&str>) -> Message {
    let mut response = answer_to(invite, status, "no", None);
    if let Some(value) = retry_after {
        response.push(HeaderName::RetryAfter, value);
    }
    response
}

#[test]
fn c14_a_silent_target_is_followed_by_the_next_within_one_call() {
    let (mut world, browser) = two_targets();
    let (invite, first) = call(&mut world, browser, "bob", trunk());
    world.advance(Duration::from_millis(5_900));
    world.expect_silence(second());
    world.advance(Duration::from_millis(200));
    let onward = invited(&mut world, second());
    for name in [HeaderName::CallId, HeaderName::CSeq, HeaderName::From] {
        assert_eq!(onward.header(&name), first.header(&name));
    }
    assert_eq!(onward.body(), first.body());
    assert_ne!(
        onward.header(HeaderName::Via),
        first.header(HeaderName::Via),
        "another branch"
    );
    world.receive(
        second(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(second(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_request(second(), &Method::Bye);
}

#[test]
fn c14_the_last_target_has_all_of_timer_b_and_then_408_is_said() {
    let (mut world, browser) = two_targets();
    call(&mut world, browser, "bob", trunk());
    world.advance(seconds(6 + 31));
    world.expect_silence(browser);
    world.advance(seconds(2));
    world.expect_status(browser, 408);
    assert_eq!(world.records[0].status, 408);
}

#[test]
fn c14_a_target_that_was_silent_is_called_last_until_down_for_s_is_over() {
    let (mut world, browser) = two_targets();
    call(&mut world, browser, "bob", trunk());
    world.advance(seconds(7));
    let onward = invited(&mut world, second());
    world.receive(second(), &refusal(&onward, 486, None));
    world.expect_status(browser, 486);
    world.sent.clear();
    let (_, onward) = call(&mut world, browser, "carol", second());
    world.receive(second(), &refusal(&onward, 503, None));
    // It is down, but there is no other.
    let onward = invited(&mut world, trunk());
    world.receive(trunk(), &refusal(&onward, 486, None));
    world.expect_status(browser, 486);
    world.sent.clear();
    // It has answered.
    call(&mut world, browser, "dave", trunk());
    world.advance(seconds(7));
    world.sent.clear();
    // It was silent again, a while ago.
    world.advance(seconds(60));
    world.sent.clear();
    call(&mut world, browser, "erin", trunk());
}

#[test]
fn c14_a_503_leads_to_the_next_target_at_once_and_its_retry_after_is_honoured() {
    let (mut world, browser) = two_targets();
    let (_, first) = call(&mut world, browser, "bob", trunk());
    world.receive(trunk(), &refusal(&first, 503, Some("60 (busy);duration=5")));
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(browser);
    let onward = world.expect_request(second(), &Method::Invite);
    world.receive(second(), &refusal(&onward, 486, None));
    world.expect_status(browser, 486);
    world.sent.clear();
    // Nothing is sent to the first one, even if the other one fails.
    world.advance(seconds(50));
    let (_, onward) = call(&mut world, browser, "carol", second());
    world.receive(second(), &refusal(&onward, 503, None));
    world.expect_status(browser, 503);
    world.expect_silence(trunk());
    world.sent.clear();
    world.advance(seconds(11));
    call(&mut world, browser, "dave", trunk());
}

#[test]
fn c14_a_503_without_retry_after_says_nothing_about_the_next_call() {
    let (mut world, browser) = two_targets();
    let (_, first) = call(&mut world, browser, "bob", trunk());
    world.receive(trunk(), &refusal(&first, 503, None));
    let onward = world.expect_request(second(), &Method::Invite);
    world.receive(second(), &refusal(&onward, 486, None));
    world.expect_status(browser, 486);
    world.sent.clear();
    call(&mut world, browser, "carol", trunk());
}

#[test]
fn c14_a_target_that_cannot_be_connected_to_is_followed_by_the_next_at_once() {
    let listen = "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\n";
    let config = config_of_two()
        .replace("[sip]\n", listen)
        .replace("[[trunk]]\n", "[[trunk]]\ntransport = \"tcp\"\n");
    let mut world = World::with_config(&config);
    let first = Peer::Tcp(TRUNK.parse().unwrap());
    let other = Peer::Tcp(SECOND.parse().unwrap());
    let browser = register_at(&mut world, first, "alice");
    world.lose_stream(first);
    world.unreachable.push(first);
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.sent.retain(|(peer, _)| *peer != first);
    let onward = world.expect_request(other, &Method::Invite);
    world.receive(other, &refusal(&onward, 486, None));
    world.expect_status(browser, 486);
}

#[test]
fn c14_what_is_no_call_goes_to_the_first_target_that_is_up() {
    let (mut world, browser) = two_targets();
    call(&mut world, browser, "bob", trunk());
    world.advance(seconds(7));
    world.sent.clear();
    let request = World::register_message("carol", "carrier.test", "reg-2");
    let other = world.browser();
    world.receive(other, &request);
    world.expect_request(second(), &Method::Register);
    world.expect_silence(trunk());
}

#[test]
fn c14_silence_after_a_register_marks_a_target_down_too() {
    let mut world = World::with_config(&config_of_two());
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg-1");
    world.receive(browser, &request);
    world.advance(seconds(7));
    world.sent.clear();
    let request = World::register_message("alice", "carrier.test", "reg-2");
    world.receive(browser, &request);
    world.expect_request(second(), &Method::Register);
}

#[test]
fn c13_any_other_answer_is_final() {
    for status in [404, 408, 486, 500, 504, 600, 603] {
        let (mut world, browser) = two_targets();
        let (_, first) = call(&mut world, browser, "bob", trunk());
        world.receive(trunk(), &refusal(&first, status, None));
        world.expect_status(browser, status);
        world.expect_silence(second());
    }
}

#[test]
fn c13_the_best_answer_is_passed_on() {
    let (mut world, browser) = two_targets();
    call(&mut world, browser, "bob", trunk());
    world.advance(seconds(7));
    let onward = invited(&mut world, second());
    world.receive(second(), &refusal(&onward, 503, None));
    // 408 of the first is of a lower class than 503 of the second (16.7).
    world.expect_status(browser, 408);
}

#[test]
fn c13_a_603_of_the_second_target_stops_whatever_the_first_said() {
    let (mut world, browser) = two_targets();
    let (_, first) = call(&mut world, browser, "bob", trunk());
    world.receive(trunk(), &refusal(&first, 503, None));
    let onward = world.expect_request(second(), &Method::Invite);
    world.receive(second(), &refusal(&onward, 603, None));
    world.expect_status(browser, 603);
}

#[test]
fn c13_a_target_that_rings_is_not_left() {
    let (mut world, browser) = two_targets();
    let (_, first) = call(&mut world, browser, "bob", trunk());
    world.receive(trunk(), &answer_to(&first, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.receive(trunk(), &refusal(&first, 503, None));
    world.expect_status(browser, 503);
    world.expect_silence(second());
}

#[test]
fn c13_a_late_answer_of_a_target_that_was_given_up_is_ended() {
    let (mut world, browser) = two_targets();
    let (_, first) = call(&mut world, browser, "bob", trunk());
    world.advance(seconds(7));
    let onward = invited(&mut world, second());
    world.sent.clear();
    let late = answer_to(&first, 200, "late", Some(CARRIER_ANSWER));
    world.receive(trunk(), &late);
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("late"));
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.to_tag(), Some("late"));
    world.expect_silence(browser);
    // The call goes on with the other one.
    let answer = answer_to(&onward, 200, "bob2", Some(CARRIER_ANSWER));
    world.receive(second(), &answer);
    let ack = world.expect_request(second(), &Method::Ack);
    assert_eq!(ack.to_tag(), Some("bob2"));
    world.expect_status(browser, 200);
}

#[test]
fn c14_a_caller_who_hangs_up_during_failover_ends_the_second_attempt() {
    let (mut world, browser) = two_targets();
    let (invite, _) = call(&mut world, browser, "bob", trunk());
    world.advance(seconds(7));
    let onward = invited(&mut world, second());
    world.receive(second(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.sent.retain(|(peer, _)| *peer != trunk());
    world.receive(browser, &cancel_of(&invite));
    world.expect_request(second(), &Method::Cancel);
    world.advance(seconds(60));
    world.expect_silence(trunk());
    assert_eq!(world.engine.usage().calls, 0);
    assert_eq!(world.engine.usage().call_entries, 0);
}

#[test]
fn c14_every_target_may_call_us() {
    let (mut world, _) = two_targets();
    let line = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(second(), &invite);
    world.expect_request(line, &Method::Invite);
}

#[test]
fn c14_users_are_spread_by_weight_and_stay_with_their_target() {
    let targets = format!(
        "target = [{{ host = \"{TRUNK}\", priority = 1, weight = 1 }}, \
         {{ host = \"{SECOND}\", priority = 1, weight = 1 }}]"
    );
    let config = CONFIG.replace(&format!("target = \"{TRUNK}\""), &targets);
    let mut world = World::with_config(&config);
    let mut of_first = 0;
    for number in 0..40 {
        let browser = world.browser();
        let user = format!("user{number}");
        let send = |world: &mut World, id: &str| {
            let request = World::register_message(&user, "carrier.test", id);
            world.sent.clear();
            world.receive(browser, &request);
            let to_first = world.sent.iter().any(|(peer, _)| *peer == trunk());
            let to_second = world.sent.iter().any(|(peer, _)| *peer == second());
            assert_ne!(to_first, to_second);
            to_first
        };
        let chosen = send(&mut world, &format!("a{number}"));
        assert_eq!(send(&mut world, &format!("b{number}")), chosen);
        of_first += u32::from(chosen);
    }
    assert!((8..=32).contains(&of_first), "{of_first} of 40");
}

fn probed_targets() -> World {
    let config = config_of_two().replace("[[trunk]]\n", "[[trunk]]\nprobe_s = 20\n");
    let mut world = World::with_config(&config);
    world.advance(Duration::ZERO);
    world
}

/// Time passes; the second target answers what it is asked.
fn pass(world: &mut World, count: u64) {
    for _ in 0..count {
        world.advance(seconds(1));
        let is_asked = |(peer, message): &&(Peer, Message)| {
            *peer == second() && message.method() == Method::Options
        };
        if let Some((_, asked)) = world.sent.iter().rfind(is_asked).cloned() {
            world.sent.retain(|(peer, _)| *peer != second());
            world.receive(second(), &answer_to(&asked, 404, "t", None));
        }
    }
}

/// The browser's REGISTER goes to this target.
fn registers_at(world: &mut World, id: &str, target: Peer) {
    let browser = world.browser();
    world.sent.clear();
    let request = World::register_message("alice", "carrier.test", id);
    world.receive(browser, &request);
    let onward = world.expect_request(target, &Method::Register);
    world.receive(target, &refusal(&onward, 403, None));
}

#[test]
fn c14_a_target_that_does_not_answer_options_is_left_until_it_does() {
    let mut world = probed_targets();
    let first = world.expect_request(trunk(), &Method::Options);
    assert_eq!(first.request_uri(), Some("sip:198.51.100.20:5060"));
    pass(&mut world, 7);
    registers_at(&mut world, "reg-1", second());
    // Longer than down_for_s, but still silent.
    pass(&mut world, 45);
    registers_at(&mut world, "reg-2", second());
    pass(&mut world, 6);
    world.sent.clear();
    while world.sent.iter().all(|(peer, _)| *peer != trunk()) {
        pass(&mut world, 1);
    }
    let asked = world.expect_request(trunk(), &Method::Options);
    world.receive(trunk(), &answer_to(&asked, 200, "t", None));
    registers_at(&mut world, "reg-3", trunk());
}

#[test]
fn c14_a_target_that_answers_options_with_503_is_drained() {
    let mut world = probed_targets();
    let asked = world.expect_request(trunk(), &Method::Options);
    world.receive(trunk(), &answer_to(&asked, 503, "t", None));
    registers_at(&mut world, "reg-1", second());
}

#[test]
fn c14_probes_are_spread_around_their_mean() {
    let mut world = probed_targets();
    let mut times = Vec::new();
    for second in 0..400 {
        while let Some((peer, message)) = world.sent.pop_front() {
            if message.method() == Method::Options && message.is_request() {
                if peer == trunk() {
                    times.push(second);
                }
                world.receive(peer, &answer_to(&message, 200, "t", None));
            }
        }
        world.advance(seconds(1));
    }
    // Those that were repeated within the second.
    times.dedup();
    let gaps: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (15..=25).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap != gaps[0]), "{gaps:?}");
    assert!((16..=25).contains(&times.len()), "{times:?}");
}

#[test]
fn nobody_is_asked_unless_probe_s_says_so() {
    let mut world = World::with_config(&config_of_two());
    world.advance(seconds(600));
    world.expect_silence(trunk());
}
