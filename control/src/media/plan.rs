//! The plan of a call's media: one worker for both legs, a flow per leg and medium.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crypto::random::Random;
use dataplane::link::{
    BrowserFlow, FlowId, FlowKind, IceCredentials, IceFragment, IcePassword, OpenFlow, TrunkFlow,
};

use super::ports::{PortPairs, Slots};
use crate::limits::{ICE_FRAGMENT_LENGTH, ICE_PASSWORD_LENGTH};

/// Where one worker can be reached, as told to peers.
#[derive(Clone, Debug)]
pub struct WorkerAddresses {
    /// Candidate address for browsers.
    pub browser: SocketAddr,
    /// Address in `c=` lines towards trunks.
    pub trunk: IpAddr,
    /// Its share of the trunk-facing ports.
    pub ports: RangeInclusive<u16>,
}

/// A flow that has been planned and must now be opened.
#[derive(Debug)]
pub struct PlannedFlow {
    /// Its name.
    pub flow: FlowId,
    /// Address and port that its peer is told to send to.
    pub local: SocketAddr,
    /// Our ICE credentials; browser flows only.
    pub ice: Option<IceCredentials>,
}

/// No worker has room for the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Knows which slots and ports of which worker are free.
#[derive(Debug)]
pub struct MediaPlanner {
    workers: Vec<WorkerPlan>,
    /// The RTP port of each open trunk flow.
    port_by_flow: BTreeMap<FlowId, u16>,
}

#[derive(Debug)]
struct WorkerPlan {
    addresses: WorkerAddresses,
    slots: Slots,
    ports: PortPairs,
}

impl MediaPlanner {
    /// One entry per worker, each with `flows_max` slots.
    #[must_use]
    pub fn new(workers: &[WorkerAddresses], flows_max: u16) -> Self {
        let plan = |(index, addresses): (u16, &WorkerAddresses)| WorkerPlan {
            addresses: addresses.clone(),
            slots: Slots::new(index, flows_max),
            ports: PortPairs::new(addresses.ports.clone()),
        };
        let workers = (0u16..).zip(workers).map(plan).collect();
        Self {
            workers,
            port_by_flow: BTreeMap::new(),
        }
    }

    /// The worker with the most free slots among those with room for such a call.
    ///
    /// # Errors
    /// No worker has as many slots and port pairs left.
    pub fn choose_worker(&self, browser_flows: usize, trunk_flows: usize) -> Result<u16, NoRoom> {
        let needed = browser_flows + trunk_flows;
        let has_room = |plan: &&WorkerPlan| {
            plan.slots.free_count() >= needed && plan.ports.free_count() >= trunk_flows
        };
        let best = (0u16..)
            .zip(&self.workers)
            .filter(|(_, plan)| has_room(plan));
        best.max_by_key(|(_, plan)| plan.slots.free_count())
            .map(|(index, _)| index)
            .ok_or(NoRoom)
    }

    /// Tells whether a worker has room for so many flows of each kind.
    #[must_use]
    pub fn has_room(&self, worker: u16, browser_flows: usize, trunk_flows: usize) -> bool {
        self.workers.get(usize::from(worker)).is_some_and(|plan| {
            plan.slots.free_count() >= browser_flows + trunk_flows
                && plan.ports.free_count() >= trunk_flows
        })
    }

    /// Plans a browser flow on a worker.
    ///
    /// # Errors
    /// The worker has no slot left.
    pub fn browser_flow(
        &mut self,
        worker: u16,
        remote_fragment: Option<IceFragment>,
        random: &mut Random,
    ) -> Result<PlannedFlow, NoRoom> {
        let plan = self.workers.get_mut(usize::from(worker)).ok_or(NoRoom)?;
        let ice = fresh_ice(remote_fragment, random).ok_or(NoRoom)?;
        let flow = plan.slots.take().ok_or(NoRoom)?;
        Ok(PlannedFlow {
            flow,
            local: plan.addresses.browser,
            ice: Some(ice),
        })
    }

    /// Plans a trunk flow on a worker.
    ///
    /// # Errors
    /// The worker has no slot or no port pair left.
    pub fn trunk_flow(&mut self, worker: u16) -> Result<PlannedFlow, NoRoom> {
        let plan = self.workers.get_mut(usize::from(worker)).ok_or(NoRoom)?;
        let port = plan.ports.take().ok_or(NoRoom)?;
        let Some(flow) = plan.slots.take() else {
            plan.ports.give_back(port);
            return Err(NoRoom);
        };
        self.port_by_flow.insert(flow, port);
        Ok(PlannedFlow {
            flow,
            local: SocketAddr::new(plan.addresses.trunk, port),
            ice: None,
        })
    }

    /// How many flows are planned or open.
    #[must_use]
    pub fn flows(&self) -> usize {
        self.workers
            .iter()
            .map(|plan| plan.slots.taken_count())
            .sum()
    }

    /// How many port pairs are in use.
    #[must_use]
    pub fn port_pairs(&self) -> usize {
        self.port_by_flow.len()
    }

    /// A flow is closed, or was refused: its slot and port may be used again. Harmless when
    /// repeated.
    pub fn released(&mut self, flow: FlowId) {
        let Some(plan) = self.workers.get_mut(usize::from(flow.worker)) else {
            return;
        };
        if let Some(port) = self.port_by_flow.remove(&flow) {
            plan.ports.give_back(port);
        }
        plan.slots.give_back(flow);
    }

    /// The flows that a worker has, or is about to open or close.
    #[must_use]
    pub fn flows_of(&self, worker: u16) -> Vec<FlowId> {
        let plan = self.workers.get(usize::from(worker));
        plan.into_iter()
            .flat_map(|plan| plan.slots.flows())
            .collect()
    }

    /// The command's content that opens a planned flow.
    #[must_use]
    pub fn open(planned: &PlannedFlow) -> OpenFlow {
        let kind = match &planned.ice {
            Some(ice) => FlowKind::Browser(BrowserFlow { ice: ice.clone() }),
            None => FlowKind::Trunk(TrunkFlow {
                rtp_port: planned.local.port(),
            }),
        };
        OpenFlow {
            flow: planned.flow,
            kind,
        }
    }
}

/// New credentials of ours (RFC 8445 section 5.3: at least 24 and 128 bits of randomness). `None`
/// only if our lengths were outside of what the data plane takes.
pub fn fresh_ice(
    remote_fragment: Option<IceFragment>,
    random: &mut Random,
) -> Option<IceCredentials> {
    Some(IceCredentials {
        local_fragment: IceFragment::new(&random.ice_text(ICE_FRAGMENT_LENGTH)).ok()?,
        local_password: IcePassword::new(&random.ice_text(ICE_PASSWORD_LENGTH)).ok()?,
        remote_fragment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planner(flows: u16, ports: RangeInclusive<u16>) -> MediaPlanner {
        let addresses = WorkerAddresses {
            browser: "192.0.2.1:20000".parse().unwrap(),
            trunk: "198.51.100.1".parse().unwrap(),
            ports,
        };
        MediaPlanner::new(&[addresses], flows)
    }

    #[test]
    fn refuses_before_any_state_when_ports_are_used_up() {
        let mut planner = planner(64, 30_000..=30_001);
        assert_eq!(planner.choose_worker(1, 1), Ok(0));
        let flow = planner.trunk_flow(0).unwrap();
        assert_eq!(flow.local, "198.51.100.1:30000".parse().unwrap());
        assert_eq!(planner.choose_worker(1, 1), Err(NoRoom));
        planner.released(flow.flow);
        assert_eq!(planner.choose_worker(1, 1), Ok(0));
    }

    #[test]
    fn refuses_when_slots_are_used_up() {
        let mut planner = planner(2, 30_000..=31_000);
        let mut random = Random::seeded(1);
        assert!(planner.choose_worker(1, 1).is_ok());
        planner.browser_flow(0, None, &mut random).unwrap();
        assert_eq!(planner.choose_worker(1, 1), Err(NoRoom));
    }

    #[test]
    fn every_browser_flow_has_credentials_of_its_own() {
        let mut planner = planner(8, 30_000..=31_000);
        let mut random = Random::seeded(1);
        let first = planner.browser_flow(0, None, &mut random).unwrap();
        let second = planner.browser_flow(0, None, &mut random).unwrap();
        let fragment = |flow: &PlannedFlow| flow.ice.as_ref().unwrap().local_fragment;
        assert_ne!(fragment(&first), fragment(&second));
    }
}
