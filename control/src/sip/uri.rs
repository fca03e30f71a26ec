//! Addresses: URI, name-addr and Contact (RFC 3261 sections 19.1 and 20.10, RFC 3966).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::chars::{Class, find};
use super::header::HeaderName;
use super::header::params::{Params, quote, quoted_end, unescape, unquote};
use super::message::Message;

mod escape;
mod number;
mod parts;
#[cfg(test)]
mod tests;

pub use escape::{decode, escape_user};
pub use number::{digits_of, split_number, without_visual};
pub(in crate::sip) use parts::take_host;
use parts::{Kind, Parts, parse_ipv6, split_params};

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel` (RFC 3966)
    Tel,
    /// Any other, in lower case.
    Other(String),
}

impl Scheme {
    /// Returns the text in front of the colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(text) => text,
        }
    }
}

/// A URI. Escapes (`%41`) stay as they came; [`Uri::user_decoded`] undoes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// The scheme.
    pub scheme: Scheme,
    /// User of `sip`; the number of `tel`; all behind the colon for an unknown scheme.
    pub user: Option<String>,
    /// Password of `sip` (RFC 3261 advises against it).
    pub password: Option<String>,
    /// Host of `sip`, an IPv6 address in brackets; empty for `tel` and unknown schemes.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// Parameters of the URI (not of the header).
    pub params: Params,
    /// Headers (`?name=value&…`), still escaped.
    pub headers: Vec<(String, String)>,
}

impl Uri {
    /// Makes `sip:user@host:port`; the user is escaped where needed.
    #[must_use]
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(escape_user),
            password: None,
            host: host.to_owned(),
            port,
            params: Params::default(),
            headers: Vec::new(),
        }
    }

    /// Parses a URI without brackets. `None` if it is malformed; an unknown scheme is fine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts = Parts::split(text)?;
        let scheme = match parts.kind {
            Kind::Sip => Scheme::Sip,
            Kind::Sips => Scheme::Sips,
            Kind::Tel => Scheme::Tel,
            Kind::Other(scheme) => Scheme::Other(scheme.to_ascii_lowercase()),
        };
        Some(Self {
            scheme,
            user: parts.user.map(str::to_owned),
            password: parts.password.map(str::to_owned),
            host: parts.host.to_owned(),
            port: parts.port,
            params: Params::parse(parts.params)?,
            headers: parts.headers.map_or_else(Vec::new, parse_headers),
        })
    }

    /// Tells whether text may stand as Request-URI: it can be parsed, and is no `sip` URI with
    /// headers (RFC 3261 section 19.1.1).
    pub(in crate::sip) fn is_valid_target(text: &str) -> bool {
        Parts::split(text)
            .is_some_and(|parts| parts.headers.is_none() && Params::is_valid(parts.params))
    }

    /// Tells whether [`Uri::parse`] would succeed.
    pub(in crate::sip) fn is_valid(text: &str) -> bool {
        Parts::split(text).is_some_and(|parts| Params::is_valid(parts.params))
    }

    /// Returns the user with its escapes undone; `None` if there is no user, or if it is not
    /// UTF-8 then.
    #[must_use]
    pub fn user_decoded(&self) -> Option<String> {
        decode(self.user.as_deref()?)
    }

    /// Returns the host as an address, if it is one.
    #[must_use]
    pub fn ip_address(&self) -> Option<IpAddr> {
        match self
            .host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
        {
            Some(v6) => parse_ipv6(v6).map(IpAddr::V6),
            None => self.host.parse().ok(),
        }
    }

    /// Returns address and port, if the host is an address. The default port is 5060, or 5061
    /// for `sips`.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let default = if self.scheme == Scheme::Sips {
            5061
        } else {
            5060
        };
        Some(SocketAddr::new(
            self.ip_address()?,
            self.port.unwrap_or(default),
        ))
    }

    /// Compares as RFC 3261 section 19.1.4 does, except that URI headers are ignored.
    #[must_use]
    pub fn is_equivalent(&self, other: &Self) -> bool {
        const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        let decoded = |part: &Option<String>| part.as_deref().map(decode);
        let same_param = |name: &str| match (self.params.get(name), other.params.get(name)) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => !DECISIVE.contains(&name),
        };
        self.scheme == other.scheme
            && decoded(&self.user) == decoded(&other.user)
            && decoded(&self.password) == decoded(&other.password)
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.port == other.port
            && DECISIVE.iter().all(|name| same_param(name))
            && self
                .params
                .iter()
                .all(|(name, _)| same_param(&name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}",
            self.scheme.as_str(),
            self.user.as_deref().unwrap_or_default()
        )?;
        if let Some(password) = &self.password {
            write!(f, ":{password}")?;
        }
        if self.user.is_some() && matches!(self.scheme, Scheme::Sip | Scheme::Sips) {
            f.write_str("@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// The value of `From`, `To`, `Contact`, `Route`, `Refer-To`, … : a URI with a display name in
/// front and parameters behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as it came, quotes included; see [`NameAddr::display_name`].
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters of the header: `tag`, `expires`, `q`, `+sip.instance`, `reg-id`, …
    pub params: Params,
}

impl NameAddr {
    /// Makes `<uri>`, without display name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// Parses one value (not a comma list).
    ///
    /// Without brackets, what follows the first `;` belongs to the header, and a `?` or a comma
    /// in the URI is an error (RFC 3261 section 20).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (display, address, params) = split_name_addr(value)?;
        Some(Self {
            display: (!display.is_empty()).then(|| display.to_owned()),
            uri: Uri::parse(address)?,
            params: Params::parse(params)?,
        })
    }

    /// Tells whether this may stand in From or To: [`NameAddr::parse`] would succeed, and if there
    /// are tags, one is not empty.
    pub(in crate::sip) fn is_valid_party(value: &str) -> bool {
        split_name_addr(value).is_some_and(|(_, address, _)| Uri::is_valid(address))
            && Self::is_bearable_party(value)
    }

    /// As [`NameAddr::is_valid_party`], whatever stands in the place of the URI.
    pub(in crate::sip) fn is_bearable_party(value: &str) -> bool {
        let (mut tags, mut empty) = (0, 0);
        let count = |name: &str, value: Option<&str>| {
            if name.eq_ignore_ascii_case("tag") {
                tags += 1;
                empty += u32::from(value.is_none_or(|tag| unquote(tag).is_empty()));
            }
            true
        };
        split_name_addr(value).is_some_and(|(_, _, params)| Params::are_all(params, count))
            && (tags == 0 || empty < tags)
    }

    /// Returns the `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let mut tags = self
            .params
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("tag"));
        tags.find_map(|(_, tag)| tag.filter(|tag| !tag.is_empty()))
    }

    /// Returns the display name without quotes and escapes.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        let display = self.display.as_deref()?;
        Some(if display.starts_with('"') {
            unescape(unquote(display))
        } else {
            display.to_owned()
        })
    }

    /// Sets the display name, quoted as needed; `None` removes it.
    pub fn set_display_name(&mut self, name: Option<&str>) {
        self.display = name.map(quote);
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// One value of a `Contact` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`: all bindings (RFC 3261 section 10.2.2).
    Star,
    /// An address.
    Address(NameAddr),
}

impl Contact {
    /// Parses one value.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.trim() == "*" {
            Some(Self::Star)
        } else {
            NameAddr::parse(value).map(Self::Address)
        }
    }

    /// Parses all Contacts of a message; `None` if one is malformed.
    #[must_use]
    pub fn all(message: &Message) -> Option<Vec<Self>> {
        message
            .values(HeaderName::Contact)
            .map(Self::parse)
            .collect()
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Star => f.write_str("*"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

fn parse_headers(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Splits a name-addr into display name, address and parameters.
fn split_name_addr(value: &str) -> Option<(&str, &str, &str)> {
    let value = value.trim_ascii();
    let Some((open, is_sound)) = open_bracket(value.as_bytes()) else {
        let (address, params) = split_params(value);
        let address = address.trim_ascii_end();
        let is_sound = !address.contains(['?', ',', '"']);
        return is_sound.then_some(("", address, params));
    };
    let display = value.get(..open)?.trim_ascii_end();
    let inside = value.get(open + 1..)?;
    let close = find(b'>', inside.as_bytes())?;
    let (address, tail) = (inside.get(..close)?, inside.get(close + 1..)?.trim_ascii());
    let is_sound = is_sound && (tail.is_empty() || tail.starts_with(';'));
    is_sound.then_some((display, address, tail))
}

/// Finds the `<` that opens the address: the first one outside of quotes, with no comma in front.
/// Tells too whether what is in front is a sound display name: empty, one quoted string, or words
/// without separators. Words are taken leniently, since carriers send unquoted names with dots,
/// slashes and UTF-8.
fn open_bracket(value: &[u8]) -> Option<(usize, bool)> {
    let mut is_sound = true;
    let mut at = Class::PLAIN.count(value);
    loop {
        at = match value.get(at)? {
            b'<' => return Some((at, is_sound)),
            b'"' => quoted_end(value, at)?,
            b',' => return None,
            // A semicolon, a backslash or a bracket that closes nothing.
            _ => {
                is_sound = false;
                at + 1
            }
        };
        at += Class::PLAIN.count(value.get(at..)?);
    }
}
