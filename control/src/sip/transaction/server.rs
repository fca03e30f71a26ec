//! The server half of the table.

use super::server_invite::AckMeaning;
use super::{
    Bytes, DialogKey, Either, Fingerprint, HeaderName, Instant, Kind, MergeKey, Message, Method,
    Peer, Server, ServerInvite, ServerInviteTimeout, ServerKey, ServerMachine, ServerOther,
    ServerTransactionId, TABLE_FULL_RETRY_AFTER_S, TimerConfig, TransactionEvent, Transactions,
    key,
};

impl Transactions {
    /// Sends a response, and repeats it as its transport needs.
    ///
    /// Make it with [`Message::response_to`]. False if it may not be sent: the transaction is
    /// gone or has had its final response.
    pub fn send_response(
        &mut self,
        now: Instant,
        transaction: ServerTransactionId,
        message: &Message,
    ) -> bool {
        let Some(server) = self.servers.get_mut(&transaction) else {
            return false;
        };
        let Some(status) = message.status() else {
            return false;
        };
        let bytes = message.to_bytes();
        let is_sent = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.respond(now, &server.timers, status, &bytes),
            ServerMachine::Other(machine) => machine.respond(now, &server.timers, status, &bytes),
        };
        if !is_sent {
            return false;
        }
        if let Some(tag) = message.to_tag() {
            server.to_tag = Some(tag.into());
        }
        if matches!(server.machine, ServerMachine::Invite(_)) && (200..300).contains(&status) {
            let dialog = DialogKey::of(message);
            server.dialog = dialog.map(|key| key.fingerprint(self.identifiers.secret()));
            if let Some(dialog) = server.dialog {
                self.index.insert(dialog, transaction.0);
            }
        }
        let reply_to = server.reply_to;
        self.transmit(reply_to, Some(bytes));
        self.finish_server_step(transaction);
        true
    }

    /// Sets the base values of a request's timers, if they are not those of the table: before its
    /// final response.
    pub fn set_timers(&mut self, transaction: ServerTransactionId, timers: TimerConfig) {
        if let Some(server) = self.servers.get_mut(&transaction) {
            server.timers = timers;
        }
    }

    /// Ends a request other than INVITE without an answer: its sender has given up by now (RFC
    /// 4320 section 4.2). What is repeated of it later is a new request.
    pub fn abandon(&mut self, transaction: ServerTransactionId) {
        if self
            .servers
            .get(&transaction)
            .is_some_and(|server| matches!(server.machine, ServerMachine::Other(_)))
        {
            self.remove_server(transaction);
        }
    }

    /// Answers a request without a transaction, for example one that [`Message::salvage`] has
    /// read. The To tag is added; nothing is sent to an ACK or a response.
    pub fn send_stateless(
        &mut self,
        peer: Peer,
        request: &Message,
        status: u16,
        reason: Option<&str>,
    ) {
        if !request.is_request() || request.method() == Method::Ack {
            return;
        }
        let mut request = request.clone();
        key::note_source(peer, &mut request);
        self.reply(peer, &request, status, reason, None);
    }

    pub(super) fn handle_request(&mut self, now: Instant, peer: Peer, mut message: Message) {
        key::note_source(peer, &mut message);
        let Some(key) = ServerKey::of_request(peer, &message) else {
            return;
        };
        let method = message.method();
        let fingerprint = key.fingerprint(self.identifiers.secret());
        let existing = self.find(fingerprint);
        if method == Method::Ack {
            let existing = existing
                .or_else(|| self.find(key.untagged().fingerprint(self.identifiers.secret())));
            self.handle_ack(now, peer, message, existing);
        } else if let Some(number) = existing {
            self.handle_retransmission(number);
        } else if !self.admits(&message) {
            self.reply(peer, &message, 503, None, Some(TABLE_FULL_RETRY_AFTER_S));
        } else if method == Method::Cancel {
            self.handle_cancel(now, peer, message, key);
        } else {
            self.begin_request(now, peer, message, fingerprint);
        }
    }

    pub(super) fn server_timeout(&mut self, now: Instant, id: ServerTransactionId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let reply_to = server.reply_to;
        let (again, missing) = match &mut server.machine {
            ServerMachine::Invite(machine) => machine.handle_timeout(now, &server.timers),
            ServerMachine::Other(machine) => {
                machine.handle_timeout(now);
                (None, None)
            }
        };
        self.transmit(reply_to, again);
        match missing {
            Some(ServerInviteTimeout::NoAck) => {
                self.events
                    .push_back(TransactionEvent::ServerTimeout { transaction: id });
            }
            Some(ServerInviteTimeout::NoAckTo2xx) => {
                self.events
                    .push_back(TransactionEvent::AckMissing { transaction: id });
            }
            None => {}
        }
        self.finish_server_step(id);
    }

    pub(super) fn server_connection_closed(&mut self, transaction: ServerTransactionId) {
        let Some(server) = self.remove_server(transaction) else {
            return;
        };
        let is_waiting = match &server.machine {
            ServerMachine::Invite(machine) => machine.is_waiting(),
            ServerMachine::Other(machine) => !machine.is_answered(),
        };
        if is_waiting {
            self.events
                .push_back(TransactionEvent::ServerTransportFailed { transaction });
        }
    }

    fn begin_request(&mut self, now: Instant, peer: Peer, message: Message, key: Fingerprint) {
        let merge = MergeKey::of(&message);
        let merge = merge.map(|key| key.fingerprint(self.identifiers.secret()));
        if merge.is_some_and(|merge| self.find(merge).is_some()) {
            // A final response needs a transaction, for its ACK.
            let id = self.begin_server(peer, &message, key, None);
            let mut response = Message::response_to(&message, 482, Some("Merged Request"));
            response.set_to_tag(&self.identifiers.to_tag(&message));
            self.send_response(now, id, &response);
            return;
        }
        let id = self.begin_server(peer, &message, key, merge);
        if message.method() == Method::Invite {
            let trying = Message::response_to(&message, 100, None);
            self.send_response(now, id, &trying);
        }
        self.events.push_back(TransactionEvent::Request {
            transaction: id,
            peer,
            message,
        });
    }

    fn handle_retransmission(&mut self, number: u64) {
        let Some(server) = self.servers.get(&ServerTransactionId(number)) else {
            let record = self.finished.get(number);
            if let Some((to, Kind::Served(bytes))) =
                record.map(|record| (record.peer, &record.kind))
            {
                let bytes = bytes.clone();
                self.transmit(to, Some(bytes));
            }
            return;
        };
        let again: Option<Bytes> = match &server.machine {
            ServerMachine::Invite(machine) => machine.handle_retransmission(),
            ServerMachine::Other(machine) => machine.handle_retransmission(),
        };
        let reply_to = server.reply_to;
        self.transmit(reply_to, again);
    }

    fn handle_ack(&mut self, now: Instant, peer: Peer, message: Message, existing: Option<u64>) {
        // The ACK to a 2xx has a branch of its own, and may come on another connection.
        let of_dialog = || {
            let key = DialogKey::of(&message)?;
            self.find(key.fingerprint(self.identifiers.secret()))
        };
        let transaction = existing.or_else(of_dialog).map(ServerTransactionId);
        let mut meaning = AckMeaning::OfDialog;
        if let Some(id) = transaction {
            if let Some(server) = self.servers.get_mut(&id)
                && let ServerMachine::Invite(machine) = &mut server.machine
            {
                meaning = machine.handle_ack(now, &server.timers);
                self.finish_server_step(id);
            } else if let Some(record) = self.finished.get(id.0)
                && let Kind::Confirmed(_) = &record.kind
            {
                meaning = AckMeaning::Absorbed;
            }
        }
        match meaning {
            AckMeaning::Absorbed => {}
            AckMeaning::OfDialog => {
                self.events.push_back(TransactionEvent::Ack {
                    transaction,
                    peer,
                    message,
                });
            }
        }
    }

    /// Answers the CANCEL: 200 if its INVITE is known, else 481 (RFC 3261 section 9.2).
    fn handle_cancel(&mut self, now: Instant, peer: Peer, message: Message, key: ServerKey) {
        let secret = self.identifiers.secret();
        let fingerprint = key.fingerprint(secret);
        let cancelled = key.cancelled();
        let invite = self.find(cancelled.fingerprint(secret));
        let untagged = || self.find(cancelled.untagged().fingerprint(secret));
        let invite = invite.or_else(untagged);
        let status = if invite.is_some() { 200 } else { 481 };
        let invite = invite.map(ServerTransactionId);
        // The same To tag as in the responses to the INVITE.
        let tag = invite.and_then(|id| self.tag_of_invite(id));
        let pending = invite.filter(|id| {
            let server = self.servers.get(id);
            server.is_some_and(|server| match &server.machine {
                ServerMachine::Invite(machine) => !machine.is_answered(),
                ServerMachine::Other(_) => false,
            })
        });
        let id = self.begin_server(peer, &message, fingerprint, None);
        let mut response = Message::response_to(&message, status, None);
        let own = || self.identifiers.to_tag(&message);
        response.set_to_tag(&tag.map_or_else(own, Into::into));
        self.send_response(now, id, &response);
        if let Some(transaction) = pending {
            self.events.push_back(TransactionEvent::Cancel {
                transaction,
                message,
            });
        }
    }

    fn tag_of_invite(&self, id: ServerTransactionId) -> Option<Box<str>> {
        if let Some(server) = self.servers.get(&id) {
            return server.to_tag.clone();
        }
        match &self.finished.get(id.0)?.kind {
            Kind::Acknowledged(invite) | Kind::Confirmed(invite) => invite.to_tag.clone(),
            Kind::Accepted(_) | Kind::Refused { .. } | Kind::Answered | Kind::Served(_) => None,
        }
    }

    fn begin_server(
        &mut self,
        peer: Peer,
        message: &Message,
        key: Fingerprint,
        merge: Option<Fingerprint>,
    ) -> ServerTransactionId {
        let id = ServerTransactionId(self.take_id());
        let machine = if message.method() == Method::Invite {
            ServerMachine::Invite(ServerInvite::new(peer.is_reliable()))
        } else {
            ServerMachine::Other(ServerOther::new(peer.is_reliable()))
        };
        for key in [Some(key), merge].into_iter().flatten() {
            self.index.insert(key, id.0);
        }
        if peer.is_reliable() {
            self.connections.insert((peer, Either::Server(id)));
        }
        let server = Server {
            machine,
            timers: self.config,
            key,
            to_tag: None,
            merge,
            dialog: None,
            peer,
            reply_to: key::reply_target(peer, message),
            deadline: None,
        };
        self.servers.insert(id, server);
        id
    }

    fn finish_server_step(&mut self, id: ServerTransactionId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let (deadline, is_terminated) = match &server.machine {
            ServerMachine::Invite(machine) => (machine.poll_timeout(), machine.is_terminated()),
            ServerMachine::Other(machine) => (machine.poll_timeout(), machine.is_terminated()),
        };
        let either = Either::Server(id);
        Self::set_deadline(&mut self.deadlines, either, &mut server.deadline, deadline);
        if is_terminated {
            self.remove_server(id);
        } else {
            self.retire_server(id);
        }
    }

    fn reply(
        &mut self,
        peer: Peer,
        request: &Message,
        status: u16,
        reason: Option<&str>,
        retry_after_s: Option<u32>,
    ) {
        let mut response = Message::response_to(request, status, reason);
        response.set_to_tag(&self.identifiers.to_tag(request));
        if let Some(seconds) = retry_after_s {
            response.push(HeaderName::RetryAfter, seconds.to_string());
        }
        let target = key::reply_target(peer, request);
        self.transmit(target, Some(response.to_bytes()));
    }
}
