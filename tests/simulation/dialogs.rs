//! Where the requests of a dialog go, what is refused in one, and what comes when it is over.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use tests::world::{World, text};

use crate::calls::talk;
use crate::forks::dial;
use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, CARRIER_ANSWER, CARRIER_OFFER, answer_to, carrier_invite,
    carrier_talks, in_dialog, in_dialog_of_callee, log_in, trunk,
};

/// A call that the carrier answers with this Contact and these recorded routes.
struct Routed {
    world: World,
    browser: Peer,
    invite: Message,
    accepted: Message,
    ack: Message,
    contact: String,
}

fn answered_with(contact: &str, recorded: &[&str]) -> Routed {
    let mut world = World::new();
    let (browser, invite, onward) = dial(&mut world);
    let mut answer = answer_to(&onward, 200, "bob1", Some(CARRIER_ANSWER));
    answer.set(HeaderName::Contact, contact);
    for route in recorded {
        answer.push(HeaderName::RecordRoute, *route);
    }
    world.receive(trunk(), &answer);
    let ack = world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    Routed {
        world,
        browser,
        invite,
        accepted,
        ack,
        contact: contact.to_owned(),
    }
}

impl Routed {
    /// The browser sends this in its dialog; what reaches the carrier.
    fn send(&mut self, method: &Method, n: u32) -> Message {
        let mut request = in_dialog(&self.invite, &self.accepted, method, n);
        if matches!(method, Method::Invite | Method::Refer) {
            request.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        }
        if *method == Method::Invite {
            let offer = BROWSER_OFFER.replace("a=sendrecv", "a=sendonly");
            request.set_body("application/sdp", offer.into());
        } else if *method == Method::Refer {
            request.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
        } else {
            request.set_body("application/x-own", "x".into());
        }
        self.world.receive(self.browser, &request);
        let passed = self.world.expect_request(trunk(), method);
        let mut answer = answer_to(&passed, 200, "bob1", Some(CARRIER_ANSWER));
        answer.set(HeaderName::Contact, self.contact.as_str());
        self.world.receive(trunk(), &answer);
        passed
    }

    /// Each kind of request in the dialog goes to this target by these routes.
    fn all_go(mut self, target: &str, routes: &[&str]) {
        let ack = self.ack.clone();
        let mut all = vec![ack];
        for (n, method) in [Method::Info, Method::Refer, Method::Invite, Method::Bye]
            .iter()
            .enumerate()
        {
            let n = u32::try_from(n).unwrap() + 1;
            all.push(self.send(method, n));
            if *method == Method::Invite {
                all.push(self.world.expect_request(trunk(), &Method::Ack));
            }
        }
        for request in all {
            let seen: Vec<&str> = request.headers(HeaderName::Route).collect();
            assert_eq!(seen, routes, "{}", text(&request));
            assert_eq!(request.request_uri(), Some(target), "{}", text(&request));
        }
    }
}

#[test]
fn case_a18_a_contact_with_a_quoted_parameter_is_repeated_as_it_came() {
    let uri = "sip:bob@198.51.100.20:5060;thinfo=\"QmFzZQ==\"";
    answered_with(&format!("<{uri}>"), &[]).all_go(uri, &[]);
}

#[test]
fn case_a18_a_carrier_s_invite_may_have_such_a_contact_too() {
    let uri = "sip:bob@198.51.100.20:5060;thinfo=\"Qm;FzZQ==\";x=1";
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::Contact, format!("<{uri}>"));
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    let bye = in_dialog_of_callee(&onward, "alice1", &Method::Bye);
    world.receive(browser, &bye);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.request_uri(), Some(uri));
}

#[test]
fn case_a20_a_recorded_route_without_brackets_is_a_loose_one_with_them() {
    let contact = "sip:bob@198.51.100.20:5060";
    let recorded = ["sip:127.0.0.2:25060;lr", "<sip:127.0.0.3;lr>"];
    answered_with(&format!("<{contact}>"), &recorded)
        .all_go(contact, &["<sip:127.0.0.3;lr>", "<sip:127.0.0.2:25060;lr>"]);
}

#[test]
fn case_a21_a_strict_router_is_the_target_and_the_target_the_last_route() {
    let recorded = ["<sip:loose@127.0.0.3;lr>", "<sip:strict@127.0.0.2:25060>"];
    answered_with("<sip:bob@198.51.100.20:5060>", &recorded).all_go(
        "sip:strict@127.0.0.2:25060",
        &["<sip:loose@127.0.0.3;lr>", "<sip:bob@198.51.100.20:5060>"],
    );
    // A strict one behind a loose one is that one's concern.
    let recorded = ["<sip:strict@127.0.0.2:25060>", "<sip:loose@127.0.0.3;lr>"];
    answered_with("<sip:bob@198.51.100.20:5060>", &recorded).all_go(
        "sip:bob@198.51.100.20:5060",
        &["<sip:loose@127.0.0.3;lr>", "<sip:strict@127.0.0.2:25060>"],
    );
}

#[test]
fn case_a20_a21_the_routes_of_a_carrier_s_invite_are_kept_in_order_and_echoed_as_they_came() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.push(HeaderName::RecordRoute, "sip:strict@127.0.0.2");
    invite.push(HeaderName::RecordRoute, "sip:127.0.0.3;lr");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    let onward = world.expect_request(browser, &Method::Invite);
    let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
    world.receive(browser, &answer);
    world.expect_request(browser, &Method::Ack);
    let accepted = world.expect_status(trunk(), 200);
    let echoed: Vec<&str> = accepted.headers(HeaderName::RecordRoute).collect();
    assert_eq!(echoed, ["sip:strict@127.0.0.2", "sip:127.0.0.3;lr"]);
    world.receive(trunk(), &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(
        browser,
        &in_dialog_of_callee(&onward, "alice1", &Method::Bye),
    );
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.request_uri(), Some("sip:strict@127.0.0.2"));
    let routes: Vec<&str> = bye.headers(HeaderName::Route).collect();
    assert_eq!(
        routes,
        ["<sip:127.0.0.3;lr>", "<sip:bob@198.51.100.20:5060>"]
    );
}

#[test]
fn case_a21_a_request_that_a_strict_router_has_passed_on_finds_its_dialog() {
    let mut world = World::new();
    let (browser, _, onward, _) = talk(&mut world);
    let bye = in_dialog_of_callee(&onward, "bob1", &Method::Bye);
    let mut strict = Message::request(Method::Bye, "sip:198.51.100.1:5060");
    for (name, value) in bye.lines() {
        strict.push(name, value);
    }
    let contact = onward.header(HeaderName::Contact).unwrap();
    strict.push(HeaderName::Route, contact);
    world.receive(trunk(), &strict);
    world.expect_status(trunk(), 200);
    world.expect_request(browser, &Method::Bye);
}

#[test]
fn suite_s11_a_contact_that_is_no_address_of_sip_is_416() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", CARRIER_OFFER);
    invite.set(HeaderName::Contact, "<tel:+15551234>");
    world.receive(trunk(), &invite);
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 416);
    world.expect_silence(browser);

    let mut world = World::new();
    let call = carrier_talks(&mut world);
    let mut update = in_dialog(&call.invite, &call.accepted, &Method::Update, 1);
    update.push(HeaderName::Contact, "<tel:+15551234>");
    world.receive(trunk(), &update);
    world.expect_status(trunk(), 416);
    let bye = in_dialog_of_callee(&call.onward, "alice1", &Method::Bye);
    world.receive(call.browser, &bye);
    let bye = world.expect_request(trunk(), &Method::Bye);
    assert_eq!(bye.request_uri(), Some("sip:bob@198.51.100.20:5060"));
}

#[test]
fn suite_s11_a_2xx_with_such_a_contact_leaves_the_dialog_where_the_invite_went() {
    let recorded = ["<sip:127.0.0.3;lr>"];
    answered_with("<tel:+15551234>", &recorded)
        .all_go("sip:bob@carrier.test", &["<sip:127.0.0.3;lr>"]);
}

#[test]
fn case_f36_an_unknown_extension_is_420_in_a_dialog_too() {
    for method in [Method::Invite, Method::Update, Method::Info] {
        let mut world = World::new();
        let (browser, invite, _, accepted) = talk(&mut world);
        let mut request = in_dialog(&invite, &accepted, &method, 1);
        request.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
        request.push(HeaderName::Require, "timer, foo");
        request.push(HeaderName::Require, "bar");
        request.set_body("application/sdp", BROWSER_OFFER.into());
        world.receive(browser, &request);
        if method == Method::Invite {
            world.expect_status(browser, 100);
        }
        let refusal = world.expect_status(browser, 420);
        let unknown: Vec<&str> = refusal.values(HeaderName::Unsupported).collect();
        assert_eq!(unknown, ["foo", "bar"]);
        world.expect_silence(trunk());
        // A BYE is always taken.
        let mut bye = in_dialog(&invite, &accepted, &Method::Bye, 2);
        bye.push(HeaderName::Require, "foo");
        world.receive(browser, &bye);
        world.expect_status(browser, 200);
        world.expect_request(trunk(), &Method::Bye);
    }
    let mut world = World::new();
    let call = carrier_talks(&mut world);
    let mut update = in_dialog(&call.invite, &call.accepted, &Method::Update, 1);
    update.push(HeaderName::Require, "foo");
    world.receive(trunk(), &update);
    world.expect_status(trunk(), 420);
}

/// RFC 5407 section 3.1.4: once offer and answer are exchanged the change is taken, also if the ACK
/// is late; RFC 3264 section 4: while an answer is awaited in the ACK, it is not.
#[test]
fn suite_unclear_a_reinvite_before_the_ack_is_taken_if_no_answer_is_awaited_in_it() {
    for (late, status) in [(false, 200), (true, 491)] {
        let mut world = World::new();
        let browser = log_in(&mut world, "1001", "secret-one");
        let offer = if late { "" } else { CARRIER_OFFER };
        let mut invite = carrier_invite("sip:1001@198.51.100.1:5060", offer);
        if late {
            invite.set_body("application/sdp", "".into());
            invite.remove(HeaderName::ContentType);
        }
        world.receive(trunk(), &invite);
        world.expect_status(trunk(), 100);
        let onward = world.expect_request(browser, &Method::Invite);
        let answer = answer_to(&onward, 200, "alice1", Some(BROWSER_ANSWER));
        world.receive(browser, &answer);
        world.expect_request(browser, &Method::Ack);
        let accepted = world.expect_status(trunk(), 200);
        let mut again = in_dialog(&invite, &accepted, &Method::Invite, 1);
        again.set(
            HeaderName::Via,
            "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKagain;rport",
        );
        again.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
        again.set_body("application/sdp", CARRIER_OFFER.into());
        world.receive(trunk(), &again);
        world.expect_status(trunk(), 100);
        world.expect_status(trunk(), status);
        assert_eq!(world.engine.calls(), 1);
    }
}

/// A REFER of this side has been accepted by the other one; then the referrer hangs up.
fn refer_and_leave(world: &mut World) -> (Peer, Message, Message, u32) {
    let (browser, invite, onward, accepted) = talk(world);
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    world.receive(browser, &refer);
    let passed = world.expect_request(trunk(), &Method::Refer);
    world.receive(trunk(), &answer_to(&passed, 202, "bob1", None));
    world.expect_status(browser, 202);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 2));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &answer_to(&bye, 200, "bob1", None));
    assert_eq!(world.engine.calls(), 0);
    (browser, onward, refer, passed.cseq().unwrap().number)
}

fn notify(onward: &Message, number: u32, n: u32) -> Message {
    let mut notify = in_dialog_of_callee(onward, "bob1", &Method::Notify);
    notify.set(HeaderName::CSeq, format!("{} NOTIFY", 100 + n));
    let via = notify.header(HeaderName::Via).unwrap().to_owned();
    notify.set(HeaderName::Via, format!("{via}{n}"));
    notify.push(HeaderName::Event, format!("refer;id={number}"));
    notify.push(HeaderName::SubscriptionState, "active;expires=60");
    notify.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    notify.set_body(
        "message/sipfrag;version=2.0",
        "SIP/2.0 180 Ringing\r\n".into(),
    );
    notify
}

#[test]
fn ux_g7_a_notify_of_a_transfer_passes_after_the_bye() {
    let mut world = World::new();
    let (browser, onward, refer, number) = refer_and_leave(&mut world);
    for n in 1..=2 {
        world.advance(Duration::from_secs(40));
        world.receive(trunk(), &notify(&onward, number, n));
        let told = world.expect_request(browser, &Method::Notify);
        let theirs = format!("refer;id={}", refer.cseq().unwrap().number);
        assert_eq!(told.header(HeaderName::Event), Some(theirs.as_str()));
        assert_eq!(told.body(), "SIP/2.0 180 Ringing\r\n");
        assert!(!text(&told).contains("198.51.100.20"), "{}", text(&told));
        world.receive(browser, &Message::response_to(&told, 200, None));
        world.expect_status(trunk(), 200);
    }
    // Not for ever, and nothing else.
    let info = in_dialog_of_callee(&onward, "bob1", &Method::Info);
    world.receive(trunk(), &info);
    world.expect_status(trunk(), 481);
    world.advance(Duration::from_secs(65));
    world.receive(trunk(), &notify(&onward, number, 3));
    world.expect_status(trunk(), 481);
    world.expect_silence(browser);
    world.advance(Duration::from_secs(600));
    let usage = world.engine.usage();
    assert_eq!(
        (usage.call_entries, usage.transactions),
        (0, 0),
        "{usage:?}"
    );
}

#[test]
fn ux_g7_only_a_transfer_that_was_accepted_outlives_its_call_and_not_without_end() {
    let mut world = World::new();
    let (browser, onward, _, number) = refer_and_leave(&mut world);
    for n in 1..=16 {
        world.receive(trunk(), &notify(&onward, number, n));
        world.expect_request(browser, &Method::Notify);
    }
    world.receive(trunk(), &notify(&onward, number, 17));
    world.expect_status(trunk(), 481);

    let mut world = World::new();
    let (browser, invite, onward, accepted) = talk(&mut world);
    let mut refer = in_dialog(&invite, &accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:alicex@x1.invalid;transport=ws>");
    world.receive(browser, &refer);
    let passed = world.expect_request(trunk(), &Method::Refer);
    world.receive(trunk(), &answer_to(&passed, 603, "bob1", None));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 2));
    world.expect_request(trunk(), &Method::Bye);
    assert_eq!(world.engine.usage().call_entries, 0);
    let number = passed.cseq().unwrap().number;
    world.receive(trunk(), &notify(&onward, number, 1));
    world.expect_status(trunk(), 481);
}

#[test]
fn ux_g7_a_browser_s_notify_passes_to_the_carrier_after_the_carrier_s_bye() {
    let mut world = World::new();
    let call = carrier_talks(&mut world);
    let mut refer = in_dialog(&call.invite, &call.accepted, &Method::Refer, 1);
    refer.push(HeaderName::ReferTo, "<sip:carol@carrier.test>");
    refer.push(HeaderName::Contact, "<sip:bob@198.51.100.20:5060>");
    world.receive(trunk(), &refer);
    let passed = world.expect_request(call.browser, &Method::Refer);
    world.receive(call.browser, &answer_to(&passed, 202, "alice1", None));
    world.expect_status(trunk(), 202);
    let bye = in_dialog(&call.invite, &call.accepted, &Method::Bye, 2);
    world.receive(trunk(), &bye);
    world.expect_status(trunk(), 200);
    world.expect_request(call.browser, &Method::Bye);
    let mut notify = in_dialog_of_callee(&call.onward, "alice1", &Method::Notify);
    notify.push(HeaderName::Event, "refer");
    notify.push(
        HeaderName::SubscriptionState,
        "terminated;reason=noresource",
    );
    notify.push(HeaderName::Contact, "<sip:1001x@x1.invalid;transport=ws>");
    notify.set_body("message/sipfrag;version=2.0", "SIP/2.0 200 OK\r\n".into());
    world.receive(call.browser, &notify);
    let told = world.expect_request(trunk(), &Method::Notify);
    assert_eq!(told.header(HeaderName::Event), Some("refer"));
    assert!(!text(&told).contains(".invalid"), "{}", text(&told));
    // Another browser is not let into the dialog, and the carrier no more than before.
    world.receive(trunk(), &Message::response_to(&told, 200, None));
    world.expect_status(call.browser, 200);
}
