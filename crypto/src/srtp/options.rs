//! What can be chosen about one direction, and what it reports.

use super::SrtpError;
use crate::limits::{
    REPLAY_WINDOW_PACKETS_DEFAULT, REPLAY_WINDOW_PACKETS_MAX, REPLAY_WINDOW_PACKETS_MIN,
    SOURCES_DEFAULT, SOURCES_MAX,
};

/// How one direction behaves. Both ends need not agree, except on `encrypt_rtcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SrtpOptions {
    /// Packets behind the newest one that are taken, once each (RFC 3711 section 3.3.2). 64 to
    /// 32768; 128 by default. Each source costs one bit for each, rounded up to a power of two.
    pub replay_window_packets: u16,
    /// Sources (SSRC) under the key: 1 to [`SOURCES_MAX`], 8 by default. Their memory is taken
    /// when the context is made.
    pub sources_max: u16,
    /// Whether SRTCP is encrypted, `true` by default: what the E bit must say (RFC 3711
    /// section 3.4). A suite without a cipher never encrypts.
    pub encrypt_rtcp: bool,
    /// The negotiated lifetime of the key in packets, RTP and RTCP counted apart, where it is
    /// shorter than the limits of RFC 3711 section 9.2 (RFC 4568 section 6.1).
    pub lifetime_packets: Option<u64>,
}

impl Default for SrtpOptions {
    fn default() -> Self {
        Self {
            replay_window_packets: REPLAY_WINDOW_PACKETS_DEFAULT,
            sources_max: SOURCES_DEFAULT,
            encrypt_rtcp: true,
            lifetime_packets: None,
        }
    }
}

impl SrtpOptions {
    pub(super) fn check(&self) -> Result<(), SrtpError> {
        let window = REPLAY_WINDOW_PACKETS_MIN..=REPLAY_WINDOW_PACKETS_MAX;
        let in_range = window.contains(&self.replay_window_packets)
            && (1..=SOURCES_MAX).contains(&self.sources_max)
            && self.lifetime_packets != Some(0);
        match in_range {
            true => Ok(()),
            false => Err(SrtpError::BadOptions),
        }
    }
}

/// What the owner of a context should know. Each is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpEvent {
    /// Three quarters of the RTP packets, or of the rollovers of a source, are used up: time to
    /// negotiate a new key. At the limit there is only [`SrtpError::KeyExhausted`].
    RtpKeyEnding,
    /// The same for RTCP.
    RtcpKeyEnding,
}
