//! Trunks where ringway has an account of its own: challenges that it answers, and its own
//! registration.

use std::time::Duration;

use control::engine::input::{Input, Peer};
use control::sip::digest::{Credentials, verify};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};
use crate::proxy::from_browser;

const SECOND: &str = "198.51.100.30:5060";

fn second() -> Peer {
    Peer::Udp(SECOND.parse().unwrap())
}

/// The usual carrier, with an account and more keys.
fn config(keys: &str) -> String {
    let account = format!("username = \"t1\"\npassword = \"trunk secret\"\n{keys}\n[[realm]]");
    CONFIG.replacen("[[realm]]", &account, 1)
}

fn challenge(request: &Message, status: u16, more: &str) -> Message {
    let mut response = answer_to(request, status, "challenger", None);
    let name = match status {
        401 => HeaderName::WwwAuthenticate,
        _ => HeaderName::ProxyAuthenticate,
    };
    let value = format!("Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth,auth-int\"{more}");
    response.push(name, value);
    response
}

/// The credentials of the account in a request, which must be right.
fn proven(request: &Message) -> Credentials {
    let all: Vec<Credentials> = [HeaderName::Authorization, HeaderName::ProxyAuthorization]
        .iter()
        .flat_map(|name| request.headers(name))
        .filter_map(Credentials::parse)
        .collect();
    let [credentials] = all.as_slice() else {
        panic!("{request:?}");
    };
    assert_eq!(credentials.username, "t1");
    assert_eq!(Some(credentials.uri.as_str()), request.request_uri());
    assert!(verify(credentials, &request.method(), "trunk secret"));
    credentials.clone()
}

fn number(message: &Message) -> u32 {
    message.cseq().unwrap().number
}

/// A line dials out; the first INVITE to the carrier.
fn dial(world: &mut World) -> (Peer, Message, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "5551234", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    (browser, invite, onward)
}

/// A line dials out, and the carrier takes the call after a challenge.
fn talk(world: &mut World) -> (Peer, Message, Message, Message) {
    let (browser, invite, first) = dial(world);
    world.receive(trunk(), &challenge(&first, 407, ""));
    world.expect_request(trunk(), &Method::Ack);
    let again = world.expect_request(trunk(), &Method::Invite);
    let taken = answer_to(&again, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &taken);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    (browser, invite, accepted, again)
}

#[test]
fn d10_a_challenged_call_is_sent_again_with_credentials_and_nobody_sees_it() {
    let mut world = World::with_config(&config(""));
    let (browser, _, first) = dial(&mut world);
    assert_eq!(first.header(HeaderName::ProxyAuthorization), None);
    world.receive(trunk(), &challenge(&first, 407, ""));
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(number(&ack), number(&first));
    let again = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(proven(&again).nc.as_deref(), Some("00000001"));
    assert_eq!(number(&again), number(&first) + 1);
    assert_ne!(again.header(HeaderName::Via), first.header(HeaderName::Via));
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::To] {
        assert_eq!(again.header(&name), first.header(&name));
    }
    assert_eq!(again.body(), first.body());
    world.expect_silence(browser);
    // The challenge comes once more: its ACK was lost.
    world.receive(trunk(), &challenge(&first, 407, ""));
    assert_eq!(
        number(&world.expect_request(trunk(), &Method::Ack)),
        number(&first)
    );
    world.expect_silence(trunk());
    let taken = answer_to(&again, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &taken);
    // RFC 3261 section 13.2.2.4: the number and the credentials of the INVITE.
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(number(&ack), number(&again));
    assert_eq!(
        ack.header(HeaderName::ProxyAuthorization),
        again.header(HeaderName::ProxyAuthorization)
    );
    world.expect_status(browser, 200);
}

#[test]
fn d10_later_requests_carry_credentials_in_advance_with_rising_numbers() {
    let mut world = World::with_config(&config(""));
    let (browser, invite, accepted, again) = talk(&mut world);
    world.expect_request(trunk(), &Method::Ack);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(proven(&bye).nc.as_deref(), Some("00000002"));
    assert!(number(&bye) > number(&again));
    // The nonce has grown old.
    world.receive(trunk(), &challenge(&bye, 407, ", stale=true"));
    let last = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(proven(&last).nc.as_deref(), Some("00000001"));
    assert_eq!(number(&last), number(&bye) + 1);
    world.receive(trunk(), &answer_to(&last, 200, "bob1", None));
    world.expect_silence(trunk());
}

#[test]
fn d10_a_password_that_the_carrier_refuses_fails_the_call_and_goes_to_nobody() {
    let mut world = World::with_config(&config(""));
    let (browser, _, first) = dial(&mut world);
    world.receive(trunk(), &challenge(&first, 407, ""));
    world.expect_request(trunk(), &Method::Ack);
    let again = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &challenge(&again, 407, ""));
    let refused = world.expect_status(browser, 403);
    assert_eq!(refused.header(HeaderName::ProxyAuthenticate), None);
    assert!(
        world.records[0].reason.contains("account"),
        "{}",
        world.records[0].reason
    );
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(trunk());
    assert_eq!(world.engine.usage().calls, 0);
}

#[test]
fn d10_a_call_that_is_cancelled_meanwhile_is_not_sent_again() {
    let mut world = World::with_config(&config(""));
    let (browser, invite, first) = dial(&mut world);
    world.receive(browser, &crate::trouble::cancel_of(&invite));
    world.sent.clear();
    world.receive(trunk(), &challenge(&first, 407, ""));
    world.expect_request(trunk(), &Method::Ack);
    world.expect_silence(trunk());
    assert_eq!(world.engine.usage().calls, 0);
}

#[test]
fn d10_a_re_invite_of_ours_is_answered_for_too() {
    let mut world = World::with_config(&config(""));
    let (browser, invite, accepted, _) = talk(&mut world);
    world.expect_request(trunk(), &Method::Ack);
    let mut hold = in_dialog(&invite, &accepted, &Method::Invite, 1);
    hold.push(
        HeaderName::Contact,
        invite.header(HeaderName::Contact).unwrap(),
    );
    let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
    hold.set_body("application/sdp", offer.into());
    world.receive(browser, &hold);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &challenge(&onward, 401, ", stale=true"));
    world.expect_request(trunk(), &Method::Ack);
    let again = world.expect_request(trunk(), &Method::Invite);
    let held = CARRIER_ANSWER.replace("a=sendrecv", "a=recvonly");
    world.receive(trunk(), &answer_to(&again, 200, "bob1", Some(&held)));
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(number(&ack), number(&again));
    assert_eq!(
        ack.header(HeaderName::Authorization),
        again.header(HeaderName::Authorization)
    );
    assert!(ack.header(HeaderName::Authorization).is_some());
    world.expect_status(browser, 200);
}

#[test]
fn d5_a_challenged_refer_is_known_by_the_number_that_was_taken() {
    let mut world = World::with_config(&config(""));
    let (browser, invite, accepted, onward) = talk(&mut world);
    world.expect_request(trunk(), &Method::Ack);
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:x@x1.invalid;transport=ws>");
    world.receive(browser, &refer);
    let passed = world.expect_request(trunk(), &Method::Refer);
    world.receive(trunk(), &challenge(&passed, 407, ", stale=true"));
    let again = world.expect_request(trunk(), &Method::Refer);
    world.receive(trunk(), &answer_to(&again, 202, "bob1", None));
    world.expect_status(browser, 202);
    let mut notify = in_dialog_of_callee(&onward, "bob1", &Method::Notify);
    let id = format!("refer;id={}", number(&again));
    notify.push(HeaderName::Event, id);
    notify.push(HeaderName::SubscriptionState, "active");
    world.receive(trunk(), &notify);
    let told = world.expect_request(browser, &Method::Notify);
    let id = format!("refer;id={}", number(&refer));
    assert_eq!(told.header(HeaderName::Event), Some(id.as_str()));
}

#[test]
fn d10_messages_of_lines_are_answered_for_and_registrations_of_browsers_are_not() {
    let mut world = World::with_config(&config(""));
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut message = from_browser(Method::Message, "sip:5551234@lines.test", 1);
    message.set(HeaderName::From, "<sip:1001@lines.test>;tag=a");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    world.receive(trunk(), &challenge(&onward, 407, ""));
    let again = world.expect_request(trunk(), &Method::Message);
    proven(&again);
    world.receive(trunk(), &answer_to(&again, 202, "x", None));
    let answer = world.expect_status(browser, 202);
    assert_eq!(number(&answer), number(&message));

    let other = world.browser();
    let register = World::register_message("alice", "carrier.test", "creg");
    world.receive(other, &register);
    let onward = world.expect_request(trunk(), &Method::Register);
    assert_eq!(onward.header(HeaderName::ProxyAuthorization), None);
    world.receive(trunk(), &challenge(&onward, 401, ""));
    let asked = world.expect_status(other, 401);
    assert!(asked.header(HeaderName::WwwAuthenticate).is_some());
}

/// The REGISTER that is due, and its answer.
fn registered(world: &mut World, expires_s: u32) -> Message {
    let request = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&request, 200, None);
    granted.set_to_tag("registrar");
    let contact = request.header(HeaderName::Contact).unwrap();
    let contact = contact.split(";expires").next().unwrap();
    granted.push(HeaderName::Contact, "<sip:t1@203.0.113.9>;expires=9999");
    granted.push(
        HeaderName::Contact,
        format!("{contact};expires={expires_s}"),
    );
    world.receive(trunk(), &granted);
    request
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn an_account_registers_answers_the_challenge_and_refreshes_before_it_expires() {
    let mut world = World::with_config(&config("register = true"));
    world.advance(Duration::ZERO);
    let first = world.expect_request(trunk(), &Method::Register);
    assert_eq!(first.request_uri(), Some("sip:carrier.test"));
    assert_eq!(first.header(HeaderName::To), Some("<sip:t1@carrier.test>"));
    assert_eq!(
        first.header(HeaderName::Contact),
        Some("<sip:t1@198.51.100.1:5060>;expires=3600")
    );
    world.receive(trunk(), &challenge(&first, 401, ""));
    world.sent.iter().for_each(|(_, message)| {
        proven(message);
    });
    let again = registered(&mut world, 200);
    assert!(
        world
            .logged
            .iter()
            .any(|line| line.contains("is_registered: true"))
    );
    world.advance(seconds(79));
    world.expect_silence(trunk());
    world.advance(seconds(42));
    let refresh = registered(&mut world, 200);
    assert_eq!(proven(&refresh).nc.as_deref(), Some("00000002"));
    assert_eq!(refresh.call_id(), again.call_id());
    assert!(number(&refresh) > number(&again));
}

#[test]
fn an_account_is_registered_at_the_next_target_if_the_first_is_silent() {
    let text = config("register = true").replace(
        &format!("target = \"{TRUNK}\""),
        &format!("target = [\"{TRUNK}\", \"{SECOND}\"]"),
    );
    let mut world = World::with_config(&text);
    world.advance(seconds(7));
    let request = world.expect_request(second(), &Method::Register);
    world.receive(second(), &answer_to(&request, 200, "r", None));
    assert!(
        world
            .logged
            .iter()
            .any(|line| line.contains("is_registered: true"))
    );
    world.sent.clear();
    world.advance(seconds(1000));
    world.expect_silence(second());
}

#[test]
fn an_account_that_is_refused_waits_longer_each_time_and_says_so_once() {
    let mut world = World::with_config(&config("register = true"));
    let mut sent = std::collections::BTreeSet::new();
    for _ in 0..3600 {
        world.advance(seconds(1));
        while let Some((peer, message)) = world.sent.pop_front() {
            assert_eq!((peer, message.method()), (trunk(), Method::Register));
            world.receive(trunk(), &answer_to(&message, 403, "r", None));
            sent.insert(number(&message));
        }
    }
    assert!((5..=10).contains(&sent.len()), "{sent:?} in an hour");
    let lines = world.logged.iter();
    assert_eq!(
        lines
            .filter(|line| line.contains("is_registered: false"))
            .count(),
        1
    );
}

#[test]
fn a_carrier_calls_the_account_and_the_line_rings_that_to_names() {
    let mut world = World::with_config(&config("register = true"));
    world.advance(Duration::ZERO);
    registered(&mut world, 3600);
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:t1@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::To, "<sip:1001@carrier.test>");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let ringing = world.expect_request(browser, &Method::Invite);
    world.receive(
        browser,
        &answer_to(&ringing, 200, "b", Some(BROWSER_ANSWER)),
    );
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    assert_eq!(
        accepted.header(HeaderName::Contact),
        Some("<sip:t1@198.51.100.1:5060>")
    );
    let mut other = carrier_invite("sip:t1@198.51.100.1:5060", CARRIER_OFFER);
    other.set(HeaderName::CallId, "another");
    other.set(HeaderName::To, "<sip:4711@carrier.test>");
    other.set(
        HeaderName::Via,
        format!("SIP/2.0/UDP {TRUNK};branch=z9hG4bKother"),
    );
    world.receive(trunk(), &other);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 404);
}

#[test]
fn a_call_to_the_account_itself_rings_at_its_line() {
    let mut world = World::with_config(&config("calls_to = \"1002\""));
    let browser = log_in(&mut world, "1002", "secret-two");
    let mut invite = carrier_invite("sip:t1@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::To, "<sip:t1@carrier.test>");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    world.expect_request(browser, &Method::Invite);
}

#[test]
fn stopping_takes_the_registration_back_and_waits_for_the_answer() {
    let mut world = World::with_config(&config("register = true"));
    world.advance(Duration::ZERO);
    registered(&mut world, 3600);
    world.input(Input::Stop);
    let request = world.expect_request(trunk(), &Method::Register);
    assert_eq!(request.header(HeaderName::Expires), Some("0"));
    assert!(!world.engine.is_stopped());
    // Challenged, even now.
    world.receive(trunk(), &challenge(&request, 401, ""));
    assert!(!world.engine.is_stopped());
    let again = world.expect_request(trunk(), &Method::Register);
    proven(&again);
    world.receive(trunk(), &answer_to(&again, 200, "r", None));
    assert!(world.engine.is_stopped());
}

#[test]
fn a_registered_browser_s_call_through_an_account_is_answered_for() {
    let mut world = World::with_config(&config(""));
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    world.receive(trunk(), &challenge(&onward, 407, ""));
    world.expect_request(trunk(), &Method::Ack);
    proven(&world.expect_request(trunk(), &Method::Invite));
    world.expect_silence(browser);
}

#[test]
fn c3_a_trunk_s_own_timers_hold_for_requests_to_it() {
    let keys = "\nt1_ms = 100\ntimer_b_s = 3\n[[realm]]";
    let mut world = World::with_config(&CONFIG.replacen("[[realm]]", keys, 1));
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.advance(Duration::from_millis(350));
    let to_trunk = world.sent.iter().filter(|(peer, _)| *peer == trunk());
    assert_eq!(to_trunk.count(), 3, "at 0, 100 and 300 ms");
    world.advance(Duration::from_millis(2_700));
    world.expect_status(browser, 408);
}

#[test]
fn o14_requests_of_the_account_take_the_way_that_its_registrar_named() {
    let mut world = World::with_config(&config("register = true"));
    world.advance(Duration::ZERO);
    let register = world.expect_request(trunk(), &Method::Register);
    let mut granted = answer_to(&register, 200, "r", None);
    granted.set(
        HeaderName::Contact,
        register.header(HeaderName::Contact).unwrap(),
    );
    let routes = [
        "<sip:orig@scscf.carrier.test;lr>",
        "<sip:second.carrier.test;lr>",
    ];
    granted.push(HeaderName::ServiceRoute, routes.join(", "));
    world.receive(trunk(), &granted);
    let (_, _, onward) = dial(&mut world);
    let taken = |message: &Message| -> Vec<String> {
        message
            .values(HeaderName::Route)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(taken(&onward), routes);
    // With credentials too.
    world.receive(trunk(), &challenge(&onward, 407, ""));
    world.expect_request(trunk(), &Method::Ack);
    let again = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(taken(&again), routes);
}
