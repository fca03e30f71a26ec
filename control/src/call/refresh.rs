//! Session timers at work: arming, refreshing by UPDATE or re-INVITE, ending what was not
//! refreshed (RFC 4028 sections 7.4 and 10).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::alarms::Alarm;
use super::cause::{Cause, Why};
use super::leg::{Leg, Side};
use super::session_timer::{self, SessionTimer, TimerPolicy};
use super::state::State;
use super::{CallId, Calls, Party};
use crate::engine::context::{ALLOW, Context, Incoming};
use crate::limits::{REFRESH_AGAIN_AFTER, SESSION_EXPIRES_MAX_S, SESSION_EXPIRES_MIN_S};
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

/// A refresh of ours. One by INVITE outlives its exchange: a 2xx whose ACK was lost comes again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refresh {
    call: CallId,
    to: Party,
    sequence: u32,
    is_invite: bool,
    is_answered: bool,
}

impl Refresh {
    /// Its leg is that of another call now.
    pub(super) const fn moved(&mut self, call: CallId, to: Party) {
        (self.call, self.to) = (call, to);
    }
}

/// What we want of the timers of a leg. A browser that cannot be sent UPDATE is not refreshed by
/// us: a re-INVITE would make it offer and answer again for nothing.
pub(crate) fn timer_policy(context: &Context, side: Side, takes_update: bool) -> TimerPolicy {
    let trunk = match side {
        Side::Browser => None,
        Side::Trunk(index) => context.config.trunks.get(index),
    };
    TimerPolicy {
        wanted_s: trunk.map_or(0, |trunk| trunk.calls.session_expires_s),
        min_s: trunk.map_or(SESSION_EXPIRES_MIN_S, |trunk| trunk.calls.min_se_s),
        may_refresh: trunk.is_some() || takes_update,
    }
}

/// Puts into our INVITE or UPDATE what it says about timers.
pub(crate) fn propose_timer(context: &Context, leg: &Leg, request: &mut Message) {
    request.push(HeaderName::Supported, "timer");
    let policy = timer_policy(context, leg.side, leg.takes_update);
    let wanted = SessionTimer {
        interval_s: policy.wanted_s.max(leg.min_se_s),
        we_refresh: true,
    };
    let timer = leg.timer.or((policy.wanted_s > 0).then_some(wanted));
    let Some(timer) = timer else { return };
    timer.propose(request);
    if matches!(leg.side, Side::Trunk(_)) {
        let min_s = policy.min_s.max(leg.min_se_s).min(timer.interval_s);
        request.push(HeaderName::MinSe, min_s.to_string());
    }
}

/// Is the interval that a request asks for long enough? If not, it has been answered with 422
/// and the one that would do (RFC 4028 section 6).
pub(crate) fn takes_interval(
    context: &mut Context,
    now: Instant,
    side: Side,
    request: &Incoming,
) -> bool {
    let policy = timer_policy(context, side, false);
    let taken = session_timer::check(&request.message, policy).is_ok();
    if !taken {
        let mut response = context.response(&request.message, 422);
        response.push(HeaderName::MinSe, policy.min_s.to_string());
        context.respond(now, request.transaction, response);
    }
    taken
}

impl Calls {
    /// A leg was refreshed, or begins: its clocks start again, as its timer says.
    pub(crate) fn arm_timer(&mut self, now: Instant, id: CallId, party: Party) {
        let timer = self
            .calls
            .get(&id)
            .filter(|call| call.state != State::Ending)
            .and_then(|call| call.leg(party)?.timer);
        let refresh = timer.filter(|timer| timer.we_refresh);
        let refresh_at = refresh.map(|timer| now + timer.refresh_after());
        let expire_at = timer.map(|timer| now + timer.expires_after());
        self.alarms.set(id, Alarm::Refresh(party), refresh_at);
        self.alarms.set(id, Alarm::Expire(party), expire_at);
    }

    /// The session of a leg was not refreshed in time.
    pub(super) fn session_expired(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
    ) {
        let cause = Cause::because(&Why::SessionExpired(party));
        self.end(context, now, id, cause);
    }

    /// It is time to refresh the session of a leg.
    pub(super) fn refresh_leg(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        // A change that is under way refreshes too, if it is for this leg.
        let is_busy = call.reoffer.is_some() || call.state != State::Talking;
        let Some(leg) = call.leg_mut(party) else {
            return;
        };
        if is_busy || leg.awaits_answer {
            return self.refresh_again(now, id, party, REFRESH_AGAIN_AFTER);
        }
        let method = if leg.takes_update {
            Method::Update
        } else {
            Method::Invite
        };
        let mut request = leg.dialog.request(method.clone());
        let sequence = leg.dialog.local_sequence;
        request.push(HeaderName::Contact, leg.contact(context));
        request.push(HeaderName::Allow, ALLOW);
        propose_timer(context, leg, &mut request);
        if method == Method::Invite {
            // The same text with the same version: nothing changes (section 7.4).
            let text = leg.sdp.last_sent().unwrap_or_default().to_owned();
            request.set_body("application/sdp", Bytes::from(text));
        }
        let transaction = leg.send(context, now, request);
        if let Some(old) = leg.refresh.replace(transaction) {
            self.refreshes.remove(&old);
        }
        let refresh = Refresh {
            call: id,
            to: party,
            sequence,
            is_invite: method == Method::Invite,
            is_answered: false,
        };
        self.refreshes.insert(transaction, refresh);
    }

    /// Is a refresh of ours by INVITE under way on this leg?
    pub(super) fn refreshes_by_invite(&self, id: CallId, party: Party) -> bool {
        let call = self.calls.get(&id);
        let leg = call.and_then(|call| call.leg(party));
        leg.and_then(|leg| self.refreshes.get(&leg.refresh?))
            .is_some_and(|refresh| refresh.is_invite && !refresh.is_answered)
    }

    fn refresh_again(&mut self, now: Instant, id: CallId, party: Party, after: Duration) {
        self.alarms
            .set(id, Alarm::Refresh(party), Some(now + after));
    }

    /// A response to a refresh of ours. False if it is none of those.
    pub(crate) fn refresh_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(refresh) = self.refreshes.get(&transaction).copied() else {
            return false;
        };
        match response.status().unwrap_or_default() {
            0..=199 => {}
            200..=299 => self.refreshed(context, now, transaction, refresh, response),
            status => {
                return self.not_refreshed(context, now, transaction, status, Some(response));
            }
        }
        true
    }

    fn refreshed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        refresh: Refresh,
        response: &Message,
    ) {
        let Refresh { call: id, to, .. } = refresh;
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to));
        let Some(leg) = leg else { return };
        leg.dialog.refresh_target(response);
        if response.method() == Method::Invite {
            leg.send_ack(context, now, Some(transaction), refresh.sequence);
            if refresh.is_answered {
                return;
            }
            if let Some(refresh) = self.refreshes.get_mut(&transaction) {
                refresh.is_answered = true;
            }
        } else {
            leg.refresh = None;
            self.refreshes.remove(&transaction);
        }
        leg.timer = SessionTimer::granted(response);
        self.arm_timer(now, id, to);
        if let Some(description) = response.description() {
            self.peer_moved(context, now, id, to, &description);
        }
    }

    /// A refresh was refused, or found no answer (section 10).
    pub(crate) fn not_refreshed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
        response: Option<&Message>,
    ) -> bool {
        let Some(refresh) = self.refreshes.remove(&transaction) else {
            return false;
        };
        let Refresh { call: id, to, .. } = refresh;
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(to));
        let Some(leg) = leg.filter(|_| !refresh.is_answered) else {
            return true;
        };
        leg.refresh = None;
        let min_s = response.and_then(session_timer::min_se);
        let mut after = REFRESH_AGAIN_AFTER;
        match (status, min_s) {
            (408 | 481, _) => {
                let cause = Cause::because(&Why::NoSuchCall);
                self.end(context, now, id, cause);
                return true;
            }
            // What cannot be updated can be invited.
            (405 | 501, _) if leg.takes_update => {
                leg.takes_update = false;
                after = Duration::ZERO;
            }
            (422, Some(min_s)) if raise_interval(leg, min_s) => after = Duration::ZERO,
            (491, _) => after = glare_delay(context, leg),
            // The peer may be back before the session expires.
            _ => {}
        }
        self.refresh_again(now, id, to, after);
        true
    }
}

/// Takes a longer interval, because the peer says so. False if it is none: once is enough.
pub(crate) fn raise_interval(leg: &mut Leg, min_s: u32) -> bool {
    let known_s = leg.timer.map_or(leg.min_se_s, |timer| timer.interval_s);
    if min_s <= known_s || min_s > SESSION_EXPIRES_MAX_S {
        return false;
    }
    leg.min_se_s = min_s;
    if let Some(timer) = leg.timer.as_mut() {
        timer.interval_s = min_s;
    }
    true
}

/// How long to wait after a 491 (RFC 3261 section 14.1), in steps of 10 ms: who made the Call-ID
/// waits 2.1 to 4 s, the other one up to 2 s.
pub(crate) fn glare_delay(context: &mut Context, leg: &Leg) -> Duration {
    let random = u64::from(context.random.u32());
    let ms = if leg.dialog.is_ours {
        2100 + 10 * (random % 191)
    } else {
        10 * (random % 201)
    };
    Duration::from_millis(ms)
}
