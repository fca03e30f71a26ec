//! Ringway's own registrations at carriers that want one (RFC 3261 section 10.2): when to ask, how
//! long a grant lasts, and how long to wait after a refusal.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Attempt;
use crate::engine::input::Peer;
use crate::limits::{
    REGISTER_PAUSE, REGISTER_PAUSE_MAX, RETRY_AFTER_MAX, ROUTES_PER_BINDING_MAX, SEQUENCE_STRIDE,
    TRUNK_REGISTER_EXPIRES_MAX_S,
};
use crate::sip::transaction::ClientTransactionId;

/// The registration at one trunk.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Call-ID of all its REGISTERs (RFC 3261 section 10.2).
    pub(crate) call_id: String,
    /// From tag of all its REGISTERs.
    pub(crate) tag: String,
    /// CSeq of the latest REGISTER.
    pub(crate) sequence: u32,
    /// The interval that is asked for, in seconds; a 423 raises it.
    pub(crate) asked_s: u32,
    /// The way that requests to the carrier are to take (RFC 3608), as the last 200 said.
    pub(crate) service_route: Vec<String>,
    /// Where it was granted, and until when.
    granted: Option<(Peer, Instant)>,
    /// The REGISTER that waits for its answer.
    waiting: Option<(ClientTransactionId, Peer)>,
    /// The targets that are left to this round.
    attempt: Option<Attempt>,
    /// Rounds that have failed since the last grant.
    failures: u32,
    due: Option<Instant>,
    /// What was logged last: whether it is registered.
    is_known: Option<bool>,
}

/// What came of a REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Granted for so long.
    Granted(Duration),
    /// Refused as too brief: at least so many seconds (423).
    TooBrief(u32),
    /// The target is silent, unreachable or overloaded: another one may do.
    Unavailable,
    /// Refused, with the pause that was asked for.
    Refused(Option<Duration>),
}

/// All registrations of our own, by trunk.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    by_trunk: BTreeMap<usize, Registration>,
    by_transaction: BTreeMap<ClientTransactionId, usize>,
}

impl Registrations {
    /// Adds the registration at a trunk, which is due at once.
    pub(crate) fn add(&mut self, trunk: usize, names: [String; 2], asked: Duration, now: Instant) {
        let [call_id, tag] = names;
        let registration = Registration {
            call_id,
            tag,
            sequence: 0,
            asked_s: u32::try_from(asked.as_secs()).unwrap_or(u32::MAX),
            service_route: Vec::new(),
            granted: None,
            waiting: None,
            attempt: None,
            failures: 0,
            due: Some(now),
            is_known: None,
        };
        self.by_trunk.insert(trunk, registration);
    }

    /// When [`Registrations::due`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.by_trunk.values().filter_map(|entry| entry.due).min()
    }

    /// The trunks whose registration is to be sent now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        for (trunk, entry) in &mut self.by_trunk {
            if entry.due.is_some_and(|at| at <= now) {
                entry.due = None;
                due.push(*trunk);
            }
        }
        due
    }

    /// The registration at a trunk, if there is to be one.
    pub(crate) fn get(&self, trunk: usize) -> Option<&Registration> {
        self.by_trunk.get(&trunk)
    }

    /// Trunks that ringway is registered at.
    pub(crate) fn granted(&self, now: Instant) -> Vec<usize> {
        let of = self.by_trunk.iter();
        of.filter(|(_, entry)| entry.is_granted(now))
            .map(|(trunk, _)| *trunk)
            .collect()
    }

    /// The next target of this round and the next number; `route` begins a round. `None` if no
    /// target takes requests.
    pub(crate) fn next(
        &mut self,
        trunk: usize,
        route: impl FnOnce() -> Attempt,
    ) -> Option<(Peer, Option<Duration>)> {
        let entry = self.by_trunk.get_mut(&trunk)?;
        let attempt = entry.attempt.get_or_insert_with(route);
        let peer = attempt.take()?;
        entry.sequence += SEQUENCE_STRIDE;
        Some((peer, attempt.patience()))
    }

    /// A REGISTER has been sent.
    pub(crate) fn sent(&mut self, trunk: usize, transaction: ClientTransactionId, peer: Peer) {
        let Some(entry) = self.by_trunk.get_mut(&trunk) else {
            return;
        };
        if let Some((old, _)) = entry.waiting.replace((transaction, peer)) {
            self.by_transaction.remove(&old);
        }
        self.by_transaction.insert(transaction, trunk);
    }

    /// The trunk whose REGISTER this is.
    pub(crate) fn trunk_of(&self, transaction: ClientTransactionId) -> Option<usize> {
        self.by_transaction.get(&transaction).copied()
    }

    /// No target took it; it is tried again later.
    pub(crate) fn no_target(&mut self, now: Instant, trunk: usize, spread: u32) -> Option<bool> {
        let entry = self.by_trunk.get_mut(&trunk)?;
        entry.fail(now, None, spread);
        entry.changed(now)
    }

    /// A REGISTER has its answer. Returns whether ringway is registered, if that has changed.
    /// `spread` is a number below 1000, another one each time.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        transaction: ClientTransactionId,
        outcome: Outcome,
        spread: u32,
    ) -> Option<bool> {
        let trunk = self.by_transaction.remove(&transaction)?;
        let entry = self.by_trunk.get_mut(&trunk)?;
        let (_, peer) = entry.waiting.take()?;
        match outcome {
            Outcome::Granted(time) => entry.grant(now, peer, time, spread),
            Outcome::TooBrief(seconds)
                if seconds > entry.asked_s && seconds <= TRUNK_REGISTER_EXPIRES_MAX_S =>
            {
                entry.asked_s = seconds;
                entry.attempt = None;
                entry.due = Some(now);
            }
            Outcome::Unavailable if entry.attempt.as_ref().is_some_and(Attempt::has_more) => {
                entry.due = Some(now);
            }
            Outcome::TooBrief(_) | Outcome::Unavailable => entry.fail(now, None, spread),
            Outcome::Refused(pause) => entry.fail(now, pause, spread),
        }
        entry.changed(now)
    }

    /// The carrier's way for requests (RFC 3608).
    pub(crate) fn set_service_route<'v>(
        &mut self,
        trunk: usize,
        routes: impl Iterator<Item = &'v str>,
    ) {
        if let Some(entry) = self.by_trunk.get_mut(&trunk) {
            let routes = routes.take(ROUTES_PER_BINDING_MAX).map(str::to_owned);
            entry.service_route = routes.collect();
        }
    }

    /// A connection has closed: what was registered over it is registered again, as calls would
    /// come on it (RFC 5626 section 4.4).
    pub(crate) fn stream_closed(&mut self, now: Instant, peer: Peer) {
        for entry in self.by_trunk.values_mut() {
            let was_there = entry.granted.is_some_and(|(at, _)| at == peer);
            if was_there && entry.waiting.is_none() && entry.failures == 0 {
                entry.due = Some(now);
            }
        }
    }
}

impl Registrations {
    /// A trunk has been found, or has moved: what is not registered where it is now is registered
    /// there at once.
    pub(crate) fn moved(&mut self, now: Instant, trunk: usize, is_there: impl Fn(Peer) -> bool) {
        let Some(entry) = self.by_trunk.get_mut(&trunk) else {
            return;
        };
        let is_granted = entry.is_granted(now);
        let is_there = entry.granted.is_some_and(|(peer, _)| is_there(peer));
        if entry.waiting.is_none() && !(is_granted && is_there) {
            entry.attempt = None;
            entry.due = Some(now);
        }
    }
}

impl Registration {
    fn is_granted(&self, now: Instant) -> bool {
        self.granted.is_some_and(|(_, until)| now < until)
    }

    /// Refreshed when between four and six tenths of the time are over.
    fn grant(&mut self, now: Instant, peer: Peer, time: Duration, spread: u32) {
        self.granted = Some((peer, now + time));
        self.attempt = None;
        self.failures = 0;
        self.due = Some(now + time * (400 + spread / 5) / 1000);
    }

    /// Waits: a random share of a time that doubles (RFC 5626 section 4.5), or what was asked for.
    fn fail(&mut self, now: Instant, pause: Option<Duration>, spread: u32) {
        self.attempt = None;
        let doubled = REGISTER_PAUSE * 2u32.saturating_pow(self.failures.min(16));
        let own = doubled.min(REGISTER_PAUSE_MAX) * (500 + spread / 2) / 1000;
        let asked = pause.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + own.max(asked));
    }

    /// Whether it is registered, if that is news.
    fn changed(&mut self, now: Instant) -> Option<bool> {
        // A refresh that failed once is no news yet.
        let is_registered = self.is_granted(now);
        let is_over = is_registered || self.failures > 0;
        if !is_over || self.is_known == Some(is_registered) {
            return None;
        }
        self.is_known = Some(is_registered);
        self.is_known
    }
}

#[cfg(test)]
mod tests;
