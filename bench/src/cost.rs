//! `ringway-bench cost`: what calls cost one worker, against the bars it must keep.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use crypto::keys::SrtpProfile;
use dataplane::io::{affinity, process};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::environment::Environment;
use crate::generator::{Lane, Offer};
use crate::media::{Place, Site, core_map};
use crate::report::{About, about_path, median, note, write_json};
use crate::scenario::{DEFAULT_IO, Direction, Scenario, Target};
use crate::step::{Step, float};
use crate::subject::{CHURN_SLOTS, RINGWAY_THREAD};
use crate::syscalls::Watch;
use crate::wire::BATCH_PACKETS;

/// The two numbers of calls whose packets are compared.
const FEW_CALLS: u16 = 100;
const MANY_CALLS: u16 = 5000;
/// Calls that are open when memory is looked at.
const OPEN_CALLS: u16 = 8000;
/// The bars: CPU time of a packet with many calls, as a part of that with few …
const COST_RATIO_MAX: f64 = 1.25;
/// … memory of a call, in bytes …
const CALL_BYTES_MAX: f64 = 6.0 * 1024.0;
/// … and calls set up and ended in a second.
const SET_UPS_PER_SECOND_MIN: f64 = 20_000.0;
/// Of so many calls, one has every packet that comes out checked.
const VERIFIED_ONE_IN: u16 = 16;
/// What is offered before memory is looked at: every flow has carried packets both ways.
const WARM_UP_PPS: f64 = 50_000.0;
const WARM_UP: Duration = Duration::from_secs(2);
/// Calls that come and go in one round.
const CHURN_CALLS: u32 = 20_000;

/// What is offered to a worker that strace slows down.
const WATCHED_PPS: f64 = 10_000.0;
const WATCHED: Duration = Duration::from_secs(1);
/// Loads that are tried, each three quarters of the one before.
const TRIED_PPS: f64 = 400_000.0;
const TRIED_PPS_MIN: f64 = 2000.0;
const NONE: Bar = Bar::AtMost(0.0);

#[derive(Args, Clone, Debug)]
pub(crate) struct CostArguments {
    #[command(flatten)]
    place: Place,
    /// How ringway talks to the kernel: `uring` or `mmsg`.
    #[arg(long)]
    backend: Option<String>,
    /// The load at which CPU time is compared: packets per second, all ways together. Default: half
    /// of the highest of 400 000, 300 000, 225 000 … that both take without loss.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1000..))]
    pps: Option<u32>,
    /// Rounds, few and many calls in turns; medians are reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long the load is offered in each round.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=4000))]
    step_ms: u64,
    /// CPU core of the worker.
    #[arg(long, default_value_t = 1)]
    worker_core: usize,
    /// CPU core of the load generator: another one.
    #[arg(long, default_value_t = 0)]
    generator_core: usize,
    /// Write the rows here, as a JSON array; the machine and the settings go beside it, into a file
    /// that ends in `.about.json`.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One bar, and what was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// `value` must be `"at most"` or `"at least"` this.
    pub(crate) bar: f64,
    pub(crate) must_be: String,
    pub(crate) met: bool,
}

impl CostArguments {
    fn scenario(&self, calls: u16) -> Scenario {
        Scenario {
            direction: Direction::Duplex,
            suite: SrtpProfile::AesCm128HmacSha1_80,
            payload_bytes: 160,
            burst: None,
            calls,
            workers: 1,
            worker_core: self.worker_core,
            generator_core: self.generator_core,
            share_cores: false,
            io: DEFAULT_IO.to_owned(),
        }
    }

    fn offer(&self, pps: f64, time: Duration) -> Offer {
        Offer {
            what: "cost",
            pps,
            time,
            verified_one_in: VERIFIED_ONE_IN,
            batch: BATCH_PACKETS,
            burst: 1,
        }
    }
}

/// Measures and reports. That a bar is missed is a result, and no error.
///
/// # Errors
/// Packets that came out wrong, or what keeps a target from running.
pub(crate) fn run(arguments: &CostArguments) -> Result<(), Failure> {
    let scenario = arguments.scenario(FEW_CALLS);
    let environment = Environment::here();
    let mut site = Site::make(&arguments.place, &scenario)?;
    let environment = Environment {
        network: site.description(),
        core_map: core_map(&scenario),
        ..environment
    };
    let bytes = call_bytes(&mut site, arguments)?;
    let set_ups = set_ups(&site, arguments)?;
    let foreign = foreign_calls(&mut site, arguments)?;
    let [few, many] = packet_costs(&mut site, arguments)?;
    let mut rows = vec![
        row(
            "cpu_ns_per_packet_5000_to_100_calls_ratio",
            many / few,
            Bar::AtMost(COST_RATIO_MAX),
        ),
        row("bytes_per_call_of_8000", bytes, Bar::AtMost(CALL_BYTES_MAX)),
        row(
            "call_set_ups_per_second",
            set_ups,
            Bar::AtLeast(SET_UPS_PER_SECOND_MIN),
        ),
    ];
    rows.extend(foreign.map(|calls| row("system_calls_besides_io_uring_enter", calls, NONE)));
    for row in &rows {
        let met = if row.met { "met" } else { "MISSED" };
        let (value, bar) = (row.value, row.bar);
        note(&format!(
            "{:<44}{value:>12.2}  {} {bar:<9} {met}",
            row.what, row.must_be
        ));
    }
    if let Some(path) = &arguments.json {
        let about = About {
            environment,
            ..About::default()
        };
        write_json(path, &rows)?;
        write_json(&about_path(path), &about)?;
    }
    Ok(())
}

/// CPU time of a packet with few and with many calls, in nanoseconds.
fn packet_costs(site: &mut Site, arguments: &CostArguments) -> Result<[f64; 2], Failure> {
    let backend = arguments.backend.as_deref();
    note(&format!("setting up {FEW_CALLS} and {MANY_CALLS} calls"));
    let few = site.start(Target::Ringway, 0, &arguments.scenario(FEW_CALLS), backend)?;
    let many = site.start(Target::Ringway, 1, &arguments.scenario(MANY_CALLS), backend)?;
    // Last: what is started from here on would be held on that core too.
    if !affinity::pin_thread(arguments.generator_core) {
        return Err(format!("cannot run on CPU core {}", arguments.generator_core).into());
    }
    let mut lanes = [(few, Vec::new()), (many, Vec::new())];
    let pps = match arguments.pps {
        Some(pps) => pps.into(),
        None => carried_pps(site, lanes.iter_mut().map(|(lane, _)| lane), arguments)? / 2.0,
    };
    for _ in 0..arguments.rounds {
        for (lane, costs) in &mut lanes {
            costs.push(packet_cost(site, lane, pps, arguments)?);
        }
    }
    let costs = lanes.map(|(_, costs)| median(costs.into_iter()).unwrap_or_default());
    note(&format!(
        "{:.0} ns of CPU a packet with {FEW_CALLS} calls, {:.0} with {MANY_CALLS}, at {pps:.0} \
         packets/s",
        costs[0], costs[1]
    ));
    Ok(costs)
}

/// A load that every lane takes without loss: a packet's cost at a load that drowns the worker says
/// how well it drowns.
fn carried_pps<'a>(
    site: &mut Site,
    lanes: impl Iterator<Item = &'a mut Lane>,
    arguments: &CostArguments,
) -> Result<f64, Failure> {
    let time = Duration::from_millis(arguments.step_ms);
    let mut pps = TRIED_PPS;
    for lane in lanes {
        while pps > TRIED_PPS_MIN && offer(site, lane, arguments.offer(pps, time))?.is_lossy() {
            pps *= 0.75;
        }
    }
    Ok(pps)
}

/// CPU time of a packet, in nanoseconds.
fn packet_cost(
    site: &mut Site,
    lane: &mut Lane,
    pps: f64,
    arguments: &CostArguments,
) -> Result<f64, Failure> {
    let time = Duration::from_millis(arguments.step_ms);
    let step = offer(site, lane, arguments.offer(pps, time))?;
    if step.is_lossy() {
        let loss = 100.0 * step.loss();
        note(&format!(
            "{loss:.2} % of the packets were lost: {pps:.0} packets/s are too many for this machine"
        ));
    }
    Ok(step.cpu_ns_per_packet())
}

fn offer(site: &mut Site, lane: &mut Lane, offer: Offer) -> Result<Step, Failure> {
    if process::stop_requested() {
        return Err("stopped".into());
    }
    let step = site.generator.offer(lane, offer)?;
    if step.wrong() > 0 {
        return Err(format!("{} packets came out wrong", step.wrong()).into());
    }
    Ok(step)
}

/// What a process with all calls holds more than one that can have only one call and has none. The
/// tables that are made for all calls at the start count too.
fn call_bytes(site: &mut Site, arguments: &CostArguments) -> Result<f64, Failure> {
    let backend = arguments.backend.as_deref();
    let mut empty = site.start_idle(Target::Ringway, 0, &arguments.scenario(1), backend)?;
    let empty_bytes = empty.usage()?.resident_bytes;
    drop(empty);
    note(&format!("setting up {OPEN_CALLS} calls"));
    let scenario = arguments.scenario(OPEN_CALLS);
    let mut lane = site.start(Target::Ringway, 1, &scenario, backend)?;
    offer(site, &mut lane, arguments.offer(WARM_UP_PPS, WARM_UP))?;
    let usage = lane.subject.usage()?;
    let flows = 2 * u64::from(OPEN_CALLS);
    if usage.open_flows != flows {
        return Err(format!("{} flows are open, not {flows}", usage.open_flows).into());
    }
    let grown = usage.resident_bytes.saturating_sub(empty_bytes);
    Ok(float(grown) / f64::from(OPEN_CALLS))
}

/// Calls that are set up and ended in a second.
fn set_ups(site: &Site, arguments: &CostArguments) -> Result<f64, Failure> {
    let scenario = arguments.scenario(CHURN_SLOTS);
    let backend = arguments.backend.as_deref();
    let mut subject = site.start_idle(Target::Ringway, 0, &scenario, backend)?;
    let mut rates = Vec::new();
    for _ in 0..arguments.rounds {
        let churned = subject.churn(CHURN_CALLS, scenario.suite_name())?;
        rates.push(f64::from(churned.calls) / churned.seconds);
    }
    Ok(median(rates.into_iter()).unwrap_or_default())
}

/// System calls of a worker under load that are not `io_uring_enter(2)`; `None` where there is no
/// strace, and for the back end that has no ring.
fn foreign_calls(site: &mut Site, arguments: &CostArguments) -> Result<Option<f64>, Failure> {
    let backend = arguments.backend.as_deref();
    let scenario = arguments.scenario(FEW_CALLS);
    let mut lane = site.start(Target::Ringway, 0, &scenario, backend)?;
    // The first packets of a call are news for control, which is woken.
    offer(site, &mut lane, arguments.offer(WATCHED_PPS, WATCHED))?;
    let Some(watch) = Watch::begin(lane.subject.id(), RINGWAY_THREAD)? else {
        note("strace is not installed: system calls were not looked at");
        return Ok(None);
    };
    let step = offer(site, &mut lane, arguments.offer(WATCHED_PPS, WATCHED))?;
    let calls = watch.end()?;
    note(&format!(
        "system calls for {} packets: {}",
        step.received(),
        calls.text()
    ));
    let ring = calls.of("io_uring_enter");
    Ok((ring > 0).then(|| float(calls.total() - ring)))
}

enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

fn row(what: &str, value: f64, bar: Bar) -> Row {
    let (bar, must_be, met) = match bar {
        Bar::AtMost(most) => (most, "at most", value <= most),
        Bar::AtLeast(least) => (least, "at least", value >= least),
    };
    Row {
        what: what.to_owned(),
        value,
        bar,
        must_be: must_be.to_owned(),
        met,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_from_its_own_side_and_on_the_line() {
        for (value, bar, met) in [
            (1.25, Bar::AtMost(1.25), true),
            (1.26, Bar::AtMost(1.25), false),
            (20_000.0, Bar::AtLeast(20_000.0), true),
            (19_999.0, Bar::AtLeast(20_000.0), false),
            (f64::NAN, Bar::AtMost(1.25), false),
        ] {
            assert_eq!(row("what", value, bar).met, met, "{value}");
        }
    }
}
