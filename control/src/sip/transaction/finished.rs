//! Transactions that have had their final response, and wait only for what may come again: timers
//! D, I, J, K, L and M.
//!
//! One call leaves two or three of them behind for 32 s, so they are what the table holds most of.
//! Each is a [`Record`] of what a repetition needs, and no more. They have a bound of their own;
//! beyond it, the one whose timer would end first is forgotten, and what is repeated of it later is
//! a new request, or a stray response.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::Peer;
use super::fingerprint::Fingerprint;
use crate::room::give_back;
use crate::sip::header::HeaderName;

/// As many records end each by their own timer; with more, one wake-up ends those of
/// [`TOGETHER_WITHIN`].
const ALONE_MAX: usize = 64;
/// By how much a record may outlive its timer so that the engine need not wake up for each.
const TOGETHER_WITHIN: Duration = Duration::from_millis(100);

/// A transaction that has had its final response.
#[derive(Debug)]
pub(super) struct Record {
    /// Its key.
    pub(super) key: Fingerprint,
    /// Server: where responses go. Client: to whom the request went.
    pub(super) peer: Peer,
    /// When it is forgotten.
    pub(super) ends_at: Instant,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Our INVITE with a 2xx (timer M): further 2xx go to the owner.
    Accepted(Box<SentInvite>),
    /// Our INVITE with another final response (timer D), which gets this ACK each time.
    Refused { sequence: u32, ack: Bytes },
    /// Our request of another method (timer K).
    Answered,
    /// An INVITE whose 2xx has its ACK (timer L).
    Acknowledged(Box<ServedInvite>),
    /// An INVITE whose other final response has its ACK (timer I).
    Confirmed(Box<ServedInvite>),
    /// A request of another method, and its response (timer J).
    Served(Bytes),
}

/// What the ACK to a 2xx repeats of our INVITE (RFC 3261 section 13.2.2.4).
#[derive(Debug)]
pub(super) struct SentInvite {
    pub(super) sequence: u32,
    pub(super) credentials: Vec<(HeaderName, String)>,
}

/// By what else an INVITE is found, and what the 200 to a late CANCEL says.
#[derive(Debug)]
pub(super) struct ServedInvite {
    pub(super) dialog: Option<Fingerprint>,
    pub(super) merge: Option<Fingerprint>,
    pub(super) to_tag: Option<Box<str>>,
}

impl Record {
    /// All keys that it is found by.
    pub(super) fn keys(&self) -> impl Iterator<Item = Fingerprint> {
        let (dialog, merge) = match &self.kind {
            Kind::Acknowledged(invite) | Kind::Confirmed(invite) => (invite.dialog, invite.merge),
            Kind::Accepted(_) | Kind::Refused { .. } | Kind::Answered | Kind::Served(_) => {
                (None, None)
            }
        };
        [Some(self.key), dialog, merge].into_iter().flatten()
    }
}

/// All of them, by the number in the name of their transaction.
#[derive(Debug)]
pub(super) struct Finished {
    records: HashMap<u64, Box<Record>, RandomState>,
    by_end: BTreeSet<(Instant, u64)>,
    capacity: usize,
    forgotten: u64,
}

impl Finished {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: HashMap::default(),
            by_end: BTreeSet::new(),
            capacity,
            forgotten: 0,
        }
    }

    pub(super) const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// How many were forgotten before their time, so far.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, number: u64) -> Option<&Record> {
        self.records.get(&number).map(AsRef::as_ref)
    }

    /// Keeps one; returns the one that was forgotten for it, if the table is full.
    pub(super) fn insert(&mut self, number: u64, record: Record) -> Option<(u64, Box<Record>)> {
        let first = self.by_end.first().copied();
        let first = first.filter(|_| self.len() >= self.capacity);
        let gone = first.and_then(|(_, number)| Some((number, self.remove(number)?)));
        self.forgotten += u64::from(gone.is_some());
        self.by_end.insert((record.ends_at, number));
        self.records.insert(number, Box::new(record));
        gone
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Record>> {
        let record = self.records.remove(&number)?;
        self.by_end.remove(&(record.ends_at, number));
        give_back(&mut self.records);
        Some(record)
    }

    /// Takes one whose timer has ended.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u64, Box<Record>)> {
        let (_, number) = self.by_end.first().copied().filter(|(at, _)| *at <= now)?;
        Some((number, self.remove(number)?))
    }

    /// When to ask for [`Finished::take_due`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (at, _) = self.by_end.first()?;
        if self.len() > ALONE_MAX {
            return Some(*at + TOGETHER_WITHIN);
        }
        Some(*at)
    }
}
