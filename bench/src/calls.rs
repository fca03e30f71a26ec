//! `ringway-bench calls`: new calls per second, through the whole of the control plane and the
//! media workers, from browsers to a carrier or the other way.
//!
//! Browsers and the carrier are one thread on the generator's core; nobody sends media, and no DTLS
//! handshake is made. A call is answered at once, lasts as long as is said, and is ended by its
//! caller. Each must come to its end with 200 to the INVITE and to the BYE.

mod caller;
mod load;
mod message;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dataplane::io::affinity;
use serde::Serialize;

use crate::Failure;
use crate::clock::now;
use crate::proxy::target::Target;
use crate::report::note;

/// Arguments of `ringway-bench calls`.
#[derive(Args)]
pub(crate) struct CallsArguments {
    /// Who calls.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["in", "out"])]
    directions: Vec<Direction>,
    /// New calls per second, one step after the other.
    #[arg(long, value_delimiter = ',', default_values = ["500", "1000", "1500"],
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rates: Vec<u32>,
    /// Length of one step.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Length of one call.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    call_ms: u64,
    /// WebSocket connections, each of one user.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=2000))]
    connections: u16,
    /// Time without calls after each step; then memory is looked at again.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=600))]
    rest_s: u64,
    /// The core of ringway.
    #[arg(long, default_value_t = 0)]
    target_core: usize,
    /// The core of browsers and carrier.
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
    /// The ringway that is measured. Default: the one beside this program.
    #[arg(long)]
    ringway: Option<PathBuf>,
    /// Write the rows here too, as an array.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Direction {
    /// The carrier calls browsers.
    In,
    /// Browsers call the carrier.
    Out,
}

/// One step.
#[derive(Debug, Serialize)]
struct Row {
    direction: &'static str,
    calls_per_s: u32,
    began: u64,
    /// Calls with 200 to the INVITE and to the BYE.
    completed: u64,
    /// Calls that were refused, by status; 408 for those without an answer.
    refused: std::collections::BTreeMap<u16, u64>,
    /// BYEs without a 200.
    byes_failed: u64,
    /// From the INVITE to its 200.
    set_up_ms_median: f64,
    set_up_ms_p99: f64,
    /// CPU time of all threads of ringway.
    cpu_us_per_call: f64,
    /// Resident memory of ringway before the step, after it, and after the rest.
    rss_kb: [u64; 3],
    generator_busy: f64,
}

/// # Errors
/// Ringway does not start, or a browser cannot register.
pub(crate) fn run(arguments: &CallsArguments) -> Result<(), Failure> {
    if arguments.target_core != arguments.generator_core
        && !affinity::pin_thread(arguments.generator_core)
    {
        return Err(format!("core {} cannot be used", arguments.generator_core).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut rows = Vec::new();
    for direction in &arguments.directions {
        rows.extend(runtime.block_on(visit(arguments, *direction))?);
    }
    if let Some(path) = &arguments.json {
        let mut file = std::fs::File::create(path)?;
        serde_json::to_writer_pretty(&mut file, &rows)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// Starts ringway, and makes calls in each of the rates.
async fn visit(arguments: &CallsArguments, direction: Direction) -> Result<Vec<Row>, Failure> {
    let carrier = load::Carrier::bind()?;
    let trunk = format!("target = \"{}\"", carrier.address()?);
    let realm = "[[realm]]\ndomain = \"example.test\"\ntrunk = \"carrier\"\n";
    let core = (arguments.target_core != arguments.generator_core).then_some(arguments.target_core);
    let target = Target::ringway(core, &trunk, realm, arguments.ringway.clone())?;
    let length = Duration::from_millis(arguments.call_ms);
    let world =
        load::World::start(carrier, target.address(), arguments.connections, length).await?;
    let mut rows = Vec::new();
    for rate in &arguments.rates {
        let name = match direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        note(&format!("{name}: {rate} calls a second"));
        let (rss, cpu, own) = (target.rss_kb()?, target.cpu()?, load::own_cpu()?);
        let began = now();
        let time = Duration::from_secs(arguments.seconds);
        let tally = world.call(direction == Direction::In, *rate, time).await;
        let took = now() - began;
        let cpu = target.cpu()?.saturating_sub(cpu);
        let own = load::own_cpu()?.saturating_sub(own);
        let after = target.rss_kb()?;
        tokio::time::sleep(Duration::from_secs(arguments.rest_s)).await;
        let row = Row {
            direction: name,
            calls_per_s: *rate,
            began: tally.began,
            completed: tally.completed,
            set_up_ms_median: tally.set_up(50),
            set_up_ms_p99: tally.set_up(99),
            refused: tally.refused,
            byes_failed: tally.byes_failed,
            cpu_us_per_call: cpu.as_secs_f64() * 1e6 / count(tally.began.max(1)),
            rss_kb: [rss, after, target.rss_kb()?],
            generator_busy: own.as_secs_f64() / took.as_secs_f64(),
        };
        show(&row, rows.is_empty());
        rows.push(row);
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(calls: u64) -> f64 {
    calls as f64
}

#[expect(clippy::print_stdout, reason = "the report of a command")]
fn show(row: &Row, is_first: bool) {
    if is_first {
        println!(
            "{:<5}{:>8}{:>9}{:>10}{:>11}{:>20}{:>13}{:>24}",
            "",
            "calls/s",
            "calls",
            "failed",
            "byes lost",
            "set-up ms (p99)",
            "CPU us each",
            "RSS MB"
        );
    }
    let failed: u64 = row.refused.values().sum();
    let set_up = format!("{:.1} ({:.1})", row.set_up_ms_median, row.set_up_ms_p99);
    let rss = row.rss_kb.map(|kb| format!("{:.0}", count(kb) / 1000.0));
    println!(
        "{:<5}{:>8}{:>9}{failed:>10}{:>11}{set_up:>20}{:>13.0}{:>24}",
        row.direction,
        row.calls_per_s,
        row.began,
        row.byes_failed,
        row.cpu_us_per_call,
        rss.join(" -> "),
    );
    if failed > 0 {
        println!("     refused, by status: {:?}", row.refused);
    }
    if row.generator_busy > 0.9 {
        println!("     the generator was at its limit: ringway may carry more");
    }
}
