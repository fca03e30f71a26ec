//! The built-in lines: who may register, how often it may be tried, and who is called.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::digest::{self, Challenge};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::peers::{
    BROWSER_ANSWER, BROWSER_OFFER, answer_to, browser_invite, in_dialog, log_in, with_credentials,
};

fn register(n: u32) -> Message {
    World::register_message("1001", "lines.test", &format!("line{n}"))
}

/// One attempt with this password; gives the status.
fn attempt(world: &mut World, browser: Peer, n: u32, password: &str) -> Message {
    let request = register(n);
    world.receive(browser, &request);
    let first = world.expect(browser);
    if first.status() != Some(401) {
        return first;
    }
    world.receive(
        browser,
        &with_credentials(&request, &first, "1001", password),
    );
    world.expect(browser)
}

fn sent_with(world: &mut World, browser: Peer, request: &Message, credentials: String, n: u32) {
    let mut retry = request.clone();
    retry.set(
        HeaderName::Via,
        format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKtry{n}"),
    );
    retry.push(HeaderName::Authorization, credentials);
    world.receive(browser, &retry);
}

/// The algorithms that the answer to a registration offers, with their challenges.
fn offered(world: &mut World, browser: Peer, request: &Message) -> Vec<(String, Challenge)> {
    world.receive(browser, request);
    let answer = world.expect_status(browser, 401);
    let challenges = answer
        .headers(HeaderName::WwwAuthenticate)
        .filter_map(Challenge::parse);
    challenges
        .map(|challenge| {
            let algorithm = challenge.algorithm.as_ref();
            let name = algorithm.map_or("", digest::Algorithm::as_str);
            (name.to_owned(), challenge)
        })
        .collect()
}

#[test]
fn d10_lines_offer_what_every_browser_knows_and_nothing_beside_it() {
    // JsSIP reads the last challenge, SIP.js the first, and neither knows SHA-256.
    let mut world = World::new();
    let browser = world.browser();
    let offered = offered(&mut world, browser, &register(1));
    let names: Vec<&str> = offered.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["MD5"]);
}

#[test]
fn d10_lines_offer_sha_256_in_front_where_it_is_asked_for() {
    let mut world = World::with_config(&CONFIG.replace("[lines]", "[lines]\nsha256 = true"));
    let browser = world.browser();
    let request = register(1);
    let offered = offered(&mut world, browser, &request);
    let names: Vec<&str> = offered.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["SHA-256", "MD5"]);
    let uri = request.request_uri().unwrap();
    let answer = |password| {
        let method = Method::Register;
        digest::answer(&offered[0].1, "1001", password, &method, uri, 1, "c").unwrap()
    };
    sent_with(
        &mut world,
        browser,
        &request,
        answer("guess").to_string(),
        1,
    );
    world.expect_status(browser, 403);
    sent_with(
        &mut world,
        browser,
        &request,
        answer("secret-one").to_string(),
        2,
    );
    world.expect_status(browser, 200);
}

#[test]
fn d10_what_was_seen_once_opens_nothing_again() {
    let mut world = World::new();
    let browser = world.browser();
    let request = register(1);
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    let value = challenge.header(HeaderName::WwwAuthenticate).unwrap();
    let parsed = Challenge::parse(value).unwrap();
    let answer = |nc| {
        let uri = request.request_uri().unwrap();
        let method = Method::Register;
        digest::answer(&parsed, "1001", "secret-one", &method, uri, nc, "c").unwrap()
    };
    let thief = world.browser();
    sent_with(&mut world, browser, &request, answer(1).to_string(), 1);
    world.expect_status(browser, 200);
    sent_with(&mut world, thief, &request, answer(1).to_string(), 2);
    let refused = world.expect_status(thief, 401);
    assert!(text(&refused).contains("stale=true"), "{}", text(&refused));
    // Its owner counts on.
    sent_with(&mut world, browser, &request, answer(2).to_string(), 3);
    world.expect_status(browser, 200);
    // Without a count, everything could be replayed.
    let mut plain = parsed.clone();
    plain.qop.clear();
    let uri = request.request_uri().unwrap();
    let bare = digest::answer(&plain, "1001", "secret-one", &Method::Register, uri, 1, "c");
    sent_with(&mut world, thief, &request, bare.unwrap().to_string(), 4);
    world.expect_status(thief, 401);
}

#[test]
fn lines_who_guesses_waits_and_who_is_registered_does_not() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let thief = world.browser();
    for n in 0..6 {
        assert_eq!(attempt(&mut world, thief, n, "guess").status(), Some(403));
    }
    // Not even the right one is looked at.
    let refused = attempt(&mut world, thief, 10, "secret-one");
    assert_eq!(refused.status(), Some(503));
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    // The same address: an office; the tab that is registered goes on.
    let refreshed = attempt(&mut world, alice, 11, "secret-one");
    assert_eq!(refreshed.status(), Some(200));
    world.advance(Duration::from_secs(2));
    assert_eq!(
        attempt(&mut world, thief, 12, "secret-one").status(),
        Some(200)
    );
}

#[test]
fn lines_guessing_which_lines_exist_is_counted_too() {
    let mut world = World::new();
    let thief = world.browser();
    for n in 0..6 {
        let user = format!("19{n:02}");
        let request = World::register_message(&user, "lines.test", &format!("scan{n}"));
        world.receive(thief, &request);
        world.expect_status(thief, 404);
    }
    assert_eq!(
        attempt(&mut world, thief, 9, "secret-one").status(),
        Some(503)
    );
}

#[test]
fn lines_a_registration_for_too_short_a_time_is_a_423() {
    let mut world = World::new();
    let browser = log_in(&mut world, "1001", "secret-one");
    let mut request = register(1);
    let contact = request.header(HeaderName::Contact).unwrap();
    let contact = contact.replace("expires=600", "expires=10");
    request.set(HeaderName::Contact, contact);
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    let retry = with_credentials(&request, &challenge, "1001", "secret-one");
    world.receive(browser, &retry);
    let refusal = world.expect_status(browser, 423);
    assert_eq!(refusal.header(HeaderName::MinExpires), Some("30"));
}

#[test]
fn lines_several_tabs_are_bound_and_one_that_is_gone_is_not_shown() {
    let mut world = World::new();
    let first = log_in(&mut world, "1001", "secret-one");
    let second = world.browser();
    let mut other = register(2);
    let contact = other.header(HeaderName::Contact).unwrap();
    let contact = contact.replace("8000-", "8001-").replace("x1.", "x2.");
    other.set(HeaderName::Contact, contact);
    let tab = |world: &mut World| {
        world.receive(second, &other);
        let challenge = world.expect_status(second, 401);
        let retry = with_credentials(&other, &challenge, "1001", "secret-one");
        world.receive(second, &retry);
        let granted = world.expect_status(second, 200);
        granted.headers(HeaderName::Contact).count()
    };
    assert_eq!(tab(&mut world), 2);
    world.disconnect(first);
    other.set(HeaderName::Via, "SIP/2.0/WSS x2.invalid;branch=z9hG4bKtwo");
    world.receive(second, &other);
    let challenge = world.expect_status(second, 401);
    let mut retry = with_credentials(&other, &challenge, "1001", "secret-one");
    retry.set(
        HeaderName::Via,
        "SIP/2.0/WSS x2.invalid;branch=z9hG4bKthree",
    );
    world.receive(second, &retry);
    let granted = world.expect_status(second, 200);
    assert_eq!(granted.headers(HeaderName::Contact).count(), 1);
}

#[test]
fn o7_a_line_that_registers_again_takes_its_dialogs_along_and_no_others() {
    let mut world = World::new();
    // Two users share a connection: only one of them moves.
    let shared = log_in(&mut world, "1001", "secret-one");
    let request = World::register_message("1002", "lines.test", "reg-two");
    world.receive(shared, &request);
    let challenge = world.expect_status(shared, 401);
    world.receive(
        shared,
        &with_credentials(&request, &challenge, "1002", "secret-two"),
    );
    world.expect_status(shared, 200);
    let mut calls = Vec::new();
    for (from, branch) in [("1001", "one"), ("1002", "two")] {
        let mut invite = browser_invite(from, "lines.test", "9196", BROWSER_OFFER);
        invite.set(
            HeaderName::Via,
            format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{branch}"),
        );
        world.receive(shared, &invite);
        world.expect_status(shared, 100);
        let accepted = world.expect_status(shared, 200);
        world.receive(shared, &in_dialog(&invite, &accepted, &Method::Ack, 0));
        calls.push(invite);
    }
    world.complete_handshakes();
    world.disconnect(shared);
    let back = log_in(&mut world, "1001", "secret-one");
    // The gateway stops: each dialog gets its BYE where its user is.
    world.input(control::engine::input::Input::Stop);
    let bye = world.expect_request(back, &Method::Bye);
    assert_eq!(bye.call_id(), calls[0].call_id());
    world.expect_silence(back);
}

#[test]
fn o7_a_called_line_is_found_again_too() {
    let mut world = World::new();
    let alice = log_in(&mut world, "1001", "secret-one");
    let bob = log_in(&mut world, "1002", "secret-two");
    let invite = browser_invite("1001", "lines.test", "1002", BROWSER_OFFER);
    world.receive(alice, &invite);
    world.expect_status(alice, 100);
    let onward = world.expect_request(bob, &Method::Invite);
    world.receive(bob, &answer_to(&onward, 200, "bob1", Some(BROWSER_ANSWER)));
    world.expect_request(bob, &Method::Ack);
    let accepted = world.expect_status(alice, 200);
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Ack, 0));
    world.complete_handshakes();
    world.disconnect(bob);
    let back = log_in(&mut world, "1002", "secret-two");
    world.receive(alice, &in_dialog(&invite, &accepted, &Method::Bye, 1));
    world.expect_status(alice, 200);
    let bye = world.expect_request(back, &Method::Bye);
    assert_eq!(bye.call_id(), onward.call_id());
}

/// One attempt to register 1001 with this user name; gives the status.
fn log_in_as(world: &mut World, n: u32, username: &str) -> Option<u16> {
    let browser = world.browser();
    let request = register(n);
    world.receive(browser, &request);
    let challenge = world.expect_status(browser, 401);
    let retry = with_credentials(&request, &challenge, username, "secret-one");
    world.receive(browser, &retry);
    world.expect(browser).status()
}

#[test]
fn ux_g3_a_private_identity_with_a_domain_is_the_line() {
    let mut world = World::new();
    for (n, username) in [(1, "1001"), (2, "1001@lines.test"), (3, "1001@LINES.test")] {
        assert_eq!(log_in_as(&mut world, n, username), Some(200), "{username}");
    }
    for (n, username) in [
        (11, "1001@carrier.test"),
        (12, "1002@lines.test"),
        (13, "1001@lines.test@lines.test"),
        (14, "@lines.test"),
    ] {
        assert_eq!(log_in_as(&mut world, n, username), Some(403), "{username}");
    }
    // The realm will do as well, where it is another name, and an alias.
    let text = CONFIG.replace(
        "domain = \"lines.test\"",
        "domain = \"lines.test\"\nrealm = \"house\"\naliases = [\"phones.test\"]",
    );
    let mut world = World::with_config(&text);
    for (n, username) in [(1, "1001@house"), (2, "1001@phones.test")] {
        assert_eq!(log_in_as(&mut world, n, username), Some(200), "{username}");
    }
}

#[test]
fn ux_g7_lines_are_known_by_the_address_of_the_server_and_by_aliases() {
    let text = CONFIG.replace(
        "domain = \"lines.test\"",
        "domain = \"lines.test\"\naliases = [\"Phones.test\"]",
    );
    let mut world = World::with_config(&text);
    for (n, domain) in ["192.0.2.1", "phones.test", "lines.test"]
        .into_iter()
        .enumerate()
    {
        let browser = world.browser();
        let request = World::register_message("1001", domain, &format!("alias{n}"));
        world.receive(browser, &request);
        let challenge = world.expect_status(browser, 401);
        let retry = with_credentials(&request, &challenge, "1001", "secret-one");
        world.receive(browser, &retry);
        world.expect_status(browser, 200);
        // It calls by that name, and is called by it.
        let mut invite = browser_invite("1001", domain, "1002", BROWSER_OFFER);
        invite.set(HeaderName::CallId, format!("call{n}"));
        let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKcall{n}");
        invite.set(HeaderName::Via, via);
        let callee = log_in(&mut world, "1002", "secret-two");
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(callee, &Method::Invite);
        assert!(onward.header(HeaderName::From).unwrap().contains("1001@"));
        world.receive(callee, &answer_to(&onward, 486, "b", None));
        world.expect_status(browser, 486);
        world.sent.clear();
    }
    let browser = world.browser();
    let stranger = World::register_message("1001", "other.test", "stranger");
    world.receive(browser, &stranger);
    assert_ne!(world.expect(browser).status(), Some(401));
}
