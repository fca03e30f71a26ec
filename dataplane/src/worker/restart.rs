//! A worker that panics, or that the kernel fails, begins anew in its thread: the flows are lost,
//! control is told, and calls that come then have media. The queues stay, and what waits in them.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::start::Setup;
use super::{Worker, clock};
use crate::io::backend::Backend;
use crate::io::wake::wait_any;
use crate::limits::{
    FULL_EVENTS_RETRY_AFTER, RESTART_AFTER, RESTARTED_WELL_AFTER, RESTARTS_IN_A_ROW_MAX,
};
use crate::link::{Event, WorkerEnd};

/// Runs the worker until it is told to stop.
///
/// # Errors
/// It has failed [`RESTARTS_IN_A_ROW_MAX`] times in a row: why it did the last time.
pub(super) fn run(worker: Worker, setup: &Setup) -> io::Result<()> {
    let mut worker = worker;
    let mut in_a_row = 0;
    loop {
        let began = clock();
        let Err(why) = outcome(|| worker.run()) else {
            return Ok(());
        };
        if clock().saturating_duration_since(began) >= RESTARTED_WELL_AFTER {
            in_a_row = 0;
        }
        let end = dismantle(worker);
        let index = setup.index();
        let lost = Event::WorkerLost {
            worker: index,
            why: why.clone(),
        };
        say(&end, lost);
        let Some(io) = bind_again(setup, &end, &mut in_a_row, why)? else {
            return Ok(());
        };
        say(&end, Event::WorkerRuns { worker: index });
        worker = setup.assemble(io, end);
    }
}

/// Tries until the addresses can be bound. `None`: it was told to stop meanwhile.
fn bind_again(
    setup: &Setup,
    end: &WorkerEnd,
    in_a_row: &mut u32,
    mut why: String,
) -> io::Result<Option<Backend>> {
    while *in_a_row < RESTARTS_IN_A_ROW_MAX {
        let pause = RESTART_AFTER.saturating_mul(1 << *in_a_row);
        *in_a_row += 1;
        if !sleep(end, pause) {
            return Ok(None);
        }
        match outcome(|| setup.bind(end)) {
            Ok((io, _)) => return Ok(Some(io)),
            Err(error) => why = error,
        }
    }
    Err(io::Error::other(why))
}

/// Ends what is left of a worker; its sockets are closed, and the queues stay.
fn dismantle(worker: Worker) -> WorkerEnd {
    let Worker {
        engine,
        mut io,
        end,
        ..
    } = worker;
    // Whatever fails here too leaves memory behind, nothing else.
    drop(outcome(|| io.shut_down()));
    drop(outcome(move || {
        drop((engine, io));
        Ok::<(), io::Error>(())
    }));
    end
}

/// Tells control, as soon as there is room in its queue.
fn say(end: &WorkerEnd, event: Event) {
    while end.events_full() {
        if !sleep(end, FULL_EVENTS_RETRY_AFTER) {
            return;
        }
    }
    end.push_event(event);
    end.notify_events();
}

/// False when the worker is to stop.
fn sleep(end: &WorkerEnd, pause: Duration) -> bool {
    /// How often it looks whether it is to stop.
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let until = clock() + pause;
    loop {
        end.count_turn();
        if end.stop_asked() {
            return false;
        }
        let left = until.saturating_duration_since(clock());
        if left.is_zero() {
            return true;
        }
        wait_any(&[], left.min(LOOK_EVERY));
    }
}

/// What came of it; a panic is an error with its text.
fn outcome<T, E: std::fmt::Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panic) => Err(text_of(&*panic)),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("no message"))
}
