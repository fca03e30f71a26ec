//! The parts of a URI, still in the text that they came in: nothing is copied.

use std::net::Ipv6Addr;

use super::escape::escapes_are_complete;
use crate::sip::header::params::{is_host_byte, is_uri_byte};

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
    #[inline]
    pub(super) fn split(text: &'t str) -> Option<Self> {
        // Nearly all are of this scheme.
        if let Some(rest) = text.strip_prefix("sip:") {
            return Self::split_sip(Kind::Sip, rest);
        }
        let (scheme, rest) = text.split_at(text.bytes().position(|b| b == b':')?);
        let rest = rest.get(1..)?;
        let mut letters = scheme.bytes();
        if !letters.next()?.is_ascii_alphabetic()
            || !letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            || rest.is_empty()
            || !rest.bytes().all(is_uri_byte)
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

    #[inline]
    fn split_sip(kind: Kind<'t>, rest: &'t str) -> Option<Self> {
        // The user part may hold `;`, `?` and `/`, so the `@` is looked for first.
        let (user, password, rest) = match rest.bytes().position(|b| b == b'@') {
            Some(at) => {
                let user_info = rest.get(..at)?;
                let colon = user_info.bytes().position(|b| b == b':');
                let (user, password) = match colon {
                    Some(at) => (user_info.get(..at)?, user_info.get(at + 1..)),
                    None => (user_info, None),
                };
                let is_sound = !user.is_empty()
                    && user_info.bytes().all(is_uri_byte)
                    && escapes_are_complete(user_info);
                if !is_sound {
                    return None;
                }
                (Some(user), password, rest.get(at + 1..)?)
            }
            None => (None, None, rest),
        };
        let (host, rest) = split_host(rest)?;
        let (port, rest) = match rest.strip_prefix(':') {
            Some(rest) => {
                let end = rest.bytes().position(|b| !b.is_ascii_digit());
                let (digits, rest) = rest.split_at(end.unwrap_or(rest.len()));
                (Some(digits.parse().ok()?), rest)
            }
            None => (None, rest),
        };
        if !matches!(rest.bytes().next(), None | Some(b';' | b'?'))
            || !rest.bytes().all(is_uri_byte)
        {
            return None;
        }
        let (params, headers) = match rest.bytes().position(|b| b == b'?') {
            Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
            None => (rest, None),
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

/// Splits in front of the first semicolon.
pub(super) fn split_params(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| b == b';').unwrap_or(text.len()))
}

/// Splits `host : port`; the host may be an IPv6 address in brackets. `None` if either is malformed.
pub(in crate::sip) fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = split_host(text.trim_ascii())?;
    let rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return Some((host, None));
    }
    let digits = rest.strip_prefix(':')?.trim_ascii();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((host, Some(digits.parse().ok()?)))
}

/// Splits behind the host that text begins with: a name, an IPv4 address, or an IPv6 address in
/// brackets.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('[') {
        Some(v6) => {
            let length = v6.bytes().position(|b| b == b']')?;
            parse_ipv6(v6.get(..length)?)?;
            length + 2
        }
        None => {
            let length = text.bytes().position(|b| !is_host_byte(b));
            length.unwrap_or(text.len())
        }
    };
    (end > 0).then(|| text.split_at(end))
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
