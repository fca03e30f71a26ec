//! WebSocket frames at random, right and wrong, in pieces of any size.

use proptest::prelude::*;

use crate::websocket::{listen, websocket_frames};

/// A frame of a client: the first byte, the payload, whether it is masked.
fn frame(first: u8, payload: &[u8], is_masked: bool) -> Vec<u8> {
    let mask_bit = if is_masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => bytes.push(mask_bit | length),
        _ => {
            bytes.push(mask_bit | 126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    let mask = if is_masked {
        [0x37, 0xFA, 0x21, 0x3D]
    } else {
        [0; 4]
    };
    if is_masked {
        bytes.extend(mask);
    }
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let usual = prop::sample::select(vec![
        0x01_u8, 0x02, 0x00, 0x80, 0x81, 0x81, 0x82, 0x88, 0x89, 0x8A,
    ]);
    let first = prop_oneof![20 => usual, 1 => any::<u8>()];
    let payload = prop_oneof![
        8 => "[ -~\r\n\u{e9}\u{1F600}]{0,60}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(b"\r\n\r\n".to_vec()),
    ];
    (first, payload, prop::bool::weighted(0.98))
        .prop_map(|(first, payload, is_masked)| frame(first, &payload, is_masked))
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop::collection::vec(any_frame(), 0..12).prop_map(|frames| frames.concat());
    (
        frames,
        prop::option::weighted(0.3, any::<prop::sample::Index>()),
    )
        .prop_map(|(mut all, cut)| {
            if let Some(at) = cut {
                all.truncate(at.index(all.len() + 1));
            }
            all
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn w7_messages_are_the_same_in_whatever_pieces_they_come(
        stream in any_stream(),
        size in 1..40_u8,
    ) {
        websocket_frames(&[&[size], &stream[..]].concat());
    }

    #[test]
    fn bytes_that_are_no_frames_harm_nobody(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        size in 1..40_u8,
    ) {
        websocket_frames(&[&[size], &stream[..]].concat());
    }
}

#[test]
fn w10_a_frame_that_is_too_long_is_refused_at_its_head() {
    for length in [64 * 1024 + 1, u64::from(u32::MAX), u64::MAX >> 1] {
        let mut head = vec![0x82, 0xFF];
        head.extend(length.to_be_bytes());
        head.extend([0; 4]);
        let said = listen(&head, 1);
        assert_eq!(said.closing, Some((1009, "message too big")), "{length}");
    }
}
