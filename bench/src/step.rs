//! What one rate that was offered has shown.

use std::time::Duration;

use crate::scenario::Target;
use crate::stream::Tally;

/// A step with less loss than this part counts as loss-free …
const LOSS_MAX: f64 = 0.001;
/// … if this part came out before the end of the step …
const IN_TIME_MIN: f64 = 0.99;
/// … but for the last bursts of each way, which are sent just then.
const BURSTS_LATE: u64 = 2;

/// One rate that was offered. Counts are packets.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) target: Target,
    /// What was really offered, all ways together.
    pub(crate) offered_pps: f64,
    pub(crate) sent: [u64; 2],
    /// Packets of one call that followed each other.
    pub(crate) burst: u16,
    pub(crate) tallies: [Tally; 2],
    /// From the first packet sent to the last one sent, or planned to be.
    pub(crate) time: Duration,
    /// What came out within that time.
    pub(crate) received_in_time: u64,
    pub(crate) cpu_ns: u64,
    /// Of the time of its cores, what the target used; 1 is all of it.
    pub(crate) cpu_share: f64,
    /// Sorted.
    pub(crate) latencies_ns: Vec<u64>,
    /// The generator could not offer the rate that was planned.
    pub(crate) generator_late: bool,
    /// Packets that came back and that the generator had no room for.
    pub(crate) overflow: u32,
    pub(crate) drops: Vec<(String, u64)>,
}

impl Step {
    pub(crate) fn received(&self) -> u64 {
        self.tallies.iter().map(Tally::unique).sum()
    }

    /// Of the worse way, 0 to 1.
    pub(crate) fn loss(&self) -> f64 {
        let pairs = self.sent.iter().zip(&self.tallies);
        let losses = pairs.filter(|(sent, _)| **sent > 0).map(|(sent, tally)| {
            let lost = sent.saturating_sub(tally.unique());
            float(lost) / float(*sent)
        });
        losses.fold(0.0, f64::max)
    }

    /// Was more lost than a loss-free step may lose?
    pub(crate) fn is_lossy(&self) -> bool {
        self.loss() >= LOSS_MAX
    }

    /// Did everything come out as it should, and most of it while the rate was still offered? What
    /// stands in queues at the end would be lost if it went on.
    pub(crate) fn is_whole(&self) -> bool {
        let sent = float(self.sent.iter().sum());
        let right = !self.is_lossy() && self.wrong() == 0;
        let late = BURSTS_LATE * self.sent.len() as u64 * u64::from(self.burst);
        right && float(self.received_in_time + late) >= sent * IN_TIME_MIN
    }

    /// Forwarded packets per second while the rate was offered, all ways together.
    pub(crate) fn forwarded_pps(&self) -> f64 {
        float(self.received_in_time) / self.time.as_secs_f64()
    }

    pub(crate) fn cpu_ns_per_packet(&self) -> f64 {
        float(self.cpu_ns) / float(self.received().max(1))
    }

    /// In microseconds; `None` if nothing was measured.
    pub(crate) fn latency_us(&self, per_mille: usize) -> Option<f64> {
        let index = self.latencies_ns.len() * per_mille / 1000;
        self.latencies_ns.get(index).map(|ns| float(*ns) / 1000.0)
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.wrong).sum()
    }

    /// Reordered and duplicated packets.
    pub(crate) fn disordered(&self) -> u64 {
        let each = self.tallies.iter();
        each.map(|tally| tally.reordered + tally.duplicated).sum()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times far below 2^52"
)]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}
