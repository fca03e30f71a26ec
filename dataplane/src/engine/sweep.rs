//! What happens when nothing happens: silence, withdrawn consent, and reports.

use std::time::{Duration, Instant};

use super::Engine;
use crate::limits::{SWEEP_PERIOD, SWEEP_SLOTS_MAX};
use crate::link::Event;

impl Engine {
    /// Looks after silence and consent of the next few flows, if the time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        let slots_count = self.table.slots_count();
        let end = slots_count.min(self.sweep_slot + SWEEP_SLOTS_MAX);
        for slot in self.sweep_slot..end {
            if let Ok(slot) = u16::try_from(slot) {
                self.look_after(now, slot);
            }
        }
        self.sweep_slot = if end == slots_count { 0 } else { end };
        self.sweep_at = Some(now + self.sweep_interval());
    }

    /// The first flow starts the sweep, the last one ends it.
    pub(super) fn adjust_sweep(&mut self, now: Instant) {
        let count = self.table.open_count();
        self.counters.set_open_flows(count as u64);
        self.sweep_at = match self.sweep_at {
            _ if count == 0 => None,
            None => Some(now + self.sweep_interval()),
            Some(at) => Some(at),
        };
    }

    fn sweep_interval(&self) -> Duration {
        let calls = self.table.slots_count().div_ceil(SWEEP_SLOTS_MAX);
        SWEEP_PERIOD / u32::try_from(calls).unwrap_or(1)
    }

    fn look_after(&mut self, now: Instant, slot: u16) {
        self.check_report(now, slot);
        let events_waiting = self.events.len();
        let Some(flow) = self.table.at_mut(slot) else {
            return;
        };
        flow.refill_digits(events_waiting);
        if let Some(browser) = flow.browser_mut() {
            browser.allow_dtls_datagrams();
        }
        if let Some(silent_for) = flow.overdue(now)
            && !flow.silence_reported
        {
            flow.silence_reported = true;
            if !flow.pending.media_silent {
                flow.pending.media_silent = true;
                self.events.push_back(Event::MediaSilent {
                    flow: flow.id,
                    silent_for,
                });
            }
        }
        while let Some(address) = self
            .table
            .at_mut(slot)
            .and_then(|flow| flow.browser_mut())
            .and_then(|browser| browser.change_ice(self.clock, |ice| ice.expire(now)))
        {
            self.table.release_source(address);
        }
    }
}
