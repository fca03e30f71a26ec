//! The headers that every message must carry, and those that must not lie.

use super::{ParseError, Reading, usual};
use crate::sip::header::HeaderName;
use crate::sip::header::cseq::CSeq;
use crate::sip::header::params::first_value_end;
use crate::sip::header::via::Via;
use crate::sip::message::line::HeaderLine;
use crate::sip::message::{Message, StartLine};
use crate::sip::method::Method;
use crate::sip::uri::{NameAddr, Uri};

/// Headers without which there is no request (RFC 3261 section 8.1.1). A response is recognised by
/// its Via and CSeq (section 17.1.3), and nothing hangs on the rest: who sent the request knows it.
const MANDATORY: [HeaderName; 5] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
];

/// Checks a message that has been read.
#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
pub(super) fn check(reading: &Reading) -> Result<(), ParseError> {
    let message = &reading.message;
    if let StartLine::Request { method, uri, .. } = &message.start
        && let uri = uri.get(&message.head)
        && !usual::is_uri(uri.as_bytes())
        && !Uri::is_valid_target(uri)
    {
        let offset = reading.begin + method.as_str().len() + 1;
        return Err(ParseError::RequestUri { offset });
    }
    let mut seen = Seen::default();
    for (index, line) in message.lines.iter().enumerate() {
        let repeated = match line.name {
            // Via lines below the top are others' business.
            HeaderName::Via => {
                if seen.via {
                    continue;
                }
                seen.via = true;
                false
            }
            HeaderName::From => std::mem::replace(&mut seen.from, true),
            HeaderName::To => std::mem::replace(&mut seen.to, true),
            HeaderName::CallId => std::mem::replace(&mut seen.call_id, true),
            HeaderName::CSeq => std::mem::replace(&mut seen.cseq, true),
            HeaderName::MaxForwards => std::mem::replace(&mut seen.max_forwards, true),
            _ => continue,
        };
        if repeated {
            let (name, offset) = (line.name.clone(), reading.offset(index));
            return Err(ParseError::RepeatedHeader { name, offset });
        }
        let value = line.value(&message.head);
        if matches!(line.name, HeaderName::CSeq) {
            check_cseq(message, value, || reading.offset(index))?;
        } else if !value_is_sound(line, value) && !is_borne(message, &line.name, value) {
            let (name, offset) = (line.name.clone(), reading.offset(index));
            return Err(ParseError::HeaderValue { name, offset });
        }
    }
    let is_response = !message.is_request();
    let there = [
        seen.via,
        seen.from || is_response,
        seen.to || is_response,
        seen.call_id || is_response,
        seen.cseq,
    ];
    match MANDATORY.iter().zip(there).find(|(_, is_there)| !is_there) {
        Some((name, _)) => Err(ParseError::MissingHeader { name: name.clone() }),
        None => Ok(()),
    }
}

/// Returns the length of the body, if a line gives it.
pub(super) fn content_length(reading: &Reading) -> Result<Option<usize>, ParseError> {
    let message = &reading.message;
    let mut length = None;
    for (index, line) in message.lines.iter().enumerate() {
        if !matches!(line.name, HeaderName::ContentLength) {
            continue;
        }
        let value = length_of(line.value(&message.head))
            .filter(|value| *value <= message.body.len())
            .filter(|value| length.is_none_or(|first| first == *value));
        length = Some(value.ok_or(ParseError::ContentLength {
            offset: reading.offset(index),
        })?);
    }
    Ok(length)
}

/// Reads the value of Content-Length: digits and nothing else.
pub(in crate::sip) fn length_of(value: &str) -> Option<usize> {
    let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| value.parse().ok()).flatten()
}

/// What has been there already.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per header")]
struct Seen {
    via: bool,
    from: bool,
    to: bool,
    call_id: bool,
    cseq: bool,
    max_forwards: bool,
}

/// CSeq must name the method of the request line (RFC 3261 section 8.1.1.5).
fn check_cseq(
    message: &Message,
    value: &str,
    offset: impl Fn() -> usize,
) -> Result<(), ParseError> {
    let (_, named) = CSeq::split(value).ok_or_else(|| ParseError::HeaderValue {
        name: HeaderName::CSeq,
        offset: offset(),
    })?;
    match &message.start {
        StartLine::Request { method, .. } if named != method.as_str() => {
            let is_known = !matches!(method, Method::Other(_));
            let offset = offset();
            Err(ParseError::MethodMismatch { offset, is_known })
        }
        StartLine::Request { .. } | StartLine::Response { .. } => Ok(()),
    }
}

/// Does nothing hang on a malformed value? A response repeats what the request said. Who has an
/// address in From that is none (`<tel:Unavailable>`, `<sip:@host>`) is anonymous, and in the dialog
/// that address stands in To.
#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
fn is_borne(message: &Message, name: &HeaderName, value: &str) -> bool {
    let is_response = !message.is_request();
    match name {
        HeaderName::CallId => is_response,
        HeaderName::From => is_response || NameAddr::is_bearable_party(value),
        HeaderName::To => {
            (is_response || message.to_tag().is_some()) && NameAddr::is_bearable_party(value)
        }
        _ => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
fn value_is_sound(line: &HeaderLine, value: &str) -> bool {
    match line.name {
        HeaderName::Via if usual::is_via(value.as_bytes()) => true,
        HeaderName::Via => {
            // An empty piece in front of the first comma is no value.
            let rest = match value.as_bytes().first() {
                Some(b',') => value.trim_start_matches([',', ' ', '\t']),
                Some(_) | None => value,
            };
            Via::is_valid(
                rest.get(..first_value_end(rest))
                    .unwrap_or(rest)
                    .trim_ascii_end(),
            )
        }
        HeaderName::From | HeaderName::To => {
            usual::is_party(value.as_bytes()) || NameAddr::is_valid_party(value)
        }
        HeaderName::CallId => {
            !value.is_empty() && !value.bytes().any(|byte| byte.is_ascii_whitespace())
        }
        HeaderName::MaxForwards => length_of(value).is_some_and(|hops| hops <= u8::MAX.into()),
        _ => true,
    }
}
