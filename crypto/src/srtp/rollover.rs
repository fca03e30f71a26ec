//! The 48-bit packet index from a 16-bit sequence number (RFC 3711 section 3.3.1 and appendix A).

use super::SrtpError;

/// The index of the packet with sequence number `sequence`, when `highest` is the highest index so
/// far (its upper 32 bits are ROC, its lower 16 bits `s_l`): of the candidates with
/// ROC - 1, ROC and ROC + 1 the nearest one.
///
/// There is no ROC before 0: then a number far ahead is taken for ahead, not for late.
///
/// # Errors
/// [`SrtpError::KeyExhausted`] when the index would need more than 48 bits.
pub(super) fn index_of(highest: u64, sequence: u16) -> Result<u64, SrtpError> {
    const HALF: i32 = 1 << 15;
    let [low, high, ..] = highest.to_le_bytes();
    let last = i32::from(u16::from_le_bytes([low, high]));
    let rollover = highest >> 16;
    let ahead = i32::from(sequence) - last;
    let rollover = if last < HALF {
        if ahead > HALF {
            rollover.saturating_sub(1)
        } else {
            rollover
        }
    } else if -ahead > HALF {
        rollover + 1
    } else {
        rollover
    };
    if rollover > u64::from(u32::MAX) {
        return Err(SrtpError::KeyExhausted);
    }
    Ok((rollover << 16) | u64::from(sequence))
}

/// ROC of an index.
pub(super) fn rollover_counter(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(rollover: u32, sequence: u16) -> u64 {
        (u64::from(rollover) << 16) | u64::from(sequence)
    }

    #[test]
    fn stays_within_the_same_rollover_for_near_numbers() {
        assert_eq!(index_of(index(5, 100), 101), Ok(index(5, 101)));
        assert_eq!(index_of(index(5, 100), 99), Ok(index(5, 99)));
        assert_eq!(index_of(index(5, 40_000), 39_000), Ok(index(5, 39_000)));
    }

    #[test]
    fn counts_up_when_the_number_wraps() {
        assert_eq!(index_of(index(0, 65_535), 0), Ok(index(1, 0)));
        assert_eq!(index_of(index(7, 65_000), 200), Ok(index(8, 200)));
        assert_eq!(index_of(index(0xFFFF, 65_535), 0), Ok(index(0x1_0000, 0)));
    }

    #[test]
    fn counts_down_for_a_late_packet_from_before_the_wrap() {
        assert_eq!(index_of(index(1, 0), 65_535), Ok(index(0, 65_535)));
        assert_eq!(index_of(index(8, 200), 65_000), Ok(index(7, 65_000)));
    }

    #[test]
    fn half_the_range_away_is_decided_as_appendix_a_says() {
        // s_l < 32768: only more than 32768 ahead is late.
        assert_eq!(index_of(index(3, 0), 32_768), Ok(index(3, 32_768)));
        assert_eq!(index_of(index(3, 0), 32_769), Ok(index(2, 32_769)));
        // s_l >= 32768: only more than 32768 behind is a wrap.
        assert_eq!(index_of(index(3, 32_768), 0), Ok(index(3, 0)));
        assert_eq!(index_of(index(3, 32_769), 0), Ok(index(4, 0)));
    }

    #[test]
    fn before_the_first_rollover_nothing_is_late() {
        assert_eq!(index_of(index(0, 10), 60_000), Ok(index(0, 60_000)));
    }

    #[test]
    fn the_last_rollover_is_the_end_of_the_key() {
        assert_eq!(
            index_of(index(u32::MAX, 65_535), 0),
            Err(SrtpError::KeyExhausted)
        );
        assert_eq!(index_of(index(u32::MAX, 1), 2), Ok(index(u32::MAX, 2)));
        assert_eq!(rollover_counter(index(0x0102_0304, 9)), [1, 2, 3, 4]);
    }
}
