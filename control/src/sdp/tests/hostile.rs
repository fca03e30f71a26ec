use proptest::prelude::*;

use super::super::limits::SDP_BYTES_MAX;
use super::super::{
    CodecPolicy, SessionDescription, compare, echo_routes, plan_answer, plan_local_answer,
};
use super::*;

/// Everything that can be done with bytes of a peer. Panics are what is looked for; the checks at
/// the end hold for any input that gets that far.
fn exercise(offer: &[u8], answer: &[u8]) {
    for read in [read_webrtc, read_plain] {
        let Ok(offer) = read(offer) else { continue };
        compare(&offer, &offer);
        let local = transport(offer.profile);
        let mut leg = LegSdp::new(offer.profile, u64::MAX);
        if let Ok(plan) = plan_local_answer(&offer, &CodecPolicy::browser()) {
            echo_routes(&offer, &plan);
            let text = leg.write_answer(&offer, &plan, &local);
            check_answer(&offer, &text);
        }
        for (target, policy) in [
            (LegProfile::WebRtc, CodecPolicy::browser()),
            (LegProfile::Plain, CodecPolicy::trunk()),
        ] {
            let Ok(plan) = plan_offer(&offer, target, &policy) else {
                continue;
            };
            let plan = leg.settle(plan);
            let mut other = LegSdp::new(target, 0);
            let text = other.write_offer(&plan, &transport(target));
            SessionDescription::parse(text.as_bytes()).expect("our own offer can be read");
            let Ok(answer) = read_webrtc(answer).or_else(|_| read_plain(answer)) else {
                continue;
            };
            other.note_answer(&answer);
            if let Ok(answer_plan) = plan_answer(&offer, &plan, &answer) {
                routes(&offer, &plan, &answer_plan, &answer);
                check_answer(&offer, &leg.write_answer(&offer, &answer_plan, &local));
            }
        }
    }
}

fn transport(profile: LegProfile) -> LocalTransport {
    match profile {
        LegProfile::WebRtc => browser_transport(),
        LegProfile::Plain => trunk_transport(),
    }
}

fn check_answer(offer: &RemoteDescription, text: &str) {
    let answer = SessionDescription::parse(text.as_bytes()).expect("our own answer can be read");
    assert_eq!(answer.media.len(), offer.media.len());
    for (ours, theirs) in answer.media.iter().zip(&offer.media) {
        assert_eq!(ours.media_type, theirs.media_type);
        assert_eq!(ours.protocol, theirs.protocol);
        assert!(ours.port == 0 || theirs.usable);
    }
}

/// One change of a text: bytes replaced, cut, doubled, or lines swapped.
fn mutate(bytes: &[u8], changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(place, kind, value) in changes {
        if bytes.is_empty() {
            break;
        }
        let place = place % bytes.len();
        match kind % 6 {
            0 => bytes[place] = value,
            1 => bytes.truncate(place),
            2 => drop(bytes.drain(place..(place + usize::from(value)).min(bytes.len()))),
            3 => bytes.insert(place, value),
            4 => {
                let end = (place + usize::from(value)).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                bytes.splice(place..place, copy);
            }
            _ => {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
                let count = lines.len();
                lines.swap(place % count, usize::from(value) % count);
                bytes = lines.concat();
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn changed_descriptions_never_panic(
        first in 0..ALL.len(),
        second in 0..ALL.len(),
        changes in prop::collection::vec(any::<(usize, u8, u8)>(), 1..8),
    ) {
        let offer = mutate(ALL[first], &changes);
        exercise(&offer, ALL[second]);
        exercise(ALL[second], &offer);
    }

    #[test]
    fn random_lines_never_panic(
        lines in prop::collection::vec("[amcobt]=[ -~]{0,40}", 0..40),
    ) {
        let text = format!("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\n{}", lines.join("\r\n"));
        exercise(text.as_bytes(), text.as_bytes());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes, &bytes);
    }
}

#[test]
fn a_lone_carriage_return_cannot_smuggle_a_line_into_our_description() {
    let bytes = edited(
        SIPP_OFFER,
        "a=fmtp:101 0-11,16",
        "a=rtpmap:8 PCMA/8000\ra=x:y\0",
    );
    assert_eq!(read_plain(&bytes).unwrap_err().status, 400);
    let bytes = edited(
        SIPP_OFFER,
        "a=rtpmap:8 PCMA/8000",
        "a=fmtp:8 x\rm=audio 1 RTP/AVP 0",
    );
    let plan = plan_offer(&trunk(&bytes), LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    let text = browser_leg().write_offer(&plan, &browser_transport());
    assert_eq!(text.matches("m=audio").count(), 1);
}

#[test]
fn the_longest_description_ends_in_bounded_text() {
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\nc=IN IP4 192.0.2.1\r\n");
    text.push_str("m=audio 5000 RTP/AVP 0");
    for number in 1..128 {
        text.push_str(&format!(" {number}"));
    }
    text.push_str("\r\n");
    for number in 20..128 {
        text.push_str(&format!(
            "a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} "
        ));
        text.push_str(&"x".repeat(200));
        text.push_str("\r\n");
    }
    assert!(text.len() < SDP_BYTES_MAX);
    let plan = plan_offer(
        &trunk(text.as_bytes()),
        LegProfile::WebRtc,
        &CodecPolicy::browser(),
    )
    .unwrap();
    assert_eq!(
        plan.media[0].codecs.len(),
        super::super::limits::PLANNED_CODECS_MAX
    );
    let offer = browser_leg().write_offer(&plan, &browser_transport());
    assert!(offer.len() < 4_096, "{} bytes", offer.len());
}

#[test]
fn a_codec_with_an_endless_fmtp_is_passed_over() {
    let bytes = edited(SIPP_OFFER, "0-11,16", &"1".repeat(600));
    let offer = trunk(&bytes);
    assert_eq!(offer.audio().unwrap().codecs.len(), 1);
}
