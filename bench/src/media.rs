//! `ringway-bench media`: the highest rate that comes out whole (RFC 2544 section 26.1 in spirit),
//! what is left of it under overload, and the latency at half of it; of several targets in turns.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use dataplane::io::{affinity, process};

use crate::Failure;
use crate::course::{Course, OVERLOAD_BURST, Outcome, one_round};
use crate::environment::{self, Environment};
use crate::generator::{Generator, Lane, Offer};
use crate::network::Network;
use crate::report;
use crate::scenario::{Scenario, Target};
use crate::subject::SubjectProcess;
use crate::wire::{BATCH_PACKETS, FrameWire, SocketWire, Wire};

/// First address of the targets on a network of their own.
const FIRST_TARGET: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);
/// Attempts to find out what the generator can offer.
const FLOODS: usize = 3;
/// Rates that a search usually offers.
const SEARCH_STEPS: u64 = 10;

#[derive(Args, Clone, Debug)]
pub(crate) struct MediaArguments {
    #[command(flatten)]
    pub(crate) scenario: Scenario,
    #[command(flatten)]
    pub(crate) place: Place,
    /// What to measure, in turns, in the same run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ringway")]
    pub(crate) targets: Vec<Target>,
    /// How ringway talks to the kernel: `uring` or `mmsg`.
    #[arg(long)]
    pub(crate) backend: Option<String>,
    /// Rounds of all targets, each with a search of its own; medians are reported.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each rate is offered.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=4000))]
    pub(crate) step_ms: u64,
    /// About how long the search of one round takes, instead of `--step-ms`: each of its
    /// ten or so rates is offered for an equal part.
    #[arg(long, conflicts_with = "step_ms", value_parser = clap::value_parser!(u64).range(1..=40))]
    pub(crate) seconds: Option<u64>,
    /// How long twice and four times the loss-free rate are offered.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..=4000))]
    pub(crate) overload_ms: u64,
    /// First rate that is offered: packets per second, all ways together.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) start_pps: u32,
    /// Write the rows here, as a JSON array; all steps, the machine and the settings go beside
    /// it, into a file that ends in `.about.json`.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Where it is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// Over the loopback interface, without namespaces: needs no privilege, and says less, since
    /// the generator is slower.
    #[arg(long)]
    pub(crate) loopback: bool,
    /// Two interfaces of this machine, connected with each other, instead of a veth pair: the
    /// generator's and the target's. They are lent to namespaces and come back.
    #[arg(long, value_name = "GENERATOR,TARGET", conflicts_with = "loopback")]
    pub(crate) interfaces: Option<String>,
    /// The target's interface puts runs of equal datagrams together (generic receive offload), for
    /// sockets that take them whole; needs `ethtool`.
    #[arg(long, conflicts_with = "loopback")]
    pub(crate) receive_offload: bool,
}

impl MediaArguments {
    pub(crate) fn step(&self) -> Duration {
        let part = |seconds| seconds * 1000 / SEARCH_STEPS;
        Duration::from_millis(self.seconds.map_or(self.step_ms, part))
    }

    pub(crate) fn overload(&self) -> Duration {
        Duration::from_millis(self.overload_ms)
    }
}

/// The generator with the network under it.
pub(crate) struct Site {
    pub(crate) generator: Generator,
    /// The targets run in it.
    network: Option<Network>,
    _turn: File,
}

impl Site {
    /// Makes the network and puts the generator in its place: namespace and CPU core.
    pub(crate) fn make(place: &Place, scenario: &Scenario) -> Result<Self, Failure> {
        scenario.check()?;
        let turn = environment::take_turn()?;
        environment::take_precedence();
        process::catch_stop_signals();
        let network = if place.loopback {
            None
        } else {
            let interfaces = place.interfaces.as_deref().map(|pair| {
                let split = pair.split_once(',');
                split.ok_or("--interfaces takes two names with a comma between them")
            });
            Some(Network::make(
                interfaces.transpose()?,
                place.receive_offload,
            )?)
        };
        let wire = match &network {
            Some(network) => {
                process::enter_network_namespace(&network.generator_namespace())?;
                Wire::Frames(FrameWire::open(network, scenario.payload_bytes)?)
            }
            None => Wire::Sockets(SocketWire::open()?),
        };
        Ok(Self {
            generator: Generator::new(wire),
            network,
            _turn: turn,
        })
    }

    pub(crate) fn description(&self) -> String {
        let network = self.network.as_ref();
        network.map_or("loopback".to_owned(), |network| network.description.clone())
    }

    /// Starts a target and sets up its calls.
    pub(crate) fn start(
        &mut self,
        target: Target,
        index: usize,
        scenario: &Scenario,
        backend: Option<&str>,
    ) -> Result<Lane, Failure> {
        let subject = self.start_idle(target, index, scenario, backend)?;
        self.generator.open_lane(target, subject, scenario)
    }

    /// Starts a target that has no calls yet.
    pub(crate) fn start_idle(
        &self,
        target: Target,
        index: usize,
        scenario: &Scenario,
        backend: Option<&str>,
    ) -> Result<SubjectProcess, Failure> {
        let program = std::env::current_exe()?;
        let (command, address) = match &self.network {
            Some(network) => {
                let offset = u32::try_from(index)?;
                let address = Ipv4Addr::from(u32::from(FIRST_TARGET) + offset);
                (network.subject_command(&program), address)
            }
            None => (Command::new(program), Ipv4Addr::LOCALHOST),
        };
        SubjectProcess::start(command, target, address, scenario, backend)
    }
}

/// Runs the whole measurement and reports it.
pub(crate) fn run(arguments: &MediaArguments) -> Result<(), Failure> {
    let outcomes = measure(arguments)?;
    report::conclude(arguments, &outcomes)
}

pub(crate) struct Measured {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) environment: Environment,
}

/// All targets, in turns.
pub(crate) fn measure(arguments: &MediaArguments) -> Result<Measured, Failure> {
    let scenario = &arguments.scenario;
    let environment = Environment::here();
    let mut site = Site::make(&arguments.place, scenario)?;
    let mut lanes = Vec::new();
    for (index, target) in arguments.targets.iter().enumerate() {
        report::note(&format!(
            "setting up {} calls through {target}",
            scenario.calls
        ));
        lanes.push(site.start(*target, index, scenario, arguments.backend.as_deref())?);
    }
    if !affinity::pin_thread(scenario.generator_core) {
        return Err(format!("cannot run on CPU core {}", scenario.generator_core).into());
    }
    let generator_pps_max = own_maximum(&mut site, &mut lanes, scenario.burst())?;
    let in_bursts = own_maximum(&mut site, &mut lanes, scenario.burst().max(OVERLOAD_BURST))?;
    report::note(&format!(
        "the generator can offer {generator_pps_max:.0} packets/s, {in_bursts:.0} in bursts"
    ));
    report::header();
    let mut courses: Vec<_> = lanes.into_iter().map(Course::new).collect();
    for _ in 0..arguments.rounds {
        one_round(
            &mut site.generator,
            &mut courses,
            arguments,
            generator_pps_max,
        )?;
    }
    let outcomes: Vec<_> = courses.into_iter().map(|course| course.outcome).collect();
    // A step that was offered counts too: the attempts may have met a bad moment.
    let steps = outcomes.iter().flat_map(|outcome| outcome.rounds.iter());
    let even = steps
        .flat_map(|round| &round.steps)
        .filter(|step| step.burst == scenario.burst());
    let generator_pps_max = even
        .map(|step| step.offered_pps)
        .fold(generator_pps_max, f64::max);
    Ok(Measured {
        outcomes,
        environment: Environment {
            network: site.description(),
            core_map: core_map(scenario),
            generator_pps_max,
            generator_pps_max_in_bursts: in_bursts,
            ..environment
        },
    })
}

pub(crate) fn core_map(scenario: &Scenario) -> String {
    let cores: Vec<_> = scenario
        .worker_cores()
        .map(|core| core.to_string())
        .collect();
    let generator = scenario.generator_core;
    format!(
        "generator on {generator}, each target on {}, nice -19",
        cores.join(", ")
    )
}

/// What the generator can offer while it receives what the first target forwards under that load:
/// the best of a few attempts, since others use the machine too.
fn own_maximum(site: &mut Site, lanes: &mut [Lane], burst: u16) -> Result<f64, Failure> {
    let lane = lanes.first_mut().ok_or("there is nothing to measure")?;
    let flood = Offer {
        what: "flood",
        pps: 4e6,
        time: Duration::from_millis(250),
        verified_one_in: u16::MAX,
        batch: BATCH_PACKETS,
        burst,
    };
    let mut most = 0.0;
    for _ in 0..FLOODS {
        most = f64::max(most, site.generator.offer(lane, flood)?.offered_pps);
    }
    Ok(most)
}
