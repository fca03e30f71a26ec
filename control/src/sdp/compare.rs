//! What a re-offer changes (RFC 3264 section 8), so that the call layer knows what to pass on.

use super::model::{Codec, RemoteDescription, RemoteMedia};

/// The differences between two descriptions of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// New ICE credentials (RFC 8445 section 9): answer with new ones of our own.
    pub ice_restart: bool,
    /// A direction differs: hold or resume.
    pub direction_changed: bool,
    /// A codec of an m-line is gone or has another payload type, or another one comes first.
    /// More codecs than before are no change: what was agreed is still there.
    pub codecs_changed: bool,
    /// The peer wants RTP or RTCP somewhere else: tell the worker.
    pub address_changed: bool,
    /// An m-line is usable that was not, or did not exist.
    pub media_added: bool,
    /// An m-line is no longer usable.
    pub media_removed: bool,
}

/// Compares two descriptions of the same peer, m-line by m-line.
///
/// `old` is what the peer said last, offer or answer; `new` is its re-offer.
pub fn compare(old: &RemoteDescription, new: &RemoteDescription) -> Change {
    let mut change = Change::default();
    for index in 0..old.media.len().max(new.media.len()) {
        let before = old.media.get(index).filter(|media| media.usable);
        let after = new.media.get(index).filter(|media| media.usable);
        match (before, after) {
            (Some(before), Some(after)) => compare_media(before, after, &mut change),
            (None, Some(_)) => change.media_added = true,
            (Some(_), None) => change.media_removed = true,
            (None, None) => {}
        }
    }
    change
}

/// Whether a browser's description wants another DTLS association than its last one did (RFC 8842
/// section 5.1): it names none of the certificates, or another `a=tls-id`. A fingerprint more, or
/// in another order, is of the same association.
pub fn is_new_association(old: &RemoteDescription, new: &RemoteDescription) -> bool {
    let (Some(old), Some(new)) = (old.leading(), new.leading()) else {
        return false;
    };
    let ids = old.tls_id.as_ref().zip(new.tls_id.as_ref());
    let is_known = |print: &String| old.fingerprints.contains(print);
    ids.is_some_and(|(old, new)| old != new) || !new.fingerprints.iter().any(is_known)
}

/// Whether codecs, directions and the set of m-lines are the same, so that a re-offer can be
/// answered without asking the other leg. Addresses and ICE credentials may differ.
pub fn is_same_media(old: &RemoteDescription, new: &RemoteDescription) -> bool {
    let change = compare(old, new);
    !(change.direction_changed
        || change.codecs_changed
        || change.media_added
        || change.media_removed)
}

fn compare_media(before: &RemoteMedia, after: &RemoteMedia, change: &mut Change) {
    change.ice_restart |= before.ice != after.ice;
    change.direction_changed |= before.direction != after.direction;
    change.address_changed |= before.rtp != after.rtp || before.rtcp != after.rtcp;
    change.codecs_changed |= before.kind != after.kind
        || !same_codec(before.codecs.first(), after.codecs.first())
        || before.codecs.iter().any(|codec| {
            !after
                .codecs
                .iter()
                .any(|other| same_codec(Some(codec), Some(other)))
        });
}

fn same_codec(before: Option<&Codec>, after: Option<&Codec>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            before.payload_type == after.payload_type && before.matches(after)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
