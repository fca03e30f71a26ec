use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::config::Config;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

fn tokens(text: &str) -> Tokens {
    let config = Config::parse("test.toml", text, &|_| None).unwrap();
    Tokens::new(&config.web.token.unwrap(), &|path| std::fs::read(path)).unwrap()
}

fn with_secret(more: &str) -> Tokens {
    tokens(&format!("[web.token]\nsecret = \"{SECRET}\"\n{more}"))
}

fn sign(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
}

fn signed(claims: &Value) -> String {
    sign(Algorithm::HS256, SECRET.as_bytes(), claims)
}

fn alice() -> Identity {
    Identity::new("alice", "example.com")
}

fn alice_for(seconds: u64) -> Value {
    json!({ "sub": "sip:alice@Example.com", "exp": NOW + seconds })
}

#[test]
fn w21_a_token_names_the_identity_that_its_claim_says() {
    let tokens = with_secret("claim = \"aor\"\ndomain = \"example.com\"");
    for text in [
        "sip:alice@example.com",
        "SIPS:alice@EXAMPLE.com;transport=ws",
        "alice@example.com",
        "alice",
    ] {
        let token = signed(&json!({ "aor": text, "exp": NOW + 1 }));
        assert_eq!(tokens.verify(&token, NOW), Ok(alice()), "{text}");
    }
    for claims in [
        json!({ "sub": "alice", "exp": NOW + 1 }),
        json!({ "aor": "", "exp": NOW + 1 }),
        json!({ "aor": "tel:+1555", "exp": NOW + 1 }),
        json!({ "aor": "sip:example.com", "exp": NOW + 1 }),
        json!({ "aor": 7, "exp": NOW + 1 }),
    ] {
        let verdict = tokens.verify(&signed(&claims), NOW);
        assert_eq!(verdict, Err(TokenError::Identity), "{claims}");
    }
    let without_domain = with_secret("");
    let token = signed(&json!({ "sub": "alice", "exp": NOW + 1 }));
    assert_eq!(
        without_domain.verify(&token, NOW),
        Err(TokenError::Identity)
    );
}

#[test]
fn w21_a_token_counts_from_nbf_to_exp_give_or_take_the_leeway() {
    let tokens = with_secret("leeway_s = 5");
    let token = signed(&alice_for(10));
    assert_eq!(tokens.verify(&token, NOW + 14), Ok(alice()));
    assert_eq!(tokens.verify(&token, NOW + 15), Err(TokenError::Expired));
    let claims = json!({ "sub": "alice@example.com", "exp": NOW + 100, "nbf": NOW + 10 });
    let token = signed(&claims);
    assert_eq!(tokens.verify(&token, NOW + 4), Err(TokenError::NotYetValid));
    assert_eq!(tokens.verify(&token, NOW + 5), Ok(alice()));
    for claims in [
        json!({ "sub": "alice@example.com" }),
        json!({ "sub": "alice@example.com", "exp": "tomorrow" }),
        json!({ "sub": "alice@example.com", "exp": -1 }),
        json!({ "sub": "alice@example.com", "exp": null }),
    ] {
        let verdict = tokens.verify(&signed(&claims), NOW);
        assert_eq!(verdict, Err(TokenError::Expired), "{claims}");
    }
    let claims = json!({ "sub": "alice@example.com", "exp": NOW + 1, "nbf": "now" });
    assert_eq!(
        tokens.verify(&signed(&claims), NOW),
        Err(TokenError::NotYetValid)
    );
}

#[test]
fn w21_a_token_of_another_issuer_or_for_another_audience_is_refused() {
    let tokens = with_secret("issuer = \"https://login\"\naudience = \"ringway\"");
    let claims = |issuer: Value, audience: Value| {
        let mut claims = json!({ "sub": "alice@example.com", "exp": NOW + 9 });
        for (name, value) in [("iss", issuer), ("aud", audience)] {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        claims
    };
    let verdict = |claims: &Value| tokens.verify(&signed(claims), NOW);
    let login = || json!("https://login");
    for audience in [json!("ringway"), json!(["other", "ringway"])] {
        assert_eq!(verdict(&claims(login(), audience)), Ok(alice()));
    }
    let other = claims(json!("https://other"), json!("ringway"));
    assert_eq!(verdict(&other), Err(TokenError::Issuer));
    for audience in [json!("other"), json!([]), Value::Null, json!(7)] {
        let claims = claims(login(), audience);
        assert_eq!(verdict(&claims), Err(TokenError::Audience), "{claims}");
    }
    let unsaid = claims(Value::Null, json!("ringway"));
    assert_eq!(verdict(&unsaid), Err(TokenError::Issuer));
    // "If the principal processing the claim does not identify itself with a value in the "aud"
    // claim when this claim is present, then the JWT MUST be rejected" (RFC 7519 section 4.1.3).
    let token = signed(&claims(login(), json!("ringway")));
    assert_eq!(
        with_secret("").verify(&token, NOW),
        Err(TokenError::Audience)
    );
}

#[test]
fn w21_a_forged_token_is_refused() {
    let tokens = with_secret("");
    let good = signed(&alice_for(10));
    assert_eq!(tokens.verify(&good, NOW), Ok(alice()));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIn0";
    let bob = signed(&json!({ "sub": "bob@example.com", "exp": NOW + 10 }));
    let bob = bob.split('.').nth(1).unwrap();
    for (token, why) in [
        (format!("{none}.{claims}."), TokenError::Malformed),
        (
            format!("{none}.{claims}.{signature}"),
            TokenError::Malformed,
        ),
        (format!("{message}."), TokenError::Signature),
        (format!("{message}.AAAA"), TokenError::Signature),
        (format!("{header}.{bob}.{signature}"), TokenError::Signature),
        (message.to_owned(), TokenError::Malformed),
        (String::new(), TokenError::Malformed),
        ("a.b.c".to_owned(), TokenError::Malformed),
        (format!("{good}.x"), TokenError::Malformed),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::Malformed),
    ] {
        assert_eq!(tokens.verify(&token, NOW), Err(why), "{token}");
    }
    let foreign = b"another secret of thirty-two bytes";
    for token in [
        sign(Algorithm::HS256, foreign, &alice_for(10)),
        sign(Algorithm::HS512, SECRET.as_bytes(), &alice_for(10)),
    ] {
        assert_eq!(tokens.verify(&token, NOW), Err(TokenError::Signature));
    }
}

#[test]
fn w21_a_token_with_a_critical_extension_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".to_owned()]);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&header, &alice_for(10), &key).unwrap();
    assert_eq!(
        with_secret("").verify(&token, NOW),
        Err(TokenError::Malformed)
    );
}

#[test]
fn w21_the_key_decides_the_algorithm_and_not_the_token() {
    let folder = std::env::temp_dir().join(format!("ringway-token-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("key.pem");
    type Read = fn(&[u8]) -> jsonwebtoken::errors::Result<EncodingKey>;
    let kinds: [(_, _, Read); 3] = [
        (
            &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES256,
            EncodingKey::from_ec_pem,
        ),
        (
            &rcgen::PKCS_ED25519,
            Algorithm::EdDSA,
            EncodingKey::from_ed_pem,
        ),
        (
            &rcgen::PKCS_RSA_SHA256,
            Algorithm::RS256,
            EncodingKey::from_rsa_pem,
        ),
    ];
    for (kind, algorithm, read) in kinds {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.public_key_pem();
        std::fs::write(&path, &pem).unwrap();
        let tokens = tokens(&format!("[web.token]\npublic_key = {path:?}"));
        let private = pair.serialize_pem();
        let private = read(private.as_bytes());
        let header = Header::new(algorithm);
        let token = jsonwebtoken::encode(&header, &alice_for(9), &private.unwrap()).unwrap();
        assert_eq!(tokens.verify(&token, NOW), Ok(alice()), "{algorithm:?}");
        // The classic: the public key, which everybody has, as the secret of an HMAC.
        for secret in [pem.as_bytes(), pair.public_key_raw()] {
            let confused = sign(Algorithm::HS256, secret, &alice_for(9));
            assert_eq!(tokens.verify(&confused, NOW), Err(TokenError::Signature));
        }
    }
    std::fs::write(&path, "no key").unwrap();
    let text = format!("[web.token]\npublic_key = {path:?}");
    let config = Config::parse("test.toml", &text, &|_| None).unwrap();
    let error = Tokens::new(&config.web.token.unwrap(), &|path| std::fs::read(path)).unwrap_err();
    assert!(error.to_string().contains("holds no public key"), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn one_of_several_keys_is_enough() {
    let tokens = tokens(&format!(
        "[web.token]\nsecret = [\"the new secret, of more than 32 bytes\", \"{SECRET}\"]"
    ));
    assert_eq!(tokens.verify(&signed(&alice_for(9)), NOW), Ok(alice()));
    let expired = signed(&json!({ "sub": "alice@example.com", "exp": NOW - 99 }));
    assert_eq!(tokens.verify(&expired, NOW), Err(TokenError::Expired));
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!("{:?}", with_secret(""));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn an_identity_is_compared_without_escapes_and_the_domain_in_any_case() {
    let is = |text: &str| alice().is(&Uri::parse(text).unwrap());
    assert!(is("sip:alice@EXAMPLE.com:5061;transport=ws"));
    assert!(is("sip:%61lice@example.com"));
    assert!(!is("sip:Alice@example.com"));
    assert!(!is("sip:bob@example.com"));
    assert!(!is("sip:alice@example.com.evil.test"));
    assert!(!is("tel:+1555"));
    assert!(!is("sip:example.com"));
}
