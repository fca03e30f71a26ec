//! The search for the highest rate that comes out whole.

use crate::step::Step;

/// The search ends when the bounds are this close.
const PRECISION: f64 = 0.02;
/// Steps of one search; it needs about ten.
const STEPS_MAX: usize = 24;
/// How far around a rate that is known from an earlier round the search begins.
const AROUND: f64 = 1.1;
/// Nothing below this is offered.
const LOWEST_PPS: f64 = 50.0;
pub(crate) const SEARCH: &str = "search";

/// One search, with the steps that followed it.
pub(crate) struct Round {
    /// Packets per second, all ways together.
    pub(crate) lossfree_pps: f64,
    /// The generator could do no more; the target perhaps could.
    pub(crate) generator_bound: bool,
    pub(crate) steps: Vec<Step>,
}

/// Searches upwards from the first rate until packets are lost, then between the bounds. A rate
/// counts as too high when it fails twice: what else runs on the machine must not end a search.
///
/// It only says what to offer next, so that several targets can be searched in turns, step by step:
/// a machine whose clock changes within seconds is then slow for all of them, not for one.
pub(crate) struct Search {
    low: f64,
    high: f64,
    rate: f64,
    /// The first rate was the result before.
    is_known: bool,
    has_failed_once: bool,
    round: Round,
}

impl Search {
    /// `known`: what was found before. `first` is offered first where nothing is.
    pub(crate) fn new(first: f64, known: Option<f64>) -> Self {
        Self {
            low: 0.0,
            high: f64::INFINITY,
            rate: known.unwrap_or(first),
            is_known: known.is_some(),
            has_failed_once: false,
            round: Round {
                lossfree_pps: 0.0,
                generator_bound: false,
                steps: Vec::new(),
            },
        }
    }

    /// The rate to offer next, in packets per second; `None` when the search is over.
    pub(crate) fn next_rate(&self) -> Option<f64> {
        let is_open = self.high - self.low > self.low * PRECISION;
        let goes_on = is_open && self.round.steps.len() < STEPS_MAX && self.rate >= LOWEST_PPS;
        goes_on.then_some(self.rate)
    }

    /// What came of the rate that was offered.
    pub(crate) fn take(&mut self, step: Step) {
        let (whole, late, offered) = (step.is_whole(), step.generator_late, step.offered_pps);
        self.round.steps.push(step);
        if !whole && !late && !self.has_failed_once {
            self.has_failed_once = true;
            return;
        }
        self.has_failed_once = false;
        if whole && offered > self.low {
            self.low = offered;
            self.round.generator_bound = late;
        }
        if !whole || late {
            self.high = self.high.min(self.rate);
        }
        self.rate = match (self.high.is_finite(), self.low > 0.0) {
            (true, true) => f64::midpoint(self.low, self.high),
            (true, false) => self.high / if self.is_known { AROUND } else { 2.0 },
            (false, _) => self.rate * if self.is_known { AROUND } else { 1.6 },
        };
    }

    /// What was found; `None` if nothing came through whole.
    pub(crate) fn finish(mut self) -> Option<Round> {
        self.round.lossfree_pps = self.low;
        (self.low > 0.0).then_some(self.round)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Target;
    use crate::stream::Tally;

    /// A target that forwards up to `capacity`, by a generator that offers up to `most`.
    fn step(pps: f64, capacity: f64, most: f64) -> Step {
        let offered = pps.min(most);
        let forwarded = offered.min(capacity);
        let count = |pps: f64| format!("{pps:.0}").parse().unwrap();
        let tally = Tally {
            received: count(forwarded),
            ..Tally::default()
        };
        Step {
            what: "search",
            target: Target::Ringway,
            offered_pps: offered,
            sent: [count(offered), 0],
            burst: 1,
            tallies: [tally, Tally::default()],
            time: Duration::from_secs(1),
            received_in_time: count(forwarded),
            cpu_ns: 0,
            cpu_share: 0.0,
            latencies_ns: Vec::new(),
            generator_late: pps > most,
            overflow: 0,
            drops: Vec::new(),
        }
    }

    fn search(
        first: f64,
        known: Option<f64>,
        offer: &mut impl FnMut(f64) -> Step,
    ) -> Option<Round> {
        let mut search = Search::new(first, known);
        while let Some(rate) = search.next_rate() {
            search.take(offer(rate));
        }
        search.finish()
    }

    #[test]
    fn finds_the_capacity_from_below_and_from_above() {
        for (first, known) in [(1000.0, None), (900_000.0, None), (1000.0, Some(310_000.0))] {
            let mut offer = |pps| step(pps, 300_000.0, 2e6);
            let round = search(first, known, &mut offer).unwrap();
            assert!((294_000.0..=300_301.0).contains(&round.lossfree_pps));
            assert!(!round.generator_bound);
        }
    }

    #[test]
    fn one_bad_moment_does_not_end_the_search() {
        let mut bad_moments = vec![true, false, false, false, true];
        let mut offer = |pps| {
            let capacity = if bad_moments.pop() == Some(true) {
                0.0
            } else {
                300_000.0
            };
            step(pps, capacity, 2e6)
        };
        let round = search(10_000.0, None, &mut offer).unwrap();
        assert!(round.lossfree_pps >= 294_000.0);
    }

    #[test]
    fn the_limit_of_the_generator_is_told_from_that_of_the_target() {
        let mut offer = |pps| step(pps, 1e9, 100_000.0);
        let round = search(10_000.0, None, &mut offer).unwrap();
        assert!(round.generator_bound && round.lossfree_pps >= 98_000.0);
    }

    #[test]
    fn a_target_that_forwards_nothing_has_no_result() {
        let found = search(1000.0, None, &mut |pps| step(pps, 0.0, 1e6));
        assert!(found.is_none());
    }
}
