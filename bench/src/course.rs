//! The course of a measurement: one search of each target, and what follows it, in turns.

use dataplane::io::process;

use crate::Failure;
use crate::generator::{Generator, Lane, Offer};
use crate::media::MediaArguments;
use crate::report;
use crate::scenario::Target;
use crate::search::{self, Round, Search};
use crate::step::Step;
use crate::wire::BATCH_PACKETS;

/// Of so many calls, one has every packet that comes out checked …
const VERIFIED_ONE_IN: u16 = 16;
/// … and in the steps that measure latency.
const MEASURED_ONE_IN: u16 = 2;
/// Small batches, so that a packet's way through the generator does not count as the target's.
const LATENCY_BATCH: usize = 4;
/// Packets of one call that follow each other where the generator could not offer as many evenly …
pub(crate) const OVERLOAD_BURST: u16 = 8;
/// … which is above this part of its maximum.
const EVEN_PART_MAX: f64 = 0.8;

pub(crate) const HALF: &str = "half";
pub(crate) const DOUBLE: &str = "double";
pub(crate) const FOURFOLD: &str = "fourfold";

/// Everything that was found out about one target.
pub(crate) struct Outcome {
    pub(crate) target: Target,
    pub(crate) rounds: Vec<Round>,
}

/// A target on its way through the measurement.
pub(crate) struct Course {
    lane: Lane,
    pub(crate) outcome: Outcome,
    search: Option<Search>,
    /// It failed, and is not measured further.
    has_failed: bool,
}

impl Course {
    pub(crate) fn new(lane: Lane) -> Self {
        let target = lane.target;
        let outcome = Outcome {
            target,
            rounds: Vec::new(),
        };
        Self {
            lane,
            outcome,
            search: None,
            has_failed: false,
        }
    }

    /// The next step of its search, if it is not over.
    fn search_on(&mut self, offers: &mut Offers<'_>) -> Result<bool, Failure> {
        let rate = self.search.as_ref().and_then(Search::next_rate);
        let Some(rate) = rate.filter(|_| !self.has_failed) else {
            return Ok(false);
        };
        let offered = offers.make(&mut self.lane, search::SEARCH, rate);
        if let (Some(step), Some(search)) = (self.survive(offered)?, &mut self.search) {
            search.take(step);
        }
        Ok(true)
    }

    fn finish_search(&mut self) -> Result<(), Failure> {
        let Some(search) = self.search.take().filter(|_| !self.has_failed) else {
            return Ok(());
        };
        match search.finish() {
            Some(round) => self.outcome.rounds.push(round),
            None if self.lane.target == Target::Ringway => {
                return Err("no rate came through whole: see --start-pps".into());
            }
            None => report::note(&format!("{}: no rate came through whole", self.lane.target)),
        }
        Ok(())
    }

    /// A part or a multiple of the rate that this round has found.
    fn offer_part(
        &mut self,
        offers: &mut Offers<'_>,
        round: usize,
        (what, factor): (&'static str, f64),
    ) -> Result<(), Failure> {
        let found = self.outcome.rounds.get(round);
        let Some(rate) = found.map(|round| round.lossfree_pps * factor) else {
            return Ok(());
        };
        if self.has_failed {
            return Ok(());
        }
        let offered = offers.make(&mut self.lane, what, rate);
        let step = self.survive(offered)?;
        if let Some((step, round)) = step.zip(self.outcome.rounds.get_mut(round)) {
            round.steps.push(step);
        }
        Ok(())
    }

    /// What is compared with must not end the run; we, or whoever wants an end, do.
    fn survive(&mut self, offered: Result<Step, Failure>) -> Result<Option<Step>, Failure> {
        match offered {
            Ok(step) => Ok(Some(step)),
            Err(why) if self.lane.target != Target::Ringway && !process::stop_requested() => {
                let target = self.lane.target;
                report::note(&format!("{target} is left out from here on: {why}"));
                self.has_failed = true;
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }
}

/// One search of each target, step by step in turns, and what follows it, in turns as well.
pub(crate) fn one_round(
    generator: &mut Generator,
    courses: &mut [Course],
    arguments: &MediaArguments,
    generator_pps_max: f64,
) -> Result<(), Failure> {
    let mut offers = Offers {
        generator,
        arguments,
        generator_pps_max,
    };
    let mut rounds = Vec::new();
    for course in &mut *courses {
        let known = course.outcome.rounds.last();
        let known = known.map(|round| round.lossfree_pps);
        course.search = Some(Search::new(arguments.start_pps.into(), known));
        rounds.push(course.outcome.rounds.len());
    }
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for course in &mut *courses {
            goes_on |= course.search_on(&mut offers)?;
        }
    }
    for course in &mut *courses {
        course.finish_search()?;
    }
    for part in [(HALF, 0.5), (DOUBLE, 2.0), (FOURFOLD, 4.0)] {
        for (course, round) in courses.iter_mut().zip(&rounds) {
            course.offer_part(&mut offers, *round, part)?;
        }
    }
    Ok(())
}

/// Offers rates, each as fits its purpose.
struct Offers<'a> {
    generator: &'a mut Generator,
    arguments: &'a MediaArguments,
    generator_pps_max: f64,
}

impl Offers<'_> {
    fn make(&mut self, lane: &mut Lane, what: &'static str, pps: f64) -> Result<Step, Failure> {
        if process::stop_requested() {
            return Err("stopped".into());
        }
        let arguments = self.arguments;
        let latency = what == HALF;
        let burst = arguments.scenario.burst();
        // Overload that the generator cannot offer evenly comes in bursts.
        let overload = what == DOUBLE || what == FOURFOLD;
        let too_much = overload && pps > self.generator_pps_max * EVEN_PART_MAX;
        let step = self.generator.offer(
            lane,
            Offer {
                what,
                pps,
                time: if overload {
                    arguments.overload()
                } else {
                    arguments.step()
                },
                verified_one_in: if latency {
                    MEASURED_ONE_IN
                } else {
                    VERIFIED_ONE_IN
                },
                batch: if latency {
                    LATENCY_BATCH
                } else {
                    BATCH_PACKETS
                },
                burst: if too_much {
                    burst.max(OVERLOAD_BURST)
                } else {
                    burst
                },
            },
        )?;
        report::step(&step);
        // A peer that gives wrong packets has failed the step; if we do, no figure is worth it.
        if step.wrong() > 0 && step.target == Target::Ringway {
            let wrong = step.wrong();
            return Err(format!("{wrong} packets came out wrong: no figure is worth it").into());
        }
        Ok(step)
    }
}
