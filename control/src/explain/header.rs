//! Single headers.

use super::secret::shown;
use super::uri::{address, contact, params};
use super::{Fact, Line, reason};
use crate::sip::digest::{Challenge, Credentials};
use crate::sip::header::via::MAGIC_COOKIE;
use crate::sip::{CSeq, HeaderName, Params, Via};

/// Explains one header line.
pub(super) fn explain(number: usize, name: &HeaderName, value: &str, raw: &[u8]) -> Line {
    let (mut facts, problem) = match decode(name, value) {
        Ok(facts) => (facts, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    let written = String::from_utf8_lossy(raw);
    let written = written.split(':').next().unwrap_or("").trim_end();
    if written.len() == 1 && !name.as_str().eq_ignore_ascii_case(written) {
        facts.push(Fact::new("written as", format!("{written} (compact form)")));
    }
    if raw.contains(&b'\n') {
        facts.push(Fact::new("written", "in several lines"));
    }
    if matches!(name, HeaderName::Other(_)) {
        facts.push(Fact::new("unknown", "passed on where the policy lets it"));
    }
    Line {
        number,
        name: name.as_str().to_owned(),
        value: shown(name, value),
        facts,
        problem,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "few of a hundred names")]
fn decode(name: &HeaderName, value: &str) -> Result<Vec<Fact>, String> {
    match name {
        HeaderName::Via => each(name, value, via),
        HeaderName::From | HeaderName::To | HeaderName::ReferTo | HeaderName::ReferredBy => {
            address(value)
        }
        HeaderName::Contact => each(name, value, contact),
        HeaderName::Route
        | HeaderName::RecordRoute
        | HeaderName::Path
        | HeaderName::ServiceRoute
        | HeaderName::PAssertedIdentity
        | HeaderName::PPreferredIdentity
        | HeaderName::PAssociatedUri
        | HeaderName::Diversion
        | HeaderName::HistoryInfo => each(name, value, address),
        HeaderName::CSeq => {
            let cseq = CSeq::parse(value).ok_or("not a number below 2^31 and a method")?;
            Ok(vec![
                Fact::new("number", cseq.number.to_string()),
                Fact::new("method", cseq.method.as_str()),
            ])
        }
        HeaderName::Authorization | HeaderName::ProxyAuthorization => credentials(value),
        HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate => challenge(value),
        HeaderName::SessionExpires | HeaderName::MinSe | HeaderName::Expires => seconds(value),
        HeaderName::Event
        | HeaderName::SubscriptionState
        | HeaderName::Replaces
        | HeaderName::Reason
        | HeaderName::ContentType
        | HeaderName::ContentDisposition => with_params(value),
        _ => Ok(Vec::new()),
    }
}

/// Decodes each value of a comma list; several are numbered.
fn each(
    name: &HeaderName,
    value: &str,
    decode: fn(&str) -> Result<Vec<Fact>, String>,
) -> Result<Vec<Fact>, String> {
    let mut list = crate::sip::Message::request("X", "x:x");
    list.push(name.clone(), value);
    let values: Vec<&str> = list.values(name.clone()).collect();
    let mut facts = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let decoded = decode(value)?;
        if values.len() > 1 {
            facts.push(Fact::new(
                format!("value {}", index + 1),
                shown(name, value),
            ));
        }
        facts.extend(decoded);
    }
    Ok(facts)
}

fn via(value: &str) -> Result<Vec<Fact>, String> {
    let via = Via::parse(value).ok_or_else(|| reason::of_via(value).to_owned())?;
    let mut facts = vec![
        Fact::new("transport", via.transport.as_str()),
        Fact::new("sent by", via.sent_by()),
    ];
    let branch = match via.branch() {
        Some(branch) if branch.starts_with(MAGIC_COOKIE) => branch.to_owned(),
        Some(branch) => format!("{branch} (not of RFC 3261: matched as RFC 2543 does)"),
        None => "none (matched as RFC 2543 does)".to_owned(),
    };
    facts.push(Fact::new("branch", branch));
    facts.extend(params(
        via.params
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("branch")),
    ));
    Ok(facts)
}

fn credentials(value: &str) -> Result<Vec<Fact>, String> {
    let scheme = value.split_ascii_whitespace().next().unwrap_or("");
    if !scheme.eq_ignore_ascii_case("Digest") {
        return Ok(vec![Fact::new(
            "scheme",
            format!("{scheme}, passed on as it is"),
        )]);
    }
    let read = Credentials::parse(value)
        .ok_or("not all of username, realm, nonce, uri and response are there")?;
    let mut facts = vec![
        Fact::new("username", read.username),
        Fact::new("realm", read.realm),
        Fact::new("uri", super::secret::without_passwords(&read.uri)),
        Fact::new(
            "algorithm",
            read.algorithm
                .map_or_else(|| "MD5 (default)".to_owned(), |a| a.as_str().to_owned()),
        ),
        Fact::new(
            "qop",
            read.qop.unwrap_or_else(|| "none (RFC 2069)".to_owned()),
        ),
    ];
    facts.extend(read.nc.map(|count| Fact::new("nonce count", count)));
    let digits = read.response.len();
    facts.push(Fact::new(
        "response",
        format!("{digits} characters, not shown"),
    ));
    Ok(facts)
}

fn challenge(value: &str) -> Result<Vec<Fact>, String> {
    let scheme = value.split_ascii_whitespace().next().unwrap_or("");
    if !scheme.eq_ignore_ascii_case("Digest") {
        return Ok(vec![Fact::new(
            "scheme",
            format!("{scheme}, passed on as it is"),
        )]);
    }
    let read = Challenge::parse(value).ok_or("realm or nonce is missing")?;
    let qop = if read.qop.is_empty() {
        "none (RFC 2069)".to_owned()
    } else {
        read.qop.join(", ")
    };
    Ok(vec![
        Fact::new("realm", read.realm),
        Fact::new(
            "algorithm",
            read.algorithm
                .map_or_else(|| "MD5 (default)".to_owned(), |a| a.as_str().to_owned()),
        ),
        Fact::new("qop", qop),
        Fact::new(
            "stale",
            if read.stale {
                "yes: same password, new nonce"
            } else {
                "no"
            },
        ),
    ])
}

fn seconds(value: &str) -> Result<Vec<Fact>, String> {
    let (number, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    let seconds: u32 = number
        .trim()
        .parse()
        .map_err(|_| "not a number of seconds below 2^32".to_owned())?;
    let mut facts = vec![Fact::new("seconds", seconds.to_string())];
    let read = Params::parse(rest).ok_or("malformed parameters")?;
    facts.extend(params(read.iter()));
    Ok(facts)
}

fn with_params(value: &str) -> Result<Vec<Fact>, String> {
    let (_, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    let read = Params::parse(rest).ok_or("malformed parameters")?;
    Ok(params(read.iter()).collect())
}
