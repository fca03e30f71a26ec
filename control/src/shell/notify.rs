//! Tells the service manager how the process is (systemd's `sd_notify(3)`): ready, what it does,
//! reading files again, stopping, and that it still moves. Without a service manager nothing is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dataplane::link::WorkerHandle;
use sd_notify::NotifyState;
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use super::arrival::Arrival;
use super::supervise::Supervisor;
use crate::limits::STATUS_EVERY;

/// Signs of life of the task of the brain.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    turns: AtomicU64,
    calls: AtomicUsize,
    connections: AtomicUsize,
}

impl Pulse {
    /// The task has turned, and has so many calls and WebSockets.
    pub(super) fn beat(&self, calls: usize, connections: usize) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        self.calls.store(calls, Ordering::Relaxed);
        self.connections.store(connections, Ordering::Relaxed);
    }

    fn status(&self, missing: Option<String>) -> String {
        let calls = self.calls.load(Ordering::Relaxed);
        let connections = self.connections.load(Ordering::Relaxed);
        let missing = missing.map_or_else(String::new, |part| format!("; missing: {part}"));
        format!("{calls} calls, {connections} WebSockets{missing}")
    }
}

/// Says this, if there is somebody to say it to.
fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager does not listen");
    }
}

/// Everything listens.
pub(super) fn ready() {
    say(&[NotifyState::Ready]);
}

/// Files are read again, until [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the monotonic clock cannot be read"),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Tells the status when it changes, for as long as the brain is there.
pub(super) fn tell_status(
    pulse: Arc<Pulse>,
    supervisor: Arc<Supervisor>,
    arrivals: mpsc::Sender<Arrival>,
) {
    tokio::spawn(async move {
        let mut told = String::new();
        let mut ticks = tokio::time::interval(STATUS_EVERY);
        while !arrivals.is_closed() {
            ticks.tick().await;
            let missing = supervisor.missing().map(|part| part.to_string());
            let status = pulse.status(missing);
            if status != told {
                say(&[NotifyState::Status(&status)]);
                told = status;
            }
        }
    });
}

/// Feeds the watchdog, if there is one: as long as the task of the brain and every worker move.
pub(super) fn feed_watchdog(
    pulse: Arc<Pulse>,
    workers: Vec<WorkerHandle>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = within / 3;
    info!(
        within_s = within.as_secs(),
        "the service manager's watchdog is fed"
    );
    tokio::spawn(async move {
        let mut watch = Watch::new(pulse, workers);
        loop {
            let before = watch.look();
            // Neither would turn by itself when there is nothing to do.
            watch.poke();
            match arrivals.try_send(Arrival::Beat) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
            tokio::time::sleep(every).await;
            if watch.judge(&before, every) {
                say(&[NotifyState::Watchdog]);
            }
        }
    });
}

/// Everybody who has to move.
struct Watch {
    pulse: Arc<Pulse>,
    workers: Vec<WorkerHandle>,
    /// Somebody did not move the last time.
    is_stuck: bool,
}

impl Watch {
    fn new(pulse: Arc<Pulse>, workers: Vec<WorkerHandle>) -> Self {
        Self {
            pulse,
            workers,
            is_stuck: false,
        }
    }

    /// The turns of all so far: the brain's, then each worker's.
    fn look(&self) -> Vec<u64> {
        let workers = self.workers.iter().map(WorkerHandle::turns);
        let brain = self.pulse.turns.load(Ordering::Relaxed);
        std::iter::once(brain).chain(workers).collect()
    }

    fn poke(&self) {
        self.workers.iter().for_each(WorkerHandle::wake);
    }

    /// Have all turned since? The log says who has not, once.
    fn judge(&mut self, before: &[u64], within: Duration) -> bool {
        let now = self.look();
        let mut stuck = before.iter().zip(&now).enumerate();
        let stuck = stuck.find(|(_, (before, now))| before == now);
        let was_stuck = std::mem::replace(&mut self.is_stuck, stuck.is_some());
        let Some((index, _)) = stuck else {
            return true;
        };
        if !was_stuck {
            let who = match index.checked_sub(1) {
                None => "the task that decides".to_owned(),
                Some(worker) => format!("media worker {worker}"),
            };
            let within_s = within.as_secs_f64();
            error!(within_s, "{who} does not move: the watchdog is not fed");
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_what_is_missing() {
        let pulse = Pulse::default();
        pulse.beat(2, 3);
        assert_eq!(pulse.status(None), "2 calls, 3 WebSockets");
        let status = pulse.status(Some("a media worker".to_owned()));
        assert_eq!(status, "2 calls, 3 WebSockets; missing: a media worker");
    }

    #[test]
    fn who_does_not_turn_is_stuck_until_it_turns() {
        let pulse = Arc::new(Pulse::default());
        let mut watch = Watch::new(Arc::clone(&pulse), Vec::new());
        let before = watch.look();
        assert!(!watch.judge(&before, Duration::ZERO));
        assert!(watch.is_stuck);
        pulse.beat(0, 0);
        assert!(watch.judge(&before, Duration::ZERO));
        assert!(!watch.is_stuck);
    }
}
