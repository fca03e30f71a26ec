//! The queues between control and one worker, and how each side wakes the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::time::Duration;
use std::{fmt, io};

use crossbeam::queue::ArrayQueue;

use super::{Command, Counters, CountersSnapshot, Datagram, Event};
use crate::config::BackendKind;
use crate::io::wake::EventFd;
use crate::limits::{COMMAND_QUEUE_LENGTH, DATAGRAM_QUEUE_LENGTH, EVENTS_PER_FLOW_READY};

/// The queue of commands is full; here is the command again. New calls get 503; a `CloseFlow` has
/// to be kept and sent later.
pub struct CommandQueueFull(pub Command);

impl fmt::Debug for CommandQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandQueueFull(…)")
    }
}

impl fmt::Display for CommandQueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the worker's command queue is full")
    }
}

impl std::error::Error for CommandQueueFull {}

struct Shared {
    commands: ArrayQueue<Command>,
    events: ArrayQueue<Event>,
    datagrams_up: ArrayQueue<Datagram>,
    datagrams_down: ArrayQueue<Datagram>,
    counters: Arc<Counters>,
    /// Set by the worker while it waits (or is about to wait) in the kernel.
    sleeping: AtomicBool,
    running: AtomicBool,
    /// `Command::Stop` was sent, or found no room.
    stop_asked: AtomicBool,
    /// Turns of the worker, and its looks while it waits to begin anew.
    turns: AtomicU64,
    #[cfg(debug_assertions)]
    panic_asked: AtomicBool,
    #[cfg(debug_assertions)]
    stall_asked: AtomicBool,
    worker_wake: Arc<EventFd>,
    events_ready: Arc<EventFd>,
    datagrams_ready: Arc<EventFd>,
}

/// Control's end of one worker. Clones share the queues: the signalling task keeps one, a thread
/// that drives DTLS handshakes another. Each event and each datagram is received once, by
/// whichever clone asks first.
#[derive(Clone)]
pub struct WorkerHandle {
    shared: Arc<Shared>,
    browser_address: SocketAddr,
    backend: BackendKind,
}

impl WorkerHandle {
    /// Asks something of the worker. Commands are applied in the order sent.
    ///
    /// # Errors
    /// [`COMMAND_QUEUE_LENGTH`] commands are waiting already; the command comes back.
    pub fn send(&self, command: Command) -> Result<(), CommandQueueFull> {
        self.queue(command)?;
        self.wake_worker();
        Ok(())
    }

    /// Asks something of the worker without waking it up: several commands are worth one system
    /// call. [`wake`](Self::wake) has to follow.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn queue(&self, command: Command) -> Result<(), CommandQueueFull> {
        if matches!(command, Command::Stop) {
            self.shared.stop_asked.store(true, Ordering::SeqCst);
        }
        self.shared.commands.push(command).map_err(CommandQueueFull)
    }

    /// Wakes the worker up, if it sleeps.
    pub fn wake(&self) {
        self.wake_worker();
    }

    /// The next event. After [`events_ready`](Self::events_ready) fired, poll until empty.
    #[must_use]
    pub fn poll_event(&self) -> Option<Event> {
        self.shared.events.pop()
    }

    /// Hands a DTLS datagram to the worker, to send to `datagram.peer`. False when
    /// [`DATAGRAM_QUEUE_LENGTH`] are waiting: it is dropped, DTLS sends again by itself.
    #[must_use]
    pub fn send_datagram(&self, datagram: Datagram) -> bool {
        if self.shared.datagrams_down.push(datagram).is_err() {
            return false;
        }
        self.wake_worker();
        true
    }

    /// The next DTLS datagram from a browser. After [`datagrams_ready`](Self::datagrams_ready)
    /// fired, poll until empty.
    #[must_use]
    pub fn poll_datagram(&self) -> Option<Datagram> {
        self.shared.datagrams_up.pop()
    }

    /// Readable when there are new events: first `drain` it, then poll them until empty. Fits
    /// tokio's `AsyncFd`. Also fires when the worker has ended.
    #[must_use]
    pub fn events_ready(&self) -> Arc<EventFd> {
        Arc::clone(&self.shared.events_ready)
    }

    /// Readable when there are new datagrams from browsers: first `drain` it, then poll them until
    /// empty. A thread that serves several workers waits with
    /// [`wait_any`](crate::io::wake::wait_any).
    #[must_use]
    pub fn datagrams_ready(&self) -> Arc<EventFd> {
        Arc::clone(&self.shared.datagrams_ready)
    }

    /// Blocks the thread until there are new events, at most for `timeout`. True when there were.
    #[must_use]
    pub fn wait_events(&self, timeout: Duration) -> bool {
        self.shared.events_ready.wait(timeout)
    }

    /// Blocks the thread until there are new datagrams, at most for `timeout`. True when there
    /// were.
    #[must_use]
    pub fn wait_datagrams(&self, timeout: Duration) -> bool {
        self.shared.datagrams_ready.wait(timeout)
    }

    /// What the worker has counted so far.
    #[must_use]
    pub fn counters(&self) -> CountersSnapshot {
        self.shared.counters.snapshot()
    }

    /// The address that the browser-facing socket is really bound to.
    #[must_use]
    pub fn browser_address(&self) -> SocketAddr {
        self.browser_address
    }

    /// The way that this worker's packets take to and from the kernel.
    #[must_use]
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// False once the worker has ended, by `Stop` or because the kernel failed it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::SeqCst)
    }

    /// Turns that the worker has made. It makes one after [`wake`](Self::wake), unless it hangs.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::Relaxed)
    }

    /// Makes the worker hang in its next turn, for good: how tests see what the watchdog does.
    #[cfg(debug_assertions)]
    pub fn ask_stall(&self) {
        self.shared.stall_asked.store(true, Ordering::SeqCst);
        self.shared.worker_wake.notify();
    }

    /// Makes the worker panic in its next turn: how tests see what becomes of its calls.
    #[cfg(debug_assertions)]
    pub fn ask_panic(&self) {
        self.shared.panic_asked.store(true, Ordering::SeqCst);
        self.shared.worker_wake.notify();
    }

    /// Second half of the protocol of [`WorkerEnd::announce_sleep`].
    fn wake_worker(&self) {
        fence(Ordering::SeqCst);
        if self.shared.sleeping.swap(false, Ordering::SeqCst) {
            self.shared.worker_wake.notify();
        }
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHandle")
            .field("browser_address", &self.browser_address)
            .finish_non_exhaustive()
    }
}

/// The worker's end: one per worker, and dropping it tells control that the worker has ended.
pub(crate) struct WorkerEnd {
    shared: Arc<Shared>,
}

impl WorkerEnd {
    /// Makes the queues of one worker with `flows_max` flows.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn new(flows_max: usize) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                commands: ArrayQueue::new(COMMAND_QUEUE_LENGTH),
                events: ArrayQueue::new(flows_max * EVENTS_PER_FLOW_READY + COMMAND_QUEUE_LENGTH),
                datagrams_up: ArrayQueue::new(DATAGRAM_QUEUE_LENGTH),
                datagrams_down: ArrayQueue::new(DATAGRAM_QUEUE_LENGTH),
                counters: Arc::new(Counters::default()),
                sleeping: AtomicBool::new(false),
                running: AtomicBool::new(true),
                stop_asked: AtomicBool::new(false),
                turns: AtomicU64::new(0),
                #[cfg(debug_assertions)]
                panic_asked: AtomicBool::new(false),
                #[cfg(debug_assertions)]
                stall_asked: AtomicBool::new(false),
                worker_wake: Arc::new(EventFd::new()?),
                events_ready: Arc::new(EventFd::new()?),
                datagrams_ready: Arc::new(EventFd::new()?),
            }),
        })
    }

    /// Control's end.
    pub(crate) fn handle(&self, browser_address: SocketAddr, backend: BackendKind) -> WorkerHandle {
        WorkerHandle {
            shared: Arc::clone(&self.shared),
            browser_address,
            backend,
        }
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// What control writes to wake this worker.
    pub(crate) fn worker_wake(&self) -> &Arc<EventFd> {
        &self.shared.worker_wake
    }

    pub(crate) fn next_command(&self) -> Option<Command> {
        self.shared.commands.pop()
    }

    /// Control has asked for the end; the command itself may still wait, or be sent again.
    pub(crate) fn stop_asked(&self) -> bool {
        self.shared.stop_asked.load(Ordering::SeqCst)
    }

    /// The worker has made a turn. It is the only writer.
    pub(crate) fn count_turn(&self) {
        let turns = self.shared.turns.load(Ordering::Relaxed);
        self.shared
            .turns
            .store(turns.wrapping_add(1), Ordering::Relaxed);
    }

    /// Panics, or hangs, if a test has asked for it.
    #[cfg(debug_assertions)]
    pub(crate) fn check_panic(&self) {
        while self.shared.stall_asked.load(Ordering::SeqCst) {
            crate::io::wake::wait_any(&[], Duration::from_millis(100));
        }
        let is_asked = self.shared.panic_asked.swap(false, Ordering::SeqCst);
        assert!(!is_asked, "a panic in worker was asked for");
    }

    pub(crate) fn next_datagram(&self) -> Option<Datagram> {
        self.shared.datagrams_down.pop()
    }

    /// True when the datagram was taken.
    pub(crate) fn push_datagram(&self, datagram: Datagram) -> bool {
        self.shared.datagrams_up.push(datagram).is_ok()
    }

    /// Only the worker pushes events: what was not full stays so until its next push.
    pub(crate) fn events_full(&self) -> bool {
        self.shared.events.is_full()
    }

    /// True when the event was taken.
    pub(crate) fn push_event(&self, event: Event) -> bool {
        self.shared.events.push(event).is_ok()
    }

    pub(crate) fn notify_events(&self) {
        self.shared.events_ready.notify();
    }

    pub(crate) fn notify_datagrams(&self) {
        self.shared.datagrams_ready.notify();
    }

    /// Says that the worker is about to sleep. False when something is queued already, and then it
    /// must not sleep.
    ///
    /// Either the sender sees `sleeping` (and writes the event descriptor), or this look sees what
    /// it queued: each side writes first and reads then, with a sequentially consistent fence
    /// between.
    pub(crate) fn announce_sleep(&self) -> bool {
        self.shared.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.shared.commands.is_empty() && self.shared.datagrams_down.is_empty() {
            return true;
        }
        self.awake();
        false
    }

    /// Ends what [`announce_sleep`](Self::announce_sleep) said.
    pub(crate) fn awake(&self) {
        self.shared.sleeping.store(false, Ordering::SeqCst);
    }
}

impl Drop for WorkerEnd {
    fn drop(&mut self) {
        self.shared.running.store(false, Ordering::SeqCst);
        self.notify_events();
        self.notify_datagrams();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (WorkerHandle, WorkerEnd) {
        let end = WorkerEnd::new(1).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        (end.handle(address, BackendKind::Mmsg), end)
    }

    #[test]
    fn full_queue_gives_the_command_back() {
        let (handle, _end) = ends();
        for _ in 0..COMMAND_QUEUE_LENGTH {
            handle.send(Command::Stop).unwrap();
        }
        let CommandQueueFull(command) = handle.send(Command::Stop).unwrap_err();
        assert!(matches!(command, Command::Stop));
    }

    #[test]
    fn wakes_only_a_sleeping_worker() {
        let (handle, end) = ends();
        handle.send(Command::Stop).unwrap();
        assert!(!end.worker_wake().drain());
        assert!(!end.announce_sleep(), "a command is waiting");
        assert!(end.next_command().is_some());
        assert!(end.announce_sleep());
        handle.send(Command::Stop).unwrap();
        assert!(end.worker_wake().drain());
        handle.send(Command::Stop).unwrap();
        assert!(!end.worker_wake().drain(), "one wake-up is enough");
    }

    #[test]
    fn the_end_of_the_worker_is_seen() {
        let (handle, end) = ends();
        assert!(handle.is_running());
        drop(end);
        assert!(!handle.is_running());
        assert!(handle.wait_events(Duration::ZERO));
        assert!(handle.wait_datagrams(Duration::ZERO));
    }
}
