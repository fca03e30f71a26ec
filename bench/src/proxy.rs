//! `ringway-bench proxy`: requests per second through the edge proxy, from WebSocket to UDP, beside
//! Kamailio doing the same on the same core.
//!
//! Browsers keep one request each under way; a registrar and user agent behind the proxy answers
//! everything with 200. Both are one thread on the generator's core, the proxy has the other core.
//! Steps of all targets and methods follow each other in each round.

mod load;
mod registrar;
pub(crate) mod target;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dataplane::io::affinity;
use serde::Serialize;

use crate::Failure;
use crate::report::note;
use load::{Method, Step};
use target::Target;

/// Above this part of its core the generator is taken for the limit.
const GENERATOR_BUSY_MAX: f64 = 0.95;

/// Registrations go out in Path mode.
const REALM: &str = "[[realm]]\ndomain = \"example.test\"\ntrunk = \"carrier\"\n\
                     registration = \"path\"\n";

/// Arguments of `ringway-bench proxy`.
#[derive(Args)]
pub(crate) struct ProxyArguments {
    /// Who is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["ringway", "kamailio"])]
    targets: Vec<Kind>,
    /// WebSocket connections, each with one request under way.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2000))]
    connections: u16,
    /// Rounds, of which the median is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Length of one step.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    step_ms: u64,
    /// The core of the proxy.
    #[arg(long, default_value_t = 0)]
    target_core: usize,
    /// The core of browsers and registrar.
    #[arg(long, default_value_t = 1)]
    generator_core: usize,
    /// The ringway that is measured. Default: the one beside this program.
    #[arg(long)]
    ringway: Option<PathBuf>,
    /// Write the rows here too, as an array.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A program that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Its edge proxy, in Path mode.
    Ringway,
    /// Debian's, with one process for each kind of work: `path`, `websocket`, `tm`.
    Kamailio,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Ringway => "ringway",
            Self::Kamailio => "kamailio",
        }
    }
}

/// One target with one method.
#[derive(Debug, Serialize)]
struct Row {
    target: &'static str,
    method: &'static str,
    connections: u16,
    messages_per_s_median: f64,
    messages_per_s_min: f64,
    messages_per_s_max: f64,
    /// CPU time of all threads and processes of the target.
    cpu_us_per_message: f64,
    /// The generator had no time left: the target may do more.
    generator_bound: bool,
}

/// # Errors
/// A target does not start, or answers anything but 200.
pub(crate) fn run(arguments: &ProxyArguments) -> Result<(), Failure> {
    if arguments.target_core == arguments.generator_core {
        return Err("the proxy and the generator need a core each".into());
    }
    if !affinity::pin_thread(arguments.generator_core) {
        return Err(format!("core {} cannot be used", arguments.generator_core).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut steps: Vec<Vec<Step>> = Vec::new();
    for round in 1..=arguments.rounds {
        for kind in &arguments.targets {
            note(&format!("round {round}: {}", kind.label()));
            let measured = runtime.block_on(visit(arguments, *kind))?;
            for (index, step) in measured.into_iter().enumerate() {
                let index = position(arguments, *kind, index);
                if steps.len() <= index {
                    steps.resize_with(index + 1, Vec::new);
                }
                steps.get_mut(index).ok_or("no such row")?.push(step);
            }
        }
    }
    let mut rows = Vec::new();
    for kind in &arguments.targets {
        for (index, method) in Method::ALL.into_iter().enumerate() {
            let place = position(arguments, *kind, index);
            let steps = steps.get(place).ok_or("a row is missing")?;
            rows.push(row(arguments, *kind, method, steps)?);
        }
    }
    show(&rows);
    if let Some(path) = &arguments.json {
        let mut file = std::fs::File::create(path)?;
        serde_json::to_writer_pretty(&mut file, &rows)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

/// The place of a target's row for one method.
fn position(arguments: &ProxyArguments, kind: Kind, method: usize) -> usize {
    let targets = &arguments.targets;
    let target = targets.iter().position(|other| *other == kind);
    target.unwrap_or(targets.len()) * Method::ALL.len() + method
}

/// Starts a target, and lets each method pass through it for one step.
async fn visit(arguments: &ProxyArguments, kind: Kind) -> Result<Vec<Step>, Failure> {
    let registrar = registrar::Registrar::bind().await?;
    let core = arguments.target_core;
    let target = match kind {
        Kind::Ringway => {
            let trunk = format!("target = \"{}\"", registrar.address());
            let program = arguments.ringway.clone();
            Target::ringway(Some(core), &trunk, REALM, program)
        }
        Kind::Kamailio => Target::kamailio(core, registrar.address()),
    }?;
    let answering = tokio::spawn(registrar.answer());
    let mut browsers = load::Browsers::connect(target.address(), arguments.connections).await?;
    let step = Duration::from_millis(arguments.step_ms);
    let mut measured = Vec::new();
    for method in Method::ALL {
        measured.push(browsers.send(method, step, &target).await?);
    }
    answering.abort();
    Ok(measured)
}

fn row(
    arguments: &ProxyArguments,
    kind: Kind,
    method: Method,
    steps: &[Step],
) -> Result<Row, Failure> {
    let mut rates: Vec<f64> = steps.iter().map(Step::per_second).collect();
    rates.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (rates.first(), rates.last()) else {
        return Err("nothing was measured".into());
    };
    let mut costs: Vec<f64> = steps.iter().map(Step::cpu_us).collect();
    costs.sort_by(f64::total_cmp);
    let middle = |sorted: &[f64]| sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    Ok(Row {
        target: kind.label(),
        method: method.as_str(),
        connections: arguments.connections,
        messages_per_s_median: middle(&rates),
        messages_per_s_min: *min,
        messages_per_s_max: *max,
        cpu_us_per_message: middle(&costs),
        generator_bound: steps
            .iter()
            .any(|step| step.generator_busy > GENERATOR_BUSY_MAX),
    })
}

#[expect(clippy::print_stdout, reason = "the report of a command")]
fn show(rows: &[Row]) {
    println!(
        "{:<10}{:<10}{:>12}{:>22}{:>14}{:>12}",
        "target", "method", "requests/s", "(min to max)", "CPU us each", "to kamailio"
    );
    for row in rows {
        let is_theirs = |other: &&Row| other.target == "kamailio" && other.method == row.method;
        let ratio = rows.iter().find(is_theirs).map_or_else(
            || "-".to_owned(),
            |theirs| {
                let ratio = row.messages_per_s_median / theirs.messages_per_s_median;
                format!("{ratio:.2}")
            },
        );
        let range = format!(
            "({:.0} to {:.0})",
            row.messages_per_s_min, row.messages_per_s_max
        );
        let bound = if row.generator_bound {
            "  the generator is at its limit: the target may do more"
        } else {
            ""
        };
        println!(
            "{:<10}{:<10}{:>12.0}{range:>22}{:>14.1}{ratio:>12}{bound}",
            row.target, row.method, row.messages_per_s_median, row.cpu_us_per_message
        );
    }
}
