//! Base64 (RFC 4648 section 4) of secrets: no table is looked up, so that the time taken says
//! nothing about them.

use zeroize::Zeroize;

/// Why text was not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// A foreign character, a wrong length, wrong padding, or bits beyond the last byte.
    NotBase64,
    /// More bytes than there is room for.
    TooLong,
}

/// Decodes with or without padding and returns the number of bytes.
pub(super) fn decode(text: &[u8], output: &mut [u8]) -> Result<usize, DecodeError> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    // Two digits make one byte and three make two; one alone makes none.
    let missing = match digits.len() % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return Err(DecodeError::NotBase64),
    };
    if padding != 0 && padding != missing {
        return Err(DecodeError::NotBase64);
    }
    let mut bits = 0_u32;
    let mut count = 0_u32;
    let mut bytes = 0;
    let mut foreign = 0;
    for digit in digits {
        let value = value_of(*digit);
        foreign |= value & !0x3F;
        bits = bits << 6 | value & 0x3F;
        count += 6;
        if count >= 8 {
            count -= 8;
            let place = output.get_mut(bytes).ok_or(DecodeError::TooLong)?;
            *place = (bits >> count).to_le_bytes()[0];
            bytes += 1;
        }
    }
    let beyond = bits & ((1 << count) - 1);
    bits.zeroize();
    match foreign == 0 && beyond == 0 {
        true => Ok(bytes),
        false => Err(DecodeError::NotBase64),
    }
}

/// Appends the bytes with padding.
pub(super) fn encode(bytes: &[u8], output: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut group = 0_u32;
        for position in 0..3 {
            group = group << 8 | u32::from(chunk.get(position).copied().unwrap_or(0));
        }
        for position in 0..4 {
            match position <= chunk.len() {
                true => output.push(digit_of(group >> (18 - 6 * position) & 0x3F)),
                false => output.push('='),
            }
        }
    }
}

/// 1 where `low <= value <= high`, else 0; all below 2^31.
fn within(value: u32, low: u32, high: u32) -> u32 {
    (low.wrapping_sub(1).wrapping_sub(value) & value.wrapping_sub(high + 1)) >> 31
}

/// The value of a digit, or something above 63.
fn value_of(digit: u8) -> u32 {
    let digit = u32::from(digit);
    let mut value = 0_u32;
    let mut known = 0;
    let ranges = [
        (u32::from(b'A'), 26, 0),
        (u32::from(b'a'), 26, 26),
        (u32::from(b'0'), 10, 52),
        (u32::from(b'+'), 1, 62),
        (u32::from(b'/'), 1, 63),
    ];
    for (first, count, offset) in ranges {
        let is = within(digit, first, first + count - 1);
        value |= is.wrapping_neg() & digit.wrapping_sub(first).wrapping_add(offset);
        known |= is;
    }
    value | (1 - known) << 6
}

/// The digit of a value below 64.
fn digit_of(value: u32) -> char {
    let mut digit = 0;
    let ranges = [
        (0, 25, u32::from(b'A')),
        (26, 51, u32::from(b'a')),
        (52, 61, u32::from(b'0')),
        (62, 62, u32::from(b'+')),
        (63, 63, u32::from(b'/')),
    ];
    for (first, last, character) in ranges {
        // `first` may be 0, so everything is moved up by one.
        let is = within(value + 1, first + 1, last + 1);
        digit |= is.wrapping_neg() & value.wrapping_sub(first).wrapping_add(character);
    }
    char::from(digit.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, DecodeError> {
        let mut output = [0; 46];
        let bytes = decode(text.as_bytes(), &mut output)?;
        Ok(output[..bytes].to_vec())
    }

    #[test]
    fn makes_the_text_of_rfc_4648_and_reads_it_with_and_without_padding() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut encoded = String::new();
            encode(plain.as_bytes(), &mut encoded);
            assert_eq!(encoded, text);
            assert_eq!(decoded(text).unwrap(), plain.as_bytes());
            assert_eq!(
                decoded(text.trim_end_matches('=')).unwrap(),
                plain.as_bytes()
            );
        }
    }

    #[test]
    fn every_other_character_is_foreign() {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for byte in 0..=255_u8 {
            let place = DIGITS.bytes().position(|digit| digit == byte);
            let value = value_of(byte);
            match place {
                Some(place) => assert_eq!(value as usize, place),
                None => assert!(value > 63, "{byte}"),
            }
        }
    }

    #[test]
    fn refuses_wrong_padding_stray_bits_and_too_much() {
        for text in [
            "A", "Zg=", "Zg===", "Zm9v=", "Zh==", "Zm9=", "Z g=", "Zg==Zg==",
        ] {
            assert_eq!(decoded(text), Err(DecodeError::NotBase64), "{text}");
        }
        assert_eq!(decoded(&"A".repeat(64)), Err(DecodeError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..=46)) {
            let mut text = String::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(decoded(&text).unwrap(), bytes);
        }
    }
}
