//! Calls: a back-to-back user agent of exactly two legs (RFC 7092), without feature logic.
//!
//! Each leg has its own Call-ID, tags, sequence numbers, Contact and session description; what
//! joins them is the plan of the offer and the routes of the media. `state` is the table of
//! steps; `setup` brings a call from the INVITE to the second INVITE, `answer` from there to the
//! ACK, `dialog_requests` handles what comes during the call, `end` ends it.

pub(crate) mod admit;
mod afterlife;
pub(crate) mod alarms;
pub(crate) mod answer;
mod attended;
mod begin;
pub(crate) mod cause;
pub(crate) mod dialog;
pub(crate) mod dialog_requests;
pub(crate) mod digit_info;
pub(crate) mod digits;
pub(crate) mod end;
mod exchange;
pub(crate) mod flows;
pub(crate) mod headers;
mod hearing;
pub(crate) mod join;
pub(crate) mod leg;
pub(crate) mod media_events;
pub(crate) mod outgoing;
pub(crate) mod refer;
pub(crate) mod referred;
pub(crate) mod refresh;
pub(crate) mod reinvite;
pub(crate) mod reliable;
pub(crate) mod reoffer;
mod report;
pub(crate) mod session_id;
pub(crate) mod session_timer;
mod settle;
pub(crate) mod setup;
pub(crate) mod state;
mod stray;
pub(crate) mod transfer;
mod unheard;
mod video;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dataplane::link::{FlowId, FlowTotals};
use hashbrown::HashMap;

use self::alarms::{Alarm, Alarms};
use self::cause::{Cause, Why};
use self::leg::Leg;
use self::state::State;
use crate::config::{Config, TrunkConfig};
use crate::edge::Moved;
use crate::engine::context::{Context, Incoming};
use crate::engine::input::{ConnectionId, Peer};
use crate::engine::output::CallBegan;
use crate::sdp::{MediaKind, OfferPlan, RemoteDescription};
use crate::sip::Message;
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId};
use crate::trunk::Attempt;
use crate::trunk::limits::Quota;

/// Names a call inside the brain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallId(u64);

/// Which of the two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    /// The one that sent the INVITE.
    Caller,
    /// The one that is called.
    Callee,
}

impl Party {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) state: State,
    pub(crate) began_at: Instant,
    pub(crate) answered_at: Option<Instant>,
    pub(crate) log: CallBegan,
    /// The caller's INVITE.
    pub(crate) invite: Incoming,
    /// None while it is in another call still, and once it has left for another: a transfer.
    pub(crate) caller: Option<Leg>,
    /// None on an echo call, and once it has left for another.
    pub(crate) callee: Option<Leg>,
    /// The sides that count at their trunks.
    pub(crate) counted: admit::Counted,
    /// What the callee is sent once the flows are open.
    pub(crate) outgoing: Option<outgoing::OutgoingInvite>,
    pub(crate) offer: RemoteDescription,
    /// None on an echo call.
    pub(crate) plan: Option<OfferPlan>,
    /// Our answer to the caller, once there is one: the same bytes in 183 and 200.
    pub(crate) answer: Option<String>,
    /// It was in a provisional response.
    pub(crate) is_answer_told: bool,
    /// Headers of the callee's 2xx for ours.
    pub(crate) passed: Option<Box<Message>>,
    pub(crate) codec: Option<String>,
    /// Flows whose opening has not been confirmed.
    pub(crate) opening: BTreeSet<FlowId>,
    /// Flows whose closing has not been confirmed.
    pub(crate) closing: BTreeSet<FlowId>,
    pub(crate) totals: BTreeMap<FlowId, FlowTotals>,
    pub(crate) port_attempts: u8,
    /// A flow that could not be opened, and was not replaced by another.
    pub(crate) refused: Option<FlowId>,
    /// Our INVITE to the callee without its Via, while it can be sent to other targets.
    pub(crate) onward: Option<Message>,
    /// The transaction of our INVITE to the callee.
    pub(crate) callee_invite: Option<ClientTransactionId>,
    /// An offer of one leg that the other has not answered yet.
    pub(crate) reoffer: Option<reinvite::Reoffer>,
    /// A request with an offer that waits for a flow to be opened.
    pub(crate) parked: Option<(Party, Incoming)>,
    /// Offers of ours since a peer made one, or since a leg changed.
    pub(crate) own_offers: u8,
    /// The caller left the offer to us: it is in our 200, the answer in the ACK.
    pub(crate) is_late: bool,
    /// Our provisional responses to the caller.
    pub(crate) reliable: reliable::Reliable,
    /// A transfer has brought its sides together.
    pub(crate) is_joined: bool,
    /// The media that have routes.
    pub(crate) routed: Vec<MediaKind>,
    /// The carrier has said that its early media are not for the caller (RFC 5009).
    pub(crate) early_media_off: bool,
    /// What names the call on both legs (RFC 7989).
    pub(crate) session_ids: session_id::SessionIds,
    /// The transfer of one of its sides that is under way.
    pub(crate) transfer: Option<transfer::Transfer>,
    /// The one that is to be its caller, if it is to be part of a transfer.
    pub(crate) referral: Option<transfer::Referral>,
    /// REFERs that were passed on.
    pub(crate) refers: Vec<refer::Refer>,
    /// Requests that were passed on to the other leg and wait for its answer.
    pub(crate) relays: BTreeSet<ClientTransactionId>,
    /// Why and with which status it ended.
    pub(crate) cause: Option<Cause>,
    /// Reason headers for who answers when it has ended already.
    pub(crate) farewell: Vec<String>,
    /// When the caller's INVITE expires.
    expires_at: Option<Instant>,
    deadline: Option<Instant>,
}

impl Call {
    /// The ways to the trunk that is called.
    pub(crate) fn attempt(&mut self) -> Option<&mut Attempt> {
        self.outgoing.as_mut()?.attempt.as_mut()
    }

    pub(crate) fn leg(&self, party: Party) -> Option<&Leg> {
        match party {
            Party::Caller => self.caller.as_ref(),
            Party::Callee => self.callee.as_ref(),
        }
    }

    pub(crate) fn leg_mut(&mut self, party: Party) -> Option<&mut Leg> {
        match party {
            Party::Caller => self.caller.as_mut(),
            Party::Callee => self.callee.as_mut(),
        }
    }

    pub(crate) fn legs(&self) -> impl Iterator<Item = (Party, &Leg)> {
        let caller = self.caller.iter().map(|leg| (Party::Caller, leg));
        let callee = self.callee.iter().map(|leg| (Party::Callee, leg));
        caller.chain(callee)
    }

    /// The callee has said something: its messages and the caller's carry its Session-ID from now
    /// on.
    pub(crate) fn note_session_id(&mut self, response: &Message) {
        self.session_ids.learn(response);
        self.name_sessions();
    }

    /// The messages of both legs carry the Session-IDs that are known.
    fn name_sessions(&mut self) {
        if let Some(leg) = self.caller.as_mut() {
            leg.dialog.session_id = Some(self.session_ids.to_caller());
        }
        if let Some(leg) = self.callee.as_mut() {
            leg.dialog.session_id = Some(self.session_ids.to_callee());
        }
    }

    /// Goes on to another state; the table of steps is the law.
    pub(crate) fn become_state(&mut self, next: State) {
        assert!(self.state.may_become(next), "{:?} -> {next:?}", self.state);
        self.state = next;
    }
}

/// All calls, and the ways to find them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: BTreeMap<CallId, Call>,
    /// What each trunk takes, in the order of the configuration.
    quotas: Vec<Quota>,
    next_id: u64,
    by_dialog: HashMap<(String, String), (CallId, Party), foldhash::fast::RandomState>,
    by_flow: BTreeMap<FlowId, CallId>,
    by_server_invite: BTreeMap<ServerTransactionId, CallId>,
    by_client_invite: BTreeMap<ClientTransactionId, CallId>,
    by_reinvite: BTreeMap<ClientTransactionId, reinvite::Reinvite>,
    relays: BTreeMap<ClientTransactionId, dialog_requests::Relay>,
    digit_infos: BTreeMap<ClientTransactionId, (CallId, Party)>,
    refreshes: BTreeMap<ClientTransactionId, refresh::Refresh>,
    /// What is left of calls that are over.
    afterlives: BTreeMap<CallId, afterlife::Afterlife>,
    alarms: Alarms,
    deadlines: BTreeSet<(Instant, CallId)>,
    by_connection: BTreeSet<(ConnectionId, CallId)>,
}

impl Calls {
    /// No calls.
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        let quota = |trunk: &TrunkConfig| Quota::new(trunk.limits, now);
        Self {
            quotas: config.trunks.iter().map(quota).collect(),
            ..Self::default()
        }
    }

    /// How many entries all tables have together: none when there is no call.
    pub(crate) fn entries(&self) -> usize {
        self.calls.len()
            + self.by_dialog.len()
            + self.by_flow.len()
            + self.by_server_invite.len()
            + self.by_client_invite.len()
            + self.by_reinvite.len()
            + self.relays.len()
            + self.refreshes.len()
            + self.digit_infos.len()
            + self.afterlives.len()
            + self.alarms.len()
            + self.deadlines.len()
            + self.by_connection.len()
    }

    /// How many calls there are, those that are ending included.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// When `handle_timeout` wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let quotas = self.quotas.iter().filter_map(Quota::poll_timeout);
        let timers = deadline.into_iter().chain(self.alarms.next());
        timers.chain(quotas).min()
    }

    /// Ends what has waited too long.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, id));
            if let Some(call) = self.calls.get_mut(&id) {
                call.deadline = None;
            }
            self.expired(context, now, id);
        }
        while let Some((id, alarm)) = self.alarms.take_due(now) {
            match alarm {
                Alarm::Refresh(party) => self.refresh_leg(context, now, id, party),
                Alarm::Expire(party) => self.session_expired(context, now, id, party),
                Alarm::Reoffer => self.reoffer_due(context, now, id),
                Alarm::Reliable => self.reliable_due(context, now, id),
                Alarm::Unheard => self.unheard_due(context, id),
                Alarm::MediaClosed(party) => self.not_hung_up(context, now, id, party),
                Alarm::Forget => self.forget(id),
            }
        }
        self.limits_settled(context, now);
    }

    /// A connection is gone. A dialog outlives it: the browser may come back, and its media flows
    /// on; when that stops too, the call ends. A call that is not answered yet ends at once.
    pub(crate) fn connection_closed(
        &mut self,
        context: &mut Context,
        now: Instant,
        connection: ConnectionId,
    ) {
        let gone = Peer::WebSocket(connection);
        for id in self.on_connection(connection) {
            let Some(call) = self.calls.get(&id) else {
                continue;
            };
            if matches!(
                call.state,
                State::Opening | State::Calling | State::Answered | State::Left
            ) {
                let is_caller = |caller: &Leg| caller.peer == gone;
                let party = match call.caller.as_ref().is_some_and(is_caller) {
                    true => Party::Caller,
                    false => Party::Callee,
                };
                let why = Why::ConnectionLost(party);
                self.end(context, now, id, Cause::because(&why));
            }
        }
    }

    /// A user of one connection has come back on another: its dialogs follow.
    pub(crate) fn user_moved(&mut self, moved: &Moved) {
        let is_its_own = |leg: &Leg| {
            leg.peer == Peer::WebSocket(moved.from)
                && leg.user().is_some_and(|user| moved.users.contains(&user))
        };
        for id in self.on_connection(moved.from) {
            for party in [Party::Caller, Party::Callee] {
                let leg = self.calls.get(&id).and_then(|call| call.leg(party));
                if leg.is_some_and(is_its_own) {
                    self.move_leg(id, party, Peer::WebSocket(moved.to));
                }
            }
        }
    }

    /// The calls with a leg on this connection.
    fn on_connection(&self, connection: ConnectionId) -> Vec<CallId> {
        let range = (connection, CallId(0))..=(connection, CallId(u64::MAX));
        self.by_connection.range(range).map(|(_, id)| *id).collect()
    }

    /// The peer of a leg speaks from elsewhere now.
    fn move_leg(&mut self, id: CallId, party: Party, peer: Peer) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg_mut(party).filter(|leg| leg.peer != peer) else {
            return;
        };
        let old = std::mem::replace(&mut leg.peer, peer);
        if let Peer::WebSocket(connection) = old
            && call.legs().all(|(_, leg)| leg.peer != old)
        {
            self.by_connection.remove(&(connection, id));
        }
        if let Peer::WebSocket(connection) = peer {
            self.by_connection.insert((connection, id));
        }
    }

    /// Ends every call: the process stops.
    pub(crate) fn stop(&mut self, context: &mut Context, now: Instant) {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.end(context, now, id, Cause::because(&Why::Stopping));
        }
    }

    fn fresh_id(&mut self) -> CallId {
        self.next_id += 1;
        CallId(self.next_id)
    }

    /// Makes a call known by everything that it can be found by.
    fn insert(&mut self, call: Call) {
        let id = call.id;
        for (party, leg) in call.legs() {
            let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
            self.by_dialog.insert(key, (id, party));
            for flow in leg.flows() {
                self.by_flow.insert(flow.flow, id);
            }
            if let Peer::WebSocket(connection) = leg.peer {
                self.by_connection.insert((connection, id));
            }
        }
        self.by_server_invite.insert(call.invite.transaction, id);
        self.calls.insert(id, call);
    }

    /// Forgets a call and every way to it.
    fn remove(&mut self, now: Instant, id: CallId) {
        self.set_deadline(id, None);
        self.alarms.clear(id);
        let Some(call) = self.calls.remove(&id) else {
            return;
        };
        for (_, leg) in call.legs() {
            let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
            // A new attempt with credentials has the same names and may already own them.
            if self
                .by_dialog
                .get(&key)
                .is_some_and(|(owner, _)| *owner == id)
            {
                self.by_dialog.remove(&key);
            }
            let flows = leg.flows().map(|planned| planned.flow);
            for flow in flows.chain(leg.past_flows.iter().copied()) {
                self.by_flow.remove(&flow);
            }
            if let Peer::WebSocket(connection) = leg.peer {
                self.by_connection.remove(&(connection, id));
            }
            if let Some(refresh) = leg.refresh {
                self.refreshes.remove(&refresh);
            }
            if let Some(reinvite) = leg.reinvite {
                self.by_reinvite.remove(&reinvite);
            }
            if let Some(info) = leg.digit_infos.sent {
                self.digit_infos.remove(&info);
            }
        }
        self.by_server_invite.remove(&call.invite.transaction);
        if let Some(transaction) = call.callee_invite {
            self.by_client_invite.remove(&transaction);
        }
        self.outlive(now, call);
    }

    fn set_deadline(&mut self, id: CallId, at: Option<Instant>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(old) = call.deadline.take() {
            self.deadlines.remove(&(old, id));
        }
        call.deadline = at;
        if let Some(at) = at {
            self.deadlines.insert((at, id));
        }
    }

    /// The waiting time of the present state is over.
    fn expired(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let why = match call.state {
            State::Opening => Why::NoFlow("media workers did not answer"),
            State::Calling if call.expires_at.is_some_and(|at| at <= now) => Why::Expired,
            State::Calling => Why::NoAnswer,
            State::Answered | State::Talking => Why::NoMediaPath,
            State::Left => Why::Transferred("transferred, and did not hang up"),
            State::Ending if !call.closing.is_empty() => {
                // The workers do not answer; the callee's INVITE may still be.
                call.closing.clear();
                return self.finish_if_done(context, now, id);
            }
            State::Ending => return self.remove(now, id),
        };
        self.end(context, now, id, Cause::because(&why));
    }
}
