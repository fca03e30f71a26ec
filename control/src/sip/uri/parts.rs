//! The parts of a URI, still in the text that they came in: nothing is copied.

use std::net::Ipv6Addr;

use super::escape::escape_is_complete;
use crate::sip::chars::{Class, Cursor, find};

/// A URI, cut into its parts; `params` and `headers` are not looked into.
pub(super) struct Parts<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) user: Option<&'t str>,
    pub(super) password: Option<&'t str>,
    pub(super) host: &'t str,
    pub(super) port: Option<u16>,
    pub(super) params: &'t str,
    pub(super) headers: Option<&'t str>,
}

#[derive(Clone, Copy)]
pub(super) enum Kind<'t> {
    Sip,
    Sips,
    Tel,
    Other(&'t str),
}

impl<'t> Parts<'t> {
    pub(super) fn split(text: &'t str) -> Option<Self> {
        // Nearly all are of this scheme.
        if let Some(rest) = text.strip_prefix("sip:") {
            return Self::split_sip(Kind::Sip, rest);
        }
        let (scheme, rest) = text.split_at(find(b':', text.as_bytes())?);
        let rest = rest.get(1..)?;
        let mut letters = scheme.bytes();
        if !letters.next()?.is_ascii_alphabetic()
            || !letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            || rest.is_empty()
            || !is_uri_text(rest.as_bytes())
        {
            return None;
        }
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        if is("sip") {
            Self::split_sip(Kind::Sip, rest)
        } else if is("sips") {
            Self::split_sip(Kind::Sips, rest)
        } else if is("tel") {
            Self::split_tel(rest)
        } else {
            Some(Self {
                user: Some(rest),
                ..Self::empty(Kind::Other(scheme))
            })
        }
    }

    fn split_sip(kind: Kind<'t>, rest: &'t str) -> Option<Self> {
        // The user part may hold `;`, `?` and `/`, so the `@` is looked for first.
        let (user, password, rest) = match find(b'@', rest.as_bytes()) {
            Some(at) => {
                let (user, password) = split_user(rest.get(..at)?)?;
                (Some(user), password, rest.get(at + 1..)?)
            }
            None => (None, None, rest),
        };
        let mut cursor = Cursor::new(rest);
        let host = take_host(&mut cursor)?;
        let port = match cursor.eat(b':') {
            true => Some(cursor.take(Class::DIGIT).parse().ok()?),
            false => None,
        };
        let rest = cursor.rest();
        let (params, headers) = match rest.as_bytes() {
            [] => ("", None),
            [b';' | b'?', ..] if is_uri_text(rest.as_bytes()) => {
                match find(b'?', rest.as_bytes()) {
                    Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
                    None => (rest, None),
                }
            }
            _ => return None,
        };
        Some(Self {
            kind,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    fn split_tel(rest: &'t str) -> Option<Self> {
        let (number, params) = split_params(rest);
        let digits = number.strip_prefix('+').unwrap_or(number);
        let is_sound = !digits.is_empty()
            && digits
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b"-.()*#".contains(&b));
        is_sound.then_some(Self {
            user: Some(number),
            params,
            ..Self::empty(Kind::Tel)
        })
    }

    fn empty(kind: Kind<'t>) -> Self {
        Self {
            kind,
            user: None,
            password: None,
            host: "",
            port: None,
            params: "",
            headers: None,
        }
    }
}

/// May these bytes stand in a URI? Quotes may not (RFC 3261 section 25.1), but hide what some
/// proxies need to find the way back in a parameter, and are borne.
fn is_uri_text(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'"')
        .all(|text| Class::URI.has_all(text))
}

/// Splits `user:password`; `None` if it is empty or a byte or an escape in it is not allowed.
fn split_user(user_info: &str) -> Option<(&str, Option<&str>)> {
    let bytes = user_info.as_bytes();
    let mut colon = None;
    let mut at = Class::USER.count(bytes);
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b':' => {
                colon = colon.or(Some(at));
                1
            }
            b'%' if escape_is_complete(bytes.get(at..)?) => 3,
            _ => return None,
        };
        at += Class::USER.count(bytes.get(at..)?);
    }
    let (user, password) = match colon {
        Some(colon) => (user_info.get(..colon)?, user_info.get(colon + 1..)),
        None => (user_info, None),
    };
    (!user.is_empty()).then_some((user, password))
}

/// Splits in front of the first semicolon.
pub(super) fn split_params(text: &str) -> (&str, &str) {
    text.split_at(find(b';', text.as_bytes()).unwrap_or(text.len()))
}

/// Takes the host that text begins with: a name, an IPv4 address, or an IPv6 address in brackets.
pub(in crate::sip) fn take_host<'t>(cursor: &mut Cursor<'t>) -> Option<&'t str> {
    let text = cursor.rest();
    let length = match text.strip_prefix('[') {
        Some(v6) => {
            let length = find(b']', v6.as_bytes())?;
            parse_ipv6(v6.get(..length)?)?;
            length + 2
        }
        None => Class::HOST.count(text.as_bytes()),
    };
    cursor.take_bytes(length).filter(|host| !host.is_empty())
}

/// Parses what stands in brackets. The grammar of RFC 3261 allows a third colon in front of an
/// IPv4 address, and RFC 5118 section 4.10 asks that it be borne.
pub(super) fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let parsed = text.parse::<Ipv6Addr>();
    match (parsed, text.split_once(":::")) {
        (Ok(address), _) => Some(address),
        (Err(_), Some((front, back))) if back.contains('.') => {
            format!("{front}::{back}").parse().ok()
        }
        (Err(_), _) => None,
    }
}
