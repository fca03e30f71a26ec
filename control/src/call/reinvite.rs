//! Offers of ours within a confirmed dialog, by re-INVITE: what one side changed and the other must
//! know. One at a time; what meets an offer of the peer is tried again (RFC 3261 section 14.1).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::alarms::Alarm;
use super::answer::accept;
use super::cause::{Cause, Why};
use super::join::rejoin;
use super::leg::{Leg, Side};
use super::refresh::{glare_delay, propose_timer};
use super::reoffer::{Role, adopt};
use super::session_timer::SessionTimer;
use super::settle::{NextOffer, next_offer};
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
        let call = self.calls.get(&id);
        let leg = call.and_then(|call| call.leg(to));
        if self.refreshes_by_invite(id, to)
            || self.reinvites(id, to)
            || leg.is_some_and(|leg| leg.awaits_answer)
        {
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
    pub(super) fn reinvites(&self, id: CallId, party: Party) -> bool {
        let leg = self.calls.get(&id).and_then(|call| call.leg(party));
        leg.and_then(|leg| self.by_reinvite.get(&leg.reinvite?))
            .is_some_and(|sent| sent.before.is_some())
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
        if let Some(NextOffer { to, offer, plan }) = next_offer(context, call) {
            call.own_offers += 1;
            self.offer_on(context, now, id, to.other(), None, offer, plan);
        }
    }

    /// The offer that is under way, taken out if it is that of this transaction of ours.
    fn take_reoffer(&mut self, id: CallId, of: impl FnOnce(&Reoffer) -> bool) -> Option<Reoffer> {
        let call = self.calls.get_mut(&id)?;
        let reoffer = call.reoffer.take_if(|reoffer| of(reoffer))?;
        self.alarms.set(id, Alarm::Reoffer, None);
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
        reasons: &[String],
    ) {
        let Some(reoffer) = self.take_reoffer(id, |_| true) else {
            return;
        };
        if let Some(request) = &reoffer.request {
            context.refuse(now, request, status, "the change was withdrawn");
        }
        if let Some(transaction) = reoffer.transaction {
            context.transactions.cancel(now, transaction, reasons);
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
        let before = sent.before.take();
        let (id, to, sequence) = (sent.call, sent.to, sent.sequence);
        let is_its = |reoffer: &Reoffer| reoffer.transaction == Some(transaction);
        let reoffer = self.take_reoffer(id, is_its);
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to)) else {
            return true;
        };
        // Each 2xx has its ACK, also one that comes again or too late.
        leg.dialog.refresh_target(response);
        leg.send_ack(context, now, Some(transaction), sequence);
        if let Some(before) = before {
            leg.timer = SessionTimer::granted(response);
            self.offer_answered(context, now, (id, to), reoffer, *before, response);
            self.arm_timer(now, id, to);
            self.settle(context, now, id);
        }
        true
    }

    /// The first 2xx to an offer of ours. Without `reoffer` the offer had been withdrawn, and was
    /// taken all the same.
    fn offer_answered(
        &mut self,
        context: &mut Context,
        now: Instant,
        (id, to): (CallId, Party),
        reoffer: Option<Reoffer>,
        before: LegSdp,
        response: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let answer = match &reoffer {
            Some(reoffer) => changed(context, call, reoffer, response),
            None => call
                .leg_mut(to)
                .map_or(Ok(()), |leg| take_answer(context, leg, response))
                .map(|()| String::new()),
        };
        let request = reoffer
            .as_ref()
            .and_then(|reoffer| reoffer.request.as_ref());
        let from = to.other();
        match answer {
            Ok(text) => {
                rejoin(context, call);
                let Some((leg, request)) = call.leg_mut(from).zip(request) else {
                    return;
                };
                let mut answer = accept(context, leg, &request.message, text);
                answer.remove(HeaderName::RecordRoute);
                context.respond(now, request.transaction, answer);
                self.arm_timer(now, id, from);
            }
            Err(refusal) => {
                if let Some(request) = request {
                    context.refuse_offer(now, request, &of_gateway(refusal));
                }
                self.answer_unusable(context, now, (id, to), before);
            }
        }
    }

    /// The peer has accepted an offer of ours with something that is no answer to it. It may believe
    /// anything: it is told what was agreed on before, and if that helps nothing, the call ends
    /// (RFC 3261 section 14.1).
    fn answer_unusable(
        &mut self,
        context: &mut Context,
        now: Instant,
        (id, to): (CallId, Party),
        before: LegSdp,
    ) {
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to)) else {
            return;
        };
        leg.sdp.take_back(before);
        if std::mem::replace(&mut leg.is_unclear, true) {
            let why = Why::Unsettled("answers to offers within the call cannot be used");
            let cause = Cause::because(&why);
            self.end(context, now, id, cause);
        }
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
        rejoin(context, call);
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
        if let Some(reoffer) = self.take_reoffer(id, is_its) {
            self.offer_refused(context, now, (id, to), reoffer, status);
        }
        if matches!(status, 408 | 481) {
            let cause = Cause::because(&Why::NoSuchCall);
            self.end(context, now, id, cause);
        }
        self.settle(context, now, id);
        true
    }

    fn offer_refused(
        &mut self,
        context: &mut Context,
        now: Instant,
        (id, to): (CallId, Party),
        reoffer: Reoffer,
        status: u16,
    ) {
        if let Some(request) = reoffer.request {
            let shown = match status {
                // What would send the peer elsewhere, or ask for credentials that fit nothing.
                300..=399 | 401 | 407 => 488,
                status => status,
            };
            return context.refuse(now, &request, shown, "the other side refused the change");
        }
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to)) else {
            return;
        };
        leg.refused.push(reoffer.plan);
        if leg.is_unclear {
            let cause = Cause::because(&Why::Unsettled(
                "the session cannot be taken back to what it was",
            ));
            self.end(context, now, id, cause);
        }
    }
}

/// The refusal that an asker gets whose request was in order, but the answer of the other side was
/// not (RFC 3261 section 21.5.3).
fn of_gateway(refusal: Refusal) -> Refusal {
    let is_rejected = refusal.status == 488 && refusal.warning_code == 304;
    Refusal {
        status: if is_rejected { 488 } else { 502 },
        ..refusal
    }
}

/// The peer's answer to an offer of ours.
fn take_answer(context: &mut Context, leg: &mut Leg, response: &Message) -> Result<(), Refusal> {
    let remote = read_offer(
        context,
        leg.side,
        &response.description().unwrap_or_default(),
    )?;
    leg.sdp.note_answer(&remote);
    adopt(context, leg, remote, Role::Answer);
    Ok(())
}

/// The other side has answered an offer: both legs follow. Our answer to the side that has offered,
/// if one has.
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
    if let Some(leg) = call.leg_mut(to) {
        leg.sdp.note_answer(&remote);
        adopt(context, leg, remote, Role::Answer);
    }
    if reoffer.request.is_none() {
        return Ok(String::new());
    }
    call.own_offers = 0;
    for leg in call.caller.iter_mut().chain(&mut call.callee) {
        leg.refused.clear();
    }
    let Some(leg) = call.leg_mut(reoffer.from) else {
        return Ok(String::new());
    };
    adopt(context, leg, reoffer.offer.clone(), Role::Offer);
    Ok(leg.sdp.write_answer(&reoffer.offer, &plan, &leg.local))
}
