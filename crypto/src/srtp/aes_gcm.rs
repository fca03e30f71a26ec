//! AES-GCM for RTP (RFC 7714).

mod tag_check;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use super::SrtpError;
use crate::limits::FORGED_IN_A_ROW_BEFORE_CHECK;
use tag_check::TagCheck;

/// Bytes of the authentication tag.
pub(super) const TAG_BYTES: usize = 16;

/// The session key and salt of RTP.
pub(super) struct AesGcm {
    key: LessSafeKey,
    /// Right-aligned: a nonce is made of it without going through memory.
    salt: u128,
    check: TagCheck,
    /// Packets refused since the last authentic one. Decides what refusing costs, never whether.
    forged_in_a_row: u8,
}

impl AesGcm {
    /// Takes a key of 16 or 32 bytes; the first 12 bytes of `salt` are the salt.
    pub(super) fn new(key: &[u8], salt: &[u8; 16]) -> Result<Self, SrtpError> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let check = TagCheck::new(key)?;
        let key = UnboundKey::new(algorithm, key).map_err(|_| SrtpError::BadKey)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            salt: u128::from_be_bytes(*salt) >> 32,
            check,
            forged_in_a_row: 0,
        })
    }

    /// Encrypts in place and writes the tag, which has [`TAG_BYTES`].
    pub(super) fn seal(
        &self,
        ssrc: [u8; 4],
        index: u64,
        associated: &[u8],
        payload: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let nonce = self.nonce(ssrc, index);
        let associated = Aad::from(associated);
        let sealed = self
            .key
            .seal_in_place_scatter(nonce, associated, payload, &[], tag);
        sealed.map_err(|_| SrtpError::NoRoom)
    }

    /// Verifies and decrypts in place; `payload` ends with the tag. After an error its content is
    /// undefined. In a flood of forged packets the tag is looked at first.
    pub(super) fn open(
        &mut self,
        ssrc: [u8; 4],
        index: u64,
        associated: &[u8],
        payload: &mut [u8],
    ) -> Result<(), SrtpError> {
        let (payload, tag) = payload
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(SrtpError::TooShort)?;
        let nonce = || self.nonce(ssrc, index);
        let forged = self.forged_in_a_row >= FORGED_IN_A_ROW_BEFORE_CHECK
            && (self.check).finds_forged(&self.key, nonce(), associated, payload, tag);
        if forged {
            return Err(SrtpError::AuthenticationFailed);
        }
        // With the tag apart a forged packet is wiped once, not twice.
        let associated = Aad::from(associated);
        let opened = self
            .key
            .open_in_place_separate_tag(nonce(), associated, tag, payload);
        match opened {
            Ok(_) => {
                self.forged_in_a_row = 0;
                Ok(())
            }
            Err(_) => {
                self.forged_in_a_row = self.forged_in_a_row.saturating_add(1);
                Err(SrtpError::AuthenticationFailed)
            }
        }
    }

    /// (16 bits of zero || SSRC || ROC || SEQ) XOR salt (RFC 7714 section 8.1).
    fn nonce(&self, ssrc: [u8; 4], index: u64) -> Nonce {
        let nonce = self.salt ^ (u128::from(u32::from_be_bytes(ssrc)) << 48) ^ u128::from(index);
        let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Drop for AesGcm {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::testing::bytes;

    const SALT: &str = "517569642070726f2071756f";
    const RTP_HEADER: &str = "8040f17b 8041f8d3 5501a0b2";
    const RTP_PAYLOAD: &str = "47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 \
                               61727465 73207472 6573";

    fn session(key_bytes: u8) -> AesGcm {
        let key: Vec<u8> = (0..key_bytes).collect();
        let salt = [bytes(SALT), vec![0xFF; 4]].concat();
        AesGcm::new(&key, &salt.try_into().unwrap()).unwrap()
    }

    fn seals_and_opens(
        gcm: &mut AesGcm,
        (ssrc, index): (u32, u64),
        associated: &str,
        plain: &str,
        sealed: &str,
    ) {
        let (associated, plain) = (bytes(associated), bytes(plain));
        let mut payload = plain.clone();
        let mut tag = [0; TAG_BYTES];
        gcm.seal(
            ssrc.to_be_bytes(),
            index,
            &associated,
            &mut payload,
            &mut tag,
        )
        .unwrap();
        payload.extend(tag);
        assert_eq!(payload, bytes(sealed));
        gcm.open(ssrc.to_be_bytes(), index, &associated, &mut payload)
            .unwrap();
        assert_eq!(payload[..plain.len()], plain);
    }

    #[test]
    fn a_flood_of_forged_packets_is_refused_undecrypted_until_an_authentic_one_comes() {
        let mut gcm = session(32);
        let mut authentic = vec![7; 40];
        let mut tag = [0; TAG_BYTES];
        gcm.seal([1; 4], 1, &[2; 12], &mut authentic, &mut tag)
            .unwrap();
        authentic.extend(tag);
        let mut forged = authentic.clone();
        forged[55] ^= 1;
        for _ in 0..2 {
            for number in 1..=FORGED_IN_A_ROW_BEFORE_CHECK + 2 {
                let mut packet = forged.clone();
                let refused = gcm.open([1; 4], 1, &[2; 12], &mut packet);
                assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
                let undecrypted = packet == forged;
                assert_eq!(undecrypted, number > FORGED_IN_A_ROW_BEFORE_CHECK);
            }
            let mut packet = authentic.clone();
            gcm.open([1; 4], 1, &[2; 12], &mut packet).unwrap();
            assert_eq!(packet[..40], [7; 40]);
        }
    }

    #[test]
    fn rfc_7714_16_1_rtp_with_aes_128() {
        seals_and_opens(
            &mut session(16),
            (0x5501_A0B2, 0xF17B),
            RTP_HEADER,
            RTP_PAYLOAD,
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf \
             8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
    }

    #[test]
    fn rfc_7714_16_1_3_rtp_with_aes_128_tag_only() {
        let whole = format!("{RTP_HEADER} {RTP_PAYLOAD}");
        let tag = "22493f82 d2bce397 e9d79e3b 19aa4216";
        seals_and_opens(&mut session(16), (0x5501_A0B2, 0xF17B), &whole, "", tag);
    }

    #[test]
    fn rfc_7714_16_2_rtp_with_aes_256() {
        seals_and_opens(
            &mut session(32),
            (0x5501_A0B2, 0xF17B),
            RTP_HEADER,
            RTP_PAYLOAD,
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 \
             b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        );
    }
}
