//! NTP timestamps (RFC 5905 section 6), as sender reports carry them.

use std::time::Duration;

/// Seconds between the beginnings of NTP's time (1900) and of Unix time (1970).
const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;

/// A moment: seconds since 1900 in the upper half, their fraction in the lower half, modulo 2^64
/// (about 136 years). Two of them are compared by their difference only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since the beginning of 1970.
    #[must_use]
    pub fn from_unix(since_1970: Duration) -> Self {
        Self((UNIX_EPOCH_SECONDS << 32).wrapping_add(fixed_point(since_1970)))
    }

    /// This much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.wrapping_add(fixed_point(time)))
    }

    /// How much later than `other`, in 2^-32 seconds.
    #[must_use]
    pub const fn minus(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The middle 32 bits, in 2^-16 seconds: what report blocks repeat (RFC 3550 section 6.4.1).
    #[must_use]
    pub fn middle(self) -> u32 {
        low_32(self.0 >> 16)
    }
}

/// In 2^-32 seconds, modulo 2^64.
fn fixed_point(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    (time.as_secs() << 32) | fraction
}

fn low_32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_1900_in_fractions_of_two_to_the_32nd() {
        let time = NtpTime::from_unix(Duration::from_millis(1500));
        assert_eq!(time.0, 0x83AA_7E81_8000_0000);
        assert_eq!(time.middle(), 0x7E81_8000);
        let later = time.after(Duration::from_millis(250));
        assert_eq!(later.minus(time), 0x4000_0000);
        assert_eq!(time.minus(later), -0x4000_0000);
        // Past the end of the era, in 2036.
        let end = NtpTime(u64::MAX - 0x3FFF_FFFF);
        assert_eq!(end.after(Duration::from_millis(500)), NtpTime(0x4000_0000));
        assert_eq!(NtpTime(0x4000_0000).minus(end), 0x8000_0000);
    }
}
