//! The messages of RFC 5769.

use super::*;

const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014
    9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf";
const RESPONSE_IPV4: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008
    0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";
const RESPONSE_IPV6: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014
    0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275
    bfe3ed41 80280004 c8fb0b4c";
const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e 00060012 e3839ee3 8388e383 aae38383 e382afe3
    82b90000 0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 0014000b
    6578616d 706c652e 6f726700 00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";
/// MD5 of `マトリックス:example.org:TheMatrIX`: the key of long-term credentials (RFC 8489
/// section 9.2.2).
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

#[test]
fn messages_with_short_term_credentials_verify() {
    for text in [REQUEST, RESPONSE_IPV4, RESPONSE_IPV6] {
        let message = bytes(text);
        let (before_fingerprint, fingerprint) = message.split_at(message.len() - 8);
        let (before, integrity) = before_fingerprint.split_at(before_fingerprint.len() - 24);
        assert_eq!(
            message_integrity(PASSWORD, before).unwrap()[..],
            integrity[4..]
        );
        assert!(verify_message_integrity(PASSWORD, before, &integrity[4..]));
        assert_eq!(
            fingerprint_crc32(before_fingerprint).unwrap().to_be_bytes(),
            fingerprint[4..]
        );
    }
}

#[test]
fn a_message_with_long_term_credentials_verifies() {
    let message = bytes(LONG_TERM_REQUEST);
    let (before, integrity) = message.split_at(message.len() - 24);
    assert!(verify_message_integrity(
        &bytes(LONG_TERM_KEY),
        before,
        &integrity[4..]
    ));
}

#[test]
fn a_changed_message_password_or_tag_does_not_verify() {
    let message = bytes(REQUEST);
    let before = &message[..message.len() - 32];
    let tag = message_integrity(PASSWORD, before).unwrap();
    assert!(!verify_message_integrity(b"other", before, &tag));
    assert!(!verify_message_integrity(PASSWORD, before, &tag[..19]));
    assert!(!verify_message_integrity(PASSWORD, before, &[]));
    for position in (0..before.len()).filter(|position| !(2..4).contains(position)) {
        let mut changed = before.to_vec();
        changed[position] ^= 1;
        assert!(
            !verify_message_integrity(PASSWORD, &changed, &tag),
            "byte {position}"
        );
    }
}

#[test]
fn the_length_field_of_the_message_does_not_matter() {
    let message = bytes(RESPONSE_IPV4);
    let mut before = message[..message.len() - 32].to_vec();
    before[2..4].fill(0);
    assert!(verify_message_integrity(
        PASSWORD,
        &before,
        &message[message.len() - 28..][..20]
    ));
}

#[test]
fn nothing_is_computed_over_less_than_a_header_or_more_than_a_message() {
    assert_eq!(message_integrity(PASSWORD, &[0; 19]), None);
    assert_eq!(fingerprint_crc32(&[0; 19]), None);
    assert_eq!(message_integrity(PASSWORD, &vec![0; 20 + 65_536]), None);
    assert!(message_integrity(PASSWORD, &[0; 20]).is_some());
}
