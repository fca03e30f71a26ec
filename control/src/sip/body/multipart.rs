//! The parts of a multipart body (RFC 2046 section 5.1), as slices of it.
//!
//! Taken beyond the grammar: lines that end in LF alone, and a body whose last delimiter is missing.

use bytes::Bytes;
use memchr::memmem;

use super::super::limits::BODY_PART_HEAD_BYTES_MAX;
use super::{Entity, is_encoding};

/// A delimiter: where the content before it ends, and where its own line does.
struct Delimiter {
    content_end: usize,
    line_end: usize,
    is_last: bool,
}

/// The parts, each with its header; empty if the boundary is nowhere, `None` if there are more than
/// `most`.
pub(super) fn parts(body: &Bytes, boundary: &str, most: usize) -> Option<Vec<Bytes>> {
    let needle = format!("--{boundary}");
    let places = memmem::find_iter(body, needle.as_bytes());
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let delimiters = places.filter_map(|at| delimiter(body, at, needle.len()));
    for delimiter in delimiters {
        if let Some(start) = start {
            if parts.len() == most {
                return None;
            }
            // A line break that ends one delimiter may begin the next.
            parts.push(body.slice(start.min(delimiter.content_end)..delimiter.content_end));
        }
        start = Some(delimiter.line_end);
        if delimiter.is_last {
            return Some(parts);
        }
    }
    if let Some(start) = start {
        if parts.len() == most {
            return None;
        }
        parts.push(body.slice(start..));
    }
    Some(parts)
}

/// The delimiter whose `--boundary` stands at `at`, if it is one: alone on its line.
fn delimiter(body: &[u8], at: usize, length: usize) -> Option<Delimiter> {
    let before = body.get(..at)?;
    let content_end = match before {
        [] => 0,
        [.., b'\r', b'\n'] => at - 2,
        [.., b'\n'] => at - 1,
        _ => return None,
    };
    let after = body.get(at + length..)?;
    let (is_last, rest) = match after.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, after),
    };
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let rest = rest.get(padding.count()..)?;
    let rest = match rest {
        [] => rest,
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => rest,
        // The epilogue may follow at once.
        _ if is_last => rest,
        _ => return None,
    };
    Some(Delimiter {
        content_end,
        line_end: body.len() - rest.len(),
        is_last,
    })
}

/// A part, its header read. Without Content-Type it is plain text (RFC 2046 section 5.1).
pub(super) fn entity(part: Bytes) -> Entity {
    let (head, content) = split(&part);
    let field = |name: &str| field(&head, name);
    let encodings = field("Content-Encoding").unwrap_or_default();
    let mut encodings = encodings.split(',').map(str::trim);
    Entity {
        content_type: field("Content-Type").unwrap_or_else(|| "text/plain".to_owned()),
        disposition: field("Content-Disposition"),
        is_encoded: encodings.any(|value| !value.is_empty() && is_encoding(value)),
        transfer_encoding: field("Content-Transfer-Encoding"),
        content_id: field("Content-ID"),
        content,
    }
}

/// Header and content. A header that is too long is none.
fn split(part: &Bytes) -> (Bytes, Bytes) {
    let mut at = 0;
    while let Some(step) = part.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
        let line = part.get(at..at + step).unwrap_or_default();
        let next = at + step + 1;
        if line.is_empty() || line == b"\r" {
            return (head(part, at), part.slice(next..));
        }
        at = next;
    }
    (head(part, part.len()), Bytes::new())
}

fn head(part: &Bytes, end: usize) -> Bytes {
    if end > BODY_PART_HEAD_BYTES_MAX {
        return Bytes::new();
    }
    part.slice(..end)
}

/// The value of the first header field of this name, folded lines joined.
fn field(head: &[u8], name: &str) -> Option<String> {
    let mut value: Option<String> = None;
    for line in head.split(|byte| *byte == b'\n') {
        let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
        match &mut value {
            Some(value) if is_folded => {
                value.push(' ');
                value.push_str(String::from_utf8_lossy(line).trim());
            }
            Some(_) => break,
            None if is_folded => {}
            None => {
                let colon = memchr::memchr(b':', line);
                let Some((this, rest)) = colon.and_then(|at| line.split_at_checked(at)) else {
                    continue;
                };
                if this.trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
                    let rest = rest.get(1..).unwrap_or_default();
                    value = Some(String::from_utf8_lossy(rest).trim().to_owned());
                }
            }
        }
    }
    value
}
