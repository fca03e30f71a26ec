//! What becomes of a packet.

use std::net::SocketAddr;

use crate::link::FlowId;

/// One of the sockets of a worker, as the engine names it; the shell knows the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketId {
    /// The shared browser-facing socket.
    Browser,
    /// The RTP socket of the trunk flow in this slot.
    TrunkRtp(u16),
    /// The RTCP socket of the trunk flow in this slot.
    TrunkRtcp(u16),
}

/// Sends the first `length` bytes of the packet's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From here …
    pub socket: SocketId,
    /// … to there.
    pub to: SocketAddr,
    /// Bytes to send, from the start of the packet's buffer.
    pub length: usize,
    /// It is video, which has a mark of its own (RFC 2474).
    pub is_video: bool,
}

impl Transmit {
    /// Of anything but video.
    #[must_use]
    pub const fn new(socket: SocketId, to: SocketAddr, length: usize) -> Self {
        Self {
            socket,
            to,
            length,
            is_video: false,
        }
    }
}

/// Who may be at the other end of a trunk socket, from now on. An advice: the engine looks at every
/// source anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerChange {
    /// The socket.
    pub socket: SocketId,
    /// Nobody but this address, which has proven itself; `None`: anybody again.
    pub peer: Option<SocketAddr>,
}

/// What becomes of a packet. The buffer it arrived in is the buffer it leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Send it to the other side of its route.
    Forward(Transmit),
    /// Send it back where it came from (a STUN answer).
    Reply(Transmit),
    /// Not ours to decide here: DTLS, from an ICE-validated address.
    ToControl(FlowId),
    /// Taken in: an RTCP report, or a digit for control. Give the buffer back.
    Consumed,
    /// Give the buffer back and count the reason.
    Drop(DropReason),
}

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $label:literal,)+) => {
        /// Why a packet goes no further. One counter and one metric label each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)+ }

        impl DropReason {
            /// Every reason, in order of its index.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The metric label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// Position in [`Self::ALL`] and in the counters.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

drop_reasons! {
    /// No byte at all, or too short for what it claims to be.
    TooShort => "too_short",
    /// Longer than the buffer: the kernel cut it.
    Truncated => "truncated",
    /// First byte is none of STUN, DTLS, RTP/RTCP (RFC 7983).
    UnknownProtocol => "unknown_protocol",
    /// Protocol that this socket does not take (STUN or DTLS from a trunk).
    UnexpectedProtocol => "unexpected_protocol",
    /// Malformed STUN message.
    StunMalformed => "stun_malformed",
    /// STUN that is no Binding request, or whose user fragment is not ours.
    StunUnknownUser => "stun_unknown_user",
    /// STUN with a wrong MESSAGE-INTEGRITY.
    StunIntegrity => "stun_integrity",
    /// From an address that was not proven to be the peer's.
    UnknownSource => "unknown_source",
    /// Media before the keys are there.
    NoKeys => "no_keys",
    /// SRTP authentication failed.
    AuthenticationFailed => "authentication_failed",
    /// Packet seen before, or too old to tell.
    Replayed => "replayed",
    /// RTP packet whose number is far from those before it: the next one in a row begins a new
    /// numbering (RFC 3550 appendix A.1).
    StraySequence => "stray_sequence",
    /// Malformed RTP header.
    RtpMalformed => "rtp_malformed",
    /// Malformed RTCP packet.
    RtcpMalformed => "rtcp_malformed",
    /// RTCP without a report, and with nothing in it that the other leg takes.
    RtcpNotForwarded => "rtcp_not_forwarded",
    /// Payload type that was not agreed.
    UnknownPayloadType => "unknown_payload_type",
    /// The medium has no route (hold, refused, not yet answered).
    NoRoute => "no_route",
    /// Audio that came while a digit was sent in its place.
    DigitInstead => "digit_instead",
    /// The other side has no proven address yet, or has withdrawn its consent.
    NoDestination => "no_destination",
    /// The other side has no keys yet.
    DestinationNoKeys => "destination_no_keys",
    /// Protection failed: key lifetime at its end.
    ProtectFailed => "protect_failed",
    /// More DTLS datagrams from one browser than any handshake has.
    DtlsFlood => "dtls_flood",
    /// The queue of DTLS datagrams to control is full.
    ControlQueueFull => "control_queue_full",
    /// No buffer was free to take it.
    NoBuffer => "no_buffer",
    /// The send queue was full, or the kernel refused the packet.
    SendFailed => "send_failed",
}
