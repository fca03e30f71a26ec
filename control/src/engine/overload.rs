//! Tells the operator when requests find no room, and when they do again: one line each, however
//! many are refused.

use std::time::Instant;

use super::Engine;
use super::output::LogLine;
use crate::limits::LIMIT_QUIET_AFTER;
use crate::sip::transaction::TransactionCounts;

/// Whether requests are being refused for want of room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    /// What was known at the last look.
    seen: TransactionCounts,
    /// What was known before the first refusal, and when the last one was.
    bites: Option<(TransactionCounts, Instant)>,
    /// Messages wait longer than is good.
    pub(super) is_late: bool,
}

impl Engine {
    /// Are new calls taken? Asked for each message, since a refusal without state costs least.
    pub(super) fn has_room_for_calls(&self) -> bool {
        let has_room =
            !self.overload.is_late && self.calls.len() < self.context.config.server.calls_max;
        self.context.stopping || has_room
    }

    /// A message has been handled: was there no room for it?
    pub(super) fn note_overload(&mut self, now: Instant) {
        let counts = self.context.transactions.counts();
        let before = std::mem::replace(&mut self.overload.seen, counts);
        if refused(&counts) == refused(&before) {
            return;
        }
        let began = self.overload.bites.map(|(began, _)| began);
        self.overload.bites = Some((began.unwrap_or(before), now));
        if began.is_none() {
            self.context.log(LogLine::Overload {
                calls: self.calls.len(),
                transactions: counts.live,
            });
        }
    }

    /// Nobody was refused for a while.
    pub(super) fn overload_settled(&mut self, now: Instant) {
        if self.poll_overload().is_none_or(|at| now < at) {
            return;
        }
        if let Some((began, _)) = self.overload.bites.take() {
            let counts = self.overload.seen;
            self.context.log(LogLine::OverloadOver {
                refused_calls: counts.refused_calls - began.refused_calls,
                refused_others: counts.refused_others - began.refused_others,
            });
        }
    }

    pub(super) fn poll_overload(&self) -> Option<Instant> {
        let (_, last) = self.overload.bites?;
        Some(last + LIMIT_QUIET_AFTER)
    }
}

const fn refused(counts: &TransactionCounts) -> u64 {
    counts.refused_calls + counts.refused_others
}
