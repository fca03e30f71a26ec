//! Random choices from a seed (SplitMix64), so that a failure can be repeated.

use std::env;
use std::hash::{BuildHasher, RandomState};

/// The variable that holds the seed of a run to repeat.
const SEED_VARIABLE: &str = "RINGWAY_SEED";

/// The seed of this run: the one asked for, else another one each time.
pub(crate) fn seed() -> u64 {
    match env::var(SEED_VARIABLE) {
        Ok(text) => text.parse().expect("RINGWAY_SEED is a whole number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

/// Says how to repeat the run if the test fails while this lives.
pub(crate) struct SeedOnPanic(pub(crate) u64);

impl Drop for SeedOnPanic {
    #[expect(clippy::print_stderr, reason = "part of the message of a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat this run: {SEED_VARIABLE}={}", self.0);
        }
    }
}

/// A stream of choices.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.word() % end).unwrap()
    }

    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn permille(&mut self, share: usize) -> bool {
        self.below(1000) < share
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.word().to_le_bytes()[0]
    }

    pub(crate) fn sequence(&mut self) -> u16 {
        let [low, high, ..] = self.word().to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    pub(crate) fn ssrc(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.word().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.word().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
