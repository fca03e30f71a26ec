//! Requests that are too large for a datagram: they go over a connection, and come back from there
//! if none can be had (RFC 3261 section 18.1.1).

use super::client::Start;
use super::{
    Client, ClientMachine, ClientTransactionId, Either, HeaderName, Instant, Message, Peer,
    Transactions, Way, key,
};
use crate::sip::limits::DATAGRAM_REQUEST_BYTES_MAX;

/// "If a request … is larger than 1300 bytes and the path MTU is unknown, the request MUST be sent
/// using an RFC 2914 congestion controlled transport protocol, such as TCP."
pub(super) fn is_too_large(request: &Message) -> bool {
    request.to_bytes().len() > DATAGRAM_REQUEST_BYTES_MAX
}

/// Says in the top Via that a request goes this way, and returns to whom that is.
pub(super) fn turn(request: &mut Message, branch: &str, way: &Way) -> Peer {
    request.replace_first_value(HeaderName::Via, &key::own_via(&way.via, branch));
    way.peer
}

impl Client {
    /// Has nobody shown that the request arrived, and does somebody still want an answer?
    fn may_fall_back(&self) -> bool {
        let is_wanted = match &self.machine {
            ClientMachine::Invite(machine) => machine.is_unheard() && !machine.is_cancelled(),
            ClientMachine::Other(machine) => machine.is_unheard(),
        };
        is_wanted && !self.is_internal
    }
}

impl Transactions {
    /// Sends the requests that went to this peer for their size, and that nothing has answered, the
    /// way that they would have gone otherwise, under the same names and branches: who has them
    /// after all sees them as repetitions.
    pub fn fall_back(&mut self, now: Instant, peer: Peer) {
        for either in self.of_connection(peer) {
            match either {
                Either::Client(id) => self.fall_back_client(now, id),
                Either::Server(_) => {}
            }
        }
    }

    fn fall_back_client(&mut self, now: Instant, id: ClientTransactionId) {
        let client = self.clients.get(&id);
        if !client.is_some_and(|client| client.fallback.is_some() && client.may_fall_back()) {
            return;
        }
        let Some(mut client) = self.remove_client(id) else {
            return;
        };
        let (Some(way), Some(mut request)) = (client.fallback.take(), client.request) else {
            return;
        };
        let branch = client.branch;
        let peer = turn(&mut request, &branch, &way);
        let start = Start {
            id,
            peer,
            timers: client.timers,
            account: client.account,
            tries: client.tries,
            fallback: None,
        };
        self.begin_client(now, start, request, branch, false);
    }
}
