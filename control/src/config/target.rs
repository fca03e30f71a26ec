//! Where a trunk is.

use std::fmt;

use super::HostPort;

/// One place where a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetConfig {
    /// Its host and port.
    pub place: HostPort,
    /// False if the port is the default one because none is given: then a name is looked up as a
    /// service first, by SRV records (RFC 3263 section 4.2).
    pub has_port: bool,
    /// Lower comes first. Default: its place in the list, from 0.
    pub priority: u16,
    /// Share of the users among targets with the same priority (RFC 2782). Default 0.
    pub weight: u16,
}

impl TargetConfig {
    /// Reads the only target, as [`HostPort::parse`] does. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        // No port that is given is 0.
        let mut place = HostPort::parse(text, 0)?;
        let has_port = place.port != 0;
        if !has_port {
            place.port = default_port;
        }
        Some(Self {
            place,
            has_port,
            priority: 0,
            weight: 0,
        })
    }
}

impl fmt::Display for TargetConfig {
    /// As it is written in the configuration: a port only where one is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_port || self.place.literal().is_some() {
            self.place.fmt(f)
        } else {
            f.write_str(&self.place.host)
        }
    }
}
