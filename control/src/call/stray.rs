//! 2xx to INVITEs of ours that nobody waits for: of forks, of calls that are over, and such as come
//! again. Each has its ACK, and its dialog ends unless it is that of a leg (RFC 3261 section
//! 13.2.2.4).

use std::time::Instant;

use super::cause::Why;
use super::dialog::Dialog;
use super::leg::{Invite, Leg, Side};
use super::{CallId, Calls};
use crate::engine::context::Context;
use crate::engine::input::Peer;
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

impl Calls {
    /// A 2xx to an INVITE of a call that is over: its dialog is ended all the same (RFC 3261
    /// section 13.2.2.4).
    pub(crate) fn answer_of_no_call(
        &self,
        context: &mut Context,
        now: Instant,
        (transaction, peer): (ClientTransactionId, Peer),
        response: &Message,
    ) {
        let is_2xx = matches!(response.status(), Some(200..=299));
        if !is_2xx
            || response.method() != Method::Invite
            || self.answered_elsewhere(context, now, (None, transaction), response)
        {
            return;
        }
        let Some(mut dialog) = Dialog::of_response(response) else {
            return;
        };
        let ack = dialog.request_with_sequence(Method::Ack, dialog.local_sequence);
        context.send_ack(now, peer, ack);
        let mut bye = dialog.request(Method::Bye);
        push_reasons(&mut bye, &Why::Withdrawn(487));
        context.send(now, peer, bye);
    }

    /// A 2xx of a target that was given up: whoever took the call there is told that it is over.
    pub(crate) fn stray_answer(
        &mut self,
        context: &mut Context,
        now: Instant,
        peer: Peer,
        response: &Message,
    ) {
        let is_2xx = matches!(response.status(), Some(200..=299));
        let Some(tag) = response.from_tag() else {
            return;
        };
        if !is_2xx || response.method() != Method::Invite || peer.connection().is_some() {
            return;
        }
        let key = (response.call_id().to_owned(), tag.to_owned());
        let found = self.by_dialog.get(&key).copied();
        let call = found.and_then(|(id, _)| self.calls.get_mut(&id));
        let Some(leg) = call.and_then(|call| call.callee.as_mut()) else {
            return;
        };
        let is_other = leg.dialog.remote_tag.as_deref() != response.to_tag();
        if is_other && leg.dialog.call_id == key.0 && matches!(leg.side, Side::Trunk(_)) {
            refuse_fork(context, now, leg, peer, response);
        }
    }

    /// A response to the INVITE of a leg that is in another call now than `id`: a 2xx that comes
    /// again, as its ACK was lost, has it once more.
    pub(super) fn answered_elsewhere(
        &self,
        context: &mut Context,
        now: Instant,
        (id, transaction): (Option<CallId>, ClientTransactionId),
        response: &Message,
    ) -> bool {
        let Some(tag) = response.from_tag() else {
            return false;
        };
        let key = (response.call_id().to_owned(), tag.to_owned());
        let place = self.by_dialog.get(&key).copied();
        let Some((other, party)) = place.filter(|(other, _)| Some(*other) != id) else {
            return false;
        };
        let leg = self.calls.get(&other).and_then(|call| call.leg(party));
        let Some(leg) = leg.filter(|leg| leg.dialog.remote_tag.as_deref() == response.to_tag())
        else {
            return false;
        };
        if matches!(response.status(), Some(200..=299)) {
            leg.send_ack(context, now, Some(transaction), leg.invite_sequence);
        }
        true
    }
}

/// A second fork answered: it is acknowledged and, once, ended (RFC 3261 section 13.2.2.4).
pub(super) fn refuse_fork(
    context: &mut Context,
    now: Instant,
    leg: &mut Leg,
    peer: Peer,
    response: &Message,
) {
    let Some(tag) = response.to_tag() else { return };
    let mut fork = leg.fork(tag);
    fork.dialog.learn_from_response(response);
    let ack = fork
        .dialog
        .request_with_sequence(Method::Ack, leg.invite_sequence);
    context.send_ack(now, peer, ack);
    if !fork.is_ended {
        let mut bye = fork.dialog.request(Method::Bye);
        let is_answered = leg.invite == Invite::Accepted;
        push_reasons(
            &mut bye,
            &match is_answered {
                true => Why::CompletedElsewhere,
                false => Why::Withdrawn(487),
            },
        );
        match leg.side {
            Side::Browser => context.send(now, peer, bye),
            Side::Trunk(trunk) => context.send_to_trunk(now, trunk, peer, bye, None),
        };
    }
    fork.is_ended = true;
    leg.keep_fork(fork);
}

fn push_reasons(bye: &mut Message, why: &Why) {
    for reason in why.reasons() {
        bye.push(HeaderName::Reason, reason);
    }
}
