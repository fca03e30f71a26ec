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

/// Now, by the calendar.
#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock and passes it down"
)]
pub(super) fn wall() -> SystemTime {
    SystemTime::now()
}
