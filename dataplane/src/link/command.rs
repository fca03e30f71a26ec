//! What control asks of a worker.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crypto::keys::SrtpKeys;
use ipnet::IpNet;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::{
    CNAME_BYTES_MAX, ICE_FRAGMENT_BYTES_MAX, ICE_PASSWORD_BYTES_MAX, PAYLOAD_TYPES_PER_ROUTE_MAX,
};

/// From now on, do this with this flow. Applied in the order sent.
#[derive(Debug)]
pub enum Command {
    /// Makes a flow. Refused (see [`RefuseReason`](super::RefuseReason)) when the slot is taken
    /// or its ports cannot be bound.
    OpenFlow(OpenFlow),
    /// Trunk flows: where the peer said that it listens. Media is accepted only from these IP
    /// addresses, and those of the policy; the port is learned from the first valid packet. Restarts
    /// the learning.
    SetPeer {
        /// The flow that is meant.
        flow: FlowId,
        /// The signalled addresses.
        peer: PeerAddresses,
        /// What else its media may do.
        policy: PeerPolicy,
    },
    /// Browser flows: the peer's ICE user fragment is known (the answer to our offer arrived), or
    /// both sides' credentials changed (ICE restart). Old local credentials stay valid until the
    /// first check with the new ones arrives.
    SetIceCredentials {
        /// The flow that is meant.
        flow: FlowId,
        /// The credentials from now on.
        ice: IceCredentials,
    },
    /// Arms SRTP in both directions. Until then no media passes a browser flow.
    InstallKeys {
        /// The flow that is meant.
        flow: FlowId,
        /// The keys of both directions; wiped by the worker once the contexts are made.
        keys: SrtpKeys,
    },
    /// Sets (or replaces) what becomes of one medium that arrives at `route.from`.
    SetRoute(Route),
    /// Drops the medium that arrives at a flow (hold, refused m-line).
    ClearRoute {
        /// The flow where the medium arrives.
        flow: FlowId,
        /// Which medium.
        media: Media,
    },
    /// From now on the peer is to be heard at least once within this time, else its silence is
    /// reported; with `None` it may be silent for ever (hold). The clock begins anew if the time is
    /// another one than before. A new flow has that of the worker's configuration.
    ExpectMedia {
        /// The flow that is meant.
        flow: FlowId,
        /// How long it may be silent: whole seconds, from one to 65,535.
        within: Option<Duration>,
    },
    /// Sends a digit with the audio that arrives at a flow, behind those that are not sent yet.
    /// Refused when the audio goes nowhere, or when too many wait
    /// ([`DIGITS_PER_FLOW_MAX`](crate::limits::DIGITS_PER_FLOW_MAX)).
    SendDigit(SendDigit),
    /// Ends a flow; answered by [`Event::FlowClosed`](super::Event::FlowClosed) with its totals, in
    /// any case.
    CloseFlow {
        /// The flow that is meant.
        flow: FlowId,
    },
    /// Ends the worker; every open flow reports its totals first.
    Stop,
}

/// Names a flow. Control chooses the slot, so it knows the owner without a look-up; the generation
/// makes a stale name recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId {
    /// Index of the worker that owns the flow.
    pub worker: u16,
    /// Index in the worker's flow table, `0..flows_max`.
    pub slot: u16,
    /// Counts the uses of the slot.
    pub generation: u32,
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.worker, self.slot, self.generation)
    }
}

/// Makes a flow.
#[derive(Debug)]
pub struct OpenFlow {
    /// Its name from now on.
    pub flow: FlowId,
    /// What is on the other end.
    pub kind: FlowKind,
}

/// What is on the other end of a flow.
#[derive(Debug)]
pub enum FlowKind {
    /// A WebRTC peer on the worker's shared browser-facing port: ICE-lite, DTLS-SRTP, rtcp-mux.
    Browser(BrowserFlow),
    /// A SIP peer on a port pair of its own: plain RTP and RTCP.
    Trunk(TrunkFlow),
}

/// The parameters of a browser flow.
#[derive(Debug)]
pub struct BrowserFlow {
    /// The credentials of both sides, as far as known.
    pub ice: IceCredentials,
}

/// The parameters of a trunk flow.
#[derive(Debug)]
pub struct TrunkFlow {
    /// UDP port for RTP, on the worker's trunk address; RTCP is bound to the next port.
    pub rtp_port: u16,
}

/// ICE credentials (RFC 8445 section 5.3).
#[derive(Clone)]
pub struct IceCredentials {
    /// Our user fragment: the first half of the USERNAME of incoming checks.
    pub local_fragment: IceFragment,
    /// Our password: the key of MESSAGE-INTEGRITY on incoming checks and on our answers.
    pub local_password: IcePassword,
    /// The peer's user fragment. When known, the second half of USERNAME must equal it.
    pub remote_fragment: Option<IceFragment>,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").finish_non_exhaustive()
    }
}

/// An ICE user fragment: 4 to 256 `ice-char`s in RFC 8839 section 5.4; we keep at most
/// [`ICE_FRAGMENT_BYTES_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IceFragment {
    length: u8,
    bytes: [u8; ICE_FRAGMENT_BYTES_MAX],
}

/// An ICE password: 22 to 256 `ice-char`s in RFC 8839 section 5.4; ours have at most
/// [`ICE_PASSWORD_BYTES_MAX`]. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct IcePassword {
    length: u8,
    bytes: [u8; ICE_PASSWORD_BYTES_MAX],
}

/// The text is too long, too short, or not made of `ice-char`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIceText;

impl fmt::Display for InvalidIceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ICE user fragment or password has a wrong length or character")
    }
}

impl std::error::Error for InvalidIceText {}

impl IceFragment {
    /// Takes the text of an `a=ice-ufrag` attribute.
    ///
    /// # Errors
    /// Length outside `4..=ICE_FRAGMENT_BYTES_MAX`, or a character that is no `ice-char`.
    pub fn new(text: &str) -> Result<Self, InvalidIceText> {
        let (length, bytes) = ice_text(text, 4)?;
        Ok(Self { length, bytes })
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for IceFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "IceFragment({})",
            String::from_utf8_lossy(self.as_bytes())
        )
    }
}

impl IcePassword {
    /// Takes the text of an `a=ice-pwd` attribute.
    ///
    /// # Errors
    /// Length outside `22..=ICE_PASSWORD_BYTES_MAX`, or a character that is no `ice-char`.
    pub fn new(text: &str) -> Result<Self, InvalidIceText> {
        let (length, bytes) = ice_text(text, 22)?;
        Ok(Self { length, bytes })
    }

    /// The text: a secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Debug for IcePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IcePassword(…)")
    }
}

fn ice_text<const N: usize>(
    text: &str,
    length_min: usize,
) -> Result<(u8, [u8; N]), InvalidIceText> {
    let source = text.as_bytes();
    let ice_char = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/';
    if source.len() < length_min || source.len() > N || !source.iter().all(ice_char) {
        return Err(InvalidIceText);
    }
    let mut bytes = [0; N];
    bytes[..source.len()].copy_from_slice(source);
    Ok((
        u8::try_from(source.len()).map_err(|_| InvalidIceText)?,
        bytes,
    ))
}

/// Where a SIP peer said that it wants to receive (and, by symmetric RTP, sends from).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddresses {
    /// For RTP: `c=` and the port of the m-line.
    pub rtp: SocketAddr,
    /// For RTCP: `a=rtcp` (RFC 3605), else the RTP port plus one.
    pub rtcp: SocketAddr,
}

/// What the media of a SIP peer may do beside what it signalled. Default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Networks that media may come from besides the signalled address.
    pub networks: Arc<[IpNet]>,
    /// Media goes to the signalled address and port, wherever it comes from (no symmetric RTP, RFC
    /// 4961).
    pub asymmetric: bool,
}

/// One of the media that a flow can carry. Bundled browser flows carry both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Media {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
}

/// Synchronisation source (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ssrc(pub u32);

/// What becomes of one medium that arrives at a flow: it leaves on `to`, with payload types and
/// SSRC rewritten. `to == from` is an echo.
///
/// RTCP has no route of its own. Reports end here, and each side gets reports of ours; feedback
/// about the medium goes back to its sender.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the medium arrives.
    pub from: FlowId,
    /// Which medium this is about. An incoming RTP packet belongs to the route that lists its
    /// payload type; payload types are unique across the media of a flow.
    pub media: Media,
    /// Where it leaves.
    pub to: FlowId,
    /// Incoming payload type → outgoing payload type, and those of digits that end here. Any other
    /// is dropped and counted.
    pub payload_types: PayloadTypeMap,
    /// The SSRC that outgoing packets carry: constant over the life of the route, whatever the
    /// sender changes; sequence numbers and timestamps continue across such a change.
    pub outgoing_ssrc: Ssrc,
    /// RTP clock rate in Hz of the first codec.
    pub clock_hz: u32,
    /// Feedback about the medium that its sender, the peer of `from`, has agreed to take. Any other
    /// is dropped and counted.
    pub feedback: Feedback,
    /// What `to`'s peer is told that the stream belongs to: the same for all that one sends.
    pub cname: Cname,
}

/// A digit that is sent as a telephone-event (RFC 4733) in the stream that the audio of a flow
/// makes on the other leg, in place of that audio. What waits when the route ends is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendDigit {
    /// The flow whose audio route it follows.
    pub from: FlowId,
    /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D (RFC 4733 section 3.2).
    pub event: u8,
    /// How long it lasts; at least [`DIGIT_DURATION_MIN`](crate::limits::DIGIT_DURATION_MIN) and at
    /// most [`DIGIT_DURATION_MAX`](crate::limits::DIGIT_DURATION_MAX), whatever is asked for.
    pub duration: Duration,
    /// Of telephone-event, as the receiver wants it.
    pub payload_type: u8,
    /// Clock rate of that telephone-event in Hz: the unit of its durations. Its timestamps are those of
    /// the audio, whose clock may be another one.
    pub clock_hz: u32,
}

/// Kinds of feedback messages (RFC 4585 section 4.2, `a=rtcp-fb`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback(u8);

impl Feedback {
    /// None at all: the RTP/AVP profile.
    pub const NONE: Self = Self(0);
    /// Generic NACK: `nack`.
    pub const NACK: Self = Self(1);
    /// Picture loss indication: `nack pli`.
    pub const PICTURE_LOSS: Self = Self(2);
    /// Full intra request (RFC 5104): `ccm fir`.
    pub const FULL_INTRA: Self = Self(4);
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb): `goog-remb`.
    pub const BITRATE: Self = Self(8);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if all of `other` are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The kind that the value of an `a=rtcp-fb` attribute (without the payload type) asks for;
    /// `None` for one that is never passed on.
    #[must_use]
    pub fn named(value: &str) -> Option<Self> {
        match value {
            "nack" => Some(Self::NACK),
            "nack pli" => Some(Self::PICTURE_LOSS),
            "ccm fir" => Some(Self::FULL_INTRA),
            "goog-remb" => Some(Self::BITRATE),
            _ => None,
        }
    }
}

/// A canonical name (RFC 3550 section 6.5.1), at most [`CNAME_BYTES_MAX`] bytes. It says nothing
/// but that streams belong together (RFC 7022 section 4.2: short-term, random).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cname {
    length: u8,
    bytes: [u8; CNAME_BYTES_MAX],
}

impl Cname {
    /// `None` when the text is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        let mut bytes = [0; CNAME_BYTES_MAX];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        Some(Self { length, bytes })
    }

    /// One that a random number makes.
    pub(crate) fn scrambled(random: u64) -> Self {
        const LETTERS: &[u8; 16] = b"abcdefghijklmnop";
        let mut bytes = [0; CNAME_BYTES_MAX];
        for (byte, shift) in bytes.iter_mut().zip((0..64).step_by(4)) {
            let index = usize::try_from((random >> shift) & 0xF).unwrap_or(0);
            *byte = LETTERS.get(index).copied().unwrap_or(b'a');
        }
        Self { length: 16, bytes }
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Cname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cname({})", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// Incoming → outgoing payload types of one route, and those that end here, together at most
/// [`PAYLOAD_TYPES_PER_ROUTE_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadTypeMap {
    count: u8,
    pairs: [(u8, u8); PAYLOAD_TYPES_PER_ROUTE_MAX],
}

/// In place of an outgoing payload type.
const ENDS_HERE: u8 = u8::MAX;

impl PayloadTypeMap {
    /// Adds a pair; both in `0..=127`. False (and nothing added) when the map is full or a value
    /// is out of range.
    pub fn push(&mut self, incoming: u8, outgoing: u8) -> bool {
        let index = usize::from(self.count);
        if index == PAYLOAD_TYPES_PER_ROUTE_MAX || incoming > 127 || outgoing > 127 {
            return false;
        }
        self.pairs[index] = (incoming, outgoing);
        self.count += 1;
        true
    }

    /// Adds an incoming type of telephone-event that does not pass: its digits are
    /// [`Event::Digit`](super::Event::Digit)s. False as for [`Self::push`].
    pub fn push_digits(&mut self, incoming: u8) -> bool {
        let index = usize::from(self.count);
        if index == PAYLOAD_TYPES_PER_ROUTE_MAX || incoming > 127 {
            return false;
        }
        self.pairs[index] = (incoming, ENDS_HERE);
        self.count += 1;
        true
    }

    /// The pairs, and those that end here: theirs has a second value beyond 127.
    #[must_use]
    pub fn as_slice(&self) -> &[(u8, u8)] {
        &self.pairs[..usize::from(self.count)]
    }

    /// The outgoing payload type for an incoming one.
    #[must_use]
    pub fn get(&self, incoming: u8) -> Option<u8> {
        self.as_slice()
            .iter()
            .find(|pair| pair.0 == incoming)
            .map(|pair| pair.1)
            .filter(|outgoing| *outgoing != ENDS_HERE)
    }

    /// True for a type that [`Self::push_digits`] has added.
    #[must_use]
    pub fn ends(&self, incoming: u8) -> bool {
        self.as_slice().contains(&(incoming, ENDS_HERE))
    }

    /// True if any does.
    #[must_use]
    pub fn ends_digits(&self) -> bool {
        self.as_slice().iter().any(|pair| pair.1 == ENDS_HERE)
    }
}

// A command is copied into a queue slot: it stays small.
const _: () = assert!(size_of::<Command>() <= 256);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_short_long_and_foreign_ice_text() {
        assert!(IceFragment::new("abc").is_err());
        assert!(IceFragment::new("ab c").is_err());
        assert!(IceFragment::new(&"a".repeat(ICE_FRAGMENT_BYTES_MAX + 1)).is_err());
        assert!(IcePassword::new(&"a".repeat(21)).is_err());
        assert_eq!(IceFragment::new("aB+/").unwrap().as_bytes(), b"aB+/");
    }

    #[test]
    fn an_ice_password_is_wiped() {
        const fn is_wiped_on_drop<T: ZeroizeOnDrop>() {}
        const { is_wiped_on_drop::<IcePassword>() };
        let mut password = IcePassword::new(&"a".repeat(24)).unwrap();
        password.zeroize();
        assert_eq!((password.length, password.bytes), (0, [0; 32]));
    }

    #[test]
    fn a_canonical_name_is_short_and_not_empty() {
        assert_eq!(Cname::new(""), None);
        assert_eq!(Cname::new(&"a".repeat(CNAME_BYTES_MAX + 1)), None);
        let longest = "a".repeat(CNAME_BYTES_MAX);
        assert_eq!(Cname::new(&longest).unwrap().as_bytes(), longest.as_bytes());
    }

    #[test]
    fn feedback_is_a_set_of_named_kinds() {
        let both = Feedback::NACK.with(Feedback::FULL_INTRA);
        assert!(both.contains(Feedback::NACK) && both.contains(Feedback::NONE));
        assert!(!both.contains(Feedback::PICTURE_LOSS));
        assert!(!both.contains(Feedback::NACK.with(Feedback::BITRATE)));
        assert_eq!(Feedback::named("nack pli"), Some(Feedback::PICTURE_LOSS));
        assert_eq!(Feedback::named("transport-cc"), None);
    }

    #[test]
    fn payload_type_map_is_bounded() {
        let mut map = PayloadTypeMap::default();
        assert!(!map.push(128, 0));
        for n in 0..PAYLOAD_TYPES_PER_ROUTE_MAX {
            assert!(map.push(u8::try_from(n).unwrap(), 100));
        }
        assert!(!map.push(99, 100));
        assert_eq!(map.get(1), Some(100));
        assert_eq!(map.get(99), None);
    }
}
