//! From the callee's responses to the caller's answer: connect the media, pass 180, 183 and 200
//! on, acknowledge.

use std::time::Instant;

use bytes::Bytes;

use super::cause::{Cause, Why};
use super::flows::connect_remote;
use super::headers;
use super::hearing;
use super::join::{connect, note_codec, rejoin, set_route};
use super::leg::{Invite, Leg, Side};
use super::refresh::{raise_interval, timer_policy};
use super::reliable;
use super::session_timer::{self, SessionTimer};
use super::state::State;
use super::stray::refuse_fork;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{ALLOW, Context};
use crate::limits::MEDIA_KEYED_WITHIN;
use crate::sdp::{self, CodecPolicy};
use crate::sip::digest;
use crate::sip::transaction::ClientTransactionId;
use crate::sip::{HeaderName, Message, Method};

impl Calls {
    /// A response to our INVITE. False if the transaction is none of ours.
    pub(crate) fn invite_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(id) = self.by_client_invite.get(&transaction).copied() else {
            return false;
        };
        let status = response.status().unwrap_or_default();
        if self.answered_elsewhere(context, now, (Some(id), transaction), response) {
            return true;
        }
        if let Some(call) = self.calls.get_mut(&id) {
            if let Some(attempt) = call.attempt() {
                attempt.heard(status);
            }
            // It may have been sent again with credentials.
            let sent = context.transactions.sent_sequence(transaction);
            if let (Some(leg), Some(number)) = (call.callee.as_mut(), sent) {
                leg.invite_sequence = number;
            }
        }
        match status {
            0..=100 => {}
            101..=199 => self.progress(context, now, id, response),
            200..=299 => self.accepted(context, now, id, response),
            422 if self.call_again(context, now, id, transaction, response) => {}
            status => self.rejected(context, now, id, status, response),
        }
        true
    }

    /// 180, 183 and the like. The caller sees one early dialog, whatever forks behind.
    fn progress(&mut self, context: &mut Context, now: Instant, id: CallId, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.state != State::Calling {
            return;
        }
        let Some(leg) = call.callee.as_mut() else {
            return;
        };
        if leg.meet_fork(response) && leg.remote.is_some() {
            // The early media of the one that has spoken last.
            connect_remote(context, leg);
            rejoin(context, call);
        }
        let Some(leg) = call.callee.as_mut() else {
            return;
        };
        leg.dialog.learn_from_response(response);
        leg.note_allow(response);
        let callee = leg.side;
        if let Some(number) = reliable::number_of(response)
            && !reliable::acknowledge(context, now, leg, number)
        {
            return;
        }
        take_early_media(context, call, callee, response);
        if call.is_late && call.reliable.is_required {
            // It would have to carry an offer that there is not yet (RFC 3262 section 5).
            return;
        }
        let status = match response.status() {
            // Nothing is to be heard: the caller makes its own ringing tone.
            None | Some(183) if call.early_media_off => 180,
            status => status.unwrap_or(180),
        };
        call.note_session_id(response);
        let Some(caller) = call.caller.as_ref() else {
            return self.report_progress(context, now, id, status);
        };
        let mut answer = Message::response_to(&call.invite.message, status, None);
        answer.set_to_tag(&caller.dialog.local_tag);
        answer.copy_from(&call.invite.message, HeaderName::RecordRoute);
        answer.push(HeaderName::Contact, caller.contact(context));
        headers::copy_response(
            context,
            (callee, call.counted.caller),
            response,
            &mut answer,
        );
        caller.dialog.name_session(&mut answer);
        // Told once it need not be told again to who loses nothing; a client that takes it for
        // another answer fails (RFC 3261 section 13.2.1).
        let is_news = !call.is_answer_told
            || (response.description().is_some() && matches!(caller.side, Side::Trunk(_)));
        if let Some(text) = &call.answer
            && !call.is_late
            && !call.early_media_off
            && is_news
        {
            answer.set_body("application/sdp", Bytes::from(text.clone()));
            call.is_answer_told = true;
        }
        self.send_provisional(context, now, id, answer);
    }

    /// A 2xx: the first makes the call, the same again is acknowledged again, one of another fork
    /// is ended at once.
    fn accepted(&mut self, context: &mut Context, now: Instant, id: CallId, response: &Message) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let invite = call.callee_invite;
        let Some(leg) = call.callee.as_mut() else {
            return;
        };
        if matches!(leg.invite, Invite::Accepted | Invite::Over) {
            let same = leg.dialog.remote_tag.as_deref() == response.to_tag();
            return if same {
                leg.send_ack(context, now, invite, leg.invite_sequence)
            } else {
                refuse_fork(context, now, leg, leg.peer, response)
            };
        }
        let is_other = leg.meet_fork(response);
        leg.invited = None;
        leg.dialog.learn_from_response(response);
        if call.state != State::Calling {
            // It was answered while our CANCEL was on its way (RFC 3261 section 9.1).
            leg.send_ack(context, now, invite, leg.invite_sequence);
            leg.send_bye(context, now, &call.farewell);
            return self.finish_if_done(context, now, id);
        }
        leg.invite = Invite::Accepted;
        leg.timer = SessionTimer::granted(response);
        leg.note_allow(response);
        leg.send_ack(context, now, invite, leg.invite_sequence);
        call.note_session_id(response);
        let sides = (call.counted.caller, call.counted.callee);
        if let (caller, Some(callee)) = sides {
            let mut passed = Message::request(Method::Invite, "");
            headers::copy_response(context, (callee, caller), response, &mut passed);
            call.passed = Some(Box::new(passed));
        }
        let was_off = std::mem::take(&mut call.early_media_off);
        if let Some(description) = response.description() {
            if let Err(refusal) = connect(context, call, &description) {
                let reason = format!("callee's answer: {}", refusal.text);
                return self.end(
                    context,
                    now,
                    id,
                    Cause::because(&Why::UnusableAnswer(reason)),
                );
            }
        } else if call.callee.as_ref().is_none_or(|leg| leg.remote.is_none()) {
            let mut cause = Cause::of(500, "callee's 200 has no description");
            cause.reasons = Why::UnusableAnswer(String::new()).reasons();
            return self.end(context, now, id, cause);
        } else if is_other || was_off {
            // Its answer was in a provisional response (RFC 6337 section 3.1.1).
            if let Some(leg) = &call.callee {
                connect_remote(context, leg);
            }
            rejoin(context, call);
        }
        self.answer_caller(context, now, id);
    }

    /// The caller's 200.
    pub(super) fn answer_caller(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.referral.is_some() {
            return self.join_transferred(context, now, id);
        }
        if call.reliable.holds_answer() {
            call.reliable.accept_waits = true;
            return;
        }
        let (Some(text), Some(leg)) = (call.answer.clone(), call.caller.as_mut()) else {
            return;
        };
        leg.awaits_answer = call.is_late;
        let mut answer = accept(context, leg, &call.invite.message, text);
        for (name, value) in call.passed.iter().flat_map(|passed| passed.lines()) {
            answer.push(name, value);
        }
        context.respond(now, call.invite.transaction, answer);
        leg.invite = Invite::Accepted;
        call.answered_at = Some(now);
        call.become_state(State::Answered);
        hearing::begin(context, call);
        let keyed = call.legs().all(|(_, leg)| leg.keyed);
        self.set_deadline(id, (!keyed).then(|| now + MEDIA_KEYED_WITHIN));
        self.expect_media(now, id);
        self.arm_timer(now, id, Party::Caller);
        self.arm_timer(now, id, Party::Callee);
    }

    /// The echo line answers by itself: what comes in goes back.
    pub(crate) fn answer_echo(&mut self, context: &mut Context, now: Instant, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let plan = match sdp::plan_local_answer(&call.offer, &CodecPolicy::browser()) {
            Ok(plan) => plan,
            Err(refusal) => {
                return self.end(
                    context,
                    now,
                    id,
                    Cause::because(&Why::UnusableAnswer(refusal.text)),
                );
            }
        };
        let Some(leg) = call.caller.as_mut() else {
            return;
        };
        for route in sdp::echo_routes(&call.offer, &plan) {
            set_route(context, leg, leg, &route, &route.to_target);
            note_codec(&mut call.codec, &route);
        }
        call.answer = Some(leg.sdp.write_answer(&call.offer, &plan, &leg.local));
        self.answer_caller(context, now, id);
    }

    /// A failure of the callee becomes the caller's.
    fn rejected(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
        response: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.callee.as_mut() else {
            return;
        };
        leg.invite = Invite::Over;
        let callee = leg.side;
        if call.state != State::Calling {
            return self.finish_if_done(context, now, id);
        }
        let best = call
            .attempt()
            .map_or(status, |attempt| attempt.note(status));
        if self.fail_over(context, now, id, status) {
            return;
        }
        if best != status {
            let reason = format!("no target of the trunk took the call, the last with {status}");
            return self.end(context, now, id, Cause::of(best, reason));
        }
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if matches!(status, 401 | 407) && context.has_account(callee) {
            // The caller has nothing to answer that with.
            let reason = "the trunk does not take the credentials of its account";
            return self.end(context, now, id, Cause::of(403, reason));
        }
        call.note_session_id(response);
        let status = caller_status(call.counted.caller, status);
        if let Some(caller) = call.caller.as_mut() {
            let mut answer = Message::response_to(&call.invite.message, status, None);
            answer.set_to_tag(&caller.dialog.local_tag);
            headers::copy_response(
                context,
                (callee, call.counted.caller),
                response,
                &mut answer,
            );
            caller.dialog.name_session(&mut answer);
            copy_challenges(response, &mut answer);
            context.respond(now, call.invite.transaction, answer);
            caller.invite = Invite::Over;
        }
        let reason = format!("callee answered {status}");
        self.end(context, now, id, Cause::of(status, reason));
    }
}

impl Calls {
    /// The session interval is too brief for the callee: it is called again, once, with one that
    /// it takes (RFC 4028 section 7.3).
    fn call_again(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        refused: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let (Some(leg), Some(min_s)) = (call.callee.as_mut(), session_timer::min_se(response))
        else {
            return false;
        };
        let is_first = leg.min_se_s == 0;
        if call.state != State::Calling || !is_first || !raise_interval(leg, min_s) {
            return false;
        }
        if let Some(outgoing) = &call.outgoing {
            leg.forks.clear();
            leg.dialog = leg.dialog.of_fork(leg.invite_sequence);
            leg.dialog.remote_target.clone_from(&outgoing.request_uri);
            leg.dialog.route_set.clone_from(&outgoing.routes);
        }
        self.by_client_invite.remove(&refused);
        self.call_callee(context, now, id);
        true
    }

    /// Our INVITE found no answer. False if the transaction is none of ours.
    pub(crate) fn invite_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(id) = self.by_client_invite.get(&transaction).copied() else {
            return false;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return false;
        };
        let mut status = status;
        if let Some(leg) = call.callee.as_mut() {
            // A browser that has gone is no fault of this gateway: a carrier that is told 503
            // takes the gateway out of service.
            if leg.side == Side::Browser && status == 503 {
                status = 480;
            }
            // A 2xx that was answered leaves the dialog to its BYE.
            if matches!(leg.invite, Invite::Client(_)) {
                leg.invite = Invite::Over;
            }
        }
        let best = call
            .attempt()
            .map_or(status, |attempt| attempt.note(status));
        if self.fail_over(context, now, id, status) {
            return true;
        }
        let (status, Some(call)) = (best, self.calls.get_mut(&id)) else {
            return false;
        };
        if call.state == State::Calling {
            self.end(context, now, id, Cause::of(status, "callee did not answer"));
        } else {
            self.finish_if_done(context, now, id);
        }
        true
    }
}

/// What a failure of the callee means to the caller: a redirection is not followed, as it would
/// leave the trunk. What a browser says of itself is not said of the gateway: a 503 would take it
/// out of the carrier's service (RFC 3261 section 16.7), a challenge would come without one.
const fn caller_status(caller: Side, status: u16) -> u16 {
    match (caller, status) {
        (_, 300..=399) => 480,
        (Side::Trunk(_), 503) => 500,
        (Side::Trunk(_), 401 | 407) => 403,
        (_, other) => other,
    }
}

/// Challenges of the carrier, as browsers can take them (RFC 8760, SIP over WebSocket stacks read
/// one challenge and know MD5).
pub(crate) fn copy_challenges(response: &Message, answer: &mut Message) {
    for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
        for challenge in digest::browser_challenges(response.headers(&name)) {
            answer.push(&name, challenge);
        }
    }
}

/// A 200 with our description.
pub(crate) fn accept(context: &Context, leg: &mut Leg, request: &Message, text: String) -> Message {
    let mut answer = Message::response_to(request, 200, None);
    answer.set_to_tag(&leg.dialog.local_tag);
    answer.copy_from(request, HeaderName::RecordRoute);
    answer.push(HeaderName::Contact, leg.contact(context));
    answer.push(HeaderName::Allow, ALLOW);
    leg.dialog.name_session(&mut answer);
    if matches!(request.method(), Method::Invite | Method::Update) {
        grant_timer(context, leg, request, &mut answer);
    }
    if !text.is_empty() {
        answer.set_body("application/sdp", Bytes::from(text));
    }
    answer
}

/// What the peer is granted of a session timer, for this leg and for the 2xx to its request.
pub(crate) fn grant_timer(
    context: &Context,
    leg: &mut Leg,
    request: &Message,
    answer: &mut Message,
) {
    leg.note_allow(request);
    answer.push(HeaderName::Supported, "timer");
    let policy = timer_policy(context, leg.side, leg.takes_update);
    leg.timer = SessionTimer::grant(request, answer, policy);
}

/// Early media of a provisional response, and whether the caller may hear them.
fn take_early_media(context: &mut Context, call: &mut Call, callee: Side, response: &Message) {
    if let Some(is_off) = early_media_off(callee, response)
        && is_off != call.early_media_off
    {
        call.early_media_off = is_off;
        rejoin(context, call);
    }
    if let Some(description) = response.description()
        && connect(context, call, &description).is_err()
    {
        // Early media that cannot be carried is no reason to refuse: the 200 decides.
        context.log(crate::engine::output::LogLine::Refused {
            peer: call.invite.peer,
            reason: "early media that cannot be carried".to_owned(),
        });
    }
}

/// What a carrier says of its early media (RFC 5009 section 8): true if the caller must not hear
/// them. The value is that of the side that says it.
fn early_media_off(side: Side, response: &Message) -> Option<bool> {
    if side == Side::Browser {
        return None;
    }
    let value = response.header(HeaderName::PEarlyMedia)?;
    let has = |word: &str| {
        value
            .split(',')
            .any(|v| v.trim().eq_ignore_ascii_case(word))
    };
    if has("sendrecv") || has("sendonly") {
        Some(false)
    } else {
        (has("inactive") || has("recvonly")).then_some(true)
    }
}
