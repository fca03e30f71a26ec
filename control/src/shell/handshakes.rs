//! The thread that drives the DTLS handshakes: public-key work must delay neither media nor
//! signalling.
//!
//! A panic in one session ends that session, and the thread knows nothing of it. After a panic
//! anywhere else it begins anew without sessions: handshakes under way fail, calls that have their
//! keys go on, and the brain opens the flows again whose browser has not spoken yet.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use dataplane::io::wake::{EventFd, wait_any};
use dataplane::link::{Command, CommandQueueFull, WorkerHandle};
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::arrival::Arrival;
use super::supervise::{Pauses, Supervisor, text_of};
use super::workers::Outbox;
use super::{clock, fault};
use crate::health::Part;
use crate::limits::{COMMAND_RETRY_AFTER, HANDSHAKE_COMMANDS_MAX};
use crate::media::handshake::{HandshakeCommand, HandshakeOutput, Handshakes};

/// Longest sleep of the thread when it has nothing to do.
const IDLE: Duration = Duration::from_secs(60);

/// The way to the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct HandshakeLink {
    /// `None` only while it is dropped.
    commands: Option<SyncSender<HandshakeCommand>>,
    wake: Arc<EventFd>,
    /// Commands were sent since the thread was woken up.
    is_to_wake: bool,
    /// Bounded by the flows that there are.
    outbox: Outbox<HandshakeCommand>,
}

impl HandshakeLink {
    /// Sends a command; [`wake`](Self::wake) has to follow.
    pub(super) fn send(&mut self, command: HandshakeCommand) {
        let commands = self.commands.as_ref();
        self.outbox.push(command, |command| send(commands, command));
        self.is_to_wake = true;
    }

    /// Wakes the thread up for what was sent: once for all of a turn.
    pub(super) fn wake(&mut self) {
        if std::mem::take(&mut self.is_to_wake) {
            self.wake.notify();
        }
    }

    /// Tries again what is kept. True when nothing is left.
    pub(super) fn retry(&mut self) -> bool {
        let commands = self.commands.as_ref();
        self.outbox.retry(|command| send(commands, command));
        self.wake.notify();
        self.outbox.is_empty()
    }

    pub(super) fn is_behind(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl Drop for HandshakeLink {
    fn drop(&mut self) {
        self.commands = None;
        self.wake.notify();
    }
}

fn send(
    commands: Option<&SyncSender<HandshakeCommand>>,
    command: HandshakeCommand,
) -> Result<(), HandshakeCommand> {
    match commands.map(|commands| commands.try_send(command)) {
        Some(Err(TrySendError::Full(command))) => Err(command),
        Some(Err(TrySendError::Disconnected(_))) => {
            error!("the handshake thread has ended");
            Ok(())
        }
        Some(Ok(())) | None => Ok(()),
    }
}

/// Starts the thread.
pub(super) fn start(
    handshakes: Handshakes,
    workers: Vec<WorkerHandle>,
    arrivals: mpsc::Sender<Arrival>,
    supervisor: Arc<Supervisor>,
) -> io::Result<HandshakeLink> {
    let (commands, receiver) = sync_channel(HANDSHAKE_COMMANDS_MAX);
    let wake = Arc::new(EventFd::new()?);
    let keys = workers.iter().map(|_| Outbox::new()).collect();
    let mut thread = HandshakeThread {
        handshakes,
        workers,
        keys,
        arrivals,
        receiver,
        wake: Arc::clone(&wake),
        supervisor,
    };
    thread::Builder::new()
        .name("handshakes".to_owned())
        .spawn(move || thread.run_on())?;
    Ok(HandshakeLink {
        commands: Some(commands),
        wake,
        is_to_wake: false,
        outbox: Outbox::new(),
    })
}

struct HandshakeThread {
    handshakes: Handshakes,
    workers: Vec<WorkerHandle>,
    /// Keys that wait for room in the queue of each worker.
    keys: Vec<Outbox<Command>>,
    arrivals: mpsc::Sender<Arrival>,
    receiver: Receiver<HandshakeCommand>,
    wake: Arc<EventFd>,
    supervisor: Arc<Supervisor>,
}

impl HandshakeThread {
    /// Runs to the end that was asked for, again after each panic.
    fn run_on(&mut self) {
        let mut pauses = Pauses::default();
        loop {
            let began = clock::now();
            let ended = catch_unwind(AssertUnwindSafe(|| self.run()));
            let Err(panic) = ended else { return };
            self.supervisor.lost(Part::Handshakes, &text_of(&*panic));
            if !self.tell(false) {
                return;
            }
            // What was decided before the panic holds: keys and events are on their way.
            self.handshakes
                .forget_all("the handshake thread was started again");
            let pause = pauses.next(clock::now() - began);
            let carried = catch_unwind(AssertUnwindSafe(|| self.carry_out()));
            if carried.is_err() {
                error!("the handshake thread cannot report what it has lost");
            }
            wait_any(&[], pause);
            self.supervisor.is_back(Part::Handshakes);
            if !self.tell(true) {
                return;
            }
        }
    }

    /// False when the brain has gone.
    fn tell(&self, is_there: bool) -> bool {
        let part = Part::Handshakes;
        let arrival = Arrival::Part { part, is_there };
        self.arrivals.blocking_send(arrival).is_ok()
    }

    fn run(&mut self) {
        let datagrams: Vec<Arc<EventFd>> = self
            .workers
            .iter()
            .map(WorkerHandle::datagrams_ready)
            .collect();
        let wake = Arc::clone(&self.wake);
        let sources: Vec<&EventFd> = datagrams.iter().chain([&wake]).map(AsRef::as_ref).collect();
        loop {
            wait_any(&sources, self.patience());
            for source in &sources {
                source.drain();
            }
            fault::check(Part::Handshakes);
            if !self.take_commands() || !self.take_datagrams() {
                return;
            }
            self.handshakes.handle_timeout(clock::now());
            if !self.carry_out() {
                return;
            }
        }
    }

    /// How long it may sleep.
    fn patience(&self) -> Duration {
        if fault::is_armed() {
            return Duration::from_millis(20);
        }
        let due = self.handshakes.poll_timeout();
        let until_due = due.map_or(IDLE, |at| at.saturating_duration_since(clock::now()));
        let behind = self.keys.iter().any(|keys| !keys.is_empty());
        until_due.min(if behind { COMMAND_RETRY_AFTER } else { IDLE })
    }

    /// False when the thread has to end.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.receiver.try_recv() {
                Ok(command) => self.handshakes.handle_command(clock::now(), command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
            if !self.carry_out() {
                return false;
            }
        }
    }

    /// False when the thread has to end. Takes turns between the workers and looks at the commands
    /// in between, so that a flood of datagrams delays neither.
    fn take_datagrams(&mut self) -> bool {
        loop {
            let mut found = false;
            for index in 0..self.workers.len() {
                let Some(datagram) = self
                    .workers
                    .get(index)
                    .and_then(WorkerHandle::poll_datagram)
                else {
                    continue;
                };
                found = true;
                self.handshakes.handle_datagram(clock::now(), &datagram);
                if !self.carry_out() {
                    return false;
                }
            }
            if !found {
                return true;
            }
            if !self.take_commands() {
                return false;
            }
            self.handshakes.handle_timeout(clock::now());
        }
    }

    /// Does what the handshakes want. False when the brain has gone.
    fn carry_out(&mut self) -> bool {
        for (keys, worker) in self.keys.iter_mut().zip(&self.workers) {
            keys.retry(|command| send_to_worker(worker, command));
        }
        while let Some(output) = self.handshakes.poll_output() {
            match output {
                HandshakeOutput::Send(datagram) => {
                    let worker = self.workers.get(usize::from(datagram.flow.worker));
                    if !worker.is_some_and(|worker| worker.send_datagram(datagram)) {
                        debug!("a DTLS datagram is lost: the worker's queue is full");
                    }
                }
                HandshakeOutput::InstallKeys { flow, keys } => {
                    let index = usize::from(flow.worker);
                    let worker = self.workers.get(index).zip(self.keys.get_mut(index));
                    let Some((worker, outbox)) = worker else {
                        continue;
                    };
                    let command = Command::InstallKeys { flow, keys };
                    outbox.push(command, |command| send_to_worker(worker, command));
                }
                HandshakeOutput::Event(event) => {
                    if self
                        .arrivals
                        .blocking_send(Arrival::Handshake(event))
                        .is_err()
                    {
                        return false;
                    }
                }
            }
        }
        true
    }
}

fn send_to_worker(worker: &WorkerHandle, command: Command) -> Result<(), Command> {
    worker
        .send(command)
        .map_err(|CommandQueueFull(command)| command)
}

#[cfg(test)]
mod tests {
    use crypto::dtls::Certificate;
    use dataplane::link::FlowId;

    use super::*;
    use crate::media::handshake::HandshakeEvent;

    #[tokio::test]
    async fn carries_commands_to_the_handshakes_and_events_back() {
        let (sender, mut arrivals) = mpsc::channel(1);
        let handshakes = Handshakes::new(Certificate::generate().unwrap(), 0);
        let supervisor = Arc::new(Supervisor::new(sender.clone()));
        let mut link = start(handshakes, Vec::new(), sender, supervisor).unwrap();
        let flow = FlowId {
            worker: 0,
            slot: 1,
            generation: 2,
        };
        link.send(HandshakeCommand::Open { flow });
        link.wake();
        // There is no room for a session, and the thread has to say so.
        let arrival = arrivals.recv().await;
        let Some(Arrival::Handshake(HandshakeEvent::Failed { flow: failed, .. })) = arrival else {
            panic!("unexpected: {arrival:?}");
        };
        assert_eq!(failed, flow);
        drop(link);
        assert!(arrivals.recv().await.is_none(), "the thread has not ended");
    }
}
