//! `CSeq` (RFC 3261 section 20.16).

use std::fmt;

use crate::sip::chars::{Class, Cursor};
use crate::sip::method::Method;

/// Sequence number and method of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Sequence number, below 2^31 (RFC 3261 section 8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl CSeq {
    /// Parses a header value; `None` if it is not a number below 2^31 and a method.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (number, method) = Self::split(value)?;
        Some(Self {
            number,
            method: Method::from(method),
        })
    }

    /// As [`CSeq::parse`], with the method as it stands there.
    pub(in crate::sip) fn split(value: &str) -> Option<(u32, &str)> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        let number = cursor.take(Class::DIGIT).parse::<u32>().ok()?;
        if number >= 1 << 31 || !cursor.skip_space() {
            return None;
        }
        let method = cursor.token()?;
        cursor.skip_space();
        if !cursor.rest().is_empty() {
            return None;
        }
        Some((number, method))
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
