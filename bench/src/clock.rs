//! The clocks of a load generator.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time that only goes forward.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator works by the clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The clock by which the kernel stamps what arrives.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator works by the clock"
)]
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "a load generator may rest")]
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}
