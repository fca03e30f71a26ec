//! The lines of a session description, before anybody asks what they mean.

use std::fmt;

/// The `o=` line. The numbers stay text: RFC 8866 gives them no upper bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` if none.
    pub username: String,
    /// Session identifier.
    pub session_id: String,
    /// Session version.
    pub session_version: String,
    /// `IN IP4 192.0.2.1`
    pub address: String,
}

/// One `a=` line. `Debug` hides the values that are secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What stands before the colon.
    pub name: String,
    /// What stands behind the colon, if there is one.
    pub value: Option<String>,
}

impl Attribute {
    /// `a=name`
    pub fn flag(name: &str) -> Self {
        Self {
            name: name.into(),
            value: None,
        }
    }

    /// `a=name:value`
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = matches!(self.name.as_str(), "ice-pwd" | "crypto");
        match &self.value {
            Some(_) if secret => write!(f, "{}:…", self.name),
            Some(value) => write!(f, "{}:{value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A line of a known type that carries no decision (`i u e p b r z k`), kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The letter before the equals sign.
    pub kind: char,
    /// What stands behind it.
    pub value: String,
}

/// One m-line with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video`, `application` …
    pub media_type: String,
    /// Transport port; 0 rejects the m-line.
    pub port: u16,
    /// `RTP/AVP`, `UDP/TLS/RTP/SAVPF` …
    pub protocol: String,
    /// The format list.
    pub formats: Vec<String>,
    /// The value of the `c=` line: `IN IP4 192.0.2.1`.
    pub connection: Option<String>,
    /// The values of further `c=` lines of the m-line.
    pub further_connections: Vec<String>,
    /// Lines that carry no decision.
    pub other: Vec<Line>,
    /// The `a=` lines in order.
    pub attributes: Vec<Attribute>,
}

/// A whole description. [`SessionDescription::parse`] is tolerant, `Display` is strict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// The `o=` line.
    pub origin: Origin,
    /// The `s=` line; `-` if it was missing.
    pub session_name: String,
    /// The value of the session-level `c=` line.
    pub connection: Option<String>,
    /// The values of further `c=` lines of the session.
    pub further_connections: Vec<String>,
    /// The `t=` lines; `0 0` if there was none.
    pub times: Vec<String>,
    /// Session-level lines that carry no decision.
    pub other: Vec<Line>,
    /// The session-level `a=` lines in order.
    pub attributes: Vec<Attribute>,
    /// The m-lines in order.
    pub media: Vec<MediaDescription>,
}
