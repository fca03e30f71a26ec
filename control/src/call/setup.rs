//! From the caller's INVITE to ours: read the offer, plan the media, open the flows, call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dataplane::link::{FlowId, RefuseReason};

use super::admit::{Counted, check_invite, refuse_invite};
use super::begin::{NewCall, began, name_session};
use super::cause::{Cause, Why};
use super::dialog::Dialog;
use super::digits::dtmf;
use super::flows::{flows_needed, has_video, plan_flows, remote_fragment, replace_flow};
use super::leg::{Invite, Leg, Side};
use super::outgoing::{OutgoingInvite, callee_dialog, callee_invite};
use super::refresh::takes_interval;
use super::state::State;
use super::{CallId, Calls};
use crate::config::Dtmf;
use crate::edge::identity::hides_sender;
use crate::engine::context::{Context, Incoming};
use crate::limits::{
    CALLS_PER_CONNECTION_MAX, FLOWS_OPEN_WITHIN, PORT_ATTEMPTS_MAX, RINGING_TIME_MAX,
};
use crate::media::plan::NoRoom;
use crate::sdp::{self, CodecPolicy, OfferPlan, Refusal, RemoteDescription};
use crate::sip::{HeaderName, Message};
use crate::trunk::{self, Attempt};

/// Where a call goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Back to the caller.
    Echo,
    /// To somebody else.
    Leg(Box<OutgoingInvite>),
}

impl Calls {
    /// A new INVITE that was accepted for routing. `user` is the caller, as `user@domain`, if it is
    /// a browser.
    pub(crate) fn invite(
        &mut self,
        context: &mut Context,
        now: Instant,
        mut invite: Incoming,
        (caller, user): (Side, Option<String>),
        mut target: Target,
    ) {
        let is_full = self.len() >= context.config.server.calls_max;
        if is_full || context.stopping || context.health.missing().is_some() {
            return context.refuse(now, &invite, 503, "no room for another call");
        }
        let of_connection = invite
            .connection()
            .map(|connection| self.on_connection(connection));
        if of_connection.is_some_and(|calls| calls.len() >= CALLS_PER_CONNECTION_MAX) {
            return context.refuse(now, &invite, 503, "too many calls on one connection");
        }
        if let Err(status) = self.place_replacing(caller, &mut invite.message, &mut target) {
            let reason = "no dialog that could be replaced";
            return context.refuse(now, &invite, status, reason);
        }
        if self.is_under_way(context, &invite.message, &target) {
            return context.refuse(now, &invite, 482, "the same call is under way");
        }
        if let Err(status) = check_invite(&invite.message) {
            return refuse_invite(context, now, &invite, status);
        }
        if !takes_interval(context, now, caller, &invite)
            || !self.is_within_limits(context, now, &invite, caller, &target)
        {
            return;
        }
        let description = invite.message.description();
        let is_late = description.is_none();
        if is_late && caller == Side::Browser {
            let text = "an INVITE without an offer is not taken".to_owned();
            let refusal = Refusal {
                status: 488,
                warning_code: 399,
                text,
            };
            return context.refuse_offer(now, &invite, &refusal);
        }
        let offer = match read_offer(context, caller, &description.unwrap_or_default()) {
            _ if is_late => sdp::capabilities(&policy(context, caller)),
            Ok(offer) => offer,
            Err(refusal) => return context.refuse_offer(now, &invite, &refusal),
        };
        let plan = match plan_offer(context, &offer, caller, &target) {
            Ok(plan) => plan,
            Err(refusal) => return context.refuse_offer(now, &invite, &refusal),
        };
        match self.make_call(context, now, invite.clone(), caller, target, offer, plan) {
            Ok(id) => {
                let call = self.calls.get_mut(&id);
                if let Some(leg) = call.and_then(|call| call.caller.as_mut()) {
                    leg.user = user;
                }
                self.set_deadline(id, Some(now + FLOWS_OPEN_WITHIN));
            }
            Err(NoRoom) => context.refuse(now, &invite, 503, "ports or flows are used up"),
        }
    }

    /// Is a call with the same names under way? Its dialog with the callee would be taken over.
    pub(super) fn is_under_way(
        &self,
        context: &Context,
        invite: &Message,
        target: &Target,
    ) -> bool {
        let Target::Leg(outgoing) = target else {
            return false;
        };
        let dialog = callee_dialog(context, invite, outgoing);
        let owner = self.by_dialog.get(&(dialog.call_id, dialog.local_tag));
        let owner = owner.and_then(|(id, _)| self.calls.get(id));
        owner.is_some_and(|call| call.state != State::Ending)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "everything that a call is made of"
    )]
    fn make_call(
        &mut self,
        context: &mut Context,
        now: Instant,
        invite: Incoming,
        caller: Side,
        target: Target,
        offer: RemoteDescription,
        plan: Option<OfferPlan>,
    ) -> Result<CallId, NoRoom> {
        let outgoing = match target {
            Target::Echo => None,
            Target::Leg(outgoing) => Some(*outgoing),
        };
        let video = plan.as_ref().is_some_and(has_video);
        let sides = std::iter::once(caller).chain(outgoing.as_ref().map(|to| to.side));
        let needs: Vec<(usize, usize)> = sides.map(|side| flows_needed(side, video)).collect();
        let browser_flows = needs.iter().map(|(browser, _)| browser).sum();
        let trunk_flows = needs.iter().map(|(_, trunk)| trunk).sum();
        let worker = context.planner.choose_worker(browser_flows, trunk_flows)?;

        let tag = context.token();
        // A request without Contact was refused before.
        let dialog = Dialog::of_server(&invite.message, tag).ok_or(NoRoom)?;
        let fragment = remote_fragment(&offer);
        let flows = plan_flows(context, worker, caller, video, fragment)?;
        let mut caller_leg = Leg::new(context, caller, invite.peer, dialog, flows);
        caller_leg.invite = Invite::Server(invite.transaction);
        caller_leg.hides = hides_sender(&invite.message);
        let is_late = invite.message.description().is_none();
        if !is_late {
            caller_leg.sdp.hear(&offer);
            caller_leg.remote = Some(offer.clone());
        }
        caller_leg.note_allow(&invite.message);
        let mut callee = match &outgoing {
            None => None,
            Some(to) => {
                let flows = plan_flows(context, worker, to.side, video, None)?;
                let dialog = callee_dialog(context, &invite.message, to);
                Some(Leg::new(context, to.side, to.peer, dialog, flows))
            }
        };
        let counted = Counted {
            caller,
            callee: outgoing.as_ref().map(|to| to.side),
        };
        let session_ids = name_session(
            context,
            &invite.message,
            Some(&mut caller_leg),
            callee.as_mut(),
        );
        let log = began(context, &caller_leg, callee.as_ref(), &session_ids);
        let new = NewCall {
            invite,
            caller: Some(caller_leg),
            callee,
            outgoing,
            offer,
            plan,
            is_late,
            counted,
            session_ids,
            log,
            referral: None,
        };
        Ok(self.begin(context, now, new))
    }

    /// A worker could not open a flow; another port may do.
    pub(crate) fn flow_refused(
        &mut self,
        context: &mut Context,
        now: Instant,
        flow: FlowId,
        reason: RefuseReason,
    ) {
        let Some(id) = self.by_flow.get(&flow).copied() else {
            // Only opening fails for these reasons: the call did not wait for it.
            if matches!(
                reason,
                RefuseReason::PortUnavailable | RefuseReason::SlotTaken
            ) {
                context.planner.released(flow);
            }
            return;
        };
        let is_not_opened = matches!(
            reason,
            RefuseReason::PortUnavailable | RefuseReason::SlotTaken
        );
        if is_not_opened && self.video_refused(context, now, id, flow) {
            return;
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.opening.remove(&flow) {
            // A command that crossed the flow's closing.
            return;
        }
        self.by_flow.remove(&flow);
        context.planner.released(flow);
        call.port_attempts += 1;
        let again = reason == RefuseReason::PortUnavailable
            && call.port_attempts < PORT_ATTEMPTS_MAX
            && call.state == State::Opening;
        if again && replace_flow(context, call, flow).is_ok() {
            let flows: Vec<FlowId> = call
                .legs()
                .flat_map(|(_, leg)| leg.flows())
                .map(|flow| flow.flow)
                .collect();
            for flow in flows {
                self.by_flow.insert(flow, id);
            }
            return;
        }
        call.refused = Some(flow);
        call.closing.remove(&flow);
        self.end(
            context,
            now,
            id,
            Cause::because(&Why::NoFlow("a flow could not be opened")),
        );
        // It may have been ending already, and waited for this flow.
        self.finish_if_done(context, now, id);
    }

    /// A worker has opened a flow; with the last one the callee is called.
    pub(crate) fn flow_opened(&mut self, context: &mut Context, now: Instant, flow: FlowId) {
        let Some(id) = self.by_flow.get(&flow).copied() else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.opening.remove(&flow);
        if call.parked.is_some() {
            return self.resume_parked(context, now, id);
        }
        if call.state != State::Opening || !call.opening.is_empty() {
            return;
        }
        if call.callee.is_none() {
            return self.answer_echo(context, now, id);
        }
        call.become_state(State::Calling);
        let expires_at = call.began_at.checked_add(expiry_of(&call.invite.message));
        call.expires_at = expires_at;
        let longest = now + RINGING_TIME_MAX;
        self.call_callee(context, now, id);
        self.set_deadline(id, Some(expires_at.map_or(longest, |at| at.min(longest))));
    }

    pub(super) fn call_callee(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let (Some(leg), Some(plan), Some(outgoing)) =
            (call.callee.as_mut(), &call.plan, &call.outgoing)
        else {
            return;
        };
        let offer = leg.sdp.write_offer(plan, &leg.local);
        let request = callee_invite(
            context,
            leg,
            outgoing,
            &call.invite.message,
            call.counted.caller,
            offer,
        );
        call.onward = Some(request);
        self.send_onward(context, now, id);
    }

    /// Sends the INVITE to where the callee is now.
    fn send_onward(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let attempt = call.outgoing.as_ref().and_then(|to| to.attempt.as_ref());
        let patience = attempt.and_then(Attempt::patience);
        let request = if patience.is_some() {
            call.onward.clone()
        } else {
            call.onward.take()
        };
        let (Some(leg), Some(request)) = (call.callee.as_mut(), request) else {
            return;
        };
        let transaction = leg.send_within(context, now, request, patience);
        leg.invite = Invite::Client(transaction);
        if let Some(old) = call.callee_invite.replace(transaction) {
            self.by_client_invite.remove(&old);
        }
        self.by_client_invite.insert(transaction, id);
    }

    /// Tries the next target of the trunk after this failure, within the same call: the same
    /// INVITE with another branch (RFC 3263 section 4.3). False if there is none, or if the
    /// failure is final.
    pub(super) fn fail_over(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let attempt = call.outgoing.as_mut().and_then(|to| to.attempt.as_mut());
        let (Some(leg), Some(attempt)) = (call.callee.as_mut(), attempt) else {
            return false;
        };
        if call.state != State::Calling || !attempt.may_go_on(status) {
            return false;
        }
        let Some(peer) = attempt.take() else {
            return false;
        };
        leg.peer = peer;
        self.send_onward(context, now, id);
        true
    }
}

/// How long the caller waits for an answer (RFC 3261 section 20.19): for ever if it does not say.
fn expiry_of(invite: &Message) -> Duration {
    let seconds = invite.header(HeaderName::Expires).map(str::trim);
    let seconds = seconds.and_then(|text| text.parse::<u32>().ok());
    seconds.map_or(Duration::MAX, |seconds| Duration::from_secs(seconds.into()))
}

/// `Max-Forwards`, 70 if there is none (RFC 3261 section 16.6); at most 255 (section 20.22).
pub(crate) fn hops_left(request: &Message) -> u32 {
    let hops = request
        .header(HeaderName::MaxForwards)
        .and_then(|text| text.parse().ok());
    hops.unwrap_or(70).min(255)
}

/// Reads what a leg's peer sent, by the kind of leg.
pub(crate) fn read_offer(
    context: &Context,
    side: Side,
    body: &Bytes,
) -> Result<RemoteDescription, Refusal> {
    let mut remote = match side {
        Side::Browser => sdp::read_webrtc(body),
        Side::Trunk(_) => sdp::read_plain_for(body, Some(context.config.media.trunk_advertise)),
    }?;
    if dtmf(context, side) == Some(Dtmf::Info) {
        sdp::assume_events(&mut remote);
    }
    Ok(remote)
}

/// What the target of a call is offered; nothing for the echo line, which only answers.
pub(super) fn plan_offer(
    context: &Context,
    offer: &RemoteDescription,
    caller: Side,
    target: &Target,
) -> Result<Option<OfferPlan>, Refusal> {
    match target {
        Target::Echo => sdp::plan_local_answer(offer, &CodecPolicy::browser()).map(|_| None),
        Target::Leg(outgoing) => {
            let side = outgoing.side;
            sdp::plan_offer(
                offer,
                side.profile(),
                &policy_between(context, caller, side),
            )
            .map(Some)
        }
    }
}

/// What may be offered to the peer of a leg, of what the peer on the other side says: what either has
/// no video for is audio alone, whoever offers.
pub(crate) fn policy_between(context: &Context, from: Side, to: Side) -> CodecPolicy {
    let (source, mut target) = (policy(context, from), policy(context, to));
    if source.video.is_empty() {
        target.video.clear();
    }
    target
}

/// What may be offered to the peer of such a leg.
pub(crate) fn policy(context: &Context, side: Side) -> CodecPolicy {
    let trunk = match side {
        Side::Browser => None,
        Side::Trunk(index) => context.config.trunks.get(index),
    };
    trunk.map_or_else(CodecPolicy::browser, trunk::codec_policy)
}
