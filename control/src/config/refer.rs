//! Who carries out transfers in calls through a trunk.

use std::fmt;

/// What becomes of a REFER (RFC 3515) in a call through a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferPolicy {
    /// It passes to the other side, whose business it is. The default.
    #[default]
    Relay,
    /// Ringway calls the new party itself and joins it with the one that is transferred: for
    /// carriers that refuse REFER, and browsers that do not follow it.
    Local,
}

impl fmt::Display for ReferPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relay => "relay",
            Self::Local => "local",
        })
    }
}
