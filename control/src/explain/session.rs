//! Session descriptions.

use super::reason::printable;
use super::{Explanation, Fact, Line, Refusal};
use crate::sdp::{
    LegProfile, MediaDescription, RemoteDescription, RemoteMedia, SdpError, SessionDescription,
    read_plain, read_webrtc,
};
use crate::sip::status::reason_phrase;

/// Explains a description whose first line has the number `before` + 1.
pub(super) fn explain(bytes: &[u8], before: usize) -> Explanation {
    let session = match SessionDescription::parse(bytes) {
        Ok(session) => session,
        Err(error) => return unreadable(bytes, error, before),
    };
    let is_webrtc = is_webrtc(&session);
    let read = if is_webrtc {
        read_webrtc(bytes)
    } else {
        read_plain(bytes)
    };
    let side = if is_webrtc {
        "a browser"
    } else {
        "a telephone or trunk"
    };
    let summary = format!(
        "session description of {side}, {} bytes, {} m-lines",
        bytes.len(),
        session.media.len()
    );
    let (refusal, understood) = match read {
        Ok(understood) => (None, Some(understood)),
        Err(refusal) => (Some(cannot_carry(refusal)), None),
    };
    let lines = lines(bytes, before, &session, understood.as_ref());
    Explanation {
        kind: "session description",
        summary,
        refusal,
        lines,
        remarks: understood.as_ref().map_or_else(Vec::new, remarks),
        body: None,
    }
}

/// A browser says so by DTLS or by the protocol of its m-lines.
fn is_webrtc(session: &SessionDescription) -> bool {
    let has = |media: &MediaDescription| {
        media.protocol.starts_with("UDP/TLS/")
            || media
                .attributes
                .iter()
                .any(|attribute| attribute.name == "fingerprint")
    };
    session.media.iter().any(has)
}

fn unreadable(bytes: &[u8], error: SdpError, before: usize) -> Explanation {
    let number = match error {
        SdpError::BadLine(line) | SdpError::ControlCharacter(line) | SdpError::BadMedia(line) => {
            Some(line)
        }
        SdpError::NoVersion => Some(1),
        SdpError::TooLarge
        | SdpError::TooManyLines
        | SdpError::TooManyMedia
        | SdpError::NoOrigin => None,
    };
    let text = number.and_then(|number| physical_lines(bytes).into_iter().nth(number - 1));
    let refusal = Refusal {
        status: Some(400),
        reason: error.to_string(),
        detail: None,
        line: text.as_ref().map(|(line, _)| before + line),
        column: None,
        offset: None,
        text: text.map(|(_, text)| printable(&hidden(&text))),
    };
    Explanation {
        kind: "session description",
        summary: format!("{} bytes, refused with 400 Bad Request", bytes.len()),
        refusal: Some(refusal),
        lines: Vec::new(),
        remarks: Vec::new(),
        body: None,
    }
}

fn cannot_carry(refusal: crate::sdp::Refusal) -> Refusal {
    let status = refusal.status;
    Refusal {
        status: Some(status),
        reason: format!("{status} {}", reason_phrase(status)),
        detail: Some(refusal.text),
        line: None,
        column: None,
        offset: None,
        text: None,
    }
}

/// The lines that are not blank, with their numbers.
fn physical_lines(bytes: &[u8]) -> Vec<(usize, String)> {
    let text = String::from_utf8_lossy(bytes);
    text.split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_end_matches('\r').to_owned()))
        .filter(|(_, line)| !line.trim().is_empty())
        .collect()
}

fn lines(
    bytes: &[u8],
    before: usize,
    session: &SessionDescription,
    understood: Option<&RemoteDescription>,
) -> Vec<Line> {
    let mut media = 0;
    let explained = physical_lines(bytes).into_iter().map(|(number, text)| {
        let shown = hidden(&text);
        let (kind, value) = shown.split_once('=').unwrap_or(("", &shown));
        let facts = match kind {
            "o" => vec![
                Fact::new("session", session.origin.session_id.as_str()),
                Fact::new("version", session.origin.session_version.as_str()),
            ],
            "m" => {
                media += 1;
                let meaning = understood.and_then(|read| read.media.get(media - 1));
                meaning.map_or_else(Vec::new, media_facts)
            }
            _ => Vec::new(),
        };
        Line {
            number: before + number,
            name: kind.to_owned(),
            value: value.to_owned(),
            facts,
            problem: None,
        }
    });
    explained.collect()
}

fn media_facts(media: &RemoteMedia) -> Vec<Fact> {
    let mut facts = Vec::new();
    let state = match (media.rejected, media.usable) {
        (true, _) => "rejected (port 0)",
        (false, true) => "usable",
        (false, false) => "not carried: it is answered with port 0",
    };
    facts.push(Fact::new(media.media_type.as_str(), state));
    if !media.usable {
        return facts;
    }
    facts.push(Fact::new("direction", media.direction.as_str()));
    facts.extend(
        media
            .rtp
            .map(|address| Fact::new("RTP to", address.to_string())),
    );
    facts.extend(
        media
            .rtcp
            .map(|address| Fact::new("RTCP to", address.to_string())),
    );
    for codec in &media.codecs {
        let channels = if codec.channels > 1 {
            format!("/{}", codec.channels)
        } else {
            String::new()
        };
        let fmtp = codec
            .fmtp
            .as_deref()
            .map_or_else(String::new, |fmtp| format!(" ({fmtp})"));
        let is = format!("{}/{}{channels}{fmtp}", codec.name, codec.clock_hz);
        facts.push(Fact::new(format!("payload {}", codec.payload_type), is));
    }
    facts.extend(
        media
            .ptime
            .map(|ms| Fact::new("packet time", format!("{ms} ms"))),
    );
    facts.extend(media.mid.as_deref().map(|mid| Fact::new("mid", mid)));
    facts.extend(media.ice.as_ref().map(|ice| {
        Fact::new(
            "ICE",
            format!("fragment {}, password not shown", ice.fragment),
        )
    }));
    for fingerprint in &media.fingerprints {
        facts.push(Fact::new("DTLS", fingerprint.as_str()));
    }
    if media.rtcp_mux {
        facts.push(Fact::new("RTCP", "on the port of RTP"));
    }
    facts
}

fn remarks(read: &RemoteDescription) -> Vec<String> {
    let mut remarks = Vec::new();
    if read.audio().is_none() {
        remarks.push("no audio that can be carried".to_owned());
    }
    let has_events = read
        .audio()
        .is_some_and(|audio| audio.codecs.iter().any(|codec| codec.is_telephone_event()));
    if read.audio().is_some() && !has_events {
        remarks.push("no telephone-event: digits cannot be sent as RFC 4733 events".to_owned());
    }
    if read.profile == LegProfile::Plain
        && read
            .media
            .iter()
            .any(|media| media.usable && media.rtp.is_none())
    {
        remarks.push("on hold by an address of zero, as before RFC 3264".to_owned());
    }
    remarks
}

/// Returns a line without keys and passwords.
fn hidden(line: &str) -> String {
    for secret in ["a=ice-pwd:", "k="] {
        if line.starts_with(secret) {
            return format!("{secret}(not shown)");
        }
    }
    match line.find("inline:") {
        Some(at) if line.starts_with("a=crypto:") => {
            format!("{}inline:(not shown)", line.get(..at).unwrap_or(""))
        }
        Some(_) | None => line.to_owned(),
    }
}
