//! Time in a quarter of the room that an [`Instant`] takes, for what every packet looks at.

use std::time::{Duration, Instant};

/// Counts from some moment before the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    epoch: Instant,
}

/// Milliseconds, modulo 2^32: only to be compared with another that is less than 49 days away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u32);

impl Clock {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    pub(super) fn moment(self, at: Instant) -> Moment {
        let since_epoch = at.saturating_duration_since(self.epoch);
        let low = since_epoch.as_millis() & u128::from(u32::MAX);
        Moment(u32::try_from(low).unwrap_or_default())
    }
}

impl Moment {
    /// How long ago `earlier` was.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.wrapping_sub(earlier.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test begins somewhere and goes on by itself"
    )]
    fn counts_on_over_the_wrap() {
        let epoch = Instant::now();
        let clock = Clock::new(epoch);
        let before = epoch + Duration::from_millis((1 << 32) - 10);
        let after = before + Duration::from_millis(25);
        let elapsed = clock.moment(after).since(clock.moment(before));
        assert_eq!(elapsed, Duration::from_millis(25));
        assert_eq!(clock.moment(epoch), Moment(0));
    }
}
