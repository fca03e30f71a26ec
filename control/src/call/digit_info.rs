//! Digits (DTMF) that a browser sends as telephone-events (RFC 4733) to a trunk that takes INFO
//! only: in order, one at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dataplane::link::FlowId;

use super::cause::{Cause, Why};
use super::digits::dtmf;
use super::state::State;
use super::{CallId, Calls, Party};
use crate::config::Dtmf;
use crate::engine::context::Context;
use crate::engine::output::LogLine;
use crate::limits::DIGITS_WAITING_MAX;
use crate::sip::Method;
use crate::sip::digit::{DTMF_RELAY, Digit};
use crate::sip::transaction::ClientTransactionId;

/// Digits on their way to the peer of a leg.
#[derive(Debug, Default)]
pub(crate) struct DigitInfos {
    waiting: VecDeque<Digit>,
    /// The INFO that has no final answer yet.
    pub(super) sent: Option<ClientTransactionId>,
}

impl Calls {
    /// A digit of a browser has ended at a worker: its other side is to be told.
    pub(super) fn digit_heard(
        &mut self,
        context: &mut Context,
        now: Instant,
        flow: FlowId,
        event: u8,
        duration: Duration,
    ) {
        let Some((id, party)) = self.leg_of(flow) else {
            return;
        };
        let to = party.other();
        let call = self.calls.get(&id);
        let duration = call.map_or(duration, |call| call.digit_lasts(party, duration));
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to));
        let Some(leg) = leg.filter(|leg| dtmf(context, leg.side) == Some(Dtmf::Info)) else {
            return;
        };
        if leg.digit_infos.waiting.len() >= DIGITS_WAITING_MAX {
            return digits_lost(context, 1, "too many wait for the trunk's answer");
        }
        leg.digit_infos.waiting.push_back(Digit { event, duration });
        self.send_digit_info(context, now, id, to);
    }

    /// A response to an INFO with a digit. False if it is none of those.
    pub(crate) fn digit_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        if status < 200 {
            return self.digit_infos.contains_key(&transaction);
        }
        let Some((id, party)) = self.digit_infos.remove(&transaction) else {
            return false;
        };
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(party));
        let Some(leg) = leg else { return true };
        leg.digit_infos.sent = None;
        match status {
            200..=299 => {}
            481 => {
                let cause = Cause::because(&Why::NoSuchCall);
                self.end(context, now, id, cause);
                return true;
            }
            408 => {
                // What has waited for so long is nothing that anybody expects any more.
                let count = 1 + std::mem::take(&mut leg.digit_infos.waiting).len();
                digits_lost(context, count, "the trunk does not answer");
            }
            status => digits_lost(context, 1, &format!("the trunk answered {status}")),
        }
        self.send_digit_info(context, now, id, party);
        true
    }

    /// Sends the next digit, unless one is under way or there is no dialog to send it in.
    fn send_digit_info(&mut self, context: &mut Context, now: Instant, id: CallId, to: Party) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let is_ending = call.state == State::Ending;
        let Some(leg) = call.leg_mut(to) else { return };
        if is_ending || leg.dialog.remote_tag.is_none() {
            leg.digit_infos.waiting.clear();
            return;
        }
        if leg.digit_infos.sent.is_some() {
            return;
        }
        let next = leg.digit_infos.waiting.pop_front();
        let Some(body) = next.and_then(|digit| digit.body()) else {
            return;
        };
        let mut info = leg.dialog.request(Method::Info);
        info.set_body(DTMF_RELAY, body.into());
        let transaction = leg.send(context, now, info);
        leg.digit_infos.sent = Some(transaction);
        self.digit_infos.insert(transaction, (id, to));
    }
}

fn digits_lost(context: &mut Context, count: usize, why: &str) {
    context.log(LogLine::DigitsLost {
        count,
        reason: why.to_owned(),
    });
}
