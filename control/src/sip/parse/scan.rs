//! Bytes → lines: the one place that knows where a header line ends.

use memchr::memchr3;

/// A logical line: folded lines are one, the last CRLF is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sip) struct RawLine {
    /// Where it begins.
    pub(in crate::sip) start: usize,
    /// Where its CRLF is, or the end of the input.
    pub(in crate::sip) end: usize,
    /// Where the next line begins.
    pub(in crate::sip) next: usize,
    /// A CRLF inside, with a space or a tab behind it (RFC 3261 section 7.3.1).
    pub(in crate::sip) is_folded: bool,
    /// The first carriage return or line feed on its own, or NUL that is not escaped: what an
    /// element behind us could take for the end of the line.
    pub(in crate::sip) stray: Option<usize>,
}

/// Takes the line that begins at `start`; it may be empty.
#[inline]
pub(in crate::sip) fn line_at(bytes: &[u8], start: usize) -> RawLine {
    let rest = bytes.get(start..).unwrap_or_default();
    let Some(length) = memchr3(b'\r', b'\n', b'\0', rest) else {
        return odd_line_at(bytes, start);
    };
    let is_folded = length > 0 && matches!(rest.get(length + 2), Some(b' ' | b'\t'));
    if is_folded || !matches!(rest.get(length..), Some([b'\r', b'\n', ..])) {
        return odd_line_at(bytes, start);
    }
    RawLine {
        start,
        end: start + length,
        next: start + length + 2,
        is_folded: false,
        stray: None,
    }
}

/// As [`line_at`], of a line that is folded, not ended, or has stray bytes in it.
#[cold]
fn odd_line_at(bytes: &[u8], start: usize) -> RawLine {
    let mut line = RawLine {
        start,
        ..RawLine::default()
    };
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(step) = memchr3(b'\r', b'\n', b'\0', rest) else {
            line.end = bytes.len();
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
                    line.end = found;
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
/// where the value begins. `None` if there is no colon.
#[inline]
pub(in crate::sip) fn split_name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let mut name = line.get(..colon)?;
    while let [shorter @ .., b' ' | b'\t'] = name {
        name = shorter;
    }
    Some((name, colon + 1))
}
