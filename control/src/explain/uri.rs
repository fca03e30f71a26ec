//! Addresses and the start line.

use super::secret::without_passwords;
use super::{Fact, Line, reason};
use crate::sip::status::reason_phrase;
use crate::sip::{Contact, Message, NameAddr, Scheme, Uri};

/// Explains the first line.
pub(super) fn start_line(message: &Message, number: usize) -> Line {
    let (value, facts) = match (message.request_uri(), message.status()) {
        (Some(target), _) => {
            let value = format!("{} {} SIP/2.0", message.method(), without_passwords(target));
            let facts = Uri::parse(target).map_or_else(Vec::new, |uri| uri_facts("target", &uri));
            (value, facts)
        }
        (None, status) => {
            let status = status.unwrap_or(0);
            let class = match status {
                100..200 => "provisional",
                200..300 => "success",
                300..400 => "redirection",
                400..500 => "the request failed",
                500..600 => "the server failed",
                _ => "failed everywhere",
            };
            let usual = reason_phrase(status);
            let value = format!("SIP/2.0 {status} {}", message.reason().unwrap_or(""));
            (
                value,
                vec![Fact::new("status", format!("{status} {usual} ({class})"))],
            )
        }
    };
    Line {
        number,
        name: String::new(),
        value,
        facts,
        problem: None,
    }
}

/// Says what a name-addr means; the error is why it cannot be read.
pub(super) fn address(value: &str) -> Result<Vec<Fact>, String> {
    let address = NameAddr::parse(value).ok_or_else(|| reason::of_address(value).to_owned())?;
    let mut facts = Vec::new();
    if let Some(name) = address.display_name() {
        facts.push(Fact::new("display name", name));
    }
    facts.extend(uri_facts("address", &address.uri));
    facts.extend(params(address.params.iter()));
    Ok(facts)
}

/// Says what one Contact means.
pub(super) fn contact(value: &str) -> Result<Vec<Fact>, String> {
    match Contact::parse(value) {
        Some(Contact::Star) => Ok(vec![Fact::new("*", "all bindings")]),
        Some(Contact::Address(contact)) => {
            let mut facts = address(value)?;
            if contact.uri.host.ends_with(".invalid") {
                let is = "reached over its own connection only (RFC 7118)";
                facts.push(Fact::new("browser", is));
            }
            Ok(facts)
        }
        None => Err(reason::of_address(value).to_owned()),
    }
}

fn uri_facts(what: &str, uri: &Uri) -> Vec<Fact> {
    let mut shown = uri.clone();
    if shown.password.is_some() {
        shown.password = Some("***".to_owned());
    }
    shown.params.clear();
    shown.headers.clear();
    let mut facts = vec![Fact::new(what, shown.to_string())];
    if let Some(user) = uri
        .user_decoded()
        .filter(|user| Some(user) != uri.user.as_ref())
    {
        facts.push(Fact::new("user", user.escape_debug().to_string()));
    }
    if let Scheme::Other(scheme) = &uri.scheme {
        facts.push(Fact::new(
            "scheme",
            format!("{scheme}, not one that calls can go to"),
        ));
    }
    for (name, value) in uri.params.iter() {
        facts.push(Fact::new("URI parameter", name_value(name, value)));
    }
    for (name, value) in &uri.headers {
        facts.push(Fact::new("URI header", format!("{name}={value}")));
    }
    facts
}

/// One fact for each parameter of a header.
pub(super) fn params<'p>(
    params: impl Iterator<Item = (&'p str, Option<&'p str>)>,
) -> impl Iterator<Item = Fact> {
    params.map(|(name, value)| match value {
        Some(value) => Fact::new(name, value),
        None => Fact::new(name, "yes"),
    })
}

fn name_value(name: &str, value: Option<&str>) -> String {
    value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"))
}
