//! Offers of a peer within its dialog, by re-INVITE, UPDATE or PRACK: hold, resume, ICE restart,
//! another address.
//!
//! What changes nothing for the other side is answered here; a change of direction or of the set
//! of media goes on to the other leg as an offer of its own (`reinvite`).

use std::time::Instant;

use bytes::Bytes;
use dataplane::link::Command;

use super::answer::accept;
use super::cause::{Cause, Why};
use super::flows::{connect_remote, joint_policy};
use super::join::{connect_medium, learn_ice, rejoin};
use super::leg::{Leg, Side, local_ice};
use super::refresh::takes_interval;
use super::settle::full_offer;
use super::setup::read_offer;
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{Context, Incoming};
use crate::limits::RETRY_AFTER_S;
use crate::media::handshake::HandshakeCommand;
use crate::media::plan::fresh_ice;
use crate::sdp::{self, AnswerPlan, CodecPolicy, MediaKind, OfferPlan, Refusal, RemoteDescription};
use crate::sip::{HeaderName, Method};

/// What becomes of an offer.
enum Handling {
    Answer(AnswerPlan),
    PassOn(OfferPlan),
}

impl Calls {
    /// A re-INVITE or UPDATE, or a PRACK with an offer.
    pub(crate) fn reoffer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
    ) {
        let is_busy = self.refreshes_by_invite(id, party);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg(party) else { return };
        if !takes_interval(context, now, leg.side, &request) {
            return;
        }
        let description = request.message.description();
        let method = request.method();
        if (description.is_some() || method == Method::Invite)
            && let Some(status) = too_early(call, party, &method, is_busy)
        {
            if method == Method::Prack {
                let text = "an offer in a PRACK before the first answer";
                return self.refuse_prack(context, now, id, &request, text);
            }
            return refuse_for_now(context, now, &request, status);
        }
        let Some(description) = description else {
            return self.refresh(context, now, id, party, &request);
        };
        let Some(leg) = call.leg(party) else { return };
        let offer = match read_offer(context, leg.side, &description) {
            Ok(offer) => offer,
            Err(refusal) => return self.refuse_reoffer(context, now, id, &request, &refusal),
        };
        if call.state == State::Talking && self.open_video(context, id, party, &offer) {
            // It is looked at again once the flows are there.
            if let Some(call) = self.calls.get_mut(&id) {
                call.parked = Some((party, request));
            }
            return;
        }
        self.offered(context, now, id, party, request, offer);
    }

    /// The flows that an offer has waited for are there, or are not to be had.
    pub(super) fn reoffer_with_flows(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
    ) {
        let leg = self.calls.get(&id).and_then(|call| call.leg(party));
        let Some(leg) = leg else { return };
        let description = request.message.description().unwrap_or_default();
        match read_offer(context, leg.side, &description) {
            Ok(offer) => self.offered(context, now, id, party, request, offer),
            Err(refusal) => context.refuse_offer(now, &request, &refusal),
        }
    }

    fn offered(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
        offer: RemoteDescription,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        match handle(context, call, party, &offer) {
            Ok(Handling::Answer(plan)) => {
                self.answer_offer(context, now, id, party, &request, offer, &plan);
            }
            // Browsers refuse a re-INVITE before their ACK is out.
            Ok(Handling::PassOn(_)) if call.state == State::Answered => {
                refuse_for_now(context, now, &request, 491);
            }
            Ok(Handling::PassOn(plan)) => {
                self.offer_on(context, now, id, party, Some(request), offer, plan);
            }
            Err(refusal) => self.refuse_reoffer(context, now, id, &request, &refusal),
        }
    }

    /// An offer cannot be taken.
    fn refuse_reoffer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        request: &Incoming,
        refusal: &Refusal,
    ) {
        if request.method() == Method::Prack {
            self.refuse_prack(context, now, id, request, &refusal.text);
        } else {
            context.refuse_offer(now, request, refusal);
        }
    }

    /// A PRACK that matches must be answered with 2xx (RFC 3262 section 3): its offer is refused by
    /// the final answer to the INVITE.
    fn refuse_prack(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        prack: &Incoming,
        text: &str,
    ) {
        let response = context.response(&prack.message, 200);
        context.respond(now, prack.transaction, response);
        self.end(
            context,
            now,
            id,
            Cause::of(488, format!("offer in a PRACK: {text}")),
        );
    }

    /// Answers an offer here.
    #[expect(clippy::too_many_arguments, reason = "one exchange is made of these")]
    fn answer_offer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: &Incoming,
        offer: RemoteDescription,
        plan: &AnswerPlan,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let text = answer(context, call, party, offer, plan);
        let Some(leg) = call.leg_mut(party) else {
            return;
        };
        let mut response = accept(context, leg, &request.message, text);
        response.remove(HeaderName::RecordRoute);
        context.respond(now, request.transaction, response);
        if call.state != State::Calling {
            self.arm_timer(now, id, party);
        }
        self.settle(context, now, id);
    }

    /// The answer to a refresh of ours: the peer may have moved.
    pub(super) fn peer_moved(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        body: &Bytes,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg_mut(party) else {
            return;
        };
        if let Ok(remote) = read_offer(context, leg.side, body) {
            adopt(context, leg, remote, Role::Answer);
            rejoin(context, call);
            self.settle(context, now, id);
        }
    }

    /// An INVITE within the dialog without an offer: the offer is ours, as for a new call (RFC 3261
    /// section 14.2).
    pub(super) fn offer_in_answer(
        &mut self,
        context: &Context,
        id: CallId,
        party: Party,
    ) -> String {
        let Some(call) = self.calls.get_mut(&id) else {
            return String::new();
        };
        let plan = full_offer(context, call, party);
        let Some(leg) = call.leg_mut(party) else {
            return String::new();
        };
        match plan {
            Some(plan) => {
                leg.before_offer = Some(Box::new(leg.sdp.clone()));
                leg.sdp.write_offer(&plan, &leg.local)
            }
            None => leg.sdp.last_sent().unwrap_or_default().to_owned(),
        }
    }

    /// The ACK to an INVITE without offer carries the answer to ours.
    pub(crate) fn late_answer(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        body: &Bytes,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg_mut(party) else {
            return;
        };
        if !std::mem::take(&mut leg.awaits_answer) {
            return;
        }
        let before = leg.before_offer.take();
        let is_first = leg.remote.is_none();
        match take_late_answer(context, leg, body) {
            Ok(()) => {
                call.own_offers = 0;
                rejoin(context, call);
            }
            Err(refusal) if is_first => {
                let text = format!("answer in the ACK: {}", refusal.text);
                let mut cause = Cause::because(&Why::UnusableAnswer(text));
                cause.status = 200;
                self.end(context, now, id, cause);
            }
            // The session stays as it was: the peer is told so.
            Err(_) => {
                if let Some(before) = before {
                    leg.sdp.take_back(*before);
                }
                leg.is_unclear = true;
            }
        }
    }
}

/// Takes the answer to an offer in a 2xx of ours.
fn take_late_answer(context: &mut Context, leg: &mut Leg, body: &Bytes) -> Result<(), Refusal> {
    let remote = read_offer(context, leg.side, body)?;
    if !leg.sdp.takes_audio(&remote) {
        return Err(Refusal {
            status: 488,
            warning_code: 305,
            text: "no codec that was offered".to_owned(),
        });
    }
    let is_first = leg.remote.is_none();
    leg.sdp.note_answer(&remote);
    adopt(context, leg, remote, Role::Answer);
    if is_first {
        connect_remote(context, leg);
    }
    Ok(())
}

/// RFC 3261 section 14.2, RFC 3311 section 5.2: one exchange at a time. The status that says so:
/// 500 where the peer itself has one under way, 491 where we have.
fn too_early(call: &Call, party: Party, method: &Method, is_busy: bool) -> Option<u16> {
    // Our offer in the 2xx waits for the answer in the ACK (RFC 3264 section 4).
    let is_open = call.leg(party).is_some_and(|leg| leg.awaits_answer);
    if is_open && call.state == State::Answered {
        return Some(491);
    }
    if call.referral.is_some() {
        // The caller is yet to come: there is nobody who could take an offer.
        return Some(491);
    }
    if let Some((by, _)) = &call.parked {
        return Some(if *by == party { 500 } else { 491 });
    }
    let own = match (&call.reoffer, call.state) {
        (Some(reoffer), _) => reoffer.is_of(party),
        (None, State::Talking | State::Answered) => return is_busy.then_some(491),
        // The first exchange is over once the answer was in a provisional response.
        (None, State::Calling) if *method != Method::Invite && is_settled(call, party) => {
            return None;
        }
        (None, State::Opening | State::Calling | State::Left | State::Ending) => {
            party == Party::Caller
        }
    };
    Some(if own { 500 } else { 491 })
}

/// Has the first offer of an early dialog been answered?
fn is_settled(call: &Call, party: Party) -> bool {
    match party {
        Party::Caller => call.answer.is_some() && !call.is_late,
        Party::Callee => call.callee.as_ref().is_some_and(|leg| leg.remote.is_some()),
    }
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
    let (Some(leg), Some(other)) = (leg, call.leg(party.other())) else {
        return sdp::plan_local_answer(offer, &CodecPolicy::browser()).map(Handling::Answer);
    };
    let policy = joint_policy(context, leg, other);
    let plan = sdp::plan_offer(offer, other.side.profile(), &policy)?;
    let plan = other.sdp.settle(plan);
    let Some(theirs) = &other.remote else {
        return Ok(Handling::PassOn(plan));
    };
    let agreed = other.sdp.agreed(theirs);
    let answer = sdp::plan_answer(offer, &plan, &agreed);
    // No browser takes an offer before the call is answered: it hears of it afterwards.
    if call.state == State::Calling || call.is_gone(party.other()) {
        let able = || sdp::plan_answer(offer, &plan, &other.sdp.able(theirs));
        return answer.or_else(|_| able()).map(Handling::Answer);
    }
    match answer {
        Ok(answer) if !concerns_other(leg, other, (offer, &plan), &agreed) => {
            Ok(Handling::Answer(answer))
        }
        Ok(_) | Err(_) => Ok(Handling::PassOn(plan)),
    }
}

/// Would the other side have to be told, if this offer were answered by what that side has agreed
/// to? `plan` is what the offer would make of it.
fn concerns_other(
    leg: &Leg,
    other: &Leg,
    (offer, plan): (&RemoteDescription, &OfferPlan),
    agreed: &RemoteDescription,
) -> bool {
    let old = leg.remote.as_ref();
    let change = old.map(|old| sdp::compare(old, offer)).unwrap_or_default();
    let has_video = |plan: &OfferPlan| plan.media.iter().any(|m| m.kind == MediaKind::Video);
    if change.media_added && has_video(plan) && agreed.video().is_none() {
        return true;
    }
    let mut stands = plan.clone();
    for media in &mut stands.media {
        media.direction = leg.sdp.wish_after(media.kind, media.direction);
        if media.kind == MediaKind::Audio {
            let codecs = agreed.audio().map_or(&[][..], |audio| &audio.codecs);
            media
                .codecs
                .retain(|planned| codecs.iter().any(|codec| codec.matches(&planned.codec)));
        }
    }
    let Some(theirs) = &other.remote else {
        return true;
    };
    other.sdp.is_news(&stands, theirs)
}

/// Answers an offer here: routes and peers follow it.
fn answer(
    context: &mut Context,
    call: &mut Call,
    party: Party,
    offer: RemoteDescription,
    plan: &AnswerPlan,
) -> String {
    call.own_offers = 0;
    for leg in call.caller.iter_mut().chain(&mut call.callee) {
        leg.refused.clear();
    }
    let Some(leg) = call.leg_mut(party) else {
        return String::new();
    };
    adopt(context, leg, offer.clone(), Role::Offer);
    let text = leg.sdp.write_answer(&offer, plan, &leg.local);
    rejoin(context, call);
    if let (Some(source), None) = (call.leg(party), call.leg(party.other())) {
        for route in sdp::echo_routes(&offer, plan) {
            connect_medium(context, source, source, &route);
        }
    }
    text
}

/// What a description is of its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Offer,
    Answer,
}

/// Takes a peer's new description: its address where it moved, new ICE credentials of our own
/// where its offer restarts ICE (RFC 8445 section 9).
pub(super) fn adopt(context: &mut Context, leg: &mut Leg, remote: RemoteDescription, role: Role) {
    let change = leg
        .remote
        .as_ref()
        .map(|old| sdp::compare(old, &remote))
        .unwrap_or_default();
    let old = leg.remote.as_ref();
    let is_new =
        leg.side == Side::Browser && old.is_some_and(|old| sdp::is_new_association(old, &remote));
    leg.sdp.hear(&remote);
    leg.is_unclear = false;
    match leg.side {
        Side::Browser if change.ice_restart && role == Role::Answer => {
            learn_ice(context, leg, &remote);
        }
        Side::Browser | Side::Trunk(_) => {}
    }
    leg.remote = Some(remote);
    match leg.side {
        Side::Trunk(_) if change.address_changed || change.media_added => {
            connect_remote(context, leg);
        }
        Side::Browser if change.ice_restart && role == Role::Offer => restart_ice(context, leg),
        Side::Trunk(_) | Side::Browser => {}
    }
    if is_new {
        // The keys of the old association serve until those of the new one are there.
        let flow = leg.audio.flow;
        context.handshake(HandshakeCommand::Open { flow });
        connect_remote(context, leg);
    }
}

fn restart_ice(context: &mut Context, leg: &mut Leg) {
    let theirs = leg
        .remote
        .as_ref()
        .and_then(|remote| remote.leading()?.ice.as_ref());
    let fragment = theirs.and_then(|ice| dataplane::link::IceFragment::new(&ice.fragment).ok());
    let Some(ice) = fresh_ice(fragment, &mut context.random) else {
        return;
    };
    leg.local.ice = Some(local_ice(&ice));
    leg.audio.ice = Some(ice.clone());
    let flow = leg.audio.flow;
    leg.command(context, Command::SetIceCredentials { flow, ice });
}
