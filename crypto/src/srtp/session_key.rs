//! A session key of RTCP with its salt, expanded anew for each packet, on the stack.

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U12, consts::U16};
use aes::{Aes128Enc, Aes256Enc};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::SrtpError;
use super::aes_cm::AesCm;
use super::aes_gcm::TAG_BYTES;
use crate::limits::MASTER_KEY_BYTES_MAX;

/// Key and salt. Wiped on drop, as is whatever is made of it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SessionKey {
    key: [u8; MASTER_KEY_BYTES_MAX],
    key_bytes: u8,
    salt: [u8; 16],
}

impl SessionKey {
    /// Takes a key of 16, 24 or 32 bytes; the first 12 bytes (GCM) or 14 bytes of `salt` are the
    /// salt.
    pub(super) fn new(key: &[u8], salt: &[u8; 16]) -> Result<Self, SrtpError> {
        let mut this = Self {
            key: [0; MASTER_KEY_BYTES_MAX],
            key_bytes: u8::try_from(key.len()).map_err(|_| SrtpError::BadKey)?,
            salt: *salt,
        };
        let place = this.key.get_mut(..key.len()).ok_or(SrtpError::BadKey)?;
        place.copy_from_slice(key);
        Ok(this)
    }

    /// Encrypts or decrypts in place with AES in counter mode: the same operation.
    pub(super) fn apply_keystream(
        &self,
        ssrc: [u8; 4],
        index: u32,
        payload: &mut [u8],
    ) -> Result<(), SrtpError> {
        AesCm::new(self.key(), &self.salt)?.apply_keystream(ssrc, index.into(), payload);
        Ok(())
    }

    /// Encrypts in place with AES-GCM and writes the tag.
    pub(super) fn seal(
        &self,
        ssrc: [u8; 4],
        index: u32,
        associated: &[u8],
        payload: &mut [u8],
        tag: &mut [u8; TAG_BYTES],
    ) -> Result<(), SrtpError> {
        let nonce = self.nonce(ssrc, index);
        *tag = match self.key_bytes {
            16 => seal(&self.expand::<Aes128Enc>()?, nonce, associated, payload),
            _ => seal(&self.expand::<Aes256Enc>()?, nonce, associated, payload),
        }?;
        Ok(())
    }

    /// Verifies and then decrypts in place with AES-GCM; `payload` ends with the tag, and is as it
    /// was after an error.
    pub(super) fn open(
        &self,
        ssrc: [u8; 4],
        index: u32,
        associated: &[u8],
        payload: &mut [u8],
    ) -> Result<(), SrtpError> {
        let nonce = self.nonce(ssrc, index);
        match self.key_bytes {
            16 => open(&self.expand::<Aes128Enc>()?, nonce, associated, payload),
            _ => open(&self.expand::<Aes256Enc>()?, nonce, associated, payload),
        }
    }

    fn key(&self) -> &[u8] {
        self.key.get(..self.key_bytes.into()).unwrap_or_default()
    }

    fn expand<A>(&self) -> Result<Gcm<A>, SrtpError>
    where
        A: Aes + KeyInit,
    {
        let aes = A::new_from_slice(self.key()).map_err(|_| SrtpError::BadKey)?;
        Ok(aes.into())
    }

    /// (16 bits of zero || SSRC || 17 bits of zero || 31-bit index) XOR salt (RFC 7714
    /// section 9.1).
    fn nonce(&self, ssrc: [u8; 4], index: u32) -> [u8; 12] {
        let salt = u128::from_be_bytes(self.salt) >> 32;
        let nonce = salt ^ (u128::from(u32::from_be_bytes(ssrc)) << 48) ^ u128::from(index);
        let [_, _, _, _, nonce @ ..] = nonce.to_be_bytes();
        nonce
    }
}

/// Only encryption: half the key schedule.
trait Aes: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt {}

impl<A: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt> Aes for A {}

type Gcm<A> = AesGcm<A, U12>;

fn seal<A: Aes>(
    gcm: &Gcm<A>,
    nonce: [u8; 12],
    associated: &[u8],
    payload: &mut [u8],
) -> Result<[u8; TAG_BYTES], SrtpError> {
    let tag = gcm.encrypt_inout_detached(&nonce.into(), associated, payload.into());
    tag.map(Into::into).map_err(|_| SrtpError::NoRoom)
}

fn open<A: Aes>(
    gcm: &Gcm<A>,
    nonce: [u8; 12],
    associated: &[u8],
    payload: &mut [u8],
) -> Result<(), SrtpError> {
    let (payload, tag) = payload
        .split_last_chunk_mut::<TAG_BYTES>()
        .ok_or(SrtpError::TooShort)?;
    let tag = (*tag).into();
    let opened = gcm.decrypt_inout_detached(&nonce.into(), associated, payload.into(), &tag);
    opened.map_err(|_| SrtpError::AuthenticationFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::testing::bytes;

    const SALT: &str = "517569642070726f2071756f";
    const RTCP_HEADER: &str = "81c8000d 4d617273";
    const RTCP_REST: &str = "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
                             deadbeef deadbeef deadbeef deadbeef";

    fn session(key_bytes: u8) -> SessionKey {
        let key: Vec<u8> = (0..key_bytes).collect();
        let salt = [bytes(SALT), vec![0xFF; 4]].concat();
        SessionKey::new(&key, &salt.try_into().unwrap()).unwrap()
    }

    fn seals_and_opens(
        key: &SessionKey,
        (ssrc, index): (u32, u32),
        associated: &str,
        plain: &str,
        sealed: &str,
    ) {
        let ssrc = ssrc.to_be_bytes();
        let (associated, plain) = (bytes(associated), bytes(plain));
        let mut payload = plain.clone();
        let mut tag = [0; TAG_BYTES];
        key.seal(ssrc, index, &associated, &mut payload, &mut tag)
            .unwrap();
        payload.extend(tag);
        assert_eq!(payload, bytes(sealed));
        key.open(ssrc, index, &associated, &mut payload).unwrap();
        assert_eq!(payload[..plain.len()], plain);
    }

    #[test]
    fn a_packet_with_a_wrong_tag_is_refused_and_stays_as_it_was() {
        let key = session(32);
        let mut packet = vec![7; 40];
        let refused = key.open([1; 4], 1, &[2; 12], &mut packet);
        assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
        assert_eq!(packet, vec![7; 40]);
        let refused = key.open([1; 4], 1, &[2; 12], &mut [0; 15]);
        assert_eq!(refused, Err(SrtpError::TooShort));
    }

    #[test]
    fn rfc_7714_17_1_rtcp_with_aes_128() {
        seals_and_opens(
            &session(16),
            (0x4D61_7273, 0x5D4),
            &format!("{RTCP_HEADER} 800005d4"),
            RTCP_REST,
            "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 \
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade",
        );
    }

    #[test]
    fn rfc_7714_17_2_rtcp_with_aes_256() {
        seals_and_opens(
            &session(32),
            (0x4D61_7273, 0x5D4),
            &format!("{RTCP_HEADER} 800005d4"),
            RTCP_REST,
            "d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 \
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be",
        );
    }

    #[test]
    fn rfc_7714_17_3_and_17_4_rtcp_tag_only() {
        let whole = format!("{RTCP_HEADER} {RTCP_REST} 000005d4");
        let source = (0x4D61_7273, 0x5D4);
        let tag = "841dd968 3dd78ec9 2ae58790 125f62b3";
        seals_and_opens(&session(16), source, &whole, "", tag);
        let tag = "91db4afb feee5a97 8fab4393 ed2615fe";
        seals_and_opens(&session(32), source, &whole, "", tag);
    }
}
