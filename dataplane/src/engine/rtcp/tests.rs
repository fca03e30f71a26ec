use super::*;
use crate::wire::rtcp::is_compound;

const TRANSLATION: Translation = Translation {
    outgoing: [
        Some(OutgoingStream {
            incoming_ssrc: 1,
            outgoing_ssrc: 101,
            timestamp_offset: 1000,
        }),
        None,
    ],
    reported: [
        Some(ReportedStream {
            seen_ssrc: 202,
            sender_ssrc: 2,
            sequence_offset: 10,
        }),
        Some(ReportedStream {
            seen_ssrc: 203,
            sender_ssrc: 3,
            sequence_offset: 0,
        }),
    ],
    own_ssrc: 101,
    takes_feedback: true,
    seed: 5,
};

pub(crate) fn words(first: u8, kind: u8, words: &[u32]) -> Vec<u8> {
    let length = u16::try_from(words.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x80 | first, kind, length[0], length[1]];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

fn translate(translation: &Translation, compound: &[u8]) -> Vec<u8> {
    assert!(is_compound(compound));
    let mut bytes = compound.to_vec();
    let length = translation.translate(&mut bytes);
    bytes.truncate(length);
    assert!(bytes.is_empty() || is_compound(&bytes));
    bytes
}

#[test]
fn translates_a_sender_report_with_its_blocks() {
    let report = words(
        2,
        SENDER_REPORT,
        &[
            1, 7, 8, 500, 9, 10, 999, 0, 0, 0, 0, 0, 202, 0, 0x1_0005, 4, 55, 66,
        ],
    );
    // The block about 999, which nobody knows, goes; that about 202 is told as 2.
    let expected = words(
        1,
        SENDER_REPORT,
        &[101, 7, 8, 1500, 9, 10, 2, 0, 0xFFFB, 4, 55, 66],
    );
    assert_eq!(translate(&TRANSLATION, &report), expected);
}

#[test]
fn keeps_the_blocks_of_a_sender_report_about_a_stream_that_goes_elsewhere() {
    let report = words(
        1,
        SENDER_REPORT,
        &[77, 7, 8, 500, 9, 10, 203, 0, 20, 4, 55, 66],
    );
    let expected = words(1, RECEIVER_REPORT, &[101, 3, 0, 20, 4, 55, 66]);
    assert_eq!(translate(&TRANSLATION, &report), expected);
    let without_blocks = words(0, SENDER_REPORT, &[77, 7, 8, 500, 9, 10]);
    assert!(translate(&TRANSLATION, &without_blocks).is_empty());
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
fn gives_no_feedback_to_a_plain_rtp_peer() {
    let plain = Translation {
        takes_feedback: false,
        ..TRANSLATION
    };
    let mut compound = words(0, RECEIVER_REPORT, &[1]);
    compound.extend(words(1, PAYLOAD_FEEDBACK, &[1, 203]));
    compound.extend(words(1, TRANSPORT_FEEDBACK, &[1, 202, 0]));
    compound.extend(words(4, PAYLOAD_FEEDBACK, &[1, 0, 203, 0]));
    assert_eq!(
        translate(&plain, &compound),
        words(0, RECEIVER_REPORT, &[101])
    );
}

#[test]
fn takes_out_what_was_never_negotiated() {
    let mut compound = words(0, RECEIVER_REPORT, &[1, 0xDEAD_BEEF]);
    compound.extend(words(0, 204, &[1, 0x4142_4344]));
    compound.extend(words(0, 207, &[1, 0x0400_0002, 0, 0]));
    compound.extend(words(15, TRANSPORT_FEEDBACK, &[1, 202, 0, 0]));
    compound.extend(words(15, PAYLOAD_FEEDBACK, &[1, 0, 0x5245_4D42, 0]));
    assert_eq!(
        translate(&TRANSLATION, &compound),
        words(0, RECEIVER_REPORT, &[101])
    );
    assert!(translate(&TRANSLATION, &words(0, 204, &[1, 0x4142_4344])).is_empty());
}

#[test]
fn hides_canonical_names_but_keeps_them_equal() {
    let chunk = |ssrc: u8, name: &[u8]| {
        let length = u8::try_from(name.len()).unwrap();
        let mut bytes = vec![0, 0, 0, ssrc, 4, 1, b'T', 1, length];
        bytes.extend(name);
        bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
        bytes
    };
    let compound = |name: &[u8]| {
        let mut chunks = chunk(9, b"stranger");
        chunks.extend(chunk(1, name));
        let length = u8::try_from(chunks.len() / 4).unwrap();
        let mut bytes = words(0, RECEIVER_REPORT, &[1]);
        bytes.extend([0x82, 202, 0, length]);
        bytes.extend(chunks);
        bytes
    };
    let of_one = translate(&TRANSLATION, &compound(b"user@10.0.0.7"));
    assert_eq!(of_one[8..10], [0x81, 202]);
    assert_eq!(of_one[12..16], [0, 0, 0, 101]);
    assert_eq!(of_one[16..18], [1, 13]);
    assert_eq!(of_one.len(), 32);
    assert!(
        !of_one
            .windows(4)
            .any(|w| w == b"10.0" || w == b"user" || w == b"stra")
    );
    assert_eq!(of_one, translate(&TRANSLATION, &compound(b"user@10.0.0.7")));
    assert_ne!(of_one, translate(&TRANSLATION, &compound(b"user@10.0.0.8")));
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
fn drops_a_report_that_claims_more_blocks_than_it_has() {
    assert!(
        translate(
            &TRANSLATION,
            &words(2, RECEIVER_REPORT, &[1, 202, 0, 0, 0, 0, 0])
        )
        .is_empty()
    );
    assert!(translate(&TRANSLATION, &words(31, GOODBYE, &[1])).is_empty());
    assert!(
        translate(
            &TRANSLATION,
            &words(3, SOURCE_DESCRIPTION, &[1, 0x0105_4142])
        )
        .is_empty()
    );
    assert!(translate(&TRANSLATION, &words(0, RECEIVER_REPORT, &[])).is_empty());
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
            let length = TRANSLATION.translate(&mut bytes);
            proptest::prop_assert!(length <= before);
            proptest::prop_assert!(length == 0 || is_compound(&bytes[..length]));
        }
    }
}
