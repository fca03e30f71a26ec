//! `ringway-bench soak`: calls come and go under load, for as long as wanted; memory that grows,
//! calls that stay and packets that get lost end it with an error.

use std::time::Duration;

use clap::Args;
use dataplane::io::{affinity, process};

use crate::Failure;
use crate::clock::now;
use crate::generator::{Lane, Offer};
use crate::media::{Place, Site};
use crate::report::note;
use crate::scenario::{Scenario, Target};
use crate::subject::Usage;
use crate::wire::BATCH_PACKETS;

/// How long one rate is offered between two changes of the calls.
const STEP: Duration = Duration::from_secs(2);
/// Memory may grow by this much from the end of the first tenth on: what the allocator keeps.
const GROWTH_BYTES_MAX: u64 = 4 << 20;
/// Of so many calls, one has every packet that comes out checked.
const VERIFIED_ONE_IN: u16 = 16;

#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArguments {
    #[command(flatten)]
    scenario: Scenario,
    #[command(flatten)]
    place: Place,
    /// What is tried.
    #[arg(long, value_enum, default_value_t = Target::Ringway)]
    target: Target,
    /// How ringway talks to the kernel: `uring` or `mmsg`.
    #[arg(long)]
    backend: Option<String>,
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// The load: packets per second, all ways together.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..))]
    pps: u32,
    /// Of 100 calls, so many end and begin again after every two seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=100))]
    churn_percent: u16,
    /// Loss above this part of the packets of any two seconds, in percent, is an error.
    #[arg(long, default_value_t = 0.1)]
    loss_percent_max: f64,
}

/// What has happened so far.
#[derive(Default)]
struct Account {
    sent: u64,
    received: u64,
    disordered: u64,
    renewed: u64,
    worst_loss: f64,
    /// Resident memory when the calls had come and gone a few times.
    settled_bytes: Option<u64>,
}

/// # Errors
/// Packets that came out wrong, too much loss, memory that grows, or calls that stay.
pub(crate) fn run(arguments: &SoakArguments) -> Result<(), Failure> {
    let scenario = &arguments.scenario;
    let mut site = Site::make(&arguments.place, scenario)?;
    let mut lane = site.start(arguments.target, 0, scenario, arguments.backend.as_deref())?;
    if !affinity::pin_thread(scenario.generator_core) {
        return Err(format!("cannot run on CPU core {}", scenario.generator_core).into());
    }
    let whole = Duration::from_secs(60 * arguments.minutes);
    let (begin, mut account, mut next_call) = (now(), Account::default(), 0);
    let flows = lane.subject.usage()?.open_flows;
    note("  time s       sent/s     loss %   order  calls renewed   memory KiB   open");
    while now() - begin < whole && !process::stop_requested() {
        let offer = Offer {
            what: "soak",
            pps: arguments.pps.into(),
            time: STEP,
            verified_one_in: VERIFIED_ONE_IN,
            batch: BATCH_PACKETS,
            burst: scenario.burst(),
        };
        let step = site.generator.offer(&mut lane, offer)?;
        if step.wrong() > 0 {
            return Err(format!("{} packets came out wrong", step.wrong()).into());
        }
        account.sent += step.sent.iter().sum::<u64>();
        account.received += step.received();
        account.disordered += step.disordered();
        account.worst_loss = account.worst_loss.max(step.loss());
        let renewed = scenario.calls * arguments.churn_percent / 100;
        for _ in 0..renewed {
            renew(&mut lane, &site, next_call)?;
            next_call = (next_call + 1) % scenario.calls;
        }
        account.renewed += u64::from(renewed);
        let usage = lane.subject.usage()?;
        let time = now() - begin;
        line(time, step.offered_pps, step.loss(), &account, &usage);
        if usage.open_flows != flows {
            return Err(format!("{} flows are open, not {flows}", usage.open_flows).into());
        }
        if account.settled_bytes.is_none() && time * 10 > whole {
            account.settled_bytes = Some(usage.resident_bytes);
        }
        if let Some(settled) = account.settled_bytes
            && usage.resident_bytes > settled + GROWTH_BYTES_MAX
        {
            return Err(format!(
                "memory grew from {settled} to {} bytes",
                usage.resident_bytes
            )
            .into());
        }
    }
    conclude(arguments, &account)
}

fn renew(lane: &mut Lane, site: &Site, call: u16) -> Result<(), Failure> {
    lane.subject.close(call)?;
    lane.traffic
        .open_call(call, &mut lane.subject, &site.generator.wire)
}

fn conclude(arguments: &SoakArguments, account: &Account) -> Result<(), Failure> {
    let worst = 100.0 * account.worst_loss;
    note(&format!(
        "\n{} packets sent, {} came out, worst two seconds lost {worst:.3} %, {} out of order or \
         twice, {} calls renewed",
        account.sent, account.received, account.disordered, account.renewed
    ));
    if worst > arguments.loss_percent_max {
        return Err(format!("more than {} % was lost", arguments.loss_percent_max).into());
    }
    Ok(())
}

fn line(time: Duration, pps: f64, loss: f64, account: &Account, usage: &Usage) {
    note(&format!(
        "{:>8}{pps:>13.0}{:>11.3}{:>8}{:>15}{:>13}{:>7}",
        time.as_secs(),
        100.0 * loss,
        account.disordered,
        account.renewed,
        usage.resident_bytes >> 10,
        usage.open_flows,
    ));
}
