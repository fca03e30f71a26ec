use std::time::Duration;

use super::*;
use crate::sip::limits::{NONCE_LIFETIME, NONCES_USED_MAX};

/// RFC 2617 section 3.5; the method there is GET, so only its shape is used.
const CHALLENGE: &str = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";

#[test]
fn computes_md5_without_qop_as_an_independent_implementation_does() {
    let challenge = Challenge::parse("Digest realm=\"example.com\", nonce=\"abc\"").unwrap();
    let answer = answer(
        &challenge,
        "alice",
        "secret",
        &Method::Register,
        "sip:example.com",
        1,
        "x",
    )
    .unwrap();
    assert_eq!(answer.response, "dbe98f00688a08a2dbda0b12e8c71319");
    assert_eq!(answer.qop, None);
}

#[test]
fn computes_qop_auth_with_a_hexadecimal_nonce_count() {
    let challenge = Challenge::parse(
        "Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\", algorithm=MD5",
    )
    .unwrap();
    let uri = "sip:[2001:db8::1]:5070;transport=ws";
    let md5 = answer(&challenge, "alice", "secret", &Method::Invite, uri, 10, "x").unwrap();
    assert_eq!(md5.nc.as_deref(), Some("0000000a"));
    assert_eq!(md5.response, "1413a5a4986c9c70eb864f92d2c3b2d7");
    let challenge = Challenge {
        algorithm: Some(Algorithm::Sha256),
        ..challenge
    };
    let sha = answer(&challenge, "alice", "secret", &Method::Invite, uri, 10, "x").unwrap();
    assert_eq!(
        sha.response,
        "d167b6d4e9d6a9db7e565c4549eaa666393017439672acf663bd739e10219034"
    );
}

#[test]
fn d10_computes_sha_512_256_as_an_independent_implementation_does() {
    let challenge = Challenge::parse(
        "Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\", algorithm=SHA-512-256",
    )
    .unwrap();
    let uri = "sip:example.com";
    let given = answer(
        &challenge,
        "alice",
        "secret",
        &Method::Register,
        uri,
        1,
        "x",
    )
    .unwrap();
    assert_eq!(given.algorithm, Some(Algorithm::Sha512Trunc256));
    assert_eq!(
        given.response,
        "4908fdfcd0e085f00a516e4d2a55006e469969cd35db6024bdc0f44b850974b2"
    );
    assert!(verify(&given, &Method::Register, "secret"));
}

#[test]
fn verifies_what_it_answered_and_nothing_else() {
    let challenge = Challenge::parse(CHALLENGE).unwrap();
    let given = answer(&challenge, "a\"b", "pw", &Method::Bye, "tel:+49", 1, "c").unwrap();
    let parsed = Credentials::parse(&given.to_string()).unwrap();
    assert_eq!(parsed.to_string(), given.to_string());
    assert!(verify(&parsed, &Method::Bye, "pw"));
    assert!(!verify(&parsed, &Method::Bye, "pw2"));
    assert!(!verify(&parsed, &Method::Invite, "pw"));
    let mut forged = parsed.clone();
    forged.nc = Some("00000002".to_owned());
    assert!(!verify(&forged, &Method::Bye, "pw"));
    forged = Credentials {
        response: String::new(),
        ..parsed.clone()
    };
    assert!(!verify(&forged, &Method::Bye, "pw"));
    forged = Credentials {
        qop: Some("auth-int".to_owned()),
        ..parsed.clone()
    };
    assert!(!verify(&forged, &Method::Bye, "pw"));
    forged = Credentials { nc: None, ..parsed };
    assert!(!verify(&forged, &Method::Bye, "pw"));
}

#[test]
fn does_not_answer_what_it_cannot_compute() {
    let can = |text: &str| {
        let challenge = Challenge::parse(text).unwrap();
        answer(&challenge, "a", "b", &Method::Invite, "sip:x", 1, "c").is_some()
    };
    assert!(can("Digest realm=\"r\", nonce=\"n\""));
    assert!(!can("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512"));
    assert!(!can("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""));
    assert!(Challenge::parse("Basic realm=\"r\"").is_none());
    assert!(Challenge::parse("Digest realm=\"r").is_none());
    assert!(Credentials::parse("Digest username=\"a\"").is_none());
    assert!(Credentials::parse("Bearer eyJ").is_none());
}

#[test]
fn prints_the_challenges_that_it_reads() {
    let challenge = Challenge::parse(CHALLENGE).unwrap();
    assert_eq!(challenge.qop, ["auth", "auth-int"]);
    assert_eq!(Challenge::parse(&challenge.to_string()), Some(challenge));
    let own = Challenge::new("a \"b\"", "n".to_owned(), Algorithm::Md5, true);
    assert_eq!(Challenge::parse(&own.to_string()), Some(own));
}

#[test]
fn keeps_the_response_out_of_debug() {
    let challenge = Challenge::parse(CHALLENGE).unwrap();
    let given = answer(&challenge, "alice", "pw", &Method::Bye, "sip:x", 1, "c").unwrap();
    assert!(!format!("{given:?}").contains(&given.response));
}

#[test]
fn nonces_age_and_cannot_be_made_up() {
    let mut nonces = Nonces::new(&[7; 32]);
    let at = Duration::from_secs;
    let nonce = nonces.make(at(1000), "realm");
    assert_eq!(nonces.check(&nonce, at(1000), "realm"), NonceState::Fresh);
    assert_eq!(nonces.check(&nonce, at(1300), "realm"), NonceState::Fresh);
    assert_eq!(nonces.check(&nonce, at(1301), "realm"), NonceState::Stale);
    assert_eq!(nonces.check(&nonce, at(996), "realm"), NonceState::Fresh);
    assert_eq!(nonces.check(&nonce, at(900), "realm"), NonceState::Stale);
    assert_eq!(nonces.check(&nonce, at(1000), "other"), NonceState::Foreign);
    let other = Nonces::new(&[8; 32]);
    assert_eq!(other.check(&nonce, at(1000), "realm"), NonceState::Foreign);
    for text in ["", "abc", "ééééééééé", "0000000000000000"] {
        assert_eq!(nonces.check(text, at(0), "realm"), NonceState::Foreign);
    }
}

#[test]
fn leaves_a_browser_only_what_it_can_answer() {
    let sha = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"";
    let md5 = "Digest realm=\"a,b\",nonce=\"n\", qop=\"auth-int, auth\" ,algorithm=md5";
    assert_eq!(
        browser_challenges([sha, md5]),
        ["Digest realm=\"a,b\",nonce=\"n\", qop=\"auth\",algorithm=md5"]
    );
    assert!(browser_challenges([sha]).is_empty());
    let only = "Digest realm=\"r\", qop=auth-int, nonce=\"n\"";
    assert_eq!(strip_auth_int(only), "Digest realm=\"r\", nonce=\"n\"");
    let plain = "Digest realm=\"r\", nonce=\"n\"";
    assert_eq!(strip_auth_int(plain), plain);
}

#[test]
fn d10_a_nonce_count_is_taken_once_and_in_order() {
    let mut nonces = Nonces::new(&[7; 32]);
    let at = Duration::from_secs(1000);
    let (first, second) = (nonces.make(at, "r"), nonces.make(at, "r"));
    assert_ne!(first, second, "made within one second");
    for (nonce, nc, state) in [
        (&first, 1, NonceState::Fresh),
        (&second, 1, NonceState::Fresh),
        (&first, 1, NonceState::Stale),
        (&first, 3, NonceState::Fresh),
        (&first, 2, NonceState::Stale),
        (&first, 0, NonceState::Stale),
        (&second, 2, NonceState::Fresh),
    ] {
        assert_eq!(nonces.count(nonce, nc, at, "r"), state, "{nc}");
    }
    let later = at + NONCE_LIFETIME + Duration::from_secs(1);
    assert_eq!(nonces.count(&first, 4, later, "r"), NonceState::Stale);
    let forged = format!("{}0", &first[..first.len() - 1]);
    assert_eq!(nonces.count(&forged, 9, at, "r"), NonceState::Foreign);
}

#[test]
fn d10_a_count_that_was_forgotten_is_not_taken_again() {
    let mut nonces = Nonces::new(&[7; 32]);
    let at = Duration::from_secs(1000);
    let first = nonces.make(at, "r");
    assert_eq!(nonces.count(&first, 1, at, "r"), NonceState::Fresh);
    for _ in 0..NONCES_USED_MAX {
        let nonce = nonces.make(at, "r");
        assert_eq!(nonces.count(&nonce, 1, at, "r"), NonceState::Fresh);
    }
    assert_eq!(nonces.remembered(), NONCES_USED_MAX);
    assert_eq!(nonces.count(&first, 1, at, "r"), NonceState::Stale);
}
