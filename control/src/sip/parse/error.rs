//! What can be wrong with a message, and the status that says so.

use std::fmt;

use crate::sip::header::HeaderName;
#[cfg(doc)]
use crate::sip::limits::{
    HEAD_BYTES_MAX, HEADER_LINE_BYTES_MAX, HEADER_LINES_MAX, MESSAGE_BYTES_MAX,
    START_LINE_BYTES_MAX,
};
#[cfg(doc)]
use crate::sip::{Message, Method};

/// Why bytes are not a message. `offset` counts bytes from the beginning of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Nothing but line breaks.
    Empty,
    /// The message is longer than [`MESSAGE_BYTES_MAX`] or its head than [`HEAD_BYTES_MAX`].
    TooLarge {
        /// Size of the input in bytes.
        size: usize,
    },
    /// More than [`HEADER_LINES_MAX`] header lines.
    TooManyHeaders {
        /// Where the first line too many begins.
        offset: usize,
    },
    /// A header line longer than [`HEADER_LINE_BYTES_MAX`].
    LineTooLong {
        /// Where the line begins.
        offset: usize,
    },
    /// A start line longer than [`START_LINE_BYTES_MAX`].
    StartLineTooLong {
        /// Where the line begins.
        offset: usize,
    },
    /// The start line is neither a request line nor a status line.
    StartLine {
        /// Where the line begins.
        offset: usize,
    },
    /// The Request-URI is malformed, or a `sip` URI with headers.
    RequestUri {
        /// Where it begins.
        offset: usize,
    },
    /// A version other than SIP/2.0.
    Version {
        /// Where the line begins.
        offset: usize,
    },
    /// The empty line behind the headers is missing.
    Unterminated {
        /// Size of the input in bytes.
        offset: usize,
    },
    /// A carriage return or a line feed on its own, or a NUL that is not escaped, in the head.
    StrayControl {
        /// Where it is.
        offset: usize,
    },
    /// A header line without colon, or with a name that is no token.
    HeaderLine {
        /// Where the line begins.
        offset: usize,
    },
    /// A header that every message must carry is missing (RFC 3261 section 8.1.1).
    MissingHeader {
        /// Its name.
        name: HeaderName,
    },
    /// A header that stands for one value is there twice.
    RepeatedHeader {
        /// Its name.
        name: HeaderName,
        /// Where the second line begins.
        offset: usize,
    },
    /// A header without which the message cannot be handled is malformed.
    HeaderValue {
        /// Its name.
        name: HeaderName,
        /// Where the line begins.
        offset: usize,
    },
    /// CSeq names another method than the request line.
    MethodMismatch {
        /// Where the CSeq line begins.
        offset: usize,
        /// Whether the method of the request line is one that [`Method`] lists.
        is_known: bool,
    },
    /// Content-Length is not a number, says two different things, or more than there is.
    ContentLength {
        /// Where the line begins.
        offset: usize,
    },
}

impl ParseError {
    /// Returns the status that a request with this error is answered with, if it can be answered
    /// at all ([`Message::salvage`]); a response with an error is dropped.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } | Self::TooManyHeaders { .. } => 513,
            Self::StartLineTooLong { .. } => 414,
            Self::Version { .. } => 505,
            // A later RFC may have another idea of CSeq (RFC 4475 section 3.1.2.18).
            Self::MethodMismatch {
                is_known: false, ..
            } => 501,
            Self::Empty
            | Self::LineTooLong { .. }
            | Self::StartLine { .. }
            | Self::RequestUri { .. }
            | Self::Unterminated { .. }
            | Self::StrayControl { .. }
            | Self::HeaderLine { .. }
            | Self::MissingHeader { .. }
            | Self::RepeatedHeader { .. }
            | Self::HeaderValue { .. }
            | Self::MethodMismatch { is_known: true, .. }
            | Self::ContentLength { .. } => 400,
        }
    }

    /// Returns where in the input the fault is, in bytes; `None` if it is the whole of it.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::TooLarge { .. } | Self::MissingHeader { .. } => None,
            Self::TooManyHeaders { offset }
            | Self::LineTooLong { offset }
            | Self::StartLineTooLong { offset }
            | Self::StartLine { offset }
            | Self::RequestUri { offset }
            | Self::Version { offset }
            | Self::Unterminated { offset }
            | Self::StrayControl { offset }
            | Self::HeaderLine { offset }
            | Self::RepeatedHeader { offset, .. }
            | Self::HeaderValue { offset, .. }
            | Self::MethodMismatch { offset, .. }
            | Self::ContentLength { offset } => Some(*offset),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty message"),
            Self::TooLarge { size } => write!(f, "message too large ({size} bytes)"),
            Self::TooManyHeaders { offset } => write!(f, "too many header lines at {offset}"),
            Self::LineTooLong { offset } => write!(f, "header line too long at {offset}"),
            Self::StartLineTooLong { offset } => write!(f, "start line too long at {offset}"),
            Self::StartLine { offset } => write!(f, "malformed start line at {offset}"),
            Self::RequestUri { offset } => write!(f, "malformed Request-URI at {offset}"),
            Self::Version { offset } => write!(f, "version is not SIP/2.0 at {offset}"),
            Self::Unterminated { offset } => write!(f, "no empty line before the end at {offset}"),
            Self::StrayControl { offset } => write!(f, "stray control character at {offset}"),
            Self::HeaderLine { offset } => write!(f, "malformed header line at {offset}"),
            Self::MissingHeader { name } => write!(f, "{name} is missing"),
            Self::RepeatedHeader { name, offset } => write!(f, "second {name} at {offset}"),
            Self::HeaderValue { name, offset } => write!(f, "malformed {name} at {offset}"),
            Self::MethodMismatch { offset, .. } => {
                write!(f, "CSeq method differs from the request line at {offset}")
            }
            Self::ContentLength { offset } => write!(f, "wrong Content-Length at {offset}"),
        }
    }
}

impl std::error::Error for ParseError {}
