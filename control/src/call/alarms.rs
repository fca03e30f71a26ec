//! The clocks of calls besides their one deadline: session timers, repeated provisional
//! responses, changes that are tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{CallId, Party};

/// What is due for a leg of a call; at most one of a kind at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// We refresh the session (RFC 4028 section 10).
    Refresh(Party),
    /// The session has not been refreshed: it ends.
    Expire(Party),
    /// An offer of ours is sent again, or one side is told what the other has said.
    Reoffer,
    /// A reliable provisional response is repeated (RFC 3262 section 3).
    Reliable,
    /// Media should have come from each side.
    Unheard,
    /// A browser that has closed its DTLS association should have hung up.
    MediaClosed(Party),
    /// The dialogs of a call that is over are kept no longer.
    Forget,
}

impl Alarm {
    /// Every alarm that a call can have.
    const ALL: [Self; 10] = [
        Self::Refresh(Party::Caller),
        Self::Refresh(Party::Callee),
        Self::Expire(Party::Caller),
        Self::Expire(Party::Callee),
        Self::Reoffer,
        Self::Reliable,
        Self::Unheard,
        Self::MediaClosed(Party::Caller),
        Self::MediaClosed(Party::Callee),
        Self::Forget,
    ];
}

/// The alarms of all calls, by time.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    by_time: BTreeSet<(Instant, CallId, Alarm)>,
    times: BTreeMap<(CallId, Alarm), Instant>,
}

impl Alarms {
    /// Sets an alarm, moves it, or takes it back.
    pub(crate) fn set(&mut self, id: CallId, alarm: Alarm, at: Option<Instant>) {
        if let Some(old) = self.times.remove(&(id, alarm)) {
            self.by_time.remove(&(old, id, alarm));
        }
        if let Some(at) = at {
            self.times.insert((id, alarm), at);
            self.by_time.insert((at, id, alarm));
        }
    }

    /// Two alarms, of different calls, take each other's time.
    pub(crate) fn exchange(&mut self, one: (CallId, Alarm), other: (CallId, Alarm)) {
        let (first, second) = (
            self.times.get(&one).copied(),
            self.times.get(&other).copied(),
        );
        self.set(one.0, one.1, second);
        self.set(other.0, other.1, first);
    }

    /// Takes back all alarms of a call.
    pub(crate) fn clear(&mut self, id: CallId) {
        for alarm in Alarm::ALL {
            self.set(id, alarm, None);
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, ..)| *at)
    }

    /// Takes out one that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(CallId, Alarm)> {
        let (at, id, alarm) = self.by_time.first().copied()?;
        if at > now {
            return None;
        }
        self.set(id, alarm, None);
        Some((id, alarm))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }
}
