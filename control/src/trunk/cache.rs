//! What the DNS has said, and when it is asked again.
//!
//! One entry per question that is wanted: *due* → *waiting* → *known* until its time to live ends,
//! or *failed* until it is asked again. It is asked again a little before the end, so that calls
//! find it known. What has been known stays when later questions fail (RFC 8767).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::dns::{Answer, Question, Record};
use crate::limits::{
    LOCATION_NEGATIVE_TTL_MAX, LOCATION_RETRY_FIRST, LOCATION_RETRY_MAX, LOCATION_STALE_MAX,
    LOCATION_TTL_MAX, LOCATION_TTL_MIN, RECORDS_PER_ANSWER_MAX,
};

/// All questions that somebody wants the answer of.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Question, Entry>,
}

/// One question.
#[derive(Debug)]
struct Entry {
    known: Option<Known>,
    /// When it is to be asked; `None` while the answer is awaited.
    ask_at: Option<Instant>,
    /// Why the last answer was none.
    failure: Option<String>,
    failures: u32,
}

/// The last answer.
#[derive(Debug)]
struct Known {
    /// Empty if there is no such name or record.
    records: Vec<Record>,
    /// The end of its time to live.
    until: Instant,
}

/// What is known of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// It has not been answered yet.
    Waiting,
    /// It was answered; with nothing, if there are none.
    Known(&'a [Record]),
    /// The answer has outlived its time: why.
    Stale(&'a [Record], &'a str),
    /// There never was one, or it is too old: why. That is no answer that there is nothing.
    Failed(&'a str),
}

impl Cache {
    /// These questions are wanted, and no others. New ones are due at once.
    pub(super) fn want(&mut self, now: Instant, wanted: &BTreeSet<Question>) {
        self.entries.retain(|question, _| wanted.contains(question));
        for question in wanted {
            if !self.entries.contains_key(question) {
                self.entries.insert(question.clone(), Entry::due(now));
            }
        }
    }

    /// When [`Cache::due`] wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.ask_at).min()
    }

    /// The questions that are to be asked now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Question> {
        let mut due = Vec::new();
        for (question, entry) in &mut self.entries {
            if entry.ask_at.is_some_and(|at| at <= now) {
                entry.ask_at = None;
                due.push(question.clone());
            }
        }
        due
    }

    /// A question has its answer. False if nobody waits for it (any more).
    pub(super) fn answered(&mut self, now: Instant, question: &Question, answer: Answer) -> bool {
        let entry = self.entries.get_mut(question);
        let Some(entry) = entry.filter(|entry| entry.ask_at.is_none()) else {
            return false;
        };
        match answer {
            Answer::Records { records, ttl } => {
                let ttl = ttl.clamp(LOCATION_TTL_MIN, LOCATION_TTL_MAX);
                entry.learn(now, records, ttl);
            }
            Answer::Nothing { ttl } => {
                let ttl = ttl.unwrap_or_default();
                let ttl = ttl.clamp(LOCATION_TTL_MIN, LOCATION_NEGATIVE_TTL_MAX);
                entry.learn(now, Vec::new(), ttl);
            }
            Answer::Failed(reason) => entry.fail(now, reason),
        }
        true
    }

    /// What is known of a question.
    pub(super) fn look(&self, now: Instant, question: &Question) -> Look<'_> {
        let Some(entry) = self.entries.get(question) else {
            return Look::Waiting;
        };
        match (&entry.known, &entry.failure) {
            (Some(known), None) => Look::Known(&known.records),
            (Some(known), Some(_)) if now < known.until => Look::Known(&known.records),
            (Some(known), Some(reason)) => Look::Stale(&known.records, reason),
            (None, Some(reason)) => Look::Failed(reason),
            (None, None) => Look::Waiting,
        }
    }
}

impl Entry {
    fn due(now: Instant) -> Self {
        Self {
            known: None,
            ask_at: Some(now),
            failure: None,
            failures: 0,
        }
    }

    /// Takes the best records of an answer.
    fn learn(&mut self, now: Instant, mut records: Vec<Record>, ttl: Duration) {
        // By priority first: what is beyond the limit is what would be tried last.
        records.sort_unstable();
        records.dedup();
        records.truncate(RECORDS_PER_ANSWER_MAX);
        self.known = Some(Known {
            records,
            until: now + ttl,
        });
        self.failure = None;
        self.failures = 0;
        self.ask_at = Some(now + ttl * 9 / 10);
    }

    /// Keeps what was known, for a while.
    fn fail(&mut self, now: Instant, reason: String) {
        let is_too_old = |known: &Known| now >= known.until + LOCATION_STALE_MAX;
        if self.known.as_ref().is_some_and(is_too_old) {
            self.known = None;
        }
        let doublings = self.failures.min(16);
        let wait = LOCATION_RETRY_FIRST * 2_u32.pow(doublings);
        self.ask_at = Some(now + wait.min(LOCATION_RETRY_MAX));
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(reason);
    }
}

#[cfg(test)]
mod tests;
