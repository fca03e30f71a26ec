//! The bare primitives: cipher and MAC over the same bytes, and nothing else. No header is read, no
//! index kept, the IV is always the same.
//!
//! They are the crates as their documentation has them used: `aes` and `ctr` with a borrowed key
//! schedule, `hmac` and `sha1` with a keyed state that is copied, `aws-lc-rs` for GCM.

use aes::cipher::{
    Array, BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher,
    StreamCipherCoreWrapper, consts::U16,
};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use crypto::keys::SrtpProfile;
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::Subject;
use super::batch::{Batch, HEADER_BYTES};
use crate::Failure;

const IV: [u8; 16] = [0x6B; 16];
const NONCE: [u8; 12] = [0x6B; 12];
/// What the MAC covers behind the packet.
const ROLLOVER_COUNTER: [u8; 4] = [0; 4];

pub(super) struct Bare {
    ciphers: Ciphers,
    tag_bytes: usize,
    sequence: u16,
}

enum Ciphers {
    Aes128(Aes128Enc, Hmac<Sha1>),
    Aes192(Aes192Enc, Hmac<Sha1>),
    Aes256(Aes256Enc, Hmac<Sha1>),
    Gcm(LessSafeKey),
}

impl Bare {
    pub(super) fn new(suite: SrtpProfile) -> Result<Self, Failure> {
        let key = vec![0xA7; suite.key_bytes()];
        let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&[0x3C; 20])?;
        let ciphers = match suite {
            SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => {
                Ciphers::Aes128(Aes128Enc::new_from_slice(&key)?, mac)
            }
            SrtpProfile::AesCm192HmacSha1_80 | SrtpProfile::AesCm192HmacSha1_32 => {
                Ciphers::Aes192(Aes192Enc::new_from_slice(&key)?, mac)
            }
            SrtpProfile::AesCm256HmacSha1_80 | SrtpProfile::AesCm256HmacSha1_32 => {
                Ciphers::Aes256(Aes256Enc::new_from_slice(&key)?, mac)
            }
            SrtpProfile::AeadAes128Gcm => {
                Ciphers::Gcm(LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?))
            }
            SrtpProfile::AeadAes256Gcm => {
                Ciphers::Gcm(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key)?))
            }
            SrtpProfile::NullHmacSha1_80 | SrtpProfile::NullHmacSha1_32 => {
                return Err("there is no cipher to measure".into());
            }
        };
        Ok(Self {
            ciphers,
            tag_bytes: suite.rtp_tag_bytes(),
            sequence: 0,
        })
    }
}

impl Subject for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn sequence(&mut self) -> &mut u16 {
        &mut self.sequence
    }

    fn protect(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let length = batch.plain_bytes();
        let tag_bytes = self.tag_bytes;
        match &self.ciphers {
            Ciphers::Aes128(key, mac) => encrypt_and_sign(key, mac, batch, length, tag_bytes),
            Ciphers::Aes192(key, mac) => encrypt_and_sign(key, mac, batch, length, tag_bytes),
            Ciphers::Aes256(key, mac) => encrypt_and_sign(key, mac, batch, length, tag_bytes),
            Ciphers::Gcm(key) => seal(key, batch, length),
        }
        .ok_or_else(|| "a place is too small".into())
    }

    fn unprotect(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let length = batch.protected_bytes();
        let tag_bytes = self.tag_bytes;
        match &self.ciphers {
            Ciphers::Aes128(key, mac) => verify_and_decrypt(key, mac, batch, length, tag_bytes),
            Ciphers::Aes192(key, mac) => verify_and_decrypt(key, mac, batch, length, tag_bytes),
            Ciphers::Aes256(key, mac) => verify_and_decrypt(key, mac, batch, length, tag_bytes),
            Ciphers::Gcm(key) => open(key, batch, length),
        }
        .ok_or_else(|| "a tag is wrong".into())
    }

    fn refuse(&mut self, _batch: &mut Batch) -> Option<Result<(), Failure>> {
        None
    }

    fn set_up_ns(&self, _pairs: u32) -> Option<Result<f64, Failure>> {
        None
    }
}

fn encrypt_and_sign<C>(
    key: &C,
    mac: &Hmac<Sha1>,
    batch: &mut Batch,
    length: usize,
    tag_bytes: usize,
) -> Option<()>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    for place in batch.places() {
        let (packet, rest) = place.split_at_mut_checked(length)?;
        apply_keystream(key, packet.get_mut(HEADER_BYTES..)?);
        let tag = tag(mac, packet);
        rest.get_mut(..tag_bytes)?
            .copy_from_slice(tag.get(..tag_bytes)?);
    }
    Some(())
}

fn verify_and_decrypt<C>(
    key: &C,
    mac: &Hmac<Sha1>,
    batch: &mut Batch,
    length: usize,
    tag_bytes: usize,
) -> Option<()>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    for place in batch.places() {
        let (packet, rest) = place.split_at_mut_checked(length - tag_bytes)?;
        let right = tag(mac, packet)
            .get(..tag_bytes)?
            .ct_eq(rest.get(..tag_bytes)?);
        if !bool::from(right) {
            return None;
        }
        apply_keystream(key, packet.get_mut(HEADER_BYTES..)?);
    }
    Some(())
}

fn apply_keystream<C>(key: &C, payload: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<&C, Ctr128BE>::inner_iv_init(key, &Array::from(IV));
    StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
}

fn tag(mac: &Hmac<Sha1>, packet: &[u8]) -> [u8; 20] {
    let mut mac = mac.clone();
    mac.update(packet);
    mac.update(&ROLLOVER_COUNTER);
    mac.finalize().into_bytes().into()
}

fn seal(key: &LessSafeKey, batch: &mut Batch, length: usize) -> Option<()> {
    for place in batch.places() {
        let (packet, rest) = place.split_at_mut_checked(length)?;
        let (header, payload) = packet.split_at_mut_checked(HEADER_BYTES)?;
        let nonce = Nonce::assume_unique_for_key(NONCE);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
        let tag = tag.ok()?;
        rest.get_mut(..tag.as_ref().len())?
            .copy_from_slice(tag.as_ref());
    }
    Some(())
}

fn open(key: &LessSafeKey, batch: &mut Batch, length: usize) -> Option<()> {
    for place in batch.places() {
        let (header, payload) = place.get_mut(..length)?.split_at_mut(HEADER_BYTES);
        let nonce = Nonce::assume_unique_for_key(NONCE);
        key.open_in_place(nonce, Aad::from(&*header), payload)
            .ok()?;
    }
    Some(())
}
