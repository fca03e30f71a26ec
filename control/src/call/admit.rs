//! Whether a call may be made: what an INVITE needs before anything is planned, and what its trunk
//! takes.

use std::time::Instant;

use super::leg::Side;
use super::setup::{Target, hops_left};
use super::{CallId, Calls, Party};
use crate::config::Config;
use crate::engine::context::{Context, Incoming};
use crate::engine::output::LogLine;
use crate::sip::body::{ACCEPTED_ENCODINGS, ACCEPTED_TYPES};
use crate::sip::{BodyError, HeaderName, Message};
use crate::trunk::limits::{CallName, LimitStatus, TrunkUsage};

/// Who calls and who is called, as it counts at their trunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) caller: Side,
    pub(crate) callee: Option<Side>,
}

impl Counted {
    /// The side of a party; one that there is not counts as little as a browser.
    pub(super) fn side(self, party: Party) -> Side {
        match party {
            Party::Caller => self.caller,
            Party::Callee => self.callee.unwrap_or(Side::Browser),
        }
    }

    /// Another one takes the place of this party.
    pub(super) const fn set(&mut self, party: Party, side: Side) {
        match party {
            Party::Caller => self.caller = side,
            Party::Callee => self.callee = Some(side),
        }
    }

    /// The trunks that the call uses.
    fn trunks(self) -> impl Iterator<Item = usize> {
        let sides = [Some(self.caller), self.callee].into_iter().flatten();
        sides.filter_map(|side| match side {
            Side::Browser => None,
            Side::Trunk(index) => Some(index),
        })
    }
}

impl Calls {
    /// How near each trunk is to its limits.
    pub(crate) fn trunk_usage(&self, config: &Config) -> Vec<TrunkUsage> {
        let trunks = config.trunks.iter().zip(&self.quotas);
        trunks
            .map(|(trunk, quota)| quota.usage(&trunk.name))
            .collect()
    }

    /// Do the trunks of this call take another one? If not, it is refused.
    pub(super) fn is_within_limits(
        &mut self,
        context: &mut Context,
        now: Instant,
        invite: &Incoming,
        caller: Side,
        target: &Target,
    ) -> bool {
        let callee = match target {
            Target::Echo => None,
            Target::Leg(outgoing) => Some(outgoing.side),
        };
        let name = name_of(&invite.message);
        for index in (Counted { caller, callee }).trunks() {
            let Some(quota) = self.quotas.get_mut(index) else {
                continue;
            };
            let Err(excess) = quota.check(now, &name) else {
                continue;
            };
            let trunk = context.config.trunks.get(index);
            let trunk = trunk.map(|trunk| trunk.name.clone()).unwrap_or_default();
            let mut response = context.response(&invite.message, 503);
            response.set(HeaderName::RetryAfter, excess.retry_after_s.to_string());
            context.respond(now, invite.transaction, response);
            context.log(LogLine::Refused {
                peer: invite.peer,
                reason: format!("{} of trunk {trunk}", excess.limit.key()),
            });
            if excess.is_first {
                context.log(LogLine::Limit(LimitStatus {
                    trunk,
                    limit: excess.limit,
                    refused: None,
                }));
            }
            return false;
        }
        true
    }

    /// A call is made: it counts at its trunks.
    pub(super) fn enter_trunks(&mut self, now: Instant, invite: &Message, counted: Counted) {
        let name = name_of(invite);
        for index in counted.trunks() {
            if let Some(quota) = self.quotas.get_mut(index) {
                quota.began(now, &name);
            }
        }
    }

    /// A call ends with this status: it counts no more. One that the carrier has challenged comes
    /// again.
    pub(super) fn leave_trunks(&mut self, now: Instant, id: CallId, status: u16) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let callee = call.counted.callee;
        let is_challenged = matches!(status, 401 | 407) && call.answered_at.is_none();
        for index in call.counted.trunks() {
            let Some(quota) = self.quotas.get_mut(index) else {
                continue;
            };
            quota.ended();
            if is_challenged && callee == Some(Side::Trunk(index)) {
                quota.challenged(now, name_of(&call.invite.message));
            }
        }
    }

    /// Tells of limits that refuse nobody any more.
    pub(super) fn limits_settled(&mut self, context: &mut Context, now: Instant) {
        for (index, quota) in self.quotas.iter_mut().enumerate() {
            for (limit, refused) in quota.settled(now) {
                let trunk = context.config.trunks.get(index);
                context.log(LogLine::Limit(LimitStatus {
                    trunk: trunk.map(|trunk| trunk.name.clone()).unwrap_or_default(),
                    limit,
                    refused: Some(refused),
                }));
            }
        }
    }
}

fn name_of(invite: &Message) -> CallName {
    let tag = invite.from_tag().unwrap_or_default();
    (invite.call_id().to_owned(), tag.to_owned())
}

/// What an INVITE needs before anything is planned; else the status of the refusal.
pub(super) fn check_invite(invite: &Message) -> Result<(), u16> {
    if invite.values(HeaderName::Require).any(is_unsupported) {
        return Err(420);
    }
    invite.session_description().map_err(BodyError::status)?;
    if super::dialog::has_alien_contact(invite) {
        return Err(416);
    }
    if super::dialog::contact_uri(invite).is_none() {
        return Err(400);
    }
    if hops_left(invite) == 0 {
        return Err(483);
    }
    Ok(())
}

/// What a `Require` may ask for (RFC 3261 section 8.2.2.3).
pub(super) fn is_unsupported(option: &str) -> bool {
    !["timer", "100rel", "replaces"]
        .iter()
        .any(|known| option.eq_ignore_ascii_case(known))
}

pub(super) fn refuse_invite(context: &mut Context, now: Instant, invite: &Incoming, status: u16) {
    let mut response = context.response(&invite.message, status);
    match status {
        415 => list_accepted(&mut response),
        420 => {
            let options = invite.message.values(HeaderName::Require);
            for option in options.filter(|option| is_unsupported(option)) {
                response.push(HeaderName::Unsupported, option);
            }
        }
        _ => {}
    }
    context.respond(now, invite.transaction, response);
}

/// Refuses a request in a dialog for its body.
pub(super) fn refuse_body(
    context: &mut Context,
    now: Instant,
    request: &Incoming,
    error: BodyError,
) {
    let mut response = context.response(&request.message, error.status());
    if error == BodyError::Unsupported {
        list_accepted(&mut response);
    }
    context.respond(now, request.transaction, response);
    context.log(LogLine::Refused {
        peer: request.peer,
        reason: error.text().to_owned(),
    });
}

/// Puts into a 415 what would be taken (RFC 3261 section 8.2.3).
fn list_accepted(response: &mut Message) {
    response.push(HeaderName::Accept, ACCEPTED_TYPES);
    response.push(HeaderName::AcceptEncoding, ACCEPTED_ENCODINGS);
}
