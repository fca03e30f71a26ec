//! TCP and TLS towards carriers: connections, what they mean for calls, and who may use them.

use bytes::Bytes;
use control::engine::input::{Input, Peer};
use control::sip::framing::FrameError;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World, text};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, in_dialog_of_callee, log_in, register_at,
};

/// The trunk is spoken to like this.
fn world_over(transport: &str) -> World {
    let listen = "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\nlisten_tls = \"198.51.100.1:5061\"\n\
                  certificate = \"none.pem\"\nprivate_key = \"none.pem\"\n";
    let trunk = format!("[[trunk]]\ntransport = \"{transport}\"\n");
    let config = CONFIG
        .replace("[sip]\n", listen)
        .replace("[[trunk]]\n", &trunk);
    World::with_config(&config)
}

fn over_tcp() -> Peer {
    Peer::Tcp(TRUNK.parse().unwrap())
}

/// A connection that the carrier opened.
fn theirs(world: &mut World, last: u8) -> Peer {
    let peer = Peer::Tcp(([198, 51, 100, last], 40_000).into());
    world.input(Input::StreamOpened { peer });
    peer
}

fn options(host: &str) -> Message {
    let mut request = Message::request(Method::Options, "sip:198.51.100.1");
    request.push(
        HeaderName::Via,
        format!("SIP/2.0/TCP {host}:5060;branch=z9hG4bKo1"),
    );
    request.push(HeaderName::From, "<sip:carrier.test>;tag=o");
    request.push(HeaderName::To, "<sip:198.51.100.1>");
    request.push(HeaderName::CallId, "options-1");
    request.push(HeaderName::CSeq, "1 OPTIONS");
    request
}

#[test]
fn c17_one_connection_carries_registration_and_call() {
    let mut world = world_over("tcp");
    let browser = register_at(&mut world, over_tcp(), "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(over_tcp(), &Method::Invite);
    let via = onward.header(HeaderName::Via).unwrap();
    assert!(via.starts_with("SIP/2.0/TCP 198.51.100.1:5060;"), "{via}");
    let contact = onward.header(HeaderName::Contact).unwrap();
    assert_eq!(contact, "<sip:ringway@198.51.100.1:5060;transport=tcp>");
    world.receive(
        over_tcp(),
        &answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER)),
    );
    world.expect_request(over_tcp(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_request(over_tcp(), &Method::Bye);
    assert_eq!(world.connects.len(), 1, "{:?}", world.connects);
}

#[test]
fn tls_is_opened_with_the_name_of_the_carrier() {
    let mut world = world_over("tls");
    let carrier = Peer::Tls(TRUNK.parse().unwrap());
    register_at(&mut world, carrier, "alice");
    assert_eq!(world.connects, [(carrier, "carrier.test".to_owned())]);
}

#[test]
fn c14_a_connection_lost_mid_transaction_ends_the_call_at_once() {
    let mut world = world_over("tcp");
    let browser = register_at(&mut world, over_tcp(), "alice");
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    world.expect_request(over_tcp(), &Method::Invite);
    world.lose_stream(over_tcp());
    let refusal = world.expect_status(browser, 503);
    assert!(refusal.header(HeaderName::RetryAfter).is_some());
}

#[test]
fn c14_a_carrier_that_cannot_be_reached_fails_at_once() {
    let mut world = world_over("tcp");
    world.unreachable.push(over_tcp());
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg-1");
    world.receive(browser, &request);
    world.expect_status(browser, 503);
    assert_eq!(world.engine.usage().streams, 0);
    // The next attempt opens a connection again.
    world.unreachable.clear();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "reg-2"),
    );
    world.expect_request(over_tcp(), &Method::Register);
    assert_eq!(world.connects.len(), 2);
}

#[test]
fn c17_responses_go_back_on_the_connection_of_the_request() {
    let mut world = world_over("tcp");
    let browser = log_in(&mut world, "1001", "secret-one");
    let carrier = theirs(&mut world, 20);
    let invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(carrier, &invite);
    world.expect_status(carrier, 100);
    let ringing = world.expect_request(browser, &Method::Invite);
    world.receive(browser, &answer_to(&ringing, 180, "alice1", None));
    world.expect_status(carrier, 180);
    assert!(world.connects.is_empty());
}

/// A line talks to a caller whose call came on a connection that the carrier opened, with this
/// Contact. The line's leg, and the carrier's.
fn called_over(world: &mut World, contact: &str) -> (Peer, Peer, Message) {
    let browser = log_in(world, "1001", "secret-one");
    let carrier = theirs(world, 20);
    let mut invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    invite.set(HeaderName::Contact, contact);
    world.receive(carrier, &invite);
    world.expect_status(carrier, 100);
    let ringing = world.expect_request(browser, &Method::Invite);
    let taken = answer_to(&ringing, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &taken);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(carrier, 200);
    world.receive(carrier, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    (browser, carrier, ringing)
}

#[test]
fn c17_a_call_outlives_the_connection_that_the_carrier_opened() {
    for contact in ["<sip:bob@198.51.100.20:5060>", "<sip:bob@192.0.2.77:6000>"] {
        let mut world = world_over("tcp");
        let (browser, carrier, ringing) = called_over(&mut world, contact);
        world.lose_stream(carrier);
        assert!(world.records.is_empty(), "the call goes on");
        let bye = in_dialog_of_callee(&ringing, "alice1", &Method::Bye);
        world.receive(browser, &bye);
        // A connection to the target, which is all that we can open.
        let bye = world.expect_request(over_tcp(), &Method::Bye);
        assert_eq!(world.connects, [(over_tcp(), "carrier.test".to_owned())]);
        world.receive(over_tcp(), &answer_to(&bye, 200, "x", None));
        assert_eq!(world.records.len(), 1);
    }
}

#[test]
fn c17_a_call_stays_on_the_connection_that_the_carrier_opened_while_it_stands() {
    let mut world = world_over("tcp");
    let contact = "<sip:bob@198.51.100.20:5060>";
    let (browser, carrier, ringing) = called_over(&mut world, contact);
    let bye = in_dialog_of_callee(&ringing, "alice1", &Method::Bye);
    world.receive(browser, &bye);
    world.expect_request(carrier, &Method::Bye);
    assert!(world.connects.is_empty());
}

#[test]
fn a_stranger_on_tcp_gets_403_and_is_closed() {
    let mut world = world_over("tcp");
    let stranger = theirs(&mut world, 99);
    world.receive(stranger, &options("198.51.100.99"));
    world.expect_status(stranger, 403);
    assert_eq!(world.closed_streams, [stranger]);
    let carrier = theirs(&mut world, 20);
    world.receive(carrier, &options("198.51.100.20"));
    world.expect_status(carrier, 200);
    assert_eq!(world.closed_streams, [stranger]);
}

#[test]
fn a_trunk_over_tls_is_not_believed_without_it() {
    let mut world = world_over("tls");
    let udp = Peer::Udp(TRUNK.parse().unwrap());
    world.receive(udp, &options("198.51.100.20"));
    world.expect_status(udp, 403);
    let tcp = theirs(&mut world, 20);
    world.receive(tcp, &options("198.51.100.20"));
    world.expect_status(tcp, 403);
    let tls = Peer::Tls(([198, 51, 100, 20], 40_001).into());
    world.input(Input::StreamOpened { peer: tls });
    world.receive(tls, &options("198.51.100.20"));
    world.expect_status(tls, 200);
}

#[test]
fn c17_what_breaks_the_framing_is_answered_and_the_connection_closed() {
    let mut world = world_over("tcp");
    let carrier = theirs(&mut world, 20);
    let rest = text(&options("198.51.100.20")).replace("Content-Length: 0\r\n", "");
    world.input(Input::StreamBroken {
        peer: carrier,
        rest: Bytes::from(rest),
        error: FrameError::NoLength,
    });
    world.expect_status(carrier, 400);
    assert_eq!(world.closed_streams, [carrier]);
    assert_eq!(world.engine.usage().streams, 0);
}
