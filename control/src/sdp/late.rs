//! Late offers (RFC 3261 section 13.2.1): a trunk that sends an INVITE without a description
//! leaves the offer to us.

use super::model::{Codec, Direction, LegProfile, MediaKind, RemoteDescription, RemoteMedia};
use super::negotiate::{AnswerPlan, OfferPlan, PlannedCodec, PlannedMedia};
use super::policy::{CodecPolicy, TELEPHONE_EVENT_HZ, TELEPHONE_EVENTS};

/// Audio codecs with the numbers that they get where nobody has given them others: the static ones
/// of RFC 3551, and what telephones are used to.
const CAPABILITIES: [(&str, u8, u32, u8); 6] = [
    ("opus", 111, 48_000, 2),
    ("G722", 9, 8_000, 1),
    ("PCMU", 0, 8_000, 1),
    ("PCMA", 8, 8_000, 1),
    ("telephone-event", 101, 8_000, 1),
    ("telephone-event", 102, 48_000, 1),
];

/// What a trunk would offer that has everything that `policy` allows: it stands for the offer that
/// has not come. Audio only, without an address.
pub fn capabilities(policy: &CodecPolicy) -> RemoteDescription {
    let mut codecs: Vec<Codec> = Vec::new();
    for entry in &policy.audio {
        let known = CAPABILITIES
            .iter()
            .find(|(name, ..)| name.eq_ignore_ascii_case(entry));
        codecs.extend(known.map(capability));
    }
    if policy.telephone_event {
        let clocks: Vec<u32> = codecs.iter().map(|codec| codec.clock_hz).collect();
        let events = CAPABILITIES
            .iter()
            .filter(|(name, _, clock_hz, _)| {
                *name == "telephone-event"
                    && (clocks.contains(clock_hz) || *clock_hz == TELEPHONE_EVENT_HZ)
            })
            .map(capability);
        codecs.extend(events);
    }
    let media = RemoteMedia {
        kind: MediaKind::Audio,
        media_type: "audio".to_owned(),
        mid: None,
        protocol: "RTP/AVP".to_owned(),
        formats: codecs.iter().map(|c| c.payload_type.to_string()).collect(),
        codecs,
        direction: Direction::SendRecv,
        rejected: false,
        usable: true,
        rtp: None,
        rtcp: None,
        ice: None,
        fingerprints: Vec::new(),
        setup: None,
        tls_id: None,
        rtcp_mux: false,
        ptime: Some(policy.ptime),
    };
    RemoteDescription {
        profile: LegProfile::Plain,
        session_id: "0".to_owned(),
        session_version: "0".to_owned(),
        media: vec![media],
        bundle: Vec::new(),
    }
}

/// An offer of exactly what an answer to [`capabilities`] accepted.
pub fn offer_accepted(answer: &AnswerPlan) -> OfferPlan {
    let accepted = (0..answer.media.len()).filter_map(|index| {
        let media = answer.accepted(index)?;
        Some(PlannedMedia {
            source_index: index,
            kind: MediaKind::Audio,
            codecs: media
                .codecs
                .iter()
                .map(|codec| PlannedCodec {
                    source_payload_type: codec.payload_type,
                    codec: codec.clone(),
                })
                .collect(),
            direction: media.direction,
            ptime: media.ptime,
        })
    });
    OfferPlan {
        target: LegProfile::Plain,
        media: accepted.collect(),
    }
}

fn capability(&(name, payload_type, clock_hz, channels): &(&str, u8, u32, u8)) -> Codec {
    Codec {
        payload_type,
        name: name.to_owned(),
        clock_hz,
        channels,
        fmtp: (name == "telephone-event").then(|| TELEPHONE_EVENTS.to_owned()),
        feedback: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_allows_has_its_usual_numbers_and_the_events_of_its_clocks() {
        let policy = CodecPolicy {
            audio: vec!["PCMA".to_owned(), "opus".to_owned()],
            ..CodecPolicy::trunk()
        };
        let description = capabilities(&policy);
        let formats = &description.audio().expect("audio").formats;
        assert_eq!(formats, &["8", "111", "101", "102"]);
        let narrow = CodecPolicy {
            audio: vec!["PCMU".to_owned()],
            ..policy
        };
        let description = capabilities(&narrow);
        assert_eq!(description.audio().expect("audio").formats, ["0", "101"]);
    }
}
