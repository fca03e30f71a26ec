//! Parameters behind a value: `;name=value;flag`, and the splitting of values at commas.

use std::fmt;

use memchr::{memchr, memchr2, memchr3};

use crate::sip::chars::{Class, Cursor, find};

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
        let is_sound = Self::are_all(text, |name, value| {
            params.push(Param {
                name: name.to_owned(),
                value: value.map(str::to_owned),
            });
            true
        });
        is_sound.then_some(Self(params))
    }

    /// Tells whether [`Params::parse`] would succeed.
    pub(in crate::sip) fn is_valid(text: &str) -> bool {
        Self::are_all(text, |_, _| true)
    }

    /// Tells whether [`Params::parse`] would succeed and every parameter is as wanted.
    pub(in crate::sip) fn are_all<'t>(
        text: &'t str,
        mut wanted: impl FnMut(&'t str, Option<&'t str>) -> bool,
    ) -> bool {
        let mut cursor = Cursor::new(text);
        cursor.skip_space();
        if cursor.rest().is_empty() {
            return true;
        }
        cursor.eat(b';');
        loop {
            cursor.skip_space();
            let name = cursor.take(Class::PARAM);
            let value = if cursor.separator(b'=') {
                let Some(length) = value_length(cursor.rest().as_bytes()) else {
                    return false;
                };
                cursor.take_bytes(length).map(str::trim_ascii_end)
            } else {
                None
            };
            if name.is_empty() || !wanted(name, value) {
                return false;
            }
            if !cursor.eat(b';') {
                return cursor.rest().is_empty();
            }
        }
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

/// Returns the tag of a From or To: the first that is not empty, for there are clients that write an
/// empty one in front of theirs.
#[must_use]
pub(in crate::sip) fn tag_of(value: &str) -> Option<&str> {
    let tail = value.get(outside(value, b';')?..)?;
    let mut found = None;
    let mut pieces = Pieces::new(tail.get(1..)?, b';');
    for piece in &mut pieces {
        let (name, value) = raw_param(piece);
        let tag = unquote(value.unwrap_or(""));
        if found.is_none() && !tag.is_empty() && name.eq_ignore_ascii_case("tag") {
            found = Some(tag);
        }
    }
    found.filter(|_| pieces.is_sound())
}

/// Returns the value of a From or To without its tags.
#[must_use]
pub(crate) fn without_tags(value: &str) -> String {
    let Some(at) = outside(value, b';') else {
        return value.to_owned();
    };
    let (address, tail) = value.split_at(at);
    let mut kept = address.trim_end().to_owned();
    for piece in Pieces::new(tail.get(1..).unwrap_or_default(), b';') {
        if !raw_param(piece).0.eq_ignore_ascii_case("tag") {
            kept.push(';');
            kept.push_str(piece.trim());
        }
    }
    kept
}

/// Splits `name=value`; spaces around both are dropped.
fn raw_param(piece: &str) -> (&str, Option<&str>) {
    match find(b'=', piece.as_bytes()).map(|at| piece.split_at(at)) {
        Some((name, value)) => (
            name.trim_ascii(),
            Some(value.get(1..).unwrap_or("").trim_ascii()),
        ),
        None => (piece.trim_ascii(), None),
    }
}

/// Returns where the value of a parameter ends: at a semicolon outside of quotes; `None` if a
/// quote is left open.
fn value_length(text: &[u8]) -> Option<usize> {
    let mut at = Class::PLAIN.count(text);
    loop {
        at = match text.get(at) {
            None | Some(b';') => return Some(at),
            Some(b'"') => quoted_end(text, at)?,
            Some(_) => at + 1,
        };
        at += Class::PLAIN.count(text.get(at..)?);
    }
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
