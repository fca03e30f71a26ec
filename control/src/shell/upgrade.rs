//! The opening handshake of a SIP WebSocket (RFC 6455 section 4.2, RFC 7118 section 4.1), as a
//! decision about one HTTP request.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::config::Origins;

/// Why an opening handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No GET of HTTP/1.1 with `Host`, `Connection: upgrade` and one valid key.
    Malformed(&'static str),
    /// A version of the protocol other than 13.
    Version,
    /// A page of somebody else.
    Origin,
    /// The client does not offer `sip`. "The WebSocket Client MUST include the value "sip" in the
    /// Sec-WebSocket-Protocol header field" (RFC 7118 section 4.1).
    Subprotocol,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Subprotocol => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// For the person who reads the answer.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Malformed(what) => what,
            Self::Version => "only WebSocket version 13 is spoken here",
            Self::Origin => "this page may not open a WebSocket here; see `origins` in [web]",
            Self::Subprotocol => "the WebSocket subprotocol `sip` (RFC 7118) must be offered",
        }
    }
}

/// True if the request wants to become a WebSocket, well-formed or not.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

/// Decides about the request; the answer is the value of `Sec-WebSocket-Accept`.
pub(super) fn check(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    origins: &Origins,
) -> Result<HeaderValue, Refusal> {
    if method != Method::GET || version != Version::HTTP_11 {
        return Err(Refusal::Malformed(
            "a WebSocket opens with GET and HTTP/1.1",
        ));
    }
    let Some(host) = single(headers, &header::HOST) else {
        return Err(Refusal::Malformed("there must be one Host header"));
    };
    if !is_wanted(headers) || !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(Refusal::Malformed(
            "`Upgrade: websocket` and `Connection: upgrade` belong together",
        ));
    }
    if single(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::Version);
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let Some(key) = key else {
        return Err(Refusal::Malformed(
            "Sec-WebSocket-Key must be 16 bytes in base64",
        ));
    };
    if !is_allowed_origin(headers, host, origins) {
        return Err(Refusal::Origin);
    }
    if !has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, "sip") {
        return Err(Refusal::Subprotocol);
    }
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Refusal::Malformed("Sec-WebSocket-Key cannot be answered"))
}

/// True if one of the comma-separated values in one of the header lines is this token, in any
/// case and with any white space around.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut values = lines
        .flat_map(|line| line.split(','))
        .map(|v| v.trim_matches([' ', '\t']));
    values.any(|value| value.eq_ignore_ascii_case(token))
}

/// The value of a header that must not be repeated.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values
        .next()
        .is_none()
        .then_some(value.trim_matches([' ', '\t']))
}

/// 16 bytes in base64: 22 characters, the last with four zero bits, and padding.
fn is_key(key: &str) -> bool {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let Some(digits) = key.strip_suffix("==").map(str::as_bytes) else {
        return false;
    };
    digits.len() == 22
        && digits.iter().all(|b| base64(*b))
        && digits.last().is_some_and(|last| b"AQgw".contains(last))
}

fn is_allowed_origin(headers: &HeaderMap, host: &str, origins: &Origins) -> bool {
    let listed = match origins {
        Origins::Any => return true,
        Origins::SameAnd(listed) => Some(listed),
        Origins::SameAndLoopback => None,
    };
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some(origin) = single(headers, &header::ORIGIN) else {
        return false;
    };
    let origin = origin.to_ascii_lowercase();
    // Only host and port are compared: a TLS terminator in front changes the scheme.
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    let same = authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
    same || match listed {
        Some(listed) => listed.contains(&origin),
        None => authority.is_some_and(is_loopback),
    }
}

/// True if this host, with or without a port, is the browser's own machine. A name that somebody
/// points at 127.0.0.1 is not.
pub(super) fn is_loopback(authority: &str) -> bool {
    // `Authority` takes user information too; an origin has none.
    let Some(authority) = Some(authority).filter(|text| !text.contains('@')) else {
        return false;
    };
    let Ok(authority) = authority.parse::<hyper::http::uri::Authority>() else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    const GOOD: [(&str, &str); 6] = [
        ("host", "edge.example.com"),
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "sip"),
    ];

    fn outcome(headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
        let origins = Origins::SameAnd(vec!["https://phone.example.com".into()]);
        check(&Method::GET, Version::HTTP_11, headers, &origins)
    }

    /// The good request with one header replaced by these lines.
    fn with(name: &'static str, values: &[&'static str]) -> Result<HeaderValue, Refusal> {
        let mut headers = request(&GOOD);
        headers.remove(name);
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        outcome(&headers)
    }

    #[test]
    fn w3_answers_the_key_of_rfc_6455() {
        assert_eq!(
            outcome(&request(&GOOD)).unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn w1_selects_sip_as_a_whole_token() {
        let name = "sec-websocket-protocol";
        for values in [
            &["sip"][..],
            &["foo, SIP"],
            &["foo", "bar,\tsip "],
            &["sip,sip"],
            &[",,sip"],
        ] {
            assert!(with(name, values).is_ok(), "{values:?}");
        }
        for values in [
            &[][..],
            &["sipx"],
            &["xsip, sips"],
            &["s ip"],
            &[""],
            &["sip;q=1"],
        ] {
            assert_eq!(with(name, values), Err(Refusal::Subprotocol), "{values:?}");
        }
    }

    #[test]
    fn w3_refuses_other_versions_with_426() {
        for values in [&["8"][..], &[], &["13", "8"]] {
            let refusal = with("sec-websocket-version", values).unwrap_err();
            assert_eq!(refusal.status(), StatusCode::UPGRADE_REQUIRED);
        }
    }

    #[test]
    fn w3_refuses_keys_that_are_not_16_bytes() {
        for values in [
            &[][..],
            &["dGhlIHNhbXBsZSBub25jZQ=="; 2],
            &["dGhlIHNhbXBsZSBub25jZR=="],
            &["dGhlIHNhbXBsZSBub25j"],
            &["!GhlIHNhbXBsZSBub25jZQ=="],
        ] {
            let refusal = with("sec-websocket-key", values).unwrap_err();
            assert_eq!(refusal.status(), StatusCode::BAD_REQUEST, "{values:?}");
        }
    }

    #[test]
    fn w4_refuses_pages_of_strangers() {
        for origin in ["https://edge.example.com", "http://EDGE.example.com"] {
            assert!(with("origin", &[origin]).is_ok());
        }
        assert!(with("origin", &["https://phone.example.com"]).is_ok());
        for origin in [
            "https://evil.example",
            "null",
            "http://phone.example.com",
            "https://edge.example.com:8443",
            "https://edge.example.com.evil.example",
        ] {
            assert_eq!(with("origin", &[origin]), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn ux_g4_the_demo_takes_pages_of_the_same_machine_and_no_others() {
        let outcome = |origin: &'static str| {
            let mut headers = request(&GOOD);
            headers.append("origin", HeaderValue::from_static(origin));
            let origins = Origins::SameAndLoopback;
            check(&Method::GET, Version::HTTP_11, &headers, &origins)
        };
        for origin in [
            "http://127.0.0.1:9000",
            "https://localhost",
            "http://LOCALHOST:5173",
            "http://[::1]:3000",
            "http://127.1.2.3",
            "https://edge.example.com",
        ] {
            assert!(outcome(origin).is_ok(), "{origin}");
        }
        for origin in [
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example:9000",
            "http://evil.example",
            "http://evil@localhost",
            "http://192.168.1.2:9000",
            "http://[::2]",
            "ftp://localhost",
            "null",
            "",
        ] {
            assert_eq!(outcome(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn w3_wants_the_whole_handshake() {
        assert!(matches!(
            with("connection", &["keep-alive"]),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(
            with("upgrade", &["h2c"]),
            Err(Refusal::Malformed(_))
        ));
        assert!(matches!(with("host", &[]), Err(Refusal::Malformed(_))));
        assert!(matches!(
            with("host", &["a", "b"]),
            Err(Refusal::Malformed(_))
        ));
        let headers = request(&GOOD);
        let any = Origins::Any;
        assert!(check(&Method::POST, Version::HTTP_11, &headers, &any).is_err());
        assert!(check(&Method::GET, Version::HTTP_10, &headers, &any).is_err());
    }
}
