//! What the operator reads, and what other programs read.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::course::{DOUBLE, FOURFOLD, HALF, Outcome};
use crate::environment::Environment;
use crate::media::{Measured, MediaArguments};
use crate::step::Step;

/// Of the generator's own maximum: a result above this part of it says little about the target.
const GENERATOR_PART_MAX: f64 = 0.9;
/// A target that loses packets with less than this part of its cores was not alone on them, or
/// did not want them.
const CPU_SHARE_MIN: f64 = 0.9;
/// An overload counts as offered when at least this part of it was.
const OFFERED_PART_MIN: f64 = 0.95;

/// One target in one scenario. `None`: not measured, for example because the generator could not
/// offer that much.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) target: String,
    pub(crate) direction: String,
    pub(crate) suite: String,
    pub(crate) payload_bytes: u16,
    pub(crate) calls: u16,
    pub(crate) workers: u16,
    /// Packets per second, all ways together; likewise below.
    pub(crate) lossfree_pps_median: f64,
    pub(crate) lossfree_pps_min: f64,
    pub(crate) lossfree_pps_max: f64,
    /// Forwarded at twice the loss-free rate, as a part of that rate.
    pub(crate) goodput_2x_ratio: Option<f64>,
    pub(crate) goodput_4x_ratio: Option<f64>,
    /// At half of the loss-free rate.
    pub(crate) latency_us_p50: Option<f64>,
    pub(crate) latency_us_p99: Option<f64>,
    /// CPU time of the target's threads at half of the loss-free rate.
    pub(crate) cpu_ns_per_packet: Option<f64>,
    /// The generator was at its limit, or nearly: the target may do more.
    pub(crate) generator_bound: bool,
}

/// What lies beside the rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) environment: Environment,
    pub(crate) latency_us_p999: Vec<(String, Option<f64>)>,
    pub(crate) steps: Vec<StepRow>,
}

/// One step, for those who want to look closer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepRow {
    pub(crate) target: String,
    pub(crate) round: usize,
    pub(crate) what: String,
    pub(crate) burst: u16,
    pub(crate) offered_pps: f64,
    pub(crate) forwarded_pps: f64,
    pub(crate) loss: f64,
    pub(crate) verified: u64,
    pub(crate) disordered: u64,
    pub(crate) cpu_ns_per_packet: f64,
    pub(crate) cpu_share: f64,
    pub(crate) generator_late: bool,
    pub(crate) generator_overflow: u32,
    pub(crate) dropped: Vec<(String, u64)>,
}

/// Prints the result, and writes it where it was asked for.
pub(crate) fn conclude(arguments: &MediaArguments, measured: &Measured) -> Result<(), Failure> {
    let outcomes = &measured.outcomes;
    let most = measured.environment.generator_pps_max;
    // A target without a single rate has no row.
    let rows: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.rounds.is_empty())
        .map(|outcome| row(arguments, outcome, most))
        .collect();
    table(&rows);
    let Some(path) = &arguments.json else {
        return Ok(());
    };
    let about = About {
        environment: measured.environment.clone(),
        latency_us_p999: outcomes.iter().map(slowest).collect(),
        steps: outcomes.iter().flat_map(step_rows).collect(),
    };
    write_json(path, &rows)?;
    write_json(&about_path(path), &about)
}

/// Where that lies which is no row.
pub(crate) fn about_path(rows: &Path) -> PathBuf {
    rows.with_extension("about.json")
}

fn row(arguments: &MediaArguments, outcome: &Outcome, generator_pps_max: f64) -> Row {
    let scenario = &arguments.scenario;
    let rates: Vec<_> = outcome
        .rounds
        .iter()
        .map(|round| round.lossfree_pps)
        .collect();
    let rate = median(rates.iter().copied()).unwrap_or_default();
    let bound = outcome
        .rounds
        .iter()
        .filter(|round| round.generator_bound)
        .count();
    let goodput = |what, factor: f64| {
        median(outcome.rounds.iter().filter_map(|round| {
            let step = round.steps.iter().find(|step| step.what == what)?;
            let offered = step.offered_pps >= round.lossfree_pps * factor * OFFERED_PART_MIN;
            offered.then(|| step.forwarded_pps() / round.lossfree_pps)
        }))
    };
    Row {
        target: outcome.target.label().to_owned(),
        direction: scenario.direction.label().to_owned(),
        suite: scenario.suite_name().to_owned(),
        payload_bytes: scenario.payload_bytes,
        calls: scenario.calls,
        workers: scenario.workers,
        lossfree_pps_median: rate,
        lossfree_pps_min: rates.iter().copied().fold(f64::INFINITY, f64::min),
        lossfree_pps_max: rates.iter().copied().fold(0.0, f64::max),
        goodput_2x_ratio: goodput(DOUBLE, 2.0),
        goodput_4x_ratio: goodput(FOURFOLD, 4.0),
        latency_us_p50: of_half(outcome, |step| step.latency_us(500)),
        latency_us_p99: of_half(outcome, |step| step.latency_us(990)),
        cpu_ns_per_packet: of_half(outcome, |step| Some(step.cpu_ns_per_packet())),
        generator_bound: scenario.share_cores
            || 2 * bound > rates.len()
            || rate > generator_pps_max * GENERATOR_PART_MAX,
    }
}

fn of_half(outcome: &Outcome, value: impl Fn(&Step) -> Option<f64>) -> Option<f64> {
    let steps = outcome.rounds.iter().flat_map(|round| &round.steps);
    median(steps.filter(|step| step.what == HALF).filter_map(value))
}

fn slowest(outcome: &Outcome) -> (String, Option<f64>) {
    let latency = of_half(outcome, |step| step.latency_us(999));
    (outcome.target.label().to_owned(), latency)
}

fn step_rows(outcome: &Outcome) -> impl Iterator<Item = StepRow> {
    let rounds = outcome.rounds.iter().enumerate();
    rounds.flat_map(|(index, round)| {
        round.steps.iter().map(move |step| StepRow {
            target: step.target.label().to_owned(),
            round: index + 1,
            what: step.what.to_owned(),
            burst: step.burst,
            offered_pps: step.offered_pps,
            forwarded_pps: step.forwarded_pps(),
            loss: step.loss(),
            verified: step.tallies.iter().map(|tally| tally.verified).sum(),
            disordered: step.disordered(),
            cpu_ns_per_packet: step.cpu_ns_per_packet(),
            cpu_share: step.cpu_share,
            generator_late: step.generator_late,
            generator_overflow: step.overflow,
            dropped: step.drops.clone(),
        })
    })
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::print_stdout, reason = "the report is the program's output")]
pub(crate) fn note(text: &str) {
    println!("{text}");
}

/// The line above the steps.
pub(crate) fn header() {
    note(&format!(
        "\n{:<16}{:<9}{:>10}{:>12}{:>8}{:>10}{:>7}{:>8}{:>9}  remarks",
        "target",
        "step",
        "offered/s",
        "forwarded/s",
        "loss %",
        "verified",
        "order",
        "cpu ns",
        "p99 us"
    ));
}

/// One step, as soon as it is over.
pub(crate) fn step(step: &Step) {
    let mut remarks: Vec<_> = step
        .drops
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if step.generator_late {
        remarks.push("generator late".to_owned());
    }
    if step.wrong() > 0 {
        remarks.push(format!("{} packets wrong", step.wrong()));
    }
    if step.is_lossy() && step.cpu_share < CPU_SHARE_MIN {
        remarks.push(format!("had {:.0} % of its CPU", 100.0 * step.cpu_share));
    }
    if step.burst > 1 {
        remarks.push(format!("in bursts of {}", step.burst));
    }
    if step.overflow > 0 {
        remarks.push(format!("generator overflow {}", step.overflow));
    }
    note(&format!(
        "{:<16}{:<9}{:>10.0}{:>12.0}{:>8.3}{:>10}{:>7}{:>8.0}{:>9}  {}",
        step.target.label(),
        step.what,
        step.offered_pps,
        step.forwarded_pps(),
        100.0 * step.loss(),
        step.tallies.iter().map(|tally| tally.verified).sum::<u64>(),
        step.disordered(),
        step.cpu_ns_per_packet(),
        optional(step.latency_us(990), 0),
        remarks.join(", ")
    ));
}

/// The comparison, with the ratios to the reflector and to rtpengine where they are there.
fn table(rows: &[Row]) {
    let rate_of = |name: &str| {
        let row = rows.iter().find(|row| row.target == name);
        row.map(|row| row.lossfree_pps_median)
    };
    note(&format!(
        "\n{:<16}{:>12}{:>21}{:>9}{:>9}{:>7}{:>7}{:>9}{:>9}{:>8}",
        "target",
        "loss-free/s",
        "min to max",
        "/reflect",
        "/rtpeng",
        "at 2x",
        "at 4x",
        "p50 us",
        "p99 us",
        "cpu ns"
    ));
    for row in rows {
        let ratio = |name| rate_of(name).map(|rate| row.lossfree_pps_median / rate);
        let range = format!("{:.0} to {:.0}", row.lossfree_pps_min, row.lossfree_pps_max);
        note(&format!(
            "{:<16}{:>12.0}{:>21}{:>9}{:>9}{:>7}{:>7}{:>9}{:>9}{:>8}{}",
            row.target,
            row.lossfree_pps_median,
            range,
            optional(ratio("reflector"), 2),
            optional(ratio("rtpengine"), 2),
            optional(row.goodput_2x_ratio, 2),
            optional(row.goodput_4x_ratio, 2),
            optional(row.latency_us_p50, 0),
            optional(row.latency_us_p99, 0),
            optional(row.cpu_ns_per_packet, 0),
            if row.generator_bound {
                "  bound by the generator"
            } else {
                ""
            },
        ));
    }
}

pub(crate) fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(fs::write(path, text)?)
}

/// Says why there is no result.
#[expect(clippy::print_stderr, reason = "this is what standard error is for")]
pub(crate) fn complain(failure: &dyn Error) {
    eprintln!("ringway-bench: {failure}");
}
