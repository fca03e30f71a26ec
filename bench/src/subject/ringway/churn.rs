//! How many calls a worker sets up and ends in a second, when nothing else is asked of it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crypto::keys::SrtpProfile;
use dataplane::link::{Command, Event, FlowKind, OpenFlow, TrunkFlow};

use super::{EVENT_DEADLINE, FIRST_PORT, Ringway};
use crate::Failure;
use crate::clock::now;
use crate::subject::{Churned, OpenCall};

/// Calls that are asked for at a time. While the worker has one half of the slots, the other half
/// is filled again.
const WAVE_CALLS: u16 = 64;
/// Slots that are used: [`Scenario::calls`](crate::scenario::Scenario) must allow so many calls.
pub(crate) const CHURN_SLOTS: u16 = 2 * WAVE_CALLS;
/// In 198.18.0.0/15, which is kept for measurements (RFC 2544); nothing is sent to them.
const BROWSER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 19, 0, 1), 40_000);
const TRUNK: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, 2), 10_000);

/// Flows that the worker has made and ended.
#[derive(Default)]
struct Account {
    opened: u32,
    closed: u32,
}

impl Ringway {
    /// Opens, keys, routes and closes so many calls on the first worker, which must have none: both
    /// flows of each with their sockets, keys of its own both ways, a peer and two routes.
    pub(super) fn churn_calls(&mut self, calls: u32, suite: &str) -> Result<Churned, Failure> {
        let profile = SrtpProfile::from_sdes_name(suite).ok_or("no such suite")?;
        let waves = calls.div_ceil(WAVE_CALLS.into()).max(2);
        let mut account = Account::default();
        let begin = now();
        for wave in 0..=waves {
            if wave < waves {
                // The slots of this wave are those of the last but one.
                self.await_flows(&mut account, |flows| flows.closed, wave.saturating_sub(1))?;
                for call in slots(wave) {
                    self.set_up(call, profile)?;
                }
            }
            if let Some(last) = wave.checked_sub(1) {
                self.await_flows(&mut account, |flows| flows.opened, wave)?;
                for flow in slots(last).map(|call| self.flows(call)) {
                    for flow in flow? {
                        self.send(flow, Command::CloseFlow { flow })?;
                    }
                }
            }
        }
        self.await_flows(&mut account, |flows| flows.closed, waves)?;
        let seconds = (now() - begin).as_secs_f64();
        let calls = account.closed / 2;
        Ok(Churned { calls, seconds })
    }

    fn set_up(&mut self, call: u16, profile: SrtpProfile) -> Result<(), Failure> {
        let mut browser_key = vec![0; profile.key_bytes() + profile.salt_bytes()];
        self.random.fill(&mut browser_key);
        let asked = OpenCall {
            call,
            browser: BROWSER,
            trunk: TRUNK,
            suite: profile.sdes_name().unwrap_or_default().to_owned(),
            browser_key,
        };
        let [browser, trunk] = self.begin(call)?;
        let secrets = self.secrets(&asked, profile)?;
        let rtp_port = FIRST_PORT + 2 * call;
        let kind = FlowKind::Trunk(TrunkFlow { rtp_port });
        self.send(browser, Command::OpenFlow(secrets.open(browser)))?;
        self.send(trunk, Command::OpenFlow(OpenFlow { flow: trunk, kind }))?;
        self.connect(&asked, [browser, trunk], secrets.keys)
    }

    /// Takes events until all flows of so many waves are counted.
    fn await_flows(
        &self,
        account: &mut Account,
        counted: impl Fn(&Account) -> u32,
        waves: u32,
    ) -> Result<(), Failure> {
        let worker = self.workers.first().ok_or("no worker")?;
        let (awaited, end) = (waves * 2 * u32::from(WAVE_CALLS), now() + EVENT_DEADLINE);
        loop {
            while let Some(event) = worker.poll_event() {
                match event {
                    Event::FlowOpened { .. } => account.opened += 1,
                    Event::FlowClosed { .. } => account.closed += 1,
                    Event::Refused { flow, reason } => {
                        return Err(format!("flow {flow} was refused: {reason:?}").into());
                    }
                    Event::PeerSelected { .. }
                    | Event::MediaStarted { .. }
                    | Event::MediaSilent { .. }
                    | Event::Digit { .. }
                    | Event::MediaRefused { .. }
                    | Event::WorkerRuns { .. } => {}
                    Event::WorkerLost { why, .. } => return Err(why.into()),
                }
            }
            if counted(account) >= awaited {
                return Ok(());
            }
            let left = end.saturating_duration_since(now());
            if !worker.is_running() || left.is_zero() {
                return Err("the worker does not answer".into());
            }
            let _woken = worker.wait_events(left);
        }
    }
}

/// The calls of a wave: one half of the slots, then the other.
fn slots(wave: u32) -> std::ops::Range<u16> {
    let first = if wave.is_multiple_of(2) {
        0
    } else {
        WAVE_CALLS
    };
    first..first + WAVE_CALLS
}
