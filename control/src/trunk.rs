//! A carrier, as the brain sees it: who may speak for it, and where requests to it go.

use std::net::IpAddr;

use crate::config::{Config, TrunkConfig};
use crate::engine::input::Peer;
use crate::sdp::CodecPolicy;
use crate::sip::Transport;

/// The trunk that the sender of a message belongs to. Nobody else may make requests on the trunk
/// side.
#[must_use]
pub fn trunk_of_peer(config: &Config, peer: Peer) -> Option<usize> {
    let mut trunks = config.trunks.iter();
    trunks.position(|trunk| is_source(trunk, peer))
}

/// Is this peer one of the trunk's addresses? What a trunk sends over TLS, nobody may send in its
/// name without.
#[must_use]
pub fn is_source(trunk: &TrunkConfig, peer: Peer) -> bool {
    let Some((transport, address)) = peer.on_trunk_side() else {
        return false;
    };
    let secure = transport == Transport::Tls || trunk.transport != Transport::Tls;
    secure && trunk.sources.contains(&address.ip().to_canonical())
}

/// Where requests to a trunk are sent. `None` for a trunk that has no address.
#[must_use]
pub fn peer(trunk: &TrunkConfig) -> Option<Peer> {
    let address = trunk.addresses.first()?;
    Some(Peer::of_trunk(trunk.transport, *address))
}

/// The trunk that a connection can be opened to, and the name that its certificate must have: the
/// host that the trunk is configured with, or, where that is an address, its domain (RFC 5922
/// section 7.3).
#[must_use]
pub fn server_of(config: &Config, peer: Peer) -> Option<(usize, String)> {
    let (transport, address) = peer.on_trunk_side()?;
    let is_target =
        |trunk: &TrunkConfig| trunk.transport == transport && trunk.addresses.contains(&address);
    let index = config.trunks.iter().position(is_target)?;
    let trunk = config.trunks.get(index)?;
    let host = &trunk.route.as_ref().unwrap_or(&trunk.target).host;
    let name = match host.parse::<IpAddr>() {
        Ok(_) => &trunk.domain,
        Err(_) => host,
    };
    Some((index, name.clone()))
}

/// What a trunk may be offered.
#[must_use]
pub fn codec_policy(trunk: &TrunkConfig) -> CodecPolicy {
    let video = if trunk.video {
        vec!["H264".to_owned()]
    } else {
        Vec::new()
    };
    CodecPolicy {
        audio: trunk.codecs.clone(),
        video,
        telephone_event: trunk.telephone_event,
        ..CodecPolicy::trunk()
    }
}
