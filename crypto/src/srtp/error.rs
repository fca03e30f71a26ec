//! Why a packet, a context or an exported context was refused.

use std::fmt;

/// Why a packet was not protected or not unprotected. No state has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpError {
    // The packet breaks a rule.
    /// Fewer bytes than the smallest packet with its header, index, identifier and tag.
    TooShort,
    /// Not version 2 (RFC 3550 section 5.1).
    BadVersion,
    /// The CSRC list goes beyond the end of the packet.
    TruncatedCsrcs,
    /// The header extension goes beyond the end of the packet.
    TruncatedExtension,
    /// The padding is larger than the payload (RFC 3550 section 5.1). Known only after decryption.
    PaddingTooLarge,
    /// Forged, damaged, or protected with another key.
    AuthenticationFailed,
    /// The index was seen (receiver) or used (sender) before.
    Replayed,
    /// The index is further behind than the replay window reaches.
    TooOld,

    // The packet wants what was not negotiated.
    /// Header extension and CSRCs are encrypted (cryptex, RFC 9335).
    EncryptedHeader,
    /// Another master key identifier than the one of the key.
    UnknownMki,
    /// SRTCP without the E bit, though we negotiate encryption (RFC 3711 section 3.4).
    NotEncrypted,
    /// SRTCP with the E bit, though it was negotiated to stay in the clear.
    UnexpectedEncryption,

    // A limit is reached.
    /// The limit of packets of the key is reached (RFC 3711 section 9.2), or the last rollover: a
    /// new key is needed.
    KeyExhausted,
    /// More than [`SrtpOptions::sources_max`](super::SrtpOptions) sources under one key.
    TooManySources,

    // We are wrong.
    /// The buffer has no room for index, identifier and tag.
    NoRoom,
    /// A rollover counter for a source that has one.
    SourceInUse,
    /// The key material does not fit its profile. Cannot come from a
    /// [`MasterKey`](crate::keys::MasterKey).
    BadKey,
    /// A value of [`SrtpOptions`](super::SrtpOptions) beyond its range.
    BadOptions,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "packet too short",
            Self::BadVersion => "not RTP or RTCP version 2",
            Self::TruncatedCsrcs => "CSRC list beyond the end of the packet",
            Self::TruncatedExtension => "header extension beyond the end of the packet",
            Self::PaddingTooLarge => "padding larger than the payload",
            Self::AuthenticationFailed => "authentication failed",
            Self::Replayed => "packet index used before",
            Self::TooOld => "packet index too old",
            Self::EncryptedHeader => "header extension encrypted, which was not negotiated",
            Self::UnknownMki => "unknown master key identifier",
            Self::NotEncrypted => "SRTCP packet that is not encrypted",
            Self::UnexpectedEncryption => "SRTCP packet encrypted, which was not negotiated",
            Self::KeyExhausted => "packet limit of the key reached",
            Self::TooManySources => "too many sources",
            Self::NoRoom => "no room for index, identifier and tag",
            Self::SourceInUse => "the source has a rollover counter",
            Self::BadKey => "key material does not fit its profile",
            Self::BadOptions => "SRTP option out of range",
        })
    }
}

impl std::error::Error for SrtpError {}

/// Why an exported context was not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// Not an exported context, or cut short, or longer than it says.
    Malformed,
    /// Of a version that this program does not know.
    UnknownVersion,
    /// A sender's context for a receiver, or the other way round.
    WrongDirection,
    /// A suite that this program does not know.
    UnknownSuite,
    /// A field has a value that no context can have.
    BadValue,
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed SRTP context",
            Self::UnknownVersion => "SRTP context of an unknown version",
            Self::WrongDirection => "SRTP context of the other direction",
            Self::UnknownSuite => "SRTP context of an unknown suite",
            Self::BadValue => "SRTP context with an impossible value",
        })
    }
}

impl std::error::Error for ImportError {}
