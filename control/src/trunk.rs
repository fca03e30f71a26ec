//! A carrier, as the brain sees it: who may speak for it, and where requests to it go.

use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, TrunkConfig};
use crate::sdp::CodecPolicy;

/// The trunk that a datagram's sender belongs to. Nobody else may make requests on the trunk side.
#[must_use]
pub fn trunk_of_source(config: &Config, source: IpAddr) -> Option<usize> {
    let source = source.to_canonical();
    config
        .trunks
        .iter()
        .position(|trunk| trunk.sources.contains(&source))
}

/// Where requests to a trunk are sent. `None` for a trunk that has no address.
#[must_use]
pub fn address(trunk: &TrunkConfig) -> Option<SocketAddr> {
    trunk.addresses.first().copied()
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
