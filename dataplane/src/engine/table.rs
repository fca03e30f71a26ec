//! Where flows are found: by slot, by our ICE user fragment, and by the peer's proven address.

use std::net::{IpAddr, SocketAddr};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::flow::Flow;
use crate::limits::{FLOWS_PER_WORKER_MAX, VALIDATED_PEERS_PER_FLOW_MEAN_MAX};
use crate::link::{FlowId, IceFragment};

/// IP address and port, in half of the room that a [`SocketAddr`] has: the table has a place for
/// each of many thousand addresses. (Link-local peers of several interfaces that have the same
/// address and port would be taken for one.)
type SourceKey = [u8; 18];

fn key(address: SocketAddr) -> SourceKey {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut key = [0; 18];
    let (place, port) = key.split_at_mut(16);
    place.copy_from_slice(&ip.octets());
    port.copy_from_slice(&address.port().to_be_bytes());
    key
}

/// The flows of one worker. Allocated once: the map that packets change has twice the room of what
/// it may hold, so that it cleans up in place and never grows. The one that only commands change
/// may, when nearly all flows are browsers and all restart ICE at once.
pub(super) struct Table {
    slots: Box<[Option<Flow>]>,
    fragments: HashMap<IceFragment, u16, FixedState>,
    sources: HashMap<SourceKey, u16, FixedState>,
    sources_max: usize,
    open_count: usize,
}

impl Table {
    pub(super) fn new(flows_max: usize, seed: u64) -> Self {
        assert!(
            (1..=FLOWS_PER_WORKER_MAX).contains(&flows_max),
            "flows_max out of range"
        );
        let hasher = FixedState::with_seed(seed);
        let sources_max = VALIDATED_PEERS_PER_FLOW_MEAN_MAX * flows_max;
        Self {
            slots: (0..flows_max).map(|_| None).collect(),
            fragments: HashMap::with_capacity_and_hasher(2 * flows_max, hasher.clone()),
            sources: HashMap::with_capacity_and_hasher(2 * sources_max, hasher),
            sources_max,
            open_count: 0,
        }
    }

    pub(super) fn insert(&mut self, flow: Flow) {
        if let Some(place) = self.slots.get_mut(usize::from(flow.id.slot)) {
            debug_assert!(place.is_none(), "the caller asked is_free first");
            *place = Some(flow);
            self.open_count += 1;
        }
    }

    /// Takes a flow out, and with it all that leads to it.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        self.get(id)?;
        let flow = self.slots.get_mut(usize::from(id.slot))?.take()?;
        self.open_count -= 1;
        if let Some(browser) = flow.browser() {
            for fragment in browser.ice().fragments() {
                self.release_fragment(&fragment);
            }
            for address in browser.ice().addresses() {
                self.release_source(address);
            }
        }
        Some(flow)
    }

    /// True if the fragment now leads to the slot; false if it leads to another one.
    pub(super) fn claim_fragment(&mut self, fragment: IceFragment, slot: u16) -> bool {
        match self.fragments.entry(fragment) {
            Entry::Occupied(entry) => *entry.get() == slot,
            Entry::Vacant(entry) => {
                entry.insert(slot);
                true
            }
        }
    }

    pub(super) fn release_fragment(&mut self, fragment: &IceFragment) {
        self.fragments.remove(fragment);
    }

    /// False when the address is new and there are too many.
    pub(super) fn has_room_for(&self, address: SocketAddr) -> bool {
        self.sources.len() < self.sources_max || self.sources.contains_key(&key(address))
    }

    pub(super) fn set_source(&mut self, address: SocketAddr, slot: u16) {
        self.sources.insert(key(address), slot);
    }

    pub(super) fn release_source(&mut self, address: SocketAddr) {
        self.sources.remove(&key(address));
    }

    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.at_mut(id.slot).filter(|flow| flow.id == id)
    }

    pub(super) fn at_mut(&mut self, slot: u16) -> Option<&mut Flow> {
        self.slots.get_mut(usize::from(slot))?.as_mut()
    }

    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.at(id.slot).filter(|flow| flow.id == id)
    }

    pub(super) fn at(&self, slot: u16) -> Option<&Flow> {
        self.slots.get(usize::from(slot))?.as_ref()
    }

    pub(super) fn is_free(&self, slot: u16) -> bool {
        self.slots
            .get(usize::from(slot))
            .is_some_and(Option::is_none)
    }

    pub(super) fn by_fragment(&self, fragment: &[u8]) -> Option<u16> {
        let fragment = IceFragment::new(std::str::from_utf8(fragment).ok()?).ok()?;
        self.fragments.get(&fragment).copied()
    }

    pub(super) fn by_source(&self, source: SocketAddr) -> Option<u16> {
        self.sources.get(&key(source)).copied()
    }

    pub(super) fn slots_count(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn open_count(&self) -> usize {
        self.open_count
    }

    /// How many names lead to flows: fragments and addresses. Nothing may be left of closed flows.
    #[cfg(test)]
    pub(super) fn names_count(&self) -> (usize, usize) {
        (self.fragments.len(), self.sources.len())
    }
}
