//! Keeps the parts of the process running: one that ends though nobody asked it to is started again,
//! and meanwhile `/health` and the brain know that it is missing.
//!
//! Tasks of single connections are not kept: a panic in one ends that connection ([`or_panicked`]).
//! A media worker begins anew by itself (`dataplane`), and says so; one that fails again and again
//! ends. Then, and when the task of the brain panics and all calls are lost, the process ends with a
//! failure, so that whoever runs it starts it anew.

use std::any::Any;
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tracing::{debug, error, info};

use super::arrival::Arrival;
use super::{clock, fault};
use crate::health::{Health, Part};
use crate::limits::{RESTART_AFTER, RESTART_AFTER_MAX, RESTARTED_WELL_AFTER};

/// Knows which parts are missing.
#[derive(Debug)]
pub(super) struct Supervisor {
    health: Mutex<Health>,
    arrivals: mpsc::Sender<Arrival>,
}

impl Supervisor {
    pub(super) fn new(arrivals: mpsc::Sender<Arrival>) -> Self {
        let health = Mutex::default();
        Self { health, arrivals }
    }

    /// What is missing, for `/health`.
    pub(super) fn missing(&self) -> Option<Part> {
        self.health().missing()
    }

    /// A part is gone; the caller tells the brain.
    pub(super) fn lost(&self, part: Part, why: &dyn Display) {
        error!(%why, "{part} has ended: calls are refused until it is there again");
        self.health().lost(part);
    }

    /// A part is there again; the caller tells the brain.
    pub(super) fn is_back(&self, part: Part) {
        info!("{part} runs again");
        self.health().is_back(part);
    }

    /// A panic while it is held leaves it whole.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a part for as long as the brain is there.
    pub(super) fn keep<F, T>(self: &Arc<Self>, part: Part, mut start: F)
    where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let supervisor = Arc::clone(self);
        tokio::spawn(async move {
            let mut pauses = Pauses::default();
            loop {
                let began = clock::now();
                let task = start();
                let run = async move {
                    tokio::select! {
                        () = task => {}
                        () = fault::injected(part) => {}
                    }
                };
                let ended = or_panicked(run).await;
                if supervisor.arrivals.is_closed() {
                    return;
                }
                let why = ended.err().unwrap_or_else(|| "it ended".to_owned());
                supervisor.lost(part, &why);
                supervisor.tell(part, false).await;
                tokio::time::sleep(pauses.next(clock::now() - began)).await;
                supervisor.is_back(part);
                supervisor.tell(part, true).await;
            }
        });
    }

    /// Tells the brain.
    pub(super) async fn tell(&self, part: Part, is_there: bool) {
        let arrival = Arrival::Part { part, is_there };
        if self.arrivals.send(arrival).await.is_err() {
            debug!("the brain has stopped");
        }
    }
}

/// How long a part that ends again and again is left alone.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    in_a_row: u32,
}

impl Pauses {
    /// The pause after a run of this length.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= RESTARTED_WELL_AFTER {
            self.in_a_row = 0;
        }
        let pause = RESTART_AFTER.saturating_mul(1 << self.in_a_row.min(16));
        self.in_a_row += 1;
        pause.min(RESTART_AFTER_MAX)
    }
}

/// The outcome of a task, or the text of its panic. What the task held is dropped.
pub(super) async fn or_panicked<T>(task: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(task)
        .catch_unwind()
        .await
        .map_err(|panic| text_of(&*panic))
}

/// The text of a panic.
pub(super) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn media_f1_a_task_that_panics_is_missed_at_once_and_started_again() {
        let (sender, mut arrivals) = mpsc::channel(8);
        let supervisor = Arc::new(Supervisor::new(sender));
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        supervisor.keep(Part::SipSocket, move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match number {
                    0 => panic!("on purpose"),
                    1 => {}
                    _ => std::future::pending().await,
                }
            }
        });
        for _ in 0..2 {
            for is_there in [false, true] {
                let arrival = arrivals.recv().await;
                let Some(Arrival::Part {
                    part,
                    is_there: said,
                }) = arrival
                else {
                    panic!("{arrival:?}");
                };
                assert_eq!((part, said), (Part::SipSocket, is_there));
                if !is_there {
                    assert_eq!(supervisor.missing(), Some(Part::SipSocket));
                }
            }
        }
        while starts.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(supervisor.missing(), None);
    }

    #[test]
    fn pauses_grow_and_are_forgotten() {
        let mut pauses = Pauses::default();
        let short = Duration::ZERO;
        assert_eq!(pauses.next(short), RESTART_AFTER);
        assert_eq!(pauses.next(short), RESTART_AFTER * 2);
        for _ in 0..100 {
            assert!(pauses.next(short) <= RESTART_AFTER_MAX);
        }
        assert_eq!(pauses.next(RESTARTED_WELL_AFTER), RESTART_AFTER);
    }

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        assert_eq!(or_panicked(async { 1 }).await, Ok(1));
        let panicked = or_panicked(async { panic!("why {}", 1) }).await;
        assert_eq!(panicked, Err::<(), _>("it panicked: why 1".to_owned()));
    }
}
