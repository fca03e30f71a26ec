//! Numbers with parameters in the user part (RFC 3966, 4694, 4904), wherever a number is looked up:
//! the parameters are not the number (RFC 3261 section 19.1.6).

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::flows::from_carrier;
use crate::peers::{
    BROWSER_OFFER, CARRIER_OFFER, browser_invite, carrier_invite, log_in, register_at_carrier,
    trunk,
};

const LINE: &str = "[[line]]\nnumber = \"+4930123456\"\npassword = \"secret-one\"\n";

/// Lines 1001, 1002 and +4930123456; more keys of the trunk.
fn world(keys: &str) -> World {
    let keys = format!("{keys}\n[[realm]]");
    World::with_config(&format!("{}{LINE}", CONFIG.replace("[[realm]]", &keys)))
}

/// Whoever is called by this Request-URI of the carrier.
fn rings(world: &mut World, browser: Peer, uri: &str) -> Message {
    world.receive(trunk(), &carrier_invite(uri, CARRIER_OFFER));
    world.expect_status(trunk(), 100);
    world.expect_request(browser, &Method::Invite)
}

#[test]
fn case_b38_b39_b39b_a_line_is_found_by_its_number_without_parameters() {
    for uri in [
        "tel:1001;phone-context=carrier.test",
        "tel:1001;phone-context=+49",
        "tel:1001;ext=7",
        "sip:1001;npdi;phone-context=+49@198.51.100.1;user=phone",
        "sip:1001;tgrp=x;trunk-context=y@198.51.100.1",
        "sip:1001;cic=+1-6789@198.51.100.1",
        "sip:1001;isub=12345@198.51.100.1;user=phone",
        "sip:1001;ext=99@198.51.100.1",
        "sip:1001%3Bnpdi@198.51.100.1",
        "sip:1001%3bnpdi%3brn=1@198.51.100.1;user=phone",
        "sip:%31001;npdi@198.51.100.1",
        "sip:10-01@198.51.100.1;user=phone",
        "sip:1001@198.51.100.1;user=phone",
    ] {
        let mut world = world("");
        let browser = log_in(&mut world, "1001", "secret-one");
        let told = rings(&mut world, browser, uri);
        let to = told.header(HeaderName::To).unwrap();
        assert_eq!(to, "<sip:1001@lines.test>", "{uri}");
    }
}

#[test]
fn case_f10_f11_a_global_number_is_found_whatever_stands_behind_it() {
    for uri in [
        "sip:+4930123456;npdi;rn=+4930000@198.51.100.1:5060;user=phone",
        "sip:+4930123456;npdi;rn=+4930000@198.51.100.1",
        "sip:+4930123456;tgrp=a;trunk-context=x@198.51.100.1",
        "sip:%2B4930123456;npdi@198.51.100.1",
        "sip:+49(30)123-456;npdi@198.51.100.1",
        "sip:30123456;phone-context=+49@198.51.100.1;user=phone",
        "tel:+4930123456",
        "tel:+49-30-123456;npdi;rn=+4930000",
        "tel:30-123456;phone-context=+49",
        "sips:+4930123456;npdi@198.51.100.1",
    ] {
        let mut world = world("");
        let browser = log_in(&mut world, "+4930123456", "secret-one");
        rings(&mut world, browser, uri);
    }
}

#[test]
fn case_b38_a_number_that_is_nobody_s_stays_so() {
    let mut world = world("");
    log_in(&mut world, "1001", "secret-one");
    for (n, uri) in ["sip:1003;npdi@198.51.100.1", "sip:x1001;npdi@198.51.100.1"]
        .into_iter()
        .enumerate()
    {
        let mut invite = carrier_invite(uri, CARRIER_OFFER);
        invite.set(HeaderName::CallId, format!("nobody{n}"));
        let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKn{n}");
        invite.set(HeaderName::Via, via);
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        world.expect_status(trunk(), 404);
    }
}

#[test]
fn case_f10_a_number_in_the_carrier_s_form_is_found_with_parameters() {
    let keys = "[trunk.numbers]\ncountry_code = \"49\"\nnational_prefix = \"0\"\n\
                outbound = \"national\"\ninbound = \"e164\"";
    for uri in [
        "sip:030123456;npdi;rn=030@198.51.100.1",
        "sip:004930123456;tgrp=a@198.51.100.1",
        "sip:030-123456%3Bnpdi@198.51.100.1",
    ] {
        let mut world = world(keys);
        let browser = log_in(&mut world, "+4930123456", "secret-one");
        rings(&mut world, browser, uri);
    }
}

#[test]
fn case_b39_the_carrier_is_told_the_parameters() {
    let keys = "[trunk.numbers]\ncountry_code = \"49\"\nnational_prefix = \"0\"\n\
                outbound = \"e164\"";
    for (dialled, onward) in [
        (
            "030123457;isub=12;npdi",
            "sip:+4930123457;isub=12;npdi@carrier.test",
        ),
        ("030123457%3Bext=1", "sip:+4930123457%3Bext=1@carrier.test"),
        ("bob;day=tuesday", "sip:bob;day=tuesday@carrier.test"),
    ] {
        let mut world = world(keys);
        let browser = register_at_carrier(&mut world, "alice");
        let invite = browser_invite("alice", "carrier.test", dialled, BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let sent = world.expect_request(trunk(), &Method::Invite);
        assert_eq!(sent.request_uri(), Some(onward));
    }
}

#[test]
fn case_b38_lines_call_each_other_with_parameters() {
    for (n, uri) in [
        "sip:1002;npdi@lines.test",
        "sip:1002;phone-context=lines.test@lines.test;user=phone",
        "tel:1002;phone-context=lines.test",
        "tel:10-02",
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = world("");
        let alice = log_in(&mut world, "1001", "secret-one");
        let bob = log_in(&mut world, "1002", "secret-two");
        let mut invite = browser_invite("1001", "lines.test", &format!("x{n}"), BROWSER_OFFER);
        invite.set_request_uri(uri);
        world.receive(alice, &invite);
        world.expect_status(alice, 100);
        let told = world.expect_request(bob, &Method::Invite);
        assert!(text(&told).contains("To: <sip:1002@lines.test>"), "{uri}");
    }
}

#[test]
fn case_b38_a_message_finds_the_line_and_the_registered_user() {
    let mut world = world("");
    let line = log_in(&mut world, "1001", "secret-one");
    let uri = "sip:1001;npdi@198.51.100.1";
    world.receive(trunk(), &from_carrier(Method::Message, uri, None, 1));
    world.expect_request(line, &Method::Message);
    let user = register_at_carrier(&mut world, "+4930777777");
    for (n, uri) in [
        "sip:+4930777777;npdi;rn=+4930@198.51.100.1",
        "sip:+49-30-777777;tgrp=a@198.51.100.1",
        "tel:+4930777777;npdi",
    ]
    .into_iter()
    .enumerate()
    {
        let n = 2 + u32::try_from(n).unwrap();
        world.receive(trunk(), &from_carrier(Method::Message, uri, None, n));
        world.expect_request(user, &Method::Message);
    }
}

#[test]
fn case_f11_our_contact_is_ours_with_parameters_that_the_carrier_has_added() {
    let mut world = world("");
    let browser = world.browser();
    let request = World::register_message("+4930777777", "carrier.test", "r");
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let contact = onward.header(HeaderName::Contact).unwrap();
    let mut granted = Message::response_to(&onward, 200, None);
    granted.push(HeaderName::Contact, contact);
    world.receive(trunk(), &granted);
    world.expect_status(browser, 200);
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    for more in [";npdi;rn=+4930@", ";tgrp=a;trunk-context=x@", "%3Bnpdi@"] {
        let mut world_of_call = carrier_invite(&uri.replace('@', more), CARRIER_OFFER);
        world_of_call.set(HeaderName::CallId, more);
        let via = format!(
            "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK{}",
            more.len()
        );
        world_of_call.set(HeaderName::Via, via);
        world.receive(trunk(), &world_of_call);
        world.expect_status(trunk(), 100);
        world.expect_request(browser, &Method::Invite);
    }
}

#[test]
fn case_b39_the_calls_of_an_account_reach_its_line_with_parameters() {
    let account = "username = \"t1\"\npassword = \"p\"\ncalls_to = \"1001\"";
    for (uri, to, line) in [
        (
            "sip:t1;tgrp=a@198.51.100.1",
            "<sip:t1@carrier.test>",
            "1001",
        ),
        (
            "sip:t1@198.51.100.1",
            "<sip:1002;npdi@carrier.test>",
            "1002",
        ),
        (
            "sip:t1@198.51.100.1",
            "<tel:1002;phone-context=carrier.test>",
            "1002",
        ),
        ("sip:t1@198.51.100.1", "<sip:t1;npdi@carrier.test>", "1001"),
    ] {
        let mut world = world(account);
        let browser = match line {
            "1001" => log_in(&mut world, "1001", "secret-one"),
            _ => log_in(&mut world, "1002", "secret-two"),
        };
        let mut invite = carrier_invite(uri, CARRIER_OFFER);
        invite.set(HeaderName::To, to);
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        world.expect_request(browser, &Method::Invite);
    }
}
