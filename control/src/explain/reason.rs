//! What exactly is wrong, and where, in words for people.

use super::secret::shown_line;
use crate::sip::header::Params;
use crate::sip::limits::{HEADER_LINE_BYTES_MAX, HEADER_LINES_MAX, START_LINE_BYTES_MAX};
use crate::sip::{HeaderName, ParseError, Uri};

/// A place in the input, as an editor shows it.
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) text: String,
}

/// Longest part of a line that is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// Finds the line of an offset.
pub(super) fn place(bytes: &[u8], offset: usize) -> Place {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(line_from(bytes, start)).into_owned();
    Place {
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        column: 1 + before.len() - start,
        text: shown_line(&text)
            .escape_debug()
            .take(SHOWN_CHARS_MAX)
            .collect(),
    }
}

/// Returns the beginning of a text, with control characters escaped.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(SHOWN_CHARS_MAX) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn line_from(bytes: &[u8], start: usize) -> &[u8] {
    let rest = bytes.get(start..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().trim_ascii_end()
}

/// Says what is wrong, without the place.
pub(super) fn headline(error: &ParseError) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at ") {
        Some((what, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => what.to_owned(),
        _ => text,
    }
}

/// Says what exactly is wrong, where more can be told.
pub(super) fn detail(error: &ParseError, bytes: &[u8]) -> Option<String> {
    let line = |offset: &usize| String::from_utf8_lossy(line_from(bytes, *offset)).into_owned();
    let text = match error {
        ParseError::Empty => "nothing but line breaks: a keep-alive".to_owned(),
        ParseError::TooManyHeaders { .. } => format!("the limit is {HEADER_LINES_MAX}"),
        ParseError::LineTooLong { .. } => format!("the limit is {HEADER_LINE_BYTES_MAX} bytes"),
        ParseError::StartLineTooLong { .. } => format!("the limit is {START_LINE_BYTES_MAX} bytes"),
        ParseError::StartLine { offset } => of_start_line(&line(offset)).to_owned(),
        ParseError::RequestUri { offset } => {
            let rest = line(offset);
            of_target(rest.split(' ').next().unwrap_or("")).to_owned()
        }
        ParseError::StrayControl { offset } => of_control(bytes.get(*offset)).to_owned(),
        ParseError::HeaderLine { offset } => of_header_line(&line(offset)).to_owned(),
        ParseError::HeaderValue { name, offset } => {
            let text = line(offset);
            of_value(
                name,
                text.split_once(':').map_or("", |(_, value)| value.trim()),
            )
            .to_owned()
        }
        ParseError::ContentLength { .. } => {
            "it must be one number, and no more than the bytes behind the header".to_owned()
        }
        ParseError::Unterminated { .. } => "the message was cut off, or ends without it".to_owned(),
        ParseError::TooLarge { .. }
        | ParseError::Version { .. }
        | ParseError::MissingHeader { .. }
        | ParseError::RepeatedHeader { .. }
        | ParseError::MethodMismatch { .. } => return None,
    };
    Some(text)
}

fn of_start_line(line: &str) -> &'static str {
    if line
        .get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("SIP/"))
    {
        "a status line is SIP/2.0, a space, three digits from 100 to 699, a space, a phrase"
    } else if line.contains("  ") || line.ends_with(' ') {
        "exactly one space stands between method, URI and version, and none at the end"
    } else if line.split(' ').count() > 3 {
        "there is a space in the URI"
    } else {
        "a request line is METHOD, a space, URI, a space, SIP/2.0"
    }
}

fn of_target(uri: &str) -> &'static str {
    if uri.starts_with('<') {
        "no brackets stand around it"
    } else if Uri::parse(uri).is_some() {
        "no headers (?name=value) may stand in it"
    } else {
        of_uri(uri)
    }
}

fn of_control(byte: Option<&u8>) -> &'static str {
    match byte {
        Some(b'\r') => "a carriage return without line feed",
        Some(b'\n') => "a line feed without carriage return (was the file saved with CRLF?)",
        _ => "a NUL",
    }
}

fn of_header_line(line: &str) -> &'static str {
    match line.split_once(':') {
        None => "there is no colon",
        Some((name, _)) if name.trim().is_empty() => "there is no name in front of the colon",
        Some(_) => "the name holds a character that no header name has",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
fn of_value(name: &HeaderName, value: &str) -> &'static str {
    match name {
        HeaderName::Via => of_via(value),
        HeaderName::From | HeaderName::To => of_address(value),
        HeaderName::CallId => "it must be one word",
        HeaderName::CSeq => "it must be a number below 2^31 and a method",
        HeaderName::MaxForwards => "it must be a number from 0 to 255",
        _ => "malformed",
    }
}

/// Says why a Via value cannot be read.
pub(super) fn of_via(value: &str) -> &'static str {
    let (head, params) = value.split_at(value.find(';').unwrap_or(value.len()));
    let first = params.split(',').next().unwrap_or("");
    if Params::parse(first).is_none() {
        return "empty or malformed parameters";
    }
    match head.split('/').collect::<Vec<_>>().as_slice() {
        [protocol, version, _]
            if !protocol.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" =>
        {
            "the protocol is not SIP/2.0"
        }
        [_, _, rest] if rest.trim().contains(char::is_whitespace) => {
            "the host or port is malformed"
        }
        _ => "it must be SIP/2.0/TRANSPORT, a space, a host",
    }
}

/// Says why a name-addr cannot be read.
pub(super) fn of_address(value: &str) -> &'static str {
    let quotes = value.replace("\\\\", "").replace("\\\"", "");
    if quotes.matches('"').count() % 2 == 1 {
        return "a quoted string is not closed";
    }
    let behind_name = value
        .rfind('"')
        .map_or(value, |at| value.get(at + 1..).unwrap_or(""));
    let Some((display, inside)) = behind_name.split_once('<') else {
        return if value.contains('?') {
            "a URI with headers must stand in brackets <>"
        } else if value.contains(',') {
            "a comma may not stand here"
        } else {
            of_uri(value.split(';').next().unwrap_or("").trim_end())
        };
    };
    if display.contains([',', ';', '\\', '>']) {
        return "a display name with , ; \\ or > must stand in quotes";
    }
    let Some((uri, tail)) = inside.split_once('>') else {
        return "the bracket is not closed";
    };
    if Uri::parse(uri).is_none() {
        return of_uri(uri);
    }
    let tail = tail.trim();
    if !tail.is_empty() && !tail.starts_with(';') {
        return "something stands behind the bracket";
    }
    match Params::parse(tail) {
        None => "empty or malformed parameters",
        Some(params) if params.get("tag") == Some("") => "the tag is empty",
        Some(_) => "malformed",
    }
}

fn of_uri(uri: &str) -> &'static str {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return "the URI has no scheme";
    };
    if uri.contains(char::is_whitespace) {
        return "there is a space in the URI";
    }
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return "the URI is malformed";
    }
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    let host = address.split([';', '?']).next().unwrap_or("");
    if host.is_empty() {
        "the URI has no host"
    } else if !host.starts_with('[') && host.matches(':').count() > 1 {
        "an IPv6 address must stand in brackets []"
    } else if Uri::parse(&format!("sip:{host}")).is_none() {
        "the host or port is malformed"
    } else {
        "user or parameters of the URI are malformed"
    }
}
