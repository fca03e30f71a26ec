//! The layout of SRTP packets: header in the clear, payload encrypted, and behind it
//!
//! - AES-CM (RFC 3711 section 3.1): the identifier if one was negotiated, then the tag;
//! - AES-GCM (RFC 7714 section 8): the tag, then the identifier.

use super::SrtpError;
use super::cipher::{RtpCipher, RtpKeys, check_mki};
use super::rollover::rollover_counter;

const FIXED_HEADER_BYTES: usize = 12;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
/// The two words by which cryptex marks a header that is encrypted (RFC 9335 section 5.1).
const CRYPTEX_PROFILES: [u16; 2] = [0xC0DE, 0xC2DE];

/// What SRTP needs of an RTP header (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpHeader {
    pub(super) ssrc: [u8; 4],
    pub(super) sequence: u16,
    /// Length with CSRC list and extension.
    pub(super) bytes: usize,
    /// The P bit is set.
    pub(super) padded: bool,
}

impl RtpHeader {
    /// Reads the header of a packet that ends with `trailer_bytes` of tag and identifier.
    pub(super) fn parse(packet: &[u8], trailer_bytes: usize) -> Result<Self, SrtpError> {
        let end = packet
            .len()
            .checked_sub(trailer_bytes)
            .ok_or(SrtpError::TooShort)?;
        let packet = packet.get(..end).ok_or(SrtpError::TooShort)?;
        let (fixed, rest) = packet
            .split_first_chunk::<FIXED_HEADER_BYTES>()
            .ok_or(SrtpError::TooShort)?;
        let [first, _, high, low, _, _, _, _, a, b, c, d] = *fixed;
        if first >> 6 != 2 {
            return Err(SrtpError::BadVersion);
        }
        let mut bytes = FIXED_HEADER_BYTES + usize::from(first & 0x0F) * 4;
        if bytes > end {
            return Err(SrtpError::TruncatedCsrcs);
        }
        if first & EXTENSION_BIT != 0 {
            bytes += extension_bytes(rest.get(bytes - FIXED_HEADER_BYTES..).unwrap_or_default())?;
        }
        Ok(Self {
            ssrc: [a, b, c, d],
            sequence: u16::from_be_bytes([high, low]),
            bytes,
            padded: first & PADDING_BIT != 0,
        })
    }

    /// Whether the padding of a packet in the clear fits into its payload.
    pub(super) fn check_padding(self, packet: &[u8]) -> Result<(), SrtpError> {
        if !self.padded {
            return Ok(());
        }
        let payload = packet.get(self.bytes..).unwrap_or_default();
        match payload.last() {
            Some(padding) if usize::from(*padding) <= payload.len() => Ok(()),
            Some(_) | None => Err(SrtpError::PaddingTooLarge),
        }
    }
}

/// The length of the header extension that `rest` begins with. An encrypted one is refused before
/// anything is done to the packet; single elements that are encrypted (RFC 6904) cannot be told
/// from others and pass as they are: authenticated, and untouched.
fn extension_bytes(rest: &[u8]) -> Result<usize, SrtpError> {
    let Some([a, b, high, low]) = rest.first_chunk::<4>() else {
        return Err(SrtpError::TruncatedExtension);
    };
    let bytes = 4 + usize::from(u16::from_be_bytes([*high, *low])) * 4;
    if bytes > rest.len() {
        return Err(SrtpError::TruncatedExtension);
    }
    match CRYPTEX_PROFILES.contains(&u16::from_be_bytes([*a, *b])) {
        true => Err(SrtpError::EncryptedHeader),
        false => Ok(bytes),
    }
}

/// Protects the first `length` bytes of the buffer; the caller has checked that the rest fits.
pub(super) fn protect(
    cipher: &RtpCipher,
    header: RtpHeader,
    index: u64,
    buffer: &mut [u8],
    length: usize,
) -> Result<usize, SrtpError> {
    let total = length + cipher.trailer_bytes();
    let (message, trailer) = buffer
        .get_mut(..total)
        .and_then(|packet| packet.split_at_mut_checked(length))
        .ok_or(SrtpError::NoRoom)?;
    match &cipher.keys {
        RtpKeys::HmacSha1 { cipher: aes, mac } => {
            if let Some(aes) = aes {
                let payload = message.get_mut(header.bytes..);
                let payload = payload.ok_or(SrtpError::TooShort)?;
                aes.apply_keystream(header.ssrc, index, payload);
            }
            let whole = mac.tag(message, rollover_counter(index));
            let (identifier, tag) = trailer
                .split_at_mut_checked(cipher.mki.as_bytes().len())
                .ok_or(SrtpError::NoRoom)?;
            identifier.copy_from_slice(cipher.mki.as_bytes());
            tag.copy_from_slice(whole.get(..tag.len()).ok_or(SrtpError::NoRoom)?);
        }
        RtpKeys::AesGcm(keys) => {
            let (clear, payload) = message
                .split_at_mut_checked(header.bytes)
                .ok_or(SrtpError::TooShort)?;
            let (tag, identifier) = trailer
                .split_at_mut_checked(cipher.tag_bytes)
                .ok_or(SrtpError::NoRoom)?;
            keys.seal(header.ssrc, index, clear, payload, tag)?;
            identifier.copy_from_slice(cipher.mki.as_bytes());
        }
    }
    Ok(total)
}

/// Verifies and decrypts in place.
pub(super) fn unprotect(
    cipher: &mut RtpCipher,
    header: RtpHeader,
    index: u64,
    packet: &mut [u8],
) -> Result<usize, SrtpError> {
    let length = packet
        .len()
        .checked_sub(cipher.trailer_bytes())
        .ok_or(SrtpError::TooShort)?;
    match &mut cipher.keys {
        RtpKeys::HmacSha1 { cipher: aes, mac } => {
            let (message, trailer) = packet
                .split_at_mut_checked(length)
                .ok_or(SrtpError::TooShort)?;
            let (identifier, tag) = trailer
                .split_at_checked(cipher.mki.as_bytes().len())
                .ok_or(SrtpError::TooShort)?;
            check_mki(&cipher.mki, identifier)?;
            mac.verify(message, rollover_counter(index), tag)?;
            if let Some(aes) = aes {
                let payload = message.get_mut(header.bytes..);
                let payload = payload.ok_or(SrtpError::TooShort)?;
                aes.apply_keystream(header.ssrc, index, payload);
            }
        }
        RtpKeys::AesGcm(keys) => {
            let (sealed, identifier) = packet
                .split_at_mut_checked(length + cipher.tag_bytes)
                .ok_or(SrtpError::TooShort)?;
            check_mki(&cipher.mki, identifier)?;
            let (clear, sealed) = sealed
                .split_at_mut_checked(header.bytes)
                .ok_or(SrtpError::TooShort)?;
            keys.open(header.ssrc, index, clear, sealed)?;
        }
    }
    header.check_padding(packet.get(..length).unwrap_or_default())?;
    Ok(length)
}
