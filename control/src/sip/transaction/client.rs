//! The client half of the table.

use super::client_invite::ClientStep;
use super::{
    Account, Bytes, Challenged, Client, ClientInvite, ClientKey, ClientMachine, ClientOther,
    ClientTransactionId, Either, HeaderName, Instant, Message, Method, Peer, RequestOptions,
    TimerConfig, TransactionEvent, Transactions, ViaParameters, Way, key, large,
};

/// What a transaction begins with, beside its request.
pub(super) struct Start {
    pub(super) id: ClientTransactionId,
    pub(super) peer: Peer,
    pub(super) timers: TimerConfig,
    pub(super) account: Option<Account>,
    pub(super) tries: u32,
    /// The way that it would have gone but for its size.
    pub(super) fallback: Option<Way>,
}

impl Client {
    /// What is challenged by this response, if the owner can answer for it.
    fn challenged(&self, transaction: ClientTransactionId, status: u16) -> Option<Challenged> {
        let is_cancelled = match &self.machine {
            ClientMachine::Invite(machine) => machine.is_cancelled(),
            ClientMachine::Other(_) => false,
        };
        Some(Challenged {
            transaction,
            account: self.account.filter(|_| matches!(status, 401 | 407))?,
            tries: self.tries,
            request: self.without_via()?,
            peer: self.fallback.as_ref().map_or(self.peer, |way| way.peer),
            timers: self.timers,
            is_cancelled,
        })
    }

    /// The request as the owner gave it.
    pub(super) fn without_via(&self) -> Option<Message> {
        let mut request = self.request.clone()?;
        request.remove_first_value(HeaderName::Via);
        Some(request)
    }
}

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
        self.send_request_with(now, peer, message, via, RequestOptions::default())
    }

    /// As [`Transactions::send_request`], with timers and an account of its own.
    pub fn send_request_with(
        &mut self,
        now: Instant,
        peer: Peer,
        message: Message,
        via: &ViaParameters,
        options: RequestOptions,
    ) -> ClientTransactionId {
        let id = ClientTransactionId(self.take_id());
        let mut timers = options.timers.unwrap_or(self.config);
        timers.request_timeout = options.within.unwrap_or(timers.request_timeout);
        let start = Start {
            id,
            peer,
            timers,
            account: options.account,
            tries: 0,
            fallback: None,
        };
        self.start_client(now, start, message, via, options.large);
        id
    }

    /// Sends a request once more, under the same name, in a transaction of its own: with
    /// credentials and a higher number in CSeq (RFC 3261 section 22.2). Only after
    /// [`TransactionEvent::Challenged`]; the message is as in [`Transactions::send_request`], and
    /// `large` as in [`RequestOptions`].
    ///
    /// What came of the first time is over: no more events of it follow. False if it cannot be
    /// sent because the request was cancelled meanwhile.
    pub fn send_again(
        &mut self,
        now: Instant,
        challenged: &Challenged,
        message: Message,
        via: &ViaParameters,
        large: Option<Way>,
    ) -> bool {
        if challenged.is_cancelled {
            return false;
        }
        self.set_aside(challenged.transaction);
        let start = Start {
            id: challenged.transaction,
            peer: challenged.peer,
            timers: challenged.timers,
            account: Some(challenged.account),
            tries: challenged.tries + 1,
            fallback: None,
        };
        self.start_client(now, start, message, via, large);
        true
    }

    fn start_client(
        &mut self,
        now: Instant,
        mut start: Start,
        mut message: Message,
        via: &ViaParameters,
        large: Option<Way>,
    ) {
        let branch = self.identifiers.branch();
        message.push_front(HeaderName::Via, key::own_via(via, &branch));
        if message.header(HeaderName::MaxForwards).is_none() {
            message.push(HeaderName::MaxForwards, "70");
        }
        if let Some(large) = large.filter(|_| large::is_too_large(&message)) {
            let way = large::turn(&mut message, &branch, &large);
            let before = std::mem::replace(&mut start.peer, way);
            let via = via.clone();
            start.fallback = Some(Way { peer: before, via });
        }
        if !self.has_room_for(&message) {
            self.events.push_back(TransactionEvent::TransportFailed {
                transaction: start.id,
                peer: None,
            });
            return;
        }
        self.begin_client(now, start, message, branch, false);
    }

    /// Lets a transaction whose request is sent again go on by itself: it acknowledges what comes
    /// twice.
    fn set_aside(&mut self, id: ClientTransactionId) {
        self.rename_finished(id);
    }

    /// Sends an ACK to a 2xx, without a transaction (RFC 3261 section 13.2.2.4). The message has
    /// everything but our Via; `large` is as in [`RequestOptions`]. Call it again for each repeated
    /// 2xx.
    pub fn send_ack_2xx(
        &mut self,
        mut peer: Peer,
        mut message: Message,
        via: &ViaParameters,
        large: Option<Way>,
    ) {
        let branch = self.identifiers.branch();
        message.push_front(HeaderName::Via, key::own_via(via, &branch));
        if message.header(HeaderName::MaxForwards).is_none() {
            message.push(HeaderName::MaxForwards, "70");
        }
        if let Some(large) = large.filter(|_| large::is_too_large(&message)) {
            peer = large::turn(&mut message, &branch, &large);
        }
        self.transmit(peer, Some(message.to_bytes()));
    }

    /// Cancels an INVITE. The CANCEL waits for the first 1xx; if a final response has come, or
    /// the transaction is gone, nothing happens.
    ///
    /// The INVITE still ends with a response (487, or a 2xx that was faster) or, 64·T1 after the
    /// CANCEL, with [`TransactionEvent::Timeout`].
    ///
    /// `reasons` are the values of its Reason headers (RFC 3326), such as
    /// `SIP;cause=200;text="Call completed elsewhere"`.
    pub fn cancel(&mut self, now: Instant, transaction: ClientTransactionId, reasons: &[String]) {
        let Some(client) = self.clients.get_mut(&transaction) else {
            return;
        };
        let ClientMachine::Invite(machine) = &mut client.machine else {
            return;
        };
        client.cancel_reasons = reasons.to_vec();
        let cancel = machine.cancel(now, &client.timers);
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
        let key = ClientKey::of_response(&message);
        let key = key.map(|key| key.fingerprint(self.identifiers.secret()));
        let number = key.and_then(|key| self.find(key));
        let asked = number.and_then(|number| self.asked(number));
        // A response on another connection is not an answer to what went down this one.
        let number = number.filter(|_| {
            asked.is_some_and(|asked| match asked {
                Peer::WebSocket(_) => asked == peer,
                // A carrier may answer from another address, or on a new connection when ours
                // broke (RFC 3261 section 18.2.2).
                Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => peer.connection().is_none(),
            })
        });
        let (Some(number), Some(status)) = (number, message.status()) else {
            self.events
                .push_back(TransactionEvent::StrayResponse { peer, message });
            return;
        };
        let id = ClientTransactionId(number);
        let Some(client) = self.clients.get_mut(&id) else {
            return self.handle_late_response(number, peer, message);
        };
        let mut step = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.handle_response(now, &client.timers, status),
            ClientMachine::Other(machine) => machine.handle_response(now, &client.timers, status),
        };
        if step.acknowledge
            && let Some(request) = &client.request
        {
            let ack = key::hop_ack(request, &message).to_bytes();
            if let ClientMachine::Invite(machine) = &mut client.machine {
                machine.set_ack(ack.clone());
            }
            step.transmit = Some(ack);
        }
        if step.deliver && !client.is_internal {
            let event = match client.challenged(id, status) {
                Some(challenged) => TransactionEvent::Challenged {
                    challenged: Box::new(challenged),
                    peer,
                    message,
                },
                None => TransactionEvent::Response {
                    transaction: id,
                    peer,
                    message,
                },
            };
            self.events.push_back(event);
        }
        if let ClientMachine::Other(machine) = &client.machine
            && machine.is_answered()
        {
            client.request = None;
        }
        self.finish_client_step(now, id, step);
    }

    /// To whom a request of ours went.
    fn asked(&self, number: u64) -> Option<Peer> {
        let live = self.clients.get(&ClientTransactionId(number));
        let live = live.map(|client| client.peer);
        live.or_else(|| Some(self.finished.get(number)?.peer))
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
            ClientMachine::Invite(machine) => machine.handle_timeout(now, &client.timers),
            ClientMachine::Other(machine) => machine.handle_timeout(now, &client.timers),
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

    pub(super) fn begin_client(
        &mut self,
        now: Instant,
        start: Start,
        request: Message,
        branch: String,
        is_internal: bool,
    ) {
        let Start {
            id,
            peer,
            timers,
            account,
            tries,
            fallback,
        } = start;
        let bytes: Bytes = request.to_bytes();
        let method = request.method();
        let reliable = peer.is_reliable();
        let machine = if method == Method::Invite {
            ClientMachine::Invite(ClientInvite::new(now, &timers, reliable, bytes.clone()))
        } else {
            ClientMachine::Other(ClientOther::new(now, &timers, reliable, bytes.clone()))
        };
        let key = ClientKey { branch, method };
        let fingerprint = key.fingerprint(self.identifiers.secret());
        self.index.insert(fingerprint, id.0);
        if reliable {
            self.connections.insert((peer, Either::Client(id)));
        }
        let client = Client {
            machine,
            key: fingerprint,
            branch: key.branch,
            peer,
            request: Some(request),
            cancel_reasons: Vec::new(),
            is_internal,
            timers,
            account,
            tries,
            fallback,
            deadline: None,
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
    }

    fn finish_client_step(&mut self, now: Instant, id: ClientTransactionId, step: ClientStep) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let (peer, timers) = (client.peer, client.timers);
        let (deadline, is_terminated) = match &client.machine {
            ClientMachine::Invite(machine) => (machine.poll_timeout(), machine.is_terminated()),
            ClientMachine::Other(machine) => (machine.poll_timeout(), machine.is_terminated()),
        };
        let either = Either::Client(id);
        Self::set_deadline(&mut self.deadlines, either, &mut client.deadline, deadline);
        let cancelled = client.request.as_ref().filter(|_| step.cancel);
        let cancel = cancelled.map(|request| {
            let cancel = key::cancel(request, &client.cancel_reasons);
            (cancel, client.branch.clone())
        });
        self.transmit(peer, step.transmit);
        if is_terminated {
            self.remove_client(id);
        } else {
            self.retire_client(id);
        }
        if let Some((cancel, branch)) = cancel {
            let start = Start {
                id: ClientTransactionId(self.take_id()),
                peer,
                timers,
                account: None,
                tries: 0,
                fallback: None,
            };
            self.begin_client(now, start, cancel, branch, true);
        }
    }
}
