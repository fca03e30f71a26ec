//! O14, O15: what a registrar says about the way of later requests (RFC 3608), and headers of IMS
//! that pass (RFC 7315).

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::World;

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, answer_to, browser_invite, in_dialog, log_in, trunk,
};
use crate::trouble::cancel_of;

const SERVICE_ROUTE: &str = "<sip:orig@scscf.carrier.test;lr>, <sip:second.carrier.test;lr>";
const ROUTES: [&str; 2] = [
    "<sip:orig@scscf.carrier.test;lr>",
    "<sip:second.carrier.test;lr>",
];

/// Registers a browser; the registrar names a way. What the browser is answered.
fn register(world: &mut World) -> (Peer, Message) {
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "reg-1");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    granted.set_to_tag("registrar");
    granted.copy_from(&onward, HeaderName::Contact);
    granted.push(HeaderName::ServiceRoute, SERVICE_ROUTE);
    granted.push(
        HeaderName::PAssociatedUri,
        "<sip:alice@carrier.test>, <sip:boss@carrier.test>",
    );
    world.receive(trunk(), &granted);
    let answer = world.expect_status(browser, 200);
    (browser, answer)
}

fn routes(message: &Message) -> Vec<&str> {
    message.values(HeaderName::Route).collect()
}

fn dial(world: &mut World, browser: Peer) -> (Message, Message) {
    let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    (invite, world.expect_request(trunk(), &Method::Invite))
}

#[test]
fn o14_the_browser_learns_service_route_and_its_identities() {
    let (_, answer) = register(&mut World::new());
    let told: Vec<&str> = answer.values(HeaderName::ServiceRoute).collect();
    assert_eq!(told, ROUTES);
    let told: Vec<&str> = answer.values(HeaderName::PAssociatedUri).collect();
    assert_eq!(
        told,
        ["<sip:alice@carrier.test>", "<sip:boss@carrier.test>"]
    );
}

#[test]
fn o14_a_call_takes_the_way_that_the_registrar_named() {
    let mut world = World::new();
    let (browser, _) = register(&mut world);
    let (_, onward) = dial(&mut world, browser);
    assert_eq!(routes(&onward), ROUTES);
    // So does its ACK to a refusal (RFC 3261 section 17.1.1.3).
    world.receive(trunk(), &answer_to(&onward, 486, "t", None));
    let ack = world.expect_request(trunk(), &Method::Ack);
    assert_eq!(routes(&ack), ROUTES);
}

#[test]
fn o14_a_cancel_takes_the_way_of_its_call() {
    let mut world = World::new();
    let (browser, _) = register(&mut world);
    let (invite, onward) = dial(&mut world, browser);
    world.receive(trunk(), &answer_to(&onward, 180, "t", None));
    world.expect_status(browser, 180);
    world.receive(browser, &cancel_of(&invite));
    let cancel = world.expect_request(trunk(), &Method::Cancel);
    assert_eq!(routes(&cancel), ROUTES);
}

#[test]
fn o14_within_the_dialog_its_own_record_route_holds() {
    for record_route in [None, Some("<sip:proxy.carrier.test;lr>")] {
        let mut world = World::new();
        let (browser, _) = register(&mut world);
        let (invite, onward) = dial(&mut world, browser);
        let mut accepted = answer_to(&onward, 200, "t", Some(CARRIER_ANSWER));
        if let Some(value) = record_route {
            accepted.push(HeaderName::RecordRoute, value);
        }
        world.receive(trunk(), &accepted);
        let ack = world.expect_request(trunk(), &Method::Ack);
        assert_eq!(routes(&ack), Vec::from_iter(record_route));
        let accepted = world.expect_status(browser, 200);
        world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
        world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
        let bye = world.expect_request(trunk(), &Method::Bye);
        assert_eq!(routes(&bye), Vec::from_iter(record_route));
    }
}

#[test]
fn o14_a_call_that_is_made_again_with_another_interval_takes_the_same_way() {
    let mut world = World::new();
    let (browser, _) = register(&mut world);
    let (_, onward) = dial(&mut world, browser);
    let mut too_brief = answer_to(&onward, 422, "t", None);
    too_brief.push(HeaderName::MinSe, "3600");
    world.receive(trunk(), &too_brief);
    world.expect_request(trunk(), &Method::Ack);
    let again = world.expect_request(trunk(), &Method::Invite);
    assert_eq!(routes(&again), ROUTES);
}

#[test]
fn o15_a_caller_is_asserted_as_who_it_prefers_to_be_if_that_is_its_own() {
    for (preferred, asserted) in [("boss", "boss"), ("ceo", "alice")] {
        let mut world = World::new();
        let (browser, _) = register(&mut world);
        let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        let value = format!("<sip:{preferred}@carrier.test>");
        invite.push(HeaderName::PPreferredIdentity, value);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let identity = format!("<sip:{asserted}@carrier.test>");
        let value = onward.header(HeaderName::PAssertedIdentity);
        assert_eq!(value, Some(identity.as_str()));
    }
}

#[test]
fn o14_the_access_network_of_a_browser_is_told_to_the_carrier() {
    let mut world = World::new();
    let (browser, _) = register(&mut world);
    let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
    invite.push(
        HeaderName::PAccessNetworkInfo,
        "IEEE-802.11;i-wlan-node-id=00",
    );
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let told = onward.header(HeaderName::PAccessNetworkInfo);
    assert_eq!(told, Some("IEEE-802.11;i-wlan-node-id=00"));
}

#[test]
fn c9_a_call_may_preload_us_and_the_way_that_the_registrar_named_and_nothing_else() {
    // As JsSIP (`use_preloaded_route`) and SIP.js (`preloadedRouteSet`) name their server.
    let outbound_proxy = "<sip:edge.example:8443;transport=ws;lr>";
    for (given, status) in [
        (vec![], 100),
        (vec![outbound_proxy], 100),
        (vec![SERVICE_ROUTE], 100),
        (vec![outbound_proxy, SERVICE_ROUTE], 100),
        (vec!["<sip:elsewhere.test;lr>"], 403),
        (vec![outbound_proxy, "<sip:elsewhere.test;lr>"], 403),
        (vec![ROUTES[1]], 403),
        (vec!["nonsense"], 400),
    ] {
        let mut world = World::new();
        let (browser, _) = register(&mut world);
        let mut invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        for route in &given {
            invite.push(HeaderName::Route, *route);
        }
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        if status == 100 {
            let onward = world.expect_request(trunk(), &Method::Invite);
            assert_eq!(routes(&onward), ROUTES, "{given:?}");
        } else {
            world.expect_status(browser, status);
            world.expect_silence(trunk());
        }
    }
}

#[test]
fn c9_a_line_may_preload_us_only() {
    let mut world = World::new();
    let line = log_in(&mut world, "1001", "secret-one");
    log_in(&mut world, "1002", "secret-two");
    let mut invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    invite.push(HeaderName::Route, "<sip:elsewhere.test;lr>");
    world.receive(line, &invite);
    world.expect_status(line, 100);
    world.expect_status(line, 403);
    assert_eq!(world.engine.usage().calls, 0);
}
