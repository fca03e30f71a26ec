//! The keys of a `[[trunk]]` that are about calls.

use super::Source;
use crate::config::{CallPolicy, ConfigError, file};
use crate::limits::{SESSION_EXPIRES_DEFAULT_S, SESSION_EXPIRES_MAX_S, SESSION_EXPIRES_MIN_S};

pub(super) fn policy(trunk: &file::Trunk, source: &Source<'_>) -> Result<CallPolicy, ConfigError> {
    let (session_expires_s, min_se_s) = session_timers(trunk, source)?;
    Ok(CallPolicy {
        session_expires_s,
        min_se_s,
    })
}

/// `session_expires_s` and `min_se_s` (RFC 4028).
fn session_timers(trunk: &file::Trunk, source: &Source<'_>) -> Result<(u32, u32), ConfigError> {
    const RANGE: std::ops::RangeInclusive<u32> = SESSION_EXPIRES_MIN_S..=SESSION_EXPIRES_MAX_S;
    let (min, max) = (RANGE.start(), RANGE.end());
    let remedy = format!("it must be {min} to {max} seconds (RFC 4028)");
    let min_se_s = match &trunk.min_se_s {
        None => SESSION_EXPIRES_MIN_S,
        Some(at) if RANGE.contains(at.get_ref()) => *at.get_ref(),
        Some(at) => {
            let what = format!("`min_se_s` is {}", at.get_ref());
            return Err(source.error(at, what, &remedy));
        }
    };
    let session_expires_s = match &trunk.session_expires_s {
        None => SESSION_EXPIRES_DEFAULT_S.max(min_se_s),
        Some(at) if *at.get_ref() == 0 || RANGE.contains(at.get_ref()) => *at.get_ref(),
        Some(at) => {
            let what = format!("`session_expires_s` is {}", at.get_ref());
            return Err(source.error(at, what, &format!("{remedy}, or 0 for none")));
        }
    };
    if let Some(at) = &trunk.session_expires_s
        && session_expires_s != 0
        && session_expires_s < min_se_s
    {
        let what = format!("`session_expires_s` is {session_expires_s}, `min_se_s` {min_se_s}");
        return Err(source.error(at, what, "the interval must not be below the minimum"));
    }
    Ok((session_expires_s, min_se_s))
}
