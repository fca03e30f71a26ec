//! Tests over whole descriptions: what real peers write, and what they get back.

mod exchange;
mod hostile;
mod reading;
mod reoffer;

use super::{
    AnswerPlan, CodecPolicy, LegProfile, LegSdp, LocalIce, LocalTransport, MediaRoute, OfferPlan,
    RemoteDescription, join, plan_offer, read_plain, read_webrtc,
};

macro_rules! fixture {
    ($name:ident, $file:literal) => {
        const $name: &[u8] = include_bytes!(concat!("../../../tests/fixtures/", $file));
    };
}

fixture!(CHROMIUM_OFFER, "chromium_offer_audio_video.sdp");
fixture!(CHROMIUM_AUDIO_OFFER, "chromium_offer_audio.sdp");
fixture!(CHROMIUM_HOLD, "chromium_offer_audio_hold.sdp");
fixture!(CHROMIUM_ICE_RESTART, "chromium_offer_ice_restart.sdp");
fixture!(CHROMIUM_MAX_BUNDLE, "chromium_offer_max_bundle.sdp");
fixture!(CHROMIUM_ANSWER, "chromium_answer_audio.sdp");
fixture!(CHROMIUM_VIDEO_ANSWER, "chromium_answer_audio_video.sdp");
fixture!(FIREFOX_OFFER, "firefox_offer_audio_video.sdp");
fixture!(FIREFOX_ANSWER, "firefox_answer_audio.sdp");
fixture!(BARESIP_OFFER, "baresip_offer.sdp");
fixture!(SIPP_OFFER, "sipp_offer.sdp");
fixture!(CARRIER_OFFER, "carrier_offer.sdp");
fixture!(CARRIER_ANSWER, "carrier_answer.sdp");
fixture!(HOLD_RFC2543, "kamailio_hold_rfc2543.sdp");
fixture!(IPV6_OFFER, "ipv6_offer_without_session_lines.sdp");

const ALL: [&[u8]; 15] = [
    CHROMIUM_OFFER,
    CHROMIUM_AUDIO_OFFER,
    CHROMIUM_HOLD,
    CHROMIUM_ICE_RESTART,
    CHROMIUM_MAX_BUNDLE,
    CHROMIUM_ANSWER,
    CHROMIUM_VIDEO_ANSWER,
    FIREFOX_OFFER,
    FIREFOX_ANSWER,
    BARESIP_OFFER,
    SIPP_OFFER,
    CARRIER_OFFER,
    CARRIER_ANSWER,
    HOLD_RFC2543,
    IPV6_OFFER,
];

const FINGERPRINT: &str = "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
                           00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

fn browser(bytes: &[u8]) -> RemoteDescription {
    read_webrtc(bytes).unwrap()
}

fn trunk(bytes: &[u8]) -> RemoteDescription {
    read_plain(bytes).unwrap()
}

fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "the fixture has no {from:?}");
    text.replace(from, to).into_bytes()
}

fn browser_transport() -> LocalTransport {
    LocalTransport {
        address: "203.0.113.1".parse().unwrap(),
        audio_port: 3478,
        video_port: 3478,
        ice: Some(LocalIce {
            fragment: "edge".into(),
            password: "0123456789abcdefghijkl".into(),
        }),
        fingerprint: Some(FINGERPRINT.into()),
        audio_ssrc: 1001,
        video_ssrc: 1002,
        cname: "ringway".into(),
    }
}

fn trunk_transport() -> LocalTransport {
    LocalTransport {
        address: "198.51.100.1".parse().unwrap(),
        audio_port: 20_000,
        video_port: 20_002,
        ice: None,
        fingerprint: None,
        audio_ssrc: 2001,
        video_ssrc: 2002,
        cname: "ringway".into(),
    }
}

fn browser_leg() -> LegSdp {
    LegSdp::new(LegProfile::WebRtc, 4_000)
}

fn trunk_leg() -> LegSdp {
    LegSdp::new(LegProfile::Plain, 8_000)
}

fn to_trunk(offer: &[u8]) -> OfferPlan {
    plan_offer(&browser(offer), LegProfile::Plain, &CodecPolicy::trunk()).unwrap()
}

fn to_browser(offer: &[u8]) -> OfferPlan {
    plan_offer(&trunk(offer), LegProfile::WebRtc, &CodecPolicy::browser()).unwrap()
}

/// The routes after an exchange in which both of our descriptions have been written.
fn routes(
    offer: &RemoteDescription,
    plan: &OfferPlan,
    accepted: &AnswerPlan,
    answer: &RemoteDescription,
) -> Vec<MediaRoute> {
    let leg = |profile| match profile {
        LegProfile::WebRtc => (browser_leg(), browser_transport()),
        LegProfile::Plain => (trunk_leg(), trunk_transport()),
    };
    let ((mut source, here), (mut target, there)) = (leg(offer.profile), leg(answer.profile));
    source.write_answer(offer, accepted, &here);
    target.write_offer(plan, &there);
    join((&source, offer), (&target, answer))
}

/// The lines of one m-line section of a description, the m-line first.
fn section(text: &str, index: usize) -> Vec<&str> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections.swap_remove(index)
}

fn has(section: &[&str], line: &str) -> bool {
    section.contains(&line)
}
