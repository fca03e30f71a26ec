//! The flows of a call's legs: how many, where, and to whom.

use dataplane::link::{Command, FlowId, IceFragment, PeerAddresses, PeerPolicy};

use super::Call;
use super::leg::{Leg, LegFlows, Side};
use super::setup::policy;
use crate::engine::context::Context;
use crate::media::handshake::HandshakeCommand;
use crate::media::plan::{MediaPlanner, NoRoom};
use crate::sdp::{CodecPolicy, LegProfile, MediaKind, OfferPlan, RemoteDescription};

pub(super) fn has_video(plan: &OfferPlan) -> bool {
    plan.media
        .iter()
        .any(|media| media.kind == MediaKind::Video)
}

/// Browser flows and trunk flows of one leg.
pub(super) const fn flows_needed(side: Side, video: bool) -> (usize, usize) {
    match (side, video) {
        (Side::Browser, _) => (1, 0),
        (Side::Trunk(_), false) => (0, 1),
        (Side::Trunk(_), true) => (0, 2),
    }
}

/// What the peer of `to` may be offered of what the peer of `from` has: video only where both legs
/// can carry it.
pub(super) fn joint_policy(context: &Context, from: &Leg, to: &Leg) -> CodecPolicy {
    let mut policy = policy(context, to.side);
    if !(from.carries_video() && to.carries_video()) {
        policy.video.clear();
    }
    policy
}

pub(super) fn remote_fragment(offer: &RemoteDescription) -> Option<IceFragment> {
    let ice = offer.leading()?.ice.as_ref()?;
    IceFragment::new(&ice.fragment).ok()
}

pub(super) fn plan_flows(
    context: &mut Context,
    worker: u16,
    side: Side,
    video: bool,
    remote_fragment: Option<IceFragment>,
) -> Result<LegFlows, NoRoom> {
    match side {
        Side::Browser => {
            let audio =
                context
                    .planner
                    .browser_flow(worker, remote_fragment, &mut context.random)?;
            Ok(LegFlows { audio, video: None })
        }
        Side::Trunk(_) => {
            let audio = context.planner.trunk_flow(worker)?;
            let video = video
                .then(|| context.planner.trunk_flow(worker))
                .transpose()?;
            Ok(LegFlows { audio, video })
        }
    }
}

/// Plans a trunk flow again, on other ports.
pub(super) fn replace_flow(
    context: &mut Context,
    call: &mut Call,
    old: FlowId,
) -> Result<(), NoRoom> {
    let planned = context.planner.trunk_flow(old.worker)?;
    call.opening.insert(planned.flow);
    context.command(old.worker, Command::OpenFlow(MediaPlanner::open(&planned)));
    let legs = call.caller.iter_mut().chain(&mut call.callee);
    for leg in legs {
        if leg.audio.flow == old {
            leg.local.audio_port = planned.local.port();
            leg.audio = planned;
            connect_remote(context, leg);
            break;
        }
        if leg.video.as_ref().is_some_and(|video| video.flow == old) {
            leg.local.video_port = planned.local.port();
            leg.video = Some(planned);
            connect_remote(context, leg);
            break;
        }
    }
    Ok(())
}

/// Tells worker and handshake thread who the peer of a leg is, as its description says.
pub(crate) fn connect_remote(context: &mut Context, leg: &Leg) {
    let Some(remote) = &leg.remote else { return };
    match leg.side.profile() {
        LegProfile::WebRtc => {
            let texts = remote.leading().map(|media| media.fingerprints.as_slice());
            let fingerprints = texts
                .unwrap_or_default()
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect();
            let flow = leg.audio.flow;
            context.handshake(HandshakeCommand::Expect { flow, fingerprints });
        }
        LegProfile::Plain => {
            for (media, planned) in [
                (remote.audio(), Some(&leg.audio)),
                (remote.video(), leg.video.as_ref()),
            ] {
                let addresses = media.and_then(|media| media.rtp.zip(media.rtcp));
                if let (Some((rtp, rtcp)), Some(planned)) = (addresses, planned) {
                    let peer = PeerAddresses { rtp, rtcp };
                    let policy = media_policy(context, leg.side);
                    leg.command(
                        context,
                        Command::SetPeer {
                            flow: planned.flow,
                            peer,
                            policy,
                        },
                    );
                }
            }
        }
    }
}

/// What the media of a peer may do beside what it signals.
fn media_policy(context: &Context, side: Side) -> PeerPolicy {
    let trunk = match side {
        Side::Browser => None,
        Side::Trunk(index) => context.config.trunks.get(index),
    };
    trunk.map_or_else(PeerPolicy::default, |trunk| trunk.calls.media.clone())
}
