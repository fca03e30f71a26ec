//! The search for the highest rate that comes out whole.

use crate::Failure;
use crate::step::Step;

/// The search ends when the bounds are this close.
const PRECISION: f64 = 0.02;
/// Steps of one search; it needs about ten.
const STEPS_MAX: usize = 24;
/// How far around a rate that is known from an earlier round the search begins.
const AROUND: f64 = 1.1;
/// Nothing below this is offered.
const LOWEST_PPS: f64 = 50.0;
const SEARCH: &str = "search";

/// One search, with the steps that followed it.
pub(crate) struct Round {
    /// Packets per second, all ways together.
    pub(crate) lossfree_pps: f64,
    /// The generator could do no more; the target perhaps could.
    pub(crate) generator_bound: bool,
    pub(crate) steps: Vec<Step>,
}

/// Searches. Upwards from `first` until packets are lost, then between the bounds; `known`: `first`
/// was the result before. A rate counts as too high when it fails twice: what else runs on the
/// machine must not end a search. `None` if nothing came through whole.
///
/// # Errors
/// What keeps a rate from being offered.
pub(crate) fn lossfree(
    first: f64,
    known: bool,
    offer: &mut impl FnMut(&'static str, f64) -> Result<Step, Failure>,
) -> Result<Option<Round>, Failure> {
    let (mut low, mut high) = (0.0_f64, f64::INFINITY);
    let mut rate = first;
    let mut round = Round {
        lossfree_pps: 0.0,
        generator_bound: false,
        steps: Vec::new(),
    };
    while round.steps.len() < STEPS_MAX && high - low > low * PRECISION {
        let mut step = offer(SEARCH, rate)?;
        if !step.is_whole() && !step.generator_late {
            round.steps.push(step);
            step = offer(SEARCH, rate)?;
        }
        let whole = step.is_whole();
        if whole && step.offered_pps > low {
            low = step.offered_pps;
            round.generator_bound = step.generator_late;
        }
        if !whole || step.generator_late {
            high = high.min(rate);
        }
        round.steps.push(step);
        rate = match (high.is_finite(), low > 0.0) {
            (true, true) => f64::midpoint(low, high),
            (true, false) => high / if known { AROUND } else { 2.0 },
            (false, _) => rate * if known { AROUND } else { 1.6 },
        };
        if rate < LOWEST_PPS {
            break;
        }
    }
    round.lossfree_pps = low;
    Ok((low > 0.0).then_some(round))
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

    #[test]
    fn finds_the_capacity_from_below_and_from_above() {
        for (first, known) in [(1000.0, false), (900_000.0, false), (310_000.0, true)] {
            let mut offer = |_, pps| Ok(step(pps, 300_000.0, 2e6));
            let round = lossfree(first, known, &mut offer).unwrap().unwrap();
            assert!((294_000.0..=300_301.0).contains(&round.lossfree_pps));
            assert!(!round.generator_bound);
        }
    }

    #[test]
    fn one_bad_moment_does_not_end_the_search() {
        let mut bad_moments = vec![true, false, false, false, true];
        let mut offer = |_, pps| {
            let capacity = if bad_moments.pop() == Some(true) {
                0.0
            } else {
                300_000.0
            };
            Ok(step(pps, capacity, 2e6))
        };
        let round = lossfree(10_000.0, false, &mut offer).unwrap().unwrap();
        assert!(round.lossfree_pps >= 294_000.0);
    }

    #[test]
    fn the_limit_of_the_generator_is_told_from_that_of_the_target() {
        let mut offer = |_, pps| Ok(step(pps, 1e9, 100_000.0));
        let round = lossfree(10_000.0, false, &mut offer).unwrap().unwrap();
        assert!(round.generator_bound && round.lossfree_pps >= 98_000.0);
    }

    #[test]
    fn a_target_that_forwards_nothing_has_no_result() {
        let found = lossfree(1000.0, false, &mut |_, pps| Ok(step(pps, 0.0, 1e6)));
        assert!(found.unwrap().is_none());
    }
}
