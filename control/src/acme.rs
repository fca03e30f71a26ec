//! When a certificate is renewed that ringway obtains by itself (ACME, RFC 8555), and what follows
//! a failure. `shell::acme` acts.

use std::time::{Duration, SystemTime};

use crate::limits::{ACME_RENEW_AFTER_MIN, ACME_RETRY_AFTER_MAX, ACME_RETRY_AFTER_MIN};

/// From when to when a certificate is valid (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`
    pub from: SystemTime,
    /// `notAfter`
    pub to: SystemTime,
}

impl Validity {
    /// Its length; zero if it ends before it begins.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.to.duration_since(self.from).unwrap_or_default()
    }

    /// When the certificate is renewed: when two thirds of its life are over, or up to a thirtieth
    /// of it earlier. `jitter` is any random number: the certificates of many nodes, issued on one
    /// day, are not renewed at one moment.
    #[must_use]
    pub fn renew_at(&self, jitter: u32) -> SystemTime {
        let lifetime = self.lifetime();
        let earlier = lifetime / 30 / 1024 * (jitter % 1024);
        self.from + (lifetime / 3 * 2).saturating_sub(earlier)
    }
}

/// How the attempts to obtain a certificate went.
#[derive(Debug, Default)]
pub struct Attempts {
    /// Failures since the last success.
    failures: u32,
    /// Why the last one failed.
    reason: Option<String>,
}

impl Attempts {
    /// An attempt has failed. True if that is news: the first failure, or another reason than
    /// before.
    pub fn failed(&mut self, reason: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        let is_news = self.reason.as_deref() != Some(reason);
        self.reason = Some(reason.to_owned());
        is_news
    }

    /// An attempt has succeeded. True if others had failed before.
    pub fn succeeded(&mut self) -> bool {
        let was_failing = self.failures > 0;
        *self = Self::default();
        was_failing
    }

    /// How long to wait before the next attempt: doubling with each failure, between
    /// [`ACME_RETRY_AFTER_MIN`] and [`ACME_RETRY_AFTER_MAX`], and up to an eighth longer by
    /// `jitter`, any random number. After a success, [`ACME_RENEW_AFTER_MIN`].
    #[must_use]
    pub fn wait(&self, jitter: u32) -> Duration {
        let Some(doublings) = self.failures.checked_sub(1) else {
            return ACME_RENEW_AFTER_MIN;
        };
        let wait = ACME_RETRY_AFTER_MIN.saturating_mul(1 << doublings.min(16));
        let wait = wait.min(ACME_RETRY_AFTER_MAX);
        wait + wait / 8 / 1024 * (jitter % 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn ninety_days() -> Validity {
        let from = SystemTime::UNIX_EPOCH + DAY * 1000;
        Validity {
            from,
            to: from + DAY * 90,
        }
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life_or_a_little_earlier() {
        let validity = ninety_days();
        assert_eq!(validity.renew_at(0), validity.from + DAY * 60);
        let earliest = validity.renew_at(1023);
        assert!(earliest < validity.from + DAY * 60 && earliest > validity.from + DAY * 57);
        assert_ne!(validity.renew_at(1), validity.renew_at(2));
    }

    #[test]
    fn a_certificate_that_ends_before_it_begins_is_renewed_at_once() {
        let Validity { from, to } = ninety_days();
        let backwards = Validity { from: to, to: from };
        assert_eq!(backwards.renew_at(u32::MAX), to);
    }

    #[test]
    fn attempts_are_repeated_with_a_growing_delay_that_is_bounded() {
        let mut attempts = Attempts::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            attempts.failed("no connection");
            waits.push(attempts.wait(0));
        }
        assert_eq!(waits[..3], [60, 120, 240].map(Duration::from_secs));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits[39], ACME_RETRY_AFTER_MAX);
        assert!(attempts.wait(1023) > ACME_RETRY_AFTER_MAX);
        assert!(attempts.wait(u32::MAX) < ACME_RETRY_AFTER_MAX * 9 / 8);
        assert!(attempts.succeeded());
        attempts.failed("no connection");
        assert_eq!(attempts.wait(0), ACME_RETRY_AFTER_MIN);
    }

    #[test]
    fn only_a_change_is_news() {
        let mut attempts = Attempts::default();
        assert!(!attempts.succeeded());
        assert!(attempts.failed("no connection"));
        assert!(!attempts.failed("no connection"));
        assert!(attempts.failed("rate limited"));
        assert!(attempts.failed("no connection"));
        assert!(attempts.succeeded());
        assert!(attempts.failed("no connection"));
    }
}
