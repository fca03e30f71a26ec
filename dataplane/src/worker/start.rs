//! Starts the workers, and stops them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};
use std::{io, thread};

use super::{StartError, Worker, restart};
use crate::config::{BackendKind, DSCP_MAX, DataplaneConfig, IoConfig, WorkerConfig};
use crate::engine::{Engine, EngineConfig};
use crate::io::backend::{Backend, BackendParts};
use crate::io::{affinity, setup, socket};
use crate::limits::{FLOWS_PER_WORKER_MAX, WORKERS_MAX};
use crate::link::{Command, WorkerEnd, WorkerHandle};
use crate::wire::ntp::NtpTime;

/// The running workers. Dropping it stops them.
#[derive(Debug)]
pub struct Dataplane {
    /// One handle per worker, in the order of the configuration. Clone them freely; they outlive
    /// the workers.
    pub workers: Vec<WorkerHandle>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Dataplane {
    /// Ends all workers and waits for their threads. Every open flow reports its totals first: the
    /// events stay in the queues of the handles.
    ///
    /// # Errors
    /// A worker had ended before, because the kernel failed it.
    pub fn stop(mut self) -> io::Result<()> {
        self.stop_all()
    }

    fn stop_all(&mut self) -> io::Result<()> {
        for worker in &self.workers {
            // A full queue empties itself as long as the worker runs.
            while worker.is_running() && worker.send(Command::Stop).is_err() {
                thread::yield_now();
            }
        }
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

impl Drop for Dataplane {
    fn drop(&mut self) {
        drop(self.stop_all());
    }
}

/// Starts one thread per worker, pins it, and waits until each has bound its addresses.
///
/// # Errors
/// The first thing that keeps a worker from starting; those already started are stopped again.
pub fn start(config: DataplaneConfig) -> Result<Dataplane, StartError> {
    check(&config)?;
    let backend = setup::choose_backend(config.backend)?;
    let io = config.io;
    let mut dataplane = Dataplane {
        workers: Vec::new(),
        threads: Vec::new(),
    };
    for (index, worker) in config.workers.into_iter().enumerate() {
        let index = u16::try_from(index).map_err(|_| StartError::WorkerCount(index))?;
        let engine = EngineConfig {
            worker: index,
            flows_max: config.flows_max,
            silent_after: config.silent_after,
            seed: RandomState::new().hash_one(index),
            epoch: epoch(),
        };
        let (started, report) = sync_channel(1);
        let setup = Setup {
            worker,
            engine,
            backend,
            io,
        };
        let thread = thread::Builder::new()
            .name(format!("media-{index}"))
            .spawn(move || run_thread(setup, &started))
            .map_err(|source| StartError::Kernel {
                what: "start a thread",
                source,
            })?;
        dataplane.threads.push(thread);
        let handle = report.recv().unwrap_or_else(|_| {
            Err(StartError::Kernel {
                what: "start a worker",
                source: io::Error::other("it panicked"),
            })
        })?;
        dataplane.workers.push(handle);
    }
    Ok(dataplane)
}

/// Now, by both clocks.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clocks")]
fn epoch() -> (Instant, NtpTime) {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ntp = NtpTime::from_unix(since_1970.unwrap_or_default());
    (Instant::now(), ntp)
}

fn check(config: &DataplaneConfig) -> Result<(), StartError> {
    let workers = config.workers.len();
    if !(1..=WORKERS_MAX).contains(&workers) {
        return Err(StartError::WorkerCount(workers));
    }
    if !(1..=FLOWS_PER_WORKER_MAX).contains(&config.flows_max) {
        return Err(StartError::FlowCount(config.flows_max));
    }
    for core in config.workers.iter().filter_map(|worker| worker.core) {
        affinity::check(core).map_err(|allowed| StartError::NoSuchCore { core, allowed })?;
    }
    let io = &config.io;
    let audio = [io.browser_dscp, io.trunk_dscp];
    let video = [io.browser_video_dscp, io.trunk_video_dscp];
    for dscp in audio.into_iter().chain(video) {
        if dscp > DSCP_MAX {
            return Err(StartError::Dscp(dscp));
        }
    }
    setup::raise_file_limit(workers, config.flows_max)
}

type Report = SyncSender<Result<WorkerHandle, StartError>>;

/// All that a worker is made of.
pub(super) struct Setup {
    worker: WorkerConfig,
    engine: EngineConfig,
    backend: BackendKind,
    io: IoConfig,
}

/// The thread: sets the worker up, reports, and runs it to its end.
fn run_thread(mut setup: Setup, report: &Report) -> io::Result<()> {
    match set_up(&setup) {
        Ok((worker, browser_address)) => {
            let handle = worker.end.handle(browser_address, setup.backend);
            if report.send(Ok(handle)).is_err() {
                return Ok(());
            }
            // Peers know this address: a worker that is begun anew has it again.
            setup.worker.browser_bind = browser_address;
            restart::run(worker, &setup)
        }
        Err(error) => {
            drop(report.send(Err(error)));
            Ok(())
        }
    }
}

fn set_up(setup: &Setup) -> Result<(Worker, SocketAddr), StartError> {
    if let Some(core) = setup.worker.core
        && !affinity::pin_thread(core)
    {
        return Err(StartError::NoSuchCore {
            core,
            allowed: affinity::allowed(),
        });
    }
    let end = WorkerEnd::new(setup.engine.flows_max).map_err(|source| StartError::Kernel {
        what: "make an event descriptor",
        source,
    })?;
    let (io, browser_address) = setup.bind(&end)?;
    Ok((setup.assemble(io, end), browser_address))
}

impl Setup {
    pub(super) fn index(&self) -> u16 {
        self.engine.worker
    }

    /// Binds the addresses, and prepares what carries packets.
    pub(super) fn bind(&self, end: &WorkerEnd) -> Result<(Backend, SocketAddr), StartError> {
        let config = &self.worker;
        let failed = |address| move |source| StartError::Address { address, source };
        let browser = socket::bind_browser(config.browser_bind, &self.io)
            .map_err(failed(config.browser_bind))?;
        let browser_address =
            socket::local_address(&browser).map_err(failed(config.browser_bind))?;
        let trunk = SocketAddr::new(config.trunk_bind, 0);
        socket::bind_trunk(trunk, &self.io).map_err(failed(trunk))?;
        let parts = BackendParts {
            browser,
            wake: end.worker_wake(),
            flows_max: self.engine.flows_max,
            config: self.io,
        };
        let io = Backend::new(self.backend, parts)?;
        Ok((io, browser_address))
    }

    /// A worker without flows.
    pub(super) fn assemble(&self, io: Backend, end: WorkerEnd) -> Worker {
        let engine = Engine::new(self.engine.clone(), Arc::clone(end.counters()));
        let (trunk_bind, flows_max) = (self.worker.trunk_bind, self.engine.flows_max);
        Worker::new(engine, io, end, trunk_bind, self.io, flows_max)
    }
}
