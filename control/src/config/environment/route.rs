//! `OUTBOUND_ROUTE`: a route of Sippy B2BUA ("Call Routing" in its documentation).

use super::place::{self, Place};
use crate::config::{ConfigError, Secret};
use crate::sip::Transport;

/// Where calls go.
#[derive(Debug)]
pub(super) struct CallRoute {
    pub(super) at: Place,
    /// `auth`: user and password of an account there.
    pub(super) account: Option<(String, Secret)>,
    /// `cli`: the number that calls come from.
    pub(super) caller: Option<String>,
    /// `cld`: the number that calls go to, whatever was dialled.
    pub(super) called: Option<String>,
}

/// Reads `[[cld]@]host[:port][;auth=user:password][;cli=number][;transport=tcp]`.
///
/// # Errors
/// It is none, or has a part that Ringway cannot honour; no error repeats `auth`.
pub(super) fn read(text: &str) -> Result<CallRoute, ConfigError> {
    let mut parts = text.trim().split(';');
    let head = parts.next().unwrap_or_default();
    let (scheme, rest) = place::without_scheme(head.trim());
    let (called, host) = match rest.rsplit_once('@') {
        Some((called, host)) => (Some(called), host),
        None => (None, rest),
    };
    if ["sip-ua", "wss-ua"].contains(&host) {
        return Err(not_supported(host, "name the host that calls go to"));
    }
    let at = place::head_of(host).filter(|_| !host.contains("://"));
    let mut at = at.ok_or_else(|| {
        let what = format!("OUTBOUND_ROUTE has no host and port in `{host}`");
        ConfigError::new(
            what,
            "write `[called number@]host[:port][;auth=user:password][;cli=caller's number]\
             [;transport=tcp]`",
        )
    })?;
    at.transport = scheme.or(at.transport);
    let mut route = CallRoute {
        at,
        account: None,
        caller: None,
        called: called.map(|called| number("cld", called)).transpose()?,
    };
    for part in parts {
        route.take(part)?;
    }
    Ok(route)
}

impl CallRoute {
    fn take(&mut self, part: &str) -> Result<(), ConfigError> {
        let (name, value) = place::parameter(part);
        match name {
            "auth" => self.account = Some(account(value)?),
            "cli" => self.caller = Some(number("cli", value)?),
            "transport" => {
                let named = Transport::from_parameter(value);
                let transport =
                    named.ok_or_else(|| not_supported("transport", "it can be udp, tcp or tls"))?;
                if !self.at.take_transport(transport) {
                    let remedy = "OUTBOUND_ROUTE names two transports: take one out";
                    return Err(not_supported("transport", remedy));
                }
            }
            // Media always goes through Ringway.
            "rtpp" if value == "1" => {}
            "credit-time" => return Err(not_supported(name, "calls have no longest duration")),
            "expires" | "np_expires" | "nr_expires" => {
                let remedy = "a call rings until caller or carrier ends it; `timer_c_s` and \
                    `failover_after_s` of a [[trunk]] in a file are what comes near";
                return Err(not_supported(name, remedy));
            }
            "ash" => {
                let remedy = "no headers are made up; `pass_headers` of a [[trunk]] in a file lets \
                    those of browsers pass";
                return Err(not_supported(name, remedy));
            }
            "rtpp" => return Err(not_supported(name, "media always goes through ringway")),
            "op" => {
                let remedy = "name the host that calls are to be sent to in front, and the \
                    carrier's domain as `domain` of a [[trunk]] in a file";
                return Err(not_supported(name, remedy));
            }
            "" => {
                let what = "OUTBOUND_ROUTE has an empty part between `;`";
                return Err(ConfigError::new(what, "take it out"));
            }
            _ => return Err(not_supported(name, "take it out")),
        }
        Ok(())
    }
}

fn account(value: &str) -> Result<(String, Secret), ConfigError> {
    if value == "nopass" {
        let remedy = "take it out: without an account, challenges of the carrier pass to the \
            browser";
        return Err(not_supported("auth=nopass", remedy));
    }
    let found = value.split_once(':');
    let is_text = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    match found.filter(|(user, password)| is_text(user) && is_text(password)) {
        Some((user, password)) => Ok((user.to_owned(), password.to_owned().into())),
        None => Err(ConfigError::new(
            "OUTBOUND_ROUTE: `auth` is no account",
            "write `auth=user:password`",
        )),
    }
}

/// What stands for a number in a URI.
fn number(part: &str, text: &str) -> Result<String, ConfigError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._+*#".contains(&b);
    if text.is_empty() {
        let remedy = match part {
            "cli" => "take it out; a caller hides the number by an anonymous From",
            _ => "take the @ out: the number that was dialled is called",
        };
        return Err(not_supported(&format!("{part} without a number"), remedy));
    }
    if text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(ConfigError::new(
        format!("OUTBOUND_ROUTE: `{part}` is no number or name"),
        "use letters, digits and - . _ + * # only",
    ))
}

/// What would otherwise be dropped without a word.
fn not_supported(part: &str, remedy: &str) -> ConfigError {
    let what = format!("OUTBOUND_ROUTE: `{part}` is not supported");
    ConfigError::new(what, remedy)
}
