//! Transfers that ringway carries out itself: instead of passing a REFER on, it calls the new party
//! in a call of its own, without a caller. When that is answered, the transferred side leaves the
//! referrer's call and becomes its caller; when it is not, everything stays as it was. The
//! referrer is told by NOTIFY (RFC 3515 section 2.4.4).

use std::time::Instant;

use super::admit::Counted;
use super::alarms::Alarm;
use super::begin::{NewCall, began, name_session};
use super::cause::{Cause, Why};
use super::exchange::Place;
use super::flows::{flows_needed, has_video, plan_flows};
use super::join::rejoin;
use super::leg::{Invite, Leg, Side};
use super::outgoing::{OutgoingInvite, callee_dialog};
use super::referred::Wanted;
use super::setup::{Target, plan_offer};
use super::state::State;
use super::{Call, CallId, Calls, Party, hearing};
use crate::engine::context::{Context, Incoming};
use crate::limits::{FLOWS_OPEN_WITHIN, MEDIA_KEYED_WITHIN, REFERRER_LEAVES_WITHIN};
use crate::sdp::{OfferPlan, RemoteDescription};
use crate::sip::{HeaderName, Message};

/// The transfer that the peer of one leg has asked for, in its call.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(super) by: Party,
    /// Sequence number of the REFER: NOTIFYs name it.
    pub(super) number: u32,
    /// The call to the new party, while it is not answered.
    to: Option<CallId>,
    /// Whether the referrer is told how it goes: not if it wants no subscription (RFC 4488).
    pub(super) reports: bool,
    /// The status that it has been told last.
    pub(super) told: u16,
}

/// Whose place it is that the new party of a call is to take: that of the referrer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referral {
    call: CallId,
    by: Party,
}

impl Referral {
    /// The one that is transferred.
    const fn kept(self) -> Place {
        (self.call, self.by.other())
    }
}

impl Calls {
    /// Carries out a transfer, that the browser of the call may make, to `target`. `invite` is
    /// what the browser would have sent there.
    pub(crate) fn transfer(
        &mut self,
        context: &mut Context,
        now: Instant,
        wanted: &Wanted,
        mut invite: Message,
        target: OutgoingInvite,
    ) {
        let request = &wanted.request;
        let mut target = Target::Leg(Box::new(target));
        if self.len() >= context.config.server.calls_max {
            return context.refuse(now, request, 503, "no room for another call");
        }
        if let Err(status) = self.place_replacing(Side::Browser, &mut invite, &mut target) {
            let reason = "no dialog that could be replaced";
            return context.refuse(now, request, status, reason);
        }
        if self.is_under_way(context, &invite, &target) {
            return context.refuse(now, request, 482, "the same transfer is under way");
        }
        let kept = self.calls.get(&wanted.call);
        let kept = kept.and_then(|call| call.leg(wanted.by.other()));
        let kept_side = kept.map_or(Side::Browser, |leg| leg.side);
        let Some(offer) = kept.and_then(freed) else {
            return context.refuse(now, request, 491, "nothing has been agreed on yet");
        };
        let plan = match plan_offer(context, &offer, kept_side, &target) {
            Ok(plan) => plan,
            Err(refusal) => return context.refuse_offer(now, request, &refusal),
        };
        let (Target::Leg(mut to), Some(plan)) = (target.clone(), plan) else {
            return context.refuse(now, request, 603, "the echo line can be joined with nobody");
        };
        if !self.is_within_limits(context, now, request, Side::Browser, &target) {
            return;
        }
        self.show_transferred(wanted, &mut to);
        if self
            .call_new_party(context, now, wanted, invite, *to, offer, plan)
            .is_none()
        {
            let reason = "ports or flows of the call's worker are used up";
            context.refuse(now, request, 503, reason);
        }
    }

    /// A browser that is called is shown who will talk to it: the one that is transferred, as the
    /// browser that transfers it knows it.
    fn show_transferred(&self, wanted: &Wanted, to: &mut OutgoingInvite) {
        let referrer = self.calls.get(&wanted.call);
        let referrer = referrer.and_then(|call| call.leg(wanted.by));
        if let Some(leg) = referrer
            && (leg.side, to.side) == (Side::Browser, Side::Browser)
        {
            to.from.clone_from(&leg.dialog.local);
        }
    }

    /// Makes the call to the new party and accepts the REFER. `None` if there is no room.
    #[expect(clippy::too_many_arguments, reason = "one call is made of these")]
    fn call_new_party(
        &mut self,
        context: &mut Context,
        now: Instant,
        wanted: &Wanted,
        invite: Message,
        to: OutgoingInvite,
        offer: RemoteDescription,
        plan: OfferPlan,
    ) -> Option<()> {
        let referral = Referral {
            call: wanted.call,
            by: wanted.by,
        };
        let kept = self.calls.get(&wanted.call)?.leg(wanted.by.other())?;
        // Both legs of a call are of one worker.
        let (worker, video) = (kept.audio.flow.worker, has_video(&plan));
        let (browser_flows, trunk_flows) = flows_needed(to.side, video);
        if !context.planner.has_room(worker, browser_flows, trunk_flows) {
            return None;
        }
        let flows = plan_flows(context, worker, to.side, video, None).ok()?;
        let dialog = callee_dialog(context, &invite, &to);
        let mut callee = Leg::new(context, to.side, to.peer, dialog, flows);
        let session_ids = name_session(context, &invite, None, Some(&mut callee));
        let log = began(context, kept, Some(&callee), &session_ids);
        let counted = Counted {
            caller: Side::Browser,
            callee: Some(to.side),
        };
        let new = NewCall {
            invite: Incoming {
                message: invite,
                ..wanted.request.clone()
            },
            caller: None,
            callee: Some(callee),
            outgoing: Some(to),
            offer,
            plan: Some(plan),
            is_late: false,
            counted,
            session_ids,
            log,
            referral: Some(referral),
        };
        let transfer = self.accept_refer(context, now, wanted);
        let id = self.begin(context, now, new);
        self.set_deadline(id, Some(now + FLOWS_OPEN_WITHIN));
        if let Some(call) = self.calls.get_mut(&wanted.call) {
            call.transfer = Some(Transfer {
                to: Some(id),
                ..transfer
            });
        }
        self.report(context, now, wanted.call, 100, false);
        Some(())
    }

    /// Accepts a REFER: 202, and what is told of it later.
    pub(super) fn accept_refer(
        &self,
        context: &mut Context,
        now: Instant,
        wanted: &Wanted,
    ) -> Transfer {
        let request = &wanted.request;
        // RFC 4488 section 4: granted in the response, else there is a subscription.
        let refuses = |value: &str| value.trim().eq_ignore_ascii_case("false");
        let reports = !request
            .message
            .header(HeaderName::ReferSub)
            .is_some_and(refuses);
        let mut response = context.response(&request.message, 202);
        let call = self.calls.get(&wanted.call);
        if let Some(leg) = call.and_then(|call| call.leg(wanted.by)) {
            response.push(HeaderName::Contact, leg.contact(context));
            leg.dialog.name_session(&mut response);
        }
        if !reports {
            response.push(HeaderName::ReferSub, "false");
        }
        context.respond(now, request.transaction, response);
        Transfer {
            by: wanted.by,
            number: super::dialog::sequence(&request.message).unwrap_or_default(),
            to: None,
            reports,
            told: 0,
        }
    }

    /// The new party rings: the referrer is told.
    pub(super) fn report_progress(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
    ) {
        let call = self.calls.get(&id);
        if let Some(referral) = call.and_then(|call| call.referral) {
            self.report(context, now, referral.call, status, false);
        }
    }

    /// The new party has answered: the transferred side is its caller from now on.
    pub(super) fn join_transferred(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(referral) = call.referral.take() else {
            return;
        };
        self.part(context, now, referral.call);
        self.exchange_legs(referral.kept(), (id, Party::Caller));
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.answered_at = Some(now);
        call.become_state(State::Answered);
        call.become_state(State::Talking);
        let keyed = call.legs().all(|(_, leg)| leg.keyed);
        self.set_deadline(id, (!keyed).then(|| now + MEDIA_KEYED_WITHIN));
        self.arm_timer(now, id, Party::Callee);
        self.meet(context, (id, Party::Caller));
        self.join_legs(context, now, id);
        self.referrer_stays(context, now, referral.call);
    }

    /// The new party was not reached: the referrer's call is what it was, or ends if the referrer
    /// has gone.
    pub(super) fn transfer_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        (id, referral): (CallId, Referral),
        status: u16,
    ) {
        let call = self.calls.get(&referral.call);
        let transfer = call.and_then(|call| call.transfer.as_ref());
        if transfer.is_none_or(|transfer| transfer.to != Some(id)) {
            return;
        }
        let status = match status {
            // It is asked for a password that only a browser has, and not by us.
            401 | 407 => 403,
            ..300 => 480,
            status => status,
        };
        self.report(context, now, referral.call, status, true);
        let Some(call) = self.calls.get_mut(&referral.call) else {
            return;
        };
        call.transfer = None;
        if call.is_gone(referral.by) {
            let cause = Cause::because(&Why::TransferFailed(status));
            self.end(context, now, referral.call, cause);
        }
    }

    /// The referrer hangs up without waiting for the end: the transferred side waits alone.
    pub(super) fn referrer_left(&mut self, context: &mut Context, now: Instant, (id, by): Place) {
        self.part(context, now, id);
        for alarm in [Alarm::Refresh, Alarm::Expire] {
            self.alarms.set(id, alarm(by), None);
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(leg) = call.leg_mut(by) {
            leg.invite = Invite::Over;
            leg.clear_routes(context);
        }
    }

    /// The call ends in which somebody was to be transferred: nobody is any more.
    pub(super) fn abandon_transfer(&mut self, context: &mut Context, now: Instant, id: CallId) {
        self.report(context, now, id, 487, true);
        let call = self.calls.get_mut(&id);
        let transfer = call.and_then(|call| call.transfer.take());
        if let Some(to) = transfer.and_then(|transfer| transfer.to) {
            let cause = Cause::because(&Why::TransferAbandoned);
            self.end(context, now, to, cause);
        }
    }

    /// The other side has left: the referrer is told, and hangs up.
    pub(super) fn referrer_stays(&mut self, context: &mut Context, now: Instant, id: CallId) {
        self.report(context, now, id, 200, true);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(transfer) = call.transfer.take() else {
            return;
        };
        let is_gone = call.is_gone(transfer.by);
        call.become_state(State::Left);
        if let Some(leg) = call.leg(transfer.by) {
            leg.clear_routes(context);
        }
        if is_gone || !transfer.reports {
            return self.end(
                context,
                now,
                id,
                Cause::because(&Why::Transferred("transferred")),
            );
        }
        self.set_deadline(id, Some(now + REFERRER_LEAVES_WITHIN));
    }

    /// What is under way between the legs of a call ends, because one of them leaves it.
    pub(super) fn part(&mut self, context: &mut Context, now: Instant, id: CallId) {
        self.withdraw_reoffer(context, now, id, 491, &Why::Withdrawn(491).reasons());
        self.refuse_parked(context, now, id, 491);
        self.refuse_relays(context, now, id);
        if let Some(call) = self.calls.get_mut(&id) {
            call.own_offers = 0;
        }
        self.alarms.set(id, Alarm::Reoffer, None);
    }

    /// The legs of a call hear each other, and are told what they must be.
    pub(super) fn join_legs(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.is_joined = true;
        rejoin(context, call);
        hearing::begin(context, call);
        call.name_sessions();
        self.settle(context, now, id);
    }

    /// A leg has somebody else on its other side: what it sends its peer is another stream.
    pub(super) fn meet(&mut self, context: &mut Context, (id, party): Place) {
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(party));
        let Some(leg) = leg else { return };
        let ids = [&mut leg.local.audio_ssrc, &mut leg.local.video_ssrc];
        for ssrc in ids {
            *ssrc = context.random.u32();
        }
        leg.clear_routes(context);
        leg.refused.clear();
    }
}

impl Call {
    /// Has this side hung up, while the other one is being transferred?
    pub(super) fn is_gone(&self, party: Party) -> bool {
        self.state == State::Talking
            && self
                .leg(party)
                .is_some_and(|leg| leg.invite == Invite::Over)
    }
}

/// What the peer of a leg is able to, without the hold that the other side has asked for: it is
/// offered to a new party.
pub(super) fn freed(leg: &Leg) -> Option<RemoteDescription> {
    leg.remote.as_ref().map(|remote| leg.sdp.able(remote))
}
