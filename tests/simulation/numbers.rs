//! How numbers are written towards a carrier and towards browsers.

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite,
    in_dialog, in_dialog_of_callee, log_in, register_at_carrier, trunk,
};

const GERMAN: &str = "country_code = \"49\"\nnational_prefix = \"0\"\n";

/// A trunk with these keys in its `[trunk.numbers]`, and line +49301001.
fn world(keys: &str) -> World {
    let numbers = format!("[trunk.numbers]\n{GERMAN}{keys}\n[[realm]]");
    let line = "[[line]]\nnumber = \"+49301001\"\npassword = \"secret-one\"";
    World::with_config(&format!(
        "{}{line}\n",
        CONFIG.replace("[[realm]]", &numbers)
    ))
}

fn dial(world: &mut World, browser: Peer, invite: &Message) -> Message {
    world.receive(browser, invite);
    world.expect_status(browser, 100);
    world.expect_request(trunk(), &Method::Invite)
}

fn header(message: &Message, name: HeaderName) -> String {
    message.header(name).unwrap_or_default().to_owned()
}

#[test]
fn d12_numbers_of_a_line_reach_the_carrier_in_its_form() {
    let mut world = world("outbound = \"e164-without-plus\"\nuser_phone = true");
    let browser = log_in(&mut world, "+49301001", "secret-one");
    let invite = browser_invite("+49301001", "lines.test", "(030)123-456", BROWSER_OFFER);
    let onward = dial(&mut world, browser, &invite);
    let called = "sip:4930123456@carrier.test;user=phone";
    assert_eq!(onward.request_uri(), Some(called));
    assert_eq!(header(&onward, HeaderName::To), format!("<{called}>"));
    let from = header(&onward, HeaderName::From);
    assert!(
        from.contains("<sip:49301001@carrier.test;user=phone>;tag="),
        "{from}"
    );
    let asserted = header(&onward, HeaderName::PAssertedIdentity);
    assert_eq!(asserted, "<sip:49301001@carrier.test;user=phone>");
    // In the dialog too, and its answer fits.
    world.receive(trunk(), &answer_to(&onward, 486, "t", None));
    world.expect_status(browser, 486);
}

#[test]
fn short_numbers_and_names_reach_the_carrier_as_they_are() {
    let mut world = world("outbound = \"e164\"");
    let browser = register_at_carrier(&mut world, "alice");
    for called in ["112", "116117", "bob", "*21#"] {
        let called = called.replace('#', "%23");
        let invite = browser_invite("alice", "carrier.test", &called, BROWSER_OFFER);
        let onward = dial(&mut world, browser, &invite);
        let expected = format!("sip:{called}@carrier.test");
        assert_eq!(onward.request_uri(), Some(expected.as_str()));
        assert!(header(&onward, HeaderName::From).contains("<sip:alice@carrier.test>"));
    }
}

#[test]
fn a_tel_uri_is_called_as_a_sip_uri_of_the_domain() {
    let mut world = world("outbound = \"national\"");
    let browser = register_at_carrier(&mut world, "alice");
    let mut invite = browser_invite("alice", "carrier.test", "x", BROWSER_OFFER);
    invite.set_request_uri("tel:+49-30-123456");
    let onward = dial(&mut world, browser, &invite);
    let called = "sip:030123456@carrier.test;user=phone";
    assert_eq!(onward.request_uri(), Some(called));
}

#[test]
fn d11_what_a_caller_has_signed_is_not_rewritten() {
    let mut world = world("outbound = \"national\"\nuser_phone = true");
    let browser = register_at_carrier(&mut world, "+4930777777");
    let mut invite = browser_invite("+4930777777", "carrier.test", "+4930123456", BROWSER_OFFER);
    invite.push(
        HeaderName::Identity,
        "a.b.c;info=<https://cert.example/c.pem>",
    );
    let onward = dial(&mut world, browser, &invite);
    assert!(onward.header(HeaderName::Identity).is_some());
    assert_eq!(onward.request_uri(), Some("sip:+4930123456@carrier.test"));
    assert_eq!(
        header(&onward, HeaderName::To),
        "<sip:+4930123456@carrier.test>"
    );
    assert!(header(&onward, HeaderName::From).contains("<sip:+4930777777@carrier.test>"));
}

/// The carrier calls a number; what the line's browser gets.
fn ring(world: &mut World, uri: &str, from: &str, identity: &str) -> Message {
    let browser = log_in(world, "+49301001", "secret-one");
    let mut invite = carrier_invite(uri, CARRIER_OFFER);
    invite.set(HeaderName::From, format!("{from};tag=bob1"));
    invite.push(HeaderName::PAssertedIdentity, identity);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    world.expect_request(browser, &Method::Invite)
}

#[test]
fn a_line_is_found_by_its_number_in_any_form_of_the_carrier() {
    for called in [
        "sip:0301001999@198.51.100.1",
        "sip:+49301001@198.51.100.1",
        "sip:0049301001@198.51.100.1;user=phone",
        "tel:+49-30-1001",
    ] {
        let mut world = world("inbound = \"e164\"");
        let browser = log_in(&mut world, "+49301001", "secret-one");
        world.receive(trunk(), &carrier_invite(called, CARRIER_OFFER));
        world.expect_status(trunk(), 100);
        if called.contains("1001999") {
            world.expect_status(trunk(), 404);
            continue;
        }
        let told = world.expect_request(browser, &Method::Invite);
        assert_eq!(header(&told, HeaderName::To), "<sip:+49301001@lines.test>");
    }
}

#[test]
fn a_browser_is_told_who_calls_in_its_form() {
    let mut world = world("inbound = \"national\"\noutbound = \"e164\"");
    let told = ring(
        &mut world,
        "sip:+49301001@198.51.100.1",
        "\"Bob\" <tel:+49-30-123456>",
        "<sip:+4930123456@carrier.test>, <tel:+33123456789>",
    );
    let from = header(&told, HeaderName::From);
    let expected = "\"Bob\" <sip:030123456@carrier.test>;tag=";
    assert!(from.starts_with(expected), "{from}");
    let asserted: Vec<&str> = told.values(HeaderName::PAssertedIdentity).collect();
    let other = "<sip:0033123456789@carrier.test;user=phone>";
    assert_eq!(asserted, ["<sip:030123456@carrier.test>", other]);
}

#[test]
fn without_a_policy_nothing_is_rewritten() {
    let mut world = World::new();
    let browser = register_at_carrier(&mut world, "alice");
    let invite = browser_invite("alice", "carrier.test", "+49-30-1", BROWSER_OFFER);
    let onward = dial(&mut world, browser, &invite);
    assert_eq!(onward.request_uri(), Some("sip:+49-30-1@carrier.test"));
    let line = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1", CARRIER_OFFER);
    let identity = "<tel:+49-30-123456>";
    invite.push(HeaderName::PAssertedIdentity, identity);
    world.receive(trunk(), &invite);
    let told = world.expect_request(line, &Method::Invite);
    assert_eq!(header(&told, HeaderName::PAssertedIdentity), identity);
}

#[test]
fn a_message_of_a_line_is_in_the_carrier_s_form_too() {
    let mut world = world("outbound = \"e164\"");
    let browser = log_in(&mut world, "+49301001", "secret-one");
    let mut message = Message::request(Method::Message, "sip:030123456@lines.test");
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm");
    message.push(HeaderName::From, "<sip:+49301001@lines.test>;tag=m");
    message.push(HeaderName::To, "<sip:030123456@lines.test>");
    message.push(HeaderName::CallId, "m");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    world.receive(browser, &message);
    let onward = world.expect_request(trunk(), &Method::Message);
    let called = "sip:+4930123456@carrier.test";
    assert_eq!(onward.request_uri(), Some(called));
    assert_eq!(header(&onward, HeaderName::To), format!("<{called}>"));
    assert!(header(&onward, HeaderName::From).ends_with("<sip:+49301001@carrier.test>;tag=m"));
    let asserted = header(&onward, HeaderName::PAssertedIdentity);
    assert_eq!(asserted, "<sip:+49301001@carrier.test>");
    world.receive(trunk(), &answer_to(&onward, 200, "t", None));
    let answer = world.expect_status(browser, 200);
    assert_eq!(
        header(&answer, HeaderName::From),
        "<sip:+49301001@lines.test>;tag=m"
    );
}

#[test]
fn d15_who_was_called_before_is_told_in_the_browser_s_form() {
    let mut world = world("inbound = \"national\"\noutbound = \"e164\"");
    let browser = log_in(&mut world, "+49301001", "secret-one");
    let mut invite = carrier_invite("sip:+49301001@198.51.100.1", CARRIER_OFFER);
    let diversion = "\"Carol\" <tel:+49-30-1234567>;reason=unconditional;counter=1";
    invite.push(HeaderName::Diversion, diversion);
    let history = "<sip:+49301234567@carrier.test>;index=1, <sip:carol@carrier.test>;index=1.1";
    invite.push(HeaderName::HistoryInfo, history);
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let told = world.expect_request(browser, &Method::Invite);
    assert_eq!(
        header(&told, HeaderName::Diversion),
        "\"Carol\" <sip:0301234567@carrier.test;user=phone>;reason=unconditional;counter=1"
    );
    let history: Vec<&str> = told.values(HeaderName::HistoryInfo).collect();
    let expected = [
        "<sip:0301234567@carrier.test>;index=1",
        "<sip:carol@carrier.test>;index=1.1",
    ];
    assert_eq!(history, expected);
}

#[test]
fn d5_a_transfer_names_the_number_as_a_call_would() {
    let mut world = world("inbound = \"national\"\noutbound = \"e164\"");
    let browser = log_in(&mut world, "+49301001", "secret-one");
    let invite = browser_invite("+49301001", "lines.test", "030123456", BROWSER_OFFER);
    let onward = dial(&mut world, browser, &invite);
    let answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    world.receive(trunk(), &answer);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:0301234567@lines.test>");
    refer.push(HeaderName::Contact, "<sip:x@x1.invalid;transport=ws>");
    world.receive(browser, &refer);
    let passed = world.expect_request(trunk(), &Method::Refer);
    let refer_to = header(&passed, HeaderName::ReferTo);
    assert_eq!(refer_to, "<sip:+49301234567@carrier.test>");

    let mut refer = in_dialog_of_callee(&onward, "bob1", &Method::Refer);
    refer.push(HeaderName::ReferTo, "<sip:+49301234567@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:peer@198.51.100.20>");
    world.receive(trunk(), &refer);
    let passed = world.expect_request(browser, &Method::Refer);
    let refer_to = header(&passed, HeaderName::ReferTo);
    assert_eq!(refer_to, "<sip:0301234567@carrier.test>");
}
