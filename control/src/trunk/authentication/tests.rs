use bytes::Bytes;

use super::*;
use crate::sip::digest::{Algorithm, verify};

fn account() -> AccountConfig {
    AccountConfig {
        username: "t1".to_owned(),
        auth_username: "auth-t1".to_owned(),
        password: "secret".to_owned().into(),
        realm: None,
        calls_to: None,
        register_expires: None,
    }
}

/// The account of a trunk, for a request with which we began something.
fn any(number: usize) -> Account {
    Account {
        number,
        known_realms_only: false,
    }
}

fn invite() -> Message {
    let mut request = Message::request(Method::Invite, "sip:1@example.com");
    request.push(HeaderName::From, "<sip:t1@example.com>;tag=a");
    request.push(HeaderName::To, "<sip:1@example.com>");
    request.push(HeaderName::CallId, "c");
    request.push(HeaderName::CSeq, "1 INVITE");
    request
}

fn refusal(headers: &str) -> Message {
    let text = format!(
        "SIP/2.0 407 Proxy Authentication Required\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
         From: <sip:t1@example.com>;tag=a\r\nTo: <sip:1@example.com>;tag=b\r\nCall-ID: c\r\n\
         CSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn proxy(realm: &str, more: &str) -> Message {
    refusal(&format!(
        "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n1\", qop=\"auth\"{more}\r\n"
    ))
}

fn given(request: &Message, name: HeaderName) -> Vec<Credentials> {
    request
        .headers(name)
        .filter_map(Credentials::parse)
        .collect()
}

#[test]
fn d10_a_challenge_is_answered_and_then_in_advance_with_a_rising_count() {
    let (mut known, account) = (Authenticator::default(), account());
    let mut request = invite();
    known.authorize(0, &account, &mut request, "x");
    assert!(given(&request, HeaderName::ProxyAuthorization).is_empty());
    assert!(known.challenged((any(0), &account), &request, &proxy("r", ""), 0));
    for count in ["00000001", "00000002"] {
        let mut request = invite();
        known.authorize(0, &account, &mut request, "x");
        let all = given(&request, HeaderName::ProxyAuthorization);
        let [credentials] = all.as_slice() else {
            panic!("{request:?}");
        };
        assert_eq!(credentials.username, "auth-t1");
        assert_eq!(credentials.nc.as_deref(), Some(count));
        assert!(verify(credentials, &Method::Invite, "secret"));
    }
    let mut elsewhere = invite();
    known.authorize(1, &account, &mut elsewhere, "x");
    assert!(given(&elsewhere, HeaderName::ProxyAuthorization).is_empty());
}

#[test]
fn d10_a_password_that_is_refused_is_not_told_again_but_an_old_nonce_is_replaced() {
    let (mut known, account) = (Authenticator::default(), account());
    let mut request = invite();
    assert!(known.challenged((any(0), &account), &request, &proxy("r", ""), 0));
    known.authorize(0, &account, &mut request, "x");
    assert!(!known.challenged((any(0), &account), &request, &proxy("r", ""), 1));
    // Credentials that were sent in advance may have been of a nonce that is gone.
    assert!(known.challenged((any(0), &account), &request, &proxy("r", ""), 0));
    let stale = proxy("r", ", stale=true");
    assert!(known.challenged((any(0), &account), &request, &stale, 1));
    assert!(!known.challenged((any(0), &account), &request, &stale, CHALLENGE_TRIES_MAX));
}

#[test]
fn d10_the_first_algorithm_that_is_known_is_taken() {
    let (mut known, account) = (Authenticator::default(), account());
    let response = refusal(
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n0\", algorithm=SHA-512-sess\r\n\
         Proxy-Authenticate: Digest realm=\"r\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n\
         Proxy-Authenticate: Digest realm=\"r\", nonce=\"n2\", algorithm=MD5, qop=\"auth\"\r\n\
         WWW-Authenticate: Digest realm=\"s\", nonce=\"n3\", qop=\"auth-int\"\r\n",
    );
    let mut request = invite();
    assert!(known.challenged((any(0), &account), &request, &response, 0));
    known.authorize(0, &account, &mut request, "x");
    let all = given(&request, HeaderName::ProxyAuthorization);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].algorithm, Some(Algorithm::Sha256));
    assert!(given(&request, HeaderName::Authorization).is_empty());
}

#[test]
fn d10_other_realms_are_not_told_the_password_and_keep_their_credentials() {
    let (mut known, mut account) = (Authenticator::default(), account());
    account.realm = Some("r".to_owned());
    let mut request = invite();
    assert!(!known.challenged((any(0), &account), &request, &proxy("other", ""), 0));
    assert!(known.challenged((any(0), &account), &request, &proxy("r", ""), 0));
    let others =
        "Digest username=\"u\", realm=\"other\", nonce=\"n\", uri=\"sip:a\", response=\"00\"";
    request.push(HeaderName::ProxyAuthorization, others);
    known.authorize(0, &account, &mut request, "x");
    known.authorize(0, &account, &mut request, "x");
    let realms: Vec<String> = given(&request, HeaderName::ProxyAuthorization)
        .into_iter()
        .map(|credentials| credentials.realm)
        .collect();
    assert_eq!(realms, ["other", "r"]);
}

#[test]
fn d10_a_carrier_that_asks_for_more_and_more_realms_is_refused() {
    let (mut known, account) = (Authenticator::default(), account());
    let request = invite();
    for number in 0..CHALLENGES_PER_TRUNK_MAX {
        assert!(known.challenged(
            (any(0), &account),
            &request,
            &proxy(&number.to_string(), ""),
            0
        ));
    }
    assert!(!known.challenged((any(0), &account), &request, &proxy("one too many", ""), 0));
    assert!(known.challenged((any(0), &account), &request, &proxy("0", ""), 0));
    assert!(known.challenged((any(1), &account), &request, &proxy("one too many", ""), 0));
}
