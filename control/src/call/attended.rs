//! Attended transfers (RFC 5589 section 7): a REFER whose `Replaces` names another dialog that the
//! referrer has with us. Both other sides are here, and are joined without a new INVITE.

use std::time::Instant;

use super::alarms::Alarm;
use super::cause::Why;
use super::exchange::Place;
use super::flows::joint_policy;
use super::leg::{Leg, Side};
use super::referred::{Refused, Wanted};
use super::state::State;
use super::transfer::freed;
use super::{Call, Calls};
use crate::engine::context::Context;
use crate::limits::MEDIA_KEYED_WITHIN;
use crate::sdp;

const NO_CODEC: Refused = (488, "no codec in common");

impl Calls {
    /// Joins the other sides of two calls of the referrer. False if no dialog here is named: it is
    /// for the new party to know it.
    pub(crate) fn join_calls(
        &mut self,
        context: &mut Context,
        now: Instant,
        wanted: &Wanted,
    ) -> bool {
        let named = wanted.replaces.as_deref();
        let Some(place) = named.and_then(|value| self.find_named(value)) else {
            return false;
        };
        match self.may_join(context, wanted, place) {
            Ok(()) => self.join_at(context, now, wanted, place),
            // The calls stay as they are; the referrer hears of it as of any new party's refusal.
            Err(NO_CODEC) => {
                let transfer = self.accept_refer(context, now, wanted);
                if let Some(call) = self.calls.get_mut(&wanted.call) {
                    call.transfer = Some(transfer);
                }
                self.report(context, now, wanted.call, NO_CODEC.0, true);
                if let Some(call) = self.calls.get_mut(&wanted.call) {
                    call.transfer = None;
                }
            }
            Err((status, reason)) => context.refuse(now, &wanted.request, status, reason),
        }
        true
    }

    fn may_join(&self, context: &Context, wanted: &Wanted, place: Place) -> Result<(), Refused> {
        let gone = (481, "the call to be joined is over");
        if place.0 == wanted.call {
            return Err((400, "a call replaced by itself"));
        }
        let call = self.calls.get(&wanted.call).ok_or(gone)?;
        let other = self.calls.get(&place.0).ok_or(gone)?;
        let (referrer, again) = (call.leg(wanted.by), other.leg(place.1));
        let (referrer, again) = referrer.zip(again).ok_or(gone)?;
        let is_same = match referrer.side {
            Side::Browser => referrer.user().is_some() && referrer.user() == again.user(),
            Side::Trunk(_) => true,
        };
        if referrer.side != again.side || !is_same {
            return Err((403, "a call of somebody else"));
        }
        if other.state == State::Ending || other.state == State::Left {
            return Err(gone);
        }
        if other.state != State::Talking || other.transfer.is_some() {
            return Err((491, "the call to be joined is not answered"));
        }
        // RFC 3891 section 3: it is answered.
        let mut flags = wanted.replaces.iter().flat_map(|value| value.split(';'));
        if flags.any(|flag| flag.trim().eq_ignore_ascii_case("early-only")) {
            return Err((486, "the call to be joined is answered"));
        }
        let legs = (call.leg(wanted.by.other()), other.leg(place.1.other()));
        let (kept, met) = legs
            .0
            .zip(legs.1)
            .ok_or((603, "nobody to be joined with"))?;
        if kept.audio.flow.worker != met.audio.flow.worker {
            return Err((488, "the calls are on different media workers"));
        }
        let waits = (491, "nothing has been agreed on yet");
        let (offer, other) = freed(kept).zip(freed(met)).ok_or(waits)?;
        let is_possible = |offer, from: &Leg, to: &Leg| {
            let policy = joint_policy(context, from, to);
            sdp::plan_offer(offer, to.side.profile(), &policy).is_ok()
        };
        if is_possible(&offer, kept, met) || is_possible(&other, met, kept) {
            Ok(())
        } else {
            Err(NO_CODEC)
        }
    }

    /// The transferred side takes the referrer's place in the referrer's other call.
    fn join_at(&mut self, context: &mut Context, now: Instant, wanted: &Wanted, place: Place) {
        let transfer = self.accept_refer(context, now, wanted);
        let (left, by) = (wanted.call, wanted.by);
        let Some(call) = self.calls.get_mut(&left) else {
            return;
        };
        call.transfer = Some(transfer);
        let name = call.session_ids.of(by.other()).to_owned();
        self.part(context, now, left);
        self.part(context, now, place.0);
        self.exchange_legs((left, by.other()), place);
        for alarm in [Alarm::Refresh, Alarm::Expire] {
            self.alarms.set(left, alarm(by.other()), None);
        }
        // What is replaced ends (RFC 3891 section 3).
        let replaced = self.calls.get_mut(&left);
        if let Some(leg) = replaced.and_then(|call: &mut Call| call.leg_mut(by.other())) {
            leg.clear_routes(context);
            leg.send_bye(context, now, &Why::Transferred("replaced").reasons());
        }
        let Some(call) = self.calls.get_mut(&place.0) else {
            return;
        };
        call.session_ids.replace(place.1, name);
        // It may have waited for the keys of the leg that has gone, or not have waited.
        let keyed = call.legs().all(|(_, leg)| leg.keyed);
        self.set_deadline(place.0, (!keyed).then(|| now + MEDIA_KEYED_WITHIN));
        self.meet(context, place);
        self.meet(context, (place.0, place.1.other()));
        self.join_legs(context, now, place.0);
        self.referrer_stays(context, now, left);
    }
}
