//! Which of the listed names stands in front of a colon.
//!
//! A name is seen as two numbers, its first and its last eight bytes, so that one look at a table
//! made at compile time, and two comparisons, tell which one it is.

use super::ENTRIES;
use super::HeaderName;

/// Finds a name that is listed, in its long or its compact form and in any case.
#[inline]
pub(super) fn known(text: &[u8]) -> Option<HeaderName> {
    let key = Key::of(text);
    // An empty slot leads to no name.
    let entry = ENTRIES.get(usize::from(*SLOTS.get(key.slot())?))?;
    if entry.is(text, key) && text.len() <= WHOLE_BYTES_MAX {
        return Some(entry.name.clone());
    }
    probe(text, key)
}

/// As [`known`], of a name that is not in its first slot, or longer than its key tells.
#[cold]
fn probe(text: &[u8], key: Key) -> Option<HeaderName> {
    let mut slot = key.slot();
    loop {
        let entry = ENTRIES.get(usize::from(*SLOTS.get(slot)?))?;
        if entry.is(text, key) && entry.text.as_bytes().eq_ignore_ascii_case(text) {
            return Some(entry.name.clone());
        }
        slot = (slot + 1) % SLOT_COUNT;
    }
}

/// Of a longer name, a key leaves bytes out.
const WHOLE_BYTES_MAX: usize = 2 * size_of::<u64>();

/// The first and the last eight bytes of a text; a shorter one has zeros behind.
#[derive(Clone, Copy)]
struct Key {
    front: u64,
    back: u64,
}

impl Key {
    #[inline]
    const fn of(text: &[u8]) -> Self {
        if let (Some(front), Some(back)) = (text.first_chunk(), text.last_chunk()) {
            return Self {
                front: u64::from_le_bytes(*front),
                back: u64::from_le_bytes(*back),
            };
        }
        let all = short(text);
        Self {
            front: all,
            back: all,
        }
    }

    /// Where the name is looked for first; the same in either case.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below SLOT_COUNT")]
    const fn slot(self) -> usize {
        // Under these two, every name that is listed now has a slot of its own.
        const ROTATION: u32 = 5;
        const FACTOR: u64 = 0x9c2d_66a8_7062_68c7;
        const SPACES: u64 = u64::from_ne_bytes([b' '; 8]);
        let mixed = (self.front | SPACES) ^ (self.back | SPACES).rotate_left(ROTATION);
        (mixed.wrapping_mul(FACTOR) >> (u64::BITS - SLOT_COUNT.ilog2())) as usize
    }
}

/// Returns up to seven bytes as a number.
#[inline]
const fn short(text: &[u8]) -> u64 {
    if let (Some(front), Some(back)) = (text.first_chunk(), text.last_chunk()) {
        // The two may share bytes, which then fall on themselves.
        let back = (u32::from_le_bytes(*back) as u64) << (8 * (text.len() - 4));
        return u32::from_le_bytes(*front) as u64 | back;
    }
    match *text {
        [a] => u64::from_le_bytes([a, 0, 0, 0, 0, 0, 0, 0]),
        [a, b] => u64::from_le_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        [a, b, c] => u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]),
        _ => 0,
    }
}

/// A listed name.
pub(super) struct Entry {
    text: &'static str,
    name: HeaderName,
    key: Key,
    /// The bits of the key that tell: all but the one in which upper and lower case differ.
    telling: Key,
}

impl Entry {
    pub(super) const fn new(text: &'static str, name: HeaderName) -> Self {
        let key = Key::of(text.as_bytes());
        let telling = Key {
            front: telling(key.front),
            back: telling(key.back),
        };
        Self {
            text,
            name,
            key,
            telling,
        }
    }

    /// Tells whether this is the text, as far as the key goes.
    #[inline]
    fn is(&self, text: &[u8], key: Key) -> bool {
        (self.key.front ^ key.front) & self.telling.front == 0
            && (self.key.back ^ key.back) & self.telling.back == 0
            && self.text.len() == text.len()
    }
}

const fn telling(word: u64) -> u64 {
    let mut bytes = word.to_le_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let is_letter = bytes[index].is_ascii_alphabetic();
        bytes[index] = if is_letter { !0x20 } else { !0 };
        index += 1;
    }
    u64::from_le_bytes(bytes)
}

const ENTRY_COUNT: usize = ENTRIES.len();

/// Four times the count of names: a name that is not listed meets an empty slot at once, mostly.
const SLOT_COUNT: usize = 512;
const EMPTY: u8 = u8::MAX;
const _: () = assert!(ENTRY_COUNT < 255 && ENTRY_COUNT * 2 < SLOT_COUNT);
const _: () = assert!(SLOT_COUNT.is_power_of_two());

/// Where in [`ENTRIES`] each name is, by [`Key::slot`], else in the slots behind.
static SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [EMPTY; SLOT_COUNT];
    let mut index = 0;
    while index < ENTRY_COUNT {
        let mut slot = ENTRIES[index].key.slot();
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOT_COUNT;
        }
        #[expect(clippy::cast_possible_truncation, reason = "fewer than 255 names")]
        let entry = index as u8;
        slots[slot] = entry;
        index += 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::{ENTRIES, known};

    #[test]
    fn finds_each_listed_name_in_any_case_and_nothing_that_differs() {
        for entry in ENTRIES {
            let text = entry.text.as_bytes();
            let name = Some(entry.name.clone());
            assert_eq!(known(text), name);
            assert_eq!(known(&text.to_ascii_lowercase()), name);
            assert_eq!(known(&text.to_ascii_uppercase()), name);
            for at in 0..text.len() {
                // The bit in which a hyphen and a carriage return differ is that of the case.
                for bit in [0x01, 0x20, 0x80] {
                    let mut other = text.to_vec();
                    other[at] ^= bit;
                    let is_same = other.eq_ignore_ascii_case(text);
                    assert_eq!(known(&other) == name, is_same, "{other:?}");
                }
            }
            assert_ne!(known(&[text, b"\0"].concat()), name);
            assert_ne!(known(&[text, b"-"].concat()), name);
        }
        assert_eq!(known(b""), None);
    }
}
