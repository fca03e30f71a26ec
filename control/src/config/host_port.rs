//! A host (name or address) and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port, not 0.
    pub port: u16,
}

impl HostPort {
    /// Reads `host`, `host:port`, `[IPv6]`, `[IPv6]:port`, or a SIP URI of these without a user
    /// (as `OUTBOUND_PROXY` is often written). `None` if it is none of these.
    ///
    /// A `transport` parameter other than `udp` is not understood either.
    #[must_use]
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let text = text.trim();
        let text = text
            .strip_prefix('<')
            .and_then(|t| t.strip_suffix('>'))
            .unwrap_or(text);
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let mut parts = text.split(';');
        let authority = parts.next()?;
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.eq_ignore_ascii_case("transport") && !value.eq_ignore_ascii_case("udp") {
                return None;
            }
        }
        Self::parse_authority(authority, default_port)
    }

    /// As [`HostPort::parse`], without scheme and parameters.
    pub(super) fn parse_authority(authority: &str, default_port: u16) -> Option<Self> {
        let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                port.strip_prefix(':')
                    .or_else(|| port.is_empty().then_some("")),
            )
        } else if authority.parse::<std::net::Ipv6Addr>().is_ok() {
            (authority, Some(""))
        } else {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            let host_char = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || !host.bytes().all(host_char) {
                return None;
            }
            (
                host,
                (port.is_empty() != authority.contains(':')).then_some(port),
            )
        };
        let port = match port? {
            "" => default_port,
            digits => digits.parse().ok().filter(|port| *port != 0)?,
        };
        Some(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The address, if the host is one.
    #[must_use]
    pub fn literal(&self) -> Option<SocketAddr> {
        self.host
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The host as in URIs: IPv6 in brackets.
    #[must_use]
    pub fn uri_host(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for HostPort {
    /// As in Via and in URIs: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uri_host(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        HostPort::parse(text, 5060).map(|host_port| host_port.to_string())
    }

    #[test]
    fn reads_hosts_ports_and_uris() {
        assert_eq!(
            read("sbc.example.com").as_deref(),
            Some("sbc.example.com:5060")
        );
        assert_eq!(read("192.0.2.1:5070").as_deref(), Some("192.0.2.1:5070"));
        assert_eq!(
            read("[2001:db8::1]:5070").as_deref(),
            Some("[2001:db8::1]:5070")
        );
        assert_eq!(read("2001:db8::1").as_deref(), Some("[2001:db8::1]:5060"));
        assert_eq!(
            read("<sip:SBC.example.com;lr;transport=udp>").as_deref(),
            Some("sbc.example.com:5060")
        );
    }

    #[test]
    fn refuses_what_is_no_host_and_port() {
        for text in [
            "",
            ":5060",
            "host:",
            "host:0",
            "host:70000",
            "host:x",
            "a b",
            "sip:user@host",
            "[::1",
            "[host]:5060",
            "[::1]5060",
            "sip:host;transport=tcp",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
