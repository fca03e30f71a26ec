//! What a peer's session description means, in the words the rest of the code uses.

use std::fmt;
use std::net::SocketAddr;

/// Which kind of description a leg speaks. Decided per leg, never per user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegProfile {
    /// A browser: DTLS-SRTP, ICE, rtcp-mux, BUNDLE.
    WebRtc,
    /// A SIP trunk or telephone: RTP/AVP with an RTP and RTCP port pair.
    Plain,
}

/// Why a description is not acceptable, as the SIP answer that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SIP status: 400 for something that is not SDP, 488 for something we cannot carry.
    pub status: u16,
    /// Warning code of RFC 3261 section 20.43: 301 address format, 302 transport protocol,
    /// 304 media type, 305 media format, 399 other.
    pub warning_code: u16,
    /// Warning text for people; ASCII without quotes and without anything secret.
    pub text: String,
}

impl Refusal {
    pub(super) fn new(status: u16, warning_code: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            warning_code,
            text: text.into(),
        }
    }

    /// The value of a Warning header field; `agent` is our host name or a pseudonym.
    pub fn warning(&self, agent: &str) -> String {
        format!("{} {agent} \"{}\"", self.warning_code, self.text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.status, self.warning_code, self.text)
    }
}

impl std::error::Error for Refusal {}

/// The media type of an m-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `m=audio`
    Audio,
    /// `m=video`
    Video,
    /// Anything else (`application`, `image`, `text`); never carried.
    Other,
}

/// The direction attribute, as seen by the side that wrote the description (RFC 3264).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways; the default when nothing is said.
    #[default]
    SendRecv,
    /// The writer only sends (it holds the other side).
    SendOnly,
    /// The writer only receives.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// From "does it send" and "does it receive".
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends media.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer wants to receive media.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same state as the other side sees it: `sendonly` ⇄ `recvonly`.
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// This direction, narrowed to what `other` also allows.
    pub const fn intersect(self, other: Self) -> Self {
        Self::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }

    /// The attribute name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    pub(super) fn from_attribute(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// The DTLS role attribute, RFC 4145 and RFC 5763.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Starts the handshake (DTLS client).
    Active,
    /// Either role; offers only.
    ActPass,
}

/// One payload type of an m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// RTP payload type number, 0 to 127.
    pub payload_type: u8,
    /// Encoding name as in the rtpmap; compare without regard to case.
    pub name: String,
    /// RTP clock rate in Hz (8000 for G.722, RFC 3551 section 4.5.2).
    pub clock_hz: u32,
    /// Audio channels; 1 when the rtpmap says nothing.
    pub channels: u8,
    /// The `a=fmtp` parameters, without the payload type.
    pub fmtp: Option<String>,
    /// The `a=rtcp-fb` values, without the payload type.
    pub feedback: Vec<String>,
}

impl Codec {
    /// Whether this is RFC 4733 telephone-event.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether both are the same format: name without regard to case, clock rate, channels, and
    /// for H.264, VP9 and AV1 the parameters that make formats of one name incompatible.
    pub fn matches(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_hz == other.clock_hz
            && self.channels == other.channels
            && self.variant() == other.variant()
    }

    /// What tells formats of one name apart: H.264 packetization-mode and profile (RFC 6184
    /// section 8.2.2), VP9 profile-id (RFC 9628), AV1 profile.
    fn variant(&self) -> (u32, u32) {
        if self.name.eq_ignore_ascii_case("H264") {
            let mode = self
                .parameter("packetization-mode")
                .and_then(|v| v.parse().ok());
            let profile = self
                .parameter("profile-level-id")
                .and_then(|v| u32::from_str_radix(v.get(..4)?, 16).ok())
                .map_or(0x4200, constrained_baseline_as_one);
            (mode.unwrap_or(0), profile)
        } else if self.name.eq_ignore_ascii_case("VP9") {
            (
                self.parameter("profile-id")
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(0),
                0,
            )
        } else if self.name.eq_ignore_ascii_case("AV1") {
            (
                self.parameter("profile")
                    .and_then(|v| v.parse().ok())
                    .unwrap_or(0),
                0,
            )
        } else {
            (0, 0)
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.as_deref()?.split(';').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
    }
}

/// The profile_idc and the constraint bits that matter: 42e0 and 42c0 are both constrained
/// baseline (RFC 6184, table 5), and endpoints write either.
const fn constrained_baseline_as_one(profile: u32) -> u32 {
    const CONSTRAINT_SET_1: u32 = 0x40;
    if profile & 0xff00 == 0x4200 && profile & CONSTRAINT_SET_1 != 0 {
        0x42e0
    } else {
        profile
    }
}

/// A browser's ICE credentials for one m-line.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteIce {
    /// User-name fragment, 4 to 256 ice-chars.
    pub fragment: String,
    /// Password, 22 to 256 ice-chars. Never printed by `Debug`.
    pub password: String,
}

impl fmt::Debug for RemoteIce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteIce")
            .field("fragment", &self.fragment)
            .finish_non_exhaustive()
    }
}

/// One m-line of a peer's description, session-level attributes already inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Audio, video, or something that is never carried.
    pub kind: MediaKind,
    /// The media type as written (`audio`, `application`, `image`).
    pub media_type: String,
    /// `a=mid`, RFC 5888.
    pub mid: Option<String>,
    /// The transport protocol as written; an answer repeats it.
    pub protocol: String,
    /// The format list as written.
    pub formats: Vec<String>,
    /// The payload types that have a meaning, in the order of the format list.
    pub codecs: Vec<Codec>,
    /// Direction as the peer sees it.
    pub direction: Direction,
    /// Port 0 (and not bundle-only): the peer does not want this m-line.
    pub rejected: bool,
    /// Audio or video, not rejected, over a transport that this gateway carries on such a leg.
    /// An m-line of an offer that is not usable is answered with port 0.
    pub usable: bool,
    /// Where the peer wants RTP. `None` on a browser leg (ICE decides), on hold with
    /// `c=0.0.0.0`, and when rejected.
    pub rtp: Option<SocketAddr>,
    /// Where the peer wants RTCP: `a=rtcp` (RFC 3605) or the next port; `None` as for `rtp`.
    pub rtcp: Option<SocketAddr>,
    /// ICE credentials; always there on a usable m-line of a browser.
    pub ice: Option<RemoteIce>,
    /// `sha-256 AB:CD:…`: hash name in small letters (256, 384 or 512), digest in capitals.
    /// Never empty on a usable m-line of a browser.
    pub fingerprints: Vec<String>,
    /// DTLS role; always there on a usable m-line of a browser.
    pub setup: Option<Setup>,
    /// `a=tls-id`, RFC 8842 section 4: names the DTLS association, if it is there.
    pub tls_id: Option<String>,
    /// `a=rtcp-mux`, RFC 5761.
    pub rtcp_mux: bool,
    /// `a=ptime` in milliseconds, 1 to 200.
    pub ptime: Option<u16>,
}

/// A peer's description, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteDescription {
    /// How it was read.
    pub profile: LegProfile,
    /// `sess-id` of the origin line, as text (some peers exceed 64 bits).
    pub session_id: String,
    /// `sess-version` of the origin line, as text.
    pub session_version: String,
    /// The m-lines, in order.
    pub media: Vec<RemoteMedia>,
    /// The mids of the first BUNDLE group, in order; empty without one.
    pub bundle: Vec<String>,
}

impl RemoteDescription {
    /// The first usable audio m-line.
    pub fn audio(&self) -> Option<&RemoteMedia> {
        self.media
            .iter()
            .find(|media| media.usable && media.kind == MediaKind::Audio)
    }

    /// The first usable video m-line.
    pub fn video(&self) -> Option<&RemoteMedia> {
        self.media
            .iter()
            .find(|media| media.usable && media.kind == MediaKind::Video)
    }

    /// The first usable m-line, of audio where there is any: it leads the transport of a browser,
    /// whose m-lines are bundled.
    pub fn leading(&self) -> Option<&RemoteMedia> {
        self.audio().or_else(|| self.video())
    }

    /// The first usable m-line of this kind.
    pub fn of_kind(&self, kind: MediaKind) -> Option<&RemoteMedia> {
        self.place_of(kind).map(|(_, media)| media)
    }

    /// The same with its index.
    pub(super) fn place_of(&self, kind: MediaKind) -> Option<(usize, &RemoteMedia)> {
        let mut media = self.media.iter().enumerate();
        media.find(|(_, media)| media.usable && media.kind == kind)
    }

    pub(super) fn is_bundled(&self, media: &RemoteMedia) -> bool {
        media
            .mid
            .as_ref()
            .is_some_and(|mid| self.bundle.contains(mid))
    }
}
