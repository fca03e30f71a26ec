//! Where a transfer leads that ringway carries out itself: where the browser's own call would go.

use std::time::Instant;

use super::Engine;
use super::context::Incoming;
use super::routing::{NoRoute, Proof};
use crate::call::outgoing::OutgoingInvite;
use crate::call::referred::Wanted;
use crate::call::setup::Target;
use crate::sip::Message;

impl Engine {
    /// A REFER in a call, for ringway to carry out.
    pub(super) fn transfer(&mut self, now: Instant, wanted: &Wanted) {
        if self.calls.join_calls(&mut self.context, now, wanted) {
            return;
        }
        match self.route_transfer(now, wanted) {
            Ok((invite, target)) => {
                let context = &mut self.context;
                self.calls.transfer(context, now, wanted, invite, target);
            }
            Err(no_route) => self.refuse_route(now, &wanted.request, no_route),
        }
    }

    /// What the browser of the call would send to the new party, and where that would go.
    fn route_transfer(
        &mut self,
        now: Instant,
        wanted: &Wanted,
    ) -> Result<(Message, OutgoingInvite), NoRoute> {
        let invite = self.calls.referred_invite(wanted);
        let (connection, invite) = invite.ok_or((403, "a transfer by nobody's right"))?;
        let request = Incoming {
            message: invite,
            ..wanted.request.clone()
        };
        match self.route_from_browser(now, connection, &request, Proof::Given)? {
            Some(Target::Leg(outgoing)) => Ok((request.message, *outgoing)),
            Some(Target::Echo) => Err((603, "the echo line can be joined with nobody")),
            None => Err((403, "a transfer of somebody unknown")),
        }
    }
}
