//! What the lines of a peer mean, and whether this gateway can talk to such a peer at all.

mod addresses;

use std::net::IpAddr;

use super::limits::{
    COPIED_BYTES_MAX, FEEDBACK_MAX, FINGERPRINTS_MAX, ICE_CREDENTIAL_CHARS_MAX,
    ICE_FRAGMENT_CHARS_MIN, ICE_PASSWORD_CHARS_MIN, PTIME_MS_MAX, TOKEN_CHARS_MAX,
};
use super::model::{
    Codec, Direction, LegProfile, MediaKind, Refusal, RemoteDescription, RemoteIce, RemoteMedia,
    Setup,
};
use super::session::{Attribute, MediaDescription, SessionDescription};

/// Reads a browser's offer or answer.
///
/// Candidates are ignored, mDNS names among them: ICE-lite learns the peer's address from its
/// checks (RFC 8445 section 2.5).
///
/// # Errors
/// 400 for something that is not SDP. 488 for an m-line that wants to be used but has no (usable)
/// fingerprint, no ICE credentials, no rtcp-mux, or leaves the DTLS client role to us.
pub fn read_webrtc(bytes: &[u8]) -> Result<RemoteDescription, Refusal> {
    let session = parse(bytes)?;
    let bundle = bundle_group(&session);
    let mut media = Vec::with_capacity(session.media.len());
    for line in &session.media {
        let scope = Scope::new(&session, line, &bundle);
        let mut remote = read_media(&scope, LegProfile::WebRtc);
        if remote.usable {
            require_webrtc_transport(&scope, &mut remote)?;
        }
        media.push(remote);
    }
    require_audio_transport(
        &media,
        "browser audio must use DTLS-SRTP (UDP/TLS/RTP/SAVPF)",
    )?;
    Ok(finish(LegProfile::WebRtc, session, media, bundle))
}

/// Reads a SIP trunk's or telephone's offer or answer.
///
/// RTP/AVP and RTP/AVPF are understood; m-lines of other protocols are not usable.
/// `a=crypto`, ICE and DTLS attributes are ignored. `c=0.0.0.0` takes the peer's `recv` away.
///
/// # Errors
/// 400 for something that is not SDP. 488 when no audio m-line is left that has a unicast IP address,
/// or when all audio is SRTP. Any other m-line without such an address is not usable.
pub fn read_plain(bytes: &[u8]) -> Result<RemoteDescription, Refusal> {
    read_plain_for(bytes, None)
}

/// The same where our media address decides which addresses of a peer can be reached: those of its
/// family. Where a peer names both, that one is taken.
///
/// # Errors
/// As [`read_plain`]; 488 with Warning 301 for audio of the other family.
pub fn read_plain_for(bytes: &[u8], local: Option<IpAddr>) -> Result<RemoteDescription, Refusal> {
    let session = parse(bytes)?;
    let mut media = Vec::with_capacity(session.media.len());
    let mut unreachable = None;
    for line in &session.media {
        let scope = Scope::new(&session, line, &[]);
        let mut remote = read_media(&scope, LegProfile::Plain);
        if remote.usable
            && let Err(refusal) = addresses::read(&scope, local, &mut remote)
        {
            remote.usable = false;
            if remote.kind == MediaKind::Audio {
                unreachable.get_or_insert(refusal);
            }
        }
        media.push(remote);
    }
    let is_heard = |media: &RemoteMedia| media.usable && media.kind == MediaKind::Audio;
    if let Some(refusal) = unreachable
        && !media.iter().any(is_heard)
    {
        return Err(refusal);
    }
    require_audio_transport(&media, "trunk audio must use RTP/AVP or RTP/AVPF")?;
    Ok(finish(LegProfile::Plain, session, media, Vec::new()))
}

fn parse(bytes: &[u8]) -> Result<SessionDescription, Refusal> {
    SessionDescription::parse(bytes).map_err(|error| Refusal::new(400, 399, error.to_string()))
}

fn finish(
    profile: LegProfile,
    session: SessionDescription,
    media: Vec<RemoteMedia>,
    bundle: Vec<String>,
) -> RemoteDescription {
    RemoteDescription {
        profile,
        session_id: session.origin.session_id,
        session_version: session.origin.session_version,
        media,
        bundle,
    }
}

/// All the audio of a description may be refused by the peer, but not be of a kind that we cannot
/// carry: the refusal then names the transport and not the codecs.
fn require_audio_transport(media: &[RemoteMedia], text: &str) -> Result<(), Refusal> {
    let mut wanted = media
        .iter()
        .filter(|m| m.kind == MediaKind::Audio && !m.rejected)
        .peekable();
    if wanted.peek().is_some() && wanted.all(|media| !media.usable) {
        return Err(Refusal::new(488, 302, text));
    }
    Ok(())
}

/// Where the attributes of an m-line are looked up: the line, the line that leads its BUNDLE
/// group (RFC 9143 section 7.1.3), the session.
struct Scope<'a> {
    line: &'a MediaDescription,
    bundled: bool,
    leader: Option<&'a MediaDescription>,
    session: &'a SessionDescription,
}

impl<'a> Scope<'a> {
    fn new(session: &'a SessionDescription, line: &'a MediaDescription, bundle: &[String]) -> Self {
        let with_mid = |mid: &str| {
            session
                .media
                .iter()
                .find(|line| mid_of(line).is_some_and(|m| m == mid))
        };
        let bundled = mid_of(line).is_some_and(|mid| bundle.iter().any(|other| other == mid));
        let leader = bundle
            .first()
            .filter(|_| bundled)
            .and_then(|mid| with_mid(mid));
        Self {
            line,
            bundled,
            leader,
            session,
        }
    }

    fn values<'s>(&'s self, name: &'s str) -> Vec<&'s str> {
        let of = |list: &'s [Attribute]| -> Vec<&'s str> {
            list.iter()
                .filter(|attribute| attribute.name == name)
                .map(|attribute| attribute.value.as_deref().unwrap_or_default())
                .collect()
        };
        let own = of(&self.line.attributes);
        let leader = || {
            self.leader
                .map(|line| of(&line.attributes))
                .unwrap_or_default()
        };
        let candidates = [own, leader(), of(&self.session.attributes)];
        candidates
            .into_iter()
            .find(|list| !list.is_empty())
            .unwrap_or_default()
    }

    fn value<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        self.values(name).first().copied()
    }

    fn own(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let list: Vec<&'a str> = self
            .line
            .attributes
            .iter()
            .filter(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_deref().unwrap_or_default())
            .collect();
        list.into_iter()
    }

    fn direction(&self) -> Direction {
        let of = |list: &[Attribute]| {
            list.iter()
                .find_map(|attribute| Direction::from_attribute(&attribute.name))
        };
        of(&self.line.attributes)
            .or_else(|| of(&self.session.attributes))
            .unwrap_or_default()
    }
}

fn read_media(scope: &Scope<'_>, profile: LegProfile) -> RemoteMedia {
    let line = scope.line;
    let kind = match line.media_type.as_str() {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Other,
    };
    let bundle_only = scope.bundled && scope.own("bundle-only").next().is_some();
    let rejected = line.port == 0 && !bundle_only;
    let carried = kind != MediaKind::Other && carries(profile, &line.protocol);
    RemoteMedia {
        kind,
        media_type: line.media_type.clone(),
        mid: mid_of(line).map(str::to_owned),
        protocol: line.protocol.clone(),
        formats: line.formats.clone(),
        codecs: if carried {
            read_codecs(scope)
        } else {
            Vec::new()
        },
        direction: scope.direction(),
        rejected,
        usable: carried && !rejected,
        rtp: None,
        rtcp: None,
        ice: None,
        fingerprints: Vec::new(),
        setup: None,
        tls_id: None,
        rtcp_mux: scope.value("rtcp-mux").is_some() || scope.value("rtcp-mux-only").is_some(),
        ptime: scope
            .own("ptime")
            .find_map(|text| text.parse().ok())
            .filter(|ptime_ms| (1..=PTIME_MS_MAX).contains(ptime_ms)),
    }
}

fn carries(profile: LegProfile, protocol: &str) -> bool {
    let known: &[&str] = match profile {
        LegProfile::WebRtc => &[
            "UDP/TLS/RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "RTP/SAVPF",
            "RTP/SAVP",
        ],
        LegProfile::Plain => &["RTP/AVP", "RTP/AVPF"],
    };
    known.iter().any(|name| name.eq_ignore_ascii_case(protocol))
}

fn read_codecs(scope: &Scope<'_>) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = Vec::new();
    let clocks = audio_clocks(scope);
    for format in &scope.line.formats {
        let Some(payload_type) = format.parse::<u8>().ok().filter(|&number| number < 128) else {
            continue;
        };
        if codecs
            .iter()
            .any(|codec| codec.payload_type == payload_type)
        {
            continue;
        }
        let rtpmap = rtpmap(scope, format, &clocks);
        let Some((name, clock_hz, channels)) = rtpmap.or_else(|| static_codec(payload_type)) else {
            continue;
        };
        let fmtp = for_format(scope, "fmtp", format)
            .next()
            .filter(|text| !text.is_empty());
        if fmtp.is_some_and(|text| text.len() > COPIED_BYTES_MAX) {
            continue;
        }
        codecs.push(Codec {
            payload_type,
            name,
            clock_hz,
            channels,
            fmtp: fmtp.map(str::to_owned),
            feedback: for_format(scope, "rtcp-fb", format)
                .chain(for_format(scope, "rtcp-fb", "*"))
                .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .take(FEEDBACK_MAX)
                .collect(),
        });
    }
    codecs
}

/// The clock rates of all that is no telephone-event.
fn audio_clocks(scope: &Scope<'_>) -> Vec<u32> {
    let formats = scope.line.formats.iter();
    let codec_of = |format: &String| {
        let written = for_format(scope, "rtpmap", format).find_map(parse_rtpmap);
        written.or_else(|| static_codec(format.parse().ok()?))
    };
    let codecs = formats.filter_map(codec_of);
    let codecs = codecs.filter(|(name, ..)| !name.eq_ignore_ascii_case("telephone-event"));
    codecs.map(|(_, clock_hz, _)| clock_hz).collect()
}

/// The meaning of a format: its first rtpmap. Some write several for their telephone-event, one for
/// each clock rate: then the first that fits a codec.
fn rtpmap(scope: &Scope<'_>, format: &str, clocks: &[u32]) -> Option<(String, u32, u8)> {
    let mut all = for_format(scope, "rtpmap", format).filter_map(parse_rtpmap);
    let first = all.next()?;
    if !first.0.eq_ignore_ascii_case("telephone-event") || clocks.contains(&first.1) {
        return Some(first);
    }
    let fits = |(name, clock_hz, _): &(String, u32, u8)| {
        name.eq_ignore_ascii_case("telephone-event") && clocks.contains(clock_hz)
    };
    Some(all.find(fits).unwrap_or(first))
}

/// The values `FORMAT rest` of an attribute, without the format.
fn for_format<'a>(scope: &Scope<'a>, name: &str, format: &str) -> impl Iterator<Item = &'a str> {
    scope.own(name).filter_map(move |value| {
        let (number, rest) = value.split_once([' ', '\t'])?;
        (number == format).then(|| rest.trim())
    })
}

/// `opus/48000/2`
fn parse_rtpmap(text: &str) -> Option<(String, u32, u8)> {
    let mut parts = text.split('/').map(str::trim);
    let name = parts.next().filter(|name| is_token(name))?;
    let clock_hz = parts
        .next()?
        .parse()
        .ok()
        .filter(|&clock_hz| clock_hz > 0)?;
    let channels = match parts.next() {
        None | Some("") => 1,
        Some(text) => text.parse().ok().filter(|&channels| channels > 0)?,
    };
    Some((name.to_owned(), clock_hz, channels))
}

/// RFC 3551 section 6: these may come without rtpmap.
fn static_codec(payload_type: u8) -> Option<(String, u32, u8)> {
    let name = match payload_type {
        0 => "PCMU",
        3 => "GSM",
        4 => "G723",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        18 => "G729",
        _ => return None,
    };
    Some((name.to_owned(), 8_000, 1))
}

fn require_webrtc_transport(scope: &Scope<'_>, media: &mut RemoteMedia) -> Result<(), Refusal> {
    let refuse = |text: &str| Err(Refusal::new(488, 399, text));
    let offered = scope.values("fingerprint");
    media.fingerprints = offered
        .iter()
        .filter_map(|value| parse_fingerprint(value))
        .take(FINGERPRINTS_MAX)
        .collect();
    if offered.is_empty() {
        return refuse("SDP without DTLS fingerprint");
    }
    if media.fingerprints.is_empty() {
        return refuse("DTLS fingerprint is malformed or not sha-256, sha-384 or sha-512");
    }
    media.ice = read_ice(scope);
    if media.ice.is_none() {
        return refuse("SDP without valid ICE credentials");
    }
    // RFC 5763 section 5 with RFC 4145 section 4: an absent attribute means active.
    let tls_id = scope.value("tls-id");
    media.tls_id = tls_id.filter(|id| is_token(id)).map(str::to_owned);
    media.setup = match scope.value("setup").map(str::to_ascii_lowercase).as_deref() {
        None | Some("active") => Some(Setup::Active),
        Some("actpass") => Some(Setup::ActPass),
        Some(_) => return refuse("a=setup must let the gateway be the DTLS server"),
    };
    if !media.rtcp_mux {
        return refuse("SDP without rtcp-mux");
    }
    Ok(())
}

fn read_ice(scope: &Scope<'_>) -> Option<RemoteIce> {
    let valid = |text: &str, min: usize| {
        (min..=ICE_CREDENTIAL_CHARS_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
    };
    let fragment = scope
        .value("ice-ufrag")
        .filter(|text| valid(text, ICE_FRAGMENT_CHARS_MIN))?;
    let password = scope
        .value("ice-pwd")
        .filter(|text| valid(text, ICE_PASSWORD_CHARS_MIN))?;
    Some(RemoteIce {
        fragment: fragment.to_owned(),
        password: password.to_owned(),
    })
}

/// `SHA-256 ab:cd:…` → `sha-256 AB:CD:…`; `None` for other hashes (sha-1 and md5 can be forged,
/// RFC 8122 section 5) and for a digest of the wrong form.
fn parse_fingerprint(value: &str) -> Option<String> {
    let (hash, digest) = value.split_once([' ', '\t'])?;
    let hash = hash.to_ascii_lowercase();
    let bytes_expected = match hash.as_str() {
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return None,
    };
    let digest = digest.trim().to_ascii_uppercase();
    let octet = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let valid = digest.split(':').count() == bytes_expected && digest.split(':').all(octet);
    valid.then(|| format!("{hash} {digest}"))
}

fn mid_of(line: &MediaDescription) -> Option<&str> {
    line.attributes
        .iter()
        .find(|attribute| attribute.name == "mid")
        .and_then(|attribute| attribute.value.as_deref())
        .filter(|mid| is_token(mid))
}

/// The mids of the first BUNDLE group, RFC 9143 section 5.
fn bundle_group(session: &SessionDescription) -> Vec<String> {
    session
        .attributes
        .iter()
        .filter(|attribute| attribute.name == "group")
        .filter_map(|attribute| attribute.value.as_deref())
        .find_map(|value| value.strip_prefix("BUNDLE"))
        .map(|mids| {
            mids.split_whitespace()
                .filter(|mid| is_token(mid))
                .map(str::to_owned)
        })
        .map(Iterator::collect)
        .unwrap_or_default()
}

/// A token of RFC 8866 section 9, not unreasonably long.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= TOKEN_CHARS_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}
