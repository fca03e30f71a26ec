//! The replay list: which of the last indices were seen (RFC 3711 section 3.3.2).
//!
//! A ring of bits, a power of two of them and at least as many as the window is long. The bit of
//! an index is found by its lower bits, and the ring covers the indices that end at `highest`.

use super::SrtpError;

const WORD_BITS: u64 = u64::BITS as u64;

/// Words of the ring for a window of that many packets.
pub(super) fn words_for(window_packets: u16) -> usize {
    usize::from(window_packets)
        .next_power_of_two()
        .div_ceil(u64::BITS as usize)
}

/// Whether a packet of this index may be taken, when `highest` is the highest one so far.
#[inline]
pub(super) fn check(
    seen: &[u64],
    window_packets: u16,
    highest: u64,
    index: u64,
) -> Result<(), SrtpError> {
    let Some(behind) = highest.checked_sub(index) else {
        return Ok(());
    };
    if behind >= window_packets.into() {
        return Err(SrtpError::TooOld);
    }
    let word = seen.get(word_of(seen, index)).copied().unwrap_or(u64::MAX);
    match word >> (index % WORD_BITS) & 1 {
        0 => Ok(()),
        _ => Err(SrtpError::Replayed),
    }
}

/// Remembers an index that [`check`] let pass and returns the highest index from now on.
#[inline]
pub(super) fn commit(seen: &mut [u64], highest: u64, index: u64) -> u64 {
    // The packet after the newest one, as nearly all are, sets the one bit that it would clear.
    if index > highest + 1 {
        forget_between(seen, highest, index);
    }
    let position = word_of(seen, index);
    if let Some(word) = seen.get_mut(position) {
        *word |= 1 << (index % WORD_BITS);
    }
    highest.max(index)
}

/// Forgets everything but this index.
pub(super) fn restart(seen: &mut [u64], index: u64) {
    seen.fill(0);
    commit(seen, index, index);
}

/// Clears the bits of the indices after `highest` up to and with `index`.
fn forget_between(seen: &mut [u64], highest: u64, index: u64) {
    if index - highest >= seen.len() as u64 * WORD_BITS {
        seen.fill(0);
        return;
    }
    let mut next = highest + 1;
    while next <= index {
        let bit = next % WORD_BITS;
        let count = (WORD_BITS - bit).min(index - next + 1);
        let mask = (u64::MAX >> (WORD_BITS - count)) << bit;
        let position = word_of(seen, next);
        if let Some(word) = seen.get_mut(position) {
            *word &= !mask;
        }
        next += count;
    }
}

/// Where the bit of an index lies; the number of words is a power of two.
fn word_of(seen: &[u64], index: u64) -> usize {
    let word = usize::try_from(index / WORD_BITS).unwrap_or_default();
    word & seen.len().wrapping_sub(1)
}

// An index has 48 bits; without its lower 6 it fits into any `usize` of the machines we run on.
const _: () = assert!(usize::BITS >= 64);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    struct Window {
        seen: Vec<u64>,
        packets: u16,
        highest: u64,
    }

    impl Window {
        fn starting_at(packets: u16, index: u64) -> Self {
            let mut seen = vec![u64::MAX; words_for(packets)];
            restart(&mut seen, index);
            Self {
                seen,
                packets,
                highest: index,
            }
        }

        fn check(&self, index: u64) -> Result<(), SrtpError> {
            check(&self.seen, self.packets, self.highest, index)
        }

        fn commit(&mut self, index: u64) {
            self.highest = commit(&mut self.seen, self.highest, index);
        }
    }

    #[test]
    fn takes_every_index_of_the_window_once() {
        let mut window = Window::starting_at(128, 1000);
        assert_eq!(window.check(1000), Err(SrtpError::Replayed));
        assert_eq!(window.check(1000 - 127), Ok(()));
        assert_eq!(window.check(1000 - 128), Err(SrtpError::TooOld));
        window.commit(1000 - 127);
        assert_eq!(window.check(1000 - 127), Err(SrtpError::Replayed));
        window.commit(1001);
        assert_eq!(window.check(1000 - 127), Err(SrtpError::TooOld));
        assert_eq!(window.check(1000), Err(SrtpError::Replayed));
    }

    #[test]
    fn a_jump_beyond_the_window_forgets_and_stays_exact() {
        for jump in [127, 128, 129, 1 << 40] {
            let mut window = Window::starting_at(128, 0);
            window.commit(jump);
            assert_eq!(window.check(jump), Err(SrtpError::Replayed));
            assert_eq!(window.check(jump - 1), Ok(()));
            let first = if jump < 128 {
                SrtpError::Replayed
            } else {
                SrtpError::TooOld
            };
            assert_eq!(window.check(0), Err(first));
        }
    }

    #[test]
    fn every_length_of_window_is_exact() {
        for packets in [64, 65, 100, 127, 128, 129, 1000, 32_767, 32_768] {
            let window = Window::starting_at(packets, 100_000);
            let oldest = 100_000 + 1 - u64::from(packets);
            assert_eq!(window.check(oldest), Ok(()));
            assert_eq!(window.check(oldest - 1), Err(SrtpError::TooOld));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_all_indices(
            packets in 64_u16..400,
            steps in prop::collection::vec(0_u64..1800, 1..400),
        ) {
            let mut window = Window::starting_at(packets, 900);
            let mut seen = HashSet::from([900]);
            let mut highest = 900;
            for index in steps {
                let expected = if index + u64::from(packets) <= highest {
                    Err(SrtpError::TooOld)
                } else if seen.contains(&index) {
                    Err(SrtpError::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.commit(index);
                    seen.insert(index);
                    highest = highest.max(index);
                }
            }
        }

        #[test]
        fn every_order_of_a_window_is_taken_once(
            order in Just((0..128_u64).collect::<Vec<_>>()).prop_shuffle(),
            start in 0_u64..1 << 40,
        ) {
            let mut window = Window::starting_at(128, start + 127);
            for offset in order.iter().filter(|offset| **offset != 127) {
                prop_assert_eq!(window.check(start + offset), Ok(()));
                window.commit(start + offset);
            }
            for offset in order {
                prop_assert_eq!(window.check(start + offset), Err(SrtpError::Replayed));
            }
        }
    }
}
