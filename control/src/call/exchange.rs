//! Legs that change from one call to another: what joins a transferred peer with its new one.

use super::alarms::Alarm;
use super::leg::Leg;
use super::{Call, CallId, Calls, Party};
use crate::engine::input::{ConnectionId, Peer};

/// One side of one call.
pub(super) type Place = (CallId, Party);

impl Calls {
    /// The legs at two places, of different calls, take each other's; one of them may be empty.
    /// Everything that they are found by follows. What was under way between either leg and its
    /// other side has been ended before.
    pub(super) fn exchange_legs(&mut self, one: Place, other: Place) {
        assert!(one.0 != other.0, "legs of one call");
        self.forget_connections([one.0, other.0]);
        let (first, second) = (self.take_leg(one), self.take_leg(other));
        self.put_leg(other, first);
        self.put_leg(one, second);
        self.exchange_counted(one, other);
        for alarm in [Alarm::Refresh, Alarm::Expire, Alarm::MediaClosed] {
            let (first, second) = ((one.0, alarm(one.1)), (other.0, alarm(other.1)));
            self.alarms.exchange(first, second);
        }
        self.note_connections([one.0, other.0]);
    }

    fn take_leg(&mut self, (id, party): Place) -> Option<Leg> {
        self.calls.get_mut(&id)?.slot(party).take()
    }

    fn put_leg(&mut self, place: Place, leg: Option<Leg>) {
        let (id, party) = place;
        if let Some(leg) = &leg {
            let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
            self.by_dialog.insert(key, place);
            for flow in leg.flows() {
                self.by_flow.insert(flow.flow, id);
            }
            if let Some(refresh) = leg.refresh.and_then(|sent| self.refreshes.get_mut(&sent)) {
                refresh.moved(id, party);
            }
            if let Some(sent) = leg
                .reinvite
                .and_then(|sent| self.by_reinvite.get_mut(&sent))
            {
                sent.moved(id, party);
            }
            if let Some(sent) = leg.digit_infos.sent {
                self.digit_infos.insert(sent, place);
            }
        }
        if let Some(call) = self.calls.get_mut(&id) {
            *call.slot(party) = leg;
        }
    }

    fn exchange_counted(&mut self, one: Place, other: Place) {
        let counted = |calls: &Self, id| calls.calls.get(&id).map(|call: &Call| call.counted);
        let (Some(mut first), Some(mut second)) = (counted(self, one.0), counted(self, other.0))
        else {
            return;
        };
        let (side, other_side) = (first.side(one.1), second.side(other.1));
        first.set(one.1, other_side);
        second.set(other.1, side);
        for (id, counted) in [(one.0, first), (other.0, second)] {
            if let Some(call) = self.calls.get_mut(&id) {
                call.counted = counted;
            }
        }
    }

    fn forget_connections(&mut self, ids: [CallId; 2]) {
        for (connection, id) in self.connections_of(ids) {
            self.by_connection.remove(&(connection, id));
        }
    }

    fn note_connections(&mut self, ids: [CallId; 2]) {
        let all = self.connections_of(ids);
        self.by_connection.extend(all);
    }

    fn connections_of(&self, ids: [CallId; 2]) -> Vec<(ConnectionId, CallId)> {
        let calls = ids.iter().filter_map(|id| self.calls.get(id));
        let legs = calls.flat_map(|call| call.legs().map(|(_, leg)| (leg.peer, call.id)));
        legs.filter_map(|(peer, id)| match peer {
            Peer::WebSocket(connection) => Some((connection, id)),
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => None,
        })
        .collect()
    }
}

impl Call {
    /// The place of a leg.
    const fn slot(&mut self, party: Party) -> &mut Option<Leg> {
        match party {
            Party::Caller => &mut self.caller,
            Party::Callee => &mut self.callee,
        }
    }
}
