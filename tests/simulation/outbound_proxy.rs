//! A browser that has an outbound proxy in its settings: a Route of its own.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{TRUNK, World};

use crate::peers::{BROWSER_OFFER, answer_to, browser_invite, log_in, register_at_carrier, trunk};

/// A call with this Route, which carriers never see; `browser` has the user and the domain given.
fn call_through(browser: (Peer, &str, &str), world: &mut World, route: &str, is_taken: bool) {
    let (peer, user, domain) = browser;
    let mut invite = browser_invite(user, domain, "+4930555", BROWSER_OFFER);
    let name: String = route.chars().filter(char::is_ascii_alphanumeric).collect();
    invite.set(HeaderName::CallId, name.as_str());
    let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{name}");
    invite.set(HeaderName::Via, via);
    invite.push(HeaderName::Route, route);
    world.receive(peer, &invite);
    world.expect_status(peer, 100);
    if is_taken {
        let onward = world.expect_request(trunk(), &Method::Invite);
        assert_eq!(onward.values(HeaderName::Route).count(), 0, "{route}");
        world.receive(trunk(), &answer_to(&onward, 486, "b", None));
        world.expect_status(peer, 486);
    } else {
        let refused = world.expect_status(peer, 403);
        assert!(refused.header("Warning").is_some(), "{route}");
    }
    world.sent.clear();
}

#[test]
fn ux_g7_a_route_to_the_trunk_itself_leads_where_the_call_goes_anyway() {
    for (user, domain) in [("alice", "carrier.test"), ("1001", "lines.test")] {
        let mut world = World::new();
        let browser = match domain {
            "lines.test" => log_in(&mut world, "1001", "secret-one"),
            _ => register_at_carrier(&mut world, "alice"),
        };
        for route in [
            format!("<sip:{TRUNK};lr;transport=udp>"),
            format!("<sip:{TRUNK};lr>"),
            "<sip:198.51.100.20;lr;transport=tcp>".to_owned(),
            "<sip:carrier.test;lr>".to_owned(),
        ] {
            call_through((browser, user, domain), &mut world, &route, true);
        }
        for route in [
            "<sip:198.51.100.20:5070;lr>".to_owned(),
            "<sip:198.51.100.21;lr>".to_owned(),
            format!("<sip:somebody@{TRUNK};lr>"),
            format!("<sip:{TRUNK};lr>, <sip:198.51.100.99;lr>"),
        ] {
            call_through((browser, user, domain), &mut world, &route, false);
        }
    }
}

#[test]
fn ux_g7_such_a_route_of_a_message_is_taken_too() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = Message::request(Method::Message, "sip:bob@carrier.test");
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm");
    message.push(HeaderName::MaxForwards, "69");
    message.push(HeaderName::To, "<sip:bob@carrier.test>");
    message.push(HeaderName::From, "<sip:alice@carrier.test>;tag=m");
    message.push(HeaderName::CallId, "message");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    message.push(HeaderName::Route, format!("<sip:{TRUNK};lr>"));
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert_eq!(onward.values(HeaderName::Route).count(), 0);
}

#[test]
fn ux_g7_options_to_the_domain_of_the_lines_lists_what_lines_take() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut options = Message::request(Method::Options, "sip:lines.test");
    options.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKo");
    options.push(HeaderName::MaxForwards, "69");
    options.push(HeaderName::To, "<sip:lines.test>");
    options.push(HeaderName::From, "<sip:1001@lines.test>;tag=o");
    options.push(HeaderName::CallId, "options");
    options.push(HeaderName::CSeq, "1 OPTIONS");
    world.receive(browser, &options);
    let answer = world.expect_status(browser, 200);
    let allow = answer.header(HeaderName::Allow).unwrap();
    assert!(
        allow.contains("REGISTER") && allow.contains("MESSAGE"),
        "{allow}"
    );
    assert!(
        !allow.contains("SUBSCRIBE") && !allow.contains("PUBLISH"),
        "{allow}"
    );
}
