//! SRTP and SRTCP in place (RFC 3711, RFC 6188, RFC 7714): one [`SrtpSender`] and one
//! [`SrtpReceiver`] per flow, made from the two master keys of a DTLS association or of two
//! `a=crypto` lines.
//!
//! Neither allocates after it was made. Both keep, for each of a fixed number of sources
//! ([`SrtpOptions::sources_max`]), the highest 48-bit index and which of the indices before it
//! were used. This state changes only after a packet was authenticated (receiver) or encrypted
//! (sender), and a packet is tried with one candidate index only: a forged one costs its HMAC.
//!
//! What happens beyond the table differs, because the dangers do. A sender refuses a new source:
//! forgetting one could make it use an index twice, which gives the key stream away. A receiver
//! lets a new source, once authenticated, take the place of the one that was silent longest: the
//! price is that packets of that source could be replayed from then on. Two senders that take the
//! same SSRC under one key (a collision) look like one whose packets repeat: those are refused.
//!
//! | File | What |
//! |---|---|
//! | `derive` | session keys from master keys |
//! | `rollover` | 48-bit index from the sequence number |
//! | `replay`, `sources` | which indices were used, by source |
//! | `budget` | packets that a key may still protect |
//! | `rtp`, `rtcp` | where header, payload, index, identifier and tag lie |
//! | `cipher`, `aes_cm`, `aes_ctr`, `hmac_sha1`, `aes_gcm` | the transforms |
//! | `aes_gcm/tag_check` | cheaper refusing in a flood of forged GCM packets |
//! | `session_key` | the transforms of RTCP, whose keys are expanded when needed |
//! | `state` | contexts on their way to another process |

mod aes_cm;
mod aes_ctr;
mod aes_gcm;
mod budget;
mod cipher;
mod derive;
mod error;
mod hmac_sha1;
mod options;
mod receiver;
mod replay;
mod rollover;
mod rtcp;
mod rtp;
mod sender;
mod session_key;
mod sources;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod visitor;

pub use error::{ImportError, SrtpError};
pub use options::{SrtpEvent, SrtpOptions};
pub use receiver::SrtpReceiver;
pub use sender::SrtpSender;
pub use state::SrtpState;
pub use visitor::Visitor;

use budget::KeyBudget;
use cipher::{RtcpCipher, RtpCipher};
use derive::KeyDerivation;
use sources::Sources;

use crate::keys::MasterKey;
use crate::limits::{RTCP_PACKETS_PER_KEY_MAX, RTP_PACKETS_PER_KEY_MAX};

/// What both directions consist of.
struct Context {
    /// Kept for [`SrtpState`]: the session keys cannot be read back.
    master: MasterKey,
    options: SrtpOptions,
    rtp: RtpCipher,
    rtcp: RtcpCipher,
    rtp_budget: KeyBudget,
    rtcp_budget: KeyBudget,
    sources: Sources,
}

impl Context {
    /// What the next RTP packet needs, as long as there is only one source.
    fn show_rtp(&self, visitor: &mut impl Visitor) {
        self.rtp.show(visitor);
        visitor.visit(&self.rtp_budget);
        self.sources.show(visitor);
    }

    fn new(master: &MasterKey, options: SrtpOptions) -> Result<Self, SrtpError> {
        options.check()?;
        let derivation = KeyDerivation::new(master)?;
        let mki = master.identifier();
        let lifetime = options.lifetime_packets;
        Ok(Self {
            master: master.clone(),
            options,
            rtp: RtpCipher::rtp(&derivation, mki)?,
            rtcp: RtcpCipher::rtcp(&derivation, mki, options.encrypt_rtcp)?,
            rtp_budget: KeyBudget::new(RTP_PACKETS_PER_KEY_MAX, lifetime),
            rtcp_budget: KeyBudget::new(RTCP_PACKETS_PER_KEY_MAX.into(), lifetime),
            sources: Sources::new(&options),
        })
    }

    fn rollover_counter(&self, ssrc: u32) -> Option<u32> {
        let slot = self.sources.find(ssrc.to_be_bytes())?;
        let source = self.sources.used().get(slot)?;
        u32::try_from(source.highest >> 16).ok()
    }

    fn poll_event(&mut self) -> Option<SrtpEvent> {
        if self.rtp_budget.take_warning() {
            Some(SrtpEvent::RtpKeyEnding)
        } else if self.rtcp_budget.take_warning() {
            Some(SrtpEvent::RtcpKeyEnding)
        } else {
            None
        }
    }

    fn head(&self, direction: state::Direction) -> state::Head {
        state::Head {
            direction,
            master: self.master.clone(),
            options: self.options,
            rtp_packets: self.rtp_budget.spent(),
            rtcp_packets: self.rtcp_budget.spent(),
        }
    }

    /// A context with the keys and counts of an exported one, its tables still empty.
    fn restore(head: &state::Head) -> Result<Self, ImportError> {
        let mut context =
            Self::new(&head.master, head.options).map_err(|_| ImportError::BadValue)?;
        context.rtp_budget.advance(head.rtp_packets);
        context.rtcp_budget.advance(head.rtcp_packets);
        Ok(context)
    }
}

// One of each per browser flow: they stay where the flow is. Behind them lie the tables (for one
// source and a window of 128 packets 40 bytes each, twice in a receiver, and what the allocator
// adds) and, in aws-lc's memory, the GCM key (584 bytes). With all of it a context takes less than
// 1 KiB, and with GCM less than 1.5 KiB; `ringway-bench srtp` measures it.
const _: () = assert!(size_of::<SrtpSender>() + 2 * 24 <= 1024);
const _: () = assert!(size_of::<SrtpReceiver>() + 4 * 24 + 600 <= 1536);
