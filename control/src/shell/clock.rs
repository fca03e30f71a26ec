//! The clock: the only place of this crate that reads it.

use std::time::{Instant, SystemTime};

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock and passes it down"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970: what tokens are dated with.
pub(super) fn unix_seconds() -> u64 {
    let since = wall().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Now, by the calendar.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock and passes it down"
)]
pub(super) fn wall() -> SystemTime {
    SystemTime::now()
}
