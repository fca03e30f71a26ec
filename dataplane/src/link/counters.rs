//! What a worker counts: one page of atomics, written by the worker alone, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{DropReason, Verdict};

/// The number of drop counters.
const DROP_REASONS: usize = DropReason::ALL.len();

/// A counter on a cache line of its own, so that reading one never slows the writing of another.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

impl Counter {
    /// One writer only: a plain load and store is enough, and costs no locked instruction.
    fn add(&self, count: u64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(count), Ordering::Relaxed);
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one worker. Only that worker writes; values never go back, except the gauge of
/// open flows.
#[derive(Debug)]
pub struct Counters {
    received_packets: Counter,
    forwarded_packets: Counter,
    replied_packets: Counter,
    to_control_packets: Counter,
    consumed_packets: Counter,
    sent_reports: Counter,
    sent_digit_packets: Counter,
    heard_digits: Counter,
    dropped_digits: Counter,
    dropped_feedback_messages: Counter,
    dropped_packets: [Counter; DROP_REASONS],
    open_flows: Counter,
}

/// The values at one moment (not one atomic moment: each is read by itself).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Packets that the engine was asked about.
    pub received_packets: u64,
    /// Of these, sent on along their route.
    pub forwarded_packets: u64,
    /// Of these, answered to where they came from (STUN).
    pub replied_packets: u64,
    /// Of these, passed up to control (DTLS).
    pub to_control_packets: u64,
    /// Of these, RTCP reports and digits that ended here.
    pub consumed_packets: u64,
    /// RTCP reports of our own that were sent.
    pub sent_reports: u64,
    /// Telephone-event packets of our own that were sent.
    pub sent_digit_packets: u64,
    /// Digits of peers that control was told of.
    pub heard_digits: u64,
    /// Digits of peers that it was not told of: there were too many at once.
    pub dropped_digits: u64,
    /// RTCP messages that the other leg did not negotiate, alone or beside others in a packet.
    pub dropped_feedback_messages: u64,
    /// Flows that are open now.
    pub open_flows: u64,
    dropped_packets: [u64; DROP_REASONS],
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            received_packets: Counter::default(),
            forwarded_packets: Counter::default(),
            replied_packets: Counter::default(),
            to_control_packets: Counter::default(),
            consumed_packets: Counter::default(),
            sent_reports: Counter::default(),
            sent_digit_packets: Counter::default(),
            heard_digits: Counter::default(),
            dropped_digits: Counter::default(),
            dropped_feedback_messages: Counter::default(),
            dropped_packets: std::array::from_fn(|_| Counter::default()),
            open_flows: Counter::default(),
        }
    }

    /// The values now.
    #[must_use]
    pub fn snapshot(&self) -> CountersSnapshot {
        CountersSnapshot {
            received_packets: self.received_packets.get(),
            forwarded_packets: self.forwarded_packets.get(),
            replied_packets: self.replied_packets.get(),
            to_control_packets: self.to_control_packets.get(),
            consumed_packets: self.consumed_packets.get(),
            sent_reports: self.sent_reports.get(),
            sent_digit_packets: self.sent_digit_packets.get(),
            heard_digits: self.heard_digits.get(),
            dropped_digits: self.dropped_digits.get(),
            dropped_feedback_messages: self.dropped_feedback_messages.get(),
            open_flows: self.open_flows.get(),
            dropped_packets: std::array::from_fn(|index| {
                self.dropped_packets.get(index).map_or(0, Counter::get)
            }),
        }
    }

    /// Counts one packet that the engine decided about. Called by the engine.
    pub(crate) fn count_verdict(&self, verdict: &Verdict) {
        self.received_packets.add(1);
        match verdict {
            Verdict::Forward(_) => self.forwarded_packets.add(1),
            Verdict::Reply(_) => self.replied_packets.add(1),
            Verdict::ToControl(_) => self.to_control_packets.add(1),
            Verdict::Consumed => self.consumed_packets.add(1),
            Verdict::Drop(reason) => self.count_drop(*reason),
        }
    }

    /// Counts a drop that the shell decided, before or after the engine saw the packet: truncated,
    /// not sent, or a full queue.
    pub(crate) fn count_drop(&self, reason: DropReason) {
        if let Some(counter) = self.dropped_packets.get(reason.index()) {
            counter.add(1);
        }
    }

    /// Counts one report of ours. Called by the engine.
    pub(crate) fn count_report(&self) {
        self.sent_reports.add(1);
    }

    /// Counts one telephone-event packet of ours. Called by the engine.
    pub(crate) fn count_digit_packet(&self) {
        self.sent_digit_packets.add(1);
    }

    /// Counts a digit of a peer that control is told of. Called by the engine.
    pub(crate) fn count_heard_digit(&self) {
        self.heard_digits.add(1);
    }

    /// Counts one that it is not told of. Called by the engine.
    pub(crate) fn count_dropped_digit(&self) {
        self.dropped_digits.add(1);
    }

    /// Counts messages that nobody negotiated. Called by the engine.
    pub(crate) fn count_dropped_feedback(&self, count: u64) {
        self.dropped_feedback_messages.add(count);
    }

    /// Sets the gauge. Called by the engine.
    pub(crate) fn set_open_flows(&self, count: u64) {
        self.open_flows.set(count);
    }
}

impl CountersSnapshot {
    /// Packets dropped for this reason, by the engine or by the shell.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped_packets
            .get(reason.index())
            .copied()
            .unwrap_or(0)
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped_packets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_verdict_and_reason_by_itself() {
        let counters = Counters::new();
        counters.count_verdict(&Verdict::Drop(DropReason::NoRoute));
        counters.count_drop(DropReason::SendFailed);
        counters.set_open_flows(7);
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.received_packets, 1);
        assert_eq!(snapshot.dropped(DropReason::NoRoute), 1);
        assert_eq!(snapshot.dropped(DropReason::SendFailed), 1);
        assert_eq!(snapshot.dropped(DropReason::TooShort), 0);
        assert_eq!(snapshot.dropped_total(), 2);
        assert_eq!(snapshot.open_flows, 7);
    }
}
