//! Reliable provisional responses (RFC 3262), both ways: PRACK for those of the callee, repetition
//! until PRACK for ours to a caller that requires them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::alarms::Alarm;
use super::cause::{Cause, Why};
use super::leg::Leg;
use super::state::State;
use super::{CallId, Calls, Party};
use crate::engine::context::{Context, Incoming};
use crate::limits::{RELIABLE_GIVE_UP_AFTER, RELIABLE_REPEAT_AFTER, RELIABLE_WAITING_MAX};
use crate::sip::{HeaderName, Message, Method};

/// Our provisional responses to a caller.
#[derive(Debug, Default)]
pub(crate) struct Reliable {
    /// The caller requires them to be reliable.
    pub(super) is_required: bool,
    /// The 200 waits for the PRACK to one with a description (section 3).
    pub(super) accept_waits: bool,
    last_number: u32,
    unacknowledged: Option<Unacknowledged>,
    /// Those that wait until the one before them is acknowledged.
    waiting: VecDeque<Message>,
}

#[derive(Debug)]
struct Unacknowledged {
    message: Message,
    interval: Duration,
    gives_up_at: Instant,
}

impl Reliable {
    pub(super) fn of(invite: &Message) -> Self {
        Self {
            is_required: invite.lists_token(HeaderName::Require, "100rel"),
            ..Self::default()
        }
    }

    /// Must the 200 wait? Only for a description that may not have arrived.
    pub(super) fn holds_answer(&self) -> bool {
        let unacknowledged = self.unacknowledged.as_ref();
        unacknowledged.is_some_and(|sent| !sent.message.body().is_empty())
    }
}

/// The `RSeq` of a provisional response that wants a PRACK.
pub(super) fn number_of(response: &Message) -> Option<u32> {
    let number = response.header(HeaderName::RSeq)?.parse().ok();
    number.filter(|_| response.lists_token(HeaderName::Require, "100rel"))
}

/// Acknowledges a provisional response of the callee. False if it comes again or out of order: it
/// is not looked at (section 4).
pub(super) fn acknowledge(context: &mut Context, now: Instant, leg: &mut Leg, number: u32) -> bool {
    let dialog = &mut leg.dialog;
    let expected = dialog.reliable_sequence.map(|last| last.wrapping_add(1));
    if dialog.remote_tag.is_none() || expected.is_some_and(|expected| number != expected) {
        return false;
    }
    dialog.reliable_sequence = Some(number);
    let mut prack = dialog.request(Method::Prack);
    let rack = format!("{number} {} INVITE", leg.invite_sequence);
    prack.push(HeaderName::RAck, rack);
    leg.send(context, now, prack);
    true
}

impl Calls {
    /// Sends a provisional response to the caller, reliably if the caller wants that.
    pub(super) fn send_provisional(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        response: Message,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let reliable = &mut call.reliable;
        if !reliable.is_required {
            return context.respond(now, call.invite.transaction, response);
        }
        if reliable.unacknowledged.is_some() {
            // What does not fit says nothing that the next or the 200 does not say.
            if reliable.waiting.len() < RELIABLE_WAITING_MAX {
                reliable.waiting.push_back(response);
            }
            return;
        }
        if reliable.last_number == 0 {
            // Section 3: the first one is anything up to 2^31 - 1, and must not wrap around.
            reliable.last_number = context.random.u32() >> 2;
        }
        reliable.last_number += 1;
        let mut message = response;
        message.push(HeaderName::Require, "100rel");
        message.push(HeaderName::RSeq, reliable.last_number.to_string());
        context.respond(now, call.invite.transaction, message.clone());
        reliable.unacknowledged = Some(Unacknowledged {
            message,
            interval: RELIABLE_REPEAT_AFTER,
            gives_up_at: now + RELIABLE_GIVE_UP_AFTER,
        });
        self.alarms
            .set(id, Alarm::Reliable, Some(now + RELIABLE_REPEAT_AFTER));
    }

    /// No PRACK has come yet: the response is sent again, each time after twice as long.
    pub(super) fn reliable_due(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(sent) = call.reliable.unacknowledged.as_mut() else {
            return;
        };
        if call.state != State::Calling {
            return;
        }
        if now >= sent.gives_up_at {
            let cause = Cause::because(&Why::NotPracked);
            return self.end(context, now, id, cause);
        }
        sent.interval *= 2;
        let at = (now + sent.interval).min(sent.gives_up_at);
        let message = sent.message.clone();
        context.respond(now, call.invite.transaction, message);
        self.alarms.set(id, Alarm::Reliable, Some(at));
    }

    /// PRACK of the caller.
    pub(super) fn provisional_acknowledged(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        prack: Incoming,
    ) {
        let Some(call) = self.calls.get_mut(&id).filter(|_| party == Party::Caller) else {
            return context.refuse(now, &prack, 481, "PRACK of the side that was called");
        };
        let invite = super::dialog::sequence(&call.invite.message).unwrap_or_default();
        let named = prack.message.header(HeaderName::RAck);
        let expected = format!("{} {invite} INVITE", call.reliable.last_number);
        let is_it = named.is_some_and(|named| named.split_whitespace().eq(expected.split(' ')));
        if !is_it || call.reliable.unacknowledged.take().is_none() {
            return context.refuse(now, &prack, 481, "PRACK for nothing that was sent");
        }
        self.alarms.set(id, Alarm::Reliable, None);
        if prack.message.description().is_none() {
            let response = context.response(&prack.message, 200);
            context.respond(now, prack.transaction, response);
        } else {
            self.reoffer(context, now, id, party, prack);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(next) = call.reliable.waiting.pop_front()
            && call.state == State::Calling
        {
            self.send_provisional(context, now, id, next);
        }
        let call = self.calls.get_mut(&id);
        let call = call.filter(|call| call.state == State::Calling);
        if call.is_some_and(|call| std::mem::take(&mut call.reliable.accept_waits)) {
            self.answer_caller(context, now, id);
        }
    }
}
