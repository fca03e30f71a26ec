//! What the transaction layer reports, and who it is for.

use std::time::Instant;

use super::Engine;
use super::context::Incoming;
use super::input::Peer;
use crate::sip::Message;
use crate::sip::transaction::{ClientTransactionId, ServerTransactionId, TransactionEvent};

impl Engine {
    pub(super) fn transaction_event(&mut self, now: Instant, event: TransactionEvent) {
        let context = &mut self.context;
        match event {
            TransactionEvent::Request {
                transaction,
                peer,
                message,
            } => {
                let trunk = context.trunks.of_peer(peer);
                let trunk = trunk.and_then(|index| context.config.trunks.get(index));
                if let Some(timers) = trunk.map(|trunk| trunk.timers) {
                    context.transactions.set_timers(transaction, timers);
                }
                self.request(
                    now,
                    Incoming {
                        transaction,
                        peer,
                        message,
                    },
                );
            }
            TransactionEvent::Ack { peer, message, .. } => {
                self.calls.acknowledged(context, now, peer, &message);
            }
            TransactionEvent::Cancel {
                transaction,
                message,
            } => {
                self.calls
                    .cancelled(context, now, transaction, Some(&message));
            }
            TransactionEvent::Response {
                transaction,
                peer,
                message,
            } => {
                self.response(now, transaction, peer, &message);
            }
            TransactionEvent::Challenged {
                challenged,
                peer,
                message,
            } => {
                if !context.answer_challenge(now, &challenged, &message) {
                    self.response(now, challenged.transaction, peer, &message);
                }
            }
            // A late answer of a fork or of a call that is over: without a dialog there is
            // nobody to acknowledge it for.
            TransactionEvent::StrayResponse { peer, message } => {
                self.calls.stray_answer(context, now, peer, &message);
            }
            TransactionEvent::ServerTimeout { .. } => {}
            TransactionEvent::Timeout {
                transaction,
                silent,
            } => {
                self.note_silence(now, silent);
                self.failed(now, transaction, 408);
            }
            TransactionEvent::TransportFailed { transaction, peer } => {
                self.note_silence(now, peer);
                self.failed(now, transaction, 503);
            }
            TransactionEvent::ServerTransportFailed { transaction } => {
                self.request_gone(now, transaction);
            }
            TransactionEvent::AckMissing { transaction } => {
                self.calls.ack_missing(context, now, transaction);
            }
        }
    }

    fn response(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        peer: Peer,
        response: &Message,
    ) {
        if self.probed(now, transaction, response)
            || self.registered_at_trunk(now, transaction, peer, response)
        {
            return;
        }
        self.note_answer(now, peer, response);
        let context = &mut self.context;
        // Answers to our BYEs and CANCELs end here: nobody waits for them.
        let is_known = self
            .calls
            .invite_response(context, now, transaction, response)
            || self
                .calls
                .reoffer_response(context, now, transaction, response)
            || self
                .calls
                .refresh_response(context, now, transaction, response)
            || self
                .calls
                .relay_response(context, now, transaction, response)
            || self.calls.digit_response(
                context,
                now,
                transaction,
                response.status().unwrap_or_default(),
            )
            || self.edge.response(context, now, transaction, response);
        if !is_known {
            let of = (transaction, peer);
            self.calls.answer_of_no_call(context, now, of, response);
        }
    }

    fn failed(&mut self, now: Instant, transaction: ClientTransactionId, status: u16) {
        self.probes.remove(&transaction);
        if self.not_registered_at_trunk(now, transaction, status) {
            return;
        }
        let context = &mut self.context;
        let _known = self.calls.invite_failed(context, now, transaction, status)
            || self.calls.reoffer_failed(context, now, transaction, status)
            || self
                .calls
                .not_refreshed(context, now, transaction, status, None)
            || self.calls.relay_failed(context, now, transaction, status)
            || self.calls.digit_response(context, now, transaction, status)
            || self.edge.failed(context, now, transaction, status);
    }

    fn request_gone(&mut self, now: Instant, transaction: ServerTransactionId) {
        self.edge.request_gone(transaction);
        self.calls
            .cancelled(&mut self.context, now, transaction, None);
    }
}
