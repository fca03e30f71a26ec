//! How digits reach a trunk.

use std::fmt;

/// What becomes of the digits (DTMF) of a browser that is in a call through a trunk. What the
/// carrier sends passes as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtmf {
    /// INFO stays INFO, telephone-events stay telephone-events.
    Relay,
    /// Digits in INFO become telephone-events (RFC 4733), if the carrier has agreed to those and
    /// the call is not on hold; else they pass. The default: JsSIP and SIP.js send INFO unless
    /// told otherwise, and most carriers ignore it.
    #[default]
    Rfc4733,
    /// Telephone-events become INFO (`application/dtmf-relay`), INFO passes; the carrier is not
    /// offered telephone-event, whatever `telephone_event` says.
    Info,
}

impl fmt::Display for Dtmf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relay => "relay",
            Self::Rfc4733 => "rfc4733",
            Self::Info => "info",
        })
    }
}
