//! The client half of the table.

use super::client_invite::ClientStep;
use super::{
    Bytes, Client, ClientInvite, ClientKey, ClientMachine, ClientOther, ClientTransactionId,
    Duration, Either, HeaderName, Instant, Message, Method, Peer, TimerConfig, TransactionEvent,
    Transactions, ViaParameters, key,
};

impl Transactions {
    /// Sends a request, and repeats it as its transport needs.
    ///
    /// The message has everything but our Via, which is put on top, and Max-Forwards, which
    /// defaults to 70. It is not ACK ([`Transactions::send_ack_2xx`]) nor CANCEL
    /// ([`Transactions::cancel`]). What follows is any count of [`TransactionEvent::Response`],
    /// or one [`TransactionEvent::Timeout`] or [`TransactionEvent::TransportFailed`]; the latter
    /// also if the table is full.
    pub fn send_request(
        &mut self,
        now: Instant,
        peer: Peer,
        message: Message,
        via: &ViaParameters,
    ) -> ClientTransactionId {
        let within = self.config.request_timeout;
        self.send_request_within(now, peer, message, via, within)
    }

    /// As [`Transactions::send_request`], with a timer B or F of its own.
    pub fn send_request_within(
        &mut self,
        now: Instant,
        peer: Peer,
        mut message: Message,
        via: &ViaParameters,
        within: Duration,
    ) -> ClientTransactionId {
        let branch = self.identifiers.branch();
        message.push_front(HeaderName::Via, key::own_via(via, &branch));
        if message.header(HeaderName::MaxForwards).is_none() {
            message.push(HeaderName::MaxForwards, "70");
        }
        if self.is_full() {
            let transaction = ClientTransactionId(self.take_id());
            self.events.push_back(TransactionEvent::TransportFailed {
                transaction,
                peer: None,
            });
            return transaction;
        }
        let config = TimerConfig {
            request_timeout: within,
            ..self.config
        };
        self.begin_client(now, &config, peer, message, branch, false)
    }

    /// Sends an ACK to a 2xx, without a transaction (RFC 3261 section 13.2.2.4). The message has
    /// everything but our Via. Call it again for each repeated 2xx.
    pub fn send_ack_2xx(&mut self, peer: Peer, mut message: Message, via: &ViaParameters) {
        let branch = self.identifiers.branch();
        message.push_front(HeaderName::Via, key::own_via(via, &branch));
        if message.header(HeaderName::MaxForwards).is_none() {
            message.push(HeaderName::MaxForwards, "70");
        }
        self.transmit(peer, Some(message.to_bytes()));
    }

    /// Cancels an INVITE. The CANCEL waits for the first 1xx; if a final response has come, or
    /// the transaction is gone, nothing happens.
    ///
    /// The INVITE still ends with a response (487, or a 2xx that was faster) or, 64·T1 after the
    /// CANCEL, with [`TransactionEvent::Timeout`].
    pub fn cancel(&mut self, now: Instant, transaction: ClientTransactionId) {
        self.cancel_with_reason(now, transaction, None);
    }

    /// Cancels as [`Transactions::cancel`] does, with the value of a Reason header (RFC 3326),
    /// such as `SIP;cause=200;text="Call completed elsewhere"`.
    pub fn cancel_with_reason(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        reason: Option<&str>,
    ) {
        let Some(client) = self.clients.get_mut(&transaction) else {
            return;
        };
        let ClientMachine::Invite(machine) = &mut client.machine else {
            return;
        };
        client.cancel_reason = reason.map(str::to_owned);
        let cancel = machine.cancel(now, &self.config);
        self.finish_client_step(
            now,
            transaction,
            ClientStep {
                cancel,
                ..ClientStep::default()
            },
        );
    }

    /// Tells whether a request of ours has no final response yet.
    #[must_use]
    pub fn is_pending(&self, transaction: ClientTransactionId) -> bool {
        self.clients
            .get(&transaction)
            .is_some_and(|client| match &client.machine {
                ClientMachine::Invite(machine) => !machine.is_answered(),
                ClientMachine::Other(machine) => !machine.is_answered(),
            })
    }

    pub(super) fn handle_response(&mut self, now: Instant, peer: Peer, message: Message) {
        let id = ClientKey::of_response(&message).and_then(|key| self.client_keys.get(&key));
        let found = id.and_then(|id| Some((*id, self.clients.get_mut(id)?)));
        // A response on another connection is not an answer to what went down this one.
        let found = found.filter(|(_, client)| match client.peer {
            Peer::WebSocket(_) => client.peer == peer,
            // A carrier may answer from another address, or on a new connection when ours broke
            // (RFC 3261 section 18.2.2).
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => peer.connection().is_none(),
        });
        let (Some((id, client)), Some(status)) = (found, message.status()) else {
            self.events
                .push_back(TransactionEvent::StrayResponse { peer, message });
            return;
        };
        let mut step = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.handle_response(now, &self.config, status),
            ClientMachine::Other(machine) => machine.handle_response(now, &self.config, status),
        };
        if step.acknowledge {
            let ack = key::hop_ack(&client.request, &message).to_bytes();
            if let ClientMachine::Invite(machine) = &mut client.machine {
                machine.set_ack(ack.clone());
            }
            step.transmit = Some(ack);
        }
        if step.deliver && !client.is_internal {
            let transaction = id;
            self.events.push_back(TransactionEvent::Response {
                transaction,
                peer,
                message,
            });
        }
        self.finish_client_step(now, id, step);
    }

    pub(super) fn client_timeout(&mut self, now: Instant, id: ClientTransactionId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let unheard = match &client.machine {
            ClientMachine::Invite(machine) => machine.is_unheard(),
            ClientMachine::Other(machine) => machine.is_unheard(),
        };
        let silent = unheard.then_some(client.peer);
        let step = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.handle_timeout(now, &self.config),
            ClientMachine::Other(machine) => machine.handle_timeout(now, &self.config),
        };
        if step.timeout && !client.is_internal {
            let transaction = id;
            self.events.push_back(TransactionEvent::Timeout {
                transaction,
                silent,
            });
        }
        self.finish_client_step(now, id, step);
    }

    pub(super) fn client_connection_closed(&mut self, transaction: ClientTransactionId) {
        let Some(client) = self.remove_client(transaction) else {
            return;
        };
        let is_answered = match &client.machine {
            ClientMachine::Invite(machine) => machine.is_answered(),
            ClientMachine::Other(_) => false,
        };
        if !is_answered && !client.is_internal {
            let peer = Some(client.peer);
            self.events
                .push_back(TransactionEvent::TransportFailed { transaction, peer });
        }
    }

    fn begin_client(
        &mut self,
        now: Instant,
        config: &TimerConfig,
        peer: Peer,
        request: Message,
        branch: String,
        is_internal: bool,
    ) -> ClientTransactionId {
        let id = ClientTransactionId(self.take_id());
        let bytes: Bytes = request.to_bytes();
        let method = request.method();
        let reliable = peer.is_reliable();
        let machine = if method == Method::Invite {
            ClientMachine::Invite(ClientInvite::new(now, config, reliable, bytes.clone()))
        } else {
            ClientMachine::Other(ClientOther::new(now, config, reliable, bytes.clone()))
        };
        let key = ClientKey { branch, method };
        self.client_keys.insert(key.clone(), id);
        if reliable {
            self.connections.insert((peer, Either::Client(id)));
        }
        let cancel_reason = None;
        let deadline = None;
        let client = Client {
            machine,
            key,
            peer,
            request,
            cancel_reason,
            is_internal,
            deadline,
        };
        self.clients.insert(id, client);
        let transmit = Some(bytes);
        self.finish_client_step(
            now,
            id,
            ClientStep {
                transmit,
                ..ClientStep::default()
            },
        );
        id
    }

    fn finish_client_step(&mut self, now: Instant, id: ClientTransactionId, step: ClientStep) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let peer = client.peer;
        let (deadline, is_terminated) = match &client.machine {
            ClientMachine::Invite(machine) => (machine.poll_timeout(), machine.is_terminated()),
            ClientMachine::Other(machine) => (machine.poll_timeout(), machine.is_terminated()),
        };
        let either = Either::Client(id);
        Self::set_deadline(&mut self.deadlines, either, &mut client.deadline, deadline);
        let cancel = step.cancel.then(|| {
            let cancel = key::cancel(&client.request, client.cancel_reason.as_deref());
            (cancel, client.key.branch.clone())
        });
        self.transmit(peer, step.transmit);
        if is_terminated {
            self.remove_client(id);
        }
        if let Some((cancel, branch)) = cancel {
            let config = self.config;
            self.begin_client(now, &config, peer, cancel, branch, true);
        }
    }

    fn remove_client(&mut self, id: ClientTransactionId) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        self.client_keys.remove(&client.key);
        self.connections.remove(&(client.peer, Either::Client(id)));
        if let Some(at) = client.deadline {
            self.deadlines.remove(&(at, Either::Client(id)));
        }
        Some(client)
    }
}
