//! One header line, and the text that lines point into.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr3;

use crate::sip::header::HeaderName;

/// Start line and header of a message as it came. Lines are ranges of it.
pub(in crate::sip) type Head = Option<Arc<str>>;

/// A range of the head, in bytes. The limits on sizes keep it within 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sip) struct Span {
    pub(in crate::sip) start: u32,
    pub(in crate::sip) end: u32,
}

impl Span {
    pub(in crate::sip) fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    pub(in crate::sip) fn of<'h>(&self, head: &'h str) -> &'h str {
        let wide = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        head.get(wide(self.start)..wide(self.end)).unwrap_or("")
    }

    fn of_head(self, head: &Head) -> &str {
        head.as_deref().map_or("", |head| self.of(head))
    }
}

/// Text of a start line.
#[derive(Clone, Debug)]
pub(in crate::sip) enum Text {
    /// As it came.
    Wire(Span),
    /// Made here.
    Made(Box<str>),
}

impl Text {
    pub(in crate::sip) fn get<'h>(&'h self, head: &'h Head) -> &'h str {
        match self {
            Self::Wire(span) => span.of_head(head),
            Self::Made(text) => text,
        }
    }
}

/// One header line. Small, so that what a message has of them comes from the allocator's cache.
#[derive(Clone, Debug)]
pub(in crate::sip) struct HeaderLine {
    pub(in crate::sip) name: HeaderName,
    pub(in crate::sip) value: Value,
}

#[derive(Clone, Debug)]
pub(in crate::sip) enum Value {
    /// As it came; `line` is without its CRLF.
    Wire { line: Span, value: Span },
    /// As it came, but the value had to be unfolded.
    Unfolded(Box<Unfolded>),
    /// As it came, in a head that is not UTF-8 or that this message does not share.
    Apart(Box<Apart>),
    /// Made here.
    Made(Box<str>),
}

/// A line that came folded.
#[derive(Clone, Debug)]
pub(in crate::sip) struct Unfolded {
    pub(in crate::sip) line: Span,
    pub(in crate::sip) value: Box<str>,
}

/// A line that carries its own bytes.
#[derive(Clone, Debug)]
pub(in crate::sip) struct Apart {
    pub(in crate::sip) line: Bytes,
    pub(in crate::sip) value: Box<str>,
}

impl HeaderLine {
    /// Makes a line; line breaks in the value become spaces.
    pub(in crate::sip) fn made(name: HeaderName, value: String) -> Self {
        let trimmed = value.trim();
        // A line break in a value would begin a header of the value's author's choice.
        let value = if memchr3(b'\r', b'\n', b'\0', trimmed.as_bytes()).is_some() {
            trimmed.replace(['\r', '\n', '\0'], " ").into()
        } else if trimmed.len() == value.len() {
            value.into_boxed_str()
        } else {
            trimmed.into()
        };
        Self {
            name,
            value: Value::Made(value),
        }
    }

    /// Keeps a line of a head that is not UTF-8; `value` is the range behind its colon.
    pub(in crate::sip) fn apart(name: HeaderName, line: Bytes, value: &[u8]) -> Self {
        let value = unfold(value.trim_ascii());
        Self {
            name,
            value: Value::Apart(Box::new(Apart { line, value })),
        }
    }

    /// Returns the value, trimmed and unfolded.
    pub(in crate::sip) fn value<'h>(&'h self, head: &'h Head) -> &'h str {
        match &self.value {
            Value::Wire { value, .. } => value.of_head(head),
            Value::Unfolded(unfolded) => &unfolded.value,
            Value::Made(value) => value,
            Value::Apart(apart) => &apart.value,
        }
    }

    /// Returns the line as it came, without its CRLF; `None` if it was made here.
    pub(in crate::sip) fn raw<'h>(&'h self, head: &'h Head) -> Option<&'h [u8]> {
        match &self.value {
            Value::Wire { line, .. } => Some(line.of_head(head).as_bytes()),
            Value::Unfolded(unfolded) => Some(unfolded.line.of_head(head).as_bytes()),
            Value::Apart(apart) => Some(&apart.line),
            Value::Made(_) => None,
        }
    }

    /// Returns where in the head the line is, if it is there.
    pub(in crate::sip) fn span(&self) -> Option<Span> {
        match &self.value {
            Value::Wire { line, .. } => Some(*line),
            Value::Unfolded(unfolded) => Some(unfolded.line),
            Value::Apart(_) | Value::Made(_) => None,
        }
    }

    /// Returns a copy that does not need the head.
    pub(in crate::sip) fn detached(&self, head: &Head) -> Self {
        let value = match &self.value {
            Value::Wire { .. } | Value::Unfolded(_) => Value::Apart(Box::new(Apart {
                line: Bytes::copy_from_slice(self.raw(head).unwrap_or_default()),
                value: self.value(head).into(),
            })),
            own @ (Value::Apart(_) | Value::Made(_)) => own.clone(),
        };
        Self {
            name: self.name.clone(),
            value,
        }
    }
}

/// Returns bytes as text. What is not UTF-8 is read as Latin-1, which is what it mostly is; the
/// control characters of that as U+FFFD.
pub(in crate::sip) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let latin = |byte: &u8| match byte {
        0x80..=0x9f => char::REPLACEMENT_CHARACTER,
        byte => char::from(*byte),
    };
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(latin));
    }
    Cow::Owned(text)
}

/// Joins folded lines with one space, as RFC 3261 section 7.3.1 allows.
pub(in crate::sip) fn unfold(value: &[u8]) -> Box<str> {
    let text = text_of(value);
    let pieces: Vec<&str> = text.split("\r\n").map(str::trim).collect();
    pieces.join(" ").trim().into()
}
