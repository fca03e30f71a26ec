//! What a referrer is told of its transfer: NOTIFY with a fragment of a message (RFC 3515 section
//! 2.4.4, RFC 3420).

use std::time::Instant;

use super::leg::Invite;
use super::{CallId, Calls};
use crate::engine::context::Context;
use crate::limits::RINGING_TIME_MAX;
use crate::sip::status::reason_phrase;
use crate::sip::{HeaderName, Method};

impl Calls {
    /// Tells the referrer of this call a status of its transfer, unless it wants to hear nothing or
    /// knows it. With the last one the subscription ends.
    pub(super) fn report(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        status: u16,
        is_last: bool,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(transfer) = call.transfer.as_mut() else {
            return;
        };
        let known = std::mem::replace(&mut transfer.told, status) == status;
        if !transfer.reports || (known && !is_last) {
            return;
        }
        let (by, number) = (transfer.by, transfer.number);
        let Some(leg) = call.leg_mut(by).filter(|leg| leg.invite != Invite::Over) else {
            return;
        };
        let mut notify = leg.dialog.request(Method::Notify);
        notify.push(HeaderName::Contact, leg.contact(context));
        notify.push(HeaderName::Event, format!("refer;id={number}"));
        let state = match is_last {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={}", RINGING_TIME_MAX.as_secs()),
        };
        notify.push(HeaderName::SubscriptionState, state);
        let body = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        notify.set_body("message/sipfrag;version=2.0", body.into());
        leg.send(context, now, notify);
    }
}
