//! `ringway-bench options`: what a setting of the sockets and buffers gains or costs, beside the
//! default, in turns in one run.

use std::time::Duration;

use clap::Args;
use dataplane::io::{affinity, process};

use crate::Failure;
use crate::generator::Offer;
use crate::media::{Place, Site};
use crate::report::{median, note, optional};
use crate::scenario::{DEFAULT_IO, Scenario, Target};
use crate::step::Step;
use crate::wire::BATCH_PACKETS;

/// Of so many calls, one has every packet that comes out checked, and its latency measured.
const VERIFIED_ONE_IN: u16 = 4;

#[derive(Args, Clone, Debug)]
pub(crate) struct OptionsArguments {
    #[command(flatten)]
    scenario: Scenario,
    #[command(flatten)]
    place: Place,
    /// What to compare, each as for `--io`; the first one is the measure of the others. `mmsg` is
    /// the other back end, `reflector` and `uring-reflector` are the targets of these names.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "default,no-huge-pages,no-segmentation,no-receive-offload,connect,no-register,no-gather,zero-copy,busy-poll-us=50,mmsg,reflector"
    )]
    variants: Vec<String>,
    /// How ringway talks to the kernel: `uring` or `mmsg`.
    #[arg(long)]
    backend: Option<String>,
    /// The load: packets per second, all ways together.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(100..))]
    pps: u32,
    /// Rounds of all variants; medians are reported.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long the load is offered in each round.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=4000))]
    step_ms: u64,
}

/// # Errors
/// Packets that came out wrong, or what keeps a target from running.
pub(crate) fn run(arguments: &OptionsArguments) -> Result<(), Failure> {
    let scenario = &arguments.scenario;
    let mut site = Site::make(&arguments.place, scenario)?;
    let mut lanes = Vec::new();
    for (index, variant) in arguments.variants.iter().enumerate() {
        let (target, io, backend) = match variant.as_str() {
            "reflector" => (Target::Reflector, DEFAULT_IO, None),
            "uring-reflector" => (Target::UringReflector, DEFAULT_IO, None),
            "mmsg" => (Target::Ringway, DEFAULT_IO, Some("mmsg")),
            io => (Target::Ringway, io, arguments.backend.as_deref()),
        };
        let scenario = Scenario {
            io: io.to_owned(),
            ..scenario.clone()
        };
        let lane = site.start(target, index, &scenario, backend)?;
        lanes.push((variant, lane, Vec::new()));
    }
    if !affinity::pin_thread(scenario.generator_core) {
        return Err(format!("cannot run on CPU core {}", scenario.generator_core).into());
    }
    let offer = Offer {
        what: "options",
        pps: arguments.pps.into(),
        time: Duration::from_millis(arguments.step_ms),
        verified_one_in: VERIFIED_ONE_IN,
        batch: BATCH_PACKETS,
        burst: scenario.burst(),
    };
    for _ in 0..arguments.rounds {
        for (variant, lane, steps) in &mut lanes {
            if process::stop_requested() {
                return Err("stopped".into());
            }
            let step = site.generator.offer(lane, offer)?;
            if step.wrong() > 0 {
                return Err(format!("{variant}: {} packets came out wrong", step.wrong()).into());
            }
            steps.push(step);
        }
    }
    let measured = lanes
        .iter()
        .map(|(variant, _, steps)| (*variant, &steps[..]));
    table(measured);
    Ok(())
}

fn table<'a>(measured: impl Iterator<Item = (&'a String, &'a [Step])>) {
    note(&format!(
        "{:<24}{:>12}{:>18}{:>9}{:>12}{:>9}{:>9}{:>8}",
        "variant", "CPU ns", "min to max", "/first", "forwarded/s", "p50 us", "p99 us", "loss %"
    ));
    let mut first = None;
    for (variant, steps) in measured {
        let costs = || steps.iter().map(Step::cpu_ns_per_packet);
        let cost = median(costs()).unwrap_or_default();
        let (least, most) = (
            costs().fold(f64::INFINITY, f64::min),
            costs().fold(0.0, f64::max),
        );
        let latency = |per_mille| median(steps.iter().filter_map(|s| s.latency_us(per_mille)));
        let loss = steps.iter().map(Step::loss).fold(0.0, f64::max);
        note(&format!(
            "{variant:<24}{cost:>12.0}{:>18}{:>9.3}{:>12}{:>9}{:>9}{:>8.3}",
            format!("{least:.0} to {most:.0}"),
            cost / *first.get_or_insert(cost),
            optional(median(steps.iter().map(Step::forwarded_pps)), 0),
            optional(latency(500), 0),
            optional(latency(990), 0),
            100.0 * loss,
        ));
    }
}
