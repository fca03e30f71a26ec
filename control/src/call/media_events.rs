//! What media workers and handshakes report, and what it means for the call.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dataplane::link::{Command, Event, FlowId};

use super::alarms::Alarm;
use super::cause::{Cause, Why};
use super::flows::connect_remote;
use super::leg::Side;
use super::state::State;
use super::{CallId, Calls, Party, hearing};
use crate::engine::context::Context;
use crate::engine::output::{LogLine, MediaRefusal, Output};
use crate::limits::{ASSOCIATIONS_PER_LEG_MAX, HANG_UP_AFTER_CLOSE_WITHIN};
use crate::media::handshake::{HandshakeCommand, HandshakeEvent};

impl Calls {
    /// A media worker reports.
    pub(crate) fn media_event(&mut self, context: &mut Context, now: Instant, event: Event) {
        match event {
            Event::FlowOpened { flow } => self.flow_opened(context, now, flow),
            Event::Refused { flow, reason } => self.flow_refused(context, now, flow, reason),
            Event::FlowClosed { flow, totals, .. } => self.flow_closed(context, now, flow, totals),
            Event::WorkerLost { worker, .. } => self.worker_lost(context, now, worker),
            Event::WorkerRuns { .. } => {}
            Event::Digit {
                flow,
                event,
                duration,
            } => self.digit_heard(context, now, flow, event, duration),
            Event::MediaSilent { flow, silent_for } => self.silent(context, now, flow, silent_for),
            Event::PeerSelected { flow, .. } => self.heard(flow, |heard| heard.is_reached = true),
            Event::MediaStarted { flow } => self.heard(flow, |heard| heard.is_heard = true),
            Event::MediaRefused {
                flow,
                source,
                signalled,
            } => self.media_refused(context, flow, source, signalled),
        }
    }

    /// The handshake thread reports.
    pub(crate) fn handshake_event(
        &mut self,
        context: &mut Context,
        now: Instant,
        event: HandshakeEvent,
    ) {
        match event {
            HandshakeEvent::Completed { flow, .. } => {
                let Some((id, party)) = self.leg_of(flow) else {
                    return;
                };
                let Some(call) = self.calls.get_mut(&id) else {
                    return;
                };
                if let Some(leg) = call.leg_mut(party) {
                    leg.keyed = true;
                }
                let waits = matches!(call.state, State::Answered | State::Talking);
                if waits && call.legs().all(|(_, leg)| leg.keyed) {
                    self.set_deadline(id, None);
                }
            }
            HandshakeEvent::Closed { flow } => self.association_closed(context, now, flow),
            HandshakeEvent::Failed { flow, reason } => {
                let Some((id, party)) = self.leg_of(flow) else {
                    return;
                };
                if self.calls.get(&id).is_some_and(|call| call.is_gone(party)) {
                    return;
                }
                let cause = Cause::because(&Why::Dtls(reason));
                self.end(context, now, id, cause);
            }
        }
    }

    /// A worker has lost its flows: their calls end. It is asked to close each flow that was open,
    /// so that the slots come back in the order of its commands.
    fn worker_lost(&mut self, context: &mut Context, now: Instant, worker: u16) {
        let mut flows = context.planner.flows_of(worker);
        let of_worker = self
            .by_flow
            .iter()
            .filter(|(flow, _)| flow.worker == worker);
        let calls: BTreeSet<CallId> = of_worker.map(|(_, id)| *id).collect();
        for id in calls {
            let call = self.calls.get(&id);
            if call.is_some_and(|call| call.state != State::Ending) {
                let legs = call.into_iter().flat_map(|call| call.legs());
                let closed: Vec<FlowId> = legs
                    .flat_map(|(_, leg)| leg.flows())
                    .map(|f| f.flow)
                    .collect();
                flows.retain(|flow| !closed.contains(flow));
                self.end(context, now, id, Cause::because(&Why::WorkerLost));
            }
        }
        for flow in flows {
            let command = Command::CloseFlow { flow };
            context.outputs.push_back(Output::Media { worker, command });
        }
    }

    /// Media of a carrier comes from an address that it may not come from: the log says so once for
    /// each leg.
    fn media_refused(
        &mut self,
        context: &mut Context,
        flow: FlowId,
        source: SocketAddr,
        signalled: SocketAddr,
    ) {
        let Some((id, party)) = self.leg_of(flow) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let session_id = call.log.session_id.clone();
        let Some(leg) = call.leg_mut(party).filter(|leg| !leg.refusal_told) else {
            return;
        };
        leg.refusal_told = true;
        let Side::Trunk(index) = leg.side else {
            return;
        };
        let Some(trunk) = context.config.trunks.get(index) else {
            return;
        };
        let trunk = trunk.name.clone();
        context.log(LogLine::MediaRefused(MediaRefusal {
            session_id,
            trunk,
            source,
            signalled,
        }));
    }

    /// The handshake thread was started again and knows no session: those that had not begun begin
    /// anew, and those that had its end has reported. Legs with keys need none.
    pub(crate) fn handshakes_restarted(&self, context: &mut Context) {
        for call in self.calls.values() {
            let is_open = call.state != State::Ending;
            for (party, leg) in call.legs().filter(|_| is_open) {
                if leg.side == Side::Browser && !leg.keyed && !call.is_gone(party) {
                    let flow = leg.audio.flow;
                    context.handshake(HandshakeCommand::Open { flow });
                    connect_remote(context, leg);
                }
            }
        }
    }

    /// A browser has closed its DTLS association without keys. Before the answer that says nothing
    /// of the call: it declines, or answers with another association. After it, its BYE follows.
    fn association_closed(&mut self, context: &mut Context, now: Instant, flow: FlowId) {
        let Some((id, party)) = self.leg_of(flow) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let is_early = matches!(call.state, State::Opening | State::Calling);
        if call.is_gone(party) || matches!(call.state, State::Left | State::Ending) {
            return;
        }
        let Some(leg) = call.leg_mut(party) else {
            return;
        };
        if is_early && leg.associations < ASSOCIATIONS_PER_LEG_MAX {
            leg.associations += 1;
            context.handshake(HandshakeCommand::Open { flow });
            connect_remote(context, leg);
        } else if !is_early {
            let at = now + HANG_UP_AFTER_CLOSE_WITHIN;
            self.alarms.set(id, Alarm::MediaClosed(party), Some(at));
        }
    }

    /// A browser has closed its association, and has had the time to hang up.
    pub(super) fn not_hung_up(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
    ) {
        let leg = self.calls.get(&id).and_then(|call| call.leg(party));
        if leg.is_some_and(|leg| !leg.keyed) {
            let cause = Cause::because(&Why::MediaClosed(party));
            self.end(context, now, id, cause);
        }
    }

    /// A peer has gone without a word.
    fn silent(&mut self, context: &mut Context, now: Instant, flow: FlowId, silent_for: Duration) {
        let Some((id, party)) = self.leg_of(flow) else {
            return;
        };
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let answered = matches!(call.state, State::Answered | State::Talking);
        if answered && hearing::is_fatal(context, call, (party, flow), silent_for) {
            let cause = Cause::because(&Why::Silent(party));
            self.end(context, now, id, cause);
        }
    }

    pub(super) fn leg_of(&self, flow: FlowId) -> Option<(CallId, Party)> {
        let id = *self.by_flow.get(&flow)?;
        let call = self.calls.get(&id)?;
        let has_flow = |(_, leg): &(Party, &super::leg::Leg)| leg.flows().any(|f| f.flow == flow);
        call.legs().find(has_flow).map(|(party, _)| (id, party))
    }
}
