//! The beginning of a call, once its legs are planned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dataplane::link::Command;

use super::admit::Counted;
use super::flows::connect_remote;
use super::leg::{Leg, Side};
use super::outgoing::OutgoingInvite;
use super::reliable::Reliable;
use super::session_id::SessionIds;
use super::state::State;
use super::transfer::Referral;
use super::{Call, CallId, Calls};
use crate::engine::context::{Context, Incoming};
use crate::engine::output::{CallBegan, LogLine};
use crate::media::handshake::HandshakeCommand;
use crate::media::plan::MediaPlanner;
use crate::sdp::{OfferPlan, RemoteDescription};
use crate::sip::Message;

/// What a call is made of.
pub(super) struct NewCall {
    pub(super) invite: Incoming,
    pub(super) caller: Option<Leg>,
    pub(super) callee: Option<Leg>,
    pub(super) outgoing: Option<OutgoingInvite>,
    pub(super) offer: RemoteDescription,
    pub(super) plan: Option<OfferPlan>,
    pub(super) is_late: bool,
    pub(super) counted: Counted,
    pub(super) session_ids: SessionIds,
    pub(super) log: CallBegan,
    pub(super) referral: Option<Referral>,
}

impl Calls {
    /// Begins a call: its flows are opened.
    pub(super) fn begin(&mut self, context: &mut Context, now: Instant, new: NewCall) -> CallId {
        let id = self.fresh_id();
        self.enter_trunks(now, &new.invite.message, new.counted);
        context.log(LogLine::CallBegan(new.log.clone()));
        let call = Call {
            id,
            state: State::Opening,
            began_at: now,
            answered_at: None,
            log: new.log,
            reliable: Reliable::of(&new.invite.message),
            invite: new.invite,
            caller: new.caller,
            callee: new.callee,
            counted: new.counted,
            outgoing: new.outgoing,
            offer: new.offer,
            plan: new.plan,
            answer: None,
            is_answer_told: false,
            passed: None,
            codec: None,
            opening: BTreeSet::new(),
            closing: BTreeSet::new(),
            totals: BTreeMap::new(),
            port_attempts: 0,
            refused: None,
            onward: None,
            callee_invite: None,
            reoffer: None,
            parked: None,
            own_offers: 0,
            is_joined: false,
            is_late: new.is_late,
            routed: Vec::new(),
            early_media_off: false,
            session_ids: new.session_ids,
            transfer: None,
            referral: new.referral,
            refers: Vec::new(),
            relays: BTreeSet::new(),
            cause: None,
            farewell: Vec::new(),
            expires_at: None,
            deadline: None,
        };
        self.insert(call);
        self.open_flows(context, id);
        id
    }

    fn open_flows(&mut self, context: &mut Context, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let mut opening = BTreeSet::new();
        for (_, leg) in call.legs() {
            for planned in leg.flows() {
                opening.insert(planned.flow);
                leg.command(context, Command::OpenFlow(MediaPlanner::open(planned)));
            }
            if leg.side == Side::Browser {
                let flow = leg.audio.flow;
                context.handshake(HandshakeCommand::Open { flow });
            }
        }
        call.opening = opening;
        if let Some(caller) = &call.caller {
            connect_remote(context, caller);
        }
    }
}

/// The identifiers of a new call. Those that we make are functions of its INVITE: a second attempt
/// with credentials has the same ones (RFC 7989 section 6).
pub(super) fn name_session(
    context: &Context,
    invite: &Message,
    caller: Option<&mut Leg>,
    callee: Option<&mut Leg>,
) -> SessionIds {
    let names = [invite.call_id(), invite.from_tag().unwrap_or_default()];
    let spare = |purpose: &str| {
        let (low, high) = (format!("{purpose} low"), format!("{purpose} high"));
        let text = context.keyed(&low, &names) + &context.keyed(&high, &names);
        let text = text.get(..32).unwrap_or_default();
        u128::from_str_radix(text, 16).unwrap_or_default()
    };
    let ids = SessionIds::new(
        invite,
        [spare("session-id caller"), spare("session-id callee")],
    );
    if let Some(leg) = caller {
        leg.dialog.session_id = Some(ids.to_caller());
    }
    if let Some(leg) = callee {
        leg.dialog.session_id = Some(ids.to_callee());
    }
    ids
}

pub(super) fn began(
    context: &Context,
    caller: &Leg,
    callee: Option<&Leg>,
    ids: &SessionIds,
) -> CallBegan {
    let sides = (caller.side, callee.map(|leg| leg.side));
    let (direction, trunk) = match sides {
        (_, None) => ("browser→echo", None),
        (Side::Browser, Some(Side::Browser)) => ("browser→browser", None),
        (Side::Browser, Some(Side::Trunk(trunk))) => ("browser→trunk", Some(trunk)),
        (Side::Trunk(trunk), Some(Side::Browser)) => ("trunk→browser", Some(trunk)),
        (Side::Trunk(trunk), Some(Side::Trunk(_))) => ("trunk→trunk", Some(trunk)),
    };
    CallBegan {
        session_id: ids.of_call().to_owned(),
        call_id_a: caller.dialog.call_id.clone(),
        call_id_b: callee
            .map(|leg| leg.dialog.call_id.clone())
            .unwrap_or_default(),
        direction,
        trunk: trunk
            .and_then(|index| context.config.trunks.get(index))
            .map(|t| t.name.clone()),
    }
}
