//! `Message` → bytes.

use bytes::Bytes;

use super::header::HeaderName;
use super::message::line::{HeaderLine, Span, Value};
use super::message::{Message, StartLine};

/// Room for a start line and a Content-Length that are made here, but for the Request-URI or the
/// reason.
const FRAME_BYTES: usize = 64;

impl Message {
    /// Prints the message. Lines from the wire leave as they came; Content-Length is kept if it is
    /// there once and right, else written anew behind the other lines.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes_at_most());
        let mut splice = Splice {
            head: self.head.as_deref().unwrap_or(""),
            pending: None,
        };
        self.put_start(&mut out, &mut splice);
        let keeps_length = self.length_is_right();
        for line in &self.lines {
            if line.name != HeaderName::ContentLength || keeps_length {
                self.put_line(&mut out, &mut splice, line);
            }
        }
        splice.flush(&mut out);
        if !keeps_length {
            put(
                &mut out,
                &["Content-Length: ", &self.body.len().to_string(), "\r\n"],
            );
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        Bytes::from(out)
    }

    /// Returns a size that suffices, but for an odd method: what came, what was made, and the body.
    fn bytes_at_most(&self) -> usize {
        let head_bytes = self.head.as_ref().map_or(0, |head| head.len());
        let start_bytes = match &self.start {
            StartLine::Request { uri: text, .. } | StartLine::Response { reason: text, .. } => {
                text.get(&self.head).len()
            }
        };
        let own_bytes = |line: &HeaderLine| match &line.value {
            Value::Made(value) => line.name.as_str().len() + value.len() + ": \r\n".len(),
            Value::Apart(apart) => apart.line.len() + "\r\n".len(),
            Value::Wire { .. } | Value::Unfolded(_) => 0,
        };
        let lines_bytes: usize = self.lines.iter().map(own_bytes).sum();
        head_bytes + FRAME_BYTES + start_bytes + lines_bytes + self.body.len()
    }

    fn put_start(&self, out: &mut Vec<u8>, splice: &mut Splice<'_>) {
        match &self.start {
            StartLine::Request {
                line: Some(line), ..
            }
            | StartLine::Response {
                line: Some(line), ..
            } => splice.add(out, *line),
            StartLine::Request {
                method,
                uri,
                line: None,
            } => {
                put(
                    out,
                    &[method.as_str(), " ", uri.get(&self.head), " SIP/2.0\r\n"],
                );
            }
            StartLine::Response {
                status,
                reason,
                line: None,
            } => {
                let reason = reason.get(&self.head);
                put(out, &["SIP/2.0 ", &status.to_string(), " ", reason, "\r\n"]);
            }
        }
    }

    fn put_line(&self, out: &mut Vec<u8>, splice: &mut Splice<'_>, line: &HeaderLine) {
        match &line.value {
            Value::Wire { line, .. } => splice.add(out, *line),
            Value::Unfolded(unfolded) => splice.add(out, unfolded.line),
            Value::Apart(apart) => {
                splice.flush(out);
                out.extend_from_slice(&apart.line);
                out.extend_from_slice(b"\r\n");
            }
            Value::Made(value) => {
                splice.flush(out);
                put(out, &[line.name.as_str(), ": ", value, "\r\n"]);
            }
        }
    }

    fn length_is_right(&self) -> bool {
        let mut lengths = self.headers(HeaderName::ContentLength);
        let first = lengths.next().and_then(|digits| digits.parse().ok());
        first == Some(self.body.len()) && lengths.next().is_none()
    }
}

/// Lines that followed one another on the wire leave in one piece.
struct Splice<'h> {
    head: &'h str,
    pending: Option<Span>,
}

impl Splice<'_> {
    fn add(&mut self, out: &mut Vec<u8>, line: Span) {
        const CRLF_BYTES: u32 = 2;
        match &mut self.pending {
            Some(pending) if pending.end + CRLF_BYTES == line.start => pending.end = line.end,
            Some(_) | None => {
                self.flush(out);
                self.pending = Some(line);
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(span) = self.pending.take() {
            put(out, &[span.of(self.head), "\r\n"]);
        }
    }
}

fn put(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}
