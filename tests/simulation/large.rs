//! Requests that are too large for a datagram (RFC 3261 section 18.1.1).

use std::time::Duration;

use bytes::Bytes;
use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, answer_to, browser_invite, in_dialog, register_at,
    register_at_carrier, trunk,
};
use crate::proxy::from_browser;
use crate::trouble::cancel_of;

const KEY: &str = "tcp_for_large = true";
const LIMIT: usize = 1300;
const SECOND: &str = "198.51.100.30:5060";

fn config(keys: &str) -> String {
    CONFIG
        .replace("[sip]\n", "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\n")
        .replace("[[trunk]]\n", &format!("[[trunk]]\n{keys}\n"))
}

fn over_tcp() -> Peer {
    Peer::Tcp(TRUNK.parse().unwrap())
}

/// A world with this trunk, and a browser that is registered there.
fn registered(keys: &str) -> (World, Peer) {
    let mut world = World::with_config(&config(keys));
    let browser = register_at_carrier(&mut world, "alice");
    (world, browser)
}

/// The browser's INVITE, which is too large for a datagram towards the carrier, too.
fn large_invite() -> Message {
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.push(HeaderName::UserToUser, "a".repeat(LIMIT));
    invite
}

fn large_message(n: u32, body: usize) -> Message {
    let mut message = from_browser(Method::Message, "sip:bob@carrier.test", n);
    message.set_body("text/plain", Bytes::from("b".repeat(body)));
    message
}

fn via(message: &Message) -> &str {
    message.header(HeaderName::Via).unwrap()
}

fn branch(message: &Message) -> &str {
    let branch = via(message).split(';').find(|p| p.starts_with("branch="));
    branch.unwrap()
}

fn warnings(world: &World) -> usize {
    let is_warning = |line: &&String| line.contains("too large") || line.contains("tcp_for_large");
    world.logged.iter().filter(is_warning).count()
}

#[test]
fn c16_a_large_invite_goes_over_tcp_and_the_rest_of_its_dialog_over_udp() {
    let (mut world, browser) = registered(KEY);
    let invite = large_invite();
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(over_tcp(), &Method::Invite);
    world.expect_silence(trunk());
    assert_eq!(world.connects, [(over_tcp(), "carrier.test".to_owned())]);
    let sent_by = "SIP/2.0/TCP 198.51.100.1:5060;branch=";
    assert!(via(&onward).starts_with(sent_by), "{}", via(&onward));
    assert!(!via(&onward).contains("rport"), "{}", via(&onward));
    // The carrier's requests in the dialog are not large because this one was.
    let contact = onward.header(HeaderName::Contact);
    assert_eq!(contact, Some("<sip:ringway@198.51.100.1:5060>"));
    world.advance(Duration::from_secs(5));
    world.expect_silence(over_tcp());

    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(over_tcp(), &answer);
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert!(via(&ack).starts_with("SIP/2.0/UDP "), "{}", via(&ack));
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert!(via(&bye).starts_with("SIP/2.0/UDP "), "{}", via(&bye));
    assert_eq!(warnings(&world), 0, "{:?}", world.logged);
}

#[test]
fn c16_cancel_and_the_ack_to_a_failure_go_where_the_invite_went() {
    let (mut world, browser) = registered(KEY);
    let invite = large_invite();
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(over_tcp(), &Method::Invite);
    world.receive(over_tcp(), &answer_to(&onward, 180, "bob1", None));
    world.expect_status(browser, 180);
    world.receive(browser, &cancel_of(&invite));
    let cancel = world.expect_request(over_tcp(), &Method::Cancel);
    assert_eq!(via(&cancel), via(&onward));
    world.receive(over_tcp(), &Message::response_to(&cancel, 200, None));
    world.receive(over_tcp(), &answer_to(&onward, 487, "bob1", None));
    let ack = world.expect_request(over_tcp(), &Method::Ack);
    assert_eq!(via(&ack), via(&onward));
    world.expect_silence(trunk());
}

#[test]
fn c16_1300_bytes_go_over_udp_and_1301_over_tcp() {
    let (mut world, browser) = registered(KEY);
    world.receive(browser, &large_message(1, 100));
    let sent = world.expect_request(trunk(), &Method::Message);
    let fits = 100 + LIMIT - sent.to_bytes().len();
    world.receive(browser, &large_message(2, fits));
    let sent = world.expect_request(trunk(), &Method::Message);
    assert_eq!(sent.to_bytes().len(), LIMIT);
    // Over TCP the Via has no rport: what counts is what would have been the datagram.
    world.receive(browser, &large_message(3, fits + 1));
    let sent = world.expect_request(over_tcp(), &Method::Message);
    assert_eq!(sent.to_bytes().len() + ";rport".len(), LIMIT + 1);
    world.receive(over_tcp(), &Message::response_to(&sent, 202, None));
    world.expect_status(browser, 202);
}

#[test]
fn c16_without_a_connection_it_goes_over_udp_and_tcp_is_left_alone_for_a_while() {
    let (mut world, browser) = registered(KEY);
    world.unreachable.push(over_tcp());
    let invite = large_invite();
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let refused = world.expect_request(over_tcp(), &Method::Invite);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert!(via(&onward).starts_with("SIP/2.0/UDP 198.51.100.1:5060;"));
    assert!(via(&onward).ends_with(";rport"), "{}", via(&onward));
    assert_eq!(branch(&onward), branch(&refused));
    assert_eq!(onward.body(), refused.body());
    // It is repeated as datagrams are.
    world.advance(Duration::from_millis(500));
    world.expect_request(trunk(), &Method::Invite);
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    world.expect_status(browser, 200);
    assert_eq!((world.connects.len(), warnings(&world)), (1, 1));

    world.receive(browser, &large_message(1, LIMIT));
    world.expect_request(trunk(), &Method::Message);
    assert_eq!((world.connects.len(), warnings(&world)), (1, 1));
    // Ten minutes later it is tried again, and the carrier has learnt it.
    world.unreachable.clear();
    world.advance(Duration::from_secs(600));
    world.sent.clear();
    let browser = register_at_carrier(&mut world, "alice");
    world.receive(browser, &large_message(2, LIMIT));
    world.expect_request(over_tcp(), &Method::Message);
    assert_eq!(world.connects.len(), 2);
}

#[test]
fn c16_a_firewall_that_is_silent_delays_the_call_by_a_second() {
    let (mut world, browser) = registered(KEY);
    world.unanswering.push(over_tcp());
    world.receive(browser, &large_invite());
    world.expect_status(browser, 100);
    world.advance(Duration::from_millis(999));
    world.expect_silence(trunk());
    world.advance(Duration::from_millis(1));
    world.expect_request(trunk(), &Method::Invite);
    // The next one does not wait at all, and the end of the attempt ends no call.
    world.receive(browser, &large_message(1, LIMIT));
    world.expect_request(trunk(), &Method::Message);
    world.lose_stream(over_tcp());
    world.expect_silence(browser);
    assert_eq!((world.connects.len(), warnings(&world)), (1, 1));
}

#[test]
fn c16_a_connection_that_breaks_before_any_answer_is_followed_by_udp() {
    let (mut world, browser) = registered(KEY);
    world.receive(browser, &large_invite());
    world.expect_status(browser, 100);
    let first = world.expect_request(over_tcp(), &Method::Invite);
    world.lose_stream(over_tcp());
    let again = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(branch(&again), branch(&first));
    // It did take TCP.
    world.receive(browser, &large_message(1, LIMIT));
    world.expect_request(over_tcp(), &Method::Message);
    assert_eq!((world.connects.len(), warnings(&world)), (2, 0));
}

#[test]
fn c16_a_connection_that_breaks_after_an_answer_ends_the_call() {
    let (mut world, browser) = registered(KEY);
    world.receive(browser, &large_invite());
    world.expect_status(browser, 100);
    let onward = world.expect_request(over_tcp(), &Method::Invite);
    let trying = Message::response_to(&onward, 100, None);
    world.receive(over_tcp(), &trying);
    world.lose_stream(over_tcp());
    world.expect_status(browser, 503);
    world.expect_silence(trunk());
}

#[test]
fn c16_a_call_that_was_cancelled_meanwhile_does_not_come_after_all() {
    let (mut world, browser) = registered(KEY);
    world.unanswering.push(over_tcp());
    let invite = large_invite();
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.receive(browser, &cancel_of(&invite));
    world.advance(Duration::from_secs(1));
    world.lose_stream(over_tcp());
    world.expect_silence(trunk());
}

#[test]
fn c16_without_the_key_large_requests_go_over_udp_and_the_log_warns_once() {
    let (mut world, browser) = registered("");
    world.receive(browser, &large_message(1, 10));
    world.expect_request(trunk(), &Method::Message);
    assert_eq!(warnings(&world), 0);
    world.receive(browser, &large_invite());
    world.expect_request(trunk(), &Method::Invite);
    world.receive(browser, &large_message(2, LIMIT));
    world.expect_request(trunk(), &Method::Message);
    assert_eq!((world.connects.len(), warnings(&world)), (0, 1));
}

#[test]
fn c16_a_request_that_grows_by_credentials_changes_to_tcp() {
    let keys = format!("{KEY}\nusername = \"t1\"\npassword = \"trunk secret\"");
    let (mut world, browser) = registered(&keys);
    world.receive(browser, &large_message(1, 100));
    let sent = world.expect_request(trunk(), &Method::Message);
    let fits = 100 + LIMIT - sent.to_bytes().len();
    world.receive(browser, &large_message(2, fits));
    let first = world.expect_request(trunk(), &Method::Message);
    let mut challenge = answer_to(&first, 407, "proxy", None);
    let value = "Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"";
    challenge.push(HeaderName::ProxyAuthenticate, value);
    world.receive(trunk(), &challenge);
    let again = world.expect_request(over_tcp(), &Method::Message);
    assert!(again.header(HeaderName::ProxyAuthorization).is_some());
    assert!(via(&again).starts_with("SIP/2.0/TCP "), "{}", via(&again));
    world.receive(over_tcp(), &Message::response_to(&again, 200, None));
    world.expect_status(browser, 200);
}

#[test]
fn c16_silence_over_tcp_counts_against_the_target() {
    let two = config(KEY).replace(
        &format!("target = \"{TRUNK}\""),
        &format!("target = [\"{TRUNK}\", \"{SECOND}\"]"),
    );
    let mut world = World::with_config(&two);
    let browser = register_at(&mut world, trunk(), "alice");
    let second: std::net::SocketAddr = SECOND.parse().unwrap();
    world.receive(browser, &large_invite());
    world.expect_status(browser, 100);
    world.expect_request(over_tcp(), &Method::Invite);
    world.advance(Duration::from_millis(6_100));
    let onward = world.expect_request(Peer::Tcp(second), &Method::Invite);
    world.receive(Peer::Tcp(second), &answer_to(&onward, 486, "bob1", None));
    world.expect_status(browser, 486);
    // A small one now begins at the other, which has answered.
    world.receive(browser, &large_message(1, 10));
    world.expect_request(Peer::Udp(second), &Method::Message);
}
