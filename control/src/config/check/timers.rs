//! The keys of a `[[trunk]]` that are about the timers of transactions.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Source;
use crate::config::file::At;
use crate::config::{ConfigError, file};
use crate::sip::transaction::TimerConfig;

const T1_MS: RangeInclusive<u64> = 50..=5_000;
const T2_MS: RangeInclusive<u64> = 50..=60_000;
const TIMER_B_S: RangeInclusive<u64> = 1..=320;
/// More than three minutes (RFC 3261 section 16.6).
const TIMER_C_S: RangeInclusive<u64> = 181..=3_600;

/// RFC 3261 table 4; timers B and F follow from T1 unless they are given.
pub(super) fn timers(trunk: &file::Trunk, source: &Source<'_>) -> Result<TimerConfig, ConfigError> {
    let default = TimerConfig::default();
    let t1 = within("t1_ms", &trunk.t1_ms, T1_MS, source)?;
    let t1 = t1.map_or(default.t1, Duration::from_millis);
    let t2 = within("t2_ms", &trunk.t2_ms, T2_MS, source)?;
    let t2 = t2.map_or(default.t2.max(t1), Duration::from_millis);
    if let Some(at) = trunk.t2_ms.as_ref().filter(|_| t2 < t1) {
        let what = format!("`t2_ms` is below T1, which is {} ms", t1.as_millis());
        return Err(source.error(at, what, "it is the longest interval: make it T1 or more"));
    }
    let timer_b = within("timer_b_s", &trunk.timer_b_s, TIMER_B_S, source)?;
    let timer_c = within("timer_c_s", &trunk.timer_c_s, TIMER_C_S, source)?;
    Ok(TimerConfig {
        t1,
        t2,
        t4: default.t4,
        request_timeout: timer_b.map_or(t1 * 64, Duration::from_secs),
        timer_c: timer_c.map_or(default.timer_c, Duration::from_secs),
    })
}

fn within(
    key: &str,
    at: &At<u64>,
    range: RangeInclusive<u64>,
    source: &Source<'_>,
) -> Result<Option<u64>, ConfigError> {
    match at {
        Some(at) if !range.contains(at.get_ref()) => {
            let what = format!("`{key}` cannot be {}", at.get_ref());
            let remedy = format!("write {} to {}", range.start(), range.end());
            Err(source.error(at, what, &remedy))
        }
        Some(at) => Ok(Some(*at.get_ref())),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::Config;
    use crate::sip::transaction::TimerConfig;

    fn check(keys: &str) -> Result<TimerConfig, String> {
        let trunk = "[[trunk]]\nname = \"a\"\ntarget = \"192.0.2.2\"\n";
        let text = format!("[sip]\nlisten = \"192.0.2.1:5060\"\n{trunk}{keys}");
        let config = Config::parse("test.toml", &text, &|_| None);
        let config = config.map_err(|error| error.to_string())?;
        Ok(config.trunks.first().expect("a trunk").timers)
    }

    #[test]
    fn c3_timers_are_those_of_the_rfc_unless_given() {
        let timers = check("").expect("valid");
        assert_eq!(timers.t1, Duration::from_millis(500));
        assert_eq!(timers.request_timeout, Duration::from_secs(32));
        let timers = check("t1_ms = 100").expect("valid");
        assert_eq!(timers.request_timeout, Duration::from_millis(6_400));
        let timers = check("timer_b_s = 6\ntimer_c_s = 240\nt2_ms = 2000").expect("valid");
        assert_eq!(timers.request_timeout, Duration::from_secs(6));
        assert_eq!(timers.timer_c, Duration::from_secs(240));
        assert_eq!(timers.t2, Duration::from_secs(2));
    }

    #[test]
    fn c3_timers_that_make_no_sense_are_refused() {
        for keys in [
            "t1_ms = 0",
            "t1_ms = 5001",
            "t2_ms = 499",
            "timer_b_s = 0",
            "timer_c_s = 180",
        ] {
            let error = check(keys).expect_err(keys);
            assert!(error.contains("t1_ms") || error.contains("t2_ms") || error.contains("timer"));
        }
    }
}
