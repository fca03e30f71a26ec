//! HMAC-SHA1 (RFC 2104) with both key blocks hashed beforehand: a packet costs its own blocks and
//! one more, and whole blocks are hashed where they lie.

use sha1::block_api::compress;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::SrtpError;

const BLOCK_BYTES: usize = 64;
const WORDS: usize = 5;
/// Bytes of a whole tag.
const DIGEST_BYTES: usize = 20;
/// Bytes of the length that ends a SHA-1 message.
const LENGTH_BYTES: usize = 8;
/// Most bytes that can follow a message: ROC.
const SUFFIX_BYTES_MAX: usize = 4;
const INITIAL: [u32; WORDS] = [
    0x6745_2301,
    0xEFCD_AB89,
    0x98BA_DCFE,
    0x1032_5476,
    0xC3D2_E1F0,
];

// What is left of a message, the suffix, the end mark and the length fit in two blocks.
const _: () = assert!(BLOCK_BYTES - 1 + SUFFIX_BYTES_MAX + 1 + LENGTH_BYTES <= 2 * BLOCK_BYTES);

/// A key, ready for messages. Wiped on drop.
pub(super) struct HmacSha1 {
    /// The state of SHA-1 after key XOR ipad.
    inner: [u32; WORDS],
    /// The state of SHA-1 after key XOR opad.
    outer: [u32; WORDS],
}

impl HmacSha1 {
    /// Takes a key of at most one block; SRTP's has 20 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, SrtpError> {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        let place = block.get_mut(..key.len()).ok_or(SrtpError::BadKey)?;
        place.copy_from_slice(key);
        let state = |block: &[u8; BLOCK_BYTES]| {
            let mut state = INITIAL;
            compress(&mut state, std::slice::from_ref(block));
            state
        };
        block.iter_mut().for_each(|byte| *byte ^= 0x36);
        let inner = state(&block);
        block.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5C);
        let outer = state(&block);
        Ok(Self { inner, outer })
    }

    /// The whole tag over `message` and then `suffix`: ROC for RTP, nothing for RTCP.
    pub(super) fn tag<const SUFFIX_BYTES: usize>(
        &self,
        message: &[u8],
        suffix: [u8; SUFFIX_BYTES],
    ) -> [u8; DIGEST_BYTES] {
        const { assert!(SUFFIX_BYTES <= SUFFIX_BYTES_MAX) };
        let (blocks, rest) = message.as_chunks::<BLOCK_BYTES>();
        let mut state = self.inner;
        compress(&mut state, blocks);

        let mut tail = [0; 2 * BLOCK_BYTES];
        let end = rest.len() + SUFFIX_BYTES;
        let used = match end + 1 + LENGTH_BYTES > BLOCK_BYTES {
            true => 2 * BLOCK_BYTES,
            false => BLOCK_BYTES,
        };
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()..end].copy_from_slice(&suffix);
        tail[end] = 0x80;
        let bits = 8 * (BLOCK_BYTES + message.len() + SUFFIX_BYTES) as u64;
        tail[used - LENGTH_BYTES..used].copy_from_slice(&bits.to_be_bytes());
        let (tail, _) = tail[..used].as_chunks::<BLOCK_BYTES>();
        compress(&mut state, tail);

        let mut last = [0; BLOCK_BYTES];
        last[..DIGEST_BYTES].copy_from_slice(&bytes_of(state));
        last[DIGEST_BYTES] = 0x80;
        let bits = 8 * (BLOCK_BYTES + DIGEST_BYTES) as u64;
        last[BLOCK_BYTES - LENGTH_BYTES..].copy_from_slice(&bits.to_be_bytes());
        let mut state = self.outer;
        compress(&mut state, &[last]);
        bytes_of(state)
    }

    /// Compares the first bytes of the tag, as many as `tag` has, in constant time.
    pub(super) fn verify<const SUFFIX_BYTES: usize>(
        &self,
        message: &[u8],
        suffix: [u8; SUFFIX_BYTES],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let whole = self.tag(message, suffix);
        match whole.get(..tag.len()) {
            Some(expected) if !tag.is_empty() && bool::from(expected.ct_eq(tag)) => Ok(()),
            _ => Err(SrtpError::AuthenticationFailed),
        }
    }
}

fn bytes_of(state: [u32; WORDS]) -> [u8; DIGEST_BYTES] {
    let mut bytes = [0; DIGEST_BYTES];
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (to, from) in words.iter_mut().zip(state) {
        *to = from.to_be_bytes();
    }
    bytes
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha1::Sha1;

    use super::*;
    use crate::srtp::testing::bytes;

    #[test]
    fn makes_the_tags_of_rfc_2202() {
        let mac = HmacSha1::new(&[0x0B; 20]).unwrap();
        assert_eq!(
            mac.tag(b"Hi There", []).as_slice(),
            bytes("b617318655057264e28bc0b6fb378c8ef146be00")
        );
        let mac = HmacSha1::new(b"Jefe").unwrap();
        assert_eq!(
            mac.tag(b"what do ya want for nothing?", []).as_slice(),
            bytes("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        );
        let mac = HmacSha1::new(&[0xAA; 20]).unwrap();
        assert_eq!(
            mac.tag(&[0xDD; 50], []).as_slice(),
            bytes("125d7342b9ac11cd91a39af48aa17b4f63f175d3")
        );
    }

    #[test]
    fn agrees_with_another_implementation_for_every_length() {
        let key = [0x42; 20];
        let mac = HmacSha1::new(&key).unwrap();
        let message: Vec<u8> = (0..=255).collect();
        for length in 0..message.len() {
            let mut other = Hmac::<Sha1>::new_from_slice(&key).unwrap();
            other.update(&message[..length]);
            let plain = other.clone().finalize().into_bytes();
            other.update(&[1, 2, 3, 4]);
            let suffixed = other.finalize().into_bytes();
            assert_eq!(mac.tag(&message[..length], []), plain[..], "{length}");
            assert_eq!(mac.tag(&message[..length], [1, 2, 3, 4]), suffixed[..]);
        }
    }

    #[test]
    fn a_key_longer_than_a_block_is_refused() {
        assert!(HmacSha1::new(&[0; 64]).is_ok());
        assert_eq!(HmacSha1::new(&[0; 65]).err(), Some(SrtpError::BadKey));
    }

    proptest! {
        #[test]
        fn a_changed_or_missing_tag_is_refused(length in 1_usize..=20, bit in 0_usize..32) {
            let mac = HmacSha1::new(&[1; 20]).unwrap();
            let mut tag = mac.tag(b"message", []);
            prop_assert_eq!(mac.verify(b"message", [], &tag[..length]), Ok(()));
            let refused = Err(SrtpError::AuthenticationFailed);
            prop_assert_eq!(mac.verify(b"message", [], &[]), refused);
            let bit = bit % (length * 8);
            tag[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(mac.verify(b"message", [], &tag[..length]), refused);
        }
    }
}
