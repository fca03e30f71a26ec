//! The way to the media workers, and back.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use dataplane::link::{Command, CommandQueueFull, Event, RefuseReason, WorkerHandle};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::arrival::Arrival;
use super::supervise::Supervisor;
use crate::health::Part;

/// Things for which a queue had no room, in their order.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: VecDeque<T>,
}

impl<T> Outbox<T> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends, or keeps, so that the order stays.
    pub(super) fn push(&mut self, item: T, send: impl FnMut(T) -> Result<(), T>) {
        self.waiting.push_back(item);
        self.retry(send);
    }

    /// Sends what it can.
    pub(super) fn retry(&mut self, mut send: impl FnMut(T) -> Result<(), T>) {
        while let Some(item) = self.waiting.pop_front() {
            if let Err(item) = send(item) {
                self.waiting.push_front(item);
                return;
            }
        }
    }
}

/// One worker, as the task of the brain sees it.
#[derive(Debug)]
pub(super) struct WorkerLink {
    handle: WorkerHandle,
    /// Commands were sent, and the worker may sleep.
    is_to_wake: bool,
    /// Bounded by the flows that there are: while it is not empty, no flow is opened.
    outbox: Outbox<Command>,
}

impl WorkerLink {
    pub(super) fn new(handle: WorkerHandle) -> Self {
        Self {
            handle,
            is_to_wake: false,
            outbox: Outbox::new(),
        }
    }

    /// Wakes the worker up for what was sent: once for all of a turn.
    pub(super) fn wake(&mut self) {
        if std::mem::take(&mut self.is_to_wake) {
            self.handle.wake();
        }
    }

    /// Sends a command; [`wake`](Self::wake) has to follow. When the queue is full, an `OpenFlow` comes back as the event that refuses
    /// it, and anything else is kept for [`retry`](Self::retry).
    pub(super) fn send(&mut self, command: Command) -> Option<Event> {
        self.is_to_wake = true;
        let Command::OpenFlow(open) = &command else {
            self.outbox
                .push(command, |command| send(&self.handle, command));
            return None;
        };
        let flow = open.flow;
        if self.outbox.is_empty() && send(&self.handle, command).is_ok() {
            return None;
        }
        warn!("a media worker is overloaded: a call is refused");
        Some(Event::Refused {
            flow,
            reason: RefuseReason::PortUnavailable,
        })
    }

    /// Tries again what is kept. True when nothing is left.
    pub(super) fn retry(&mut self) -> bool {
        self.outbox.retry(|command| send(&self.handle, command));
        self.is_to_wake = true;
        self.wake();
        self.outbox.is_empty()
    }

    /// True when commands are kept.
    pub(super) fn is_behind(&self) -> bool {
        !self.outbox.is_empty()
    }
}

fn send(handle: &WorkerHandle, command: Command) -> Result<(), Command> {
    handle
        .queue(command)
        .map_err(|CommandQueueFull(command)| command)
}

/// Passes the events of one worker on, until the worker or the brain ends; while the worker is lost,
/// it is missing.
pub(super) async fn watch(
    worker: usize,
    handle: WorkerHandle,
    arrivals: mpsc::Sender<Arrival>,
    supervisor: Arc<Supervisor>,
) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, because a descriptor could change while registered; \
                  this one belongs to an `EventFd` that never gives it away"
    )]
    let ready = AsyncFd::with_interest(handle.events_ready(), Interest::READABLE)?;
    loop {
        let mut guard = ready.readable().await?;
        // First the mark, then the queue: what comes in between is marked again.
        guard.get_inner().drain();
        guard.clear_ready();
        let running = handle.is_running();
        while let Some(event) = handle.poll_event() {
            if let Event::WorkerLost { why, .. } = &event {
                supervisor.lost(Part::Workers, why);
                supervisor.tell(Part::Workers, false).await;
            } else if let Event::WorkerRuns { .. } = event {
                supervisor.is_back(Part::Workers);
                supervisor.tell(Part::Workers, true).await;
            }
            if arrivals.send(Arrival::Media(event)).await.is_err() {
                return Ok(());
            }
        }
        if !running {
            if arrivals
                .send(Arrival::WorkerEnded { worker })
                .await
                .is_err()
            {
                debug!(worker, "a media worker has ended after the brain");
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataplane::config::{BackendChoice, DataplaneConfig, IoConfig, WorkerConfig};
    use dataplane::link::{FlowId, FlowKind, OpenFlow, TrunkFlow};

    use super::*;

    #[test]
    fn refuses_a_new_flow_when_the_queue_is_full_but_keeps_what_ends_one() {
        let localhost = [127, 0, 0, 1].into();
        let worker = WorkerConfig {
            core: None,
            browser_bind: (localhost, 0).into(),
            trunk_bind: localhost,
        };
        let config = DataplaneConfig {
            workers: vec![worker],
            flows_max: 4,
            silent_after: Duration::from_secs(60),
            backend: BackendChoice::Auto,
            io: IoConfig::default(),
        };
        let dataplane = dataplane::start(config).unwrap();
        let handle = dataplane.workers[0].clone();
        // Nobody takes commands any more.
        dataplane.stop().unwrap();
        while handle.send(Command::Stop).is_ok() {}
        let mut link = WorkerLink::new(handle);
        let flow = FlowId {
            worker: 0,
            slot: 1,
            generation: 2,
        };
        let open = || {
            Command::OpenFlow(OpenFlow {
                flow,
                kind: FlowKind::Trunk(TrunkFlow { rtp_port: 20_000 }),
            })
        };
        for _ in 0..2 {
            let refusal = link.send(open());
            assert!(
                matches!(refusal, Some(Event::Refused { flow: refused, .. }) if refused == flow),
                "{refusal:?}"
            );
            assert!(link.send(Command::CloseFlow { flow }).is_none());
            assert!(link.is_behind());
        }
    }

    #[tokio::test]
    async fn carries_commands_to_a_worker_and_events_back() {
        let localhost = [127, 0, 0, 1].into();
        let worker = WorkerConfig {
            core: None,
            browser_bind: (localhost, 0).into(),
            trunk_bind: localhost,
        };
        let silent_after = Duration::from_secs(60);
        let config = DataplaneConfig {
            workers: vec![worker],
            flows_max: 4,
            silent_after,
            backend: BackendChoice::Auto,
            io: IoConfig::default(),
        };
        let dataplane = dataplane::start(config).unwrap();
        let handle = dataplane.workers[0].clone();
        let (sender, mut arrivals) = mpsc::channel(1);
        let supervisor = Arc::new(Supervisor::new(sender.clone()));
        let watcher = watch(0, handle.clone(), sender, Arc::clone(&supervisor));
        let watcher = tokio::spawn(watcher);
        let mut link = WorkerLink::new(handle);
        let flow = FlowId {
            worker: 0,
            slot: 1,
            generation: 2,
        };

        assert!(link.send(Command::CloseFlow { flow }).is_none());
        link.wake();
        let arrival = arrivals.recv().await;
        let Some(Arrival::Media(Event::FlowClosed { flow: closed, .. })) = arrival else {
            panic!("unexpected: {arrival:?}");
        };
        assert_eq!(closed, flow);

        #[cfg(debug_assertions)]
        {
            link.handle.ask_panic();
            for is_lost in [true, false] {
                let arrival = arrivals.recv().await;
                let Some(Arrival::Part { part, is_there }) = arrival else {
                    panic!("unexpected: {arrival:?}");
                };
                assert_eq!((part, is_there), (Part::Workers, !is_lost));
                let event = arrivals.recv().await;
                let said = matches!(event, Some(Arrival::Media(Event::WorkerLost { .. })));
                assert_eq!(said, is_lost, "{event:?}");
            }
            assert_eq!(supervisor.missing(), None);
        }

        dataplane.stop().unwrap();
        assert!(matches!(
            arrivals.recv().await,
            Some(Arrival::WorkerEnded { worker: 0 })
        ));
        watcher.await.unwrap().unwrap();
    }

    #[test]
    fn outbox_keeps_the_order_when_there_is_no_room() {
        let mut outbox = Outbox::new();
        let mut sent = Vec::new();
        outbox.push(1, |item| {
            sent.push(item);
            Ok(())
        });
        outbox.push(2, Err);
        outbox.push(3, Err);
        assert!(!outbox.is_empty());
        let mut room = 1;
        outbox.push(4, |item| {
            if room == 0 {
                return Err(item);
            }
            room -= 1;
            sent.push(item);
            Ok(())
        });
        outbox.retry(|item| {
            sent.push(item);
            Ok(())
        });
        assert!(outbox.is_empty());
        assert_eq!(sent, [1, 2, 3, 4]);
    }
}
