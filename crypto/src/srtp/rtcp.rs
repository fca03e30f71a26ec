//! The layout of SRTCP packets: 8 bytes in the clear, the rest encrypted, and behind it
//!
//! - AES-CM (RFC 3711 section 3.4): E bit and 31-bit index, identifier, tag;
//! - AES-GCM (RFC 7714 section 9): tag, E bit and 31-bit index, identifier.
//!
//! The identifier is there only if one was negotiated. Without encryption the E bit is 0 and
//! everything is authenticated. A packet may be compound or of reduced size (RFC 5506).

use super::SrtpError;
use super::aes_gcm;
use super::cipher::{RtcpCipher, RtcpKeys, check_mki};

const CLEAR_BYTES: usize = 8;
const INDEX_BYTES: usize = 4;
const E_BIT: u32 = 1 << 31;

/// Bytes that protection adds.
pub(super) fn overhead_bytes(cipher: &RtcpCipher) -> usize {
    cipher.trailer_bytes() + INDEX_BYTES
}

/// The SSRC of the packet's sender, from a packet that ends with `trailer_bytes` of tag, index
/// and identifier.
pub(super) fn sender_ssrc(packet: &[u8], trailer_bytes: usize) -> Result<[u8; 4], SrtpError> {
    let end = packet
        .len()
        .checked_sub(trailer_bytes)
        .ok_or(SrtpError::TooShort)?;
    let header = packet
        .get(..end)
        .and_then(|packet| packet.first_chunk::<CLEAR_BYTES>());
    let [first, _, _, _, a, b, c, d] = *header.ok_or(SrtpError::TooShort)?;
    if first >> 6 != 2 {
        return Err(SrtpError::BadVersion);
    }
    Ok([a, b, c, d])
}

/// The index of a protected packet, whose E bit must say what was negotiated: a changed bit must
/// not switch decryption on or off.
pub(super) fn index(cipher: &RtcpCipher, packet: &[u8]) -> Result<u32, SrtpError> {
    let from_end = match &cipher.keys {
        RtcpKeys::HmacSha1 { .. } => overhead_bytes(cipher),
        RtcpKeys::AesGcm(_) => INDEX_BYTES + cipher.mki.as_bytes().len(),
    };
    let start = packet
        .len()
        .checked_sub(from_end)
        .ok_or(SrtpError::TooShort)?;
    let word = packet
        .get(start..)
        .and_then(|rest| rest.first_chunk::<INDEX_BYTES>());
    let word = u32::from_be_bytes(*word.ok_or(SrtpError::TooShort)?);
    match (word & E_BIT != 0, cipher.encrypts) {
        (true, true) | (false, false) => Ok(word & !E_BIT),
        (false, true) => Err(SrtpError::NotEncrypted),
        (true, false) => Err(SrtpError::UnexpectedEncryption),
    }
}

/// E bit and index as they travel.
fn index_word(cipher: &RtcpCipher, index: u32) -> [u8; INDEX_BYTES] {
    match cipher.encrypts {
        true => (index | E_BIT).to_be_bytes(),
        false => index.to_be_bytes(),
    }
}

/// Protects the first `length` bytes of the buffer; the caller has checked that the rest fits.
pub(super) fn protect(
    cipher: &RtcpCipher,
    ssrc: [u8; 4],
    index: u32,
    buffer: &mut [u8],
    length: usize,
) -> Result<usize, SrtpError> {
    let total = length + overhead_bytes(cipher);
    let packet = buffer.get_mut(..total).ok_or(SrtpError::NoRoom)?;
    let word = index_word(cipher, index);
    let (plain, trailer) = packet
        .split_at_mut_checked(length)
        .ok_or(SrtpError::NoRoom)?;
    match &cipher.keys {
        RtcpKeys::HmacSha1 { cipher: aes, mac } => {
            if let (Some(aes), true) = (aes, cipher.encrypts) {
                let payload = plain.get_mut(CLEAR_BYTES..).ok_or(SrtpError::TooShort)?;
                aes.apply_keystream(ssrc, index, payload)?;
            }
            let place = trailer.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
            *place = word;
            let (message, trailer) = packet
                .split_at_mut_checked(length + INDEX_BYTES)
                .ok_or(SrtpError::NoRoom)?;
            let (identifier, tag) = trailer
                .split_at_mut_checked(cipher.mki.as_bytes().len())
                .ok_or(SrtpError::NoRoom)?;
            identifier.copy_from_slice(cipher.mki.as_bytes());
            let whole = mac.tag(message, []);
            tag.copy_from_slice(whole.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
        }
        RtcpKeys::AesGcm(keys) => {
            let mut tag = [0; aes_gcm::TAG_BYTES];
            if cipher.encrypts {
                let (clear, payload) = plain
                    .split_at_mut_checked(CLEAR_BYTES)
                    .ok_or(SrtpError::TooShort)?;
                let associated = associated(clear, word);
                keys.seal(ssrc, index, &associated, payload, &mut tag)?;
            } else {
                // All is associated data: it must lie in one piece, so the word comes first.
                let place = trailer.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                *place = word;
                let signed = packet.get(..length + INDEX_BYTES);
                let signed = signed.ok_or(SrtpError::NoRoom)?;
                keys.seal(ssrc, index, signed, &mut [], &mut tag)?;
            }
            let trailer = packet.get_mut(length..).ok_or(SrtpError::NoRoom)?;
            let parts = tag.iter().chain(&word).chain(cipher.mki.as_bytes());
            for (to, from) in trailer.iter_mut().zip(parts) {
                *to = *from;
            }
        }
    }
    Ok(total)
}

/// Verifies and decrypts in place.
pub(super) fn unprotect(
    cipher: &RtcpCipher,
    ssrc: [u8; 4],
    index: u32,
    packet: &mut [u8],
) -> Result<usize, SrtpError> {
    let length = packet
        .len()
        .checked_sub(overhead_bytes(cipher))
        .ok_or(SrtpError::TooShort)?;
    match &cipher.keys {
        RtcpKeys::HmacSha1 { cipher: aes, mac } => {
            let (message, trailer) = packet
                .split_at_mut_checked(length + INDEX_BYTES)
                .ok_or(SrtpError::TooShort)?;
            let (identifier, tag) = trailer
                .split_at_checked(cipher.mki.as_bytes().len())
                .ok_or(SrtpError::TooShort)?;
            check_mki(&cipher.mki, identifier)?;
            mac.verify(message, [], tag)?;
            if let (Some(aes), true) = (aes, cipher.encrypts) {
                let payload = message.get_mut(CLEAR_BYTES..length);
                let payload = payload.ok_or(SrtpError::TooShort)?;
                aes.apply_keystream(ssrc, index, payload)?;
            }
        }
        RtcpKeys::AesGcm(keys) => {
            let (sealed, trailer) = packet
                .split_at_mut_checked(length + cipher.tag_bytes)
                .ok_or(SrtpError::TooShort)?;
            let identifier = trailer.get(INDEX_BYTES..).ok_or(SrtpError::TooShort)?;
            check_mki(&cipher.mki, identifier)?;
            let word = index_word(cipher, index);
            if cipher.encrypts {
                let (clear, sealed) = sealed
                    .split_at_mut_checked(CLEAR_BYTES)
                    .ok_or(SrtpError::TooShort)?;
                keys.open(ssrc, index, &associated(clear, word), sealed)?;
            } else {
                // The word takes the place of the tag, so that all that is signed is in one piece.
                let after = sealed.get_mut(length..).ok_or(SrtpError::TooShort)?;
                let place = after
                    .first_chunk_mut::<{ aes_gcm::TAG_BYTES }>()
                    .ok_or(SrtpError::TooShort)?;
                let mut tag = *place;
                place[..INDEX_BYTES].copy_from_slice(&word);
                let signed = sealed.get(..length + INDEX_BYTES);
                let signed = signed.ok_or(SrtpError::TooShort)?;
                keys.open(ssrc, index, signed, &mut tag)?;
            }
        }
    }
    Ok(length)
}

/// Associated data of an encrypted packet: the clear bytes and the word with E bit and index.
fn associated(clear: &[u8], word: [u8; 4]) -> [u8; CLEAR_BYTES + INDEX_BYTES] {
    let mut associated = [0; CLEAR_BYTES + INDEX_BYTES];
    for (to, from) in associated
        .iter_mut()
        .zip(clear.iter().take(CLEAR_BYTES).chain(&word))
    {
        *to = *from;
    }
    associated
}
