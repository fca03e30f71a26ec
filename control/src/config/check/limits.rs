//! The keys of a `[[trunk]]` that say how many calls it takes.

use super::Source;
use crate::config::{ConfigError, LimitsConfig, file};
use crate::limits::CALLS_MAX;

pub(super) fn limits(
    trunk: &file::Trunk,
    source: &Source<'_>,
) -> Result<LimitsConfig, ConfigError> {
    if let Some(at) = trunk
        .calls_max
        .as_ref()
        .filter(|at| *at.get_ref() > CALLS_MAX)
    {
        let remedy = format!("ringway has at most {CALLS_MAX} calls in all");
        return Err(source.error(at, "`calls_max` has no effect", &remedy));
    }
    let calls_max = source.positive("calls_max", &trunk.calls_max, 1)?;
    let rate = source.positive("calls_per_second", &trunk.calls_per_second, 1)?;
    Ok(LimitsConfig {
        calls_max: trunk.calls_max.as_ref().map(|_| calls_max),
        calls_per_second: trunk.calls_per_second.as_ref().map(|_| rate),
    })
}
