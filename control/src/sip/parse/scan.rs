//! Bytes → lines: the one place that knows where a header line ends.

use memchr::{memchr2, memchr3};

use crate::sip::chars::{count_to_control, find};

/// Size of what stands in front of a phrase: `SIP/2.0 200 `.
const STATUS_BYTES: usize = 12;

/// A logical line: folded lines are one, the last CRLF is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sip) struct RawLine<'b> {
    /// Where it begins.
    pub(in crate::sip) start: usize,
    /// What stands in front of its CRLF, or of the end of the input.
    pub(in crate::sip) text: &'b [u8],
    /// Where the next line begins.
    pub(in crate::sip) next: usize,
    /// A CRLF inside, with a space or a tab behind it (RFC 3261 section 7.3.1).
    pub(in crate::sip) is_folded: bool,
    /// The first carriage return or line feed on its own, or NUL that is not escaped: what an
    /// element behind us could take for the end of the line.
    pub(in crate::sip) stray: Option<usize>,
}

impl RawLine<'_> {
    /// Returns the stray byte that makes a start line unreadable. A NUL in the phrase of a response
    /// ends no line for anybody who reads it, and the phrase is printed without it.
    pub(in crate::sip) fn stray_of_start(&self) -> Option<usize> {
        let offset = self.stray?;
        let behind = self.text.get(offset - self.start..).unwrap_or_default();
        let is_response = self
            .text
            .get(..STATUS_BYTES)
            .is_some_and(|front| front.starts_with(b"SIP/2.0 ") && !front.contains(&b'\0'));
        let has_break = memchr2(b'\r', b'\n', behind).is_some();
        (has_break || !is_response).then_some(offset)
    }
}

/// Takes the line that begins at `start`; it may be empty.
#[inline]
pub(in crate::sip) fn line_at(bytes: &[u8], start: usize) -> RawLine<'_> {
    let rest = bytes.get(start..).unwrap_or_default();
    match rest.split_at_checked(count_to_control(rest)) {
        Some((text, [b'\r', b'\n', after @ ..]))
            if text.is_empty() || !matches!(after, [b' ' | b'\t', ..]) =>
        {
            RawLine {
                start,
                text,
                next: bytes.len() - after.len(),
                is_folded: false,
                stray: None,
            }
        }
        Some(_) | None => odd_line_at(bytes, start),
    }
}

/// As [`line_at`], of a line that is folded or not ended, or that has stray bytes or
/// tabs in it.
#[cold]
fn odd_line_at(bytes: &[u8], start: usize) -> RawLine<'_> {
    let mut line = RawLine {
        start,
        ..RawLine::default()
    };
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(step) = memchr3(b'\r', b'\n', b'\0', rest) else {
            line.text = bytes.get(start..).unwrap_or_default();
            line.next = bytes.len();
            return line;
        };
        let found = at + step;
        at = found + 1;
        let next = bytes.get(found + 1);
        match bytes.get(found) {
            Some(b'\r') if next == Some(&b'\n') => {
                at = found + 2;
                let is_folded = found > start && matches!(bytes.get(at), Some(b' ' | b'\t'));
                if !is_folded {
                    line.text = bytes.get(start..found).unwrap_or_default();
                    line.next = at;
                    return line;
                }
                line.is_folded = true;
            }
            Some(b'\0') if found > start && bytes.get(found - 1) == Some(&b'\\') => {}
            _ => line.stray = line.stray.or(Some(found)),
        }
    }
}

/// Splits a header line at its colon: what stands in front, without spaces before the colon, and
/// what stands behind. `None` if there is no colon.
#[inline]
pub(in crate::sip) fn split_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut name, value) = line.split_at_checked(find(b':', line)?)?;
    while let [shorter @ .., b' ' | b'\t'] = name {
        name = shorter;
    }
    Some((name, value.get(1..)?))
}
