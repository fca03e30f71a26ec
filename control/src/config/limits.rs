//! How many calls a trunk takes.

/// The limits of a `[[trunk]]`; calls of both directions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Calls at a time, at least 1. Default: no limit but that of ringway.
    pub calls_max: Option<usize>,
    /// New calls per second, at least 1; after a rest, so many at once. Default: no limit.
    pub calls_per_second: Option<u32>,
}
