//! Which requests find room when there is little: a new call is refused first, what ends a call
//! never (in the spirit of RFC 7339 section 5.10.1).

use super::{Method, Transactions};
use crate::sip::limits::{FINISHED_TRANSACTIONS_DEFAULT, TRANSACTIONS_DEFAULT};
use crate::sip::message::Message;

/// How many transactions the table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// Those that wait for a final response or its ACK. New calls take up to half of them, other
    /// requests outside of dialogs up to three quarters, and requests in dialogs all; BYE, CANCEL
    /// and PRACK are taken beyond it.
    pub live: usize,
    /// Those that have ended and wait for repetitions; beyond it, the one nearest to its end is
    /// forgotten.
    pub finished: usize,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self {
            live: TRANSACTIONS_DEFAULT,
            finished: FINISHED_TRANSACTIONS_DEFAULT,
        }
    }
}

/// What the table holds, and what it had no room for since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCounts {
    /// Those that wait for a final response or its ACK.
    pub live: usize,
    /// Those that have ended and wait for repetitions.
    pub finished: usize,
    /// Finished ones that were forgotten before their time.
    pub forgotten: u64,
    /// New calls that were refused with 503 without a transaction.
    pub refused_calls: u64,
    /// Other requests that were refused so.
    pub refused_others: u64,
}

/// The classes of requests, from what is refused first to what is never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    NewCall,
    OutsideOfDialogs,
    InDialog,
    /// It is answered at once, and gives back what a call holds; of ours there are no more than
    /// there are legs.
    EndsSomething,
}

impl Class {
    pub(super) fn of(request: &Message) -> Self {
        let method = request.method();
        if method == Method::Cancel {
            return Self::EndsSomething;
        }
        match (request.to_tag().is_some(), method) {
            (true, Method::Bye | Method::Prack) => Self::EndsSomething,
            (true, _) => Self::InDialog,
            (false, Method::Invite) => Self::NewCall,
            (false, _) => Self::OutsideOfDialogs,
        }
    }

    /// Live transactions up to which such a request begins another one.
    const fn room(self, limits: TransactionLimits) -> usize {
        match self {
            Self::NewCall => limits.live / 2,
            Self::OutsideOfDialogs => limits.live - limits.live / 4,
            Self::InDialog => limits.live,
            Self::EndsSomething => usize::MAX,
        }
    }
}

impl Transactions {
    /// With other limits than the usual ones; before the first transaction.
    #[must_use]
    pub fn with_limits(mut self, limits: TransactionLimits) -> Self {
        self.limits = limits;
        self.finished.set_capacity(limits.finished);
        self
    }

    /// Says whether new calls are taken at all. While they are not, an INVITE outside of dialogs is
    /// answered with 503 without any state, and so is each repetition (RFC 3261 section 8.2.7); one
    /// that was taken before goes on.
    pub const fn take_calls(&mut self, are_taken: bool) {
        self.takes_calls = are_taken;
    }

    /// What the table holds, and what it had no room for.
    #[must_use]
    pub fn counts(&self) -> TransactionCounts {
        TransactionCounts {
            live: self.live(),
            finished: self.finished.len(),
            forgotten: self.finished.forgotten(),
            ..self.counts
        }
    }

    /// Is there room for what this request of a peer begins? If not, it is counted.
    pub(super) fn admits(&mut self, request: &Message) -> bool {
        let class = Class::of(request);
        let is_welcome = self.takes_calls || class != Class::NewCall;
        if is_welcome && self.live() < class.room(self.limits) {
            return true;
        }
        match class {
            Class::NewCall => self.counts.refused_calls += 1,
            Class::OutsideOfDialogs | Class::InDialog | Class::EndsSomething => {
                self.counts.refused_others += 1;
            }
        }
        false
    }

    /// Is there room for a request of ours? The INVITE that goes on from one that was taken is no
    /// new call any more.
    pub(super) fn has_room_for(&self, request: &Message) -> bool {
        let class = match Class::of(request) {
            Class::NewCall => Class::InDialog,
            class @ (Class::OutsideOfDialogs | Class::InDialog | Class::EndsSomething) => class,
        };
        self.live() < class.room(self.limits)
    }

    fn live(&self) -> usize {
        self.clients.len() + self.servers.len()
    }
}
