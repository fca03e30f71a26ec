//! Bytes → `Message`, or an error that says what is wrong and where.

use std::sync::Arc;

use bytes::Bytes;

use super::chars::{find, is_token};
use super::header::HeaderName;
use super::header::via::Via;
use super::limits::{
    HEAD_BYTES_MAX, HEADER_LINE_BYTES_MAX, HEADER_LINES_MAX, MESSAGE_BYTES_MAX, REASON_BYTES_MAX,
    START_LINE_BYTES_MAX,
};
use super::message::line::{HeaderLine, Span, Text, Unfolded, Value, text_of, unfold};
use super::message::{Message, StartLine, USUAL_LINES, readable_phrase};
use super::method::Method;

mod check;
mod error;
pub(super) mod scan;
mod usual;

pub(super) use check::length_of;
pub use error::ParseError;
use scan::{RawLine, line_at, split_name};

impl Message {
    /// Parses one datagram or one WebSocket message; on a stream, what
    /// [`Framer`](super::framing::Framer) has cut out.
    ///
    /// Without Content-Length the body is the rest; a smaller Content-Length cuts it (RFC 3261
    /// section 18.3, RFC 7118 section 5). Line breaks in front are skipped. A message that ends
    /// behind its last header line is read as if the empty line were there.
    ///
    /// # Errors
    ///
    /// See [`ParseError`]. Checked are the frame, the limits, and the headers that transactions
    /// rest on: Via, From, To, Call-ID, CSeq, Max-Forwards and Content-Length; and the
    /// Request-URI.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        let reading = read(&bytes, &mut |error| Err(error))?;
        check::check(&reading)?;
        Ok(reading.message)
    }

    /// Reads what can be read of a malformed request, so that it can still be answered. `None`
    /// unless it is a request other than ACK with Via, From, To, Call-ID and CSeq.
    ///
    /// The result is good for [`Message::response_to`] and for nothing else.
    #[must_use]
    pub fn salvage(bytes: Bytes) -> Option<Self> {
        let bytes = bytes.slice(..bytes.len().min(MESSAGE_BYTES_MAX));
        let mut message = read(&bytes, &mut |_| Ok(())).ok()?.message;
        message.body = Bytes::new();
        let has = |name: HeaderName| message.header(name).is_some_and(|v| !v.is_empty());
        let is_answerable = message.is_request()
            && message.method() != Method::Ack
            && message
                .values(HeaderName::Via)
                .next()
                .is_some_and(Via::is_answerable)
            && has(HeaderName::From)
            && has(HeaderName::To)
            && has(HeaderName::CallId)
            && has(HeaderName::CSeq);
        // Of doubled headers the first is echoed.
        for name in [
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            let mut seen = false;
            message
                .lines
                .retain(|line| line.name != name || !std::mem::replace(&mut seen, true));
        }
        is_answerable.then_some(message)
    }
}

/// A message whose headers are not checked yet.
struct Reading {
    message: Message,
    /// Where the start line begins in the input: behind leading line breaks.
    begin: usize,
    /// Where each line of a head that is not UTF-8 begins in the input; empty otherwise, since
    /// the lines tell.
    offsets: Vec<usize>,
}

impl Reading {
    /// Returns where in the input a line begins.
    fn offset(&self, index: usize) -> usize {
        match self.message.lines.get(index).and_then(HeaderLine::span) {
            Some(line) => self.begin + usize::try_from(line.start).unwrap_or(usize::MAX),
            None => self.offsets.get(index).copied().unwrap_or(0),
        }
    }
}

/// What becomes of a fault: an error ends the reading, `Ok` skips the faulty piece.
type OnFault<'f> = &'f mut dyn FnMut(ParseError) -> Result<(), ParseError>;

fn read(bytes: &Bytes, on_fault: OnFault<'_>) -> Result<Reading, ParseError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        on_fault(ParseError::TooLarge { size: bytes.len() })?;
    }
    let begin = bytes
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n'))
        .ok_or(ParseError::Empty)?;
    let first = line_at(bytes, begin);
    let is_response = names_version(first.text);
    if first.text.len() > START_LINE_BYTES_MAX && !is_response {
        on_fault(ParseError::StartLineTooLong { offset: begin })?;
    }
    if let Some(offset) = first.stray_of_start() {
        on_fault(ParseError::StrayControl { offset })?;
    }
    let mut start = match is_response {
        true => read_status_line(&first)?,
        false => read_request_line(&first, on_fault)?,
    };
    // However long a phrase is, it takes no room from the headers.
    let counted = if is_response { first.next } else { begin };
    let (mut lines, head_end, body_start) =
        read_lines(bytes, (begin, counted), first.next, on_fault)?;
    let head_bytes = bytes.get(begin..head_end).unwrap_or_default();
    let mut offsets = Vec::new();
    let head = match std::str::from_utf8(head_bytes) {
        Ok(head) => Some(Arc::from(head)),
        Err(_) => {
            offsets = detach(bytes, begin, &mut lines, &mut start);
            None
        }
    };
    let body = bytes.slice(body_start..);
    let mut reading = Reading {
        message: Message {
            head,
            start,
            lines,
            body,
        },
        begin,
        offsets,
    };
    match check::content_length(&reading) {
        Ok(Some(length)) => reading.message.body.truncate(length),
        Ok(None) => {}
        Err(error) => on_fault(error)?,
    }
    Ok(reading)
}

/// Returns the header lines, where the last one ends, and where the body begins. Spans count from
/// `begin`, the size of the head from `counted`.
fn read_lines(
    bytes: &Bytes,
    (begin, counted): (usize, usize),
    mut at: usize,
    on_fault: OnFault<'_>,
) -> Result<(Vec<HeaderLine>, usize, usize), ParseError> {
    let mut lines = Vec::with_capacity(USUAL_LINES);
    let mut end = at;
    loop {
        if at >= bytes.len() {
            // The empty line is not there: nothing but a body could be missing, and the length of
            // that would be told. On a stream the framer has found the empty line.
            if lines.is_empty() {
                on_fault(ParseError::Unterminated {
                    offset: bytes.len(),
                })?;
            }
            return Ok((lines, end, bytes.len()));
        }
        let line = line_at(bytes, at);
        at = line.next;
        if line.text.is_empty() {
            return Ok((lines, end, at));
        }
        end = line.start + line.text.len();
        if at - counted > HEAD_BYTES_MAX {
            on_fault(ParseError::TooLarge { size: bytes.len() })?;
        }
        if lines.len() == HEADER_LINES_MAX {
            on_fault(ParseError::TooManyHeaders { offset: line.start })?;
            return Ok((lines, end, at));
        }
        match read_header_line(&line, begin) {
            Ok(line) => lines.push(line),
            Err(error) => on_fault(error)?,
        }
    }
}

/// Gives each line of a head that is not UTF-8 its own bytes; returns where they began.
fn detach(
    bytes: &Bytes,
    begin: usize,
    lines: &mut [HeaderLine],
    start: &mut StartLine,
) -> Vec<usize> {
    let wide = |at: u32| begin + usize::try_from(at).unwrap_or(usize::MAX - begin);
    let range = |span: Span| wide(span.start)..wide(span.end);
    let text = |span: Span| bytes.get(range(span)).unwrap_or_default();
    let mut offsets = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(span) = line.span() else {
            continue;
        };
        let value = split_name(text(span)).map_or(text(span), |(_, value)| value);
        offsets.push(wide(span.start));
        *line = HeaderLine::apart(line.name.clone(), bytes.slice(range(span)), value);
    }
    let (StartLine::Request {
        uri: part, line, ..
    }
    | StartLine::Response {
        reason: part, line, ..
    }) = start;
    if let Text::Wire(span) = part {
        *part = Text::Made(text_of(text(*span)).into());
    }
    *line = None;
    offsets
}

/// Tells whether a start line begins with a version, as that of a response does.
fn names_version(line: &[u8]) -> bool {
    line.get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"SIP/"))
}

/// Reads the start line of a response. Its phrase is for people, and no client need look at it (RFC
/// 3261 section 7.2): whatever bytes it has, the status counts.
fn read_status_line(line: &RawLine<'_>) -> Result<StartLine, ParseError> {
    let offset = line.start;
    let malformed = || ParseError::StartLine { offset };
    let (version, rest) = split_at_space(line.text).ok_or_else(malformed)?;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err(ParseError::Version { offset });
    }
    let (digits, phrase) = rest.split_at_checked(3).ok_or_else(malformed)?;
    let (is_whole, phrase) = match phrase {
        [] => (false, phrase),
        [b' ', phrase @ ..] => (true, phrase),
        [b'\t', phrase @ ..] => (false, phrase),
        _ => return Err(malformed()),
    };
    let status = Some(digits)
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok())
        .filter(|status| (100..700).contains(status))
        .ok_or_else(malformed)?;
    let length = line.text.len();
    let is_usual = phrase.len() <= REASON_BYTES_MAX
        && !phrase.iter().any(u8::is_ascii_control)
        && std::str::from_utf8(phrase).is_ok();
    if is_usual {
        return Ok(StartLine::Response {
            status,
            reason: Text::Wire(Span::new(length - phrase.len(), length)),
            // Without the space behind the status, the line is printed anew, with it.
            line: is_whole.then(|| Span::new(0, length)),
        });
    }
    // So is a line with a phrase that cannot be shown.
    Ok(StartLine::Response {
        status,
        reason: Text::Made(readable_phrase(status, &text_of(phrase))),
        line: None,
    })
}

fn read_request_line(line: &RawLine<'_>, on_fault: OnFault<'_>) -> Result<StartLine, ParseError> {
    let offset = line.start;
    let malformed = || ParseError::StartLine { offset };
    let (first, rest) = split_at_space(line.text).unwrap_or((line.text, b""));
    let (second, third) = split_at_space(rest).unwrap_or((rest, b""));
    let method = std::str::from_utf8(first).map_err(|_| malformed())?;
    if !is_token(method) || second.is_empty() {
        return Err(malformed());
    }
    let uri_at = first.len() + 1;
    let uri = Text::Wire(Span::new(uri_at, uri_at + second.len()));
    let request = StartLine::Request {
        method: Method::from(method),
        uri,
        line: Some(Span::new(0, line.text.len())),
    };
    if std::str::from_utf8(second).is_err() {
        on_fault(malformed())?;
    }
    if third.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(request);
    }
    let is_version = names_version(third) && !third.contains(&b' ');
    on_fault(if is_version {
        ParseError::Version { offset }
    } else {
        malformed()
    })?;
    Ok(request)
}

/// What stands in front of the first space, and what behind it.
fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = find(b' ', text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Reads a line; its spans count from `begin`.
#[inline]
fn read_header_line(raw: &RawLine<'_>, begin: usize) -> Result<HeaderLine, ParseError> {
    let offset = raw.start;
    if raw.text.len() > HEADER_LINE_BYTES_MAX {
        return Err(ParseError::LineTooLong { offset });
    }
    stray(raw)?;
    let (name, value) = split_name(raw.text).ok_or(ParseError::HeaderLine { offset })?;
    let name = HeaderName::from_token(name).ok_or(ParseError::HeaderLine { offset })?;
    let start = raw.start - begin;
    let end = start + raw.text.len();
    let line = Span::new(start, end);
    let front = value.trim_ascii_start();
    let value = front.trim_ascii_end();
    let value = if raw.is_folded {
        let value = unfold(value);
        Value::Unfolded(Box::new(Unfolded { line, value }))
    } else {
        let value_start = end - front.len();
        let value = Span::new(value_start, value_start + value.len());
        Value::Wire { line, value }
    };
    Ok(HeaderLine { name, value })
}

fn stray(line: &RawLine<'_>) -> Result<(), ParseError> {
    match line.stray {
        Some(offset) => Err(ParseError::StrayControl { offset }),
        None => Ok(()),
    }
}
