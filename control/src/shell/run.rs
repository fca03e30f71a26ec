//! Starts everything, in the order in which one thing needs the other, and ends it again.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crypto::dtls::Certificate;
use crypto::random::Random;
use dataplane::Dataplane;
use dataplane::config::{DataplaneConfig, WorkerConfig};
use dataplane::link::WorkerHandle;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::arrival::Arrival;
use super::dns::Dns;
use super::drive::Driver;
use super::http::{self, Web};
use super::notify::{self, Pulse};
use super::streams::{self, Doors, Streams};
use super::supervise::Supervisor;
use super::tls::TlsError;
use super::web_tls::{self, WebTls};
use super::workers::{self, WorkerLink};
use super::{acme, clock, fault, greeting, handshakes, host, log, signals, trunk_tls, udp};
use crate::config::{Config, MediaConfig, PortRange, SipConfig, WebListener};
use crate::engine::{Engine, EngineConfig};
use crate::health::Part;
use crate::host::{Finding, Protocol, Purpose, Verdict};
use crate::limits::ARRIVALS_MAX;
use crate::media::handshake::Handshakes;
use crate::media::plan::WorkerAddresses;
use crate::token::{TokenKeyError, Tokens};

/// Why the process could not start, or had to stop.
#[derive(Debug)]
pub enum RunError {
    /// The media workers could not start; the text says what to change.
    Dataplane(dataplane::StartError),
    /// TLS is on, but there is no certificate that can be used.
    Tls(TlsError),
    /// A key that tokens are checked with cannot be used.
    TokenKey(TokenKeyError),
    /// The DTLS certificate, or randomness for it, could not be had.
    Crypto(String),
    /// What keeps ringway from starting on this host, as `ringway host check` says it.
    Host(Vec<Finding>),
    /// Anything else that the kernel refused.
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// A media worker ended by itself.
    WorkerEnded,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataplane(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::TokenKey(error) => error.fmt(f),
            Self::Crypto(error) => write!(f, "cannot make the DTLS certificate: {error}"),
            Self::Host(findings) => {
                for (index, finding) in findings.iter().enumerate() {
                    let gap = if index == 0 { "" } else { "\n" };
                    write!(f, "{gap}{finding}")?;
                }
                Ok(())
            }
            Self::System { what, source } => write!(f, "cannot {what}: {source}"),
            Self::WorkerEnded => f.write_str("a media worker ended by itself"),
        }
    }
}

impl std::error::Error for RunError {}

/// Runs until SIGTERM or SIGINT, and until the calls have been ended after that.
///
/// # Errors
/// Something could not be started, or a media worker failed.
pub fn run(config: Config) -> Result<(), RunError> {
    log::start(&config.log);
    // Lines are people: their numbers and names, which come last, are not for the log.
    for line in config
        .effective()
        .lines()
        .take_while(|line| *line != "[[line]]")
    {
        debug!("configuration: {line}");
    }
    for warning in config.warnings() {
        warn!("{warning}");
    }
    look_at_host(&config)?;
    let dataplane =
        dataplane::start(dataplane_config(&config)).map_err(|error| not_started(&config, error))?;
    for (index, worker) in dataplane.workers.iter().enumerate() {
        let (backend, browser) = (worker.backend(), worker.browser_address());
        debug!(index, %backend, %browser, "media worker runs");
    }
    // On one core two threads would only take turns.
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().min(8));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("control")
        .build()
        .map_err(|source| RunError::System {
            what: "start threads",
            source,
        })?;
    let outcome = runtime.block_on(serve(config, &dataplane));
    runtime.shutdown_background();
    match (outcome, dataplane.stop()) {
        (Ok(()), Err(source)) => Err(RunError::System {
            what: "run the media workers",
            source,
        }),
        (outcome, _) => outcome,
    }
}

/// Tells what this host lacks.
///
/// # Errors
/// Something without which no call can be carried.
fn look_at_host(config: &Config) -> Result<(), RunError> {
    let mut stops = Vec::new();
    for finding in host::check_host(config, Purpose::Start) {
        match finding.verdict {
            Verdict::Ok | Verdict::Skipped => debug!("{finding}"),
            Verdict::Warning => warn!("{finding}"),
            Verdict::Failure if finding.stops => stops.push(finding),
            Verdict::Failure => error!("{finding}"),
        }
    }
    if stops.is_empty() {
        Ok(())
    } else {
        Err(RunError::Host(stops))
    }
}

/// Why the media workers could not start.
fn not_started(config: &Config, error: dataplane::StartError) -> RunError {
    if let dataplane::StartError::Address { address, source } = error {
        return not_bound(config, Protocol::Udp, address)(source);
    }
    RunError::Dataplane(error)
}

/// Why a socket of the configuration could not be bound: with the program that has its port.
fn not_bound(
    config: &Config,
    protocol: Protocol,
    address: SocketAddr,
) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::Host(vec![host::bind_failed(config, protocol, address, source)])
}

async fn serve(config: Config, dataplane: &Dataplane) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let certificate = Certificate::generate().map_err(|e| RunError::Crypto(e.to_string()))?;
    let random = Random::from_system().map_err(|e| RunError::Crypto(e.to_string()))?;
    let config = Arc::new(config);
    let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
    signals::watch(sender.clone()).map_err(system("wait for signals"))?;
    fault::watch(dataplane.workers.clone());
    let supervisor = Arc::new(Supervisor::new(sender.clone()));

    let socket = receive_sip(&config, &sender, &supervisor)?;
    let trunk_side = match &config.sip {
        None => None,
        Some(sip) => Some(listen_to_trunks(&config, sip, &sender, &supervisor)?),
    };
    let workers = dataplane.workers.clone();
    watch_workers(&workers, &sender, &supervisor);
    let sessions_max = config.media.flows_max.saturating_mul(workers.len());
    let fingerprint = certificate.fingerprint();
    let handshakes = Handshakes::new(certificate, sessions_max);
    let handshakes = handshakes::start(
        handshakes,
        workers.clone(),
        sender.clone(),
        Arc::clone(&supervisor),
    )
    .map_err(system("start the handshake thread"))?;

    let tokens = config.web.token.as_ref();
    let tokens = tokens.map(|tokens| Tokens::new(tokens, &|path| std::fs::read(path)));
    let tokens = tokens.transpose().map_err(RunError::TokenKey)?;
    let tokens = tokens.map(Arc::new);
    let engine = Engine::new(EngineConfig {
        config: Arc::clone(&config),
        tokens: tokens.clone(),
        workers: addresses(&config.media, &workers),
        fingerprint,
        random,
        now: clock::now(),
        unix_s: clock::unix_seconds(),
    });
    let beats = sender.clone();
    let web = Arc::new(Web::new(&config, tokens, sender, Arc::clone(&supervisor)));
    let listeners = listen(&config, &web, &supervisor).await?;
    greet(&config, &listeners, &workers);
    let pulse = Arc::new(Pulse::default());
    notify::ready();
    notify::tell_status(Arc::clone(&pulse), supervisor, beats.clone());
    notify::feed_watchdog(Arc::clone(&pulse), workers.clone(), beats);
    let links = workers.into_iter().map(WorkerLink::new).collect();
    let mut driver = Driver::new(engine, web, socket, links, Some(handshakes));
    driver = driver.with_pulse(Arc::clone(&pulse));
    if let Some((streams, dns)) = trunk_side {
        driver = driver.with_streams(streams).with_dns(dns);
    }
    // On a task of its own: the thread that blocks on us serves no sockets.
    end_of(tokio::spawn(driver.drive(arrivals)).await)
}

/// What the end of the brain's task means.
fn end_of(ended: Result<bool, tokio::task::JoinError>) -> Result<(), RunError> {
    match ended {
        Ok(true) => Ok(()),
        Ok(false) => Err(RunError::WorkerEnded),
        // Every call is lost with the brain. Whoever runs the process starts it anew.
        Err(error) => {
            signals::guard_the_end(1);
            Err(RunError::System {
                what: "go on",
                source: io::Error::other(error),
            })
        }
    }
}

/// Binds the SIP socket, if there is one, and reads it.
fn receive_sip(
    config: &Config,
    sender: &mpsc::Sender<Arrival>,
    supervisor: &Arc<Supervisor>,
) -> Result<Option<Arc<UdpSocket>>, RunError> {
    let Some(sip) = &config.sip else {
        return Ok(None);
    };
    let failed = not_bound(config, Protocol::Udp, sip.listen);
    let socket = Arc::new(udp::bind(sip.listen).map_err(failed)?);
    let (receiving, arrivals) = (Arc::clone(&socket), sender.clone());
    supervisor.keep(Part::SipSocket, move || {
        udp::receive(Arc::clone(&receiving), arrivals.clone())
    });
    Ok(Some(socket))
}

/// Hears the events of the media workers.
fn watch_workers(
    workers: &[WorkerHandle],
    sender: &mpsc::Sender<Arrival>,
    supervisor: &Arc<Supervisor>,
) {
    for (index, worker) in workers.iter().cloned().enumerate() {
        let sender = sender.clone();
        let says = Arc::clone(supervisor);
        supervisor.keep(Part::Workers, move || {
            let (worker, sender, says) = (worker.clone(), sender.clone(), Arc::clone(&says));
            async move {
                match workers::watch(index, worker, sender, says).await {
                    // The worker has ended, and the brain knows: nothing comes any more.
                    Ok(()) => std::future::pending().await,
                    Err(error) => error!(%error, "cannot wait for the events of a media worker"),
                }
            }
        });
    }
}

/// Binds the TCP and TLS listeners of the trunk side, and prepares connections of our own and
/// questions to the DNS.
fn listen_to_trunks(
    config: &Config,
    sip: &SipConfig,
    arrivals: &mpsc::Sender<Arrival>,
    supervisor: &Arc<Supervisor>,
) -> Result<(Streams, Dns), RunError> {
    let doors = Doors::new();
    let acceptor = trunk_tls::acceptor(sip).map_err(RunError::Tls)?;
    let connectors = trunk_tls::connectors(config).map_err(RunError::Tls)?;
    for (address, tls) in [(sip.listen_tcp, None), (sip.listen_tls, acceptor)] {
        let Some(address) = address else { continue };
        let failed = not_bound(config, Protocol::Tcp, address);
        let listener = Arc::new(streams::bind(address).map_err(failed)?);
        let (doors, arrivals) = (doors.clone(), arrivals.clone());
        supervisor.keep(Part::SipListener, move || {
            streams::listen(
                Arc::clone(&listener),
                tls.clone(),
                doors.clone(),
                arrivals.clone(),
            )
        });
    }
    let streams = Streams::new(arrivals.clone(), sip, connectors, doors);
    Ok((streams, Dns::new(sip, arrivals.clone())))
}

/// Tells the operator where everything is.
fn greet(config: &Config, listeners: &[WebListener], workers: &[WorkerHandle]) {
    let media: Vec<SocketAddr> = workers.iter().map(WorkerHandle::browser_address).collect();
    for line in greeting::lines(config, listeners, &media) {
        info!("{line}");
    }
}

/// What peers are told about each worker.
fn addresses(media: &MediaConfig, workers: &[WorkerHandle]) -> Vec<WorkerAddresses> {
    let shares = (0..).map_while(|index| media.rtp_ports_of(index));
    let address = |(worker, share): (&WorkerHandle, PortRange)| WorkerAddresses {
        browser: SocketAddr::new(media.browser_advertise, worker.browser_address().port()),
        trunk: media.trunk_advertise,
        ports: share.first..=share.last,
    };
    workers.iter().zip(shares).map(address).collect()
}

/// Binds all web listeners and serves them.
async fn listen(
    config: &Config,
    web: &Arc<Web>,
    supervisor: &Arc<Supervisor>,
) -> Result<Vec<WebListener>, RunError> {
    let addresses: Vec<IpAddr> = config
        .web
        .listen
        .iter()
        .map(|listener| listener.address.ip())
        .chain([config.media.browser_advertise])
        .collect();
    let mut web_tls = None;
    if config.web.listen.iter().any(|listener| listener.secure) {
        let tls = WebTls::new(&config.web, &["localhost"], &addresses);
        let tls = Arc::new(tls.map_err(RunError::Tls)?);
        if let Some(acme) = &config.web.acme {
            let store = Arc::new(acme::Store::new(acme));
            let (acme, tls) = (acme.clone(), Arc::clone(&tls));
            supervisor.keep(Part::Acme, move || {
                acme::keep(acme.clone(), Arc::clone(&store), Arc::clone(&tls))
            });
        }
        web_tls = Some(tls);
    }
    // Once here, so that a system that refuses it is seen at the start.
    drop(signals::hangups().map_err(|source| RunError::System {
        what: "wait for SIGHUP",
        source,
    })?);
    let kept = web_tls.clone();
    supervisor.keep(Part::Certificates, move || {
        let kept = kept.clone();
        async move {
            match signals::hangups() {
                Ok(hangups) => web_tls::keep_fresh(kept, hangups).await,
                Err(error) => error!(%error, "cannot wait for SIGHUP"),
            }
        }
    });
    let mut bound = Vec::new();
    for listener in &config.web.listen {
        let failed = not_bound(config, Protocol::Tcp, listener.address);
        let socket = Arc::new(http::bind(listener.address).await.map_err(&failed)?);
        let address = socket.local_addr().map_err(&failed)?;
        let tls = web_tls.clone().filter(|_| listener.secure);
        let web = Arc::clone(web);
        supervisor.keep(Part::WebListener, move || {
            http::listen(Arc::clone(&web), Arc::clone(&socket), tls.clone())
        });
        bound.push(WebListener {
            address,
            secure: listener.secure,
        });
    }
    Ok(bound)
}

fn dataplane_config(config: &Config) -> DataplaneConfig {
    let MediaConfig {
        browser_bind,
        browser_port,
        trunk_bind,
        ..
    } = config.media;
    let worker = |(index, core): (u16, &Option<usize>)| {
        let port = if browser_port == 0 {
            0
        } else {
            browser_port.saturating_add(index)
        };
        WorkerConfig {
            core: *core,
            browser_bind: (browser_bind, port).into(),
            trunk_bind,
        }
    };
    DataplaneConfig {
        workers: (0..).zip(&config.media.cores).map(worker).collect(),
        flows_max: config.media.flows_max,
        silent_after: config.media.silent_after,
        backend: config.media.backend,
        io: config.media.io,
    }
}

/// The address that this host speaks to another one with, or, if none is named, to everybody: that
/// of its default route. `None` if no route leads there. Nothing is sent for it.
#[must_use]
pub fn host_address(other: Option<IpAddr>) -> Option<IpAddr> {
    // A socket that is connected knows its own address. These are for documentation (RFC 5737,
    // RFC 3849): only a default route leads to them.
    const EVERYBODY: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    ];
    let own = |other: IpAddr| {
        let any: IpAddr = match other {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
        socket.connect((other, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    match other {
        Some(other) => own(other),
        None => EVERYBODY.into_iter().find_map(own),
    }
}

/// Passwords of the demo's two lines: new ones for every start.
///
/// # Errors
/// The system gives no randomness.
pub fn demo_passwords() -> Result<[String; 2], RunError> {
    let mut random = Random::from_system().map_err(|e| RunError::Crypto(e.to_string()))?;
    Ok([random.hex_text(12), random.hex_text(12)])
}
