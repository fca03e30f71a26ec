//! AES in counter mode with any of the three key lengths.

use aes::cipher::{
    Array, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;

use super::SrtpError;

pub(super) const BLOCK_BYTES: usize = 16;

/// An expanded key; it wipes itself on drop. Only for encryption, which is all that counter mode
/// needs and half the memory.
pub(super) enum AesCtr {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl AesCtr {
    /// Expands a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, SrtpError> {
        let expanded = match key.len() {
            16 => Aes128Enc::new_from_slice(key).map(Self::Aes128),
            24 => Aes192Enc::new_from_slice(key).map(Self::Aes192),
            _ => Aes256Enc::new_from_slice(key).map(Self::Aes256),
        };
        expanded.map_err(|_| SrtpError::BadKey)
    }

    /// Adds the key stream that starts at the counter block `iv`. SRTP leaves the lower 16 bits of
    /// the block to the counter: enough for 2^20 bytes.
    pub(super) fn apply_keystream(&self, iv: [u8; BLOCK_BYTES], data: &mut [u8]) {
        // The schedule is borrowed: copying it costs as much as encrypting a small packet.
        match self {
            Self::Aes128(key) => {
                let core = CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(key, &iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
            Self::Aes192(key) => {
                let core = CtrCore::<&Aes192Enc, Ctr128BE>::inner_iv_init(key, &iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
            Self::Aes256(key) => {
                let core = CtrCore::<&Aes256Enc, Ctr128BE>::inner_iv_init(key, &iv.into());
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
        }
    }

    /// Encrypts blocks as they are: key stream, if they are counter blocks.
    pub(super) fn encrypt_blocks(&self, blocks: &mut [[u8; BLOCK_BYTES]]) {
        let blocks = Array::cast_slice_from_core_mut(blocks);
        match self {
            Self::Aes128(key) => key.encrypt_blocks(blocks),
            Self::Aes192(key) => key.encrypt_blocks(blocks),
            Self::Aes256(key) => key.encrypt_blocks(blocks),
        }
    }
}
