//! Offers of ours within a confirmed dialog, by re-INVITE: what one side changed and the other must
//! know. One at a time; what meets an offer of the peer is tried again (RFC 3261 section 14.1).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::alarms::Alarm;
use super::answer::accept;
use super::end::Cause;
use super::join::{connect_medium, offer_for};
use super::leg::Side;
use super::refresh::{glare_delay, propose_timer};
use super::reoffer::adopt;
use super::session_timer::SessionTimer;
use super::setup::read_offer;
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{ALLOW, Context, Incoming};
use crate::limits::OFFER_ATTEMPTS_MAX;
use crate::sdp::{self, LegSdp, OfferPlan, Refusal, RemoteDescription};
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

/// An offer of one leg that is passed on to the other.
#[derive(Debug)]
pub(crate) struct Reoffer {
    from: Party,
    /// What is answered in the end; `None` if the offer is our own doing.
    request: Option<Incoming>,
    offer: RemoteDescription,
    plan: OfferPlan,
    /// `None` while it waits to be sent again.
    transaction: Option<ClientTransactionId>,
    attempts: u8,
}

impl Reoffer {
    /// Is it the answer to a request of this side that is waited for?
    pub(super) fn is_of(&self, party: Party) -> bool {
        self.from == party && self.request.is_some()
    }
}

/// A re-INVITE of ours. It outlives its exchange: a 2xx whose ACK was lost comes again.
#[derive(Debug)]
pub(crate) struct Reinvite {
    call: CallId,
    to: Party,
    sequence: u32,
    /// What we had said before, while no final answer has come.
    before: Option<Box<LegSdp>>,
}

impl Reinvite {
    /// Its leg is that of another call now.
    pub(super) const fn moved(&mut self, call: CallId, to: Party) {
        (self.call, self.to) = (call, to);
    }
}

impl Calls {
    /// Passes an offer on to the other side.
    #[expect(clippy::too_many_arguments, reason = "one exchange is made of these")]
    pub(super) fn offer_on(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        from: Party,
        request: Option<Incoming>,
        offer: RemoteDescription,
        plan: OfferPlan,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(request) = &request
            && request.method() == Method::Invite
        {
            self.by_server_invite.insert(request.transaction, id);
        }
        call.reoffer = Some(Reoffer {
            from,
            request,
            offer,
            plan,
            transaction: None,
            attempts: 0,
        });
        self.send_reoffer(context, now, id);
    }

    /// Sends the offer that waits, unless a refresh of ours is under way.
    pub(super) fn send_reoffer(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(to) = self.calls.get(&id).and_then(|call| {
            let reoffer = call.reoffer.as_ref()?;
            reoffer.transaction.is_none().then(|| reoffer.from.other())
        }) else {
            return;
        };
        if self.refreshes_by_invite(id, to) || self.reinvites(id, to) {
            let soon = now + Duration::from_secs(1);
            return self.alarms.set(id, Alarm::Reoffer, Some(soon));
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(mut reoffer) = call.reoffer.take() else {
            return;
        };
        let Some(leg) = call.leg_mut(to) else {
            return;
        };
        let before = Some(Box::new(leg.sdp.clone()));
        let text = leg.sdp.write_offer(&reoffer.plan, &leg.local);
        let mut invite = leg.dialog.request(Method::Invite);
        let sequence = leg.dialog.local_sequence;
        invite.push(HeaderName::Contact, leg.contact(context));
        invite.push(HeaderName::Allow, ALLOW);
        propose_timer(context, leg, &mut invite);
        invite.set_body("application/sdp", Bytes::from(text));
        let transaction = leg.send(context, now, invite);
        reoffer.transaction = Some(transaction);
        reoffer.attempts += 1;
        let old = leg.reinvite.replace(transaction);
        call.reoffer = Some(reoffer);
        if let Some(old) = old {
            self.by_reinvite.remove(&old);
        }
        let reinvite = Reinvite {
            call: id,
            to,
            sequence,
            before,
        };
        self.by_reinvite.insert(transaction, reinvite);
    }

    /// Has a re-INVITE of ours on this leg no final answer yet (RFC 3261 section 14.1)?
    fn reinvites(&self, id: CallId, party: Party) -> bool {
        let leg = self.calls.get(&id).and_then(|call| call.leg(party));
        leg.and_then(|leg| self.by_reinvite.get(&leg.reinvite?))
            .is_some_and(|sent| sent.before.is_some())
    }

    /// The other side does not know yet what this one has said: it is told as soon as it can be.
    pub(super) fn step_out(&mut self, now: Instant, id: CallId, from: Party) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.untold.insert(from);
            self.alarms.set(id, Alarm::Reoffer, Some(now));
        }
    }

    /// It is time to send an offer again, or to tell one side what the other has said.
    pub(super) fn reoffer_due(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.reoffer.is_some() {
            self.send_reoffer(context, now, id);
            return;
        }
        if call.state != State::Talking {
            return;
        }
        let Some(from) = call.untold.pop_first() else {
            return;
        };
        let plan = offer_for(context, call, from.other()).ok().flatten();
        let offer = call.leg(from).and_then(|leg| leg.remote.clone());
        if let (Some(plan), Some(offer)) = (plan, offer) {
            self.offer_on(context, now, id, from, None, offer, plan);
        }
    }

    /// The offer that is under way, taken out if it is that of this transaction of ours.
    fn take_reoffer(
        &mut self,
        now: Instant,
        id: CallId,
        of: impl FnOnce(&Reoffer) -> bool,
    ) -> Option<Reoffer> {
        let call = self.calls.get_mut(&id)?;
        let reoffer = call.reoffer.take_if(|reoffer| of(reoffer))?;
        let next = (!call.untold.is_empty()).then_some(now);
        self.alarms.set(id, Alarm::Reoffer, next);
        if let Some(request) = &reoffer.request {
            self.by_server_invite.remove(&request.transaction);
        }
        Some(reoffer)
    }

    /// The offer that is under way is not wanted any more: its sender has cancelled it, or is
    /// gone, or the call ends.
    pub(super) fn withdraw_reoffer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
        cancel: Option<&Message>,
    ) {
        let Some(reoffer) = self.take_reoffer(now, id, |_| true) else {
            return;
        };
        if let Some(request) = &reoffer.request {
            context.refuse(now, request, status, "the change was withdrawn");
        }
        let reason = cancel.and_then(|cancel| cancel.header(HeaderName::Reason));
        if let Some(transaction) = reoffer.transaction {
            context
                .transactions
                .cancel_with_reason(now, transaction, reason);
        }
    }

    /// A response to an offer that was passed on. False if it is none of those.
    pub(crate) fn reoffer_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(sent) = self.by_reinvite.get_mut(&transaction) else {
            return false;
        };
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return true;
        }
        if status >= 300 {
            return self.reoffer_failed(context, now, transaction, status);
        }
        let is_first = sent.before.take().is_some();
        let (id, to, sequence) = (sent.call, sent.to, sent.sequence);
        let is_its = |reoffer: &Reoffer| reoffer.transaction == Some(transaction);
        let reoffer = self.take_reoffer(now, id, is_its);
        let Some(call) = self.calls.get_mut(&id) else {
            return true;
        };
        if let Some(leg) = call.leg_mut(to) {
            // Each 2xx has its ACK, also one that comes again or too late.
            leg.dialog.refresh_target(response);
            leg.send_ack(context, now, Some(transaction), sequence);
            if reoffer.is_some() {
                leg.timer = SessionTimer::granted(response);
            }
        }
        let Some(reoffer) = reoffer else {
            if is_first {
                // It had been withdrawn: the other side takes back what it has accepted.
                self.step_out(now, id, to.other());
            }
            return true;
        };
        let from = reoffer.from;
        match changed(context, call, &reoffer, response) {
            Ok(text) => {
                call.is_mute = false;
                if let (Some(leg), Some(request)) = (call.leg_mut(from), &reoffer.request) {
                    let mut answer = accept(context, leg, &request.message, text);
                    answer.remove(HeaderName::RecordRoute);
                    context.respond(now, request.transaction, answer);
                    self.arm_timer(now, id, from);
                }
            }
            Err(refusal) => {
                if let Some(request) = &reoffer.request {
                    context.refuse_offer(now, request, &refusal);
                }
            }
        }
        self.arm_timer(now, id, to);
        true
    }

    /// An offer that was passed on came to nothing, or is tried again; with 481 and 408 the dialog
    /// is gone too (RFC 3261 section 12.2.1.2).
    pub(crate) fn reoffer_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(sent) = self.by_reinvite.get_mut(&transaction) else {
            return false;
        };
        let (id, to, before) = (sent.call, sent.to, sent.before.take());
        let Some(before) = before else {
            // It had been answered.
            return true;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return true;
        };
        if let Some(leg) = call.leg_mut(to) {
            leg.sdp.take_back(*before);
        }
        let is_its = |reoffer: &Reoffer| reoffer.transaction == Some(transaction);
        if status == 491
            && let Some(reoffer) = call.reoffer.as_mut()
            && is_its(reoffer)
            && reoffer.attempts < OFFER_ATTEMPTS_MAX
        {
            reoffer.transaction = None;
            if let Some(leg) = call.leg(to) {
                let at = now + glare_delay(context, leg);
                self.alarms.set(id, Alarm::Reoffer, Some(at));
            }
            return true;
        }
        let reoffer = self.take_reoffer(now, id, is_its);
        let is_vital = reoffer.is_some() && self.calls.get(&id).is_some_and(|call| call.is_mute);
        if let Some(request) = reoffer.and_then(|reoffer| reoffer.request) {
            let shown = match status {
                // What would send the peer elsewhere, or ask for credentials that fit nothing.
                300..=399 | 401 | 407 => 488,
                status => status,
            };
            context.refuse(now, &request, shown, "the other side refused the change");
        }
        if matches!(status, 408 | 481) {
            let cause = Cause::of(200, "the other side has no such call");
            self.end(context, now, id, cause);
        } else if is_vital {
            let mut cause = Cause::of(200, "the codec of the new party is not taken");
            cause.reason = Some("SIP;cause=488;text=\"Not Acceptable Here\"".to_owned());
            self.end(context, now, id, cause);
        }
        true
    }
}

/// The other side has answered a passed-on offer: both legs follow.
fn changed(
    context: &mut Context,
    call: &mut Call,
    reoffer: &Reoffer,
    response: &Message,
) -> Result<String, Refusal> {
    let to = reoffer.from.other();
    let side = call.leg(to).map_or(Side::Browser, |leg| leg.side);
    let remote = read_offer(context, side, &response.description().unwrap_or_default())?;
    let plan = sdp::plan_answer(&reoffer.offer, &reoffer.plan, &remote)?;
    let routes = sdp::routes(&reoffer.offer, &reoffer.plan, &plan, &remote);
    if let Some(leg) = call.leg_mut(to) {
        leg.sdp.note_answer(&remote);
        adopt(context, leg, remote);
    }
    if let Some(leg) = call.leg_mut(reoffer.from) {
        adopt(context, leg, reoffer.offer.clone());
    }
    if let (Some(source), Some(target)) = (call.leg(reoffer.from), call.leg(to)) {
        for route in &routes {
            connect_medium(context, source, target, route);
        }
    }
    let Some(leg) = call
        .leg_mut(reoffer.from)
        .filter(|_| reoffer.request.is_some())
    else {
        return Ok(String::new());
    };
    Ok(leg.sdp.write_answer(&reoffer.offer, &plan, &leg.local))
}
