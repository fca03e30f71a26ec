//! The data plane of this program.

mod churn;

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use crypto::keys::{MasterKey, SrtpKeys, SrtpProfile};
use crypto::random::Random;
use dataplane::Dataplane;
use dataplane::config::{BackendChoice, DataplaneConfig, WorkerConfig};
use dataplane::engine::DropReason;
use dataplane::link::{
    BrowserFlow, Cname, Command, Event, Feedback, FlowId, FlowKind, IceCredentials, IceFragment,
    IcePassword, Media, OpenFlow, PayloadTypeMap, PeerAddresses, PeerPolicy, RefuseReason, Route,
    Ssrc, TrunkFlow, WorkerHandle,
};

use super::{Churned, OpenCall, OpenedCall, Processing, Subject, SubjectArguments, Usage, usage};
use crate::Failure;
use crate::clock::now;
use crate::scenario::{Way, read_io};
use crate::stream::{CLOCK_HZ, PAYLOAD_TYPE, rewritten_ssrc};

pub(crate) use churn::CHURN_SLOTS;

const EVENT_DEADLINE: Duration = Duration::from_secs(10);
/// Begins the names of the workers' threads, as `dataplane::start` gives them.
pub(crate) const THREAD: &str = "media-";
const FRAGMENT_CHARS: usize = 8;
const PASSWORD_CHARS: usize = 24;
/// Of the trunk flows.
const FIRST_PORT: u16 = 20_000;

pub(super) struct Ringway {
    workers: Vec<WorkerHandle>,
    random: Random,
    next_port: u16,
    /// How often each call has been opened.
    generations: Vec<u32>,
    /// Keeps the workers running.
    _dataplane: Dataplane,
}

impl Ringway {
    pub(super) fn start(arguments: &SubjectArguments) -> Result<Self, Failure> {
        let workers = arguments.cores.iter().map(|core| WorkerConfig {
            core: Some(*core),
            browser_bind: SocketAddr::from((arguments.address, 0)),
            trunk_bind: IpAddr::V4(arguments.address),
        });
        let dataplane = dataplane::start(DataplaneConfig {
            workers: workers.collect(),
            flows_max: 2 * usize::from(arguments.calls),
            silent_after: Duration::from_secs(3600),
            backend: match &arguments.backend {
                Some(name) => name.parse()?,
                None => BackendChoice::Auto,
            },
            io: read_io(&arguments.io)?,
        })?;
        Ok(Self {
            workers: dataplane.workers.clone(),
            random: Random::from_system()?,
            next_port: FIRST_PORT,
            generations: vec![0; usize::from(arguments.calls)],
            _dataplane: dataplane,
        })
    }

    /// The flows of a call: browser and trunk.
    fn flows(&self, call: u16) -> Result<[FlowId; 2], Failure> {
        let index = usize::from(call) % self.workers.len().max(1);
        let generation = *self
            .generations
            .get(usize::from(call))
            .ok_or("no such call")?;
        let worker = u16::try_from(index)?;
        Ok([2 * call, 2 * call + 1].map(|slot| FlowId {
            worker,
            slot,
            generation,
        }))
    }

    fn worker(&self, flow: FlowId) -> Result<&WorkerHandle, Failure> {
        Ok(self
            .workers
            .get(usize::from(flow.worker))
            .ok_or("no such worker")?)
    }

    fn open_flow(&self, open: OpenFlow) -> Result<Result<(), RefuseReason>, Failure> {
        let flow = open.flow;
        self.send(flow, Command::OpenFlow(open))?;
        self.await_event(flow, |event| match event {
            Event::FlowOpened { flow: opened } if *opened == flow => Some(Ok(())),
            Event::Refused {
                flow: refused,
                reason,
            } if *refused == flow => Some(Err(*reason)),
            Event::FlowOpened { .. }
            | Event::Refused { .. }
            | Event::PeerSelected { .. }
            | Event::MediaStarted { .. }
            | Event::MediaRefused { .. }
            | Event::MediaSilent { .. }
            | Event::Digit { .. }
            | Event::FlowClosed { .. }
            | Event::WorkerLost { .. }
            | Event::WorkerRuns { .. } => None,
        })
    }

    fn open_trunk(&mut self, flow: FlowId, address: IpAddr) -> Result<SocketAddrV4, Failure> {
        loop {
            let rtp_port = self.next_port;
            self.next_port = rtp_port.checked_add(2).unwrap_or(FIRST_PORT);
            let kind = FlowKind::Trunk(TrunkFlow { rtp_port });
            match self.open_flow(OpenFlow { flow, kind })? {
                Ok(()) => return v4(SocketAddr::new(address, rtp_port)),
                // Some other program has it.
                Err(RefuseReason::PortUnavailable) => {}
                Err(reason) => return Err(format!("flow {flow} was refused: {reason:?}").into()),
            }
        }
    }

    fn send(&self, flow: FlowId, command: Command) -> Result<(), Failure> {
        Ok(self.worker(flow)?.send(command)?)
    }

    /// Takes events of the flow's worker until one is the awaited one.
    fn await_event<T>(
        &self,
        flow: FlowId,
        mut awaited: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let (worker, end) = (self.worker(flow)?, now() + EVENT_DEADLINE);
        loop {
            while let Some(event) = worker.poll_event() {
                if let Some(found) = awaited(&event) {
                    return Ok(found);
                }
            }
            let left = end.saturating_duration_since(now());
            if !worker.is_running() || left.is_zero() {
                return Err("the worker does not answer".into());
            }
            let _woken = worker.wait_events(left);
        }
    }

    fn text(&mut self, chars: usize) -> String {
        self.random.ice_text(chars)
    }
}

/// What a browser flow is made with: made anew for each call.
struct Secrets {
    fragment: String,
    password: String,
    ice: IceCredentials,
    gateway_key: Vec<u8>,
    keys: SrtpKeys,
}

impl Secrets {
    fn open(&self, flow: FlowId) -> OpenFlow {
        let ice = self.ice.clone();
        let kind = FlowKind::Browser(BrowserFlow { ice });
        OpenFlow { flow, kind }
    }
}

impl Ringway {
    /// Begins another use of a call: its flows, with names that were never used.
    fn begin(&mut self, call: u16) -> Result<[FlowId; 2], Failure> {
        let generation = self.generations.get_mut(usize::from(call));
        *generation.ok_or("no such call")? += 1;
        self.flows(call)
    }

    fn secrets(&mut self, call: &OpenCall, profile: SrtpProfile) -> Result<Secrets, Failure> {
        // Unique by the index, and at least as long as RFC 8839 asks for.
        let fragment = format!("{:04x}{}", call.call, self.text(FRAGMENT_CHARS));
        let password = self.text(PASSWORD_CHARS);
        let mut gateway_key = vec![0; profile.key_bytes() + profile.salt_bytes()];
        self.random.fill(&mut gateway_key);
        Ok(Secrets {
            ice: IceCredentials {
                local_fragment: IceFragment::new(&fragment)?,
                local_password: IcePassword::new(&password)?,
                remote_fragment: None,
            },
            keys: SrtpKeys {
                local: master_key(profile, &gateway_key)?,
                remote: master_key(profile, &call.browser_key)?,
            },
            fragment,
            password,
            gateway_key,
        })
    }

    /// Gives the flows of a call what they need to carry it.
    fn connect(
        &self,
        call: &OpenCall,
        [browser, trunk]: [FlowId; 2],
        keys: SrtpKeys,
    ) -> Result<(), Failure> {
        let flow = browser;
        self.send(browser, Command::InstallKeys { flow, keys })?;
        let rtp = SocketAddr::V4(call.trunk);
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1));
        let peer = PeerAddresses { rtp, rtcp };
        self.send(
            trunk,
            Command::SetPeer {
                flow: trunk,
                peer,
                policy: PeerPolicy::default(),
            },
        )?;
        let ssrc = |way| Ssrc(rewritten_ssrc(way, call.call));
        let to_trunk = route(browser, trunk, ssrc(Way::ToTrunk))?;
        self.send(browser, Command::SetRoute(to_trunk))?;
        let to_browser = route(trunk, browser, ssrc(Way::ToBrowser))?;
        self.send(trunk, Command::SetRoute(to_browser))
    }
}

impl Subject for Ringway {
    fn open(&mut self, call: &OpenCall) -> Result<OpenedCall, Failure> {
        let [browser, trunk] = self.begin(call.call)?;
        let profile = SrtpProfile::from_sdes_name(&call.suite).ok_or("no such suite")?;
        let secrets = self.secrets(call, profile)?;
        self.open_flow(secrets.open(browser))?
            .map_err(|reason| format!("{reason:?}"))?;
        let for_browser = v4(self.worker(browser)?.browser_address())?;
        let for_trunk = self.open_trunk(trunk, IpAddr::V4(*for_browser.ip()))?;
        self.connect(call, [browser, trunk], secrets.keys)?;
        Ok(OpenedCall {
            for_browser,
            for_trunk,
            media: Processing::Forwarded {
                gateway_key: secrets.gateway_key,
                ssrc_rewritten: true,
            },
            ice: Some((secrets.fragment, secrets.password)),
        })
    }

    fn close(&mut self, call: u16) -> Result<(), Failure> {
        for flow in self.flows(call)? {
            self.send(flow, Command::CloseFlow { flow })?;
            self.await_event(flow, |event| match event {
                Event::FlowClosed { flow: closed, .. } => (*closed == flow).then_some(()),
                Event::FlowOpened { .. }
                | Event::Refused { .. }
                | Event::PeerSelected { .. }
                | Event::MediaStarted { .. }
                | Event::MediaSilent { .. }
                | Event::Digit { .. }
                | Event::MediaRefused { .. }
                | Event::WorkerLost { .. }
                | Event::WorkerRuns { .. } => None,
            })?;
        }
        Ok(())
    }

    fn churn(&mut self, calls: u32, suite: &str) -> Result<Churned, Failure> {
        self.churn_calls(calls, suite)
    }

    fn usage(&mut self) -> Result<Usage, Failure> {
        let mut usage = usage::of(std::process::id(), THREAD);
        let counters: Vec<_> = self.workers.iter().map(WorkerHandle::counters).collect();
        usage.open_flows = counters.iter().map(|counters| counters.open_flows).sum();
        for reason in DropReason::ALL {
            let count = counters
                .iter()
                .map(|counters| counters.dropped(*reason))
                .sum();
            usage.dropped.push((reason.label().to_owned(), count));
        }
        if self.workers.iter().all(WorkerHandle::is_running) {
            return Ok(usage);
        }
        Err("a worker has ended".into())
    }
}

fn route(from: FlowId, to: FlowId, outgoing_ssrc: Ssrc) -> Result<Route, Failure> {
    let cname = Cname::new("bench").ok_or("the canonical name is too long")?;
    let mut payload_types = PayloadTypeMap::default();
    let _room = payload_types.push(PAYLOAD_TYPE, PAYLOAD_TYPE);
    Ok(Route {
        from,
        media: Media::Audio,
        to,
        payload_types,
        outgoing_ssrc,
        clock_hz: CLOCK_HZ,
        feedback: Feedback::NONE,
        cname,
    })
}

/// Of a key and a salt behind each other.
pub(crate) fn master_key(profile: SrtpProfile, bytes: &[u8]) -> Result<MasterKey, Failure> {
    let (key, salt) = bytes
        .split_at_checked(profile.key_bytes())
        .ok_or("the key is too short")?;
    Ok(MasterKey::new(profile, key, salt)?)
}

fn v4(address: SocketAddr) -> Result<SocketAddrV4, Failure> {
    match address {
        SocketAddr::V4(v4) => Ok(v4),
        SocketAddr::V6(v6) => Err(format!("{v6} is not IPv4").into()),
    }
}
