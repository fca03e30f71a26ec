//! Which targets are alive (RFC 3261 section 21.5.4, RFC 3263 section 4.3).

use std::time::{Duration, Instant};

use crate::limits::RETRY_AFTER_MAX;

/// What is known of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    /// It did not answer; it is tried after all others until then, or until it answers.
    down_until: Option<Instant>,
    /// It has said that it wants no requests until then.
    refuses_until: Option<Instant>,
}

/// How good a target is at the moment; better ones are less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It takes requests.
    #[default]
    Up,
    /// It did not answer when it was last asked.
    Down,
    /// It asked for a pause (503 with Retry-After): it gets no new requests.
    Refuses,
}

/// Why a target was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or no answer in time: it is down for so long.
    Silent(Duration),
    /// It answered 503, and asked for this pause. Without a Retry-After, a 503 says nothing about
    /// other requests (RFC 3261 section 21.5.4).
    Unavailable(Duration),
}

impl Health {
    /// How good it is now.
    #[must_use]
    pub fn condition(&self, now: Instant) -> Condition {
        let is_ahead = |until: Option<Instant>| until.is_some_and(|until| now < until);
        if is_ahead(self.refuses_until) {
            Condition::Refuses
        } else if is_ahead(self.down_until) {
            Condition::Down
        } else {
            Condition::Up
        }
    }

    /// It answered something that shows that it lives. A pause that it asked for stays.
    pub fn answered(&mut self) {
        self.down_until = None;
    }

    /// It failed.
    pub fn failed(&mut self, now: Instant, failure: Failure) {
        match failure {
            Failure::Silent(down_for) => self.down_until = Some(now + down_for),
            Failure::Unavailable(pause) => {
                self.refuses_until = Some(now + pause.min(RETRY_AFTER_MAX));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN_FOR: Duration = Duration::from_secs(30);

    #[expect(
        clippy::disallowed_methods,
        reason = "a starting point for a fake clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn c14_a_silent_target_is_down_for_a_while() {
        let now = start();
        let mut health = Health::default();
        assert_eq!(health.condition(now), Condition::Up);
        health.failed(now, Failure::Silent(DOWN_FOR));
        assert_eq!(health.condition(now + DOWN_FOR / 2), Condition::Down);
        assert_eq!(health.condition(now + DOWN_FOR), Condition::Up);
    }

    #[test]
    fn c14_a_silent_target_is_up_once_it_answers() {
        let now = start();
        let mut health = Health::default();
        health.failed(now, Failure::Silent(DOWN_FOR));
        health.answered();
        assert_eq!(health.condition(now), Condition::Up);
    }

    #[test]
    fn c14_retry_after_is_honoured_whatever_else_is_answered() {
        let now = start();
        let mut health = Health::default();
        health.failed(now, Failure::Unavailable(DOWN_FOR * 4));
        health.answered();
        assert_eq!(health.condition(now + DOWN_FOR * 3), Condition::Refuses);
        assert_eq!(health.condition(now + DOWN_FOR * 4), Condition::Up);
    }

    #[test]
    fn c14_a_pause_without_end_ends() {
        let now = start();
        let mut health = Health::default();
        let pause = Duration::from_secs(u64::from(u32::MAX));
        health.failed(now, Failure::Unavailable(pause));
        assert_eq!(health.condition(now + RETRY_AFTER_MAX), Condition::Up);
    }
}
