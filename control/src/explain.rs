//! How a SIP message or a session description is understood, for support cases: header by header,
//! or the exact reason and place why it is refused.
//!
//! Nothing that is a secret is repeated: digests, tokens, passwords in URIs, SRTP keys, ICE
//! passwords.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::sip::framing::Framer;
use crate::sip::status::reason_phrase;
use crate::sip::{HeaderName, Message, Method, ParseError};

mod header;
mod reason;
mod secret;
mod session;
#[cfg(test)]
mod tests;
mod uri;

/// What is told about one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `request`, `response` or `session description`; `message` if it is not known which.
    pub kind: &'static str,
    /// One sentence.
    pub summary: String,
    /// Why it is refused; `None` if it is accepted.
    pub refusal: Option<Refusal>,
    /// The lines with their meaning, top down.
    pub lines: Vec<Line>,
    /// What stands out, although it is accepted.
    pub remarks: Vec<String>,
    /// The session description in the body.
    pub body: Option<Box<Self>>,
}

/// Why an input is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The status that a request is answered with; `None` for what is dropped without an answer.
    pub status: Option<u16>,
    /// What is wrong.
    pub reason: String,
    /// More exactly, where that is known.
    pub detail: Option<String>,
    /// Number of the line, from 1.
    pub line: Option<usize>,
    /// Place in the line, from 1, in bytes.
    pub column: Option<usize>,
    /// Place in the input, from 0, in bytes.
    pub offset: Option<usize>,
    /// The line.
    pub text: Option<String>,
}

/// One line and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Number of the line in the input, from 1; a folded line has the number of its first.
    pub number: usize,
    /// The long name of the header; `v`, `o`, `m` … in a session description.
    pub name: String,
    /// The value, unfolded, without secrets.
    pub value: String,
    /// What is read from it.
    pub facts: Vec<Fact>,
    /// Why the value cannot be read, although the message as a whole is accepted.
    pub problem: Option<String>,
}

/// One thing that a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Of what.
    pub what: String,
    /// What it is.
    pub is: String,
}

impl Fact {
    fn new(what: impl Into<String>, is: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            is: is.into(),
        }
    }
}

impl Explanation {
    /// Tells whether the input is accepted, the session description in its body included.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.refusal.is_none() && self.body.as_ref().is_none_or(|body| body.is_accepted())
    }
}

/// Explains a SIP message: one datagram, or one WebSocket message.
#[must_use]
pub fn message(bytes: &Bytes) -> Explanation {
    match Message::parse(bytes.clone()) {
        Ok(message) => accepted(bytes, &message),
        Err(error) => refused(bytes, &error),
    }
}

/// Explains a session description.
#[must_use]
pub fn session_description(bytes: &[u8]) -> Explanation {
    session::explain(bytes, 0)
}

fn accepted(bytes: &Bytes, message: &Message) -> Explanation {
    let leading = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'));
    let mut number = 1 + leading.filter(|byte| **byte == b'\n').count();
    let mut lines = vec![uri::start_line(message, number)];
    for ((name, value), raw) in message.lines().zip(message.raw_lines()) {
        number += 1;
        lines.push(header::explain(
            number,
            name,
            value,
            raw.unwrap_or_default(),
        ));
        number += raw
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
    }
    let body = message.body();
    let description = message
        .header(HeaderName::ContentType)
        .and_then(|_| message.description());
    let described = description.map(|description| {
        let before = number + 1 + lines_before(body, &description);
        Box::new(session::explain(&description, before))
    });
    let what = match message.status() {
        Some(status) => format!("response {status} to {}", message.method()),
        None => format!("{} request", message.method()),
    };
    let carried = match (body.len(), message.header(HeaderName::ContentType)) {
        (0, _) => "no body".to_owned(),
        (size, Some(media_type)) => format!("a body of {size} bytes of {media_type}"),
        (size, None) => format!("a body of {size} bytes without Content-Type"),
    };
    let count = message.lines().count();
    Explanation {
        kind: if message.is_request() {
            "request"
        } else {
            "response"
        },
        summary: format!(
            "{what}, {} bytes, {count} header lines, {carried}",
            bytes.len()
        ),
        refusal: None,
        lines,
        remarks: remarks(bytes, message),
        body: described,
    }
}

/// Lines of a body before a part of it; none for a part that was encoded.
fn lines_before(body: &Bytes, part: &Bytes) -> usize {
    let offset = (part.as_ptr() as usize).checked_sub(body.as_ptr() as usize);
    let before = offset.and_then(|offset| body.get(..offset));
    let bytes = before.unwrap_or_default().iter();
    bytes.filter(|byte| **byte == b'\n').count()
}

/// How a body is taken that is more than a session description, or none, where one could be.
fn body_remark(message: &Message) -> Option<String> {
    if !matches!(
        message.method(),
        Method::Invite | Method::Ack | Method::Prack | Method::Update
    ) {
        return None;
    }
    if let Err(error) = message.session_description()
        && message.is_request()
        && !matches!(message.method(), Method::Ack | Method::Prack)
    {
        return Some(format!("refused with {}: {}", error.status(), error.text()));
    }
    let taken = message.description().map_or(0, |taken| taken.len());
    (taken < message.body().len()).then(|| match taken {
        0 => "nothing of the body is a session description: it is ignored".to_owned(),
        _ => "the body is read for its session description alone".to_owned(),
    })
}

fn remarks(bytes: &Bytes, message: &Message) -> Vec<String> {
    let mut remarks: Vec<String> = body_remark(message).into_iter().collect();
    let mut framer = Framer::new();
    framer.push(bytes);
    if let Err(error) = framer.next_frame() {
        remarks.push(format!("over TCP or TLS this ends the connection: {error}"));
    }
    let taken = message.to_bytes().len();
    let has_length = message.header(HeaderName::ContentLength).is_some();
    if !has_length {
        remarks.push("no Content-Length: the body is the rest of the datagram".to_owned());
    } else if bytes.len() > taken {
        let extra = bytes.len() - taken;
        remarks.push(format!("{extra} bytes outside of the message are ignored"));
    }
    if message.is_request() && message.header(HeaderName::MaxForwards).is_none() {
        remarks.push("no Max-Forwards: taken as 70".to_owned());
    }
    if message.from_tag().is_none() {
        remarks.push("From has no tag, as before RFC 3261".to_owned());
    }
    if message.is_request() && message.to_tag().is_some() {
        remarks.push("To has a tag: a request within a dialog".to_owned());
    }
    if message.status().is_some() && message.values(HeaderName::Via).count() > 1 {
        remarks.push("more than one Via: meant for an element behind this one".to_owned());
    }
    remarks
}

fn refused(bytes: &Bytes, error: &ParseError) -> Explanation {
    let is_answerable = Message::salvage(bytes.clone()).is_some();
    let place = error.offset().map(|offset| reason::place(bytes, offset));
    let refusal = Refusal {
        status: is_answerable.then(|| error.status()),
        reason: reason::headline(error),
        detail: reason::detail(error, bytes),
        line: place.as_ref().map(|place| place.line),
        column: place.as_ref().map(|place| place.column),
        offset: error.offset(),
        text: place.map(|place| place.text),
    };
    let summary = match refusal.status {
        Some(status) => format!("refused with {status} {}", reason_phrase(status)),
        None => "dropped: it cannot be answered".to_owned(),
    };
    Explanation {
        kind: "message",
        summary: format!("{} bytes, {summary}", bytes.len()),
        refusal: Some(refusal),
        lines: Vec::new(),
        remarks: Vec::new(),
        body: None,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        if let Some(refusal) = &self.refusal {
            write!(f, "\n{refusal}")?;
        }
        if !self.lines.is_empty() {
            writeln!(f)?;
        }
        for line in &self.lines {
            write!(f, "{line}")?;
        }
        if !self.remarks.is_empty() {
            writeln!(f)?;
        }
        for remark in &self.remarks {
            writeln!(f, "note: {remark}")?;
        }
        match &self.body {
            Some(body) => write!(f, "\n{body}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {}", self.reason)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        writeln!(f)?;
        let (Some(line), Some(text)) = (self.line, &self.text) else {
            return Ok(());
        };
        let at = match (self.column, self.offset) {
            (Some(column), Some(offset)) => format!(", column {column}, byte {offset}"),
            _ => String::new(),
        };
        if text.is_empty() {
            return writeln!(f, "line {line}{at}: the end");
        }
        writeln!(f, "line {line}{at}:\n  {text}")?;
        match self.column {
            // The caret stands below the place as long as the line is plain text.
            Some(column) if text.is_ascii() && column <= text.len() + 1 => {
                writeln!(f, "  {:>column$}", "^")
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = match self.name.len() {
            0 => "",
            1 => "=",
            _ => ": ",
        };
        let text = format!("{}{colon}{}", self.name, self.value);
        writeln!(f, "{:>4}  {}", self.number, text.trim_end())?;
        for fact in &self.facts {
            writeln!(f, "        {:<14} {}", fact.what, fact.is)?;
        }
        match &self.problem {
            Some(problem) => writeln!(f, "        cannot be read: {problem}"),
            None => Ok(()),
        }
    }
}
