//! The transports of the trunk side (RFC 3261 section 18).

use std::fmt;

/// What carries messages between us and a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams: messages may get lost, and are sent again.
    Udp,
    /// A stream.
    Tcp,
    /// A stream over TLS.
    Tls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// As in a Via: `UDP`, `TCP`, `TLS`.
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As in the `transport` parameter of a URI, and in the configuration.
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// What the parameter says, in any case of letters. `None` for what is not spoken to carriers.
    #[must_use]
    pub fn from_parameter(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|transport| transport.parameter().eq_ignore_ascii_case(text))
    }

    /// The port where none is given (RFC 3261 section 19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parameter())
    }
}
