//! What the edge proxy does with requests that are no calls: rules of RFC 3261 section 16, dialogs
//! of SUBSCRIBE, identities.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{World, text};

use crate::flows::{from_carrier, path_world, uri_of};
use crate::peers::{answer_to, log_in, register_at_carrier, trunk};

/// A request of alice's browser outside of a dialog.
pub(crate) fn from_browser(method: Method, uri: &str, n: u32) -> Message {
    let mut request = Message::request(method.clone(), uri);
    let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKp{n}");
    request.push(HeaderName::Via, via);
    request.push(HeaderName::MaxForwards, "69");
    request.push(HeaderName::To, format!("<{uri}>"));
    request.push(
        HeaderName::From,
        "\"Alice\"  <sip:alice@carrier.test>;tag=a1",
    );
    request.push(HeaderName::CallId, format!("p{n}"));
    request.push(HeaderName::CSeq, format!("1 {method}"));
    request
}

const BOB: &str = "sip:bob@carrier.test";

fn subscribe(n: u32) -> Message {
    let mut request = from_browser(Method::Subscribe, BOB, n);
    request.push(
        HeaderName::Contact,
        "<sip:alicex@x1.invalid;transport=ws;ob>",
    );
    request.push(HeaderName::Event, "presence");
    request.push(HeaderName::Expires, "600");
    request
}

/// The next request of the browser in the dialog that this response made.
fn next_in_dialog(first: &Message, accepted: &Message, method: Method, n: u32) -> Message {
    let target = uri_of(accepted.header(HeaderName::Contact).unwrap()).to_owned();
    let mut request = from_browser(method, &target, n);
    request.set(HeaderName::To, accepted.header(HeaderName::To).unwrap());
    request.set(HeaderName::CallId, first.call_id());
    let mut routes: Vec<&str> = accepted.values(HeaderName::RecordRoute).collect();
    routes.reverse();
    for route in routes {
        request.push(HeaderName::Route, route);
    }
    request
}

/// The notifier's NOTIFY: its Request-URI and Route are what it saw in the SUBSCRIBE.
fn notify_for(subscribe: &Message, n: u32) -> Message {
    let target = uri_of(subscribe.header(HeaderName::Contact).unwrap()).to_owned();
    let mut notify = from_carrier(Method::Notify, &target, None, n);
    for route in subscribe.values(HeaderName::RecordRoute) {
        notify.push(HeaderName::Route, route);
    }
    notify.set(HeaderName::CallId, subscribe.call_id());
    notify.set(HeaderName::To, subscribe.header(HeaderName::From).unwrap());
    notify.set(HeaderName::From, format!("<{BOB}>;tag=notifier"));
    notify.push(HeaderName::Contact, "<sip:presence@198.51.100.21>");
    notify.push(HeaderName::Event, "presence");
    notify.push(HeaderName::SubscriptionState, "active;expires=600");
    notify
}

/// Subscribes and gives the connection, both sides' SUBSCRIBE, and the answer as the browser saw it.
fn subscribed(world: &mut World) -> (Peer, Message, Message, Message) {
    let browser = register_at_carrier(world, "alice");
    let request = subscribe(1);
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Subscribe);
    let mut accepted = Message::response_to(&onward, 200, None);
    accepted.set_to_tag("notifier");
    accepted.push(HeaderName::RecordRoute, "<sip:198.51.100.20;lr>");
    accepted.copy_from(&onward, HeaderName::RecordRoute);
    accepted.push(HeaderName::Contact, "<sip:presence@198.51.100.21>");
    accepted.push(HeaderName::Expires, "600");
    world.receive(trunk(), &accepted);
    let seen = world.expect_status(browser, 200);
    (browser, request, onward, seen)
}

#[test]
fn c6_hops_are_counted_and_none_left_is_a_483() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    for (n, (given, left)) in [
        (Some("69"), Some("68")),
        (Some("1"), Some("0")),
        (None, Some("70")),
        (Some("0"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let mut message = from_browser(Method::Message, BOB, u32::try_from(n).unwrap());
        match given {
            Some(hops) => message.set(HeaderName::MaxForwards, hops),
            None => {
                message.remove(HeaderName::MaxForwards);
            }
        }
        world.receive(browser, &message);
        match left {
            Some(left) => {
                let onward = world.expect_request(trunk(), &Method::Message);
                assert_eq!(onward.header(HeaderName::MaxForwards), Some(left));
            }
            None => {
                world.expect_status(browser, 483);
            }
        }
    }
}

#[test]
fn c6_options_without_hops_left_are_answered_here() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut options = from_browser(Method::Options, BOB, 1);
    options.set(HeaderName::MaxForwards, "0");
    world.receive(browser, &options);
    world.expect_status(browser, 200);
    world.expect_silence(trunk());
}

#[test]
fn c7_a_request_that_comes_back_as_it_left_is_a_loop() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    world.receive(browser, &from_browser(Method::Message, BOB, 1));
    let onward = world.expect_request(trunk(), &Method::Message);
    let mut back = onward;
    let via = "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKloop;rport";
    back.push_front(HeaderName::Via, via);
    back.set(HeaderName::MaxForwards, "50");
    world.receive(trunk(), &back);
    world.expect_status(trunk(), 482);
    world.expect_silence(browser);
}

#[test]
fn c7_a_spiral_to_another_browser_is_no_loop() {
    let mut world = World::new();
    let alice = register_at_carrier(&mut world, "alice");
    let bob = world.browser();
    world.receive(bob, &World::register_message("bob", "carrier.test", "rb"));
    let register = world.expect_request(trunk(), &Method::Register);
    let contact = uri_of(register.header(HeaderName::Contact).unwrap()).to_owned();
    world.receive(trunk(), &crate::flows::granted(&register));
    world.expect_status(bob, 200);
    world.receive(alice, &from_browser(Method::Message, BOB, 1));
    let mut onward = world.expect_request(trunk(), &Method::Message);
    let via = "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKspiral;rport";
    onward.push_front(HeaderName::Via, via);
    onward.set_request_uri(&contact);
    world.receive(trunk(), &onward);
    world.expect_request(bob, &Method::Message);
}

#[test]
fn c7_a_request_to_us_by_name_is_not_sent_to_the_carrier() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let message = from_browser(Method::Message, "sip:bob@198.51.100.1:5060", 1);
    world.receive(browser, &message);
    world.expect_status(browser, 482);
    world.expect_silence(trunk());
}

#[test]
fn c8_in_path_mode_both_sides_get_a_record_route_of_their_own() {
    let mut world = path_world();
    let (browser, request, onward, accepted) = subscribed(&mut world);
    let ours: Vec<&str> = onward.values(HeaderName::RecordRoute).collect();
    assert_eq!(ours.len(), 2, "{ours:?}");
    assert!(ours[0].contains("@198.51.100.1:5060;lr"), "{ours:?}");
    assert!(!ours[0].contains("transport=ws") && ours[1].contains("transport=ws"));
    assert_eq!(
        onward.header(HeaderName::Contact),
        request.header(HeaderName::Contact)
    );
    let seen: Vec<&str> = accepted.values(HeaderName::RecordRoute).collect();
    assert_eq!(seen.len(), 3, "{seen:?}");

    world.receive(trunk(), &notify_for(&onward, 1));
    let notify = world.expect_request(browser, &Method::Notify);
    assert!(
        notify.header(HeaderName::Route).is_none(),
        "{}",
        text(&notify)
    );
    assert_eq!(
        notify.request_uri(),
        Some("sip:alicex@x1.invalid;transport=ws;ob")
    );
    let routes: Vec<&str> = notify.values(HeaderName::RecordRoute).collect();
    assert!(
        routes[0].contains("transport=ws") && routes.len() == 2,
        "{routes:?}"
    );
}

#[test]
fn c8_in_contact_mode_the_carrier_sees_our_contact_and_the_browser_our_record_route() {
    let mut world = World::new();
    let (browser, _, onward, accepted) = subscribed(&mut world);
    assert!(onward.header(HeaderName::RecordRoute).is_none());
    let contact = onward.header(HeaderName::Contact).unwrap();
    assert!(contact.starts_with("<sip:alice~"), "{contact}");
    assert!(!text(&onward).contains(".invalid"), "{}", text(&onward));
    let seen: Vec<&str> = accepted.values(HeaderName::RecordRoute).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[1].contains("transport=ws"), "{seen:?}");
    assert_eq!(
        accepted.header(HeaderName::Contact),
        Some("<sip:presence@198.51.100.21>")
    );

    world.receive(trunk(), &notify_for(&onward, 1));
    let notify = world.expect_request(browser, &Method::Notify);
    assert_eq!(
        notify.request_uri(),
        Some("sip:alicex@x1.invalid;transport=ws")
    );
    let answer = answer_to(&notify, 200, "ignored", None);
    world.receive(browser, &answer);
    let back = world.expect_status(trunk(), 200);
    assert!(
        back.header(HeaderName::RecordRoute).is_none(),
        "{}",
        text(&back)
    );
    assert!(back.header(HeaderName::Contact).unwrap().contains("alice~"));
}

#[test]
fn c9_requests_in_a_dialog_follow_their_route_without_our_part_of_it() {
    for mut world in [World::new(), path_world()] {
        let (browser, request, _, accepted) = subscribed(&mut world);
        let mut refresh = next_in_dialog(&request, &accepted, Method::Subscribe, 2);
        refresh.push(
            HeaderName::Contact,
            "<sip:alicex@x1.invalid;transport=ws;ob>",
        );
        world.receive(browser, &refresh);
        let onward = world.expect_request(trunk(), &Method::Subscribe);
        assert_eq!(
            onward.header(HeaderName::Route),
            Some("<sip:198.51.100.20;lr>")
        );
        assert_eq!(onward.request_uri(), Some("sip:presence@198.51.100.21"));
    }
}

#[test]
fn c9_a_browser_cannot_use_us_as_an_open_relay() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = from_browser(Method::Message, BOB, 1);
    message.push(HeaderName::Route, "<sip:192.0.2.66;lr>");
    world.receive(browser, &message);
    world.expect_status(browser, 403);
    // Behind a Route that is ours neither; ours alone is what old clients preload.
    let mut message = from_browser(Method::Message, BOB, 2);
    message.push(
        HeaderName::Route,
        "<sip:edge.test;transport=ws;lr>, <sip:192.0.2.66;lr>",
    );
    world.receive(browser, &message);
    world.expect_status(browser, 403);
    let mut message = from_browser(Method::Message, BOB, 3);
    message.push(HeaderName::Route, "<sip:edge.test;transport=ws;lr>");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert!(onward.header(HeaderName::Route).is_none());
}

#[test]
fn c9_a_dialog_that_nobody_made_is_no_way_around_the_rules() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = from_browser(Method::Message, "sip:victim@192.0.2.66", 1);
    message.set(HeaderName::To, "<sip:victim@192.0.2.66>;tag=x");
    world.receive(browser, &message);
    world.expect_status(browser, 481);
    message.push(
        HeaderName::Route,
        "<sip:AAAA@ringway.invalid;transport=ws;lr>",
    );
    message.set(
        HeaderName::Via,
        "SIP/2.0/WSS x1.invalid;branch=z9hG4bKsecond",
    );
    world.receive(browser, &message);
    world.expect_status(browser, 481);
    world.expect_silence(trunk());
}

#[test]
fn c15_what_a_proxy_must_understand_and_does_not_is_named() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = from_browser(Method::Message, BOB, 1);
    message.push(HeaderName::ProxyRequire, "foo, bar");
    world.receive(browser, &message);
    let refusal = world.expect_status(browser, 420);
    let named: Vec<&str> = refusal.values(HeaderName::Unsupported).collect();
    assert_eq!(named, ["foo", "bar"]);
    world.expect_silence(trunk());
}

#[test]
fn c18_options_to_us_say_what_is_taken_and_503_while_stopping() {
    let mut world = World::new();
    let ask = |n| from_carrier(Method::Options, "sip:198.51.100.1:5060", None, n);
    world.receive(trunk(), &ask(1));
    let answer = world.expect_status(trunk(), 200);
    for name in [HeaderName::Allow, HeaderName::Accept, HeaderName::Supported] {
        assert!(answer.header(&name).is_some(), "{name:?}");
    }
    let allow = answer.header(HeaderName::Allow).unwrap();
    for method in ["INVITE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER"] {
        assert!(allow.contains(method), "{allow}");
    }
    world.input(control::engine::input::Input::Stop);
    world.receive(trunk(), &ask(2));
    world.expect_status(trunk(), 503);
}

#[test]
fn c19_requests_of_unknown_dialogs_are_481_and_methods_not_taken_405() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    for (n, method) in [Method::Bye, Method::Info, Method::Update, Method::Notify]
        .into_iter()
        .enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let mut request = from_browser(method.clone(), BOB, n);
        request.set(HeaderName::To, format!("<{BOB}>;tag=gone"));
        world.receive(browser, &request);
        world.expect_status(browser, 481);
        let uri = "sip:ringway@198.51.100.1:5060";
        let mut request = from_carrier(method, uri, None, n);
        request.set(HeaderName::To, "<sip:alice@carrier.test>;tag=gone");
        world.receive(trunk(), &request);
        world.expect_status(trunk(), 481);
    }
    let register = from_carrier(Method::Register, "sip:198.51.100.1", None, 9);
    world.receive(trunk(), &register);
    let refusal = world.expect_status(trunk(), 405);
    assert!(refusal.header(HeaderName::Allow).is_some());
}

#[test]
fn c20_unknown_headers_their_order_and_from_and_to_pass_byte_for_byte() {
    for method in ["MESSAGE", "INFO", "PUBLISH", "REFER", "FROBNICATE"] {
        let mut world = World::new();
        let browser = register_at_carrier(&mut world, "alice");
        let bytes = format!(
            "{method} {BOB} SIP/2.0\r\nVia: SIP/2.0/WSS x1.invalid;branch=z9hG4bKc20\r\n\
             X-First:  a ,b\r\nf: \"Al  ice\"  <sip:alice@carrier.test>;x=Y;tag=a1\r\n\
             t:   Bob <{BOB};user=phone>;q\r\ni: c20\r\nCSeq: 7 {method}\r\n\
             Max-Forwards: 5\r\nX-Second: 1\r\nX-First: c\r\nm: <sip:alicex@x1.invalid>\r\n\
             Subject: x\r\nContent-Length: 0\r\n\r\n"
        );
        world.receive_bytes(browser, bytes);
        let seen = text(&world.expect_request(trunk(), &Method::from(method)));
        for line in [
            "X-First:  a ,b\r\nf: \"Al  ice\"  <sip:alice@carrier.test>;x=Y;tag=a1\r\n",
            "t:   Bob <sip:bob@carrier.test;user=phone>;q\r\ni: c20\r\n",
            "Max-Forwards: 4\r\nX-Second: 1\r\nX-First: c\r\n",
        ] {
            assert!(seen.contains(line), "{line:?} in {seen}");
        }
        assert!(!seen.contains(".invalid"), "{seen}");
    }
}

#[test]
fn c21_answers_go_to_the_source_and_the_via_of_a_browser_is_echoed() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let source = Peer::Udp("198.51.100.20:49999".parse().unwrap());
    world.receive(
        source,
        &from_carrier(Method::Options, "sip:198.51.100.1:5060", None, 1),
    );
    let answer = world.expect_status(source, 200);
    let via = answer.header(HeaderName::Via).unwrap();
    assert!(
        via.contains("rport=49999") && via.contains("received=198.51.100.20"),
        "{via}"
    );

    let mut message = from_browser(Method::Message, BOB, 1);
    let odd = "SIP/2.0/WSS  x1.invalid ; branch=z9hG4bKodd;x=\"y\"";
    message.set(HeaderName::Via, odd);
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    world.receive(trunk(), &answer_to(&onward, 202, "b", None));
    let answer = world.expect_status(browser, 202);
    assert_eq!(answer.headers(HeaderName::Via).collect::<Vec<_>>(), [odd]);
}

#[test]
fn d6_messages_pass_both_ways_with_body_and_status_untouched() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = from_browser(Method::Message, BOB, 1);
    message.set_body("text/plain;charset=utf-8", "héllo".into());
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    assert_eq!(onward.body(), message.body());
    let mut answer = answer_to(&onward, 415, "b", None);
    answer.push(HeaderName::Accept, "text/html");
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 415);
    assert_eq!(seen.header(HeaderName::Accept), Some("text/html"));
}

#[test]
fn d7_an_unsolicited_notify_reaches_the_registered_browser() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(
        browser,
        &World::register_message("alice", "carrier.test", "r"),
    );
    let register = world.expect_request(trunk(), &Method::Register);
    let contact = uri_of(register.header(HeaderName::Contact).unwrap()).to_owned();
    world.receive(trunk(), &crate::flows::granted(&register));
    world.expect_status(browser, 200);
    // By the Contact, and by the address of record.
    for (n, uri) in [
        contact.as_str(),
        "sip:alice@198.51.100.1:5060",
        "sip:alice@carrier.test",
    ]
    .into_iter()
    .enumerate()
    {
        let mut notify = from_carrier(Method::Notify, uri, None, u32::try_from(n).unwrap());
        notify.push(HeaderName::Event, "message-summary");
        notify.push(HeaderName::SubscriptionState, "active");
        let body = "Messages-Waiting: yes\r\n";
        notify.set_body("application/simple-message-summary", body.into());
        world.receive(trunk(), &notify);
        let seen = world.expect_request(browser, &Method::Notify);
        assert_eq!(
            seen.request_uri(),
            Some("sip:alicex@x1.invalid;transport=ws")
        );
        assert_eq!(seen.body().as_ref(), body.as_bytes());
        world.receive(browser, &answer_to(&seen, 200, "a", None));
        world.expect_status(trunk(), 200);
    }
}

#[test]
fn d7_a_publication_keeps_its_etag() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut publish = from_browser(Method::Publish, "sip:alice@carrier.test", 1);
    publish.push(HeaderName::Event, "presence");
    publish.push(HeaderName::SipIfMatch, "old");
    world.receive(browser, &publish);
    let onward = world.expect_request(trunk(), &Method::Publish);
    assert_eq!(onward.header(HeaderName::SipIfMatch), Some("old"));
    let mut answer = answer_to(&onward, 200, "p", None);
    answer.push(HeaderName::SipEtag, "new");
    world.receive(trunk(), &answer);
    let seen = world.expect_status(browser, 200);
    assert_eq!(seen.header(HeaderName::SipEtag), Some("new"));
}

#[test]
fn d7_notifications_follow_the_browser_to_another_connection() {
    for mut world in [World::new(), path_world()] {
        let (browser, _, onward, _) = subscribed(&mut world);
        world.disconnect(browser);
        world.receive(trunk(), &notify_for(&onward, 1));
        let refusal = world.expect(trunk());
        assert!(
            matches!(refusal.status(), Some(430 | 480)),
            "{}",
            text(&refusal)
        );
        let back = world.browser();
        world.receive(
            back,
            &World::register_message("alice", "carrier.test", "again"),
        );
        let register = world.expect_request(trunk(), &Method::Register);
        world.receive(trunk(), &crate::flows::granted(&register));
        world.expect_status(back, 200);
        world.receive(trunk(), &notify_for(&onward, 2));
        world.expect_request(back, &Method::Notify);
    }
}

#[test]
fn d7_a_carrier_may_subscribe_to_a_browser() {
    for mut world in [World::new(), path_world()] {
        let browser = world.browser();
        world.receive(
            browser,
            &World::register_message("alice", "carrier.test", "r"),
        );
        let register = world.expect_request(trunk(), &Method::Register);
        let contact = uri_of(register.header(HeaderName::Contact).unwrap()).to_owned();
        let path = register.header(HeaderName::Path).map(str::to_owned);
        world.receive(trunk(), &crate::flows::granted(&register));
        world.expect_status(browser, 200);
        let mut request = from_carrier(Method::Subscribe, &contact, path.as_deref(), 1);
        request.push(HeaderName::RecordRoute, "<sip:198.51.100.20;lr>");
        request.push(HeaderName::Contact, "<sip:watcher@198.51.100.22>");
        request.push(HeaderName::Event, "dialog");
        world.receive(trunk(), &request);
        let seen = world.expect_request(browser, &Method::Subscribe);
        let mut accepted = Message::response_to(&seen, 200, None);
        accepted.set_to_tag("a7");
        accepted.copy_from(&seen, HeaderName::RecordRoute);
        accepted.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        world.receive(browser, &accepted);
        world.expect_status(trunk(), 200);
        // The browser notifies by the route that it saw.
        let mut notify = from_browser(Method::Notify, "sip:watcher@198.51.100.22", 2);
        for route in seen.values(HeaderName::RecordRoute) {
            notify.push(HeaderName::Route, route);
        }
        notify.set(HeaderName::To, request.header(HeaderName::From).unwrap());
        notify.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        world.receive(browser, &notify);
        let onward = world.expect_request(trunk(), &Method::Notify);
        assert_eq!(
            onward.header(HeaderName::Route),
            Some("<sip:198.51.100.20;lr>")
        );
    }
}

#[test]
fn d12_the_carrier_gets_the_identity_of_the_flow_and_no_other() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let mut message = from_browser(Method::Message, BOB, 1);
    message.push(HeaderName::PAssertedIdentity, "<sip:boss@carrier.test>");
    message.push(HeaderName::PPreferredIdentity, "<sip:boss@carrier.test>");
    message.push(HeaderName::Privacy, "id");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    let asserted: Vec<&str> = onward.values(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:alice@carrier.test>"]);
    assert!(onward.header(HeaderName::PPreferredIdentity).is_none());
    assert_eq!(onward.header(HeaderName::Privacy), Some("id"));
}

#[test]
fn d12_an_identity_that_wants_privacy_does_not_reach_the_browser() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    for (n, (privacy, shown)) in [("id", false), ("none", true)].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let mut message = from_carrier(Method::Message, "sip:alice@carrier.test", None, n);
        message.push(HeaderName::PAssertedIdentity, "<sip:+1555@carrier.test>");
        message.push(HeaderName::Privacy, privacy);
        world.receive(trunk(), &message);
        let seen = world.expect_request(browser, &Method::Message);
        assert_eq!(seen.header(HeaderName::PAssertedIdentity).is_some(), shown);
    }
}

#[test]
fn lines_exchange_messages_but_keep_no_subscriptions() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    for (n, method) in [Method::Message, Method::Subscribe].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let mut request = from_browser(method.clone(), "sip:1002@lines.test", n);
        request.set(HeaderName::From, "<sip:1001@lines.test>;tag=l");
        world.receive(alice, &request);
        if method == Method::Message {
            world.expect_request(bob, &method);
        } else {
            let refusal = world.expect_status(alice, 405);
            assert!(refusal.header(HeaderName::Allow).is_some());
        }
    }
}

const CHARGING: [(&str, &str); 2] = [
    (
        "P-Charging-Vector",
        "icid-value=1234bc9876e;icid-generated-at=192.0.2.8",
    ),
    ("P-Charging-Function-Addresses", "ccf=192.0.2.9"),
];

fn with_charging(mut message: Message) -> Message {
    for (name, value) in CHARGING {
        message.push(name, value);
    }
    message
}

fn shows_no_charging(message: &Message) {
    assert!(!text(message).contains("P-Charging"), "{}", text(message));
}

#[test]
fn d21_what_carriers_tell_each_other_for_bills_is_kept_from_browsers_and_not_taken_from_them() {
    let mut world = World::new();
    let browser = world.browser();
    let request = with_charging(World::register_message("alice", "carrier.test", "reg"));
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    shows_no_charging(&onward);
    let mut granted = with_charging(Message::response_to(&onward, 200, None));
    granted.copy_from(&onward, HeaderName::Contact);
    world.receive(trunk(), &granted);
    shows_no_charging(&world.expect_status(browser, 200));
    let contact = uri_of(onward.header(HeaderName::Contact).unwrap()).to_owned();

    world.receive(
        browser,
        &with_charging(from_browser(Method::Message, BOB, 1)),
    );
    let onward = world.expect_request(trunk(), &Method::Message);
    shows_no_charging(&onward);
    let answer = with_charging(Message::response_to(&onward, 202, None));
    world.receive(trunk(), &answer);
    shows_no_charging(&world.expect_status(browser, 202));

    let message = with_charging(from_carrier(Method::Message, &contact, None, 2));
    world.receive(trunk(), &message);
    let told = world.expect_request(browser, &Method::Message);
    shows_no_charging(&told);
    let answer = with_charging(Message::response_to(&told, 200, None));
    world.receive(browser, &answer);
    shows_no_charging(&world.expect_status(trunk(), 200));
}
