//! The comparison that keeps the two sides of a call together: the descriptions on one leg, whole,
//! against those on the other. A peer whose last description from us says something else than the
//! other peer wants is made an offer, by re-INVITE; this goes on until both have been told.

use std::time::Instant;

use super::alarms::Alarm;
use super::cause::{Cause, Why};
use super::flows::joint_policy;
use super::leg::{Invite, Leg, Side};
use super::state::State;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::Context;
use crate::limits::OWN_OFFERS_MAX;
use crate::sdp::{self, CodecPolicy, Direction, MediaKind, OfferPlan, RemoteDescription};

/// An offer that one side has to be made.
#[derive(Debug)]
pub(super) struct NextOffer {
    pub(super) to: Party,
    /// The description of the other peer that it is made of.
    pub(super) offer: RemoteDescription,
    pub(super) plan: OfferPlan,
}

impl Calls {
    /// An exchange on one leg is over: whoever has to be told is told as soon as it can be. A call
    /// whose sides have no codec in common, and can have none, ends.
    pub(super) fn settle(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let is_busy = [Party::Caller, Party::Callee]
            .into_iter()
            .any(|party| self.reinvites(id, party));
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if is_busy
            || call.state != State::Talking
            || call.reoffer.is_some()
            || call.parked.is_some()
        {
            return;
        }
        self.close_unused_video(context, id);
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if call.own_offers < OWN_OFFERS_MAX && next_offer(context, call).is_some() {
            self.alarms.set(id, Alarm::Reoffer, Some(now));
        } else if is_useless(call) {
            let why = Why::Unsettled("the sides cannot be brought together");
            let cause = Cause::because(&why);
            self.end(context, now, id, cause);
        }
    }
}

/// The offer that one of the sides of a call has to be made now. Browsers come first: they take
/// nearly every change.
pub(super) fn next_offer(context: &Context, call: &Call) -> Option<NextOffer> {
    let mut sides: Vec<(bool, Party)> = call
        .legs()
        .map(|(party, leg)| (leg.side != Side::Browser, party))
        .collect();
    sides.sort_unstable();
    sides
        .into_iter()
        .find_map(|(_, to)| offer_to(context, call, to))
}

/// What the peer of a leg has to be told that it has not been told.
fn offer_to(context: &Context, call: &Call, to: Party) -> Option<NextOffer> {
    let (leg, other) = (call.leg(to)?, call.leg(to.other())?);
    let (mine, theirs) = (leg.remote.as_ref()?, other.remote.as_ref()?);
    let is_ready = |leg: &Leg| leg.invite == Invite::Accepted && !leg.awaits_answer;
    if !is_ready(leg) || !is_ready(other) {
        return None;
    }
    let (met, agreed) = (leg.sdp.agreed(mine), other.sdp.agreed(theirs));
    let policy = policy_and_agreed(joint_policy(context, other, leg), &met);
    let mut bases = vec![other.sdp.freed(agreed.clone())];
    if !sdp::share_medium(&met, &agreed) {
        bases.push(other.sdp.able(theirs));
    }
    for mut offer in bases {
        // No medium is added that its peers have not asked for.
        let has_video = met.video().is_some() && agreed.video().is_some();
        drop_video(&mut offer, has_video);
        let Ok(plan) = sdp::plan_offer(&offer, leg.side.profile(), &policy) else {
            continue;
        };
        let plan = leg.sdp.settle(plan);
        let is_same = |refused: &OfferPlan| sdp::is_same_offer(refused, &plan);
        if leg.refused.iter().any(is_same) {
            continue;
        }
        let is_news = leg.sdp.is_news(&plan, mine)
            || leg.sdp.names_other_streams(&leg.local)
            || leg.is_unclear;
        return is_news.then_some(NextOffer { to, offer, plan });
    }
    None
}

/// Our offer to the peer of a leg as for a new call (RFC 3261 section 14.2, RFC 6337 section 5.1):
/// everything that the other peer is able to, without the hold that this one has asked for.
pub(super) fn full_offer(context: &Context, call: &Call, to: Party) -> Option<OfferPlan> {
    let (leg, other) = (call.leg(to)?, call.leg(to.other())?);
    let theirs = other.remote.as_ref()?;
    let mut offer = other.sdp.able(theirs);
    let has_video = other.sdp.agreed(theirs).video().is_some();
    drop_video(&mut offer, has_video);
    let policy = joint_policy(context, other, leg);
    let plan = sdp::plan_offer(&offer, leg.side.profile(), &policy).ok()?;
    Some(leg.sdp.settle(plan))
}

/// Are both sides there and unable to talk: without a codec that both have agreed to, or brought
/// together by a transfer without hearing each other as they want?
fn is_useless(call: &Call) -> bool {
    let (Some(caller), Some(callee)) = (&call.caller, &call.callee) else {
        return false;
    };
    let (Some(one), Some(other)) = (&caller.remote, &callee.remote) else {
        return false;
    };
    let waits = caller.awaits_answer || callee.awaits_answer;
    if waits || call.is_gone(Party::Caller) || call.is_gone(Party::Callee) {
        return false;
    }
    let is_mute = !sdp::share_medium(&caller.sdp.agreed(one), &callee.sdp.agreed(other));
    is_mute || (call.is_joined && is_deaf(caller, callee))
}

/// Does one of the two not hear the other, though both want that?
fn is_deaf(one: &Leg, other: &Leg) -> bool {
    let has_audio = |leg: &Leg| {
        leg.remote
            .as_ref()
            .and_then(|remote| remote.audio())
            .is_some()
    };
    let kind = if has_audio(one) || has_audio(other) {
        MediaKind::Audio
    } else {
        MediaKind::Video
    };
    let said = |leg: &Leg| {
        leg.remote
            .as_ref()?
            .of_kind(kind)
            .map(|media| media.direction)
    };
    let Some((first, second)) = said(one).zip(said(other)) else {
        return true;
    };
    let wish = |leg: &Leg| leg.sdp.wish(kind);
    let is_lost = |(from, to): (&Leg, &Leg), says: Direction, hears: Direction| {
        wish(from).sends() && wish(to).receives() && !(says.sends() && hears.receives())
    };
    is_lost((one, other), first, second) || is_lost((other, one), second, first)
}

/// The policy of a leg, and what it has agreed to already whatever its policy says.
fn policy_and_agreed(policy: CodecPolicy, met: &RemoteDescription) -> CodecPolicy {
    let mut policy = policy;
    for codec in met.audio().iter().flat_map(|audio| &audio.codecs) {
        if codec.is_telephone_event() {
            policy.telephone_event = true;
        } else {
            let (name, clock_hz) = (&codec.name, codec.clock_hz);
            let entry = format!("{name}/{clock_hz}/{}", codec.channels);
            policy.audio.push(entry);
        }
    }
    policy
}

fn drop_video(offer: &mut RemoteDescription, has_video: bool) {
    let is_video = |media: &&mut sdp::RemoteMedia| media.kind == MediaKind::Video;
    for media in offer.media.iter_mut().filter(is_video) {
        media.usable &= has_video;
    }
}
