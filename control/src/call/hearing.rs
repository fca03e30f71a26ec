//! Who must be heard, and for how long a side may be silent: by what was agreed on that leg. A
//! side that is held need not send (RFC 3264 section 8.4).

use std::time::Duration;

use dataplane::link::{Command, FlowId, Media};

use super::leg::{Leg, Side};
use super::{Call, Party};
use crate::engine::context::Context;
use crate::sdp::{Direction, RemoteDescription, RemoteMedia};

/// The flow that a carrier's silence is measured at, and how long it may last; `None` within: for
/// ever. The carrier must be heard if it says that it sends and receives, and what it sends goes
/// to somebody. One that only sends has put us on hold, perhaps without music; one whose media
/// go nowhere has been put on hold. A leg without a medium, or of a browser, has no such flow: a
/// browser's consent checks go on during a hold (RFC 7675).
pub(super) fn expected(
    context: &Context,
    leg: &Leg,
    other: &Leg,
) -> Option<(FlowId, Option<Duration>)> {
    if leg.side == Side::Browser {
        return None;
    }
    let remote = leg.remote.as_ref()?;
    let (media, said) = main_medium(remote)?;
    let is_taken = other.remote.as_ref().is_none_or(|other| {
        let taken = medium(other, media);
        taken.is_some_and(|taken| taken.direction.receives())
    });
    let config = &context.config.media;
    let talks = said.direction == Direction::SendRecv && is_taken;
    let within = match talks {
        true => Some(config.silent_after),
        false => config.held_silent_after,
    };
    Some((leg.flow(media), within))
}

/// Tells the worker how long the peer of a leg may be silent.
pub(super) fn expect(context: &mut Context, leg: &Leg, other: &Leg) {
    if let Some((flow, within)) = expected(context, leg, other) {
        leg.command(context, Command::ExpectMedia { flow, within });
    }
}

/// A call is answered: what was silent before counts no more.
pub(super) fn begin(context: &mut Context, call: &Call) {
    let (Some(caller), Some(callee)) = (&call.caller, &call.callee) else {
        return;
    };
    for (leg, other) in [(caller, callee), (callee, caller)] {
        if let Some((flow, _)) = expected(context, leg, other) {
            leg.command(context, Command::ExpectMedia { flow, within: None });
        }
        expect(context, leg, other);
    }
}

/// Does this silence of a flow end the call?
pub(super) fn is_fatal(
    context: &Context,
    call: &Call,
    (party, flow): (Party, FlowId),
    silent_for: Duration,
) -> bool {
    let Some(leg) = call.leg(party).filter(|_| !call.is_gone(party)) else {
        return false;
    };
    if leg.side == Side::Browser {
        return true;
    }
    let expected = call
        .leg(party.other())
        .and_then(|other| expected(context, leg, other));
    // A report may have crossed the end of a hold, or its beginning.
    expected.is_some_and(|(measured, within)| {
        measured == flow && within.is_some_and(|within| silent_for >= within)
    })
}

/// Audio where there is any, else video.
/// True if the peer of this leg has said that it sends.
pub(super) fn sends(leg: &Leg) -> bool {
    let said = leg.remote.as_ref().and_then(main_medium);
    said.is_some_and(|(_, medium)| medium.direction.sends())
}

fn main_medium(remote: &RemoteDescription) -> Option<(Media, &RemoteMedia)> {
    let audio = remote.audio().map(|audio| (Media::Audio, audio));
    audio.or_else(|| remote.video().map(|video| (Media::Video, video)))
}

fn medium(remote: &RemoteDescription, media: Media) -> Option<&RemoteMedia> {
    match media {
        Media::Audio => remote.audio(),
        Media::Video => remote.video(),
    }
}
