//! What joins the two legs of a call: peers and routes, from what both sides have said.

use bytes::Bytes;
use dataplane::link::{
    Cname, Command, Feedback, IceCredentials, IceFragment, Media, PayloadTypeMap, Route, Ssrc,
};

use super::digits::dtmf;
use super::flows::connect_remote;
use super::leg::{Leg, Side};
use super::setup::read_offer;
use super::state::State;
use super::{Call, hearing};
use crate::config::Dtmf;
use crate::engine::context::Context;
use crate::sdp::{self, Codec, LegProfile, MediaKind, MediaRoute, PayloadPair, Refusal};

/// The callee's description has come: peers, our answer to the caller, and routes. What a caller
/// that has had its answer must be told of it waits for its ACK (`settle`).
pub(super) fn connect(context: &mut Context, call: &mut Call, body: &Bytes) -> Result<(), Refusal> {
    let (Some(leg), Some(plan)) = (call.callee.as_mut(), &call.plan) else {
        return Ok(());
    };
    let remote = read_offer(context, leg.side, body)?;
    let answer = sdp::plan_answer(&call.offer, plan, &remote)?;
    if leg.invited.is_none() {
        leg.invited = Some(Box::new(leg.sdp.clone()));
    }
    leg.sdp.note_answer(&remote);
    leg.sdp.hear(&remote);
    if leg.side == Side::Browser {
        learn_ice(context, leg, &remote);
    }
    leg.remote = Some(remote);
    connect_remote(context, leg);
    if let Some(caller) = call.caller.as_mut()
        && call.answer.is_none()
    {
        let text = if call.is_late {
            caller
                .sdp
                .write_offer(&sdp::offer_accepted(&answer), &caller.local)
        } else {
            caller.sdp.write_answer(&call.offer, &answer, &caller.local)
        };
        call.answer = Some(text);
    }
    rejoin(context, call);
    Ok(())
}

/// Sets the routes between the legs by the descriptions on both, and clears those that there are
/// none for. The carrier's early media only if the caller may hear them.
pub(super) fn rejoin(context: &mut Context, call: &mut Call) {
    let (Some(caller), Some(callee)) = (&call.caller, &call.callee) else {
        return;
    };
    let (Some(from), Some(to)) = (&caller.remote, &callee.remote) else {
        return;
    };
    let is_off = call.early_media_off && call.state == State::Calling;
    let mut routes = sdp::join((&caller.sdp, from), (&callee.sdp, to));
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let is_it = |route: &&mut MediaRoute| route.kind == kind;
        if let Some(route) = routes.iter_mut().find(is_it) {
            route.target_to_source &= !is_off;
            connect_medium(context, caller, callee, route);
        } else if let (true, Some(media)) = (call.routed.contains(&kind), medium(kind)) {
            for leg in [caller, callee] {
                let flow = leg.flow(media);
                leg.command(context, Command::ClearRoute { flow, media });
            }
        }
    }
    hearing::expect(context, caller, callee);
    hearing::expect(context, callee, caller);
    call.routed = routes.iter().map(|route| route.kind).collect();
    for route in &routes {
        note_codec(&mut call.codec, route);
    }
}

/// The browser's ICE user fragment, from its answer to our offer.
pub(super) fn learn_ice(context: &mut Context, leg: &mut Leg, remote: &sdp::RemoteDescription) {
    let fragment = remote.leading().and_then(|media| media.ice.as_ref());
    let fragment = fragment.and_then(|ice| IceFragment::new(&ice.fragment).ok());
    let Some(known) = leg.audio.ice.clone() else {
        return;
    };
    let ice = IceCredentials {
        remote_fragment: fragment,
        ..known
    };
    leg.audio.ice = Some(ice.clone());
    let flow = leg.audio.flow;
    leg.command(context, Command::SetIceCredentials { flow, ice });
}

/// Sets or clears both directions of one medium.
pub(crate) fn connect_medium(
    context: &mut Context,
    source: &Leg,
    target: &Leg,
    route: &MediaRoute,
) {
    let Some(media) = medium(route.kind) else {
        return;
    };
    if route.source_to_target {
        set_route(context, source, target, route, &route.to_target);
    } else {
        source.command(
            context,
            Command::ClearRoute {
                flow: source.flow(media),
                media,
            },
        );
    }
    if route.target_to_source {
        set_route(context, target, source, route, &route.to_source);
    } else {
        target.command(
            context,
            Command::ClearRoute {
                flow: target.flow(media),
                media,
            },
        );
    }
}

pub(super) fn set_route(
    context: &mut Context,
    from: &Leg,
    to: &Leg,
    route: &MediaRoute,
    pairs: &[PayloadPair],
) {
    let Some(media) = medium(route.kind) else {
        return;
    };
    let mut payload_types = PayloadTypeMap::default();
    for pair in pairs {
        if is_event_of_info(context, from, pair.from) {
            continue;
        }
        let has_room = if is_event_of_info(context, to, pair.to) {
            payload_types.push_digits(pair.from)
        } else {
            payload_types.push(pair.from, pair.to)
        };
        if !has_room {
            break;
        }
    }
    // rtcp-fb belongs to the AVPF profiles only (RFC 4585 section 4).
    let feedback = match from.side.profile() {
        LegProfile::WebRtc => route
            .feedback
            .iter()
            .filter_map(|value| Feedback::named(value))
            .fold(Feedback::NONE, Feedback::with),
        LegProfile::Plain => Feedback::NONE,
    };
    let Some(cname) = Cname::new(&to.local.cname) else {
        return;
    };
    let command = Command::SetRoute(Route {
        from: from.flow(media),
        media,
        to: to.flow(media),
        payload_types,
        outgoing_ssrc: Ssrc(to.ssrc(media)),
        clock_hz: route.clock_hz,
        feedback,
        cname,
    });
    from.command(context, command);
}

/// True for the number of a telephone-event that the peer of a leg does not know: it takes INFO.
fn is_event_of_info(context: &Context, leg: &Leg, number: u8) -> bool {
    let is_event = |codec: &Codec| codec.payload_type == number && codec.is_telephone_event();
    let audio = leg.remote.as_ref().and_then(|remote| remote.audio());
    dtmf(context, leg.side) == Some(Dtmf::Info)
        && audio.is_some_and(|audio| audio.codecs.iter().any(is_event))
}

const fn medium(kind: MediaKind) -> Option<Media> {
    match kind {
        MediaKind::Audio => Some(Media::Audio),
        MediaKind::Video => Some(Media::Video),
        MediaKind::Other => None,
    }
}

/// The log names the audio codec, or that of the video where there is nothing else.
pub(crate) fn note_codec(codec: &mut Option<String>, route: &MediaRoute) {
    if route.kind == MediaKind::Audio || codec.is_none() {
        *codec = Some(format!("{}/{}", route.codec, route.clock_hz));
    }
}
