//! A request that is no call goes to one target of a trunk after the other, as a call does: after
//! a connection that cannot be had, silence, or a 503 (RFC 3263 section 4.3).

use std::time::{Duration, Instant};

use super::Edge;
use crate::engine::context::Context;
use crate::engine::input::Peer;
use crate::limits::REQUEST_WITHIN;
use crate::sip::Message;
use crate::sip::transaction::ClientTransactionId;
use crate::trunk::Attempt;

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Destination {
    /// First.
    pub(crate) peer: Peer,
    /// And then; `None` if there is nowhere else.
    others: Option<Attempt>,
}

impl From<Peer> for Destination {
    fn from(peer: Peer) -> Self {
        let others = None;
        Self { peer, others }
    }
}

impl Destination {
    /// First there, then what is left of an attempt.
    pub(crate) fn new(peer: Peer, attempt: Option<Attempt>) -> Self {
        let others = attempt.filter(Attempt::has_more);
        Self { peer, others }
    }

    /// The ways to a trunk. `None` if there are none.
    pub(crate) fn of_trunk(mut attempt: Attempt) -> Option<Self> {
        let peer = attempt.take()?;
        Some(Self::new(peer, Some(attempt)))
    }

    /// Sends a request there; `account` is the trunk whose account answers challenges to it. Returns
    /// what it waits for, and what is done when that fails.
    pub(super) fn send(
        self,
        context: &mut Context,
        now: Instant,
        request: Message,
        account: Option<usize>,
    ) -> (ClientTransactionId, Option<Others>) {
        let Some(attempt) = self.others else {
            let transaction = send(context, now, self.peer, request, account, None);
            return (transaction, None);
        };
        let others = Others {
            attempt,
            request,
            account,
            give_up_at: now + REQUEST_WITHIN,
        };
        (others.send(context, now, self.peer), Some(others))
    }
}

/// The other ways that a request may take.
#[derive(Debug)]
pub(super) struct Others {
    attempt: Attempt,
    request: Message,
    /// The trunk whose account answers challenges to it.
    account: Option<usize>,
    /// Its sender waits until then.
    give_up_at: Instant,
}

impl Others {
    /// Tries the next way after this failure. `None` if the failure is final.
    pub(super) fn next(
        &mut self,
        context: &mut Context,
        now: Instant,
        status: u16,
    ) -> Option<ClientTransactionId> {
        if !self.attempt.may_go_on(status) || now >= self.give_up_at {
            return None;
        }
        self.attempt.note(status);
        let peer = self.attempt.take()?;
        Some(self.send(context, now, peer))
    }

    fn send(&self, context: &mut Context, now: Instant, peer: Peer) -> ClientTransactionId {
        let left = self.give_up_at.saturating_duration_since(now);
        let patience = self.attempt.patience();
        let patience = patience.unwrap_or_else(|| context.timer_f(peer)).min(left);
        let request = self.request.clone();
        send(context, now, peer, request, self.account, Some(patience))
    }
}

fn send(
    context: &mut Context,
    now: Instant,
    peer: Peer,
    request: Message,
    account: Option<usize>,
    within: Option<Duration>,
) -> ClientTransactionId {
    match account {
        Some(trunk) => context.send_to_trunk(now, trunk, peer, request, within),
        None => context.send_within(now, peer, request, within),
    }
}

impl Context {
    /// How long a request that is no INVITE may wait for its answer.
    fn timer_f(&self, peer: Peer) -> Duration {
        let trunk = self.trunks.of_peer(peer);
        let trunk = trunk.and_then(|index| self.config.trunks.get(index));
        trunk.map_or(REQUEST_WITHIN, |trunk| trunk.timers.request_timeout)
    }
}

impl Edge {
    /// A target has answered, be it provisionally.
    pub(super) fn heard(&mut self, transaction: ClientTransactionId, status: u16) {
        let relayed = self.relayed.get_mut(&transaction);
        if let Some(others) = relayed.and_then(|relayed| relayed.others.as_mut()) {
            others.attempt.heard(status);
        }
    }

    /// Sends a request that was passed on to the next target after this failure. False if the
    /// failure is final.
    pub(super) fn fail_over(
        &mut self,
        context: &mut Context,
        now: Instant,
        transaction: ClientTransactionId,
        status: u16,
    ) -> bool {
        let relayed = self.relayed.get_mut(&transaction);
        let others = relayed.and_then(|relayed| relayed.others.as_mut());
        let Some(next) = others.and_then(|others| others.next(context, now, status)) else {
            return false;
        };
        if let Some(relayed) = self.relayed.remove(&transaction) {
            self.by_request.insert(relayed.request.transaction, next);
            self.relayed.insert(next, relayed);
        }
        true
    }
}

/// What is said in the end, after this failure and those before (RFC 3261 section 16.7).
pub(super) fn best_status(others: Option<&mut Others>, status: u16) -> u16 {
    others.map_or(status, |others| others.attempt.note(status))
}
