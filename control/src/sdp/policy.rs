//! Which codecs a leg may have, and what of an m-line they leave.

use super::limits::PLANNED_CODECS_MAX;
use super::model::{Codec, MediaKind, RemoteMedia};

/// Feedback that the media plane carries between two browsers (RFC 4585, RFC 5104,
/// draft-alvestrand-rmcat-remb). Its reports end at each leg: without goog-remb a sender would not
/// learn what the other leg has room for.
const FEEDBACK: [&str; 4] = ["goog-remb", "nack", "nack pli", "ccm fir"];

/// Packet time when nobody says anything, RFC 3551 section 4.2.
pub(super) const PTIME_MS_DEFAULT: u16 = 20;

/// All digits and `* # A-D`, RFC 4733 section 2.4.1. Chromium offers telephone-event without it.
pub(super) const TELEPHONE_EVENTS: &str = "0-15";

/// Clock rate of the telephone-event that every telephone knows; Asterisk and some telephones know no
/// other, and take it beside opus too, though RFC 4733 section 2.1 wants the clock of the audio.
pub(super) const TELEPHONE_EVENT_HZ: u32 = 8_000;

/// What a leg may be offered and asked for. Order has no meaning: the offerer's order stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecPolicy {
    /// Audio encodings: a name (`opus`, `PCMU`), or name/clock, or name/clock/channels.
    pub audio: Vec<String>,
    /// Video encodings; empty means no video on this leg.
    pub video: Vec<String>,
    /// Whether RFC 4733 digits may pass.
    pub telephone_event: bool,
    /// `a=ptime` of our offers, in milliseconds. Default 20.
    pub ptime: u16,
}

impl CodecPolicy {
    /// What browsers have in common: opus, G.722, G.711; VP8, H.264, VP9, AV1.
    pub fn browser() -> Self {
        Self {
            audio: names(&["opus", "G722", "PCMU", "PCMA"]),
            video: names(&["VP8", "H264", "VP9", "AV1"]),
            telephone_event: true,
            ptime: PTIME_MS_DEFAULT,
        }
    }

    /// An audio trunk: opus, G.711, G.722.
    pub fn trunk() -> Self {
        Self {
            audio: names(&["opus", "PCMU", "PCMA", "G722"]),
            video: Vec::new(),
            telephone_event: true,
            ptime: PTIME_MS_DEFAULT,
        }
    }

    fn allows(&self, kind: MediaKind, codec: &Codec) -> bool {
        let list = match kind {
            MediaKind::Audio => &self.audio,
            MediaKind::Video => &self.video,
            MediaKind::Other => return false,
        };
        list.iter().any(|entry| entry_allows(entry, codec))
    }
}

/// The audio codecs that the policy allows, then one telephone-event per remaining clock rate, and
/// the usual one.
pub(super) fn allowed_audio(media: &RemoteMedia, policy: &CodecPolicy) -> Vec<Codec> {
    let mut kept: Vec<Codec> = media
        .codecs
        .iter()
        .filter(|codec| !codec.is_telephone_event() && policy.allows(MediaKind::Audio, codec))
        .take(PLANNED_CODECS_MAX)
        .map(|codec| Codec {
            feedback: Vec::new(),
            ..codec.clone()
        })
        .collect();
    if !policy.telephone_event {
        return kept;
    }
    let mut clocks: Vec<u32> = Vec::new();
    for codec in &kept {
        if !clocks.contains(&codec.clock_hz) {
            clocks.push(codec.clock_hz);
        }
    }
    if !kept.is_empty() && !clocks.contains(&TELEPHONE_EVENT_HZ) {
        clocks.push(TELEPHONE_EVENT_HZ);
    }
    for clock_hz in clocks {
        let event = media
            .codecs
            .iter()
            .find(|codec| codec.is_telephone_event() && codec.clock_hz == clock_hz);
        kept.extend(event.map(|codec| Codec {
            fmtp: Some(TELEPHONE_EVENTS.into()),
            feedback: Vec::new(),
            ..codec.clone()
        }));
    }
    kept
}

/// The video codecs that the policy allows, with the feedback that is carried.
pub(super) fn allowed_video(media: &RemoteMedia, policy: &CodecPolicy) -> Vec<Codec> {
    media
        .codecs
        .iter()
        .filter(|codec| policy.allows(MediaKind::Video, codec))
        .take(PLANNED_CODECS_MAX)
        .map(|codec| Codec {
            feedback: FEEDBACK
                .iter()
                .filter(|known| codec.feedback.iter().any(|value| value == *known))
                .map(|&known| known.to_owned())
                .collect(),
            ..codec.clone()
        })
        .collect()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

/// Whether a policy entry means this codec. A bare well-known name implies its clock rate and
/// channels, so that `PCMU` does not let `PCMU/16000` through.
fn entry_allows(entry: &str, codec: &Codec) -> bool {
    let mut parts = entry.split('/');
    let name = parts.next().unwrap_or_default();
    let known = match name.to_ascii_lowercase().as_str() {
        "opus" => (Some(48_000), Some(2)),
        "pcmu" | "pcma" | "g722" | "g729" => (Some(8_000), Some(1)),
        "vp8" | "vp9" | "h264" | "av1" => (Some(90_000), Some(1)),
        _ => (None, None),
    };
    let clock_hz = parts.next().and_then(|text| text.parse().ok()).or(known.0);
    let channels = parts.next().and_then(|text| text.parse().ok()).or(known.1);
    name.eq_ignore_ascii_case(&codec.name)
        && clock_hz.is_none_or(|clock_hz| clock_hz == codec.clock_hz)
        && channels.is_none_or(|channels| channels == codec.channels)
}
