//! What an account answers to challenges of whoever calls us: nothing for a realm that nobody knows.

use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_OFFER, CARRIER_ANSWER, answer_to, browser_invite, carrier_talks, in_dialog,
    in_dialog_of_callee, log_in, trunk,
};

fn world(keys: &str) -> World {
    let account = format!("username = \"t1\"\npassword = \"trunk secret\"\n{keys}\n[[realm]]");
    World::with_config(&CONFIG.replacen("[[realm]]", &account, 1))
}

fn challenge(request: &Message, realm: &str) -> Message {
    let mut response = answer_to(request, 407, "challenger", None);
    let value = format!("Digest realm=\"{realm}\", nonce=\"n1\", qop=\"auth\"");
    response.push(HeaderName::ProxyAuthenticate, value);
    response
}

/// Ends a call that came in; gives our BYE.
fn bye(world: &mut World) -> Message {
    let call = carrier_talks(world);
    let bye = in_dialog_of_callee(&call.onward, "alice1", &Method::Bye);
    world.receive(call.browser, &bye);
    world.expect_status(call.browser, 200);
    world.expect_request(trunk(), &Method::Bye)
}

#[test]
fn suite_digest_leak_a_bye_in_a_call_that_came_in_answers_no_unknown_realm() {
    let mut world = world("");
    let bye = bye(&mut world);
    world.receive(trunk(), &challenge(&bye, "evil"));
    world.expect_silence(trunk());
    // Nor is anything told of it later.
    let browser = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1002", "lines.test", "5551234", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    assert!(!text(&onward).contains("Digest"), "{}", text(&onward));
}

#[test]
fn suite_digest_leak_a_reinvite_and_an_info_in_such_a_call_answer_none_either() {
    for method in [Method::Invite, Method::Info] {
        let mut world = world("");
        let call = carrier_talks(&mut world);
        let mut request = in_dialog_of_callee(&call.onward, "alice1", &method);
        request.push(HeaderName::Contact, "<sip:1001x@x1.invalid;transport=ws>");
        if method == Method::Invite {
            let offer = crate::peers::BROWSER_ANSWER.replace("a=sendrecv", "a=sendonly");
            request.set_body("application/sdp", offer.into());
        } else {
            request.set_body("text/plain", "x".into());
        }
        world.receive(call.browser, &request);
        let sent = world
            .sent
            .iter()
            .position(|(to, m)| *to == trunk() && m.is_request());
        let Some((_, onward)) = sent.and_then(|at| world.sent.remove(at)) else {
            panic!("{:?}", world.sent);
        };
        world.receive(trunk(), &challenge(&onward, "evil"));
        let leaks = |(_, m): &(_, Message)| text(m).contains("Digest username");
        assert!(!world.sent.iter().any(leaks), "{:?}", world.sent);
    }
}

#[test]
fn suite_digest_leak_a_realm_that_is_configured_or_was_asked_for_is_answered() {
    let mut configured = world("auth_realm = \"carrier\"");
    let first = bye(&mut configured);
    configured.receive(trunk(), &challenge(&first, "carrier"));
    let again = configured.expect_request(trunk(), &Method::Bye);
    assert!(again.header(HeaderName::ProxyAuthorization).is_some());

    let mut learned = world("");
    let browser = log_in(&mut learned, "1002", "secret-two");
    let invite = browser_invite("1002", "lines.test", "5551234", BROWSER_OFFER);
    learned.receive(browser, &invite);
    learned.expect_status(browser, 100);
    let onward = learned.expect_request(trunk(), &Method::Invite);
    learned.receive(trunk(), &challenge(&onward, "carrier"));
    learned.expect_request(trunk(), &Method::Ack);
    let again = learned.expect_request(trunk(), &Method::Invite);
    learned.receive(trunk(), &answer_to(&again, 486, "b", None));
    learned.sent.clear();
    let mut first = bye(&mut learned);
    // It brings the credentials in advance; the nonce is old.
    first.remove(HeaderName::ProxyAuthorization);
    learned.receive(trunk(), &challenge(&first, "carrier"));
    learned.expect_request(trunk(), &Method::Bye);
}

#[test]
fn suite_digest_leak_a_call_of_ours_answers_whoever_it_called() {
    let mut world = world("");
    let browser = log_in(&mut world, "1001", "secret-one");
    let invite = browser_invite("1001", "lines.test", "5551234", BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.expect_request(trunk(), &Method::Invite);
    let taken = answer_to(&onward, 200, "b", Some(CARRIER_ANSWER));
    world.receive(trunk(), &taken);
    world.expect_request(trunk(), &Method::Ack);
    let accepted = world.expect_status(browser, 200);
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.receive(browser, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(browser, 200);
    let bye = world.expect_request(trunk(), &Method::Bye);
    world.receive(trunk(), &challenge(&bye, "carrier"));
    let again = world.expect_request(trunk(), &Method::Bye);
    assert!(again.header(HeaderName::ProxyAuthorization).is_some());
}
