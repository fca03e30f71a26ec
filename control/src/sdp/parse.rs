//! The tolerant reader: bytes → [`SessionDescription`].
//!
//! Accepted beyond RFC 8866: LF or a lone CR as line end, a missing last line end, missing `s=` and
//! `t=`, lines out of order, unknown line types (ignored), `o=` numbers of any size, text that is
//! not UTF-8 (replaced), and `o=` lines that are too short.

use std::fmt;

use super::limits::{
    FORMATS_MAX, FURTHER_CONNECTIONS_MAX, MEDIA_LINES_MAX, SDP_BYTES_MAX, SDP_LINES_MAX,
    TOKEN_CHARS_MAX,
};
use super::session::{Attribute, Line, MediaDescription, Origin, SessionDescription};

/// Why bytes are not a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdpError {
    /// Larger than [`SDP_BYTES_MAX`].
    TooLarge,
    /// More lines than [`SDP_LINES_MAX`].
    TooManyLines,
    /// More m-lines than [`MEDIA_LINES_MAX`].
    TooManyMedia,
    /// The first line is not `v=0`.
    NoVersion,
    /// There is no `o=` line.
    NoOrigin,
    /// A line (counted from 1) is not `letter=value`.
    BadLine(usize),
    /// A line holds a control character.
    ControlCharacter(usize),
    /// An m-line lacks a field, its port is not a number, or a field is too long.
    BadMedia(usize),
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "SDP larger than {SDP_BYTES_MAX} bytes"),
            Self::TooManyLines => write!(f, "SDP with more than {SDP_LINES_MAX} lines"),
            Self::TooManyMedia => write!(f, "SDP with more than {MEDIA_LINES_MAX} m-lines"),
            Self::NoVersion => f.write_str("SDP does not begin with v=0"),
            Self::NoOrigin => f.write_str("SDP without o= line"),
            Self::BadLine(number) => write!(f, "SDP line {number} is not letter=value"),
            Self::ControlCharacter(number) => {
                write!(f, "SDP line {number} holds a control character")
            }
            Self::BadMedia(number) => write!(f, "SDP line {number} is not an m-line"),
        }
    }
}

impl std::error::Error for SdpError {}

impl SessionDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`] names the first thing that cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooLarge);
        }
        let text = String::from_utf8_lossy(bytes);
        let mut reader = Reader::default();
        let mut lines = 0;
        // A CRLF gives an empty piece, which is skipped like any other blank line.
        for line in text
            .split(['\r', '\n'])
            .filter(|line| !line.trim().is_empty())
        {
            lines += 1;
            if lines > SDP_LINES_MAX {
                return Err(SdpError::TooManyLines);
            }
            reader.line(lines, line)?;
        }
        reader.finish()
    }
}

#[derive(Default)]
struct Reader {
    version: bool,
    origin: Option<Origin>,
    session_name: Option<String>,
    connection: Option<String>,
    further_connections: Vec<String>,
    times: Vec<String>,
    other: Vec<Line>,
    attributes: Vec<Attribute>,
    media: Vec<MediaDescription>,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), SdpError> {
        if line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(SdpError::ControlCharacter(number));
        }
        let (kind, value) = line.split_once('=').ok_or(SdpError::BadLine(number))?;
        let mut letters = kind.trim().chars();
        let (Some(kind), None) = (letters.next(), letters.next()) else {
            return Err(SdpError::BadLine(number));
        };
        if !self.version {
            self.version = kind == 'v' && value.trim() == "0";
            return if self.version {
                Ok(())
            } else {
                Err(SdpError::NoVersion)
            };
        }
        match kind {
            'o' => self.origin = Some(parse_origin(value)),
            's' => self.session_name = Some(value.to_owned()),
            't' => self.times.push(value.to_owned()),
            'c' => self.connection(value.trim()),
            'a' => {
                let attribute = parse_attribute(value);
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            'm' => {
                if self.media.len() == MEDIA_LINES_MAX {
                    return Err(SdpError::TooManyMedia);
                }
                self.media
                    .push(parse_media(value).ok_or(SdpError::BadMedia(number))?);
            }
            'i' | 'u' | 'e' | 'p' | 'b' | 'r' | 'z' | 'k' => {
                let line = Line {
                    kind,
                    value: value.to_owned(),
                };
                match self.media.last_mut() {
                    Some(media) => media.other.push(line),
                    None => self.other.push(line),
                }
            }
            // RFC 8866 section 5: a parser ignores types that it does not know.
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &str) {
        let (first, further) = match self.media.last_mut() {
            Some(media) => (&mut media.connection, &mut media.further_connections),
            None => (&mut self.connection, &mut self.further_connections),
        };
        if first.is_none() {
            *first = Some(value.to_owned());
        } else if further.len() < FURTHER_CONNECTIONS_MAX {
            further.push(value.to_owned());
        }
    }

    fn finish(self) -> Result<SessionDescription, SdpError> {
        if !self.version {
            return Err(SdpError::NoVersion);
        }
        let times = if self.times.is_empty() {
            vec!["0 0".to_owned()]
        } else {
            self.times
        };
        Ok(SessionDescription {
            origin: self.origin.ok_or(SdpError::NoOrigin)?,
            session_name: self.session_name.unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            further_connections: self.further_connections,
            times,
            other: self.other,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

/// The numbers matter; a user name with a space shifts them, so fields count from the end.
fn parse_origin(value: &str) -> Origin {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let from_end = |distance: usize| {
        fields
            .len()
            .checked_sub(distance)
            .and_then(|index| fields.get(index))
            .copied()
    };
    let text = |field: Option<&str>, default: &str| field.unwrap_or(default).to_owned();
    Origin {
        username: text(fields.first().copied(), "-"),
        session_id: text(from_end(5), "0"),
        session_version: text(from_end(4), "0"),
        address: match (from_end(3), from_end(2), from_end(1)) {
            (Some(network), Some(kind), Some(address)) => format!("{network} {kind} {address}"),
            _ => "IN IP4 0.0.0.0".to_owned(),
        },
    }
}

fn parse_attribute(value: &str) -> Attribute {
    match value.split_once(':') {
        Some((name, value)) => Attribute::new(name.trim(), value.trim()),
        None => Attribute::flag(value.trim()),
    }
}

fn parse_media(value: &str) -> Option<MediaDescription> {
    if value
        .split_whitespace()
        .any(|field| field.len() > TOKEN_CHARS_MAX)
    {
        return None;
    }
    let mut fields = value.split_whitespace();
    let media_type = fields.next()?.to_owned();
    let port = fields.next()?;
    // `port/count` asks for several ports (RFC 8866 section 5.14); the first one is used.
    let port = port.split('/').next()?.parse().ok()?;
    let protocol = fields.next()?.to_owned();
    let formats = fields.take(FORMATS_MAX).map(str::to_owned).collect();
    Some(MediaDescription {
        media_type,
        port,
        protocol,
        formats,
        connection: None,
        further_connections: Vec::new(),
        other: Vec::new(),
        attributes: Vec::new(),
    })
}
