//! Whose a browser's request is: tokens in SIP (RFC 8898), and the identity that a connection has
//! by its token.

use std::time::Instant;

use super::Engine;
use super::context::Incoming;
use super::output::LogLine;
use crate::config::TokenRequired;
use crate::edge::identity::is_anonymous;
use crate::sip::{HeaderName, Method, NameAddr};
use crate::token::Identity;

/// Where credentials stand.
const CREDENTIALS: [HeaderName; 2] = [HeaderName::Authorization, HeaderName::ProxyAuthorization];

/// Headers that say who sends a request, beside To of a REGISTER.
const SENDERS: [HeaderName; 3] = [
    HeaderName::From,
    HeaderName::PAssertedIdentity,
    HeaderName::PPreferredIdentity,
];

impl Engine {
    /// Takes the tokens out of a browser's request: they are for nobody behind us. Outside dialogs,
    /// whom they name becomes the connection's identity, and the request must be of that one.
    /// `None` if it was answered here.
    pub(super) fn identify(&mut self, now: Instant, mut request: Incoming) -> Option<Incoming> {
        let Some(connection) = request
            .connection()
            .filter(|_| self.context.tokens.is_some())
        else {
            return Some(request);
        };
        let token = take_tokens(&mut request);
        let is_within_dialog =
            request.message.to_tag().is_some() && request.method() != Method::Register;
        if is_within_dialog {
            return Some(request);
        }
        let known = self.context.identity(Some(connection)).cloned();
        let identity = match (self.named_by(now, token.as_deref()), known) {
            (Err(reason), _) => {
                self.challenge(now, &request, Some(reason));
                return None;
            }
            (Ok(Some(new)), Some(known)) if new != known => {
                let reason = "the token is of another user than the connection";
                self.context.refuse(now, &request, 403, reason);
                return None;
            }
            (Ok(Some(new)), _) => {
                if let Some(connection) = self.context.connections.get_mut(&connection) {
                    connection.identity = Some(new.clone());
                }
                new
            }
            (Ok(None), Some(known)) => known,
            (Ok(None), None) if self.is_token_required() => {
                self.challenge(now, &request, None);
                return None;
            }
            (Ok(None), None) => return Some(request),
        };
        if !is_of(&request, &identity) {
            let reason = "the request is of another user than the connection";
            self.context.refuse(now, &request, 403, reason);
            return None;
        }
        Some(request)
    }

    fn is_token_required(&self) -> bool {
        let tokens = self.context.tokens.as_ref();
        tokens.is_some_and(|tokens| tokens.required() != TokenRequired::Never)
    }

    fn named_by(&self, now: Instant, token: Option<&str>) -> Result<Option<Identity>, String> {
        let (Some(token), Some(tokens)) = (token, &self.context.tokens) else {
            return Ok(None);
        };
        let identity = tokens.verify(token, self.context.unix_seconds(now));
        identity.map(Some).map_err(|error| error.to_string())
    }

    /// 401 (RFC 8898 section 2.1).
    fn challenge(&mut self, now: Instant, request: &Incoming, error: Option<String>) {
        let mut response = self.context.response(&request.message, 401);
        let mut challenge = format!("Bearer realm=\"{}\"", self.context.config.lines.realm);
        let server = self.context.config.web.token.as_ref();
        if let Some(server) = server.and_then(|token| token.authorization_server()) {
            challenge.push_str(&format!(", authz_server=\"{server}\""));
        }
        if error.is_some() {
            challenge.push_str(", error=\"invalid_token\"");
        }
        response.push(HeaderName::WwwAuthenticate, challenge);
        self.context.respond(now, request.transaction, response);
        self.context.log(LogLine::Refused {
            peer: request.peer,
            reason: error.unwrap_or_else(|| "no token".to_owned()),
        });
    }
}

/// Removes all tokens from a request and returns the first.
fn take_tokens(request: &mut Incoming) -> Option<String> {
    let mut first = None;
    for name in CREDENTIALS {
        let values: Vec<String> = request.message.headers(&name).map(str::to_owned).collect();
        if values.iter().all(|value| bearer(value).is_none()) {
            continue;
        }
        request.message.remove(&name);
        for value in values {
            match bearer(&value) {
                Some(token) => {
                    first.get_or_insert_with(|| token.to_owned());
                }
                None => request.message.push(&name, value),
            }
        }
    }
    first
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once([' ', '\t'])?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then_some(token.trim())
}

fn is_of(request: &Incoming, identity: &Identity) -> bool {
    let message = &request.message;
    // Who hides is still who the connection is (RFC 3323 section 4.1).
    let is = |value: &str| {
        let address = NameAddr::parse(value);
        address.is_some_and(|address| identity.is(&address.uri) || is_anonymous(&address.uri))
    };
    let registers = request.method() == Method::Register;
    let to = message.header(HeaderName::To).filter(|_| registers);
    SENDERS
        .iter()
        .flat_map(|name| message.values(name))
        .chain(to)
        .all(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tokens_in_any_case_and_nothing_else() {
        assert_eq!(bearer("Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(bearer("bearer \t a.b.c "), Some("a.b.c"));
        assert_eq!(bearer("Digest username=\"Bearer x\""), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
