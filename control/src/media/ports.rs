//! Flow slots and RTP port pairs of one worker.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use dataplane::link::FlowId;

/// The free flow slots of one worker, each with the generation of its next use.
#[derive(Debug)]
pub struct Slots {
    worker: u16,
    free: VecDeque<(u16, u32)>,
    /// The generation of the flow in each slot; `None` while it is free.
    taken: Vec<Option<u32>>,
}

impl Slots {
    /// All slots free. `count` is bounded by the worker's flow table.
    #[must_use]
    pub fn new(worker: u16, count: u16) -> Self {
        let free = (0..count).map(|slot| (slot, 0)).collect();
        Self {
            worker,
            free,
            taken: vec![None; usize::from(count)],
        }
    }

    /// Takes the slot that has been free for longest; `None` when all are in use.
    pub fn take(&mut self) -> Option<FlowId> {
        let (slot, generation) = self.free.pop_front()?;
        *self.taken.get_mut(usize::from(slot))? = Some(generation);
        Some(FlowId {
            worker: self.worker,
            slot,
            generation,
        })
    }

    /// Gives the slot of a closed flow back. Does nothing for a flow that has no slot (any more):
    /// two flows in one slot would be two calls that hear each other.
    pub fn give_back(&mut self, flow: FlowId) {
        let Some(taken) = self.taken.get_mut(usize::from(flow.slot)) else {
            return;
        };
        if *taken == Some(flow.generation) {
            *taken = None;
            self.free
                .push_back((flow.slot, flow.generation.wrapping_add(1)));
        }
    }

    /// The flows that have a slot.
    pub fn flows(&self) -> impl Iterator<Item = FlowId> {
        let worker = self.worker;
        (0..).zip(&self.taken).filter_map(move |(slot, taken)| {
            taken.map(|generation| FlowId {
                worker,
                slot,
                generation,
            })
        })
    }

    /// How many slots are in use.
    #[must_use]
    pub fn taken_count(&self) -> usize {
        self.taken.len() - self.free.len()
    }

    /// How many slots are free.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }
}

/// The free RTP port pairs of one worker. The port that has been free for longest is taken next,
/// so that late packets of an ended call do not meet a new one.
#[derive(Debug)]
pub struct PortPairs {
    free: VecDeque<u16>,
}

impl PortPairs {
    /// The pairs (even RTP port, RTCP on the next) that lie whole in the range.
    #[must_use]
    pub fn new(range: RangeInclusive<u16>) -> Self {
        let end = *range.end();
        let pairs = range.filter(|port| port % 2 == 0 && *port != 0 && *port < end);
        Self {
            free: pairs.collect(),
        }
    }

    /// Takes a pair, by its RTP port.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a pair back.
    pub fn give_back(&mut self, port: u16) {
        debug_assert!(!self.free.contains(&port), "given back twice");
        self.free.push_back(port);
    }

    /// How many pairs are free.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_comes_back_with_another_generation() {
        let mut slots = Slots::new(3, 1);
        let first = slots.take().unwrap();
        assert_eq!(slots.take(), None);
        slots.give_back(first);
        let second = slots.take().unwrap();
        assert_eq!((second.worker, second.slot), (3, first.slot));
        assert_ne!(second.generation, first.generation);
    }

    #[test]
    fn a_slot_given_back_twice_is_free_once() {
        let mut slots = Slots::new(0, 2);
        let first = slots.take().unwrap();
        slots.give_back(first);
        slots.give_back(first);
        assert_eq!(slots.free_count(), 2);
        slots.take().unwrap();
        let again = slots.take().unwrap();
        assert_eq!(again.slot, first.slot);
        slots.give_back(first);
        assert_eq!(
            slots.free_count(),
            0,
            "an older flow does not free the slot of a newer one"
        );
    }

    #[test]
    fn pairs_start_even_and_lie_whole_in_the_range() {
        let mut ports = PortPairs::new(30_001..=30_006);
        assert_eq!(ports.take(), Some(30_002));
        assert_eq!(ports.take(), Some(30_004));
        assert_eq!(ports.take(), None);
    }

    #[test]
    fn the_port_free_for_longest_is_taken_next() {
        let mut ports = PortPairs::new(50_000..=50_005);
        let first = ports.take().unwrap();
        ports.give_back(first);
        assert_eq!(ports.take(), Some(50_002));
    }
}
