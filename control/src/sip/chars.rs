//! Which bytes may stand where, and looking for them in short texts.
//!
//! Parsing takes most of its time here, so this file trades plainness for speed, and no other
//! does: a table says what each byte may be part of, four bytes are looked up at a time, and
//! [`find`] compares eight at a time in one register. Names and values of headers are a few dozen
//! bytes long; `memchr`, which is better for long texts, has not paid for its start by then.

/// Bytes of a kind, as one bit of each entry of [`CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u8);

impl Class {
    /// What may stand in a token (RFC 3261 section 25.1).
    pub(super) const TOKEN: Self = Self(1);
    /// What may stand in the name of a parameter: URI parameters may also carry `[]/:&$`
    /// (RFC 3261 section 25.1, `paramchar`).
    pub(super) const PARAM: Self = Self(2);
    /// What may stand in a host name or an IPv4 address.
    pub(super) const HOST: Self = Self(4);
    /// What may stand in a URI at all: no space, control, bracket or quote.
    pub(super) const URI: Self = Self(8);
    /// As [`Class::URI`], without `:`, `%` and `@`, which have a meaning in or behind a user.
    pub(super) const USER: Self = Self(16);
    /// ASCII white space.
    pub(super) const SPACE: Self = Self(32);
    /// `0` to `9`.
    pub(super) const DIGIT: Self = Self(64);
    /// What neither quotes nor separates in a display name or in the value of a parameter.
    pub(super) const PLAIN: Self = Self(128);

    /// Returns what stands behind the bytes of this class that a text begins with.
    pub(super) fn skip(self, text: &[u8]) -> &[u8] {
        let mut rest = text;
        while let [a, b, c, d, after @ ..] = rest {
            let [a, b, c, d] = [*a, *b, *c, *d].map(classes_of);
            if a & b & c & d & self.0 == 0 {
                break;
            }
            rest = after;
        }
        while let [byte, after @ ..] = rest
            && self.has(*byte)
        {
            rest = after;
        }
        rest
    }

    /// Returns how many bytes of this class a text begins with.
    #[inline]
    pub(super) fn count(self, text: &[u8]) -> usize {
        text.len() - self.skip(text).len()
    }

    /// Tells whether all bytes are of this class.
    pub(super) fn has_all(self, text: &[u8]) -> bool {
        self.skip(text).is_empty()
    }

    /// Tells whether a byte is of this class.
    pub(super) fn has(self, byte: u8) -> bool {
        classes_of(byte) & self.0 != 0
    }
}

/// A text that is read from front to back.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    rest: &'t str,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// Takes bytes of a class, or none.
    #[inline]
    pub(super) fn take(&mut self, class: Class) -> &'t str {
        self.take_bytes(class.count(self.rest.as_bytes()))
            .unwrap_or_default()
    }

    /// Takes a token of at least one character.
    #[inline]
    pub(super) fn token(&mut self) -> Option<&'t str> {
        Some(self.take(Class::TOKEN)).filter(|token| !token.is_empty())
    }

    /// Takes so many bytes, unless there are fewer or the last is within a character.
    #[inline]
    pub(super) fn take_bytes(&mut self, count: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Skips white space; false if there is none.
    #[inline]
    pub(super) fn skip_space(&mut self) -> bool {
        let is_next = self
            .rest
            .bytes()
            .next()
            .is_some_and(|b| Class::SPACE.has(b));
        if is_next {
            self.take(Class::SPACE);
        }
        is_next
    }

    /// Skips this byte; false if another one follows, or none. Not for bytes above 127.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.rest.as_bytes().first() == Some(&byte);
        if is_next {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        is_next
    }

    /// Skips this byte and white space around it; false if another one follows, or none.
    #[inline]
    pub(super) fn separator(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.eat(byte);
        if is_next {
            self.skip_space();
        }
        is_next
    }

    /// Returns what has not been read yet.
    pub(super) fn rest(&self) -> &'t str {
        self.rest
    }
}

/// Tells whether text is a token (RFC 3261 section 25.1) of at least one character.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && Class::TOKEN.has_all(text.as_bytes())
}

/// Finds the first of these bytes.
#[inline]
pub(super) fn find(wanted: u8, text: &[u8]) -> Option<usize> {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let differs = u64::from_le_bytes(*word) ^ (ONES * u64::from(wanted));
        let equal = below(1, differs);
        if equal != 0 {
            return Some(text.len() - rest.len() + first(equal));
        }
        rest = after;
    }
    let at = rest.iter().position(|byte| *byte == wanted)?;
    Some(text.len() - rest.len() + at)
}

/// Returns how many bytes stand in front of the first one that may end a line, or is another of
/// the lowest control characters.
#[inline]
pub(super) fn count_to_control(text: &[u8]) -> usize {
    /// The lowest byte that is none: one above the carriage return.
    const LIMIT: u8 = b'\r' + 1;
    let mut rest = text;
    // The compiler makes one vector of a block, and none of a loop that may end inside.
    while let Some((block, after)) = rest.split_first_chunk::<16>() {
        if block.iter().fold(false, |any, byte| any | (*byte < LIMIT)) {
            break;
        }
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let low = below(LIMIT, u64::from_le_bytes(*word));
        if low != 0 {
            return text.len() - rest.len() + first(low);
        }
        rest = after;
    }
    let last = rest.iter().take_while(|byte| **byte >= LIMIT).count();
    text.len() - rest.len() + last
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);

/// Marks the bytes below a limit of at most 128 in their top bits. Above the lowest mark there may
/// be false ones: it is where a subtraction borrows from the next byte.
#[inline]
fn below(limit: u8, word: u64) -> u64 {
    word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7)
}

/// Returns which byte has the lowest mark.
#[inline]
fn first(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

fn classes_of(byte: u8) -> u8 {
    // An array of 256 has every byte; this leaves no check behind.
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut class = 0;
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let this = byte as u8;
        if this > b' ' && this != 0x7f && !matches!(this, b'<' | b'>' | b'"') {
            class |= Class::URI.0;
            if !matches!(this, b':' | b'%' | b'@') {
                class |= Class::USER.0;
            }
        }
        if this.is_ascii_alphanumeric() || matches!(this, b'-' | b'.' | b'_') {
            class |= Class::TOKEN.0 | Class::PARAM.0 | Class::HOST.0;
        }
        if matches!(this, b'!' | b'%' | b'*' | b'+' | b'`' | b'\'' | b'~') {
            class |= Class::TOKEN.0 | Class::PARAM.0;
        }
        if matches!(this, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')') {
            class |= Class::PARAM.0;
        }
        if this.is_ascii_whitespace() {
            class |= Class::SPACE.0;
        }
        if this.is_ascii_digit() {
            class |= Class::DIGIT.0;
        }
        if !matches!(this, b'"' | b'\\' | b'<' | b'>' | b',' | b';') {
            class |= Class::PLAIN.0;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Class, count_to_control, find};

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(
            text in prop::collection::vec(prop_oneof![Just(b'@'), any::<u8>()], 0..40),
        ) {
            for wanted in [b'@', 0, 0x80, 0xff] {
                let plain = text.iter().position(|byte| *byte == wanted);
                prop_assert_eq!(find(wanted, &text), plain);
            }
        }

        #[test]
        fn counts_what_a_plain_loop_counts(
            text in prop::collection::vec(prop_oneof![32..127_u8, 32..127_u8, any::<u8>()], 0..60),
        ) {
            let plain = text.iter().take_while(|byte| **byte > b'\r').count();
            prop_assert_eq!(count_to_control(&text), plain);
            for class in [Class::TOKEN, Class::URI, Class::PLAIN] {
                let plain = text.iter().take_while(|byte| class.has(**byte)).count();
                prop_assert_eq!(class.count(&text), plain);
                prop_assert_eq!(class.has_all(&text), plain == text.len());
            }
        }
    }
}
