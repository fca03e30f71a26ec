//! Video that comes and goes within a call: on a trunk's leg it has a flow of its own, with ports
//! of its own, which is opened when video is offered and closed when there is none any more.

use std::time::Instant;

use dataplane::link::{Command, FlowId};

use super::leg::{Leg, Side};
use super::setup::policy;
use super::state::State;
use super::{CallId, Calls, Party};
use crate::engine::context::Context;
use crate::limits::VIDEO_FLOWS_PER_LEG_MAX;
use crate::media::plan::MediaPlanner;
use crate::sdp::{self, RemoteDescription};

impl Calls {
    /// Opens the flows for video that an offer of `party` needs and that are not there. True if
    /// the offer has to wait for them. Without room for them the video is refused.
    pub(super) fn open_video(
        &mut self,
        context: &mut Context,
        id: CallId,
        party: Party,
        offer: &RemoteDescription,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let (Some(leg), Some(other)) = (call.leg(party), call.leg(party.other())) else {
            return false;
        };
        let has_codec = |to: &Leg| {
            let plan = sdp::plan_offer(offer, to.side.profile(), &policy(context, to.side));
            plan.is_ok_and(|plan| super::flows::has_video(&plan))
        };
        let is_wanted = !call.is_gone(party.other())
            && has_codec(leg)
            && has_codec(other)
            && [leg, other].into_iter().all(may_carry_video);
        if !is_wanted {
            return false;
        }
        let mut opened = Vec::new();
        for leg in call.caller.iter_mut().chain(&mut call.callee) {
            if leg.carries_video() {
                continue;
            }
            let Ok(planned) = context.planner.trunk_flow(leg.audio.flow.worker) else {
                break;
            };
            opened.push(planned.flow);
            leg.command(context, Command::OpenFlow(MediaPlanner::open(&planned)));
            leg.local.video_port = planned.local.port();
            leg.video = Some(planned);
        }
        call.opening.extend(&opened);
        for flow in &opened {
            self.by_flow.insert(*flow, id);
        }
        !opened.is_empty()
    }

    /// A flow for video could not be opened: there is none. False if it is no such flow.
    pub(super) fn video_refused(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        flow: FlowId,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        if call.state != State::Talking {
            return false;
        }
        let mut legs = call.caller.iter_mut().chain(&mut call.callee);
        let found = legs.find_map(|leg| leg.video.take_if(|video| video.flow == flow));
        if found.is_none() {
            return false;
        }
        call.opening.remove(&flow);
        self.by_flow.remove(&flow);
        context.planner.released(flow);
        self.resume_parked(context, now, id);
        true
    }

    /// The flows that an offer has waited for are there, or are not to be had.
    pub(super) fn resume_parked(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.opening.is_empty() {
            return;
        }
        if let Some((party, request)) = call.parked.take() {
            self.reoffer_with_flows(context, now, id, party, request);
        }
    }

    /// An offer that waits is not looked at any more.
    pub(super) fn refuse_parked(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
    ) {
        let parked = self.calls.get_mut(&id).and_then(|call| call.parked.take());
        if let Some((_, request)) = parked {
            context.refuse(now, &request, status, "the change was withdrawn");
        }
    }

    /// Closes the flows of video that nobody has agreed to any more.
    pub(super) fn close_unused_video(&mut self, context: &mut Context, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        for leg in call.caller.iter_mut().chain(&mut call.callee) {
            let Some(remote) = &leg.remote else { continue };
            if leg.sdp.agreed(remote).video().is_some() {
                continue;
            }
            let Some(video) = leg.video.take() else {
                continue;
            };
            let flow = video.flow;
            leg.command(context, Command::CloseFlow { flow });
            leg.past_flows.push(flow);
        }
    }
}

/// May this leg have video, with or without a flow for it yet?
const fn may_carry_video(leg: &Leg) -> bool {
    match leg.side {
        Side::Browser => true,
        Side::Trunk(_) => leg.video.is_some() || leg.past_flows.len() < VIDEO_FLOWS_PER_LEG_MAX,
    }
}
