//! Requests that are refused: what the answer says, `Allow`, and how many of them the log names;
//! whoever is refused may come back at once, as often as it likes.

use std::time::Instant;

use super::Engine;
use super::context::{BROWSER_SIDE_HOST, Context, Incoming};
use super::output::LogLine;
use super::proxy::NOT_BY_LINES;
use super::routing::{NoRoute, SIPS_NOT_ALLOWED};
use crate::limits::{REFUSALS_LOGGED_AT_ONCE, REFUSALS_LOGGED_PER_SECOND, RETRY_AFTER_S};
use crate::rate::TokenBucket;
use crate::sdp::Refusal;
use crate::sip::{HeaderName, Message, Method};

/// Methods that this server takes, as `Allow` says.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, MESSAGE, UPDATE, PRACK, REFER, NOTIFY";
/// Methods that it passes on besides, outside of calls.
const ALLOW_OUTSIDE_OF_CALLS: [&str; 4] = ["SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER"];
/// Methods that are taken in dialogs only where a line is one side.
const NOT_OF_LINES: [&str; 4] = ["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER"];

/// `Allow` of a line, outside of a call.
pub(crate) fn allow_of_lines() -> String {
    let kept = ALLOW.split(", ");
    let kept = kept.filter(|method| !NOT_OF_LINES.contains(method));
    kept.collect::<Vec<_>>().join(", ")
}

/// `Allow` outside of a call.
pub(crate) fn allow() -> String {
    let is_new = |method: &&str| !ALLOW.split(", ").any(|known| known == *method);
    let more = ALLOW_OUTSIDE_OF_CALLS.into_iter().filter(is_new);
    std::iter::once(ALLOW)
        .chain(more)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Counts refusals of calls and logins.
#[derive(Debug)]
pub(crate) struct RefusalCount {
    room: TokenBucket,
    left_out: u64,
}

impl RefusalCount {
    /// Nothing has been refused.
    pub(crate) fn new(now: Instant) -> Self {
        let room = TokenBucket::new(REFUSALS_LOGGED_PER_SECOND, REFUSALS_LOGGED_AT_ONCE, now);
        Self { room, left_out: 0 }
    }

    /// Counts one more. `None` if the log does not name it; else how many it has not named since
    /// the last one.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        if self.room.take(now).is_err() {
            self.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Context {
    /// A response of our own, with a To tag where the request had none.
    pub(crate) fn response(&mut self, request: &Message, status: u16) -> Message {
        let mut response = Message::response_to(request, status, None);
        let to = request.header(HeaderName::To).unwrap_or_default();
        if status > 100 && request.to_tag().is_none() {
            response.set(HeaderName::To, format!("{to};tag={}", self.token()));
        }
        match status {
            405 | 501 => {
                let allow = match request.to_tag() {
                    Some(_) => ALLOW.to_owned(),
                    None => allow(),
                };
                // What is refused here is not allowed here, whatever is elsewhere.
                let refused = request.method();
                let kept = allow.split(", ").filter(|name| *name != refused.as_str());
                let kept = kept.collect::<Vec<_>>().join(", ");
                response.push(HeaderName::Allow, kept);
            }
            503 => response.push(HeaderName::RetryAfter, RETRY_AFTER_S.to_string()),
            _ => {}
        }
        response
    }

    /// Answers a request with a bare status, and says why in the log.
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        request: &Incoming,
        status: u16,
        reason: impl Into<String>,
    ) {
        let response = self.response(&request.message, status);
        self.answer_refusal(now, request, response, reason);
    }

    /// Answers a request with a refusal, and says why in the log: of a call that was refused before
    /// it began, where an operator looks.
    pub(crate) fn answer_refusal(
        &mut self,
        now: Instant,
        request: &Incoming,
        response: Message,
        reason: impl Into<String>,
    ) {
        let (peer, reason) = (request.peer, reason.into());
        let status = response.status().unwrap_or_default();
        self.respond(now, request.transaction, response);
        let is_call = request.method() == Method::Invite && request.message.to_tag().is_none();
        let left_out = is_call.then(|| self.refusals.count(now)).flatten();
        self.log(match left_out {
            Some(left_out) => LogLine::CallRefused {
                peer,
                status,
                reason,
                left_out,
            },
            None => LogLine::Refused { peer, reason },
        });
    }

    /// Says in the log who could not log in, and from where.
    pub(crate) fn log_failed_login(
        &mut self,
        now: Instant,
        request: &Incoming,
        user: String,
        status: u16,
    ) {
        let remote = self.source(request);
        if let Some(left_out) = self.refusals.count(now) {
            self.log(LogLine::LoginFailed {
                user,
                remote,
                status,
                left_out,
            });
        }
    }

    /// Refuses a request, mostly for its session description, with a Warning that says why (RFC 3261 section 20.43).
    pub(crate) fn refuse_offer(&mut self, now: Instant, request: &Incoming, refusal: &Refusal) {
        let mut response = self.response(&request.message, refusal.status);
        response.push(HeaderName::Warning, refusal.warning(BROWSER_SIDE_HOST));
        self.answer_refusal(now, request, response, refusal.to_string());
    }
}

impl Engine {
    /// Refuses a browser's request that goes nowhere, and says why.
    pub(super) fn refuse_route(&mut self, now: Instant, request: &Incoming, no_route: NoRoute) {
        let (status, reason) = no_route;
        let (warning_code, text) = match no_route {
            SIPS_NOT_ALLOWED => (380, "SIPS Not Allowed"),
            NOT_BY_LINES => {
                let mut response = self.context.response(&request.message, status);
                response.set(HeaderName::Allow, allow_of_lines());
                return self.context.answer_refusal(now, request, response, reason);
            }
            // A client shows nothing but the status otherwise, and 403 has many causes.
            (403, reason) => (399, reason),
            _ => return self.context.refuse(now, request, status, reason),
        };
        let refusal = Refusal {
            status,
            warning_code,
            text: text.to_owned(),
        };
        self.context.refuse_offer(now, request, &refusal);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a starting point for a fake clock"
    )]
    fn ux_g7_refusals_beyond_the_limit_are_counted_and_told_with_the_next() {
        let now = Instant::now();
        let mut refusals = RefusalCount::new(now);
        let named = (0..1000).filter(|_| refusals.count(now).is_some()).count();
        assert_eq!(named, usize::try_from(REFUSALS_LOGGED_AT_ONCE).unwrap());
        let later = now + Duration::from_secs(1);
        assert_eq!(
            refusals.count(later),
            Some(1000 - u64::from(REFUSALS_LOGGED_AT_ONCE))
        );
        assert_eq!(refusals.count(later), Some(0));
    }
}
