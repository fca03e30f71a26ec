use super::super::limits::ROUTE_PAIRS_MAX;
use super::super::{
    AnsweredMedia, Direction, MediaKind, PayloadPair, echo_routes, plan_answer, plan_local_answer,
};
use super::*;

/// Written whole once, so that a reader sees what a carrier sees.
#[test]
fn a_carrier_gets_a_minimal_audio_offer() {
    let text = trunk_leg().write_offer(&to_trunk(CHROMIUM_OFFER), &trunk_transport());
    assert_eq!(
        text,
        "v=0\r\n\
         o=- 2000 1 IN IP4 198.51.100.1\r\n\
         s=-\r\n\
         c=IN IP4 198.51.100.1\r\n\
         t=0 0\r\n\
         m=audio 20000 RTP/AVP 111 9 0 8 110 126\r\n\
         a=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\n\
         a=rtpmap:9 G722/8000\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:110 telephone-event/48000\r\n\
         a=fmtp:110 0-15\r\n\
         a=rtpmap:126 telephone-event/8000\r\n\
         a=fmtp:126 0-15\r\n\
         a=ptime:20\r\n\
         a=sendrecv\r\n"
    );
    assert!(text.len() <= 500, "{} bytes", text.len());
}

#[test]
fn a_g711_trunk_is_offered_one_telephone_event_of_8000() {
    let policy = CodecPolicy {
        audio: vec!["PCMA".into(), "G722".into()],
        ..CodecPolicy::trunk()
    };
    let plan = plan_offer(&browser(CHROMIUM_OFFER), LegProfile::Plain, &policy).unwrap();
    let text = trunk_leg().write_offer(&plan, &trunk_transport());
    assert!(text.contains("m=audio 20000 RTP/AVP 9 8 126\r\n"), "{text}");
    assert_eq!(text.matches("telephone-event").count(), 1);
    let silent = CodecPolicy {
        telephone_event: false,
        ..policy
    };
    let plan = plan_offer(&browser(CHROMIUM_OFFER), LegProfile::Plain, &silent).unwrap();
    assert!(
        !trunk_leg()
            .write_offer(&plan, &trunk_transport())
            .contains("telephone-event")
    );
}

#[test]
fn nothing_of_the_browser_reaches_the_carrier() {
    for offer in [CHROMIUM_OFFER, CHROMIUM_MAX_BUNDLE, FIREFOX_OFFER] {
        let text = trunk_leg().write_offer(&to_trunk(offer), &trunk_transport());
        for word in [
            "ice",
            "candidate",
            "fingerprint",
            "setup",
            "mid",
            "BUNDLE",
            "ssrc",
            "extmap",
            "rtcp",
            "red/",
            "CN/",
            "rtx",
            "video",
            "203.0.113",
            "127.0.0.1",
            ".local",
            "mozilla",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn no_codec_in_common_is_refused_with_305() {
    let policy = CodecPolicy {
        audio: vec!["G729".into()],
        ..CodecPolicy::trunk()
    };
    let refusal = plan_offer(&browser(CHROMIUM_OFFER), LegProfile::Plain, &policy).unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 305));
    let only_events = edited(SIPP_OFFER, "RTP/AVP 8 101", "RTP/AVP 101");
    let refusal = plan_offer(
        &trunk(&only_events),
        LegProfile::WebRtc,
        &CodecPolicy::browser(),
    )
    .unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 305));
}

#[test]
fn an_offer_without_audio_is_refused_with_304() {
    let no_audio = edited(SIPP_OFFER, "m=audio 6000", "m=audio 0");
    let refusal = plan_offer(
        &trunk(&no_audio),
        LegProfile::WebRtc,
        &CodecPolicy::browser(),
    )
    .unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 304));
    assert!(plan_local_answer(&trunk(&no_audio), &CodecPolicy::browser()).is_err());
}

#[test]
fn a_well_known_name_means_its_clock_rate() {
    let wide = edited(SIPP_OFFER, "PCMA/8000", "PCMA/16000");
    assert!(plan_offer(&trunk(&wide), LegProfile::WebRtc, &CodecPolicy::browser()).is_err());
    let policy = CodecPolicy {
        audio: vec!["pcma/16000".into()],
        ..CodecPolicy::browser()
    };
    assert!(plan_offer(&trunk(&wide), LegProfile::WebRtc, &policy).is_ok());
}

#[test]
fn the_browser_gets_the_carriers_answer_in_its_own_terms() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = to_trunk(CHROMIUM_OFFER);
    let answer = trunk(CARRIER_ANSWER);
    let answer_plan = plan_answer(&offer, &plan, &answer).unwrap();
    let mut leg = browser_leg();
    let text = leg.write_answer(&offer, &answer_plan, &browser_transport());
    assert!(text.starts_with(
        "v=0\r\no=- 1000 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
         a=group:BUNDLE 0\r\na=ice-lite\r\na=msid-semantic:WMS *\r\n"
    ));
    assert_eq!(
        section(&text, 0),
        [
            "m=audio 3478 UDP/TLS/RTP/SAVPF 8 126",
            "c=IN IP4 203.0.113.1",
            "a=rtcp:3478",
            "a=ice-ufrag:edge",
            "a=ice-pwd:0123456789abcdefghijkl",
            "a=candidate:1 1 udp 2130706431 203.0.113.1 3478 typ host",
            "a=end-of-candidates",
            &format!("a=fingerprint:{FINGERPRINT}"),
            "a=setup:passive",
            "a=mid:0",
            "a=rtcp-mux",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:126 telephone-event/8000",
            "a=fmtp:126 0-15",
            "a=ptime:20",
            "a=sendrecv",
            "a=msid:ringway audio",
            "a=ssrc:1001 cname:ringway",
        ]
    );
    assert_eq!(
        section(&text, 1),
        ["m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=inactive"],
        "a rejected line keeps its place and is outside of the group"
    );
    let again = leg.write_answer(&offer, &answer_plan, &browser_transport());
    assert_eq!(again, text, "a 183 and a 200 carry the same bytes");
    assert_eq!(leg.last_sent(), Some(text.as_str()));
}

#[test]
fn the_carriers_own_payload_types_are_mapped() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = to_trunk(CHROMIUM_OFFER);
    let answer = trunk(CARRIER_ANSWER);
    let answer_plan = plan_answer(&offer, &plan, &answer).unwrap();
    let routes = routes(&offer, &plan, &answer_plan, &answer);
    assert_eq!(routes.len(), 1);
    let route = &routes[0];
    assert_eq!(
        (route.kind, route.source_index, route.target_index),
        (MediaKind::Audio, 0, 0)
    );
    assert_eq!((route.codec.as_str(), route.clock_hz), ("PCMA", 8_000));
    assert!(route.source_to_target && route.target_to_source);
    assert_eq!(
        route.to_target,
        [
            PayloadPair { from: 8, to: 8 },
            PayloadPair { from: 126, to: 96 }
        ]
    );
    assert_eq!(
        route.to_source,
        [
            PayloadPair { from: 8, to: 8 },
            PayloadPair { from: 126, to: 126 },
            PayloadPair { from: 96, to: 126 },
        ]
    );
}

#[test]
fn case_a13_a_telephone_event_of_8000_hz_is_taken_beside_opus_if_there_is_no_other() {
    let offer = browser(CHROMIUM_OFFER);
    let opus = edited(CARRIER_ANSWER, "RTP/AVP 8 96", "RTP/AVP 111 96");
    let opus = edited(&opus, "a=rtpmap:8 PCMA/8000", "a=rtpmap:111 opus/48000/2");
    let plan = to_trunk(CHROMIUM_OFFER);
    let answer_plan = plan_answer(&offer, &plan, &trunk(&opus)).unwrap();
    let codecs = &answer_plan.accepted(0).unwrap().codecs;
    let numbers: Vec<u8> = codecs.iter().map(|codec| codec.payload_type).collect();
    assert_eq!(numbers, [111, 126]);
    let both = edited(&opus, "RTP/AVP 111 96", "RTP/AVP 111 96 110");
    let both = edited(
        &both,
        "a=fmtp:96",
        "a=rtpmap:110 telephone-event/48000\r\na=fmtp:96",
    );
    let answer_plan = plan_answer(&offer, &plan, &trunk(&both)).unwrap();
    let codecs = &answer_plan.accepted(0).unwrap().codecs;
    let numbers: Vec<u8> = codecs.iter().map(|codec| codec.payload_type).collect();
    assert_eq!(numbers, [111, 110]);
}

#[test]
fn case_e02_media_f7_an_answer_agrees_to_no_more_formats_than_a_route_can_map() {
    let numbers: Vec<String> = (96..126).map(|number: u8| number.to_string()).collect();
    let lines: String = numbers
        .iter()
        .map(|number| format!("a=rtpmap:{number} X{number}/8000\n"))
        .collect();
    let offer = edited(SIPP_OFFER, "a=rtpmap:101 telephone-event/8000\n", "");
    let offer = edited(&offer, "a=rtpmap:8 PCMA/8000\n", &lines);
    let offer = edited(
        &offer,
        "RTP/AVP 8 101",
        &format!("RTP/AVP {}", numbers.join(" ")),
    );
    let offer = trunk(&offer);
    let mut policy = CodecPolicy::trunk();
    policy.audio = (96..126).map(|number| format!("X{number}")).collect();
    let plan = plan_offer(&offer, LegProfile::Plain, &policy).unwrap();
    let mut answer = offer.clone();
    for (own, codec) in (34..).zip(&mut answer.media[0].codecs) {
        codec.payload_type = own;
    }
    let accepted = plan_answer(&offer, &plan, &answer).unwrap();
    let routes = routes(&offer, &plan, &accepted, &answer);
    let pairs = &routes[0].to_source;
    assert!(pairs.len() <= ROUTE_PAIRS_MAX, "{pairs:?}");
    for codec in &accepted.accepted(0).unwrap().codecs {
        assert!(pairs.iter().any(|pair| pair.to == codec.payload_type));
    }
}

#[test]
fn every_codec_of_an_answer_goes_back() {
    let offer = trunk(CARRIER_OFFER);
    let plan = to_browser(CARRIER_OFFER);
    let answer = browser(CHROMIUM_ANSWER);
    let answer_plan = plan_answer(&offer, &plan, &answer).unwrap();
    let numbers: Vec<u8> = answer_plan
        .accepted(0)
        .unwrap()
        .codecs
        .iter()
        .map(|c| c.payload_type)
        .collect();
    assert_eq!(numbers, [0, 8, 101]);
}

#[test]
fn a_browser_gets_a_fresh_webrtc_offer_from_a_plain_one() {
    let text = browser_leg().write_offer(&to_browser(SIPP_OFFER), &browser_transport());
    assert!(text.contains("\r\na=group:BUNDLE 0\r\na=ice-lite\r\na=msid-semantic:WMS *\r\n"));
    let audio = section(&text, 0);
    assert_eq!(audio[0], "m=audio 3478 UDP/TLS/RTP/SAVPF 8 101");
    for line in [
        "a=setup:actpass",
        "a=mid:0",
        "a=rtcp-mux",
        "a=rtcp:3478",
        "a=ice-ufrag:edge",
        "a=end-of-candidates",
        "a=rtpmap:8 PCMA/8000",
        "a=fmtp:101 0-15",
        "a=sendrecv",
        "a=ssrc:1001 cname:ringway",
    ] {
        assert!(has(&audio, line), "{line}");
    }
}

#[test]
fn what_no_browser_has_is_dropped_and_static_types_get_an_rtpmap() {
    let text = browser_leg().write_offer(&to_browser(CARRIER_OFFER), &browser_transport());
    let audio = section(&text, 0);
    assert_eq!(audio[0], "m=audio 3478 UDP/TLS/RTP/SAVPF 8 0 101");
    assert!(has(&audio, "a=rtpmap:8 PCMA/8000") && has(&audio, "a=rtpmap:0 PCMU/8000"));
    assert!(!text.contains("G729") && !text.contains("crypto") && !text.contains("t38"));
    let video = section(&text, 1);
    assert_eq!(video[0], "m=video 3478 UDP/TLS/RTP/SAVPF 99");
    assert!(has(&video, "a=mid:1"));
}

#[test]
fn a_carrier_gets_as_many_lines_back_as_it_offered() {
    let offer = trunk(CARRIER_OFFER);
    let plan = to_browser(CARRIER_OFFER);
    let answer_plan = plan_answer(&offer, &plan, &browser(FIREFOX_ANSWER)).unwrap();
    let text = trunk_leg().write_answer(&offer, &answer_plan, &trunk_transport());
    assert_eq!(
        text,
        "v=0\r\n\
         o=- 2000 1 IN IP4 198.51.100.1\r\n\
         s=-\r\n\
         c=IN IP4 198.51.100.1\r\n\
         t=0 0\r\n\
         m=audio 20000 RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\n\
         a=ptime:20\r\n\
         a=sendrecv\r\n\
         m=image 0 udptl t38\r\n\
         m=video 0 RTP/AVP 99\r\n"
    );
}

#[test]
fn a_second_audio_line_is_answered_with_port_0() {
    let mut bytes = SIPP_OFFER.to_vec();
    bytes.extend_from_slice(b"m=audio 6004 RTP/AVP 0\nm=text 6006 RTP/AVP 98\n");
    let offer = trunk(&bytes);
    let plan = plan_offer(&offer, LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    assert_eq!(plan.media.len(), 1);
    let local = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let text = trunk_leg().write_answer(&offer, &local, &trunk_transport());
    assert_eq!(section(&text, 0)[0], "m=audio 20000 RTP/AVP 8 101");
    assert_eq!(section(&text, 1), ["m=audio 0 RTP/AVP 0"]);
    assert_eq!(section(&text, 2), ["m=text 0 RTP/AVP 98"]);
}

#[test]
fn an_answer_that_rejects_the_audio_is_a_488() {
    let offer = trunk(SIPP_OFFER);
    let rejected = edited(FIREFOX_ANSWER, "m=audio 9", "m=audio 0");
    let refusal = plan_answer(&offer, &to_browser(SIPP_OFFER), &browser(&rejected)).unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 304));
    let strange = browser(FIREFOX_ANSWER);
    let refusal = plan_answer(&offer, &to_browser(SIPP_OFFER), &strange).unwrap_err();
    assert_eq!(refusal.warning_code, 305, "PCMU was not offered");
}

#[test]
fn browsers_exchange_audio_and_video() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = plan_offer(&offer, LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    let mut callee = browser_leg();
    let text = callee.write_offer(&plan, &browser_transport());
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
    let video = section(&text, 1);
    for line in [
        "a=rtcp-fb:96 goog-remb",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 ccm fir",
        "a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "a=ssrc:1002 cname:ringway",
        "a=msid:ringway video",
    ] {
        assert!(has(&video, line), "{line}");
    }
    for word in ["rtx", "red", "ulpfec", "flexfec", "transport-cc", "extmap"] {
        assert!(!text.contains(word), "{word}");
    }
    let answer = browser(CHROMIUM_VIDEO_ANSWER);
    let answer_plan = plan_answer(&offer, &plan, &answer).unwrap();
    let text = browser_leg().write_answer(&offer, &answer_plan, &browser_transport());
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
    assert_eq!(
        section(&text, 0)[0],
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111 9 0 8 110 126"
    );
    assert_eq!(
        section(&text, 1)[0],
        "m=video 3478 UDP/TLS/RTP/SAVPF 96 103 98"
    );
    let routes = routes(&offer, &plan, &answer_plan, &answer);
    assert_eq!(routes.len(), 2);
    assert_eq!(
        (routes[1].kind, routes[1].codec.as_str()),
        (MediaKind::Video, "VP8")
    );
    assert_eq!(routes[1].to_target.len(), 3);
}

#[test]
fn h264_of_another_packetization_mode_is_another_codec() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = plan_offer(&offer, LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    let renumbered = edited(CHROMIUM_VIDEO_ANSWER, "SAVPF 96 103 98", "SAVPF 77");
    let renumbered = edited(
        &renumbered,
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:77 H264/90000\r\na=fmtp:77 packetization-mode=0;profile-level-id=42e01f",
    );
    let answer_plan = plan_answer(&offer, &plan, &browser(&renumbered)).unwrap();
    assert_eq!(answer_plan.accepted(1).unwrap().codecs[0].payload_type, 115);
}

#[test]
fn video_outside_of_the_bundle_is_not_carried() {
    let offer = edited(CHROMIUM_OFFER, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0");
    let offer = browser(&offer);
    let plan = plan_offer(&offer, LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    assert_eq!(plan.media.len(), 1);
    let plan = plan_offer(
        &browser(CHROMIUM_OFFER),
        LegProfile::WebRtc,
        &CodecPolicy::browser(),
    );
    let answer = edited(
        CHROMIUM_VIDEO_ANSWER,
        "a=group:BUNDLE 0 1",
        "a=group:BUNDLE 0",
    );
    let answer_plan =
        plan_answer(&browser(CHROMIUM_OFFER), &plan.unwrap(), &browser(&answer)).unwrap();
    assert_eq!(answer_plan.media[1], AnsweredMedia::Rejected);
}

#[test]
fn payload_types_are_unique_over_the_bundle_and_outside_of_the_rtcp_range() {
    let mut bytes = edited(SIPP_OFFER, "RTP/AVP 8 101", "RTP/AVP 72 8 101");
    bytes.extend_from_slice(b"a=rtpmap:72 opus/48000/2\nm=video 6002 RTP/AVP 101 97\n");
    bytes.extend_from_slice(b"a=rtpmap:101 VP8/90000\na=rtpmap:97 VP9/90000\n");
    let offer = trunk(&bytes);
    let plan = plan_offer(&offer, LegProfile::WebRtc, &CodecPolicy::browser()).unwrap();
    let numbers: Vec<u8> = plan
        .media
        .iter()
        .flat_map(|media| &media.codecs)
        .map(|planned| planned.codec.payload_type)
        .collect();
    assert_eq!(numbers, [96, 8, 101, 98, 97]);
    assert_eq!(plan.media[1].codecs[0].source_payload_type, 101);
}

#[test]
fn directions_cross_the_call_and_never_widen() {
    for (offered, answered, expected) in [
        ("sendrecv", "sendrecv", Direction::SendRecv),
        ("sendrecv", "recvonly", Direction::RecvOnly),
        ("sendonly", "recvonly", Direction::RecvOnly),
        ("sendonly", "sendrecv", Direction::RecvOnly),
        ("recvonly", "sendrecv", Direction::SendOnly),
        ("inactive", "sendrecv", Direction::Inactive),
    ] {
        let offer = edited(CHROMIUM_AUDIO_OFFER, "a=sendrecv", &format!("a={offered}"));
        let offer = browser(&offer);
        let plan = plan_offer(&offer, LegProfile::Plain, &CodecPolicy::trunk()).unwrap();
        let text = trunk_leg().write_offer(&plan, &trunk_transport());
        assert!(text.ends_with(&format!("a={offered}\r\n")));
        let answer = edited(CARRIER_ANSWER, "a=ptime:20", &format!("a={answered}"));
        let answer = trunk(&answer);
        let answer_plan = plan_answer(&offer, &plan, &answer).unwrap();
        assert_eq!(
            answer_plan.accepted(0).unwrap().direction,
            expected,
            "{offered} {answered}"
        );
        let route = &routes(&offer, &plan, &answer_plan, &answer)[0];
        assert_eq!(route.source_to_target, expected.receives());
        assert_eq!(route.target_to_source, expected.sends());
    }
}

#[test]
fn a_line_that_does_not_send_has_no_ssrc() {
    let offer = browser(CHROMIUM_HOLD);
    let answer_plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let text = browser_leg().write_answer(&offer, &answer_plan, &browser_transport());
    assert!(text.contains("a=recvonly\r\n"));
    assert!(!text.contains("ssrc") && !text.contains("msid:"));
}

#[test]
fn the_echo_line_answers_with_one_codec_of_each_kind() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let text = browser_leg().write_answer(&offer, &plan, &browser_transport());
    assert_eq!(
        section(&text, 0)[0],
        "m=audio 3478 UDP/TLS/RTP/SAVPF 111 110"
    );
    assert_eq!(section(&text, 1)[0], "m=video 3478 UDP/TLS/RTP/SAVPF 96");
    let routes = echo_routes(&offer, &plan);
    assert_eq!(routes.len(), 2);
    assert_eq!(
        routes[0].to_source,
        [(111, 111), (110, 110)].map(|(from, to)| PayloadPair { from, to })
    );
    assert!(routes[0].source_to_target && routes[0].target_to_source);
}

#[test]
fn firefox_is_answered_on_its_bundle_only_line() {
    let offer = browser(FIREFOX_OFFER);
    let plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let text = browser_leg().write_answer(&offer, &plan, &browser_transport());
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
    assert_eq!(
        section(&text, 0)[0],
        "m=audio 3478 UDP/TLS/RTP/SAVPF 109 101"
    );
    assert_eq!(section(&text, 1)[0], "m=video 3478 UDP/TLS/RTP/SAVPF 120");
}

#[test]
fn an_answer_repeats_the_protocol_of_the_offer() {
    let offer = browser(&edited(
        CHROMIUM_AUDIO_OFFER,
        "UDP/TLS/RTP/SAVPF",
        "RTP/SAVPF",
    ));
    let plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let text = browser_leg().write_answer(&offer, &plan, &browser_transport());
    assert!(text.contains("m=audio 3478 RTP/SAVPF 111 110\r\n"));
}

#[test]
fn ipv6_is_advertised_as_such() {
    let local = LocalTransport {
        address: "2001:db8::1".parse().unwrap(),
        ..browser_transport()
    };
    let text = browser_leg().write_offer(&to_browser(SIPP_OFFER), &local);
    assert!(text.contains("o=- 1000 1 IN IP6 2001:db8::1\r\n"));
    assert!(text.contains("a=candidate:1 1 udp 2130706431 2001:db8::1 3478 typ host\r\n"));
}

#[test]
fn our_own_descriptions_can_be_read() {
    let text = browser_leg().write_offer(&to_browser(CARRIER_OFFER), &browser_transport());
    assert_eq!(browser(text.as_bytes()).bundle, ["0", "1"]);
    let text = trunk_leg().write_offer(&to_trunk(CHROMIUM_OFFER), &trunk_transport());
    let read = trunk(text.as_bytes());
    assert_eq!(
        read.audio().unwrap().rtp,
        Some("198.51.100.1:20000".parse().unwrap())
    );
}
