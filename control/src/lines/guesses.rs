//! Who guesses passwords waits, longer each time: a source address, and everybody at one line.
//!
//! What a line costs is kept low: somebody else could lock its user out. Who is registered on
//! this connection already does not wait.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{
    GUESS_DELAY_OF_LINE_MAX, GUESS_DELAY_OF_SOURCE_MAX, GUESSERS_MAX, GUESSES_FREE_PER_LINE,
    GUESSES_FREE_PER_SOURCE, GUESSES_REMEMBERED_FOR,
};

/// What wrong passwords are counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Guesser {
    Source(IpAddr),
    Line(String),
}

#[derive(Debug)]
struct Record {
    failures: u32,
    last: Instant,
    blocked_until: Instant,
}

/// Wrong passwords of late, at most [`GUESSERS_MAX`] records: the one that has been quiet longest
/// makes room.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    records: BTreeMap<Guesser, Record>,
    by_age: BTreeSet<(Instant, Guesser)>,
}

impl Guesses {
    /// A password was wrong.
    pub(super) fn failed(&mut self, now: Instant, source: Option<IpAddr>, line: Option<&str>) {
        if let Some(source) = source {
            let delay = (GUESSES_FREE_PER_SOURCE, GUESS_DELAY_OF_SOURCE_MAX);
            self.count(now, Guesser::Source(source), delay);
        }
        if let Some(line) = line {
            let delay = (GUESSES_FREE_PER_LINE, GUESS_DELAY_OF_LINE_MAX);
            self.count(now, Guesser::Line(line.to_owned()), delay);
        }
    }

    /// How long the next attempt must wait; `None` if it need not.
    pub(super) fn wait(
        &self,
        now: Instant,
        source: Option<IpAddr>,
        line: &str,
    ) -> Option<Duration> {
        let of_source = source.map(Guesser::Source);
        let guessers = of_source
            .into_iter()
            .chain([Guesser::Line(line.to_owned())]);
        let until = guessers
            .filter_map(|guesser| self.records.get(&guesser))
            .map(|record| record.blocked_until)
            .max()?;
        let wait = until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn count(&mut self, now: Instant, guesser: Guesser, (free, most): (u32, Duration)) {
        self.forget(now);
        let old = self.records.remove(&guesser);
        if let Some(old) = &old {
            self.by_age.remove(&(old.last, guesser.clone()));
        } else if self.records.len() >= GUESSERS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.records.remove(&oldest);
        }
        let failures = old.map_or(0, |old| old.failures).saturating_add(1);
        let delay = match failures.checked_sub(free + 1) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(most),
        };
        self.by_age.insert((now, guesser.clone()));
        let record = Record {
            failures,
            last: now,
            blocked_until: now + delay,
        };
        self.records.insert(guesser, record);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.by_age.first()
            && now.saturating_duration_since(*at) >= GUESSES_REMEMBERED_FOR
            && let Some((_, guesser)) = self.by_age.pop_first()
        {
            self.records.remove(&guesser);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "a starting point for a fake clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn address(last: u32) -> IpAddr {
        IpAddr::from((0xc633_0000 + last).to_be_bytes())
    }

    #[test]
    fn lines_delay_grows_with_each_guess_of_a_source_up_to_its_bound() {
        let (now, mut guesses) = (start(), Guesses::default());
        for _ in 0..GUESSES_FREE_PER_SOURCE {
            guesses.failed(now, Some(address(1)), None);
            assert_eq!(guesses.wait(now, Some(address(1)), "1001"), None);
        }
        for seconds in [1, 2, 4, 8] {
            guesses.failed(now, Some(address(1)), None);
            let wait = Some(Duration::from_secs(seconds));
            assert_eq!(guesses.wait(now, Some(address(1)), "1001"), wait);
        }
        assert_eq!(guesses.wait(now, Some(address(2)), "1001"), None);
        for _ in 0..40 {
            guesses.failed(now, Some(address(1)), None);
        }
        let most = Some(GUESS_DELAY_OF_SOURCE_MAX);
        assert_eq!(guesses.wait(now, Some(address(1)), "1001"), most);
        assert_eq!(
            guesses.wait(now + GUESS_DELAY_OF_SOURCE_MAX, Some(address(1)), "x"),
            None
        );
    }

    #[test]
    fn lines_guesses_from_many_sources_count_for_their_line() {
        let (now, mut guesses) = (start(), Guesses::default());
        for n in 0..=GUESSES_FREE_PER_LINE {
            guesses.failed(now, Some(address(n)), Some("1001"));
        }
        assert!(guesses.wait(now, Some(address(9999)), "1001").is_some());
        assert_eq!(guesses.wait(now, Some(address(9999)), "1002"), None);
    }

    #[test]
    fn lines_old_guesses_are_forgotten_and_their_count_is_bounded() {
        let (now, mut guesses) = (start(), Guesses::default());
        for n in 0..u32::try_from(GUESSERS_MAX).unwrap() + 10 {
            guesses.failed(now, Some(address(n)), None);
        }
        assert_eq!(guesses.records.len(), GUESSERS_MAX);
        assert_eq!(guesses.by_age.len(), GUESSERS_MAX);
        guesses.failed(now + GUESSES_REMEMBERED_FOR, Some(address(1)), None);
        assert_eq!((guesses.records.len(), guesses.by_age.len()), (1, 1));
    }
}
