//! One medium of a flow: what is received of it, where it goes, and how it is renumbered.

use std::time::Duration;

use crypto::srtp::Visitor;

use super::numbering::Arrival;
use super::reception::Reception;
use super::rewrite::{Place, Rewrite};
use super::sending::Sending;
use super::verdict::DropReason;
use crate::link::{Feedback, FlowId, PayloadTypeMap, Route, StreamTotals};
use crate::wire::rtp::RtpHeader;

/// What of a [`Route`] is needed for its packets.
pub(super) struct KnownRoute {
    pub(super) to: FlowId,
    pub(super) outgoing_ssrc: u32,
    pub(super) clock_hz: u32,
    pub(super) payload_types: PayloadTypeMap,
    pub(super) feedback: Feedback,
}

impl KnownRoute {
    const fn new(route: &Route) -> Self {
        Self {
            to: route.to,
            outgoing_ssrc: route.outgoing_ssrc.0,
            clock_hz: route.clock_hz,
            payload_types: route.payload_types,
            feedback: route.feedback,
        }
    }
}

/// Whether what arrives goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    /// No: there is no route, or the medium is on hold.
    #[default]
    Closed,
    /// Yes.
    Open,
    /// Not now: a digit is sent in its place.
    Replaced,
}

/// One medium of one flow. A packet that arrives touches one cache line of each of the first three,
/// one that leaves the first line of the last.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Medium {
    /// Where what arrives goes. Kept during hold, so that the medium is still recognised.
    route: Option<KnownRoute>,
    gate: Gate,
    /// The flow whose medium is sent to this one's peer: reports from here are about it.
    pub(super) sender: Option<FlowId>,
    pub(super) rewrite: Rewrite,
    pub(super) reception: Reception,
    /// What is sent of the medium to this one's peer.
    pub(super) sending: Sending,
}

impl Medium {
    /// False if the stream that it makes is another one than before. `place` is where that one has
    /// got to, if some of it has left already.
    pub(super) fn set_route(&mut self, route: &Route, place: Option<Place>) -> bool {
        let continues = self
            .route
            .as_ref()
            .is_some_and(|old| old.to == route.to && old.outgoing_ssrc == route.outgoing_ssrc.0);
        if !continues {
            self.rewrite.leave_as(place);
        }
        self.route = Some(KnownRoute::new(route));
        if !continues || self.gate == Gate::Closed {
            self.gate = Gate::Open;
        }
        continues
    }

    pub(super) fn clear_route(&mut self) {
        self.gate = Gate::Closed;
    }

    /// A digit begins or ends; of no consequence while the route is not in use.
    pub(super) fn replace(&mut self, by_digit: bool) {
        self.gate = match (self.gate, by_digit) {
            (Gate::Closed, _) => Gate::Closed,
            (Gate::Open | Gate::Replaced, true) => Gate::Replaced,
            (Gate::Open | Gate::Replaced, false) => Gate::Open,
        };
    }

    /// Takes in an authentic packet, whether it goes on or not: its numbers and the statistics.
    pub(super) fn take(&mut self, header: &RtpHeader, since_open: Duration) -> Arrival {
        let clock_hz = self.route.as_ref().map_or(0, |route| route.clock_hz);
        let arrival = self.rewrite.take(header, clock_hz);
        self.reception
            .observe(header, arrival, since_open, clock_hz);
        arrival
    }

    /// Takes note of a packet that has no [`Medium::open_route`], and says why.
    #[cold]
    pub(super) fn withhold(&mut self, arrival: Arrival) -> DropReason {
        self.rewrite.skip(arrival);
        match self.gate {
            Gate::Closed | Gate::Open => DropReason::NoRoute,
            Gate::Replaced => DropReason::DigitInstead,
        }
    }

    /// What a packet that arrives touches.
    pub(super) fn show_arrival(&self, visitor: &mut impl Visitor) {
        visitor.visit(&self.route);
        visitor.visit(&self.rewrite);
        self.reception.show(visitor);
    }

    /// The route, whether in use or not.
    pub(super) fn known_route(&self) -> Option<&KnownRoute> {
        self.route.as_ref()
    }

    /// The route, if in use.
    pub(super) fn route(&self) -> Option<&KnownRoute> {
        self.route.as_ref().filter(|_| self.gate != Gate::Closed)
    }

    /// The route, if packets go along it now.
    pub(super) fn open_route(&self) -> Option<&KnownRoute> {
        self.route.as_ref().filter(|_| self.gate == Gate::Open)
    }

    /// True once a packet came from the peer or went to it.
    pub(super) fn is_alive(&self) -> bool {
        self.reception.ssrc.is_some() || self.sending.ssrc().is_some()
    }

    /// `since_open` after the flow was opened.
    pub(super) fn totals(&self, since_open: Duration) -> StreamTotals {
        let mut totals = StreamTotals::default();
        self.reception.add_to(&mut totals, since_open);
        self.sending.add_to(&mut totals);
        totals
    }
}
