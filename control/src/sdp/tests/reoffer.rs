use super::super::{Change, compare, is_same_media, plan_answer, plan_local_answer};
use super::*;

fn version(text: &str) -> u64 {
    let origin = text.lines().nth(1).unwrap();
    origin.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn hold_is_a_change_of_direction_only() {
    let change = compare(&browser(CHROMIUM_AUDIO_OFFER), &browser(CHROMIUM_HOLD));
    assert_eq!(
        change,
        Change {
            direction_changed: true,
            ..Change::default()
        }
    );
    assert!(!is_same_media(
        &browser(CHROMIUM_AUDIO_OFFER),
        &browser(CHROMIUM_HOLD)
    ));
}

#[test]
fn an_ice_restart_is_the_same_media() {
    let (old, new) = (browser(CHROMIUM_AUDIO_OFFER), browser(CHROMIUM_ICE_RESTART));
    assert_eq!(
        compare(&old, &new),
        Change {
            ice_restart: true,
            ..Change::default()
        }
    );
    assert!(is_same_media(&old, &new));
}

#[test]
fn a_new_carrier_address_is_the_same_media() {
    let old = trunk(CARRIER_ANSWER);
    let new = trunk(&edited(CARRIER_ANSWER, "m=audio 22010", "m=audio 22020"));
    assert_eq!(
        compare(&old, &new),
        Change {
            address_changed: true,
            ..Change::default()
        }
    );
    assert!(is_same_media(&old, &new));
}

#[test]
fn hold_by_address_is_seen() {
    let change = compare(&trunk(CARRIER_ANSWER), &trunk(HOLD_RFC2543));
    assert!(change.direction_changed && change.address_changed && !change.codecs_changed);
}

#[test]
fn codecs_may_grow_but_not_shrink_or_change_places() {
    let old = trunk(SIPP_OFFER);
    let more = trunk(&edited(SIPP_OFFER, "RTP/AVP 8 101", "RTP/AVP 8 101 0"));
    assert!(!compare(&old, &more).codecs_changed);
    assert!(compare(&more, &old).codecs_changed);
    let other_first = trunk(&edited(SIPP_OFFER, "RTP/AVP 8 101", "RTP/AVP 0 8 101"));
    assert!(compare(&old, &other_first).codecs_changed);
    let renumbered = edited(SIPP_OFFER, "RTP/AVP 8 101", "RTP/AVP 8 102");
    let renumbered = trunk(&edited(&renumbered, "rtpmap:101", "rtpmap:102"));
    assert!(compare(&old, &renumbered).codecs_changed);
}

#[test]
fn added_and_removed_lines_are_told_apart() {
    let (audio, both) = (browser(CHROMIUM_AUDIO_OFFER), browser(CHROMIUM_OFFER));
    assert_eq!(
        compare(&audio, &both),
        Change {
            media_added: true,
            ..Change::default()
        }
    );
    assert_eq!(
        compare(&both, &audio),
        Change {
            media_removed: true,
            ..Change::default()
        }
    );
}

#[test]
fn the_version_rises_only_when_the_text_changes() {
    let mut leg = trunk_leg();
    let first = leg.write_offer(&to_trunk(CHROMIUM_AUDIO_OFFER), &trunk_transport());
    let again = leg.write_offer(&to_trunk(CHROMIUM_AUDIO_OFFER), &trunk_transport());
    assert_eq!(first, again);
    let held = leg.write_offer(&to_trunk(CHROMIUM_HOLD), &trunk_transport());
    assert_eq!((version(&first), version(&held)), (1, 2));
    assert!(held.contains("a=sendonly\r\n"));
    let resumed = leg.write_offer(&to_trunk(CHROMIUM_AUDIO_OFFER), &trunk_transport());
    assert_eq!(version(&resumed), 3);
    let only_version = resumed.replace("o=- 2000 3", "o=- 2000 1");
    assert_eq!(only_version, first);
}

#[test]
fn an_ice_restart_is_answered_with_new_credentials_and_the_next_version() {
    let offer = browser(CHROMIUM_AUDIO_OFFER);
    let plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let mut leg = browser_leg();
    let first = leg.write_answer(&offer, &plan, &browser_transport());
    let ice = LocalIce {
        fragment: "next".into(),
        password: "zyxwvutsrqponmlkjihgfe".into(),
    };
    let local = LocalTransport {
        ice: Some(ice),
        ..browser_transport()
    };
    let second = leg.write_answer(&browser(CHROMIUM_ICE_RESTART), &plan, &local);
    assert!(second.contains("a=ice-ufrag:next\r\n") && second.contains("a=setup:passive\r\n"));
    assert_eq!((version(&first), version(&second)), (1, 2));
}

#[test]
fn a_rejected_line_stays_in_the_legs_list() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = to_trunk(CHROMIUM_OFFER);
    let answer_plan = plan_answer(&offer, &plan, &trunk(CARRIER_ANSWER)).unwrap();
    let mut leg = browser_leg();
    leg.write_answer(&offer, &answer_plan, &browser_transport());
    // The carrier holds: the browser is offered the audio and its old video line with port 0.
    let hold = leg.settle(to_browser(HOLD_RFC2543));
    let text = leg.write_offer(&hold, &browser_transport());
    let audio = section(&text, 0);
    assert_eq!(
        audio[0], "m=audio 3478 UDP/TLS/RTP/SAVPF 8 126",
        "the browser's own numbers"
    );
    assert!(has(&audio, "a=mid:0") && has(&audio, "a=sendonly") && has(&audio, "a=setup:actpass"));
    assert_eq!(
        section(&text, 1),
        ["m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=inactive"]
    );
    assert!(text.contains("a=group:BUNDLE 0\r\n"));
    // The plan still knows the carrier's number for what the browser answers.
    let answer = edited(CHROMIUM_ANSWER, "SAVPF 0 8 101", "SAVPF 8 126");
    let answer = edited(&answer, "a=rtpmap:101", "a=rtpmap:126");
    let back = plan_answer(&trunk(HOLD_RFC2543), &hold, &browser(&answer)).unwrap();
    let numbers: Vec<u8> = back
        .accepted(0)
        .unwrap()
        .codecs
        .iter()
        .map(|c| c.payload_type)
        .collect();
    assert_eq!(numbers, [8, 96]);
}

#[test]
fn a_rejected_slot_is_used_again_under_a_new_mid() {
    let mut leg = browser_leg();
    leg.write_offer(&to_browser(CARRIER_OFFER), &browser_transport());
    let answer = edited(CHROMIUM_ANSWER, "a=ssrc:98765432", "a=x-ssrc:98765432");
    let mut answer = answer;
    answer.extend_from_slice(b"m=video 0 UDP/TLS/RTP/SAVPF 99\r\na=mid:1\r\n");
    leg.note_answer(&browser(&answer));
    let text = leg.write_offer(&leg.settle(to_browser(CARRIER_OFFER)), &browser_transport());
    assert!(text.contains("a=group:BUNDLE 0 2\r\n"), "{text}");
    assert!(has(&section(&text, 1), "a=mid:2"));
}

#[test]
fn a_payload_type_never_changes_its_meaning_on_a_leg() {
    let offer = browser(CHROMIUM_OFFER);
    let plan = plan_local_answer(&offer, &CodecPolicy::browser()).unwrap();
    let mut leg = browser_leg();
    leg.write_answer(&offer, &plan, &browser_transport());
    // 96 is VP8 for this browser; the other side now offers opus as 96 and an unknown AV1 as 111.
    let settled = leg.settle(to_browser(BARESIP_OFFER));
    let numbers: Vec<u8> = settled.media[0]
        .codecs
        .iter()
        .map(|planned| planned.codec.payload_type)
        .collect();
    assert_eq!(numbers, [111, 9, 0, 8, 126]);
    assert_eq!(settled.media[0].codecs[0].source_payload_type, 96);
}
