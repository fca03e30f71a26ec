//! How calls end: tell both sides, close the flows, write the record.

use std::time::Instant;

use dataplane::link::{Command, FlowId, FlowTotals, Media};

use super::cause::{Cause, Why, reasons_in};
use super::leg::{Invite, Leg};
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::Context;
use crate::engine::output::{CallEnded, LegStatistics, LogLine};
use crate::limits::FLOWS_CLOSE_WITHIN;
use crate::media::handshake::HandshakeCommand;
use crate::sip::Message;
use crate::sip::transaction::ServerTransactionId;

impl Calls {
    /// The caller has cancelled its INVITE; the transaction layer has answered the CANCEL. None if
    /// its connection is gone.
    pub(crate) fn cancelled(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ServerTransactionId,
        cancel: Option<&Message>,
    ) {
        let Some(id) = self.by_server_invite.get(&transaction).copied() else {
            return;
        };
        if self
            .calls
            .get(&id)
            .is_some_and(|call| call.invite.transaction != transaction)
        {
            let reasons = reasons_in(cancel).unwrap_or_else(|| Why::Withdrawn(487).reasons());
            return self.withdraw_reoffer(context, now, id, 487, &reasons);
        }
        let mut cause = Cause::of(487, "caller cancelled");
        match (cancel, reasons_in(cancel)) {
            (_, Some(reasons)) => cause.reasons = reasons,
            (Some(_), None) => {}
            (None, None) => cause = Cause::because(&Why::ConnectionLost(Party::Caller)),
        }
        let early = self
            .calls
            .get(&id)
            .is_some_and(|call| call.answered_at.is_none());
        if early {
            self.end(context, now, id, cause);
        }
    }

    /// Ends a call, from whatever state: each side gets what its dialog demands.
    pub(crate) fn end(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        mut cause: Cause,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.state == State::Ending {
            return;
        }
        if call.transfer.is_some() {
            self.abandon_transfer(context, now, id);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.state == State::Ending {
            return;
        }
        cause.status = status_for_caller(call, &cause);
        call.become_state(State::Ending);
        let referral = call.referral.take();
        self.leave_trunks(now, id, cause.status);
        self.answer_pending(context, now, id, &cause);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        end_caller(context, now, call, &cause);
        end_callee(context, now, call, &cause);
        close_flows(context, call);
        call.farewell.clone_from(&cause.reasons);
        let status = cause.status;
        call.cause = Some(cause);
        self.set_deadline(id, Some(now + FLOWS_CLOSE_WITHIN));
        self.finish_if_done(context, now, id);
        if let Some(referral) = referral {
            self.transfer_failed(context, now, (id, referral), status);
        }
    }

    /// Requests within the dialogs that still wait for an answer get one (RFC 3261 section
    /// 15.1.2).
    fn answer_pending(&mut self, context: &mut Context, now: Instant, id: CallId, cause: &Cause) {
        self.withdraw_reoffer(context, now, id, 487, &cause.reasons);
        self.refuse_parked(context, now, id, 487);
        self.refuse_relays(context, now, id);
    }

    /// Requests that were passed on find no answer any more.
    pub(super) fn refuse_relays(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        for transaction in std::mem::take(&mut call.relays) {
            if let Some(relay) = self.relays.remove(&transaction) {
                context.refuse(now, &relay.request, 487, "the call has ended");
            }
        }
    }

    /// A worker has closed a flow.
    pub(crate) fn flow_closed(
        &mut self,
        context: &mut Context,
        now: Instant,
        flow: FlowId,
        totals: FlowTotals,
    ) {
        context.planner.released(flow);
        let Some(id) = self.by_flow.get(&flow).copied() else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.closing.remove(&flow);
        call.totals.entry(flow).or_insert(totals);
        self.finish_if_done(context, now, id);
    }

    /// Writes the record once the totals are in, and forgets the call once the callee's INVITE
    /// has its final answer too: a late 200 must still be ended.
    pub(crate) fn finish_if_done(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if call.state != State::Ending || !call.closing.is_empty() {
            return;
        }
        self.finish(context, now, id);
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let pending = call
            .callee
            .as_ref()
            .is_some_and(|leg| matches!(leg.invite, Invite::Client(_)));
        if !pending {
            self.remove(now, id);
        } else {
            // The transaction layer reports a final answer or a timeout; this is the net below.
            self.set_deadline(id, Some(now + crate::limits::LATE_ANSWER_WITHIN));
        }
    }

    /// Writes the record, once.
    pub(super) fn finish(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(cause) = call.cause.take() else {
            return;
        };
        let statistics_of = |leg: &Option<Leg>| {
            let statistics = leg.as_ref().map(|leg| statistics(call, leg));
            statistics.unwrap_or_default()
        };
        let ended = CallEnded {
            began: call.log.clone(),
            duration: now.saturating_duration_since(call.began_at),
            talked: call.answered_at.map(|at| now.saturating_duration_since(at)),
            status: cause.status,
            reason: cause.text,
            codec: call.codec.clone(),
            leg_a: statistics_of(&call.caller),
            leg_b: statistics_of(&call.callee),
        };
        context.log(LogLine::CallEnded(Box::new(ended)));
    }
}

/// What a caller is answered that has not been answered yet.
fn status_for_caller(call: &Call, cause: &Cause) -> u16 {
    let caller = call.caller.as_ref();
    let is_answered = !caller.is_some_and(|leg| matches!(leg.invite, Invite::Server(_)));
    match (cause.status, cause.by) {
        (status, _) if status >= 300 || is_answered => status,
        // A BYE before the answer is as good as a CANCEL (RFC 3261 section 15.1.2).
        (_, Some(Party::Caller)) => 487,
        // It has overtaken the answer: who was called is there no more.
        (_, Some(Party::Callee)) => 480,
        (_, None) => 500,
    }
}

fn end_caller(context: &mut Context, now: Instant, call: &mut Call, cause: &Cause) {
    let Some(leg) = call.caller.as_mut() else {
        return;
    };
    match leg.invite {
        Invite::Server(transaction) => {
            let mut response = context.response(&call.invite.message, cause.status);
            response.set_to_tag(&leg.dialog.local_tag);
            leg.dialog.name_session(&mut response);
            context.respond(now, transaction, response);
            leg.invite = Invite::Over;
        }
        Invite::Accepted if cause.by == Some(Party::Caller) => leg.invite = Invite::Over,
        Invite::Accepted => leg.send_bye(context, now, &cause.reasons),
        Invite::None | Invite::Client(_) | Invite::Over => {}
    }
}

fn end_callee(context: &mut Context, now: Instant, call: &mut Call, cause: &Cause) {
    let Some(leg) = call.callee.as_mut() else {
        return;
    };
    match leg.invite {
        Invite::Client(transaction) => {
            context
                .transactions
                .cancel(now, transaction, &cause.reasons);
        }
        Invite::Accepted if cause.by == Some(Party::Callee) => leg.invite = Invite::Over,
        Invite::Accepted => leg.send_bye(context, now, &cause.reasons),
        Invite::None | Invite::Server(_) | Invite::Over => {}
    }
}

fn close_flows(context: &mut Context, call: &mut Call) {
    let mut closing = std::collections::BTreeSet::new();
    for (_, leg) in call.legs() {
        for planned in leg.flows() {
            // One whose opening was refused does not exist and has been given back.
            if call.refused != Some(planned.flow) {
                closing.insert(planned.flow);
                leg.command(context, Command::CloseFlow { flow: planned.flow });
            }
        }
        if leg.side == super::leg::Side::Browser {
            context.handshake(HandshakeCommand::Close {
                flow: leg.audio.flow,
            });
        }
    }
    call.closing = closing;
}

fn statistics(call: &Call, leg: &Leg) -> LegStatistics {
    let mut sum = LegStatistics::default();
    let flows = leg.flows().map(|planned| planned.flow);
    for flow in flows.chain(leg.past_flows.iter().copied()) {
        let Some(totals) = call.totals.get(&flow) else {
            continue;
        };
        sum.dropped_packets += totals.dropped_packets;
        for media in [Media::Audio, Media::Video] {
            let stream = totals.media(media);
            sum.received_packets += stream.received_packets;
            sum.sent_packets += stream.sent_packets;
            sum.lost_packets += stream.lost_packets;
            sum.remote_lost_packets += stream.remote_lost_packets;
            sum.round_trip_us = sum.round_trip_us.max(stream.round_trip_us);
        }
        sum.jitter_us = sum.jitter_us.max(totals.audio.jitter_us);
        sum.remote_jitter_us = sum.remote_jitter_us.max(totals.audio.remote_jitter_us);
    }
    sum
}
