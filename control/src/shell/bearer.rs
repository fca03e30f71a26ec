//! The access token of an opening handshake: where it stands, and what it says.

use hyper::Uri;
use hyper::header::{self, HeaderMap};

use super::clock;
use crate::config::TokenRequired;
use crate::token::{Identity, TokenError, Tokens};

/// Why a handshake is answered with 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unauthorized {
    /// There is no token, and there must be one.
    Missing,
    /// There is one, and it is not to be trusted.
    Refused(TokenError),
}

/// Whose the connection will be; `None` if nobody says so and nobody must.
pub(super) fn identity(
    tokens: &Tokens,
    cookie: Option<&str>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Identity>, Unauthorized> {
    match token(uri, headers, cookie) {
        Some(token) => {
            let identity = tokens.verify(token, clock::unix_seconds());
            identity.map(Some).map_err(Unauthorized::Refused)
        }
        None if tokens.required() == TokenRequired::Handshake => Err(Unauthorized::Missing),
        None => Ok(None),
    }
}

/// `Authorization: Bearer` (RFC 6750 section 2.1), else `token` or `access_token` of the query
/// (section 2.3; browsers can set no header of a WebSocket), else the cookie.
fn token<'r>(uri: &'r Uri, headers: &'r HeaderMap, cookie: Option<&str>) -> Option<&'r str> {
    from_authorization(headers)
        .or_else(|| from_query(uri.query()?))
        .or_else(|| from_cookie(headers, cookie?))
}

fn from_authorization(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .find_map(|value| {
            let (scheme, token) = value.trim().split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
        })
}

fn from_query(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        ["token", "access_token"].contains(&name).then_some(value)
    })
}

fn from_cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| {
            let (known, value) = pair.trim().split_once('=')?;
            (known == name).then_some(value.trim_matches('"'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(uri: &str, lines: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, header::HeaderValue::from_static(value));
        }
        let uri: Uri = uri.parse().unwrap();
        token(&uri, &headers, Some("sip_token")).map(str::to_owned)
    }

    #[test]
    fn w21_the_token_stands_in_the_header_the_query_or_the_cookie() {
        assert_eq!(found("/ws", &[]), None);
        assert_eq!(found("/ws?token=a.b.c", &[]).unwrap(), "a.b.c");
        assert_eq!(found("/ws?x=1&access_token=a.b.c&y", &[]).unwrap(), "a.b.c");
        let bearer = ("authorization", "bearer  a.b.c");
        assert_eq!(found("/ws?token=query", &[bearer]).unwrap(), "a.b.c");
        assert_eq!(found("/ws", &[("authorization", "Basic YTpi")]), None);
        let cookies = ("cookie", "theme=dark; sip_token=\"a.b.c\"; other=1");
        assert_eq!(found("/ws", &[cookies]).unwrap(), "a.b.c");
        assert_eq!(found("/ws", &[("cookie", "my_sip_token=a.b.c")]), None);
    }
}
