//! What comes inside a dialog: ACK, BYE, re-INVITE and UPDATE, INFO and MESSAGE.

use std::time::Instant;

use super::admit::{is_unsupported, refuse_body, refuse_invite};
use super::answer::{accept, grant_timer};
use super::cause::{Cause, Why};
use super::dialog::has_alien_contact;
use super::headers;
use super::leg::{Leg, Side};
use super::refer::pass_notify;
use super::referred::Wanted;
use super::state::State;
use super::{CallId, Calls, Party};
use crate::engine::context::{Context, Incoming};
use crate::engine::input::Peer;
use crate::limits::RELAYS_PER_CALL_MAX;
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId};
use crate::sip::{HeaderName, Message, Method};

/// A request that was passed on to the other leg and waits for its answer.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(super) call: CallId,
    pub(super) from: Party,
    pub(super) request: Incoming,
}

/// What becomes of a request inside a dialog.
#[derive(Debug)]
pub(crate) enum InDialog {
    /// It is answered, or will be.
    Taken,
    /// The dialog is none of ours.
    NotOurs(Incoming),
    /// A transfer, once it is known where to.
    Transfer(Box<Wanted>),
}

impl Calls {
    /// An ACK to a 2xx of ours.
    pub(crate) fn acknowledged(
        &mut self,
        context: &mut Context,
        now: Instant,
        peer: Peer,
        message: &Message,
    ) {
        let Some((id, party)) = self.find(message) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call
            .leg(party)
            .is_some_and(|leg| may_speak_for(context, leg, peer))
        {
            return;
        }
        if party == Party::Caller && call.state == State::Answered {
            call.become_state(State::Talking);
        }
        let answer = message.description().unwrap_or_default();
        self.late_answer(context, now, id, party, &answer);
        self.settle(context, now, id);
    }

    /// The 2xx of an INVITE was never acknowledged (RFC 3261 section 13.3.1.4).
    pub(crate) fn ack_missing(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ServerTransactionId,
    ) {
        if let Some(id) = self.by_server_invite.get(&transaction).copied() {
            self.end(context, now, id, Cause::because(&Why::NotAcknowledged));
        }
    }

    /// A request inside a dialog.
    pub(crate) fn dialog_request(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
    ) -> InDialog {
        let Some((id, party)) = self.find(&request.message) else {
            return self.request_after_call(context, now, request);
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return InDialog::NotOurs(request);
        };
        let state = call.state;
        let outlives = request.method() == Method::Bye
            || (request.method() == Method::Notify && call.is_told_of_transfers());
        let is_gone = call.is_gone(party);
        let Some(leg) = call.leg_mut(party) else {
            return InDialog::NotOurs(request);
        };
        if !may_speak_for(context, leg, request.peer) {
            context.refuse(now, &request, 403, "request in a dialog of somebody else");
            return InDialog::Taken;
        }
        if is_gone || (state == State::Ending && !outlives) {
            return InDialog::NotOurs(request);
        }
        if leg.dialog.learn_from_request(&request.message).is_err() {
            // RFC 3261 section 12.2.2: a lower sequence number is answered with 500.
            context.refuse(now, &request, 500, "sequence number out of order");
            return InDialog::Taken;
        }
        // The user may have come back on another connection.
        self.move_leg(id, party, request.peer);
        if state == State::Left && !matches!(request.method(), Method::Bye | Method::Options) {
            context.refuse(now, &request, 480, "the other side was transferred");
            return InDialog::Taken;
        }
        if let Some(status) = unacceptable(&request.message) {
            refuse_invite(context, now, &request, status);
            return InDialog::Taken;
        }
        if matches!(request.method(), Method::Invite | Method::Update)
            && let Err(error) = request.message.session_description()
        {
            refuse_body(context, now, &request, error);
            return InDialog::Taken;
        }
        match request.method() {
            Method::Refer => return self.refer(context, now, id, party, request),
            Method::Bye => self.hung_up(context, now, id, party, &request),
            Method::Invite | Method::Update => self.reoffer(context, now, id, party, request),
            Method::Prack => self.provisional_acknowledged(context, now, id, party, request),
            Method::Info | Method::Message | Method::Notify => {
                self.relay(context, now, id, party, request);
            }
            Method::Options => {
                let response = context.response(&request.message, 200);
                context.respond(now, request.transaction, response);
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Other(_) => context.refuse(now, &request, 405, "method not taken in a call"),
        }
        InDialog::Taken
    }

    /// A response to a request that was passed on. False if it is none of those.
    pub(crate) fn relay_response(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        response: &Message,
    ) -> bool {
        let status = response.status().unwrap_or_default();
        if status < 200 {
            return self.relays.contains_key(&transaction);
        }
        let Some(relay) = self.take_relay(transaction) else {
            return false;
        };
        let mut answer = context.response(&relay.request.message, status);
        headers::copy_relayed_response(response, &mut answer);
        if relay.request.method() == Method::Refer {
            self.refer_answered(&relay, response);
        }
        let call = self.calls.get(&relay.call);
        if let Some(leg) = call.and_then(|call| call.leg(relay.from)) {
            leg.dialog.name_session(&mut answer);
            if relay.request.method() == Method::Refer {
                answer.push(HeaderName::Contact, leg.contact(context));
            }
        }
        if let Some(media_type) = response.header(HeaderName::ContentType) {
            answer.set_body(media_type, response.body().clone());
        }
        context.respond(now, relay.request.transaction, answer);
        if status == 481 {
            self.end(context, now, relay.call, Cause::because(&Why::NoSuchCall));
        }
        true
    }

    /// A request that was passed on found no answer.
    pub(crate) fn relay_failed(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let Some(relay) = self.take_relay(transaction) else {
            return false;
        };
        context.refuse(now, &relay.request, status, "no answer from the other side");
        true
    }

    fn take_relay(&mut self, transaction: ClientTransactionId) -> Option<Relay> {
        let relay = self.relays.remove(&transaction)?;
        if let Some(call) = self.calls.get_mut(&relay.call) {
            call.relays.remove(&transaction);
        }
        Some(relay)
    }

    fn hung_up(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        bye: &Incoming,
    ) {
        let response = context.response(&bye.message, 200);
        context.respond(now, bye.transaction, response);
        let transfer = self.calls.get(&id).and_then(|call| call.transfer.as_ref());
        if transfer.is_some_and(|transfer| transfer.by == party) {
            return self.referrer_left(context, now, (id, party));
        }
        let text = match party {
            Party::Caller => "caller hung up",
            Party::Callee => "callee hung up",
        };
        let cause = Cause::said_by(party, text, &bye.message);
        self.end(context, now, id, cause);
    }

    /// INFO, MESSAGE, REFER and NOTIFY pass, and their answers come back.
    pub(super) fn relay(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
    ) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        if call.relays.len() >= RELAYS_PER_CALL_MAX {
            let reason = "too many requests under way in the call";
            return context.refuse(now, &request, 503, reason);
        }
        let Some(leg) = call.leg(party.other()).filter(|_| !is_for_us(&request)) else {
            // The echo line takes everything and does nothing with it.
            let response = context.response(&request.message, 200);
            return context.respond(now, request.transaction, response);
        };
        if call.is_gone(party.other()) {
            return context.refuse(now, &request, 480, "the other side has hung up");
        }
        if leg.dialog.remote_tag.is_none() {
            return context.refuse(now, &request, 500, "no dialog with the other side yet");
        }
        let Some(request) = self.send_digit(context, now, id, party, request) else {
            return;
        };
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Some(leg) = call.leg(party.other()) else {
            return;
        };
        let method = request.method();
        let mut passed = Message::request(method.clone(), "");
        for name in ["Info-Package", "Content-Disposition"] {
            passed.copy_from(&request.message, name);
        }
        if method == Method::Refer {
            let from = call.leg(party).map_or(leg.side, |leg| leg.side);
            let sides = (from, leg.side);
            let is_sound = self.pass_refer(context, sides, &request.message, &mut passed);
            if is_sound.is_none() {
                return context.refuse(now, &request, 400, "Refer-To not understood");
            }
        } else if method == Method::Notify {
            pass_notify(&call.refers, party, &request.message, &mut passed);
        }
        self.send_relay(context, now, id, party, request, &passed);
    }

    fn send_relay(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
        passed: &Message,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(leg) = call.leg_mut(party.other()) else {
            return;
        };
        let method = request.method();
        let onward = write_passed(context, leg, &request.message, passed);
        let numbers = leg.dialog.local_sequence..leg.dialog.local_sequence + leg.dialog.stride;
        let transaction = leg.send(context, now, onward);
        if method == Method::Refer {
            call.note_refer(party, &request.message, numbers);
        }
        call.relays.insert(transaction);
        let from = party;
        let relay = Relay {
            call: id,
            from,
            request,
        };
        self.relays.insert(transaction, relay);
    }

    /// A session refresh without description.
    pub(crate) fn refresh(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: &Incoming,
    ) {
        let is_invite = request.method() == Method::Invite;
        let offer = is_invite.then(|| self.offer_in_answer(context, id, party));
        let leg = self.calls.get_mut(&id).and_then(|call| call.leg_mut(party));
        let Some(leg) = leg else { return };
        let mut response = if let Some(offer) = offer {
            leg.awaits_answer = true;
            accept(context, leg, &request.message, offer)
        } else {
            let mut response = context.response(&request.message, 200);
            response.push(HeaderName::Contact, leg.contact(context));
            grant_timer(context, leg, &request.message, &mut response);
            response
        };
        response.remove(HeaderName::RecordRoute);
        context.respond(now, request.transaction, response);
        self.arm_timer(now, id, party);
    }

    /// The call and leg that a request inside a dialog is for.
    fn find(&self, message: &Message) -> Option<(CallId, Party)> {
        let key = (message.call_id().to_owned(), message.to_tag()?.to_owned());
        let (id, party) = *self.by_dialog.get(&key)?;
        let leg = self.calls.get(&id)?.leg(party)?;
        let remote = leg.dialog.remote_tag.as_deref();
        (remote.is_none() || remote == message.from_tag()).then_some((id, party))
    }
}

/// What a request within a dialog is refused for before it is looked at: extensions that are not
/// known here (RFC 3261 section 8.2.2.3), an address that nothing can be sent to. A BYE is always
/// taken, a transfer knows extensions of its own.
fn unacceptable(request: &Message) -> Option<u16> {
    let method = request.method();
    if matches!(method, Method::Bye | Method::Refer) {
        return None;
    }
    if request.values(HeaderName::Require).any(is_unsupported) {
        return Some(420);
    }
    let refreshes = matches!(method, Method::Invite | Method::Update);
    (refreshes && has_alien_contact(request)).then_some(416)
}

/// Candidates of a browser (RFC 8840): we need none, and the other side must not see them.
fn is_for_us(request: &Incoming) -> bool {
    let media_type = request.message.header(HeaderName::ContentType);
    media_type.is_some_and(|text| {
        text.split(';').next().is_some_and(|text| {
            text.trim()
                .eq_ignore_ascii_case("application/trickle-ice-sdpfrag")
        })
    })
}

/// A request that passes, in the dialog of this leg.
pub(super) fn write_passed(
    context: &Context,
    leg: &mut Leg,
    request: &Message,
    passed: &Message,
) -> Message {
    let method = request.method();
    let mut onward = leg.dialog.request(method.clone());
    for (name, value) in passed.lines() {
        onward.push(name, value);
    }
    if matches!(method, Method::Refer | Method::Notify) {
        onward.push(HeaderName::Contact, leg.contact(context));
    }
    if let Some(media_type) = request.header(HeaderName::ContentType) {
        onward.set_body(media_type, request.body().clone());
    }
    onward
}

/// Requests of a dialog come from its peer: for a trunk, from an address of its own; for a browser,
/// over a WebSocket with both tags, which only the two sides know.
pub(super) fn may_speak_for(context: &Context, leg: &Leg, peer: Peer) -> bool {
    match (leg.side, peer) {
        (Side::Browser, Peer::WebSocket(_)) => true,
        (Side::Trunk(index), Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_)) => {
            context.trunks.is_or_was_source(index, peer)
        }
        (Side::Browser, Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_))
        | (Side::Trunk(_), Peer::WebSocket(_)) => false,
    }
}
