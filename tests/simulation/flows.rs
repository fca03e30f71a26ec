//! How a carrier's request finds the browser that it is for: Contact mode, Path mode, flows that
//! are gone, and what registrars say beside.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::peers::{CARRIER_OFFER, answer_to, carrier_invite, register_at_carrier, trunk};

/// A carrier whose registrar knows Path.
pub(crate) fn path_world() -> World {
    World::with_config(&CONFIG.replace(
        "trunk = \"carrier\"\n",
        "trunk = \"carrier\"\nregistration = \"path\"\n",
    ))
}

/// With further keys in its realm.
fn world_with(keys: &str) -> World {
    World::with_config(&CONFIG.replace(
        "trunk = \"carrier\"\n",
        &format!("trunk = \"carrier\"\n{keys}\n"),
    ))
}

pub(crate) fn uri_of(contact: &str) -> &str {
    contact.split(['<', '>']).nth(1).expect("brackets")
}

/// The registrar takes a REGISTER as it is.
pub(crate) fn granted(register: &Message) -> Message {
    let mut granted = Message::response_to(register, 200, None);
    granted.set_to_tag("registrar");
    for contact in register.values(HeaderName::Contact) {
        granted.push(HeaderName::Contact, contact);
    }
    granted
}

/// Registers a browser with what it says beside, and gives what the carrier saw.
fn register_with(world: &mut World, request: &Message) -> (Peer, Message) {
    let browser = world.browser();
    let onward = register_on(world, browser, request);
    (browser, onward)
}

fn register_on(world: &mut World, browser: Peer, request: &Message) -> Message {
    world.receive(browser, request);
    let onward = world.expect_request(trunk(), &Method::Register);
    world.receive(trunk(), &granted(&onward));
    world.expect_status(browser, 200);
    onward
}

fn alice(call_id: &str) -> Message {
    World::register_message("alice", "carrier.test", call_id)
}

/// A carrier's request with this Request-URI and Route.
pub(crate) fn from_carrier(method: Method, uri: &str, route: Option<&str>, n: u32) -> Message {
    let mut request = Message::request(method.clone(), uri);
    let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKf{n};rport");
    request.push(HeaderName::Via, via);
    if let Some(route) = route {
        request.push(HeaderName::Route, route);
    }
    request.push(HeaderName::MaxForwards, "68");
    request.push(HeaderName::From, "<sip:bob@carrier.test>;tag=bob1");
    request.push(HeaderName::To, "<sip:alice@carrier.test>");
    request.push(HeaderName::CallId, format!("f{n}"));
    request.push(HeaderName::CSeq, format!("1 {method}"));
    request
}

#[test]
fn o2_the_path_is_ours_alone_and_names_outbound_where_it_is_meant() {
    let mut world = path_world();
    let mut request = alice("r1");
    request.push(HeaderName::Path, "<sip:forged@evil.test;lr>");
    let (_, onward) = register_with(&mut world, &request);
    let paths: Vec<&str> = onward.values(HeaderName::Path).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert!(paths[0].ends_with("@198.51.100.1:5060;lr;ob>"), "{paths:?}");
    assert_eq!(
        onward.header(HeaderName::Supported),
        Some("path,gruu,outbound")
    );

    // Without instance and flow number it is no outbound registration.
    let mut plain = alice("r2");
    plain.set(
        HeaderName::Contact,
        "<sip:a@x1.invalid;transport=ws>;expires=600",
    );
    let (_, onward) = register_with(&mut world, &plain);
    let path = onward.header(HeaderName::Path).unwrap();
    assert!(path.ends_with(";lr>"), "{path}");
}

#[test]
fn o2_a_browser_that_does_not_know_path_is_treated_as_the_realm_says() {
    let mut request = alice("r1");
    request.set(HeaderName::Supported, "gruu");
    let mut world = path_world();
    let (_, onward) = register_with(&mut world, &request);
    assert!(onward.header(HeaderName::Path).is_none());
    assert!(
        onward
            .header(HeaderName::Contact)
            .unwrap()
            .contains("alice~")
    );

    let mut world = world_with("registration = \"path\"\nwithout_path = \"add\"");
    let (_, onward) = register_with(&mut world, &request);
    assert!(onward.header(HeaderName::Path).is_some());

    let mut world = world_with("registration = \"path\"\nwithout_path = \"refuse\"");
    let browser = world.browser();
    world.receive(browser, &request);
    let refusal = world.expect_status(browser, 421);
    assert_eq!(refusal.header(HeaderName::Require), Some("path"));
    world.expect_silence(trunk());
}

#[test]
fn o3_a_request_with_our_path_reaches_that_connection_without_it() {
    let mut world = path_world();
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let path = onward.header(HeaderName::Path).unwrap();
    let uri = "sip:alicex@x1.invalid;transport=ws";
    let message = from_carrier(Method::Message, uri, Some(path), 1);
    world.receive(trunk(), &message);
    let seen = world.expect_request(browser, &Method::Message);
    assert!(seen.header(HeaderName::Route).is_none(), "{}", text(&seen));
    assert_eq!(seen.request_uri(), Some(uri));
    world.receive(browser, &answer_to(&seen, 200, "a", None));
    world.expect_status(trunk(), 200);
}

#[test]
fn o3_a_call_with_our_path_reaches_that_connection() {
    let mut world = path_world();
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let mut invite = carrier_invite("sip:alicex@x1.invalid;transport=ws", CARRIER_OFFER);
    invite.push(HeaderName::Route, onward.header(HeaderName::Path).unwrap());
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let seen = world.expect_request(browser, &Method::Invite);
    assert_eq!(
        seen.request_uri(),
        Some("sip:alicex@x1.invalid;transport=ws")
    );
    assert!(
        seen.header(HeaderName::To)
            .unwrap()
            .contains("alice@carrier.test")
    );
}

#[test]
fn o3_a_forged_token_reaches_nobody() {
    let mut world = path_world();
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let path = onward.header(HeaderName::Path).unwrap().to_owned();
    let uri = "sip:alicex@x1.invalid;transport=ws";
    let token = uri_of(&path).split([':', '@']).nth(1).unwrap().to_owned();
    let last = if token.ends_with('A') { "B" } else { "A" };
    let forged = path.replace(&token, &format!("{}{last}", &token[..token.len() - 1]));
    assert_ne!(forged, path);
    world.receive(
        trunk(),
        &from_carrier(Method::Message, uri, Some(&forged), 1),
    );
    world.expect_status(trunk(), 404);
    world.expect_silence(browser);
}

#[test]
fn o4_a_dead_flow_is_a_430_with_path_and_a_480_without_at_once() {
    let mut world = path_world();
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let path = onward.header(HeaderName::Path).unwrap().to_owned();
    world.disconnect(browser);
    let uri = "sip:alicex@x1.invalid;transport=ws";
    world.receive(trunk(), &from_carrier(Method::Message, uri, Some(&path), 1));
    world.expect_status(trunk(), 430);
    let mut invite = carrier_invite(uri, CARRIER_OFFER);
    invite.push(HeaderName::Route, path);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 430);

    let mut world = World::new();
    let browser = world.browser();
    let onward = register_on(&mut world, browser, &alice("r1"));
    let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
    world.disconnect(browser);
    world.receive(trunk(), &from_carrier(Method::Message, &contact, None, 1));
    world.expect_status(trunk(), 480);
}

#[test]
fn o4_a_flow_that_dies_under_a_request_ends_it_at_once() {
    for (mut world, status) in [(path_world(), 430), (World::new(), 480)] {
        let (browser, onward) = register_with(&mut world, &alice("r1"));
        let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
        let route = onward.header(HeaderName::Path).map(str::to_owned);
        let message = from_carrier(Method::Message, &contact, route.as_deref(), 1);
        world.receive(trunk(), &message);
        world.expect_request(browser, &Method::Message);
        world.disconnect(browser);
        world.expect_status(trunk(), status);
        assert_eq!(world.engine.usage().relayed, 0);
    }
}

#[test]
fn o4_a_silent_browser_is_never_a_late_408() {
    let mut world = World::new();
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
    world.receive(trunk(), &from_carrier(Method::Message, &contact, None, 1));
    world.expect_request(browser, &Method::Message);
    world.advance(Duration::from_secs(60));
    world.expect_silence(trunk());
    let usage = world.engine.usage();
    assert_eq!((usage.relayed, usage.transactions), (0, 0));
}

#[test]
fn o4_a_registration_of_before_a_restart_is_a_480_and_not_a_stranger() {
    let secret = "listen = \"198.51.100.1:5060\"\nflow_secret = \"sixteen characters or more\"";
    let config = CONFIG.replace("listen = \"198.51.100.1:5060\"", secret);
    let mut world = World::with_config(&config);
    let (_, onward) = register_with(&mut world, &alice("r1"));
    let contact = onward.header(HeaderName::Contact).unwrap().to_owned();
    let mut world = World::with_config(&config);
    let uri = uri_of(&contact);
    world.receive(trunk(), &from_carrier(Method::Message, uri, None, 1));
    world.expect_status(trunk(), 480);
    // And the browser that comes back renews the same binding.
    let (browser, again) = register_with(&mut world, &alice("r2"));
    assert_eq!(again.header(HeaderName::Contact), Some(contact.as_str()));
    world.receive(trunk(), &from_carrier(Method::Message, uri, None, 2));
    world.expect_request(browser, &Method::Message);
}

#[test]
fn o5_a_flow_timer_is_shown_only_where_outbound_was_agreed() {
    for (mut world, require, shown) in [
        (path_world(), true, true),
        (path_world(), false, false),
        (World::new(), true, false),
    ] {
        let browser = world.browser();
        world.receive(browser, &alice("r1"));
        let onward = world.expect_request(trunk(), &Method::Register);
        let mut answer = granted(&onward);
        answer.push(HeaderName::FlowTimer, "120");
        if require {
            answer.push(HeaderName::Require, "outbound");
        }
        world.receive(trunk(), &answer);
        let seen = world.expect_status(browser, 200);
        assert_eq!(seen.header(HeaderName::FlowTimer).is_some(), shown);
    }
}

#[test]
fn o6_two_flows_of_one_instance_are_kept_apart() {
    for mut world in [path_world(), World::new()] {
        let mut second = alice("r2");
        let contact = second.header(HeaderName::Contact).unwrap();
        let contact = contact
            .replace("reg-id=1", "reg-id=2")
            .replace("x1.", "x2.");
        second.set(HeaderName::Contact, contact);
        let (first_browser, first) = register_with(&mut world, &alice("r1"));
        let (second_browser, second) = register_with(&mut world, &second);
        for (n, (browser, register)) in [(first_browser, first), (second_browser, second)]
            .into_iter()
            .enumerate()
        {
            let contact = uri_of(register.header(HeaderName::Contact).unwrap()).to_owned();
            let route = register.header(HeaderName::Path).map(str::to_owned);
            let n = u32::try_from(n).unwrap();
            let message = from_carrier(Method::Message, &contact, route.as_deref(), n);
            world.receive(trunk(), &message);
            let seen = world.expect_request(browser, &Method::Message);
            let host = format!("alicex@x{}.invalid", n + 1);
            assert!(seen.request_uri().unwrap().contains(&host));
        }
    }
}

#[test]
fn o8_in_path_mode_the_contact_passes_byte_for_byte_both_ways() {
    let mut world = path_world();
    let browser = world.browser();
    let request = alice("r1");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    assert_eq!(
        onward.header(HeaderName::Contact),
        request.header(HeaderName::Contact)
    );
    let mut answer = granted(&onward);
    let other = "<sip:desk@198.51.100.77>;expires=60;q=0.5";
    answer.push(HeaderName::Contact, other);
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 200);
    let contacts: Vec<&str> = seen.values(HeaderName::Contact).collect();
    assert_eq!(
        contacts,
        [request.header(HeaderName::Contact).unwrap(), other]
    );
}

#[test]
fn o9_a_reconnect_keeps_the_contact_and_every_contact_of_ours_is_restored() {
    let mut world = World::new();
    let (first, onward) = register_with(&mut world, &alice("r1"));
    let ours = onward.header(HeaderName::Contact).unwrap().to_owned();
    world.disconnect(first);
    // Another tab of the same user: the answer lists both, as browsers know them.
    let mut other = alice("r2");
    let contact = other.header(HeaderName::Contact).unwrap();
    let contact = contact.replace("8000-", "8001-").replace("x1.", "x9.");
    other.set(HeaderName::Contact, contact);
    let browser = world.browser();
    world.receive(browser, &other);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut answer = granted(&onward);
    assert_ne!(onward.header(HeaderName::Contact), Some(ours.as_str()));
    answer.push(HeaderName::Contact, ours.as_str());
    world.receive(trunk(), &answer);
    let seen = text(&world.expect_status(browser, 200));
    assert!(
        seen.contains("x9.invalid") && seen.contains("x1.invalid"),
        "{seen}"
    );
    assert!(!seen.contains("198.51.100.1"), "{seen}");

    let (_, again) = register_with(&mut world, &alice("r3"));
    assert_eq!(again.header(HeaderName::Contact), Some(ours.as_str()));
}

#[test]
fn o10_refreshes_are_answered_here_while_half_of_the_time_is_left() {
    let mut world = world_with("upstream_expires_s = 3600");
    let browser = world.browser();
    let onward = register_on(&mut world, browser, &alice("r1"));
    let contact = onward.header(HeaderName::Contact).unwrap();
    assert!(contact.contains(";expires=3600"), "{contact}");
    let refresh = |n: u32| {
        let mut request = alice(&format!("refresh{n}"));
        request.set(HeaderName::CSeq, format!("{} REGISTER", n + 1));
        request
    };
    for n in 1..6 {
        world.advance(Duration::from_secs(300));
        world.receive(browser, &refresh(n));
        let answer = world.expect_status(browser, 200);
        let contact = answer.header(HeaderName::Contact).unwrap();
        assert!(contact.contains("x1.invalid") && contact.contains("expires=600"));
        world.expect_silence(trunk());
    }
    world.advance(Duration::from_secs(300));
    world.receive(browser, &refresh(6));
    world.expect_request(trunk(), &Method::Register);
}

#[test]
fn o10_what_has_changed_goes_to_the_carrier() {
    let throttled = || {
        let mut world = world_with("upstream_expires_s = 3600");
        let browser = world.browser();
        register_on(&mut world, browser, &alice("r1"));
        (world, browser)
    };
    // Another connection.
    let (mut world, _) = throttled();
    let other = world.browser();
    world.receive(other, &alice("r2"));
    world.expect_request(trunk(), &Method::Register);
    // Another Contact, or an end.
    for (from, to) in [("alicex@", "alicey@"), ("expires=600", "expires=0")] {
        let (mut world, browser) = throttled();
        let mut request = alice("r2");
        let contact = request
            .header(HeaderName::Contact)
            .unwrap()
            .replace(from, to);
        request.set(HeaderName::Contact, contact);
        world.receive(browser, &request);
        world.expect_request(trunk(), &Method::Register);
    }
    // A realm that does not ask for it.
    let mut world = World::new();
    let browser = world.browser();
    register_on(&mut world, browser, &alice("r1"));
    world.receive(browser, &alice("r2"));
    world.expect_request(trunk(), &Method::Register);
}

#[test]
fn o11_unregistering_passes_and_the_binding_is_gone() {
    for value in ["*", "<sip:alicex@x1.invalid;transport=ws>;expires=0"] {
        let mut world = World::new();
        let (browser, onward) = register_with(&mut world, &alice("r1"));
        let ours = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
        let mut farewell = alice("r2");
        let instance = farewell.header(HeaderName::Contact).unwrap();
        let instance = instance.split("+sip.instance=").nth(1).unwrap();
        let instance = instance.split(';').next().unwrap();
        let contact = match value {
            "*" => value.to_owned(),
            _ => format!("{value};reg-id=1;+sip.instance={instance}"),
        };
        farewell.set(HeaderName::Contact, contact);
        farewell.set(HeaderName::Expires, "0");
        world.receive(browser, &farewell);
        let onward = world.expect_request(trunk(), &Method::Register);
        let contact = onward.header(HeaderName::Contact).unwrap();
        assert!(value != "*" || contact == "*");
        let mut answer = Message::response_to(&onward, 200, None);
        answer.set_to_tag("registrar");
        world.receive(trunk(), &answer);
        world.expect_status(browser, 200);
        world.receive(trunk(), &from_carrier(Method::Message, &ours, None, 1));
        world.expect_status(trunk(), 480);
    }
}

#[test]
fn o11_a_browser_that_stays_away_is_unregistered_after_a_grace_time() {
    let mut world = world_with("unregister_after_s = 30");
    let (browser, onward) = register_with(&mut world, &alice("r1"));
    let ours = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
    world.disconnect(browser);
    world.advance(Duration::from_secs(29));
    world.expect_silence(trunk());
    world.advance(Duration::from_secs(2));
    let farewell = world.expect_request(trunk(), &Method::Register);
    let contact = farewell.header(HeaderName::Contact).unwrap();
    assert_eq!(contact, format!("<{ours}>;expires=0"));
    assert_eq!(farewell.call_id(), onward.call_id());
    assert!(farewell.cseq().unwrap().number > onward.cseq().unwrap().number);
    world.receive(trunk(), &answer_to(&farewell, 200, "r", None));
    assert_eq!(world.engine.usage().relayed, 0);
}

#[test]
fn o11_a_browser_that_comes_back_in_time_stays_registered() {
    let mut world = world_with("unregister_after_s = 30");
    let (browser, _) = register_with(&mut world, &alice("r1"));
    world.disconnect(browser);
    world.advance(Duration::from_secs(20));
    let (_, _) = register_with(&mut world, &alice("r2"));
    world.advance(Duration::from_secs(60));
    world.expect_silence(trunk());
}

#[test]
fn o12_a_gateway_that_stops_sends_registrations_elsewhere() {
    let mut world = World::new();
    let browser = world.browser();
    world.input(control::engine::input::Input::Stop);
    world.receive(browser, &alice("r1"));
    let answer = world.expect_status(browser, 503);
    assert!(answer.header(HeaderName::RetryAfter).is_some());
}

#[test]
fn o12_the_registrar_s_retry_after_reaches_the_browser() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(browser, &alice("r1"));
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut answer = Message::response_to(&onward, 503, None);
    answer.push(HeaderName::RetryAfter, "120");
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 503);
    let values: Vec<&str> = seen.headers(HeaderName::RetryAfter).collect();
    assert_eq!(values, ["120"]);
}

#[test]
fn o13_gruus_pass_both_ways_in_path_mode() {
    let mut world = path_world();
    let browser = world.browser();
    world.receive(browser, &alice("r1"));
    let onward = world.expect_request(trunk(), &Method::Register);
    assert!(onward.lists_token(HeaderName::Supported, "gruu"));
    let gruu = ";pub-gruu=\"sip:alice@carrier.test;gr=urn:uuid:1\";temp-gruu=\"sip:tgruu.x@carrier.test;gr\"";
    let mut answer = Message::response_to(&onward, 200, None);
    let contact = format!("{}{gruu}", onward.header(HeaderName::Contact).unwrap());
    answer.push(HeaderName::Contact, contact.as_str());
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 200);
    assert_eq!(seen.header(HeaderName::Contact), Some(contact.as_str()));
    // The registrar has resolved it; the browser sees which of its URIs was meant.
    let path = onward.header(HeaderName::Path).unwrap();
    let uri = "sip:alicex@x1.invalid;transport=ws;gr=urn:uuid:1";
    world.receive(trunk(), &from_carrier(Method::Message, uri, Some(path), 1));
    let message = world.expect_request(browser, &Method::Message);
    assert_eq!(message.request_uri(), Some(uri));
}

#[test]
fn o14_the_service_route_leads_new_requests_and_reaches_the_browser() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(browser, &alice("r1"));
    let onward = world.expect_request(trunk(), &Method::Register);
    let route = "<sip:orig@scscf.carrier.test;lr>";
    let mut answer = granted(&onward);
    answer.push(HeaderName::ServiceRoute, route);
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 200);
    assert_eq!(seen.header(HeaderName::ServiceRoute), Some(route));
    let message = crate::proxy::from_browser(Method::Message, "sip:bob@carrier.test", 1);
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert_eq!(onward.header(HeaderName::Route), Some(route));
    // A browser that preloads it itself says nothing new.
    let mut message = crate::proxy::from_browser(Method::Message, "sip:bob@carrier.test", 2);
    message.push(HeaderName::Route, route);
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert_eq!(onward.headers(HeaderName::Route).count(), 1);
}

#[test]
fn o15_a_browser_may_use_every_identity_that_its_registrar_named() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(browser, &alice("r1"));
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut answer = granted(&onward);
    let uris = "<sip:alice@carrier.test>, <sip:+15551234@carrier.test>";
    answer.push(HeaderName::PAssociatedUri, uris);
    world.receive(trunk(), &answer);
    world.expect_status(browser, 200);
    for (n, (user, known)) in [("alice", true), ("+15551234", true), ("boss", false)]
        .into_iter()
        .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let mut message = crate::proxy::from_browser(Method::Message, "sip:bob@carrier.test", n);
        message.set(HeaderName::From, format!("<sip:{user}@carrier.test>;tag=m"));
        world.receive(browser, &message);
        if known {
            world.expect_request(trunk(), &Method::Message);
        } else {
            world.expect_status(browser, 403);
        }
    }
}

#[test]
fn d10_a_sha_256_challenge_in_front_does_not_hide_the_md5_one_from_a_browser() {
    let mut world = path_world();
    let browser = world.browser();
    world.receive(browser, &alice("r1"));
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut challenge = Message::response_to(&onward, 401, None);
    for algorithm in ["SHA-512-256", "SHA-256", "MD5"] {
        let value = format!(
            "Digest realm=\"carrier.test\", nonce=\"n\", algorithm={algorithm}, qop=\"auth-int,auth\""
        );
        challenge.push(HeaderName::WwwAuthenticate, value);
    }
    world.receive(trunk(), &challenge);
    let seen = world.expect_status(browser, 401);
    let values: Vec<&str> = seen.headers(HeaderName::WwwAuthenticate).collect();
    assert_eq!(values.len(), 1, "{values:?}");
    assert!(values[0].contains("algorithm=MD5") && values[0].contains("qop=\"auth\""));
}

#[test]
fn bindings_of_another_trunk_are_not_reached_by_a_token() {
    let second = "[[trunk]]\nname = \"second\"\ntarget = \"198.51.100.30\"\n[[realm]]";
    let config = CONFIG.replacen("[[realm]]", second, 1);
    for mode in ["path", "contact"] {
        let keys = format!("trunk = \"carrier\"\nregistration = \"{mode}\"\n");
        let mut world = World::with_config(&config.replace("trunk = \"carrier\"\n", &keys));
        let browser = register_at_carrier(&mut world, "alice");
        let other = Peer::Udp("198.51.100.30:5060".parse().unwrap());
        let (_, onward) = register_with(&mut world, &alice("r2"));
        let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
        let route = onward.header(HeaderName::Path).map(str::to_owned);
        let mut message = from_carrier(Method::Message, &contact, route.as_deref(), 1);
        let via = "SIP/2.0/UDP 198.51.100.30:5060;branch=z9hG4bKx;rport";
        message.set(HeaderName::Via, via);
        world.receive(other, &message);
        let refusal = world.expect(other);
        assert!(
            matches!(refusal.status(), Some(403 | 404)),
            "{}",
            text(&refusal)
        );
        world.expect_silence(browser);
    }
}
