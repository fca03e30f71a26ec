//! Whether the tag of a GCM packet is wrong, found out without decrypting it.
//!
//! aws-lc decrypts before it compares, and after a wrong tag it wipes what it decrypted and files
//! an error: refusing costs more than accepting. GMAC, its GCM of associated data alone, costs less
//! than both, and differs from the tag that is looked for in one block. With H = AES(key, 0) the
//! tag over header A and ciphertext C is (NIST SP 800-38D sections 6.4 and 7.1)
//!
//! GHASH(padded A || padded C || lengths of A and C) XOR AES(key, nonce || 1),
//!
//! where GHASH multiplies its last block by H alone. GMAC over padded A || padded C is the same but
//! for these lengths. So the tag is this GMAC XOR (the one lengths XOR the other lengths) * H.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::TAG_BYTES;
use crate::limits::TAG_CHECK_BYTES_MAX;
use crate::srtp::SrtpError;
use crate::srtp::aes_ctr::{AesCtr, BLOCK_BYTES};

/// Lengths are counted in bits: of whole bytes the lowest bit that can be set is this one.
const LOWEST_LENGTH_BIT: usize = 3;
/// Bits that a length of at most [`TAG_CHECK_BYTES_MAX`] bytes can have set.
const LENGTH_BITS: usize = TAG_CHECK_BYTES_MAX.ilog2() as usize + 1;
/// The power of x that the lowest of them stands for in the first half of a block.
const LOWEST_LENGTH_POWER: usize = 63 - LOWEST_LENGTH_BIT;

/// Packets up to this length get a small place on the stack: 20 ms of G.711 and less.
const SMALL_BYTES: usize = 224;

/// What follows from the key. Wiped on drop.
pub(super) struct TagCheck {
    /// H times the power of x that each bit of a length stands for, the lowest bit first.
    multiples: [u128; LENGTH_BITS],
}

impl TagCheck {
    /// Takes the key of the cipher: 16 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, SrtpError> {
        let mut blocks = Zeroizing::new([[0; BLOCK_BYTES]]);
        AesCtr::new(key)?.encrypt_blocks(&mut *blocks);
        let [h] = *blocks;
        let h = Zeroizing::new(u128::from_be_bytes(h));
        let multiples = std::array::from_fn(|bit| times_power(*h, LOWEST_LENGTH_POWER - bit));
        Ok(Self { multiples })
    }

    /// Whether the tag over `associated` and `sealed` is certainly wrong. Says no without looking
    /// where both are longer than [`TAG_CHECK_BYTES_MAX`].
    pub(super) fn finds_forged(
        &self,
        key: &LessSafeKey,
        nonce: Nonce,
        associated: &[u8],
        sealed: &[u8],
        tag: &[u8; TAG_BYTES],
    ) -> bool {
        // Making room costs as much as the rest of the check of a small packet.
        let (mut room, mut more_room);
        let covered = if associated.len() + sealed.len() <= SMALL_BYTES {
            room = [0; SMALL_BYTES + 2 * BLOCK_BYTES];
            padded(&mut room, associated, sealed)
        } else {
            more_room = [0; TAG_CHECK_BYTES_MAX];
            padded(&mut more_room, associated, sealed)
        };
        let Some(covered) = covered else {
            return false;
        };
        let lengths = self.lengths(associated.len() ^ covered.len(), sealed.len());
        // It covers what came, as verifying does; under this nonce nothing leaves us.
        let mut gmac = [0; TAG_BYTES];
        let covered = Aad::from(covered);
        let made = key.seal_in_place_scatter(nonce, covered, &mut [], &[], &mut gmac);
        let right = u128::from_be_bytes(gmac) ^ lengths;
        made.is_ok() && !bool::from(right.ct_eq(&u128::from_be_bytes(*tag)))
    }

    /// The block of these two lengths in bytes, times H.
    fn lengths(&self, first: usize, second: usize) -> u128 {
        times_power(self.length(second), 64) ^ self.length(first)
    }

    fn length(&self, bytes: usize) -> u128 {
        let (mut sum, mut bits) = (0, bytes);
        // Of no bit that is left there is no multiple.
        while let Some(multiple) = self.multiples.get(bits.trailing_zeros() as usize) {
            sum ^= multiple;
            bits &= bits - 1;
        }
        sum
    }
}

impl Drop for TagCheck {
    fn drop(&mut self) {
        self.multiples.zeroize();
    }
}

/// Both, each with zeros up to whole blocks; `None` if there is no room for them.
fn padded<'a>(room: &'a mut [u8], associated: &[u8], sealed: &[u8]) -> Option<&'a [u8]> {
    let start = associated.len().next_multiple_of(BLOCK_BYTES);
    let end = start + sealed.len().next_multiple_of(BLOCK_BYTES);
    let used = room.get_mut(..end)?;
    used.get_mut(..associated.len())?
        .copy_from_slice(associated);
    used.get_mut(start..)?
        .get_mut(..sealed.len())?
        .copy_from_slice(sealed);
    Some(used)
}

/// An element of the field of GHASH times x^`power`, which is 1 to 120. The highest bit of an
/// element is its coefficient of x^0; and x^128 = x^7 + x^2 + x + 1 (NIST SP 800-38D section 6.3).
const fn times_power(element: u128, power: usize) -> u128 {
    let beyond = element << (128 - power);
    (element >> power) ^ beyond ^ (beyond >> 1) ^ (beyond >> 2) ^ (beyond >> 7)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, UnboundKey};
    use proptest::prelude::*;

    use super::*;

    struct Packet {
        associated: Vec<u8>,
        sealed: Vec<u8>,
        tag: [u8; TAG_BYTES],
    }

    struct Keys {
        aws: LessSafeKey,
        check: TagCheck,
        nonce: [u8; 12],
    }

    impl Keys {
        fn new(key: &[u8], nonce: [u8; 12]) -> Self {
            let algorithm = if key.len() == 16 {
                &AES_128_GCM
            } else {
                &AES_256_GCM
            };
            Self {
                aws: LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap()),
                check: TagCheck::new(key).unwrap(),
                nonce,
            }
        }

        fn nonce(&self) -> Nonce {
            Nonce::assume_unique_for_key(self.nonce)
        }

        fn sealed(&self, associated: &[u8], plain: &[u8]) -> Packet {
            let mut sealed = plain.to_vec();
            let tag = self
                .aws
                .seal_in_place_separate_tag(self.nonce(), Aad::from(associated), &mut sealed)
                .unwrap();
            Packet {
                associated: associated.to_vec(),
                sealed,
                tag: tag.as_ref().try_into().unwrap(),
            }
        }

        fn finds_forged(&self, packet: &Packet) -> bool {
            let (associated, sealed) = (&packet.associated, &packet.sealed);
            self.check
                .finds_forged(&self.aws, self.nonce(), associated, sealed, &packet.tag)
        }

        fn opens(&self, packet: &Packet) -> bool {
            let associated = Aad::from(&packet.associated);
            let mut sealed = packet.sealed.clone();
            self.aws
                .open_in_place_separate_tag(self.nonce(), associated, &packet.tag, &mut sealed)
                .is_ok()
        }
    }

    /// One bit of the packet is another one.
    fn flipped(mut packet: Packet, bit: prop::sample::Index) -> Packet {
        let parts = [
            &mut packet.associated[..],
            &mut packet.sealed,
            &mut packet.tag,
        ];
        let mut bytes: Vec<&mut u8> = parts.into_iter().flatten().collect();
        let bit = bit.index(bytes.len() * 8);
        *bytes[bit / 8] ^= 1 << (bit % 8);
        packet
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn says_of_any_packet_what_aws_lc_says(
            key in any::<[u8; 32]>(),
            short_key in any::<bool>(),
            nonce in any::<[u8; 12]>(),
            associated in prop::collection::vec(any::<u8>(), 0..100),
            plain in prop::collection::vec(any::<u8>(), 0..1300),
            bit in any::<prop::sample::Index>(),
        ) {
            let keys = Keys::new(&key[..if short_key { 16 } else { 32 }], nonce);
            let packet = keys.sealed(&associated, &plain);
            prop_assert!(keys.opens(&packet) && !keys.finds_forged(&packet));
            let packet = flipped(packet, bit);
            prop_assert!(!keys.opens(&packet) && keys.finds_forged(&packet));
        }
    }

    #[test]
    fn says_so_at_every_length_of_header_and_payload_about_a_block_and_about_its_room() {
        let keys = Keys::new(&[7; 16], [3; 12]);
        let around = |bytes: usize| bytes.saturating_sub(33)..bytes + 2;
        let payloads = (0..50)
            .chain(around(SMALL_BYTES))
            .chain(around(TAG_CHECK_BYTES_MAX));
        for payload in payloads {
            for header in 0..=33 {
                let mut packet = keys.sealed(&vec![1; header], &vec![2; payload]);
                assert!(!keys.finds_forged(&packet), "{header} {payload}");
                packet.tag[15] ^= 1;
                let fits = header.next_multiple_of(16) + payload.next_multiple_of(16)
                    <= TAG_CHECK_BYTES_MAX;
                assert_eq!(keys.finds_forged(&packet), fits, "{header} {payload}");
            }
        }
    }
}
