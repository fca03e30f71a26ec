//! From a live transaction to the record that is left of it, and what becomes of messages that
//! belong to a record.

use super::{
    Bytes, Client, ClientMachine, ClientTransactionId, Either, Fingerprint, HeaderName, Instant,
    Kind, Message, Peer, Record, SentInvite, ServedInvite, Server, ServerMachine,
    ServerTransactionId, TransactionEvent, Transactions,
};

impl Client {
    fn is_finished(&self) -> bool {
        match &self.machine {
            ClientMachine::Invite(machine) => machine.is_answered(),
            ClientMachine::Other(machine) => machine.is_answered(),
        }
    }

    fn sequence(&self) -> u32 {
        let cseq = self.request.as_ref().and_then(Message::cseq);
        cseq.map_or(0, |cseq| cseq.number)
    }

    /// What is left of it.
    fn into_record(self, ends_at: Instant) -> Record {
        let sequence = self.sequence();
        let kind = match self.machine {
            ClientMachine::Invite(machine) => match machine.into_ack() {
                Some(ack) => Kind::Refused {
                    sequence,
                    ack: exactly(&ack),
                },
                None => Kind::Accepted(Box::new(SentInvite {
                    sequence,
                    credentials: credentials_of(self.request.as_ref()),
                })),
            },
            ClientMachine::Other(_) => Kind::Answered,
        };
        Record {
            key: self.key,
            peer: self.peer,
            ends_at,
            kind,
        }
    }
}

impl Server {
    fn is_finished(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_acknowledged(),
            ServerMachine::Other(machine) => machine.is_answered(),
        }
    }

    /// What is left of it.
    fn into_record(self, ends_at: Instant) -> Record {
        let kind = match &self.machine {
            ServerMachine::Invite(machine) => {
                let invite = Box::new(ServedInvite {
                    dialog: self.dialog,
                    merge: self.merge,
                    to_tag: self.to_tag,
                });
                if machine.is_accepted() {
                    Kind::Acknowledged(invite)
                } else {
                    Kind::Confirmed(invite)
                }
            }
            ServerMachine::Other(machine) => Kind::Served(exactly(
                &machine.handle_retransmission().unwrap_or_default(),
            )),
        };
        Record {
            key: self.key,
            peer: self.reply_to,
            ends_at,
            kind,
        }
    }
}

/// The same in a buffer of its own without room to spare.
fn exactly(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn credentials_of(request: Option<&Message>) -> Vec<(HeaderName, String)> {
    let names = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
    let lines = names.into_iter().flat_map(|name| {
        let values = request.into_iter().flat_map({
            let name = name.clone();
            move |request| request.headers(name.clone())
        });
        values.map(move |value| (name.clone(), value.to_owned()))
    });
    lines.collect()
}

impl Transactions {
    /// Keeps only a record of a client transaction that has had its final response.
    pub(super) fn retire_client(&mut self, id: ClientTransactionId) {
        let finished = self.clients.get(&id).filter(|client| client.is_finished());
        if let Some(ends_at) = finished.and_then(|client| client.deadline)
            && let Some(client) = self.take_client(id)
        {
            self.keep(id.0, client.into_record(ends_at));
        }
    }

    /// Keeps only a record of a server transaction whose final response needs no repetition by
    /// itself any more.
    pub(super) fn retire_server(&mut self, id: ServerTransactionId) {
        let finished = self.servers.get(&id).filter(|server| server.is_finished());
        if let Some(ends_at) = finished.and_then(|server| server.deadline)
            && let Some(server) = self.take_server(id)
        {
            self.keep(id.0, server.into_record(ends_at));
        }
    }

    fn keep(&mut self, number: u64, record: Record) {
        if let Some((number, gone)) = self.finished.insert(number, record) {
            self.forget_keys(number, gone.keys());
        }
    }

    /// A transaction is found by these keys no more, unless they are those of another one now.
    pub(super) fn forget_keys(&mut self, number: u64, keys: impl Iterator<Item = Fingerprint>) {
        for key in keys {
            if self.index.get(&key) == Some(&number) {
                self.index.remove(&key);
            }
        }
        crate::room::give_back(&mut self.index);
    }

    /// Lets the record of a request of ours go on under a name that nobody knows.
    pub(super) fn rename_finished(&mut self, id: ClientTransactionId) {
        let Some(record) = self.finished.remove(id.0) else {
            return;
        };
        let number = self.take_id();
        self.index.insert(record.key, number);
        self.keep(number, *record);
    }

    /// A response to a request of ours that has had a final one already.
    pub(super) fn handle_late_response(&mut self, number: u64, peer: Peer, message: Message) {
        let (Some(record), Some(status)) = (self.finished.get(number), message.status()) else {
            return;
        };
        match (&record.kind, status) {
            (Kind::Accepted(_), 200..300) => {
                let transaction = ClientTransactionId(number);
                self.events.push_back(TransactionEvent::Response {
                    transaction,
                    peer,
                    message,
                });
            }
            // The ACK was lost.
            (Kind::Refused { ack, .. }, 300..) => {
                let (to, ack) = (record.peer, ack.clone());
                self.transmit(to, Some(ack));
            }
            (
                Kind::Accepted(_)
                | Kind::Refused { .. }
                | Kind::Answered
                | Kind::Acknowledged(_)
                | Kind::Confirmed(_)
                | Kind::Served(_),
                _,
            ) => {}
        }
    }

    /// The number in CSeq of a request of ours as it was sent last: that of an INVITE until it is
    /// forgotten, of another request until its final response.
    #[must_use]
    pub fn sent_sequence(&self, transaction: ClientTransactionId) -> Option<u32> {
        if let Some(client) = self.clients.get(&transaction) {
            return client.request.as_ref()?.cseq().map(|cseq| cseq.number);
        }
        match &self.finished.get(transaction.0)?.kind {
            Kind::Accepted(invite) => Some(invite.sequence),
            Kind::Refused { sequence, .. } => Some(*sequence),
            Kind::Answered | Kind::Acknowledged(_) | Kind::Confirmed(_) | Kind::Served(_) => None,
        }
    }

    /// Copies the credentials of an INVITE of ours into the ACK to its 2xx (RFC 3261 section
    /// 13.2.2.4).
    pub fn copy_credentials(&self, transaction: ClientTransactionId, ack: &mut Message) {
        let live = self.clients.get(&transaction);
        let request = live.and_then(|client| client.request.as_ref());
        if let Some(request) = request {
            ack.copy_from(request, HeaderName::Authorization);
            ack.copy_from(request, HeaderName::ProxyAuthorization);
        }
        if let Some(record) = self.finished.get(transaction.0)
            && let Kind::Accepted(invite) = &record.kind
        {
            for (name, value) in &invite.credentials {
                ack.push(name.clone(), value.clone());
            }
        }
    }

    /// Which transaction has this key.
    pub(super) fn find(&self, key: Fingerprint) -> Option<u64> {
        self.index.get(&key).copied()
    }

    fn take_client(&mut self, id: ClientTransactionId) -> Option<Client> {
        let client = self.clients.remove(&id)?;
        self.connections.remove(&(client.peer, Either::Client(id)));
        if let Some(at) = client.deadline {
            self.deadlines.remove(&(at, Either::Client(id)));
        }
        crate::room::give_back(&mut self.clients);
        Some(client)
    }

    fn take_server(&mut self, id: ServerTransactionId) -> Option<Server> {
        let server = self.servers.remove(&id)?;
        self.connections.remove(&(server.peer, Either::Server(id)));
        if let Some(at) = server.deadline {
            self.deadlines.remove(&(at, Either::Server(id)));
        }
        crate::room::give_back(&mut self.servers);
        Some(server)
    }

    pub(super) fn remove_client(&mut self, id: ClientTransactionId) -> Option<Client> {
        let client = self.take_client(id)?;
        self.forget_keys(id.0, [client.key].into_iter());
        Some(client)
    }

    pub(super) fn remove_server(&mut self, id: ServerTransactionId) -> Option<Server> {
        let server = self.take_server(id)?;
        let keys = [Some(server.key), server.dialog, server.merge];
        self.forget_keys(id.0, keys.into_iter().flatten());
        Some(server)
    }
}
