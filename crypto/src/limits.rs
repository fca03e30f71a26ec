//! Every bound of this crate.

use std::time::Duration;

/// Longest master key, that of the AES-256 suites (RFC 6188, RFC 7714).
pub const MASTER_KEY_BYTES_MAX: usize = 32;

/// Longest master salt (RFC 3711 section 8.2).
pub const MASTER_SALT_BYTES_MAX: usize = 14;

/// Longest master key identifier that we take. RFC 4568 section 6.1 allows 128 bytes; peers use
/// 1 to 4, and it costs room in every packet.
pub const MKI_BYTES_MAX: usize = 16;

/// RTP sources (SSRC) that one direction of one flow carries under one master key, unless
/// configured otherwise. A browser uses one for each medium and one for each retransmission
/// stream; the rest is for sources that change during a call.
pub const SOURCES_DEFAULT: u16 = 8;

/// Most sources that can be configured: all are looked at for each packet.
pub const SOURCES_MAX: u16 = 256;

/// Packets behind the newest one that are still accepted, once each, unless configured otherwise.
pub const REPLAY_WINDOW_PACKETS_DEFAULT: u16 = 128;

/// Smallest replay window (RFC 3711 section 3.3.2).
pub const REPLAY_WINDOW_PACKETS_MIN: u16 = 64;

/// Largest replay window: beyond half of the 16-bit sequence numbers the index is ambiguous.
pub const REPLAY_WINDOW_PACKETS_MAX: u16 = 1 << 15;

/// Authentic packets after which a signalled rollover reset that did not happen is forgotten:
/// some 20 s of audio, which is longer than a peer takes to start again after a re-INVITE.
pub const ROLLOVER_RESET_PACKETS_MAX: u16 = 1000;

/// Longest packet that is tried a second time after a signalled rollover reset: it is kept on the
/// stack meanwhile. No path of WebRTC or telephony carries longer ones.
pub const ROLLOVER_RESET_PACKET_BYTES_MAX: usize = 2048;

/// Forged GCM packets of one peer in a row from which on the tag is looked at before a packet is
/// decrypted. An authentic packet costs up to twice as much then: once, for it ends the row.
pub const FORGED_IN_A_ROW_BEFORE_CHECK: u8 = 4;

/// Longest GCM packet whose tag is looked at first, header and payload each padded to whole blocks:
/// it is copied to the stack for that. Longer ones, which only fragments can bring through the
/// Internet, are refused as they are outside of a flood.
pub const TAG_CHECK_BYTES_MAX: usize = 1536;

/// Longest `a=crypto` line that is read, in bytes.
pub const SDES_LINE_BYTES_MAX: usize = 1024;

/// RTP packets under one master key (RFC 3711 section 9.2).
pub const RTP_PACKETS_PER_KEY_MAX: u64 = 1 << 48;

/// RTCP packets under one master key (RFC 3711 section 9.2).
pub const RTCP_PACKETS_PER_KEY_MAX: u32 = 1 << 31;

/// Largest number of bytes that protecting a packet can add: the GCM tag, the SRTCP index and the
/// master key identifier. Without an identifier it is 20.
pub const SRTP_OVERHEAD_BYTES_MAX: usize = 16 + 4 + MKI_BYTES_MAX;

/// Largest DTLS datagram that we send, in bytes: fits any path that WebRTC works on.
pub const DTLS_DATAGRAM_BYTES_MAX: usize = 1200;

/// Largest certificate of a peer, in bytes. Browsers' are below 1 KiB; certificates of authorities
/// with a hundred names are below 8 KiB.
pub const DTLS_CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Most bytes that a peer may send before its certificate is whole: a chain of certificates of that
/// size, sent two or three times on a path with loss. No certificate that the library gives out can
/// be longer than that.
pub const DTLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// Largest handshake message in the clear, in bytes: with its head it fits a record (RFC 6347 section
/// 4.1). The largest is a chain of certificates in DTLS 1.2.
pub const DTLS_MESSAGE_BYTES_MAX: usize = (1 << 14) - 12;

/// Handshake messages in fragments that are put together at a time. A peer sends two or three such
/// messages; what others send in its place may take the rest.
pub const DTLS_ASSEMBLIES_MAX: usize = 6;

/// Times that a handshake begins anew because of another ClientHello before any was answered.
pub const DTLS_RESTARTS_MAX: u8 = 8;

/// How long a handshake may go on after an alert in the clear, or a certificate that is said to be too
/// long: it may be somebody else's. The peer's own next message ends the doubt.
pub const DTLS_BELIEVED_AFTER: Duration = Duration::from_secs(3);

/// Datagrams of one flight that are kept until it is whole, and that one of ours may have: enough for
/// [`DTLS_CERTIFICATE_BYTES_MAX`] on a path that takes 512 bytes at a time.
pub const DTLS_PIECES_MAX: usize = 40;

/// When an unanswered DTLS flight is sent again for the first time; then the wait doubles. dimpl
/// varies it by a quarter both ways, so the first one happens within 100 ms.
pub const DTLS_FIRST_RETRANSMIT: Duration = Duration::from_millis(80);

/// How often one DTLS flight is sent again before the handshake fails: about 20 s in all.
pub const DTLS_RETRANSMITS_MAX: usize = 7;

/// How long a handshake may take from the first ClientHello.
pub const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Fingerprints that a peer may announce for one association.
pub const FINGERPRINTS_MAX: usize = 8;
