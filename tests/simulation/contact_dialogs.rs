//! Dialogs that a carrier begins with a SUBSCRIBE or REFER to our Contact or to a line: later
//! requests go by the token in Route (RFC 3261 sections 16.4 and 16.12).

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{World, text};

use crate::flows::{from_carrier, path_world, uri_of};
use crate::peers::{log_in, register_at_carrier, trunk};

/// Registers alice; gives our Contact at the carrier.
fn registered(world: &mut World) -> (Peer, String) {
    let browser = world.browser();
    let request = World::register_message("alice", "carrier.test", "contact");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    let contact = onward.header(HeaderName::Contact).unwrap();
    granted.push(HeaderName::Contact, contact);
    world.receive(trunk(), &granted);
    world.expect_status(browser, 200);
    (browser, uri_of(contact).to_owned())
}

/// A request of the carrier that begins a dialog, with this address in Request-URI and To.
fn opening(method: &Method, uri: &str, to: &str) -> Message {
    let mut request = from_carrier(method.clone(), uri, None, 1);
    request.set(HeaderName::To, format!("<{to}>"));
    request.push(HeaderName::Contact, "<sip:watcher@198.51.100.20:5060>");
    if *method == Method::Refer {
        request.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    } else {
        request.push(HeaderName::Event, "presence");
    }
    request
}

/// The browser's request in the dialog that it has answered.
fn from_callee(seen: &Message, answer: &Message, method: &Method, n: u32) -> Message {
    let target = uri_of(seen.header(HeaderName::Contact).unwrap()).to_owned();
    let mut request = Message::request(method.clone(), &target);
    let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKd{n}");
    request.push(HeaderName::Via, via);
    for route in seen.values(HeaderName::RecordRoute) {
        request.push(HeaderName::Route, route);
    }
    request.push(HeaderName::MaxForwards, "69");
    request.push(HeaderName::From, answer.header(HeaderName::To).unwrap());
    request.push(HeaderName::To, seen.header(HeaderName::From).unwrap());
    request.push(HeaderName::CallId, seen.call_id());
    request.push(HeaderName::CSeq, format!("{n} {method}"));
    request.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    request.push(HeaderName::Event, "presence");
    request.push(HeaderName::SubscriptionState, "active;expires=60");
    request
}

/// The carrier begins a dialog, the browser answers and notifies, the carrier goes on.
fn dialog(world: &mut World, browser: Peer, first: &Message) {
    world.receive(trunk(), first);
    let seen = world.expect_request(browser, &first.method());
    let contact = seen.header(HeaderName::Contact);
    assert_eq!(
        contact,
        Some("<sip:watcher@198.51.100.20:5060>"),
        "{}",
        text(&seen)
    );
    let mut answer = Message::response_to(&seen, 202, None);
    answer.set_to_tag("alice1");
    answer.copy_from(&seen, HeaderName::RecordRoute);
    answer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    world.receive(browser, &answer);
    let accepted = world.expect_status(trunk(), 202);
    let target = uri_of(accepted.header(HeaderName::Contact).unwrap()).to_owned();

    for n in 1..3 {
        let notify = from_callee(&seen, &answer, &Method::Notify, n);
        world.receive(browser, &notify);
        let told = world.expect_request(trunk(), &Method::Notify);
        assert_eq!(told.request_uri(), Some("sip:watcher@198.51.100.20:5060"));
        assert_eq!(told.to_tag(), Some("bob1"));
        assert_eq!(told.from_tag(), Some("alice1"));
        assert_eq!(told.values(HeaderName::Route).count(), 0);
        world.receive(trunk(), &Message::response_to(&told, 200, None));
        world.expect_status(browser, 200);
    }

    let mut again = from_carrier(first.method(), &target, None, 2);
    again.set(HeaderName::To, accepted.header(HeaderName::To).unwrap());
    for route in accepted.values(HeaderName::RecordRoute) {
        again.push(HeaderName::Route, route);
    }
    again.set(HeaderName::CallId, first.call_id());
    again.set(HeaderName::CSeq, format!("2 {}", first.method()));
    again.push(HeaderName::Contact, "<sip:watcher@198.51.100.20:5060>");
    world.receive(trunk(), &again);
    let seen = world.expect_request(browser, &first.method());
    assert_eq!(
        seen.request_uri(),
        Some("sip:alicex@x1.invalid;transport=ws")
    );
    world.receive(browser, &Message::response_to(&seen, 200, None));
    world.expect_status(trunk(), 200);
}

#[test]
fn suite_s3_a_dialog_begun_at_our_contact_goes_by_its_route() {
    for method in [Method::Subscribe, Method::Refer, Method::from("FOO")] {
        for to_contact in [true, false] {
            let mut world = World::new();
            let (browser, contact) = registered(&mut world);
            let to = if to_contact {
                &contact
            } else {
                "sip:alice@carrier.test"
            };
            dialog(&mut world, browser, &opening(&method, &contact, to));
        }
    }
}

#[test]
fn suite_s3_a_to_of_any_other_domain_does_not_matter() {
    let mut world = World::new();
    let (browser, contact) = registered(&mut world);
    let first = opening(&Method::Subscribe, &contact, "sip:+4930@198.51.100.1:5060");
    dialog(&mut world, browser, &first);
}

#[test]
fn suite_s3_a_token_opens_nothing_to_another_connection() {
    let mut world = World::new();
    let (browser, contact) = registered(&mut world);
    let first = opening(&Method::Subscribe, &contact, &contact);
    world.receive(trunk(), &first);
    let seen = world.expect_request(browser, &Method::Subscribe);
    let mut answer = Message::response_to(&seen, 202, None);
    answer.set_to_tag("alice1");
    let stranger = world.browser();
    let notify = from_callee(&seen, &answer, &Method::Notify, 1);
    world.receive(stranger, &notify);
    world.expect_status(stranger, 481);
    let mut bare = notify.clone();
    bare.remove(HeaderName::Route);
    bare.set(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKbare");
    world.receive(browser, &bare);
    world.expect_status(browser, 481);
}

#[test]
fn suite_s3_in_path_mode_too() {
    let mut world = path_world();
    let browser = register_at_carrier(&mut world, "alice");
    // The carrier knows the browser's own Contact, and our Path.
    let mut refresh = World::register_message("alice", "carrier.test", "creg-alice");
    refresh.set(
        HeaderName::Via,
        "SIP/2.0/WSS x1.invalid;branch=z9hG4bKagain",
    );
    refresh.set(HeaderName::CSeq, "2 REGISTER");
    world.receive(browser, &refresh);
    let onward = world.expect_request(trunk(), &Method::Register);
    let path = onward.header(HeaderName::Path).unwrap().to_owned();
    let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();
    let mut first = opening(&Method::Subscribe, &contact, "sip:x@198.51.100.1:5060");
    first.push(HeaderName::Route, path);
    world.receive(trunk(), &first);
    let seen = world.expect_request(browser, &Method::Subscribe);
    let mut answer = Message::response_to(&seen, 202, None);
    answer.set_to_tag("alice1");
    let notify = from_callee(&seen, &answer, &Method::Notify, 1);
    world.receive(browser, &notify);
    world.expect_request(trunk(), &Method::Notify);
}

#[test]
fn suite_s15_a_dialog_with_a_line_can_follow() {
    for method in [Method::Subscribe, Method::Refer] {
        let mut world = World::new();
        // Its Contact is alicex@x1.invalid.
        let browser = world.browser();
        let mut request = World::register_message("1001", "lines.test", "line");
        let contact = request.header(HeaderName::Contact).unwrap();
        let contact = contact.replace("1001x@", "alicex@");
        request.set(HeaderName::Contact, contact);
        world.receive(browser, &request);
        let challenge = world.expect_status(browser, 401);
        let retry = crate::peers::with_credentials(&request, &challenge, "1001", "secret-one");
        world.receive(browser, &retry);
        world.expect_status(browser, 200);
        let uri = "sip:1001@198.51.100.1:5060";
        dialog(&mut world, browser, &opening(&method, uri, uri));
        // Its browser is gone: so is the dialog.
        world.disconnect(browser);
        world.sent.clear();
        let mut first = opening(&method, uri, uri);
        let via = "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKlate;rport";
        first.set(HeaderName::Via, via);
        world.receive(trunk(), &first);
        world.expect_status(trunk(), 480);
    }
}

#[test]
fn suite_s15_ux_g7_what_a_line_may_not_send_is_not_allowed() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let methods = [
        Method::Subscribe,
        Method::Refer,
        Method::Publish,
        Method::Notify,
    ];
    for (n, method) in methods.into_iter().enumerate() {
        let mut request = Message::request(method.clone(), "sip:1002@lines.test");
        let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKm{n}");
        request.push(HeaderName::Via, via);
        request.push(HeaderName::MaxForwards, "69");
        request.push(HeaderName::To, "<sip:1002@lines.test>");
        request.push(HeaderName::From, "<sip:1001@lines.test>;tag=a1");
        request.push(HeaderName::CallId, format!("m{n}"));
        request.push(HeaderName::CSeq, format!("1 {method}"));
        world.receive(browser, &request);
        // Nobody is at the line, or somebody: the method is not taken.
        if n == 0 {
            world.expect_status(browser, 480);
            log_in(&mut world, "1002", "secret-two");
            request.set(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKmm");
            world.receive(browser, &request);
        }
        let refused = world.expect_status(browser, 405);
        for method in ["SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY"] {
            assert!(
                !refused.lists_token(HeaderName::Allow, method),
                "{}",
                text(&refused)
            );
        }
        for method in ["INVITE", "MESSAGE", "OPTIONS"] {
            assert!(
                refused.lists_token(HeaderName::Allow, method),
                "{}",
                text(&refused)
            );
        }
    }
}

#[test]
fn ux_g7_a_carrier_s_register_is_not_in_the_allow_of_its_405() {
    let mut world = World::new();
    let request = from_carrier(Method::Register, "sip:198.51.100.1", None, 1);
    world.receive(trunk(), &request);
    let refused = world.expect_status(trunk(), 405);
    assert!(!refused.lists_token(HeaderName::Allow, "REGISTER"));
    assert!(refused.lists_token(HeaderName::Allow, "INVITE"));
}
