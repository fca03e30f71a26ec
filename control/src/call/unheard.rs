//! A call that is answered and of which nothing comes: said once in the log, with what did come and
//! what to look at. The call itself goes on until other clocks end it.

use std::time::Instant;

use dataplane::link::FlowId;

use super::leg::{Leg, Side};
use super::{CallId, Calls, Party, hearing};
use crate::engine::context::Context;
use crate::engine::output::{LogLine, Unheard};

/// What has come from the peer of a leg so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// A check of ICE has chosen where the media of a browser go.
    pub(crate) is_reached: bool,
    /// A packet of media was authentic, or from where it was to come.
    pub(crate) is_heard: bool,
}

impl Calls {
    /// A worker has heard something of the peer of this flow.
    pub(super) fn heard(&mut self, flow: FlowId, note: impl FnOnce(&mut Heard)) {
        let leg = self.leg_of(flow).and_then(|(id, party)| {
            let call = self.calls.get_mut(&id)?;
            call.leg_mut(party)
        });
        if let Some(leg) = leg {
            note(&mut leg.heard);
        }
    }

    /// The call was answered a while ago: media should have come from each side that sends.
    pub(super) fn unheard_due(&self, context: &mut Context, id: CallId) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        for (party, leg) in call.legs() {
            if leg.heard.is_heard || !hearing::sends(leg) {
                continue;
            }
            let trunk = call.log.trunk.clone();
            context.log(LogLine::Unheard(Unheard {
                session_id: call.log.session_id.clone(),
                from: match (leg.side, party) {
                    (Side::Browser, Party::Caller) => "the calling browser".to_owned(),
                    (Side::Browser, Party::Callee) => "the called browser".to_owned(),
                    (Side::Trunk(_), _) => format!("trunk {}", trunk.unwrap_or_default()),
                },
                what_came: what_came(leg),
                port: leg.local.audio_port,
            }));
        }
    }

    /// Media are to come within a while from now on.
    pub(super) fn expect_media(&mut self, now: Instant, id: CallId) {
        let at = now + crate::limits::MEDIA_HEARD_WITHIN;
        self.alarms.set(id, super::alarms::Alarm::Unheard, Some(at));
    }
}

fn what_came(leg: &Leg) -> &'static str {
    match leg.side {
        Side::Trunk(_) => "no RTP",
        Side::Browser if leg.keyed => "ICE and DTLS are done, but no RTP",
        Side::Browser if leg.heard.is_reached => "ICE is done, but not DTLS",
        Side::Browser => "no valid ICE check",
    }
}
