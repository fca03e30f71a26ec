//! Who makes calls: one call after the other, by the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use control::sip::{Message, Method};

use super::message::Side;

/// T1 of RFC 3261.
const T1: Duration = Duration::from_millis(500);
/// A request that has no answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(32);

/// What became of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) began: u64,
    pub(super) completed: u64,
    pub(super) refused: BTreeMap<u16, u64>,
    pub(super) byes_failed: u64,
    set_ups: Vec<Duration>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.began += other.began;
        self.completed += other.completed;
        self.byes_failed += other.byes_failed;
        self.set_ups.extend(other.set_ups);
        for (status, calls) in other.refused {
            *self.refused.entry(status).or_default() += calls;
        }
    }

    /// This percentile of the time to the answer, in milliseconds.
    pub(super) fn set_up(&self, percent: usize) -> f64 {
        let mut times = self.set_ups.clone();
        times.sort_unstable();
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, Duration::as_secs_f64) * 1e3
    }
}

/// A call under way.
#[derive(Debug)]
struct Call {
    uri: String,
    began: Instant,
    /// The request that waits for its answer, when it was sent first, and how long until it is
    /// repeated.
    waiting: Option<(Bytes, Instant, Duration)>,
    /// The answer, and our ACK to it.
    accepted: Option<(Message, Bytes)>,
    is_ending: bool,
    due: Instant,
}

/// Calls of one side.
#[derive(Debug)]
pub(super) struct Caller {
    side: Side,
    targets: Vec<String>,
    length: Duration,
    next_call: u64,
    calls: HashMap<u64, Call>,
    due: BTreeSet<(Instant, u64)>,
    /// When the next call begins, the time between two, and when no more begin.
    plan: Option<(Instant, Duration, Instant)>,
    tally: Tally,
}

impl Caller {
    pub(super) fn new(side: Side, length: Duration) -> Self {
        Self {
            side,
            targets: Vec::new(),
            length,
            next_call: 0,
            calls: HashMap::new(),
            due: BTreeSet::new(),
            plan: None,
            tally: Tally::default(),
        }
    }

    /// Makes calls from `first` until `end`.
    pub(super) fn plan(
        &mut self,
        targets: Vec<String>,
        first: Instant,
        every: Duration,
        end: Instant,
    ) {
        self.targets = targets;
        self.plan = Some((first, every, end));
    }

    /// What became of the calls, once all have ended.
    pub(super) fn take_tally(&mut self) -> Option<Tally> {
        (self.plan.is_none() && self.calls.is_empty()).then(|| std::mem::take(&mut self.tally))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let call = self.due.first().map(|(at, _)| *at);
        let next = self.plan.map(|(at, _, _)| at);
        call.into_iter().chain(next).min()
    }

    /// What must be sent now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Bytes> {
        let mut sent = Vec::new();
        while let Some((at, number)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, number));
            sent.extend(self.call_due(now, number));
        }
        while let Some((at, every, end)) = self.plan.filter(|(at, _, _)| *at <= now) {
            self.plan = (at + every < end).then_some((at + every, every, end));
            sent.extend(self.begin(now));
        }
        sent
    }

    fn begin(&mut self, now: Instant) -> Option<Bytes> {
        self.next_call += 1;
        let number = self.next_call;
        let index = usize::try_from(number).unwrap_or_default() % self.targets.len().max(1);
        let uri = self.targets.get(index)?.clone();
        let bytes = self.side.invite(number, &uri).to_bytes();
        let call = Call {
            uri,
            began: now,
            waiting: Some((bytes.clone(), now, T1)),
            accepted: None,
            is_ending: false,
            due: now,
        };
        self.calls.insert(number, call);
        self.wake(number, now + T1);
        self.tally.began += 1;
        Some(bytes)
    }

    fn wake(&mut self, number: u64, at: Instant) {
        if let Some(call) = self.calls.get_mut(&number) {
            self.due.remove(&(call.due, number));
            call.due = at;
            self.due.insert((at, number));
        }
    }

    fn call_due(&mut self, now: Instant, number: u64) -> Option<Bytes> {
        let call = self.calls.get_mut(&number)?;
        let Some((bytes, first, interval)) = &mut call.waiting else {
            return self.hang_up(now, number);
        };
        if now >= *first + PATIENCE {
            if call.is_ending {
                self.tally.byes_failed += 1;
            } else {
                *self.tally.refused.entry(408).or_default() += 1;
            }
            self.calls.remove(&number);
            return None;
        }
        *interval *= 2;
        let (again, at) = (bytes.clone(), now + *interval);
        self.wake(number, at);
        (!self.side.is_reliable).then_some(again)
    }

    fn hang_up(&mut self, now: Instant, number: u64) -> Option<Bytes> {
        let call = self.calls.get_mut(&number)?;
        let (accepted, _) = call.accepted.as_ref()?;
        let bye = self
            .side
            .in_dialog(number, &Method::Bye, accepted)
            .to_bytes();
        call.waiting = Some((bye.clone(), now, T1));
        call.is_ending = true;
        self.wake(number, now + T1);
        Some(bye)
    }

    /// Takes a response; returns what must be sent.
    pub(super) fn response(&mut self, now: Instant, response: Message) -> Option<Bytes> {
        let (_, number) = response.call_id().rsplit_once('-')?;
        let number: u64 = number.parse().ok()?;
        let status = response.status()?;
        if status < 200 {
            return None;
        }
        if response.method() != Method::Invite {
            if status < 300 {
                self.tally.completed += 1;
            } else {
                self.tally.byes_failed += 1;
            }
            self.forget(number);
            return None;
        }
        let call = self.calls.get_mut(&number)?;
        if status >= 300 {
            *self.tally.refused.entry(status).or_default() += 1;
            let ack = self.side.hop_ack(number, &call.uri, &response).to_bytes();
            self.forget(number);
            return Some(ack);
        }
        if let Some((_, ack)) = &call.accepted {
            return Some(ack.clone());
        }
        self.tally.set_ups.push(now - call.began);
        call.waiting = None;
        let ack = self
            .side
            .in_dialog(number, &Method::Ack, &response)
            .to_bytes();
        call.accepted = Some((response, ack.clone()));
        self.wake(number, now + self.length);
        Some(ack)
    }

    fn forget(&mut self, number: u64) {
        if let Some(call) = self.calls.remove(&number) {
            self.due.remove(&(call.due, number));
        }
    }
}
