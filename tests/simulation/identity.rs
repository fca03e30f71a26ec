//! Access tokens: the identity of a connection, by the handshake or by SIP (W21, D20; RFC 8898).

use std::time::Duration;

use control::engine::input::Peer;
use control::sip::{HeaderName, Message, Method};
use control::token::Identity;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use tests::world::{CONFIG, UNIX_S, World, text};

use crate::peers::{log_in, trunk};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn world(required: &str) -> World {
    World::with_config(&format!(
        "{CONFIG}\n[web.token]\nsecret = \"{SECRET}\"\nrequired = \"{required}\"\n\
         issuer = \"https://login.test\""
    ))
}

fn token(user: &str, lasts_s: u64) -> String {
    let claims = serde_json::json!({
        "sub": user, "iss": "https://login.test", "exp": UNIX_S + lasts_s
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn register(user: &str, domain: &str, token: Option<&str>) -> Message {
    let call_id = format!("reg-{user}-{}", token.map_or(0, str::len));
    let mut request = World::register_message(user, domain, &call_id);
    if let Some(token) = token {
        request.push(HeaderName::Authorization, format!("Bearer {token}"));
    }
    request
}

fn browser_of(world: &mut World, user: &str, domain: &str) -> Peer {
    world.browser_of(Some(Identity::new(user, domain)))
}

fn message_from(from: &str, to: &str) -> Message {
    let mut message = Message::request(Method::Message, &format!("sip:{to}"));
    message.push(HeaderName::Via, "SIP/2.0/WSS x1.invalid;branch=z9hG4bKm");
    message.push(HeaderName::From, format!("<sip:{from}>;tag=m"));
    message.push(HeaderName::To, format!("<sip:{to}>"));
    message.push(HeaderName::CallId, "m");
    message.push(HeaderName::CSeq, "1 MESSAGE");
    message.push(HeaderName::MaxForwards, "70");
    message
}

#[test]
fn w21_a_connection_with_a_token_needs_no_password_of_its_line() {
    let mut world = world("handshake");
    let browser = browser_of(&mut world, "1001", "lines.test");
    world.receive(browser, &register("1001", "lines.test", None));
    world.expect_status(browser, 200);
    // Not registered, and no password either.
    let other = browser_of(&mut world, "1002", "lines.test");
    let text = message_from("1002@lines.test", "9196@lines.test");
    world.receive(other, &text);
    world.expect_status(other, 200);
}

#[test]
fn w21_requests_of_another_identity_are_forbidden() {
    let mut world = world("handshake");
    let browser = browser_of(&mut world, "alice", "carrier.test");
    let cases = [
        (HeaderName::From, "<sip:bob@carrier.test>;tag=x"),
        (HeaderName::From, "<sip:alice@other.test>;tag=x"),
        (HeaderName::From, "<tel:+15551234>;tag=x"),
        (HeaderName::To, "<sip:bob@carrier.test>"),
        (HeaderName::PAssertedIdentity, "<sip:bob@carrier.test>"),
        (
            HeaderName::PPreferredIdentity,
            "<sip:alice@carrier.test>, <tel:+15551234>",
        ),
    ];
    for (n, (name, value)) in cases.into_iter().enumerate() {
        let mut request = register("alice", "carrier.test", None);
        request.set(HeaderName::CallId, format!("forged{n}"));
        request.set(
            HeaderName::Via,
            format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{n}"),
        );
        request.set(&name, value);
        world.receive(browser, &request);
        world.expect_status(browser, 403);
    }
    world.expect_silence(trunk());
    let mut request = register("alice", "carrier.test", None);
    request.push(
        HeaderName::PPreferredIdentity,
        "\"A\" <sip:alice@CARRIER.test>",
    );
    world.receive(browser, &request);
    world.expect_request(trunk(), &Method::Register);
    // Whom a request other than REGISTER is for does not matter.
    let text = message_from("alice@carrier.test", "bob@carrier.test");
    world.receive(browser, &text);
    let refused = world.expect(browser);
    assert_eq!(refused.status(), Some(403), "not registered yet");
    assert!(
        world
            .logged
            .iter()
            .any(|line| line.contains("not registered at the trunk")),
        "{:#?}",
        world.logged
    );
}

#[test]
fn d20_a_bearer_token_in_a_register_binds_the_connection() {
    let mut world = world("request");
    let browser = world.browser();
    world.receive(browser, &register("1001", "lines.test", None));
    let challenge = world.expect_status(browser, 401);
    assert_eq!(
        challenge.header(HeaderName::WwwAuthenticate),
        Some("Bearer realm=\"lines.test\", authz_server=\"https://login.test\"")
    );
    let bearer = token("1001@lines.test", 60);
    world.receive(browser, &register("1001", "lines.test", Some(&bearer)));
    world.expect_status(browser, 200);
    // From now on the connection is 1001's.
    let longer = token("sip:1002@lines.test", 600);
    world.receive(browser, &register("1002", "lines.test", Some(&longer)));
    world.expect_status(browser, 403);
    let mut again = register("1001", "lines.test", None);
    again.set(HeaderName::CallId, "again");
    world.advance(Duration::from_secs(3000));
    world.receive(browser, &again);
    world.expect_status(browser, 200);
}

#[test]
fn d20_a_token_that_is_not_valid_is_answered_401_with_the_error() {
    let mut world = world("never");
    let browser = world.browser();
    world.advance(Duration::from_secs(100));
    for token in [token("1001@lines.test", 60), "garbage".to_owned()] {
        world.receive(browser, &register("1001", "lines.test", Some(&token)));
        let challenge = world.expect_status(browser, 401);
        let value = challenge.header(HeaderName::WwwAuthenticate).unwrap();
        assert!(value.contains("error=\"invalid_token\""), "{value}");
    }
    let bob = token("1002@lines.test", 600);
    world.receive(browser, &register("1001", "lines.test", Some(&bob)));
    world.expect_status(browser, 403);
}

#[test]
fn d20_a_token_does_not_reach_the_carrier_but_its_digest_does() {
    let mut world = world("request");
    let browser = world.browser();
    let mut request = register(
        "alice",
        "carrier.test",
        Some(&token("alice@carrier.test", 60)),
    );
    let digest = "Digest username=\"alice\", realm=\"carrier.test\", nonce=\"n\", \
                  uri=\"sip:carrier.test\", response=\"00000000000000000000000000000000\"";
    request.push(HeaderName::Authorization, digest);
    world.receive(browser, &request);
    let onward = world.expect_request(trunk(), &Method::Register);
    assert!(!text(&onward).contains("Bearer"), "{}", text(&onward));
    assert_eq!(onward.header(HeaderName::Authorization), Some(digest));
}

#[test]
fn w21_passwords_still_do_where_tokens_are_not_required() {
    let mut world = world("never");
    log_in(&mut world, "1001", "secret-one");
}

#[test]
fn without_a_token_section_bearer_credentials_are_the_carrier_s() {
    let mut world = World::new();
    let browser = world.browser();
    world.receive(browser, &register("alice", "carrier.test", Some("a.b.c")));
    let onward = world.expect_request(trunk(), &Method::Register);
    assert_eq!(
        onward.header(HeaderName::Authorization),
        Some("Bearer a.b.c")
    );
}
