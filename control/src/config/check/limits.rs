//! The keys of a `[[trunk]]` that say how many calls it takes.

use super::Source;
use crate::config::{ConfigError, LimitsConfig, file};

/// Refuses limits of trunks that are above the one of all calls.
pub(super) fn check_calls_max(
    trunks: &[file::Trunk],
    calls_max: usize,
    source: &Source<'_>,
) -> Result<(), ConfigError> {
    let of_trunks = trunks.iter().filter_map(|trunk| trunk.calls_max.as_ref());
    match of_trunks.into_iter().find(|at| *at.get_ref() > calls_max) {
        None => Ok(()),
        Some(at) => {
            let remedy =
                format!("ringway has at most {calls_max} calls in all ([server] calls_max)");
            Err(source.error(at, "`calls_max` has no effect", &remedy))
        }
    }
}

pub(super) fn limits(
    trunk: &file::Trunk,
    source: &Source<'_>,
) -> Result<LimitsConfig, ConfigError> {
    let calls_max = source.positive("calls_max", &trunk.calls_max, 1)?;
    let rate = source.positive("calls_per_second", &trunk.calls_per_second, 1)?;
    Ok(LimitsConfig {
        calls_max: trunk.calls_max.as_ref().map(|_| calls_max),
        calls_per_second: trunk.calls_per_second.as_ref().map(|_| rate),
    })
}
