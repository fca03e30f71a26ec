//! What joins the two legs of a call: peers and routes, from what both sides have said.

use bytes::Bytes;
use dataplane::link::{
    Cname, Command, Feedback, IceCredentials, IceFragment, Media, PayloadTypeMap, Route, Ssrc,
};

use super::digits::dtmf;
use super::flows::connect_remote;
use super::leg::{Leg, Side};
use super::setup::{policy, read_offer};
use super::{Call, Party, hearing};
use crate::config::Dtmf;
use crate::engine::context::Context;
use crate::sdp::{
    self, Codec, CodecPolicy, LegProfile, MediaKind, MediaRoute, OfferPlan, PayloadPair, Refusal,
};

/// The callee's description has come: peers, routes, and our answer to the caller.
pub(super) fn connect(context: &mut Context, call: &mut Call, body: &Bytes) -> Result<(), Refusal> {
    let (Some(leg), Some(plan)) = (call.callee.as_mut(), &call.plan) else {
        return Ok(());
    };
    let remote = read_offer(context, leg.side, body)?;
    let answer = sdp::plan_answer(&call.offer, plan, &remote)?;
    leg.sdp.note_answer(&remote);
    if leg.side == Side::Browser {
        learn_ice(context, leg, &remote);
    }
    let routes = sdp::routes(&call.offer, plan, &answer, &remote);
    leg.remote = Some(remote);
    connect_remote(context, leg);
    call.routes = routes;
    let known = call.codec.take();
    for route in &call.routes {
        note_codec(&mut call.codec, route);
    }
    open_routes(context, call);
    let Some(caller) = call.caller.as_mut() else {
        return Ok(());
    };
    if call.answer.is_none() {
        let text = if call.is_late {
            caller
                .sdp
                .write_offer(&sdp::offer_accepted(&answer), &caller.local)
        } else {
            caller.sdp.write_answer(&call.offer, &answer, &caller.local)
        };
        call.answer = Some(text);
    } else if known != call.codec {
        // The caller has had its answer, with another codec: it is asked again after its ACK.
        call.untold.insert(Party::Callee);
    }
    Ok(())
}

/// Sets the routes that were agreed; the carrier's media only if the caller may hear them.
pub(super) fn open_routes(context: &mut Context, call: &Call) {
    let (Some(caller), Some(callee)) = (&call.caller, &call.callee) else {
        return;
    };
    for route in &call.routes {
        let mut route = route.clone();
        route.target_to_source &= !call.early_media_off;
        connect_medium(context, caller, callee, &route);
    }
}

/// Joins the legs anew, by what either peer said last: `source` stands for the one that offers.
pub(super) fn rejoin(context: &mut Context, call: &Call, source: Party) -> Result<(), Refusal> {
    let Some(plan) = offer_for(context, call, source.other())? else {
        return Ok(());
    };
    let (Some(from), Some(to)) = (call.leg(source), call.leg(source.other())) else {
        return Ok(());
    };
    let (Some(offer), Some(answer)) = (&from.remote, &to.remote) else {
        return Ok(());
    };
    let accepted = sdp::plan_answer(offer, &plan, answer)?;
    let routes = sdp::routes(offer, &plan, &accepted, answer);
    for route in &routes {
        connect_medium(context, from, to, route);
    }
    Ok(())
}

/// What a leg is offered of what the other leg's peer said last; `None` if there is no other leg,
/// or its peer has said nothing.
pub(super) fn offer_for(
    context: &Context,
    call: &Call,
    to: Party,
) -> Result<Option<OfferPlan>, Refusal> {
    let (Some(leg), Some(other)) = (call.leg(to), call.leg(to.other())) else {
        return Ok(None);
    };
    let Some(remote) = &other.remote else {
        return Ok(None);
    };
    plan_for(context, call, leg, remote).map(Some)
}

/// What a leg is offered of a description of the other leg's peer: the codec that is in use.
pub(super) fn plan_for(
    context: &Context,
    call: &Call,
    leg: &Leg,
    offer: &sdp::RemoteDescription,
) -> Result<OfferPlan, Refusal> {
    let policy = in_codec(policy(context, leg.side), call.codec.as_deref());
    let plan = sdp::plan_offer(offer, leg.side.profile(), &policy)?;
    Ok(leg.sdp.settle(plan))
}

/// Of what a policy allows, the codec that is in use alone; with nothing in common no codec.
pub(super) fn in_codec(policy: CodecPolicy, codec: Option<&str>) -> CodecPolicy {
    match codec.and_then(|codec| codec.split('/').next()) {
        Some(codec) => CodecPolicy {
            audio: vec![codec.to_owned()],
            ..policy
        },
        None => policy,
    }
}

/// The browser's ICE user fragment, from its answer to our offer.
fn learn_ice(context: &mut Context, leg: &mut Leg, remote: &sdp::RemoteDescription) {
    let fragment = remote.audio().and_then(|media| media.ice.as_ref());
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
    hearing::expect(context, source, target);
    hearing::expect(context, target, source);
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

/// The log names the audio codec.
pub(crate) fn note_codec(codec: &mut Option<String>, route: &MediaRoute) {
    if route.kind == MediaKind::Audio {
        *codec = Some(format!("{}/{}", route.codec, route.clock_hz));
    }
}
