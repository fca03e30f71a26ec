//! Panics on demand, in debug builds only: how tests kill each part of the process.
//!
//! `RINGWAY_PANIC` names parts, separated by commas; each SIGUSR2 makes the next of them panic, or
//! hang (`worker-stalls`).

use crate::health::Part;

/// Names in `RINGWAY_PANIC`.
fn name(part: Part) -> &'static str {
    match part {
        Part::Handshakes => "handshakes",
        Part::Workers => "worker",
        Part::SipSocket => "sip",
        Part::SipListener => "sip-listener",
        Part::WebListener => "web",
        Part::Acme => "acme",
        Part::Certificates => "certificates",
    }
}

/// Panics if this part is to.
pub(super) fn check(part: Part) {
    check_name(name(part));
}

/// Never resolves, and panics when this part is to.
pub(super) async fn injected(part: Part) {
    injected_name(name(part)).await;
}

#[cfg(debug_assertions)]
pub(super) use self::armed::{check_name, injected_name, is_armed, watch};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use dataplane::link::WorkerHandle;
    use tokio::signal::unix::{SignalKind, signal};
    use tracing::{error, warn};

    /// How often a part looks whether it is its turn.
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    /// Present if `RINGWAY_PANIC` is set: the part whose turn it is.
    static TURN: OnceLock<Mutex<Option<String>>> = OnceLock::new();

    pub(in super::super) fn is_armed() -> bool {
        TURN.get().is_some()
    }

    pub(in super::super) fn check_name(name: &str) {
        let Some(turn) = TURN.get() else { return };
        let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.as_deref() == Some(name) {
            *turn = None;
            drop(turn);
            panic!("a panic in {name} was asked for");
        }
    }

    pub(in super::super) async fn injected_name(name: &str) {
        loop {
            if !is_armed() {
                return std::future::pending().await;
            }
            check_name(name);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for SIGUSR2, if `RINGWAY_PANIC` asks for it.
    pub(in super::super) fn watch(workers: Vec<WorkerHandle>) {
        let Ok(names) = std::env::var("RINGWAY_PANIC") else {
            return;
        };
        let turn = TURN.get_or_init(Mutex::default);
        let mut signals = match signal(SignalKind::user_defined2()) {
            Ok(signals) => signals,
            Err(error) => return error!(%error, "cannot wait for SIGUSR2"),
        };
        tokio::spawn(async move {
            for name in names.split(',') {
                signals.recv().await;
                warn!(name, "a panic was asked for");
                if name == "worker" {
                    workers
                        .first()
                        .into_iter()
                        .for_each(WorkerHandle::ask_panic);
                } else if name == "worker-stalls" {
                    workers
                        .first()
                        .into_iter()
                        .for_each(WorkerHandle::ask_stall);
                } else {
                    *turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
                }
            }
        });
    }
}

#[cfg(not(debug_assertions))]
mod disarmed {
    pub(in super::super) const fn is_armed() -> bool {
        false
    }

    pub(in super::super) const fn check_name(_: &str) {}

    pub(in super::super) async fn injected_name(_: &str) {
        std::future::pending().await
    }

    pub(in super::super) fn watch(_: Vec<dataplane::link::WorkerHandle>) {}
}

#[cfg(not(debug_assertions))]
pub(super) use self::disarmed::{check_name, injected_name, is_armed, watch};
