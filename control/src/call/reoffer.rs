//! Re-INVITE and UPDATE with a description: hold, resume, ICE restart, another address.
//!
//! What changes nothing for the other side is answered here; a change of direction or of the set
//! of media goes on to the other leg as an offer of its own.

use std::time::Instant;

use bytes::Bytes;
use dataplane::link::Command;

use super::answer::{accept, connect_medium};
use super::end::Cause;
use super::flows::connect_remote;
use super::leg::{Leg, Side, local_ice};
use super::refresh::{propose_timer, takes_interval};
use super::session_timer::SessionTimer;
use super::setup::{policy, read_offer};
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{Context, Incoming};
use crate::limits::RETRY_AFTER_S;
use crate::media::plan::fresh_ice;
use crate::sdp::{self, AnswerPlan, CodecPolicy, OfferPlan, Refusal, RemoteDescription};
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

/// An offer of one leg that has been passed on to the other.
#[derive(Debug)]
pub(crate) struct Reoffer {
    from: Party,
    request: Incoming,
    offer: RemoteDescription,
    plan: OfferPlan,
    transaction: ClientTransactionId,
}

/// A re-INVITE of ours. It outlives its exchange: a 2xx whose ACK was lost comes again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reinvite {
    call: CallId,
    to: Party,
    sequence: u32,
}

/// What becomes of an offer.
enum Handling {
    Answer(AnswerPlan),
    PassOn(OfferPlan),
}

impl Calls {
    pub(crate) fn reoffer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg(party) else { return };
        if !takes_interval(context, now, leg.side, &request) {
            return;
        }
        let has_offer = !request.message.body().is_empty();
        if (has_offer || request.method() == Method::Invite)
            && let Some(status) = too_early(call, party)
        {
            return refuse_for_now(context, now, &request, status);
        }
        if !has_offer {
            return self.refresh(context, now, id, party, &request);
        }
        let Some(leg) = call.leg(party) else { return };
        let offer = match read_offer(leg.side, request.message.body()) {
            Ok(offer) => offer,
            Err(refusal) => return context.refuse_offer(now, &request, &refusal),
        };
        match handle(context, call, party, &offer) {
            Ok(Handling::Answer(plan)) => {
                let text = answer(context, call, party, offer, &plan);
                let Some(leg) = call.leg_mut(party) else {
                    return;
                };
                let mut response = accept(context, leg, &request.message, text);
                response.remove(HeaderName::RecordRoute);
                context.respond(now, request.transaction, response);
                self.arm_timer(now, id, party);
            }
            // Browsers refuse a re-INVITE before their ACK is out.
            Ok(Handling::PassOn(_)) if call.state == State::Answered => {
                refuse_for_now(context, now, &request, 491);
            }
            Ok(Handling::PassOn(plan)) => {
                self.pass_on(context, now, id, party, request, offer, plan)
            }
            Err(refusal) => context.refuse_offer(now, &request, &refusal),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one exchange is made of these")]
    fn pass_on(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
        offer: RemoteDescription,
        plan: OfferPlan,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg_mut(party.other()) else {
            return;
        };
        let text = leg.sdp.write_offer(&plan, &leg.local);
        let mut invite = leg.dialog.request(Method::Invite);
        let sequence = leg.dialog.local_sequence;
        invite.push(HeaderName::Contact, leg.contact(context));
        invite.push(HeaderName::Allow, crate::engine::context::ALLOW);
        propose_timer(context, leg, &mut invite);
        invite.set_body("application/sdp", Bytes::from(text));
        let transaction = leg.send(context, now, invite);
        if request.method() == Method::Invite {
            self.by_server_invite.insert(request.transaction, id);
        }
        call.reoffer = Some(Reoffer {
            from: party,
            request,
            offer,
            plan,
            transaction,
        });
        if let Some(old) = call.reinvite.replace(transaction) {
            self.by_reinvite.remove(&old);
        }
        let reinvite = Reinvite {
            call: id,
            to: party.other(),
            sequence,
        };
        self.by_reinvite.insert(transaction, reinvite);
    }

    /// The offer that is under way, taken out if it is that of this transaction of ours.
    fn take_reoffer(&mut self, id: CallId, of: impl FnOnce(&Reoffer) -> bool) -> Option<Reoffer> {
        let reoffer = self
            .calls
            .get_mut(&id)?
            .reoffer
            .take_if(|reoffer| of(reoffer))?;
        self.by_server_invite.remove(&reoffer.request.transaction);
        Some(reoffer)
    }

    /// The offer that is under way is not wanted any more: its sender has cancelled it, or is
    /// gone, or the call ends.
    pub(super) fn withdraw_reoffer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        cancel: Option<&Message>,
    ) {
        let Some(reoffer) = self.take_reoffer(id, |_| true) else {
            return;
        };
        context.refuse(now, &reoffer.request, 487, "the change was withdrawn");
        let reason = cancel.and_then(|cancel| cancel.header(HeaderName::Reason));
        context
            .transactions
            .cancel_with_reason(now, reoffer.transaction, reason);
    }

    /// A response to an offer that was passed on. False if it is none of those.
    pub(crate) fn reoffer_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(sent) = self.by_reinvite.get(&transaction).copied() else {
            return false;
        };
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return true;
        }
        let reoffer = self.take_reoffer(sent.call, |reoffer| reoffer.transaction == transaction);
        if status >= 300 {
            let why = "the other side refused the change";
            self.reoffer_refused(context, now, sent.call, reoffer, status, why);
            return true;
        }
        let Some(call) = self.calls.get_mut(&sent.call) else {
            return true;
        };
        if let Some(leg) = call.leg_mut(sent.to) {
            // Each 2xx has its ACK, also one that comes again or too late.
            leg.dialog.refresh_target(response);
            leg.send_ack_of(context, sent.sequence);
            if reoffer.is_some() {
                leg.timer = SessionTimer::granted(response);
            }
        }
        let Some(reoffer) = reoffer else { return true };
        match changed(context, call, &reoffer, response) {
            Ok(text) => {
                let Some(leg) = call.leg_mut(reoffer.from) else {
                    return true;
                };
                let mut answer = accept(context, leg, &reoffer.request.message, text);
                answer.remove(HeaderName::RecordRoute);
                context.respond(now, reoffer.request.transaction, answer);
            }
            Err(refusal) => context.refuse_offer(now, &reoffer.request, &refusal),
        }
        self.arm_timer(now, sent.call, reoffer.from);
        self.arm_timer(now, sent.call, sent.to);
        true
    }

    /// An offer that was passed on found no answer.
    pub(crate) fn reoffer_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(sent) = self.by_reinvite.get(&transaction).copied() else {
            return false;
        };
        let reoffer = self.take_reoffer(sent.call, |reoffer| reoffer.transaction == transaction);
        let why = "no answer from the other side";
        self.reoffer_refused(context, now, sent.call, reoffer, status, why);
        true
    }

    /// An offer that was passed on came to nothing; with 481 and 408 the dialog did too (RFC 3261
    /// section 12.2.1.2).
    fn reoffer_refused(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        reoffer: Option<Reoffer>,
        status: u16,
        why: &str,
    ) {
        if let Some(reoffer) = reoffer {
            let shown = match status {
                // What would send the peer elsewhere, or ask for credentials that fit nothing.
                300..=399 | 401 | 407 => 488,
                status => status,
            };
            context.refuse(now, &reoffer.request, shown, why);
        }
        if matches!(status, 408 | 481) {
            self.end(
                context,
                now,
                id,
                Cause::of(200, "the other side has no such call"),
            );
        }
    }

    /// The answer to a refresh of ours: the peer may have moved.
    pub(super) fn peer_moved(
        &mut self,
        context: &mut Context,
        id: CallId,
        party: Party,
        body: &Bytes,
    ) {
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(party));
        let Some(leg) = leg else { return };
        if let Ok(remote) = read_offer(leg.side, body) {
            adopt(context, leg, remote);
        }
    }

    /// The ACK to an offerless re-INVITE carries the answer: the peer may have moved.
    pub(crate) fn late_answer(
        &mut self,
        context: &mut Context,
        id: CallId,
        party: Party,
        body: &Bytes,
    ) {
        let Some(leg) = self.calls.get_mut(&id).and_then(|call| call.leg_mut(party)) else {
            return;
        };
        if !std::mem::take(&mut leg.awaits_answer) || body.is_empty() {
            return;
        }
        let Ok(remote) = read_offer(leg.side, body) else {
            return;
        };
        adopt(context, leg, remote);
    }
}

/// RFC 3261 section 14.2, RFC 3311 section 5.2: one exchange at a time. The status that says so:
/// 500 where the peer itself has one under way, 491 where the other side does.
fn too_early(call: &Call, party: Party) -> Option<u16> {
    let own = match (&call.reoffer, call.state) {
        (Some(reoffer), _) => reoffer.from == party,
        (None, State::Talking | State::Answered) => return None,
        (None, State::Opening | State::Calling | State::Ending) => party == Party::Caller,
    };
    Some(if own { 500 } else { 491 })
}

fn refuse_for_now(context: &mut Context, now: Instant, request: &Incoming, status: u16) {
    let mut response = context.response(&request.message, status);
    if status == 500 {
        response.push(HeaderName::RetryAfter, RETRY_AFTER_S.to_string());
    }
    context.respond(now, request.transaction, response);
}

/// Decides whether an offer can be answered without the other side: the other leg's last
/// description stands for its answer, unless directions or media change.
fn handle(
    context: &Context,
    call: &Call,
    party: Party,
    offer: &RemoteDescription,
) -> Result<Handling, Refusal> {
    let leg = call.leg(party);
    let old = leg.and_then(|leg| leg.remote.as_ref());
    if let (Some(old), Some(Side::Browser)) = (old, leg.map(|leg| leg.side)) {
        let prints = |description: &RemoteDescription| {
            description.audio().map(|media| media.fingerprints.clone())
        };
        if prints(old) != prints(offer) {
            return Err(Refusal {
                status: 488,
                warning_code: 399,
                text: "a new DTLS association is not taken in a call".to_owned(),
            });
        }
    }
    let Some(other) = call.leg(party.other()) else {
        return sdp::plan_local_answer(offer, &CodecPolicy::browser()).map(Handling::Answer);
    };
    let mut policy = policy(context, other.side);
    if let Some(codec) = call
        .codec
        .as_deref()
        .and_then(|codec| codec.split('/').next())
    {
        policy.audio = vec![codec.to_owned()];
    }
    let plan = other
        .sdp
        .settle(sdp::plan_offer(offer, other.side.profile(), &policy)?);
    let change = old.map(|old| sdp::compare(old, offer)).unwrap_or_default();
    let others = other.remote.as_ref();
    match others {
        Some(answer)
            if !change.direction_changed && !change.media_added && !change.media_removed =>
        {
            sdp::plan_answer(offer, &plan, answer).map(Handling::Answer)
        }
        _ => Ok(Handling::PassOn(plan)),
    }
}

/// Answers an offer here: routes and peers follow it.
fn answer(
    context: &mut Context,
    call: &mut Call,
    party: Party,
    offer: RemoteDescription,
    plan: &AnswerPlan,
) -> String {
    if let Some(leg) = call.leg_mut(party) {
        adopt(context, leg, offer.clone());
    }
    if let (Some(source), None) = (call.leg(party), call.leg(party.other())) {
        for route in sdp::echo_routes(&offer, plan) {
            connect_medium(context, source, source, &route);
        }
    }
    let Some(leg) = call.leg_mut(party) else {
        return String::new();
    };
    leg.sdp.write_answer(&offer, plan, &leg.local)
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
    let remote = read_offer(side, response.body())?;
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
    let Some(leg) = call.leg_mut(reoffer.from) else {
        return Ok(String::new());
    };
    Ok(leg.sdp.write_answer(&reoffer.offer, &plan, &leg.local))
}

/// Takes a peer's new description: its address where it moved, new ICE credentials of our own
/// where it restarted ICE (RFC 8445 section 9).
fn adopt(context: &mut Context, leg: &mut Leg, remote: RemoteDescription) {
    let change = leg
        .remote
        .as_ref()
        .map(|old| sdp::compare(old, &remote))
        .unwrap_or_default();
    leg.remote = Some(remote);
    match leg.side {
        Side::Trunk(_) if change.address_changed || change.media_added => {
            connect_remote(context, leg);
        }
        Side::Browser if change.ice_restart => restart_ice(context, leg),
        Side::Trunk(_) | Side::Browser => {}
    }
}

fn restart_ice(context: &mut Context, leg: &mut Leg) {
    let theirs = leg
        .remote
        .as_ref()
        .and_then(|remote| remote.audio()?.ice.as_ref());
    let fragment = theirs.and_then(|ice| dataplane::link::IceFragment::new(&ice.fragment).ok());
    let Some(ice) = fresh_ice(fragment, &mut context.random) else {
        return;
    };
    leg.local.ice = Some(local_ice(&ice));
    leg.audio.ice = Some(ice.clone());
    let flow = leg.audio.flow;
    leg.command(context, Command::SetIceCredentials { flow, ice });
}
