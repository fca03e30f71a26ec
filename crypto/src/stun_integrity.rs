//! MESSAGE-INTEGRITY and FINGERPRINT of STUN (RFC 8489 sections 14.5 and 14.7), without allocation.
//!
//! Both are computed over the message up to the attribute itself, with a length in the header that
//! already counts the attribute. The functions here take the bytes before the attribute, whatever
//! their length field says, and put the right length in.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Bytes of a STUN header (RFC 8489 section 5).
const HEADER_BYTES: usize = 20;
/// Bytes of a MESSAGE-INTEGRITY attribute with its header.
const INTEGRITY_ATTRIBUTE_BYTES: usize = 24;
/// Bytes of a FINGERPRINT attribute with its header.
const FINGERPRINT_ATTRIBUTE_BYTES: usize = 8;
/// `STUN` in ASCII (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

const CRC_TABLE: [u32; 256] = crc_table();

/// The value of MESSAGE-INTEGRITY: HMAC-SHA1 keyed with `key` (with short-term credentials the
/// password itself) over `message`, which ends where the attribute begins.
///
/// `None` when `message` is shorter than a header or too long for one.
#[must_use]
pub fn message_integrity(key: &[u8], message: &[u8]) -> Option<[u8; 20]> {
    let (start, rest) = start_of_message(message, INTEGRITY_ATTRIBUTE_BYTES)?;
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&start);
    mac.update(rest);
    Some(mac.finalize().into_bytes().into())
}

/// Whether `tag` is the right value of MESSAGE-INTEGRITY; compares in constant time.
#[must_use]
pub fn verify_message_integrity(key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    message_integrity(key, message).is_some_and(|expected| bool::from(expected.ct_eq(tag)))
}

/// The value of FINGERPRINT over `message`, which ends where the attribute begins: CRC-32 of
/// ITU-T V.42, XOR `STUN`.
///
/// `None` when `message` is shorter than a header or too long for one.
#[must_use]
pub fn fingerprint_crc32(message: &[u8]) -> Option<u32> {
    let (start, rest) = start_of_message(message, FINGERPRINT_ATTRIBUTE_BYTES)?;
    Some(!crc_update(crc_update(!0, &start), rest) ^ FINGERPRINT_XOR)
}

/// The first four bytes with the length that counts an attribute of `attribute_bytes` after the
/// message, and the rest as it is.
fn start_of_message(message: &[u8], attribute_bytes: usize) -> Option<([u8; 4], &[u8])> {
    let body = message.len().checked_sub(HEADER_BYTES)? + attribute_bytes;
    let [high, low] = u16::try_from(body).ok()?.to_be_bytes();
    let (kind, rest) = message.split_first_chunk::<4>()?;
    Some(([kind[0], kind[1], high, low], rest))
}

fn crc_update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, &byte| {
        let index = usize::from(crc.to_le_bytes()[0] ^ byte);
        CRC_TABLE[index] ^ (crc >> 8)
    })
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    let mut value: u32 = 0;
    while index < 256 {
        let mut crc = value;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests;
