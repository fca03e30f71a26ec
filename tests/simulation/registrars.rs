//! Registrars that answer otherwise than RFC 3261 section 10.3 wants: without our Contact, with one
//! of their own, with all challenges in one line.

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::digest::{Challenge, Credentials, verify};
use control::sip::{HeaderName, Message, Method};
use tests::world::{CONFIG, World, text};

use crate::flows::path_world;
use crate::peers::{
    BROWSER_OFFER, CARRIER_OFFER, answer_to, browser_invite, carrier_invite, log_in, trunk,
};

/// Contacts of a 2xx that are none of ours, and for how long they count for us.
const ODD: [(&[&str], Option<&str>, u32); 7] = [
    (&[], None, 600),
    (&[], Some("300"), 300),
    (&[], Some("7200"), 600),
    (
        &["<sip:alice@127.0.0.1:39999;transport=udp>;expires=300"],
        None,
        300,
    ),
    (&["<sip:alice@127.0.0.1:39999>"], Some("120"), 120),
    (&["<sip:alice@127.0.0.1:39999>;expires=3600"], None, 600),
    (
        &[
            "<sip:a@192.0.2.7>;expires=60",
            "<sip:b@192.0.2.8>;expires=90",
        ],
        None,
        600,
    ),
];

/// Registers alice; gives her connection, and what the registrar and she saw.
fn register(
    world: &mut World,
    request: &Message,
    contacts: &[&str],
    expires: Option<&str>,
) -> (Peer, Message, Message) {
    let browser = world.browser();
    world.receive(browser, request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let mut granted = Message::response_to(&onward, 200, None);
    granted.set_to_tag("registrar");
    for contact in contacts {
        granted.push(HeaderName::Contact, *contact);
    }
    if let Some(expires) = expires {
        granted.push(HeaderName::Expires, expires);
    }
    world.receive(trunk(), &granted);
    let told = world.expect_status(browser, 200);
    (browser, onward, told)
}

fn alice() -> Message {
    World::register_message("alice", "carrier.test", "odd")
}

/// Does a call of alice's reach the carrier?
fn calls(world: &mut World, browser: Peer, n: u32) -> bool {
    let to = format!("bob{n}");
    let invite = browser_invite("alice", "carrier.test", &to, BROWSER_OFFER);
    world.receive(browser, &invite);
    world.expect_status(browser, 100);
    let onward = world.sent.iter().position(|(to, _)| *to == trunk());
    match onward {
        None => {
            world.expect_status(browser, 403);
            false
        }
        Some(_) => {
            let onward = world.expect_request(trunk(), &Method::Invite);
            world.receive(trunk(), &answer_to(&onward, 486, "b", None));
            world.expect_request(trunk(), &Method::Ack);
            world.expect_status(browser, 486);
            true
        }
    }
}

/// Does a call to our Contact at the carrier reach alice?
fn is_called(world: &mut World, browser: Peer, onward: &Message) {
    let contact = onward.header(HeaderName::Contact).unwrap();
    let uri = contact.trim_start_matches('<').split('>').next().unwrap();
    world.receive(trunk(), &carrier_invite(uri, CARRIER_OFFER));
    world.expect_status(trunk(), 100);
    world.expect_request(browser, &Method::Invite);
}

#[test]
fn case_d41b_suite_s13_what_was_asked_for_counts_where_our_contact_is_not_listed() {
    for (contacts, expires, granted) in ODD {
        let mut world = World::new();
        let (browser, onward, told) = register(&mut world, &alice(), contacts, expires);
        let own: Vec<&str> = told
            .values(HeaderName::Contact)
            .filter(|contact| contact.contains("alicex@x1.invalid"))
            .collect();
        let expected = format!("expires={granted}");
        let [own] = own.as_slice() else {
            panic!("{}", text(&told));
        };
        assert!(own.ends_with(&expected), "{own} {contacts:?}");
        // Of one, nothing but the browser's own is left; of several the others are shown.
        let others = contacts.len().saturating_sub(1) + usize::from(contacts.len() > 1);
        assert_eq!(told.values(HeaderName::Contact).count(), 1 + others);
        assert!(calls(&mut world, browser, 1));
        is_called(&mut world, browser, &onward);
        let said = |line: &&String| line.contains("ContactMissing");
        assert_eq!(world.logged.iter().filter(said).count(), 1);
        // For so long, and no longer.
        world.advance(Duration::from_secs(u64::from(granted) + 1));
        world.sent.clear();
        assert!(!calls(&mut world, browser, 2));
    }
}

#[test]
fn suite_s13_it_is_said_once_of_a_trunk_and_a_refresh_renews() {
    let mut world = World::new();
    let (browser, _, _) = register(&mut world, &alice(), &[], None);
    for n in 2..5 {
        world.advance(Duration::from_secs(400));
        world.sent.clear();
        let mut refresh = alice();
        let via = format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bKref{n}");
        refresh.set(HeaderName::Via, via);
        refresh.set(HeaderName::CSeq, format!("{n} REGISTER"));
        world.receive(browser, &refresh);
        let onward = world.expect_request(trunk(), &Method::Register);
        world.receive(trunk(), &Message::response_to(&onward, 200, None));
        world.expect_status(browser, 200);
        assert!(calls(&mut world, browser, n));
    }
    let said = |line: &&String| line.contains("ContactMissing");
    assert_eq!(world.logged.iter().filter(said).count(), 1);
}

#[test]
fn suite_s13_path_mode_is_the_same() {
    for (contacts, expires, granted) in ODD {
        let mut world = path_world();
        let (browser, _, told) = register(&mut world, &alice(), contacts, expires);
        let shown = text(&told);
        assert!(
            shown.contains("sip:alicex@x1.invalid;transport=ws"),
            "{shown}"
        );
        assert!(shown.contains(&format!("expires={granted}")), "{shown}");
        assert!(calls(&mut world, browser, 1));
    }
}

#[test]
fn suite_s13_who_takes_its_registration_back_is_gone() {
    for star in [false, true] {
        let mut world = World::new();
        let (browser, _, _) = register(&mut world, &alice(), &[], None);
        let mut gone = alice();
        gone.set(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKgone");
        gone.set(HeaderName::CSeq, "2 REGISTER");
        gone.set(HeaderName::Expires, "0");
        let contact = gone.header(HeaderName::Contact).unwrap().to_owned();
        let contact = match star {
            true => "*".to_owned(),
            false => contact.replace("expires=600", "expires=0"),
        };
        gone.set(HeaderName::Contact, contact);
        world.receive(browser, &gone);
        let onward = world.expect_request(trunk(), &Method::Register);
        world.receive(trunk(), &Message::response_to(&onward, 200, None));
        let told = world.expect_status(browser, 200);
        assert_eq!(told.header(HeaderName::Contact), None);
        assert!(!calls(&mut world, browser, 1));
    }
}

#[test]
fn suite_s13_a_question_registers_nobody() {
    let mut world = World::new();
    let mut question = alice();
    question.remove(HeaderName::Contact);
    let (browser, _, told) = register(&mut world, &question, &["<sip:a@192.0.2.7>"], None);
    assert_eq!(told.values(HeaderName::Contact).count(), 1);
    assert!(!calls(&mut world, browser, 1));
    // Nor does an answer that lists our Contact as ended.
    let (browser, _, _) = register(&mut world, &alice(), &["<sip:a@192.0.2.7>;expires=0"], None);
    assert!(!calls(&mut world, browser, 2));
}

#[test]
fn suite_s13_of_two_contacts_the_one_that_is_not_listed_is_not_bound() {
    let mut world = World::new();
    let browser = world.browser();
    let mut request = alice();
    let second = "<sip:other@x1.invalid;transport=ws>;expires=600";
    request.push(HeaderName::Contact, second);
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    let contacts: Vec<&str> = onward.values(HeaderName::Contact).collect();
    let mut granted = Message::response_to(&onward, 200, None);
    granted.push(HeaderName::Contact, contacts[0]);
    world.receive(trunk(), &granted);
    let told = world.expect_status(browser, 200);
    assert_eq!(told.values(HeaderName::Contact).count(), 1);
    let uri = contacts[1]
        .trim_start_matches('<')
        .split('>')
        .next()
        .unwrap();
    world.receive(trunk(), &carrier_invite(uri, CARRIER_OFFER));
    world.expect_status(trunk(), 100);
    world.expect_status(trunk(), 480);
}

fn account(keys: &str) -> String {
    let account = format!("username = \"t1\"\npassword = \"trunk secret\"\n{keys}\n[[realm]]");
    CONFIG.replacen("[[realm]]", &account, 1)
}

#[test]
fn case_d41b_an_account_is_refreshed_in_time_whatever_contact_comes_back() {
    for (contacts, expires, before) in [
        (vec!["<sip:other@192.0.2.1>;expires=120"], None, 120),
        (vec![], Some("120"), 120),
        (vec![], None, 3600),
    ] {
        let mut world = World::with_config(&account("register = true"));
        world.advance(Duration::from_secs(1));
        let onward = world.expect_request(trunk(), &Method::Register);
        // It was repeated.
        world.sent.clear();
        let mut granted = Message::response_to(&onward, 200, None);
        for contact in contacts {
            granted.push(HeaderName::Contact, contact);
        }
        if let Some(expires) = expires {
            granted.push(HeaderName::Expires, expires);
        }
        world.receive(trunk(), &granted);
        world.advance(Duration::from_secs(before / 10));
        world.expect_silence(trunk());
        world.advance(Duration::from_secs(before));
        world.expect_request(trunk(), &Method::Register);
    }
}

/// All challenges in one line, the one that a browser knows at any place.
const ONE_LINE: [&str; 4] = [
    "Digest realm=\"carrier, test\", nonce=\"1\", algorithm=SHA-256, qop=\"auth\", \
     Digest realm=\"carrier, test\", nonce=\"2\", algorithm=MD5, qop=\"auth\"",
    "Digest realm=\"carrier, test\",nonce=\"2\",algorithm=MD5,qop=\"auth,auth-int\",\
     Digest realm = \"carrier, test\", nonce=\"1\", algorithm=SHA-256",
    "Bearer realm=\"x\", Negotiate, digest algorithm=MD5, nonce=\"2\", realm=\"carrier, test\"",
    "Digest realm=\"carrier, test\", nonce=\"2\", qop=\"auth\", Digest realm=\"b\", nonce=\"3\"",
];

#[test]
fn case_d53_a_browser_is_told_the_md5_challenge_of_one_line_with_several() {
    for value in ONE_LINE {
        let mut world = World::new();
        let browser = world.browser();
        world.receive(browser, &alice());
        let onward = world.expect_request(trunk(), &Method::Register);
        let mut refused = Message::response_to(&onward, 401, None);
        refused.push(HeaderName::WwwAuthenticate, value);
        world.receive(trunk(), &refused);
        let told = world.expect_status(browser, 401);
        let first = told.headers(HeaderName::WwwAuthenticate).next().unwrap();
        let challenge = Challenge::parse(first).unwrap();
        assert_eq!(
            (challenge.realm.as_str(), challenge.nonce.as_str()),
            ("carrier, test", "2")
        );
        assert!(
            !first.contains("SHA-256") && !first.contains("auth-int"),
            "{first}"
        );
    }
}

#[test]
fn case_d53_a_call_and_an_account_are_challenged_in_one_line_too() {
    for value in ONE_LINE {
        let mut world = World::new();
        let (browser, _, _) = register(&mut world, &alice(), &[], None);
        let invite = browser_invite("alice", "carrier.test", "bob", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let mut refused = Message::response_to(&onward, 407, None);
        refused.push(HeaderName::ProxyAuthenticate, value);
        world.receive(trunk(), &refused);
        world.expect_request(trunk(), &Method::Ack);
        let told = world.expect_status(browser, 407);
        let first = told.headers(HeaderName::ProxyAuthenticate).next().unwrap();
        assert_eq!(Challenge::parse(first).unwrap().nonce, "2");

        let mut world = World::with_config(&account("auth_realm = \"carrier, test\""));
        let browser = log_in(&mut world, "1001", "secret-one");
        let invite = browser_invite("1001", "lines.test", "5551234", BROWSER_OFFER);
        world.receive(browser, &invite);
        world.expect_status(browser, 100);
        let onward = world.expect_request(trunk(), &Method::Invite);
        let mut refused = Message::response_to(&onward, 407, None);
        refused.push(HeaderName::ProxyAuthenticate, value);
        world.receive(trunk(), &refused);
        world.expect_request(trunk(), &Method::Ack);
        let again = world.expect_request(trunk(), &Method::Invite);
        let given = again.header(HeaderName::ProxyAuthorization).unwrap();
        let given = Credentials::parse(given).unwrap();
        assert!(verify(&given, &Method::Invite, "trunk secret"));
    }
}
