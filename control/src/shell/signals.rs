//! SIGTERM, SIGINT and SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info};

use super::arrival::Arrival;
use super::notify;
use crate::limits::PROCESS_STOPS_WITHIN;

/// Waits for the first signal that asks the process to stop, then tells the brain. From then on
/// the process ends within [`PROCESS_STOPS_WITHIN`], even if everything else hangs.
pub(super) fn watch(arrivals: mpsc::Sender<Arrival>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stopping: calls are ended");
        notify::stopping();
        guard_the_end(0);
        if arrivals.send(Arrival::Stop).await.is_err() {
            error!("the brain has gone already");
        }
    });
    Ok(())
}

/// SIGHUP, which asks for files to be read again.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Ends the process with this status, in case nothing else does.
pub(super) fn guard_the_end(status: i32) {
    let guard = std::thread::Builder::new().name("end-guard".to_owned());
    #[expect(clippy::disallowed_methods, reason = "this thread only waits")]
    let started = guard.spawn(move || {
        std::thread::sleep(PROCESS_STOPS_WITHIN);
        std::process::exit(status);
    });
    if let Err(error) = started {
        error!(%error, "cannot start a thread");
        std::process::exit(status);
    }
}
