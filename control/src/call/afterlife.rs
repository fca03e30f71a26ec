//! What is left of a call that is over: a BYE ends the session of a dialog, and not the
//! subscription that a REFER has begun in it (RFC 5057 section 4). Its NOTIFYs pass for a while.

use std::time::Instant;

use super::alarms::Alarm;
use super::dialog_requests::{InDialog, Relay, may_speak_for, write_passed};
use super::leg::Leg;
use super::refer::{Refer, pass_notify};
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{Context, Incoming};
use crate::limits::{AFTERLIVES_MAX, NOTIFIES_AFTER_CALL_MAX, SUBSCRIPTION_OUTLIVES_CALL};
use crate::sip::{HeaderName, Message, Method};

/// Both dialogs of a call that is over, without flows.
#[derive(Debug)]
pub(crate) struct Afterlife {
    caller: Leg,
    callee: Leg,
    refers: Vec<Refer>,
    notifies: u8,
}

impl Afterlife {
    const fn leg_mut(&mut self, party: Party) -> &mut Leg {
        match party {
            Party::Caller => &mut self.caller,
            Party::Callee => &mut self.callee,
        }
    }
}

impl Calls {
    /// A REFER that was passed on is answered.
    pub(super) fn refer_answered(&mut self, relay: &Relay, response: &Message) {
        let is_taken = matches!(response.status(), Some(200..=299));
        let refuses = |value: &str| value.trim().eq_ignore_ascii_case("false");
        let is_silent = response.header(HeaderName::ReferSub).is_some_and(refuses);
        if let Some(call) = self.calls.get_mut(&relay.call)
            && (!is_taken || is_silent)
        {
            call.forget_refer(relay.from, &relay.request.message);
        }
    }

    /// Keeps the dialogs of a call that is forgotten, if its transfers are told of.
    pub(super) fn outlive(&mut self, now: Instant, call: Call) {
        let id = call.id;
        let (true, Some(caller), Some(callee)) =
            (call.is_told_of_transfers(), call.caller, call.callee)
        else {
            return;
        };
        while self.afterlives.len() >= AFTERLIVES_MAX
            && let Some(oldest) = self.afterlives.keys().next().copied()
        {
            self.forget(oldest);
        }
        for (party, leg) in [(Party::Caller, &caller), (Party::Callee, &callee)] {
            let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
            self.by_dialog.entry(key).or_insert((id, party));
        }
        let left = Afterlife {
            caller,
            callee,
            refers: call.refers,
            notifies: 0,
        };
        self.afterlives.insert(id, left);
        let at = now + SUBSCRIPTION_OUTLIVES_CALL;
        self.alarms.set(id, Alarm::Forget, Some(at));
    }

    /// The dialogs of a call that is over are kept no longer.
    pub(super) fn forget(&mut self, id: CallId) {
        self.alarms.set(id, Alarm::Forget, None);
        let Some(left) = self.afterlives.remove(&id) else {
            return;
        };
        for leg in [&left.caller, &left.callee] {
            let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
            if self.by_dialog.get(&key).is_some_and(|(of, _)| *of == id) {
                self.by_dialog.remove(&key);
            }
        }
    }

    /// A request in a dialog of no call: a NOTIFY may be of one that is over.
    pub(super) fn request_after_call(
        &mut self,
        context: &mut Context,
        now: Instant,
        request: Incoming,
    ) -> InDialog {
        let Some((id, party)) = self.find_afterlife(&request.message) else {
            return InDialog::NotOurs(request);
        };
        let Some(left) = self.afterlives.get_mut(&id) else {
            return InDialog::NotOurs(request);
        };
        let leg = left.leg_mut(party);
        if !may_speak_for(context, leg, request.peer) {
            context.refuse(now, &request, 403, "request in a dialog of somebody else");
            return InDialog::Taken;
        }
        if leg.dialog.learn_from_request(&request.message).is_err() {
            context.refuse(now, &request, 500, "sequence number out of order");
            return InDialog::Taken;
        }
        left.notifies += 1;
        let mut passed = Message::request(Method::Notify, "");
        pass_notify(&left.refers, party, &request.message, &mut passed);
        let other = left.leg_mut(party.other());
        let onward = write_passed(context, other, &request.message, &passed);
        let transaction = other.send(context, now, onward);
        let relay = Relay {
            call: id,
            from: party,
            request,
        };
        self.relays.insert(transaction, relay);
        let at = now + SUBSCRIPTION_OUTLIVES_CALL;
        self.alarms.set(id, Alarm::Forget, Some(at));
        InDialog::Taken
    }

    /// The dialog that a NOTIFY is in, if its call is over and it may still pass.
    fn find_afterlife(&self, message: &Message) -> Option<(CallId, Party)> {
        let key = (message.call_id().to_owned(), message.to_tag()?.to_owned());
        let (id, party) = *self.by_dialog.get(&key)?;
        let left = self.afterlives.get(&id)?;
        let leg = match party {
            Party::Caller => &left.caller,
            Party::Callee => &left.callee,
        };
        let is_it = message.method() == Method::Notify
            && leg.dialog.remote_tag.as_deref() == message.from_tag()
            && left.notifies < NOTIFIES_AFTER_CALL_MAX;
        is_it.then_some((id, party))
    }
}
