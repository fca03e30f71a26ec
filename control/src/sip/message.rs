//! One SIP message, kept so that what is not edited leaves byte for byte.
//!
//! A message from the wire keeps its head in one piece, and its lines are ranges of it, so that
//! compact names, folding and odd spacing stay. An edit replaces, inserts or removes whole lines.
//! `Content-Length` is the exception: it is always printed right, whatever the lines say.

use std::sync::Arc;

use bytes::Bytes;

use super::header::HeaderName;
use super::header::cseq::CSeq;
use super::header::params::{first_value_end, tag_of};
use super::limits::REASON_BYTES_MAX;
use super::method::Method;
use super::status::reason_phrase;

pub(super) mod line;
#[cfg(test)]
mod tests;

use line::{Head, HeaderLine, Span, Text};

/// A request or a response.
#[derive(Debug)]
pub struct Message {
    pub(super) head: Head,
    pub(super) start: StartLine,
    pub(super) lines: Vec<HeaderLine>,
    pub(super) body: Bytes,
}

impl Clone for Message {
    /// A copy is made to be edited: it has room for a few lines more.
    fn clone(&self) -> Self {
        let mut lines = Vec::with_capacity(self.lines.len() + LINES_ADDED_USUAL);
        lines.extend(self.lines.iter().cloned());
        Self {
            head: self.head.clone(),
            start: self.start.clone(),
            lines,
            body: self.body.clone(),
        }
    }
}

/// What the first line says. `line` is the line as it came, until it is edited.
#[derive(Clone, Debug)]
pub(super) enum StartLine {
    /// `METHOD uri SIP/2.0`
    Request {
        method: Method,
        uri: Text,
        line: Option<Span>,
    },
    /// `SIP/2.0 status reason`
    Response {
        status: u16,
        reason: Text,
        line: Option<Span>,
    },
}

/// Header lines that a usual message has, so that room is made once.
pub(super) const USUAL_LINES: usize = 20;

/// Header lines that a proxy adds: Via, Path or Record-Route, an identity, User-Agent.
const LINES_ADDED_USUAL: usize = 4;

impl Message {
    /// Makes a request with no header but those that the caller adds.
    #[must_use]
    pub fn request(method: impl Into<Method>, uri: &str) -> Self {
        let uri = Text::Made(clean(uri));
        Self::made(StartLine::Request {
            method: method.into(),
            uri,
            line: None,
        })
    }

    /// Makes a response (RFC 3261 section 8.2.6): Via, From, To, Call-ID and CSeq are copied byte
    /// for byte, and Timestamp into a 100. `reason` defaults to the usual phrase, also if there is
    /// nothing to read in it; it is cut to [`REASON_BYTES_MAX`].
    ///
    /// The caller adds the To tag ([`Message::set_to_tag`]) and, in a response that creates a
    /// dialog, Record-Route ([`Message::copy_from`]).
    #[must_use]
    pub fn response_to(request: &Self, status: u16, reason: Option<&str>) -> Self {
        let reason = Text::Made(readable_phrase(status, reason.unwrap_or_default()));
        let mut response = Self::made(StartLine::Response {
            status,
            reason,
            line: None,
        });
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            response.copy_from(request, name);
        }
        if status == 100 {
            response.copy_from(request, HeaderName::Timestamp);
        }
        response
    }

    /// Replaces all lines of this name by one. It stands where the first of them stood, or last.
    /// Line breaks in the value become spaces.
    pub fn set(&mut self, name: impl Into<HeaderName>, value: impl Into<String>) {
        let line = HeaderLine::made(name.into(), value.into());
        match self.position(&line.name) {
            Some(first) => {
                let mut index = 0;
                self.lines.retain(|old| {
                    index += 1;
                    index <= first + 1 || old.name != line.name
                });
                if let Some(slot) = self.lines.get_mut(first) {
                    *slot = line;
                }
            }
            None => self.lines.push(line),
        }
    }

    /// Appends a line, behind all others.
    pub fn push(&mut self, name: impl Into<HeaderName>, value: impl Into<String>) {
        self.lines.push(HeaderLine::made(name.into(), value.into()));
    }

    /// Inserts a line on top of those with the same name, or in front of all lines.
    pub fn push_front(&mut self, name: impl Into<HeaderName>, value: impl Into<String>) {
        let line = HeaderLine::made(name.into(), value.into());
        let at = self.position(&line.name).unwrap_or(0);
        self.lines.insert(at, line);
    }

    /// Removes all lines of this name; true if there were any.
    pub fn remove(&mut self, name: impl Into<HeaderName>) -> bool {
        let name = name.into();
        let before = self.lines.len();
        self.lines.retain(|line| line.name != name);
        self.lines.len() != before
    }

    /// Removes the first value of this name, even from a comma list, and returns it.
    pub fn remove_first_value(&mut self, name: impl Into<HeaderName>) -> Option<String> {
        self.edit_first_value(&name.into(), None)
    }

    /// Replaces the first value of this name, even in a comma list, and returns the old one;
    /// does nothing if there is none.
    pub fn replace_first_value(
        &mut self,
        name: impl Into<HeaderName>,
        value: &str,
    ) -> Option<String> {
        self.edit_first_value(&name.into(), Some(value))
    }

    /// Appends the lines of this name of another message, byte for byte.
    pub fn copy_from(&mut self, other: &Self, name: impl Into<HeaderName>) {
        let name = name.into();
        if self.head.is_none() {
            self.head.clone_from(&other.head);
        }
        let is_shared = match (&self.head, &other.head) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let lines = other.lines.iter().filter(|line| line.name == name);
        if is_shared {
            self.lines.extend(lines.cloned());
        } else {
            self.lines
                .extend(lines.map(|line| line.detached(&other.head)));
        }
    }

    /// Replaces the Request-URI; does nothing to a response.
    pub fn set_request_uri(&mut self, new: &str) {
        match &mut self.start {
            StartLine::Request { uri, line, .. } => {
                *uri = Text::Made(clean(new));
                *line = None;
            }
            StartLine::Response { .. } => {}
        }
    }

    /// Adds a tag to the To header, unless it has one.
    pub fn set_to_tag(&mut self, tag: &str) {
        if self.to_tag().is_none()
            && let Some(to) = self.header(HeaderName::To)
        {
            let tagged = format!("{to};tag={tag}");
            self.set(HeaderName::To, tagged);
        }
    }

    /// Sets body and Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: Bytes) {
        self.set(HeaderName::ContentType, content_type);
        self.body = body;
    }

    /// Removes the body and the headers that describe it.
    pub fn clear_body(&mut self) {
        for name in [
            HeaderName::ContentType,
            HeaderName::ContentEncoding,
            HeaderName::ContentDisposition,
            HeaderName::ContentLanguage,
        ] {
            self.remove(name);
        }
        self.body = Bytes::new();
    }

    /// Tells whether this is a request.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// Returns the method: of the start line, or of the CSeq of a response.
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { .. } => self
                .cseq()
                .map_or_else(|| Method::Other("".into()), |cseq| cseq.method),
        }
    }

    /// Returns the status code of a response, 100 to 699.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// Returns the reason phrase of a response.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { reason, .. } => Some(reason.get(&self.head)),
        }
    }

    /// Returns the Request-URI of a request, as it came.
    #[must_use]
    pub fn request_uri(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(uri.get(&self.head)),
            StartLine::Response { .. } => None,
        }
    }

    /// Returns the value of the first line of this name, trimmed and unfolded.
    ///
    /// It may be a comma list; [`Message::values`] splits it.
    #[must_use]
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers(name).next()
    }

    /// Returns the values of all lines of this name, top down, each trimmed and unfolded.
    pub fn headers(&self, name: impl Into<HeaderName>) -> impl Iterator<Item = &str> {
        let name = name.into();
        self.lines
            .iter()
            .filter(move |line| line.name == name)
            .map(|line| line.value(&self.head))
    }

    /// Returns all values of this name, comma lists split: commas in quotes and in `<…>` do not
    /// separate. A name that is no list ([`HeaderName::is_list`]) gives one value per line.
    pub fn values(&self, name: impl Into<HeaderName>) -> impl Iterator<Item = &str> {
        let name = name.into();
        let is_list = name.is_list();
        self.headers(name).flat_map(move |line| Values {
            rest: Some(line),
            is_list,
        })
    }

    /// Returns the names of all lines, top down, with their values.
    pub fn lines(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.lines
            .iter()
            .map(|line| (&line.name, line.value(&self.head)))
    }

    /// Returns all lines as they came, without their CRLF, folded ones in one piece; `None` for
    /// those that were made here.
    pub fn raw_lines(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.lines.iter().map(|line| line.raw(&self.head))
    }

    /// Tells whether a comma list such as `Supported` or `Allow` names this token, in any case.
    #[must_use]
    pub fn lists_token(&self, name: impl Into<HeaderName>, token: &str) -> bool {
        self.values(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Returns the CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq> {
        CSeq::parse(self.header(HeaderName::CSeq)?)
    }

    /// Returns the Call-ID; empty if there is none.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.header(HeaderName::CallId).unwrap_or("")
    }

    /// Returns the tag of From.
    #[must_use]
    #[expect(
        clippy::wrong_self_convention,
        reason = "From is a header, not a conversion"
    )]
    pub fn from_tag(&self) -> Option<&str> {
        tag_of(self.header(HeaderName::From)?)
    }

    /// Returns the tag of To.
    #[must_use]
    pub fn to_tag(&self) -> Option<&str> {
        tag_of(self.header(HeaderName::To)?)
    }

    /// Returns the body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    fn made(start: StartLine) -> Self {
        Self {
            head: None,
            start,
            lines: Vec::with_capacity(USUAL_LINES),
            body: Bytes::new(),
        }
    }

    fn position(&self, name: &HeaderName) -> Option<usize> {
        self.lines.iter().position(|line| line.name == *name)
    }

    fn edit_first_value(&mut self, name: &HeaderName, new: Option<&str>) -> Option<String> {
        let at = self.position(name)?;
        let line = self.lines.get_mut(at)?;
        let text = line.value(&self.head);
        let end = if name.is_list() {
            first_value_end(text)
        } else {
            text.len()
        };
        let first = text.get(..end)?.trim().to_owned();
        let rest = text.get(end + 1..).map_or("", str::trim);
        let edited = match (new, rest) {
            (Some(new), "") => new.to_owned(),
            (Some(new), rest) => format!("{new}, {rest}"),
            (None, rest) => rest.to_owned(),
        };
        if edited.is_empty() {
            self.lines.remove(at);
        } else {
            *line = HeaderLine::made(name.clone(), edited);
        }
        Some(first)
    }
}

/// The values of one line.
struct Values<'l> {
    rest: Option<&'l str>,
    is_list: bool,
}

impl<'l> Iterator for Values<'l> {
    type Item = &'l str;

    fn next(&mut self) -> Option<&'l str> {
        loop {
            let rest = self.rest?;
            let end = if self.is_list {
                first_value_end(rest)
            } else {
                rest.len()
            };
            self.rest = rest.get(end + 1..);
            let value = rest.get(..end).unwrap_or("").trim();
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// Tells whether bytes are a keep-alive (RFC 5626 section 3.5.1): line breaks and nothing else.
///
/// Two CRLFs are a ping and are answered by one; a single one is the answer.
#[must_use]
pub fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | b'\0'))
}

/// Returns a phrase for a status line: without control characters, not too long, and the usual one
/// if nothing is left.
pub(super) fn readable_phrase(status: u16, given: &str) -> Box<str> {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut phrase: String = given.trim().chars().map(plain).collect();
    let mut end = phrase.len().min(REASON_BYTES_MAX);
    while !phrase.is_char_boundary(end) {
        end -= 1;
    }
    phrase.truncate(end);
    match phrase.trim() {
        "" => reason_phrase(status).into(),
        readable => readable.into(),
    }
}

/// Keeps line breaks out of the start line.
fn clean(text: &str) -> Box<str> {
    text.replace(['\r', '\n', '\0'], " ").into()
}
