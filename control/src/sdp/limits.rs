//! Every bound of the SDP code.

/// Largest session description that is read. A Chromium offer with audio and video is 5 to 8 kB.
pub const SDP_BYTES_MAX: usize = 32 * 1024;

/// Most lines of one description. A Chromium offer with audio and video has about 200.
pub const SDP_LINES_MAX: usize = 1_500;

/// Most m-lines of one description. A call carries two; the rest are slots answered with port 0.
pub const MEDIA_LINES_MAX: usize = 16;

/// Most `c=` lines that are read of the session or of one m-line, besides the first.
pub const FURTHER_CONNECTIONS_MAX: usize = 7;

/// Most formats that are read from one m-line. Chromium lists about 50 for video.
pub const FORMATS_MAX: usize = 96;

/// Most codecs of one m-line that are offered on to the other leg.
pub const PLANNED_CODECS_MAX: usize = 12;

/// Most audio formats that are remembered of what a peer has listed so far.
pub const ABILITIES_MAX: usize = 2 * PLANNED_CODECS_MAX;

/// Most payload types of one medium that are passed on from one leg, which bounds the formats that an
/// answer agrees to: one that has no map would be dropped as unknown.
pub const ROUTE_PAIRS_MAX: usize = 12;

/// Most fingerprints kept per m-line (RFC 8122 allows several with different hashes).
pub const FINGERPRINTS_MAX: usize = 8;

/// Longest `a=fmtp` that is read, in bytes; a codec with a longer one is passed over. Real ones
/// with H.264 parameter sets stay below 300.
pub const COPIED_BYTES_MAX: usize = 512;

/// Longest `mid`, encoding name, protocol or format, in bytes; these are repeated in answers.
pub const TOKEN_CHARS_MAX: usize = 64;

/// Most `a=rtcp-fb` values kept per payload type. Chromium writes five.
pub const FEEDBACK_MAX: usize = 16;

/// ICE user-name fragment and password lengths, RFC 8839 section 5.4.
pub const ICE_FRAGMENT_CHARS_MIN: usize = 4;
/// See [`ICE_FRAGMENT_CHARS_MIN`].
pub const ICE_PASSWORD_CHARS_MIN: usize = 22;
/// Upper bound of both, RFC 8839 section 5.4.
pub const ICE_CREDENTIAL_CHARS_MAX: usize = 256;

/// Largest `a=ptime` that is believed, in milliseconds.
pub const PTIME_MS_MAX: u16 = 200;

const _: () = assert!(PLANNED_CODECS_MAX < FORMATS_MAX);
// A codec may need two, and digits of its clock two more.
const _: () = assert!(ROUTE_PAIRS_MAX >= 4);
const _: () = assert!(COPIED_BYTES_MAX < SDP_BYTES_MAX);
