use super::super::{Direction, MediaKind, SdpError, SessionDescription, Setup};
use super::*;

fn first_audio(description: &RemoteDescription) -> &super::super::RemoteMedia {
    description.audio().unwrap()
}

#[test]
fn reads_a_chromium_offer() {
    let offer = browser(CHROMIUM_OFFER);
    assert_eq!(offer.bundle, ["0", "1"]);
    assert_eq!(offer.session_id, "7614219274584779017");
    assert_eq!(offer.media.len(), 2);
    let audio = first_audio(&offer);
    assert_eq!(audio.mid.as_deref(), Some("0"));
    let names: Vec<(u8, &str, u32)> = audio
        .codecs
        .iter()
        .map(|c| (c.payload_type, c.name.as_str(), c.clock_hz))
        .collect();
    assert_eq!(
        names,
        [
            (111, "opus", 48_000),
            (63, "red", 48_000),
            (9, "G722", 8_000),
            (0, "PCMU", 8_000),
            (8, "PCMA", 8_000),
            (13, "CN", 8_000),
            (110, "telephone-event", 48_000),
            (126, "telephone-event", 8_000),
        ]
    );
    assert_eq!(audio.codecs[0].channels, 2);
    assert_eq!(
        audio.codecs[0].fmtp.as_deref(),
        Some("minptime=10;useinbandfec=1")
    );
    assert_eq!(audio.ice.as_ref().unwrap().fragment, "Wm3x");
    assert_eq!(audio.setup, Some(Setup::ActPass));
    assert!(audio.rtcp_mux && audio.usable && !audio.rejected);
    assert!(audio.fingerprints[0].starts_with("sha-256 3F:9A:"));
    assert_eq!((audio.rtp, audio.rtcp), (None, None), "ICE decides, not c=");
    let vp8 = &offer.video().unwrap().codecs[0];
    assert_eq!(
        vp8.feedback,
        ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]
    );
}

#[test]
fn reads_a_firefox_offer_with_session_fingerprint_and_bundle_only_video() {
    let offer = browser(FIREFOX_OFFER);
    let video = offer
        .video()
        .expect("port 0 with bundle-only is not a rejection");
    assert!(!video.rejected);
    assert_eq!(video.fingerprints, first_audio(&offer).fingerprints);
    assert_eq!(first_audio(&offer).codecs[1].channels, 1);
}

#[test]
fn a_bundle_only_line_takes_its_transport_from_the_leading_line() {
    let offer = browser(CHROMIUM_MAX_BUNDLE);
    let video = offer.video().unwrap();
    assert_eq!(video.ice, first_audio(&offer).ice);
    assert_eq!(video.fingerprints, first_audio(&offer).fingerprints);
    assert!(video.rtcp_mux);
}

#[test]
fn port_0_without_bundle_only_is_a_rejection() {
    let bytes = edited(CHROMIUM_MAX_BUNDLE, "a=bundle-only\r\n", "");
    let offer = browser(&bytes);
    assert!(offer.video().is_none());
    assert!(offer.media[1].rejected);
}

#[test]
fn mdns_and_broken_candidates_do_not_matter() {
    let bytes = edited(
        CHROMIUM_OFFER,
        "203.0.113.40 54609 typ srflx",
        "not a candidate",
    );
    assert_eq!(browser(&bytes).media, browser(CHROMIUM_OFFER).media);
}

#[test]
fn refuses_offer_without_fingerprint() {
    let text = String::from_utf8(CHROMIUM_OFFER.to_vec()).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with("a=fingerprint"))
        .collect();
    let refusal = read_webrtc(without.join("\r\n").as_bytes()).unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 399));
    assert_eq!(
        refusal.warning("edge"),
        "399 edge \"SDP without DTLS fingerprint\""
    );
}

#[test]
fn refuses_sha_1_and_malformed_fingerprints_but_takes_any_case() {
    let sha_1 = edited(CHROMIUM_AUDIO_OFFER, "sha-256 3F:", "sha-1 3F:");
    assert_eq!(read_webrtc(&sha_1).unwrap_err().status, 488);
    let short = edited(CHROMIUM_AUDIO_OFFER, "3F:9A:", "3F:");
    assert_eq!(read_webrtc(&short).unwrap_err().status, 488);
    let not_hex = edited(CHROMIUM_AUDIO_OFFER, "3F:9A:", "3F:+A:");
    assert_eq!(read_webrtc(&not_hex).unwrap_err().status, 488);
    let small = edited(CHROMIUM_AUDIO_OFFER, "sha-256 3F:9A:", "SHA-256 3f:9a:");
    assert_eq!(browser(&small).media, browser(CHROMIUM_AUDIO_OFFER).media);
}

#[test]
fn keeps_the_good_fingerprint_of_several() {
    let bytes = edited(
        CHROMIUM_AUDIO_OFFER,
        "a=fingerprint:sha-256",
        "a=fingerprint:sha-1 00:11\r\na=fingerprint:sha-256",
    );
    assert_eq!(first_audio(&browser(&bytes)).fingerprints.len(), 1);
}

#[test]
fn refuses_browser_without_ice_rtcp_mux_or_server_role() {
    for (from, to, word) in [
        ("a=ice-pwd:q0Y2kT9sRv8LbXc1ZtHn4WfD\r\n", "", "ICE"),
        (
            "a=ice-pwd:q0Y2kT9sRv8LbXc1ZtHn4WfD",
            "a=ice-pwd:short",
            "ICE",
        ),
        ("a=ice-ufrag:Wm3x", "a=ice-ufrag:W m3x", "ICE"),
        ("a=rtcp-mux\r\n", "", "rtcp-mux"),
        ("a=setup:actpass", "a=setup:holdconn", "a=setup"),
        ("a=setup:actpass", "a=setup:passive", "a=setup"),
    ] {
        let refusal = read_webrtc(&edited(CHROMIUM_AUDIO_OFFER, from, to)).unwrap_err();
        assert_eq!(refusal.status, 488);
        assert!(refusal.text.contains(word), "{from}: {refusal}");
    }
}

#[test]
fn refuses_plain_rtp_from_a_browser() {
    let refusal = read_webrtc(BARESIP_OFFER).unwrap_err();
    assert_eq!((refusal.status, refusal.warning_code), (488, 302));
}

#[test]
fn an_absent_setup_means_active() {
    let bytes = edited(CHROMIUM_ANSWER, "a=setup:active\r\n", "");
    assert_eq!(first_audio(&browser(&bytes)).setup, Some(Setup::Active));
}

#[test]
fn reads_a_difficult_carrier_offer() {
    let offer = trunk(CARRIER_OFFER);
    assert_eq!(
        offer.session_version, "18446744073709551619",
        "beyond 64 bits"
    );
    let audio = first_audio(&offer);
    assert_eq!(audio.rtp, Some("198.51.100.7:21000".parse().unwrap()));
    assert_eq!(audio.rtcp, Some("198.51.100.8:21101".parse().unwrap()));
    assert_eq!(audio.ptime, Some(20));
    assert_eq!(audio.direction, Direction::SendRecv);
    let names: Vec<&str> = audio
        .codecs
        .iter()
        .map(|codec| codec.name.as_str())
        .collect();
    assert_eq!(names, ["G729", "PCMA", "PCMU", "CN", "telephone-event"]);
    assert_eq!(offer.media[1].kind, MediaKind::Other);
    assert!(offer.media[1].rejected && !offer.media[1].usable);
    assert!(offer.media[2].usable);
}

#[test]
fn rtcp_is_the_next_port_when_nothing_is_said() {
    let audio_rtcp = first_audio(&trunk(SIPP_OFFER)).rtcp;
    assert_eq!(audio_rtcp, Some("192.0.2.30:6001".parse().unwrap()));
    let moved = edited(BARESIP_OFFER, "a=rtcp:18413", "a=rtcp:18500");
    assert_eq!(
        first_audio(&trunk(&moved)).rtcp,
        Some("192.0.2.20:18500".parse().unwrap())
    );
}

#[test]
fn reads_ipv6_without_s_and_t_lines() {
    let offer = trunk(IPV6_OFFER);
    assert_eq!(
        first_audio(&offer).rtp,
        Some("[2001:db8::5]:7078".parse().unwrap())
    );
    let printed = SessionDescription::parse(IPV6_OFFER).unwrap().to_string();
    assert!(printed.contains("\r\ns=-\r\nt=0 0\r\nm=audio"));
}

#[test]
fn c_0_0_0_0_from_a_trunk_is_hold_and_from_a_browser_is_not() {
    let held = trunk(HOLD_RFC2543);
    assert_eq!(first_audio(&held).direction, Direction::SendOnly);
    assert_eq!(first_audio(&held).rtp, None);
    assert_eq!(
        first_audio(&browser(FIREFOX_OFFER)).direction,
        Direction::SendRecv
    );
}

#[test]
fn refuses_trunk_addresses_that_are_not_unicast_ip() {
    for address in ["sbc.example.com", "224.0.0.5", "", "999.1.1.1"] {
        let bytes = edited(
            SIPP_OFFER,
            "c=IN IP4 192.0.2.30",
            &format!("c=IN IP4 {address}"),
        );
        let refusal = read_plain(&bytes).unwrap_err();
        assert_eq!(
            (refusal.status, refusal.warning_code),
            (488, 301),
            "{address}"
        );
    }
    let none = edited(SIPP_OFFER, "c=IN IP4 192.0.2.30\n", "");
    assert_eq!(read_plain(&none).unwrap_err().status, 488);
}

#[test]
fn srtp_on_a_trunk_is_refused_unless_plain_audio_is_there_too() {
    let srtp = edited(SIPP_OFFER, "RTP/AVP", "RTP/SAVP");
    assert_eq!(read_plain(&srtp).unwrap_err().warning_code, 302);
    let mut both = SIPP_OFFER.to_vec();
    both.extend_from_slice(b"m=audio 6002 RTP/SAVP 8\n");
    let offer = trunk(&both);
    assert!(offer.media[0].usable && !offer.media[1].usable);
    assert!(trunk(&edited(SIPP_OFFER, "RTP/AVP", "RTP/AVPF")).media[0].usable);
}

#[test]
fn session_level_direction_is_inherited() {
    let bytes = edited(SIPP_OFFER, "t=0 0\n", "t=0 0\na=sendonly\n");
    assert_eq!(first_audio(&trunk(&bytes)).direction, Direction::SendOnly);
}

#[test]
fn debug_output_hides_the_ice_password() {
    let text = format!("{:?} {:?}", browser(CHROMIUM_OFFER), browser_transport());
    assert!(text.contains("Wm3x") && text.contains("edge"));
    assert!(!text.contains("q0Y2kT9sRv8LbXc1ZtHn4WfD"));
    assert!(!text.contains("0123456789abcdefghijkl"));
    let mut leg = browser_leg();
    leg.write_offer(&to_browser(SIPP_OFFER), &browser_transport());
    let lines = SessionDescription::parse(CHROMIUM_OFFER).unwrap();
    let text = format!("{leg:?} {lines:?}");
    assert!(text.contains("ice-ufrag:Wm3x"));
    assert!(!text.contains("q0Y2kT9sRv8LbXc1ZtHn4WfD"));
    assert!(!text.contains("0123456789abcdefghijkl"));
}

#[test]
fn garbage_is_a_400() {
    for bytes in [
        &b""[..],
        b"hello",
        b"v=1\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\ns=-\r\n",
    ] {
        assert_eq!(read_plain(bytes).unwrap_err().status, 400);
        assert_eq!(read_webrtc(bytes).unwrap_err().status, 400);
    }
}

#[test]
fn parse_errors_name_what_is_wrong() {
    let parse = |text: &str| SessionDescription::parse(text.as_bytes()).unwrap_err();
    assert_eq!(parse("s=-\r\nv=0\r\n"), SdpError::NoVersion);
    assert_eq!(parse("v=0\r\ns=-\r\n"), SdpError::NoOrigin);
    assert_eq!(
        parse("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nxyz\r\n"),
        SdpError::BadLine(3)
    );
    assert_eq!(parse("v=0\r\nab=c\r\n"), SdpError::BadLine(2));
    assert_eq!(
        parse("v=0\r\nm=audio x RTP/AVP 0\r\n"),
        SdpError::BadMedia(2)
    );
    assert_eq!(
        parse("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"),
        SdpError::BadMedia(2)
    );
    assert_eq!(parse("v=0\r\ns=a\0b\r\n"), SdpError::ControlCharacter(2));
    assert_eq!(
        parse(&format!("v=0\r\n{}", "m=a 1 b 0\r\n".repeat(17))),
        SdpError::TooManyMedia
    );
    assert_eq!(
        parse(&format!("v=0\r\n{}", "a=x\r\n".repeat(1_500))),
        SdpError::TooManyLines
    );
    assert_eq!(
        parse(&format!("v=0\r\ns={}\r\n", "x".repeat(32 * 1024))),
        SdpError::TooLarge
    );
    assert_eq!(
        parse(&format!("v=0\r\nm=audio 1 RTP/AVP {}", "9".repeat(65))),
        SdpError::BadMedia(2)
    );
}

#[test]
fn prints_in_the_order_of_the_rfc() {
    let mixed = "v=0\no=- 1 2 IN IP4 192.0.2.1\nt=0 0\na=x:1\nk=prompt\nb=AS:9\n\
                 c=IN IP4 192.0.2.1\np=+1\ne=a@b\n\
                 u=http://x\ni=info\ns=name\nz=0 0\nr=1 2 3\ny=unknown\n\
                 m=audio 5 RTP/AVP 0\na=ptime:20\nb=TIAS:1\nc=IN IP4 192.0.2.2\ni=m";
    let printed = SessionDescription::parse(mixed.as_bytes())
        .unwrap()
        .to_string();
    let letters: String = printed
        .lines()
        .filter_map(|line| line.chars().next())
        .collect();
    assert_eq!(letters, "vosiuepcbtrzkamicba");
    assert!(printed.ends_with("a=ptime:20\r\n"));
}

#[test]
fn a_printed_description_reads_the_same() {
    for bytes in ALL {
        let first = SessionDescription::parse(bytes).unwrap();
        let second = SessionDescription::parse(first.to_string().as_bytes()).unwrap();
        assert_eq!(first, second);
    }
}
