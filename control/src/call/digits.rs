//! Digits (DTMF) that change their form on the way to a trunk: INFO here, telephone-events (RFC
//! 4733) there.

use std::time::{Duration, Instant};

use dataplane::limits::{DIGIT_DURATION_MAX, DIGIT_DURATION_MIN, DIGIT_PAUSE};
use dataplane::link::{Command, Media, SendDigit};

use super::leg::Side;
use super::{Call, CallId, Calls, Party};
use crate::config::Dtmf;
use crate::engine::context::{Context, Incoming};
use crate::limits::DIGITS_BACKLOG_MAX;
use crate::sdp::{self, Codec};
use crate::sip::digit::Digit;
use crate::sip::{HeaderName, Method};

impl Calls {
    /// A digit in an INFO becomes telephone-events, if the other side is a trunk that wants those.
    /// Gives the request back if it is to pass as it is.
    pub(super) fn send_digit(
        &mut self,
        context: &mut Context,
        now: Instant,
        id: CallId,
        party: Party,
        request: Incoming,
    ) -> Option<Incoming> {
        let Some(parsed) = digit_in(&request) else {
            return Some(request);
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return Some(request);
        };
        let Some(codec) = wanted_event(context, call, party).cloned() else {
            return Some(request);
        };
        let digit = match parsed {
            Ok(digit) if codec.takes_event(digit.event) => digit,
            Ok(_) => return Some(request),
            Err(error) => {
                context.refuse(now, &request, 400, error.to_string());
                return None;
            }
        };
        let leg = call.leg_mut(party)?;
        let begins = leg.digits_until.map_or(now, |until| until.max(now));
        if begins.saturating_duration_since(now) > DIGITS_BACKLOG_MAX {
            context.refuse(now, &request, 503, "too many digits wait to be sent");
            return None;
        }
        let lasts = digit.duration.clamp(DIGIT_DURATION_MIN, DIGIT_DURATION_MAX);
        leg.digits_until = Some(begins + lasts + DIGIT_PAUSE);
        let command = Command::SendDigit(SendDigit {
            from: leg.flow(Media::Audio),
            event: digit.event,
            duration: lasts,
            payload_type: codec.payload_type,
            clock_hz: codec.clock_hz,
        });
        leg.command(context, command);
        let mut response = context.response(&request.message, 200);
        leg.dialog.name_session(&mut response);
        context.respond(now, request.transaction, response);
        None
    }
}

/// The digit in an INFO of the old kind, without a package (RFC 6086); `None` if it has something
/// else.
fn digit_in(request: &Incoming) -> Option<Result<Digit, crate::sip::digit::BadDigit>> {
    let message = &request.message;
    if request.method() != Method::Info || message.header("Info-Package").is_some() {
        return None;
    }
    let media_type = message.header(HeaderName::ContentType)?;
    Digit::parse(media_type, message.body())
}

/// The telephone-event that the trunk on the other side of `party` takes in place of INFO now.
fn wanted_event<'a>(context: &Context, call: &'a Call, party: Party) -> Option<&'a Codec> {
    let (from, to) = (call.leg(party)?, call.leg(party.other())?);
    if dtmf(context, to.side)? != Dtmf::Rfc4733 {
        return None;
    }
    let (source, target) = (from.remote.as_ref()?, to.remote.as_ref()?);
    sdp::event_towards(source, target, call.clock_hz()?)
}

/// How a trunk takes digits; `None` for a browser.
pub(super) fn dtmf(context: &Context, side: Side) -> Option<Dtmf> {
    match side {
        Side::Browser => None,
        Side::Trunk(index) => Some(context.config.trunks.get(index)?.calls.dtmf),
    }
}

impl Call {
    /// How long a digit of this side has lasted: a worker counts in the clock of the audio, and the
    /// telephone-event of the side may have the usual one.
    pub(super) fn digit_lasts(&self, party: Party, counted: Duration) -> Duration {
        let scale = || {
            let audio_hz = self.clock_hz()?;
            let audio = self.leg(party)?.remote.as_ref()?.audio()?;
            let events = audio
                .codecs
                .iter()
                .filter(|codec| codec.is_telephone_event());
            let clocks: Vec<u32> = events.map(|event| event.clock_hz).collect();
            let event_hz = clocks.first().filter(|_| !clocks.contains(&audio_hz))?;
            audio_hz.checked_div(*event_hz)
        };
        counted.saturating_mul(scale().unwrap_or(1).max(1))
    }

    /// The clock rate of the audio codec in use; `None` before there is one.
    fn clock_hz(&self) -> Option<u32> {
        let (_, clock_hz) = self.codec.as_deref()?.split_once('/')?;
        clock_hz.parse().ok()
    }
}
