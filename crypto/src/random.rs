//! The one source of randomness: seeded by the system, or by a number in tests.

use std::fmt;

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize, Zeroizing};

const KEY_BYTES: usize = 32;
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The system's source of randomness does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomUnavailable;

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system's source of randomness does not answer")
    }
}

impl std::error::Error for RandomUnavailable {}

/// A generator of unpredictable bytes: AES-256 in counter mode, whose key is replaced by its own
/// output on every use, so that what was handed out cannot be computed from a later state.
pub struct Random {
    key: [u8; KEY_BYTES],
}

impl Random {
    /// A generator seeded by the operating system.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn from_system() -> Result<Self, RandomUnavailable> {
        let mut key = [0; KEY_BYTES];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| RandomUnavailable)?;
        Ok(Self { key })
    }

    /// A generator that always gives the same sequence for the same seed: for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut key = [0; KEY_BYTES];
        key[..8].copy_from_slice(&seed.to_be_bytes());
        Self { key }
    }

    /// Another generator, independent of this one from here on.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let mut key = [0; KEY_BYTES];
        self.fill(&mut key);
        Self { key }
    }

    /// Overwrites the whole buffer with random bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let mut stream = ctr::Ctr128BE::<Aes256>::new(&self.key.into(), &[0; 16].into());
        self.key.zeroize();
        stream.apply_keystream(&mut self.key);
        buffer.fill(0);
        stream.apply_keystream(buffer);
    }

    /// A number from all 32-bit numbers.
    pub fn u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    /// A number from all 64-bit numbers.
    pub fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// Text of `length` random `ice-char`s, 6 bits each (RFC 8839 section 5.4: at least 4 for a
    /// user fragment, 22 for a password).
    pub fn ice_text(&mut self, length: usize) -> String {
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.fill(&mut bytes);
        bytes
            .iter()
            .map(|byte| char::from(ICE_CHARS[usize::from(byte & 63)]))
            .collect()
    }

    /// Lower-case hexadecimal text of `length` random digits, 4 bits each: for tags and tokens.
    pub fn hex_text(&mut self, length: usize) -> String {
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.fill(&mut bytes);
        bytes
            .iter()
            .map(|byte| char::from(b"0123456789abcdef"[usize::from(byte & 15)]))
            .collect()
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_another_seed_another() {
        let (mut first, mut again, mut other) =
            (Random::seeded(7), Random::seeded(7), Random::seeded(8));
        let sequence: Vec<u64> = (0..8).map(|_| first.u64()).collect();
        assert_eq!(sequence, (0..8).map(|_| again.u64()).collect::<Vec<_>>());
        assert!(!sequence.contains(&other.u64()));
    }

    #[test]
    fn no_value_comes_twice_in_a_row_and_a_fork_goes_its_own_way() {
        let mut random = Random::from_system().unwrap();
        let mut fork = random.fork();
        let mut values = vec![random.u64(), random.u64(), fork.u64(), fork.u64()];
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn fill_does_not_depend_on_what_was_in_the_buffer() {
        let (mut zeros, mut ones) = ([0; 40], [0xFF; 40]);
        Random::seeded(1).fill(&mut zeros);
        Random::seeded(1).fill(&mut ones);
        assert_eq!(zeros, ones);
    }

    #[test]
    fn ice_text_has_the_length_asked_for_and_only_ice_chars() {
        let text = Random::seeded(3).ice_text(2000);
        assert_eq!(text.len(), 2000);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
        );
        assert!(ICE_CHARS.iter().all(|c| text.as_bytes().contains(c)));
        assert_eq!(Random::seeded(3).hex_text(9).len(), 9);
    }
}
