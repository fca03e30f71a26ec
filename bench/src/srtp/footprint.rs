//! What a context takes of memory.

use crypto::keys::SrtpProfile;
use crypto::srtp::{SrtpOptions, SrtpReceiver, SrtpSender};
use serde::Serialize;

use super::batch::Batch;
use super::ringway::master_key;
use crate::Failure;

/// Contexts that are made to see what one takes of the heap.
const CONTEXTS: usize = 1024;

/// The context of one direction.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Footprint {
    pub(super) subject: &'static str,
    pub(super) suite: &'static str,
    /// `sender` or `receiver`.
    pub(super) context: &'static str,
    /// Sources (SSRC) that it has room for.
    pub(super) sources: u16,
    /// The struct itself.
    pub(super) inline_bytes: usize,
    /// What it has on the heap, also that of libraries in C, with the allocator's own overhead.
    /// `None`: the program was built without `--features libsrtp`, which can see that heap.
    pub(super) heap_bytes: Option<usize>,
}

impl Footprint {
    pub(super) fn bytes(&self) -> Option<usize> {
        Some(self.inline_bytes + self.heap_bytes?)
    }
}

/// Measures contexts that have seen one source.
pub(super) fn measure(suites: &[SrtpProfile]) -> Result<Vec<Footprint>, Failure> {
    let mut footprints = Vec::new();
    for suite in suites {
        let master = master_key(*suite)?;
        for sources in [1, SrtpOptions::default().sources_max] {
            let options = SrtpOptions {
                sources_max: sources,
                ..SrtpOptions::default()
            };
            let entry = |context, (inline_bytes, heap_bytes)| Footprint {
                subject: "ringway",
                suite: suite.label(),
                context,
                sources,
                inline_bytes,
                heap_bytes,
            };
            let sender = contexts(|packet, length| {
                let mut sender = SrtpSender::with_options(&master, options)?;
                sender.protect_rtp(packet, length)?;
                Ok(sender)
            })?;
            footprints.push(entry("sender", sender));
            let mut protector = SrtpSender::new(&master)?;
            let receiver = contexts(|packet, length| {
                let mut receiver = SrtpReceiver::with_options(&master, options)?;
                let length = protector.protect_rtp(packet, length)?;
                receiver.unprotect_rtp(packet.get_mut(..length).unwrap_or_default())?;
                Ok(receiver)
            })?;
            footprints.push(entry("receiver", receiver));
        }
        #[cfg(feature = "libsrtp")]
        footprints.push(libsrtp_sender(*suite)?);
    }
    Ok(footprints)
}

/// A session with one stream; it has room for any number more.
#[cfg(feature = "libsrtp")]
fn libsrtp_sender(suite: SrtpProfile) -> Result<Footprint, Failure> {
    use super::libsrtp2::{session, their_suite};
    let (inline_bytes, heap_bytes) = contexts(|packet, length| {
        let mut sender = session(their_suite(suite), libsrtp::Direction::Outbound)?;
        sender.protect_rtp(packet, length)?;
        Ok(sender)
    })?;
    Ok(Footprint {
        subject: "libsrtp2",
        suite: suite.label(),
        context: "sender",
        sources: 1,
        inline_bytes,
        heap_bytes,
    })
}

/// Makes many contexts, each of which gets a packet to work on, and returns what one takes: the
/// struct itself, and on the heap.
fn contexts<C>(
    mut make: impl FnMut(&mut [u8], usize) -> Result<C, Failure>,
) -> Result<(usize, Option<usize>), Failure> {
    let mut batch = Batch::new(160, 16);
    let length = batch.plain_bytes();
    let mut sequence = 0;
    let mut made = Vec::with_capacity(CONTEXTS);
    let before = heap_bytes();
    while made.len() < CONTEXTS {
        batch.number(&mut sequence);
        for packet in batch.places() {
            made.push(make(packet, length)?);
        }
    }
    let after = heap_bytes();
    let on_heap = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before).div_ceil(made.len()));
    Ok((size_of::<C>(), on_heap))
}

fn heap_bytes() -> Option<usize> {
    #[cfg(feature = "libsrtp")]
    let bytes = Some(libsrtp::heap_bytes_in_use());
    #[cfg(not(feature = "libsrtp"))]
    let bytes = None;
    bytes
}
