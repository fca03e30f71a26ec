//! What the next packets will need, before they need it.
//!
//! With hundreds of calls their state does not fit the first caches, and a packet would wait for
//! one line after the other: each says where the next one lies. Those of several packets can be
//! fetched side by side.

use std::net::SocketAddr;

use crypto::srtp::Visitor;

use super::Engine;
use super::flow::Flow;
use super::verdict::SocketId;
use crate::limits::PACKETS_FORESEEN_MAX;

impl Engine {
    /// Shows where that lies which the given packets will need: their flows, those that they go to,
    /// and the keys of both; for the caches to fetch. Returns for how many packets (the first ones,
    /// at most [`PACKETS_FORESEEN_MAX`]). Changes nothing, and may be wrong: a packet before may
    /// change where one goes.
    pub fn foresee(
        &self,
        packets: impl Iterator<Item = (SocketId, SocketAddr)>,
        visitor: &mut impl Visitor,
    ) -> usize {
        let mut arrivals: [Option<&Flow>; PACKETS_FORESEEN_MAX] = [None; PACKETS_FORESEEN_MAX];
        let mut count = 0;
        for (place, (socket, source)) in arrivals.iter_mut().zip(packets) {
            let slot = match socket {
                SocketId::Browser => self.table.by_source(source),
                SocketId::TrunkRtp(slot) | SocketId::TrunkRtcp(slot) => Some(slot),
            };
            *place = slot.and_then(|slot| self.table.at(slot));
            if let Some(flow) = place {
                flow.show_arrival(visitor);
            }
            count += 1;
        }
        // Each step reads what the one before has had fetched.
        let departures = arrivals.map(|flow| {
            let flow = flow?;
            flow.show_receiver(visitor);
            let to = self.table.at(flow.audio.known_route()?.to.slot)?;
            to.show_departure(visitor);
            Some(to)
        });
        for flow in departures.into_iter().flatten() {
            flow.show_sender(visitor);
        }
        count
    }
}

/// That of a packet of video is the same, but for its medium.
impl Flow {
    fn show_arrival(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.opened_at);
        self.audio.show_arrival(visitor);
    }

    fn show_departure(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.id);
        visitor.visit(&self.opened_at);
        self.audio.sending.show(visitor);
    }

    fn show_receiver(&self, visitor: &mut impl Visitor) {
        if let Some(contexts) = &self.contexts {
            contexts.receiver.show_rtp(visitor);
        }
    }

    fn show_sender(&self, visitor: &mut impl Visitor) {
        if let Some(contexts) = &self.contexts {
            contexts.sender.show_rtp(visitor);
        }
    }
}
