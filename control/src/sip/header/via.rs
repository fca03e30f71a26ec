//! `Via` (RFC 3261 section 20.42, RFC 3581).

use std::fmt;
use std::net::IpAddr;

use super::HeaderName;
use super::params::{Params, header_param};
use crate::sip::chars::{Class, Cursor};
use crate::sip::message::Message;
use crate::sip::uri::take_host;

/// Every branch made by an RFC 3261 element begins so (section 8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One value of a `Via` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// The transport as it came: `UDP`, `WS`, `WSS`, …
    pub transport: String,
    /// Host of sent-by; an IPv6 address keeps its brackets.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// All parameters.
    pub params: Params,
}

impl Via {
    /// Parses one value (not a comma list).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let parts = Parts::split(value).filter(|parts| parts.version == "2.0")?;
        Some(Self {
            transport: parts.transport.to_owned(),
            host: parts.host.to_owned(),
            port: parts.port,
            params: Params::parse(parts.params)?,
        })
    }

    /// Tells whether [`Via::parse`] would succeed.
    pub(in crate::sip) fn is_valid(value: &str) -> bool {
        Parts::split(value)
            .is_some_and(|parts| parts.version == "2.0" && Params::is_valid(parts.params))
    }

    /// Tells whether a response can be sent to this value, whatever its version.
    pub(in crate::sip) fn is_answerable(value: &str) -> bool {
        Parts::split(value).is_some_and(|parts| Params::is_valid(parts.params))
    }

    /// Parses the topmost value of a message.
    #[must_use]
    pub fn top(message: &Message) -> Option<Self> {
        Self::parse(message.values(HeaderName::Via).next()?)
    }

    /// Returns the branch.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params
            .get("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// Returns the address that a server has seen.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }

    /// Returns the port that a server has seen. `None` if `rport` is absent or has no value; see
    /// [`Via::wants_rport`].
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// Tells whether `rport` is there, with a value or without (RFC 3581 section 3).
    #[must_use]
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// Returns `host` or `host:port` as text.
    #[must_use]
    pub fn sent_by(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// A value, cut into its parts: nothing is copied.
pub(in crate::sip) struct Parts<'v> {
    version: &'v str,
    transport: &'v str,
    pub(in crate::sip) host: &'v str,
    pub(in crate::sip) port: Option<u16>,
    params: &'v str,
}

impl<'v> Parts<'v> {
    /// The topmost value of a message that has been parsed.
    pub(in crate::sip) fn top(message: &'v Message) -> Option<Self> {
        let parts = Self::split(message.values(HeaderName::Via).next()?)?;
        // Only a message that is refused can have another one: nothing in it is relied on.
        (parts.version == "2.0").then_some(parts)
    }

    /// Returns a parameter; `Some("")` for a flag.
    pub(in crate::sip) fn param(&self, name: &str) -> Option<&'v str> {
        header_param(self.params, name)
    }

    /// As [`Via::branch`].
    pub(in crate::sip) fn branch(&self) -> Option<&'v str> {
        self.param("branch").filter(|branch| !branch.is_empty())
    }

    /// Reads `SIP / 2.0 / UDP host : 5060 ; params`: spaces may stand around each separator.
    fn split(value: &'v str) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        let is_sip = cursor.take(Class::TOKEN).eq_ignore_ascii_case("SIP");
        if !is_sip || !cursor.separator(b'/') {
            return None;
        }
        let version = cursor.token()?;
        if !cursor.separator(b'/') {
            return None;
        }
        let transport = cursor.token()?;
        if !cursor.skip_space() {
            return None;
        }
        let host = take_host(&mut cursor)?;
        let port = match cursor.separator(b':') {
            true => Some(cursor.take(Class::DIGIT).parse().ok()?),
            false => None,
        };
        cursor.skip_space();
        let params = cursor.rest();
        let is_sound = params.is_empty() || params.starts_with(';');
        is_sound.then_some(Self {
            version,
            transport,
            host,
            port,
            params,
        })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SIP/2.0/{} {}{}",
            self.transport,
            self.sent_by(),
            self.params
        )
    }
}
