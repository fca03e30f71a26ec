//! What RFC 7118 asks of SIP over WebSocket: lengths, transports, names that nobody resolves.

use std::net::SocketAddr;

use bytes::Bytes;
use control::engine::input::{ConnectionId, Input, Peer};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, TRUNK, World, text};

use crate::flows::{from_carrier, uri_of};
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite,
    carrier_invite, in_dialog, log_in, register_at, register_at_carrier, trunk,
};
use crate::proxy::from_browser;

const BOB: &str = "sip:bob@carrier.test";

fn via(message: &Message) -> &str {
    message.header(HeaderName::Via).unwrap()
}

/// The bytes of a MESSAGE with this body and `Content-Length` lines.
fn message_with(n: u32, length: &str, body: &str) -> String {
    format!(
        "MESSAGE {BOB} SIP/2.0\r\nVia: SIP/2.0/WSS x1.invalid;branch=z9hG4bKl{n}\r\n\
         Max-Forwards: 69\r\nTo: <{BOB}>\r\nFrom: <sip:alice@carrier.test>;tag=a1\r\n\
         Call-ID: l{n}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n{length}\r\n{body}"
    )
}

#[test]
fn w8_the_length_of_a_body_is_that_of_the_websocket_message() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    for (n, length, passed) in [
        (1, "", "grüße"),
        (2, "Content-Length: 7\r\n", "grüße"),
        // What is behind it is nobody's.
        (3, "Content-Length: 2\r\n", "gr"),
        (4, "l: 0\r\n", ""),
    ] {
        world.receive_bytes(browser, message_with(n, length, "grüße"));
        let onward = world.expect_request(trunk(), &Method::Message);
        assert_eq!(onward.body(), passed, "{length}");
        let told = onward.header(HeaderName::ContentLength);
        assert_eq!(told, Some(passed.len().to_string().as_str()), "{length}");
        world.receive(trunk(), &Message::response_to(&onward, 200, None));
        world.expect_status(browser, 200);
    }
    world.receive_bytes(browser, message_with(5, "Content-Length: 8\r\n", "grüße"));
    world.expect_status(browser, 400);
    world.expect_silence(trunk());
    assert!(world.closed.is_empty(), "the connection goes on");
}

#[test]
fn w8_a_response_that_is_longer_than_its_message_is_dropped() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let told = world.expect_request(browser, &Method::Invite);
    let whole = answer_to(&told, 200, "x", Some(BROWSER_ANSWER)).to_bytes();
    world.receive_bytes(browser, whole.slice(..whole.len() - 1));
    world.expect_silence(trunk());
    world.expect_silence(browser);
    world.receive_bytes(browser, whole);
    world.expect_status(trunk(), 200);
}

#[test]
fn w8_what_browsers_get_has_its_length_in_bytes() {
    let mut world = World::new();
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg");
    world.receive(browser, &request);
    let register = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&register, 200, None);
    granted.copy_from(&register, HeaderName::Contact);
    world.receive(trunk(), &granted);
    let seen = world.expect_status(browser, 200);
    assert_eq!(seen.header(HeaderName::ContentLength), Some("0"));
    let contact = uri_of(register.header(HeaderName::Contact).unwrap()).to_owned();
    let mut message = from_carrier(Method::Message, &contact, None, 1);
    message.set_body("text/plain", Bytes::from("grüße"));
    world.receive(trunk(), &message);
    let told = world.expect_request(browser, &Method::Message);
    assert_eq!(told.header(HeaderName::ContentLength), Some("7"));
}

/// A browser whose connection came over `ws` or `wss`.
fn browser_over(world: &mut World, secure: bool) -> Peer {
    let connection = ConnectionId(700);
    world.input(Input::ConnectionOpened {
        connection,
        remote: SocketAddr::from(([203, 0, 113, 40], 50_000)),
        secure,
        identity: None,
    });
    Peer::WebSocket(connection)
}

#[test]
fn w12_either_via_transport_is_taken_on_either_listener_and_ours_says_what_it_is() {
    for (secure, ours) in [(true, "SIP/2.0/WSS "), (false, "SIP/2.0/WS ")] {
        for theirs in ["SIP/2.0/WS x1.invalid", "SIP/2.0/WSS x1.invalid"] {
            let mut world = World::new();
            let browser = browser_over(&mut world, secure);
            let mut request = World::register_message("alice", "carrier.test", "reg");
            request.set(HeaderName::Via, format!("{theirs};branch=z9hG4bKr"));
            world.receive(browser, &request);
            let onward = world.expect_request(trunk(), &Method::Register);
            let mut granted = Message::response_to(&onward, 200, None);
            granted.copy_from(&onward, HeaderName::Contact);
            world.receive(trunk(), &granted);
            world.expect_status(browser, 200);
            let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
            world.receive(trunk(), &from_carrier(Method::Message, &contact, None, 1));
            let told = world.expect_request(browser, &Method::Message);
            assert!(via(&told).starts_with(ours), "{}", via(&told));
        }
    }
}

/// As sipML5 registers over wss: `sips`, and a transport that RFC 7118 does not know.
fn register_as_sipml5(world: &mut World) -> (Peer, Message) {
    let browser = world.browser();
    let mut request = World::register_message("alice", "carrier.test", "reg");
    request.set(HeaderName::Contact, format!("<{SIPML5}>;expires=600"));
    request.set_request_uri("sip:carrier.test;transport=wss");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    granted.copy_from(&onward, HeaderName::Contact);
    world.receive(trunk(), &granted);
    let seen = world.expect_status(browser, 200);
    let contact = seen.header(HeaderName::Contact).unwrap();
    assert!(contact.contains(&format!("<{SIPML5}>")), "{contact}");
    (browser, onward)
}

const SIPML5: &str = "sips:alice@df7jal23ls0d.invalid;rtcweb-breaker=no;transport=wss";

#[test]
fn w13_ours_says_transport_ws_and_wss_is_tolerated() {
    let mut world = World::new();
    let (browser, registered) = register_as_sipml5(&mut world);
    assert_eq!(registered.request_uri(), Some("sip:carrier.test"));
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set_request_uri("sip:bob@carrier.test;transport=wss");
    invite.set(HeaderName::Contact, format!("<{SIPML5}>"));
    invite.push(HeaderName::Route, "<sip:edge.example:443;transport=wss;lr>");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(onward.request_uri(), Some(BOB));
    assert!(!text(&onward).contains("transport=ws"), "{}", text(&onward));
    world.receive(trunk(), &answer_to(&onward, 180, "bob1", None));
    let ringing = world.expect_status(browser, 180);
    let contact = ringing.header(HeaderName::Contact).unwrap();
    assert!(contact.ends_with(";transport=ws>"), "{contact}");
}

#[test]
fn w14_no_name_that_nobody_resolves_reaches_the_carrier() {
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
    let ack = world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    refer.push(HeaderName::ReferredBy, "<sip:alicex@x1.invalid>");
    world.receive(browser, &refer);
    let refer = world.expect_request(trunk(), &Method::Refer);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 2));
    let bye = world.expect_request(trunk(), &Method::Bye);
    let mut message = from_browser(Method::Message, BOB, 1);
    message.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    world.receive(browser, &message);
    let message = world.expect_request(trunk(), &Method::Message);
    let mut subscribe = from_browser(Method::Subscribe, BOB, 2);
    subscribe.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    subscribe.push(HeaderName::Event, "presence");
    world.receive(browser, &subscribe);
    let subscribe = world.expect_request(trunk(), &Method::Subscribe);
    for sent in [onward, ack, refer, bye, message, subscribe] {
        assert!(!text(&sent).contains(".invalid"), "{}", text(&sent));
    }
}

#[test]
fn w14_the_ack_of_a_called_browser_s_answer_goes_down_its_connection() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    world.receive(
        trunk(),
        &carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER),
    );
    world.expect_status(trunk(), 100);
    let told = world.expect_request(browser, &Method::Invite);
    let mut answer = answer_to(&told, 200, "x", Some(BROWSER_ANSWER));
    let contact = "<sip:1001x@x1.invalid;transport=ws>";
    answer.set(HeaderName::Contact, contact);
    world.receive(browser, &answer);
    let ack = world.expect_request(browser, &Method::Ack);
    assert_eq!(ack.request_uri(), Some(uri_of(contact)));
    let accepted = world.expect_status(trunk(), 200);
    assert!(!text(&accepted).contains(".invalid"), "{}", text(&accepted));
}

#[test]
fn w15_a_response_repeats_the_via_and_goes_down_the_connection_of_its_request() {
    let mut world = World::new();
    let first = world.browser();
    let second = world.browser();
    // All clients of one kind call themselves the same, and may choose the same branch.
    let given = "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKsame;rport";
    let mut request = World::register_message("alice", "carrier.test", "reg-a");
    request.set(HeaderName::Via, given);
    world.receive(first, &request);
    let of_first = world.expect_request(trunk(), &Method::Register);
    let mut request = World::register_message("bob", "carrier.test", "reg-b");
    request.set(HeaderName::Via, given);
    world.receive(second, &request);
    let of_second = world.expect_request(trunk(), &Method::Register);
    for (onward, browser, other) in [(of_second, second, first), (of_first, first, second)] {
        let mut granted = Message::response_to(&onward, 200, None);
        granted.copy_from(&onward, HeaderName::Contact);
        world.receive(trunk(), &granted);
        let seen = world.expect_status(browser, 200);
        let vias: Vec<&str> = seen.headers(HeaderName::Via).collect();
        assert_eq!(vias, [given]);
        world.expect_silence(other);
    }
}

#[test]
fn w16_carriers_are_spoken_to_over_udp_tcp_and_tls() {
    let listen = "[sip]\nlisten_tcp = \"198.51.100.1:5060\"\nlisten_tls = \"198.51.100.1:5061\"\n\
                  certificate = \"none.pem\"\nprivate_key = \"none.pem\"\n";
    let address: SocketAddr = TRUNK.parse().unwrap();
    for (transport, carrier, sent_by) in [
        ("udp", Peer::Udp(address), "SIP/2.0/UDP 198.51.100.1:5060;"),
        ("tcp", Peer::Tcp(address), "SIP/2.0/TCP 198.51.100.1:5060;"),
        ("tls", Peer::Tls(address), "SIP/2.0/TLS 198.51.100.1:5061;"),
    ] {
        let trunk = format!("[[trunk]]\ntransport = \"{transport}\"\n");
        let config = CONFIG
            .replace("[sip]\n", listen)
            .replace("[[trunk]]\n", &trunk);
        let mut world = World::with_config(&config);
        let browser = register_at(&mut world, carrier, "alice");
        world.receive(browser, &from_browser(Method::Message, BOB, 1));
        let onward = world.expect_request(carrier, &Method::Message);
        assert!(via(&onward).starts_with(sent_by), "{}", via(&onward));
        world.receive(carrier, &Message::response_to(&onward, 200, None));
        world.expect_status(browser, 200);
        // The carrier's requests come the same way.
        let options = from_carrier(Method::Options, "sip:198.51.100.1", None, 2);
        world.receive(carrier, &options);
        world.expect_status(carrier, 200);
    }
}

#[test]
fn w22_a_sips_contact_is_taken_and_the_carrier_sees_sip() {
    let mut world = World::new();
    let (browser, registered) = register_as_sipml5(&mut world);
    let contact = registered.header(HeaderName::Contact).unwrap();
    assert!(contact.starts_with("<sip:alice~"), "{contact}");
    let uri = uri_of(contact).to_owned();
    world.receive(trunk(), &carrier_invite(&uri, CARRIER_OFFER));
    world.expect_status(trunk(), 100);
    let told = world.expect_request(browser, &Method::Invite);
    assert_eq!(told.request_uri(), Some(SIPML5));
}

/// A call and a message to a `sips` URI, with these keys of the trunk; what the carrier gets.
fn call_sips(keys: &str, carrier: Peer) -> Option<[Message; 2]> {
    let listen = "[sip]\nlisten_tls = \"198.51.100.1:5061\"\n\
                  certificate = \"none.pem\"\nprivate_key = \"none.pem\"\n";
    let config = CONFIG
        .replace("[sip]\n", listen)
        .replace("[[trunk]]\n", &format!("[[trunk]]\n{keys}\n"));
    let mut world = World::with_config(&config);
    let browser = register_at(&mut world, carrier, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.set_request_uri("sips:bob@carrier.test");
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let message = from_browser(Method::Message, "sips:bob@carrier.test", 1);
    world.receive(browser, &message);
    if world.sent.iter().all(|(peer, _)| *peer != carrier) {
        for _ in 0..2 {
            let refused = world.expect_status(browser, 480);
            let warning = refused.header(HeaderName::Warning);
            assert_eq!(warning, Some("380 ringway.invalid \"SIPS Not Allowed\""));
        }
        return None;
    }
    let invite = world.expect_request(carrier, &Method::Invite);
    Some([invite, world.expect_request(carrier, &Method::Message)])
}

#[test]
fn w22_a_call_to_sips_needs_tls_to_the_carrier_unless_the_operator_says_otherwise() {
    assert!(call_sips("", trunk()).is_none());
    for sent in call_sips("sips_as_sip = true", trunk()).unwrap() {
        assert_eq!(sent.request_uri(), Some(BOB));
    }
    let over_tls = Peer::Tls(TRUNK.parse().unwrap());
    let [invite, message] = call_sips("transport = \"tls\"", over_tls).unwrap();
    assert_eq!(message.request_uri(), Some("sips:bob@carrier.test"));
    assert_eq!(invite.request_uri(), Some("sips:bob@carrier.test"));
    let contact = invite.header(HeaderName::Contact);
    assert_eq!(contact, Some("<sips:ringway@198.51.100.1:5061>"));
}
