//! Parameters behind a value: `;name=value;flag`, and the splitting of values at commas.

use std::fmt;

use memchr::{memchr, memchr2, memchr3};

/// Parameters in the order in which they came; names are compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<Param>);

/// Name, and value as it stood on the wire (quotes included).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Param {
    name: String,
    value: Option<String>,
}

impl Params {
    /// Parses `;a=b;c="d;e"`; a leading semicolon is optional, spaces around `;` and `=` are
    /// dropped. `None` if a quote is left open or a name is empty or not a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut params = Vec::new();
        let text = text.trim();
        if text.is_empty() {
            return Some(Self(params));
        }
        let text = text.strip_prefix(';').unwrap_or(text);
        let mut pieces = Pieces::new(text, b';');
        for piece in &mut pieces {
            let (name, value) = split_param(piece)?;
            params.push(Param {
                name: name.to_owned(),
                value: value.map(str::to_owned),
            });
        }
        pieces.is_sound().then_some(Self(params))
    }

    /// Tells whether [`Params::parse`] would succeed.
    pub(in crate::sip) fn is_valid(text: &str) -> bool {
        Self::are_all(text, |_, _| true)
    }

    /// Tells whether [`Params::parse`] would succeed and every parameter is as wanted.
    pub(in crate::sip) fn are_all(text: &str, wanted: impl Fn(&str, Option<&str>) -> bool) -> bool {
        let text = text.trim_ascii();
        if text.is_empty() {
            return true;
        }
        let mut pieces = Pieces::new(text.strip_prefix(';').unwrap_or(text), b';');
        pieces.all(|piece| split_param(piece).is_some_and(|(name, value)| wanted(name, value)))
            && pieces.is_sound()
    }

    /// Returns a value, without its surrounding quotes; `Some("")` for a parameter without value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let param = self.find(name)?;
        Some(param.value.as_deref().map_or("", unquote))
    }

    /// Tells whether the parameter is there, with a value or without.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a parameter, in place if it is there, else at the end. `None` makes it a flag. The
    /// value is written as given: quote it first ([`quote`]) if it is not a token.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self
            .0
            .iter_mut()
            .find(|p| p.name.eq_ignore_ascii_case(name))
        {
            Some(param) => param.value = value,
            None => self.0.push(Param {
                name: name.to_owned(),
                value,
            }),
        }
    }

    /// Removes a parameter; true if it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|p| !p.name.eq_ignore_ascii_case(name));
        self.0.len() != before
    }

    /// Removes all parameters.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns names and values (without quotes) in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_deref().map(unquote)))
    }

    fn find(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for param in &self.0 {
            match &param.value {
                Some(value) => write!(f, ";{}={value}", param.name)?,
                None => write!(f, ";{}", param.name)?,
            }
        }
        Ok(())
    }
}

/// Returns a parameter of a header value such as `From`, `Contact` or `Session-Expires`: the
/// parameters behind `<…>` or, without brackets, behind the first semicolon.
///
/// Surrounding quotes are dropped; a flag gives `Some("")`.
#[must_use]
pub fn header_param<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    let tail = value.get(outside(value, b';')?..)?;
    let mut found = None;
    let mut pieces = Pieces::new(tail.get(1..)?, b';');
    for piece in &mut pieces {
        let (this, value) = raw_param(piece);
        if found.is_none() && this.eq_ignore_ascii_case(name) {
            found = Some(unquote(value.unwrap_or("")));
        }
    }
    found.filter(|_| pieces.is_sound())
}

/// Splits `name=value`; spaces around both are dropped.
fn raw_param(piece: &str) -> (&str, Option<&str>) {
    match piece
        .bytes()
        .position(|b| b == b'=')
        .map(|at| piece.split_at(at))
    {
        Some((name, value)) => (
            name.trim_ascii(),
            Some(value.get(1..).unwrap_or("").trim_ascii()),
        ),
        None => (piece.trim_ascii(), None),
    }
}

/// As [`raw_param`]; `None` if the name is empty or not a token.
fn split_param(piece: &str) -> Option<(&str, Option<&str>)> {
    let param = raw_param(piece);
    let is_sound = !param.0.is_empty() && param.0.bytes().all(is_param_byte);
    is_sound.then_some(param)
}

/// Returns text as a quoted string, with `"` and `\` escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Removes the quotes around a value, if it has them; escapes inside stay.
pub(in crate::sip) fn unquote(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value)
}

/// Undoes backslash escapes.
pub(in crate::sip) fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

/// The pieces of a text between separators that stand outside of quotes.
pub(in crate::sip) struct Pieces<'t> {
    rest: Option<&'t str>,
    separator: u8,
    is_sound: bool,
}

impl<'t> Pieces<'t> {
    pub(in crate::sip) fn new(text: &'t str, separator: u8) -> Self {
        Self {
            rest: Some(text),
            separator,
            is_sound: true,
        }
    }

    /// Tells whether every quote has been closed, once there is no further piece.
    pub(in crate::sip) fn is_sound(&self) -> bool {
        self.is_sound
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest.take()?;
        let bytes = rest.as_bytes();
        let mut at = 0;
        while let Some(step) = memchr2(self.separator, b'"', bytes.get(at..)?) {
            let found = at + step;
            if bytes.get(found) == Some(&self.separator) {
                self.rest = rest.get(found + 1..);
                return rest.get(..found);
            }
            let Some(after) = quoted_end(bytes, found) else {
                self.is_sound = false;
                return None;
            };
            at = after;
        }
        Some(rest)
    }
}

/// Returns where a quoted string ends, behind its last quote; `None` if it is left open. `at` is
/// its first quote.
pub(in crate::sip) fn quoted_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// Splits at a separator that stands outside of quotes; `None` if a quote is left open.
pub(in crate::sip) fn split_outside_quotes(text: &str, separator: u8) -> Option<Vec<&str>> {
    let mut pieces = Pieces::new(text, separator);
    let found = (&mut pieces).collect();
    pieces.is_sound().then_some(found)
}

/// Returns the length of the first value of a comma list: commas in quotes and in `<…>` do not
/// count. The whole length if there is one value only.
pub(in crate::sip) fn first_value_end(text: &str) -> usize {
    outside(text, b',').unwrap_or(text.len())
}

/// Finds a byte that stands outside of quotes and of `<…>`.
pub(in crate::sip) fn outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let found = at + memchr3(wanted, b'"', b'<', bytes.get(at..)?)?;
        at = match bytes.get(found) {
            Some(b'"') => quoted_end(bytes, found)?,
            // A quote inside a URI is not a quoted string.
            Some(b'<') => found + 1 + memchr(b'>', bytes.get(found + 1..)?)? + 1,
            _ => return Some(found),
        };
    }
}

/// Tells whether text is a token (RFC 3261 section 25.1) of at least one character.
pub(in crate::sip) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Tells whether a byte may stand in a token.
pub(in crate::sip) fn is_token_byte(byte: u8) -> bool {
    has_class(byte, TOKEN)
}

/// URI parameters may also carry `[]/:&$` (RFC 3261 section 25.1, `paramchar`).
fn is_param_byte(byte: u8) -> bool {
    has_class(byte, PARAM)
}

/// Tells whether a byte may stand in a host name or an IPv4 address.
pub(in crate::sip) fn is_host_byte(byte: u8) -> bool {
    has_class(byte, HOST)
}

/// Tells whether a byte may stand in a URI at all: no space, control, bracket or quote.
pub(in crate::sip) fn is_uri_byte(byte: u8) -> bool {
    has_class(byte, URI)
}

const TOKEN: u8 = 1;
const PARAM: u8 = 2;
const HOST: u8 = 4;
const URI: u8 = 8;

fn has_class(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// What each byte may be part of: every byte of a head is looked up here once or twice.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut class = 0;
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let this = byte as u8;
        if this > b' ' && this != 0x7f && !matches!(this, b'<' | b'>' | b'"') {
            class |= URI;
        }
        if this.is_ascii_alphanumeric() || matches!(this, b'-' | b'.' | b'_') {
            class |= TOKEN | PARAM | HOST;
        }
        if matches!(this, b'!' | b'%' | b'*' | b'+' | b'`' | b'\'' | b'~') {
            class |= TOKEN | PARAM;
        }
        if matches!(this, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')') {
            class |= PARAM;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
};
