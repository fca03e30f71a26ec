use super::*;
use crate::wire::rtcp::is_compound;

const ALL: Feedback = Feedback::NACK
    .with(Feedback::PICTURE_LOSS)
    .with(Feedback::FULL_INTRA)
    .with(Feedback::BITRATE);
const TRANSLATION: Translation = Translation {
    withholds_key_frames: false,
    outgoing: [
        Some(OutgoingStream {
            incoming_ssrc: 1,
            outgoing_ssrc: 101,
        }),
        None,
    ],
    reported: [
        Some(ReportedStream {
            seen_ssrc: 202,
            sender_ssrc: 2,
            sequence_offset: 10,
            takes: ALL,
        }),
        Some(ReportedStream {
            seen_ssrc: 203,
            sender_ssrc: 3,
            sequence_offset: 0,
            takes: ALL,
        }),
    ],
    own_ssrc: 101,
};

pub(crate) fn words(first: u8, kind: u8, words: &[u32]) -> Vec<u8> {
    let length = u16::try_from(words.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x80 | first, kind, length[0], length[1]];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// What is left, and how many messages were taken out.
fn outcome(translation: &Translation, compound: &[u8]) -> (Vec<u8>, u64) {
    assert!(is_compound(compound));
    let mut bytes = compound.to_vec();
    let translated = translation.translate(&mut bytes);
    bytes.truncate(translated.length);
    assert!(bytes.is_empty() || is_compound(&bytes));
    (bytes, translated.dropped_messages)
}

fn translate(translation: &Translation, compound: &[u8]) -> Vec<u8> {
    outcome(translation, compound).0
}

#[test]
fn translates_feedback_of_a_receiver_without_stream() {
    let nack = words(
        1,
        TRANSPORT_FEEDBACK,
        &[1234, 202, 0x0014_8001, 0x0003_0000],
    );
    let expected = words(1, TRANSPORT_FEEDBACK, &[101, 2, 0x000A_8001, 0xFFF9_0000]);
    assert_eq!(translate(&TRANSLATION, &nack), expected);
    let loss = words(1, PAYLOAD_FEEDBACK, &[1234, 203]);
    assert_eq!(
        translate(&TRANSLATION, &loss),
        words(1, PAYLOAD_FEEDBACK, &[101, 3])
    );
    let intra = words(4, PAYLOAD_FEEDBACK, &[1234, 0, 999, 1, 203, 0x0900_0000]);
    let expected = words(4, PAYLOAD_FEEDBACK, &[101, 0, 3, 0x0900_0000]);
    assert_eq!(translate(&TRANSLATION, &intra), expected);
}

#[test]
fn translates_a_bitrate_estimate_for_the_streams_that_are_known() {
    let estimate = words(
        15,
        PAYLOAD_FEEDBACK,
        &[1234, 0, REMB_NAME, 0x0306_1234, 999, 203, 202],
    );
    let expected = words(
        15,
        PAYLOAD_FEEDBACK,
        &[101, 0, REMB_NAME, 0x0206_1234, 3, 2],
    );
    assert_eq!(translate(&TRANSLATION, &estimate), expected);
    let other = words(
        15,
        PAYLOAD_FEEDBACK,
        &[1234, 0, 0x4141_4141, 0x0106_1234, 203],
    );
    assert_eq!(outcome(&TRANSLATION, &other), (Vec::new(), 1));
}

#[test]
fn gives_each_leg_only_the_feedback_that_it_takes() {
    let messages = [
        (
            Feedback::PICTURE_LOSS,
            words(1, PAYLOAD_FEEDBACK, &[101, 203]),
        ),
        (Feedback::NACK, words(1, TRANSPORT_FEEDBACK, &[101, 203, 0])),
        (
            Feedback::FULL_INTRA,
            words(4, PAYLOAD_FEEDBACK, &[101, 0, 203, 0]),
        ),
        (
            Feedback::BITRATE,
            words(15, PAYLOAD_FEEDBACK, &[101, 0, REMB_NAME, 0x0100_0000, 203]),
        ),
    ];
    let mut compound = words(0, RECEIVER_REPORT, &[1]);
    compound.extend(messages.iter().flat_map(|(_, message)| message.clone()));
    let taking = |takes| {
        let mut translation = TRANSLATION;
        translation.reported[1] =
            translation.reported[1].map(|stream| ReportedStream { takes, ..stream });
        translation
    };
    assert_eq!(outcome(&taking(Feedback::NONE), &compound), (Vec::new(), 4));
    for (takes, message) in messages {
        let (left, dropped) = outcome(&taking(takes), &compound);
        assert_eq!((left.len(), dropped), (message.len(), 3), "{takes:?}");
        assert_eq!(left[..2], message[..2], "{takes:?}");
    }
    assert_eq!(outcome(&Translation::default(), &compound), (Vec::new(), 4));
}

#[test]
fn takes_out_what_is_never_negotiated_and_reports() {
    let mut compound = words(0, RECEIVER_REPORT, &[1, 0xDEAD_BEEF]);
    compound.extend(words(1, SOURCE_DESCRIPTION, &[1, 0x0102_4142, 0]));
    compound.extend(words(0, 204, &[1, 0x4142_4344]));
    compound.extend(words(0, 207, &[1, 0x0400_0002, 0, 0]));
    compound.extend(words(15, TRANSPORT_FEEDBACK, &[1, 202, 0, 0]));
    assert_eq!(outcome(&TRANSLATION, &compound), (Vec::new(), 3));
}

#[test]
fn translates_a_goodbye_and_drops_its_reason() {
    let mut goodbye = words(2, GOODBYE, &[9, 1]);
    goodbye[3] += 1;
    goodbye.extend(b"\x03bye");
    assert_eq!(translate(&TRANSLATION, &goodbye), words(1, GOODBYE, &[101]));
    assert!(translate(&TRANSLATION, &words(1, GOODBYE, &[9])).is_empty());
}

#[test]
fn drops_messages_that_claim_more_than_they_have() {
    for cut in [
        words(31, GOODBYE, &[1]),
        words(1, PAYLOAD_FEEDBACK, &[1]),
        words(1, TRANSPORT_FEEDBACK, &[]),
        words(4, PAYLOAD_FEEDBACK, &[1, 0, 202]),
        words(15, PAYLOAD_FEEDBACK, &[1, 0, REMB_NAME]),
    ] {
        assert!(translate(&TRANSLATION, &cut).is_empty(), "{cut:?}");
    }
}

proptest::proptest! {
    #[test]
    fn translation_of_any_bytes_never_grows_and_stays_a_compound(
        mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        kind in 198_u8..210,
    ) {
        if bytes.len() >= 4 {
            let words = u16::try_from(bytes.len() / 4 - 1).unwrap();
            bytes.truncate(bytes.len() / 4 * 4);
            bytes[0] = 0x80 | (bytes[0] & 0x1F);
            bytes[1] = kind;
            bytes[2..4].copy_from_slice(&words.to_be_bytes());
        }
        let before = bytes.len();
        if is_compound(&bytes) {
            let length = TRANSLATION.translate(&mut bytes).length;
            proptest::prop_assert!(length <= before);
            proptest::prop_assert!(length == 0 || is_compound(&bytes[..length]));
        }
    }
}
