//! Our own descriptions, line by line. Nothing of the other leg's text comes in here except codec
//! parameters; nothing of the peer's text except what an answer must repeat.

use std::net::IpAddr;

use super::leg::LocalTransport;
use super::model::{Codec, Direction, LegProfile, MediaKind};
use super::session::{Attribute, MediaDescription, Origin, SessionDescription};

/// The place of an m-line in a leg's list; never given up once it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) media_type: String,
    pub(super) protocol: String,
    pub(super) mid: Option<String>,
    pub(super) carried: bool,
    pub(super) first_format: String,
}

/// What stands in an m-line that is not rejected.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) kind: MediaKind,
    pub(super) codecs: Vec<Codec>,
    pub(super) direction: Direction,
    pub(super) ptime: Option<u16>,
}

pub(super) struct Request<'a> {
    pub(super) profile: LegProfile,
    pub(super) session_id: u64,
    pub(super) slots: &'a [Slot],
    pub(super) contents: &'a [Option<Content>],
    pub(super) local: &'a LocalTransport,
    pub(super) setup: &'static str,
    /// The peer's BUNDLE group when this is an answer.
    pub(super) offered_bundle: Option<&'a [String]>,
}

pub(super) const fn media_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Other => "application",
    }
}

pub(super) const fn protocol(profile: LegProfile) -> &'static str {
    match profile {
        LegProfile::WebRtc => "UDP/TLS/RTP/SAVPF",
        LegProfile::Plain => "RTP/AVP",
    }
}

/// The description, its version left 0 for the caller to fill.
pub(super) fn description(request: &Request<'_>) -> SessionDescription {
    let connection = connection(request.local.address);
    let media = request.slots.iter().enumerate().map(|(index, slot)| {
        match request.contents.get(index).and_then(Option::as_ref) {
            Some(content) => accepted_media(request, slot, content),
            None => rejected_media(request.profile, slot),
        }
    });
    SessionDescription {
        origin: Origin {
            username: "-".to_owned(),
            session_id: request.session_id.to_string(),
            session_version: "0".to_owned(),
            address: connection.clone(),
        },
        session_name: "-".to_owned(),
        connection: Some(connection),
        further_connections: Vec::new(),
        times: vec!["0 0".to_owned()],
        other: Vec::new(),
        attributes: session_attributes(request),
        media: media.collect(),
    }
}

fn connection(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IN IP4 {address}"),
        IpAddr::V6(address) => format!("IN IP6 {address}"),
    }
}

fn session_attributes(request: &Request<'_>) -> Vec<Attribute> {
    if request.profile == LegProfile::Plain {
        return Vec::new();
    }
    let bundled: Vec<&str> = request
        .slots
        .iter()
        .zip(request.contents)
        .filter(|(_, content)| content.is_some())
        .filter_map(|(slot, _)| slot.mid.as_deref())
        // A group in an answer is a subset of the offered one (RFC 9143 section 7.3).
        .filter(|&mid| {
            request
                .offered_bundle
                .is_none_or(|offered| offered.iter().any(|other| other == mid))
        })
        .collect();
    let mut attributes = Vec::with_capacity(3);
    if !bundled.is_empty() {
        attributes.push(Attribute::new(
            "group",
            format!("BUNDLE {}", bundled.join(" ")),
        ));
    }
    attributes.push(Attribute::flag("ice-lite"));
    attributes.push(Attribute::new("msid-semantic", "WMS *"));
    attributes
}

fn rejected_media(profile: LegProfile, slot: &Slot) -> MediaDescription {
    let mut attributes = Vec::new();
    if profile == LegProfile::WebRtc {
        attributes.extend(slot.mid.as_deref().map(|mid| Attribute::new("mid", mid)));
        attributes.push(Attribute::flag("inactive"));
    }
    MediaDescription {
        media_type: slot.media_type.clone(),
        port: 0,
        protocol: slot.protocol.clone(),
        formats: vec![slot.first_format.clone()],
        connection: None,
        further_connections: Vec::new(),
        other: Vec::new(),
        attributes,
    }
}

fn accepted_media(request: &Request<'_>, slot: &Slot, content: &Content) -> MediaDescription {
    let local = request.local;
    let mut attributes = Vec::new();
    if request.profile == LegProfile::WebRtc {
        transport_attributes(request, slot, content.kind, &mut attributes);
    }
    for codec in &content.codecs {
        codec_attributes(request.profile, codec, &mut attributes);
    }
    attributes.extend(
        content
            .ptime
            .map(|ptime_ms| Attribute::new("ptime", ptime_ms.to_string())),
    );
    attributes.push(Attribute::flag(content.direction.as_str()));
    if request.profile == LegProfile::WebRtc && content.direction.sends() {
        source_attributes(local, content.kind, &mut attributes);
    }
    MediaDescription {
        media_type: slot.media_type.clone(),
        port: local.port(content.kind),
        protocol: slot.protocol.clone(),
        formats: content
            .codecs
            .iter()
            .map(|codec| codec.payload_type.to_string())
            .collect(),
        // Browsers look for c= in each m-line; for a trunk the session-level one is enough.
        connection: match request.profile {
            LegProfile::WebRtc => Some(connection(local.address)),
            LegProfile::Plain => None,
        },
        further_connections: Vec::new(),
        other: Vec::new(),
        attributes,
    }
}

fn transport_attributes(
    request: &Request<'_>,
    slot: &Slot,
    kind: MediaKind,
    attributes: &mut Vec<Attribute>,
) {
    let local = request.local;
    let port = local.port(kind);
    attributes.push(Attribute::new("rtcp", port.to_string()));
    if let Some(ice) = &local.ice {
        attributes.push(Attribute::new("ice-ufrag", &ice.fragment));
        attributes.push(Attribute::new("ice-pwd", &ice.password));
    }
    // 2130706431 is the priority of a single host candidate, RFC 8445 section 5.1.2.1.
    let candidate = format!("1 1 udp 2130706431 {} {port} typ host", local.address);
    attributes.push(Attribute::new("candidate", candidate));
    attributes.push(Attribute::flag("end-of-candidates"));
    if let Some(fingerprint) = &local.fingerprint {
        attributes.push(Attribute::new("fingerprint", fingerprint));
    }
    attributes.push(Attribute::new("setup", request.setup));
    attributes.extend(slot.mid.as_deref().map(|mid| Attribute::new("mid", mid)));
    attributes.push(Attribute::flag("rtcp-mux"));
}

fn codec_attributes(profile: LegProfile, codec: &Codec, attributes: &mut Vec<Attribute>) {
    let number = codec.payload_type;
    let mut rtpmap = format!("{number} {}/{}", codec.name, codec.clock_hz);
    if codec.channels > 1 {
        rtpmap.push_str(&format!("/{}", codec.channels));
    }
    attributes.push(Attribute::new("rtpmap", rtpmap));
    if let Some(fmtp) = &codec.fmtp {
        attributes.push(Attribute::new("fmtp", format!("{number} {fmtp}")));
    }
    // rtcp-fb belongs to the AVPF profiles only (RFC 4585 section 4).
    if profile == LegProfile::WebRtc {
        for feedback in &codec.feedback {
            attributes.push(Attribute::new("rtcp-fb", format!("{number} {feedback}")));
        }
    }
}

/// Without msid the page's `track` event has no stream; without ssrc an old browser that lacks the
/// MID header extension cannot tell bundled media apart (RFC 8830, RFC 5576).
fn source_attributes(local: &LocalTransport, kind: MediaKind, attributes: &mut Vec<Attribute>) {
    let ssrc = match kind {
        MediaKind::Audio => local.audio_ssrc,
        MediaKind::Video => local.video_ssrc,
        MediaKind::Other => return,
    };
    let stream = &local.cname;
    attributes.push(Attribute::new(
        "msid",
        format!("{stream} {}", media_type(kind)),
    ));
    attributes.push(Attribute::new("ssrc", format!("{ssrc} cname:{stream}")));
}
