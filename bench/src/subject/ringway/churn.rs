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
        for wave in 0..waves {
            // The slots of this wave are those of the last but one.
            self.await_closed(&mut account, wave.saturating_sub(1))?;
            let first = if wave % 2 == 0 { 0 } else { WAVE_CALLS };
            for call in first..first + WAVE_CALLS {
                self.set_up_and_end(call, profile)?;
            }
        }
        self.await_closed(&mut account, waves)?;
        let seconds = (now() - begin).as_secs_f64();
        if account.opened == account.closed {
            let calls = account.opened / 2;
            return Ok(Churned { calls, seconds });
        }
        Err(format!("{} flows opened, {} closed", account.opened, account.closed).into())
    }

    fn set_up_and_end(&mut self, call: u16, profile: SrtpProfile) -> Result<(), Failure> {
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
        self.connect(&asked, [browser, trunk], secrets.keys)?;
        for flow in [browser, trunk] {
            self.send(flow, Command::CloseFlow { flow })?;
        }
        Ok(())
    }

    /// Takes events until so many waves of calls are closed.
    fn await_closed(&self, account: &mut Account, waves: u32) -> Result<(), Failure> {
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
                    | Event::MediaSilent { .. } => {}
                }
            }
            if account.closed >= awaited {
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
