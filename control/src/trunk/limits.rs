//! What a trunk takes: calls at a time, and new calls per second. Beyond either, 503 with
//! Retry-After, before anything is planned.
//!
//! Calls of both directions count, from the INVITE until one side has hung up or given up. What
//! belongs to one call counts once: another target, another session interval, credentials. A
//! browser that is challenged by the carrier calls again with the same Call-ID and tag (RFC 3261
//! section 22.2); this does not count as a new call, up to [`CHALLENGES_FREE_MAX`] times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::LimitsConfig;
use crate::limits::{
    CHALLENGE_ANSWERED_WITHIN, CHALLENGED_CALLS_MAX, CHALLENGES_FREE_MAX, LIMIT_QUIET_AFTER,
    RETRY_AFTER_S,
};
use crate::rate::TokenBucket;

/// One of the limits of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Calls at a time.
    Calls,
    /// New calls per second.
    Rate,
}

impl Limit {
    /// The key of the `[[trunk]]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Calls => "calls_max",
            Self::Rate => "calls_per_second",
        }
    }
}

/// A call is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which limit it is beyond.
    pub limit: Limit,
    /// Seconds until another one may be taken.
    pub retry_after_s: u32,
    /// True if it is the first one since the limit was last kept.
    pub is_first: bool,
}

/// A limit that begins to refuse calls, or has refused none for a while, as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// Name of the trunk.
    pub trunk: String,
    /// Which limit.
    pub limit: Limit,
    /// How many calls were refused. `None` when it begins.
    pub refused: Option<u64>,
}

/// How near a trunk is to its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkUsage {
    /// Name of the trunk.
    pub trunk: String,
    /// Calls at this moment.
    pub calls: usize,
    /// Calls refused because of `calls_max`, since the start.
    pub refused_by_calls: u64,
    /// Calls refused because of `calls_per_second`, since the start.
    pub refused_by_rate: u64,
}

/// What a caller names a call with: Call-ID and tag of From.
pub type CallName = (String, String);

/// The calls of one trunk, and what is left to it.
#[derive(Debug)]
pub struct Quota {
    config: LimitsConfig,
    calls: usize,
    bucket: Option<TokenBucket>,
    of_calls: Refusals,
    of_rate: Refusals,
    /// Calls that the carrier has challenged and that may come again.
    challenged: BTreeMap<CallName, Challenged>,
}

/// The calls that one limit has refused.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    total: u64,
    /// Those since the limit was last kept, and when the latest one was.
    lately: Option<(u64, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Challenged {
    times: u8,
    /// It has not come again yet.
    is_awaited: bool,
    until: Instant,
}

impl Quota {
    /// No calls.
    #[must_use]
    pub fn new(config: LimitsConfig, now: Instant) -> Self {
        let rate = config.calls_per_second;
        Self {
            config,
            calls: 0,
            bucket: rate.map(|rate| TokenBucket::new(rate, rate, now)),
            of_calls: Refusals::default(),
            of_rate: Refusals::default(),
            challenged: BTreeMap::new(),
        }
    }

    /// May this call be made now? Takes nothing yet.
    ///
    /// # Errors
    /// It is one too many, and has been counted as such.
    pub fn check(&mut self, now: Instant, name: &CallName) -> Result<(), Excess> {
        if self.config.calls_max.is_some_and(|max| self.calls >= max) {
            return Err(self.of_calls.count(now, Limit::Calls, RETRY_AFTER_S));
        }
        if self.is_awaited(now, name) {
            return Ok(());
        }
        match self.bucket.as_mut().and_then(|bucket| bucket.wait(now)) {
            None => Ok(()),
            Some(wait) => Err(self.of_rate.count(now, Limit::Rate, whole_seconds(wait))),
        }
    }

    /// This call is made; each one ends once.
    pub fn began(&mut self, now: Instant, name: &CallName) {
        self.calls += 1;
        if self.is_awaited(now, name) {
            if let Some(challenged) = self.challenged.get_mut(name) {
                challenged.is_awaited = false;
            }
        } else if let Some(bucket) = &mut self.bucket {
            // Beyond the limit only if it was not asked first.
            let _is_beyond = bucket.take(now).is_err();
        }
    }

    /// A call has ended.
    ///
    /// # Panics
    /// If none had begun.
    pub fn ended(&mut self) {
        assert!(self.calls > 0, "a call of the trunk ended twice");
        self.calls -= 1;
    }

    /// The carrier wants credentials for a call that has begun: it comes again with them. Beyond
    /// [`CHALLENGED_CALLS_MAX`] it counts as a new one then.
    pub fn challenged(&mut self, now: Instant, name: CallName) {
        if self.bucket.is_none() {
            return;
        }
        if self.challenged.len() >= CHALLENGED_CALLS_MAX && !self.challenged.contains_key(&name) {
            self.challenged.retain(|_, call| call.until > now);
            if self.challenged.len() >= CHALLENGED_CALLS_MAX {
                return;
            }
        }
        let call = self.challenged.entry(name).or_insert(Challenged {
            times: 0,
            is_awaited: false,
            until: now,
        });
        call.times = call.times.saturating_add(1);
        call.is_awaited = call.times <= CHALLENGES_FREE_MAX;
        call.until = now + CHALLENGE_ANSWERED_WITHIN;
    }

    /// When [`Quota::settled`] wants to be asked.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let refusals = [self.of_calls, self.of_rate].into_iter();
        refusals.filter_map(Refusals::quiet_at).min()
    }

    /// The limits that have refused nobody for [`LIMIT_QUIET_AFTER`], each with how many calls it
    /// had refused before.
    pub fn settled(&mut self, now: Instant) -> Vec<(Limit, u64)> {
        let of = [
            (Limit::Calls, &mut self.of_calls),
            (Limit::Rate, &mut self.of_rate),
        ];
        let settled = |(limit, refusals): (Limit, &mut Refusals)| {
            refusals.quiet_at().filter(|at| *at <= now)?;
            let (count, _) = refusals.lately.take()?;
            Some((limit, count))
        };
        of.into_iter().filter_map(settled).collect()
    }

    /// How near it is to its limits.
    #[must_use]
    pub fn usage(&self, trunk: &str) -> TrunkUsage {
        TrunkUsage {
            trunk: trunk.to_owned(),
            calls: self.calls,
            refused_by_calls: self.of_calls.total,
            refused_by_rate: self.of_rate.total,
        }
    }

    fn is_awaited(&self, now: Instant, name: &CallName) -> bool {
        let call = self.challenged.get(name);
        call.is_some_and(|call| call.is_awaited && call.until > now)
    }
}

impl Refusals {
    fn count(&mut self, now: Instant, limit: Limit, retry_after_s: u32) -> Excess {
        self.total += 1;
        let before = self.lately.map_or(0, |(count, _)| count);
        self.lately = Some((before + 1, now));
        Excess {
            limit,
            retry_after_s,
            is_first: before == 0,
        }
    }

    fn quiet_at(self) -> Option<Instant> {
        self.lately.map(|(_, latest)| latest + LIMIT_QUIET_AFTER)
    }
}

/// Rounded up, at least 1: a carrier that obeys sends us nothing meanwhile.
fn whole_seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(whole.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
