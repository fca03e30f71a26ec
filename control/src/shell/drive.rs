//! The task that owns the brain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::arrival::Arrival;
use super::dns::Dns;
use super::handshakes::HandshakeLink;
use super::http::Web;
use super::notify::Pulse;
use super::streams::Streams;
use super::websocket::OutgoingQueue;
use super::workers::WorkerLink;
use super::{Brain, clock, fault, log, udp};
use crate::engine::input::{ConnectionId, Input, Peer};
use crate::engine::output::Output;
use crate::limits::{
    ARRIVALS_IN_TIME, ARRIVALS_LATE, ARRIVALS_PER_TURN_MAX, BRAIN_STOPS_WITHIN,
    COMMAND_RETRY_AFTER, WEBSOCKETS_CLOSE_WITHIN,
};

/// Longest sleep when the brain has no timer.
const IDLE: Duration = Duration::from_secs(3600);

/// The brain, and all ways out.
pub(super) struct Driver<B> {
    brain: B,
    web: Arc<Web>,
    udp: Option<Arc<UdpSocket>>,
    streams: Option<Streams>,
    dns: Option<Dns>,
    workers: Vec<WorkerLink>,
    handshakes: Option<HandshakeLink>,
    connections: BTreeMap<ConnectionId, OutgoingQueue>,
    /// Set once the process is asked to stop: the brain has until then.
    stop_at: Option<Instant>,
    /// A media worker has ended by itself.
    failed: bool,
    /// The brain has been told that it is late.
    is_late: bool,
    /// Signs of life, for the watchdog and the status.
    pulse: Arc<Pulse>,
}

impl<B: Brain> Driver<B> {
    pub(super) fn new(
        brain: B,
        web: Arc<Web>,
        udp: Option<Arc<UdpSocket>>,
        workers: Vec<WorkerLink>,
        handshakes: Option<HandshakeLink>,
    ) -> Self {
        let connections = BTreeMap::new();
        Self {
            brain,
            web,
            udp,
            streams: None,
            dns: None,
            workers,
            handshakes,
            connections,
            stop_at: None,
            failed: false,
            is_late: false,
            pulse: Arc::default(),
        }
    }

    /// Showing its turns.
    pub(super) fn with_pulse(mut self, pulse: Arc<Pulse>) -> Self {
        self.pulse = pulse;
        self
    }

    /// With TCP and TLS towards carriers.
    pub(super) fn with_streams(mut self, streams: Streams) -> Self {
        self.streams = Some(streams);
        self
    }

    /// With somebody to ask where carriers are.
    pub(super) fn with_dns(mut self, dns: Dns) -> Self {
        self.dns = Some(dns);
        self
    }

    /// Runs until the brain has stopped. False when that was not asked for: a media worker failed.
    pub(super) async fn drive(mut self, mut arrivals: mpsc::Receiver<Arrival>) -> bool {
        // What it wants from the start.
        self.carry_out(clock::now());
        self.wake();
        loop {
            self.pulse.beat(self.brain.calls(), self.connections.len());
            let now = clock::now();
            if self.brain.poll_timeout().is_some_and(|at| at <= now) {
                self.brain.handle_timeout(now);
                self.carry_out(now);
            }
            self.wake();
            if self.is_over(now) {
                break;
            }
            let wake_at = self.wake_at(now);
            tokio::select! {
                arrival = arrivals.recv() => {
                    let Some(arrival) = arrival else { break };
                    self.take(arrival, &mut arrivals);
                    self.wake();
                }
                () = tokio::time::sleep_until(wake_at.into()) => {}
                () = fault::injected_name("engine") => {}
            }
            self.retry();
        }
        let failed = self.failed;
        self.close_connections(arrivals).await;
        !failed
    }

    /// Handles one arrival and some of those behind it.
    fn take(&mut self, first: Arrival, arrivals: &mut mpsc::Receiver<Arrival>) {
        let now = clock::now();
        self.note_waiting(now, arrivals.len());
        self.handle(now, first);
        for _ in 1..ARRIVALS_PER_TURN_MAX {
            let Ok(next) = arrivals.try_recv() else {
                return;
            };
            self.handle(now, next);
        }
    }

    /// Tells the brain when it falls behind what comes in, and when it has caught up.
    fn note_waiting(&mut self, now: Instant, waiting: usize) {
        let is_late = is_late(self.is_late, waiting);
        if std::mem::replace(&mut self.is_late, is_late) != is_late {
            self.brain.handle_input(now, Input::Late { is_late });
        }
    }

    fn handle(&mut self, now: Instant, arrival: Arrival) {
        let input = match arrival {
            Arrival::Opened {
                connection,
                remote,
                secure,
                identity,
                outgoing,
            } => {
                self.connections.insert(connection, outgoing);
                Input::ConnectionOpened {
                    connection,
                    remote,
                    secure,
                    identity,
                }
            }
            Arrival::Closed { connection } => {
                self.connections.remove(&connection);
                Input::ConnectionClosed { connection }
            }
            Arrival::Heard {
                connection,
                bytes,
                room,
            } => {
                drop(room);
                let peer = Peer::WebSocket(connection);
                Input::Message { peer, bytes }
            }
            Arrival::StreamOpened { peer, id, outgoing } => {
                if let Some(streams) = &mut self.streams {
                    streams.opened(peer, id, outgoing);
                }
                Input::StreamOpened { peer }
            }
            Arrival::StreamClosed { peer, id } => {
                let streams = self.streams.as_mut();
                if !streams.is_some_and(|streams| streams.closed(peer, id)) {
                    return;
                }
                Input::StreamClosed { peer }
            }
            Arrival::StreamBroken { peer, rest, error } => {
                Input::StreamBroken { peer, rest, error }
            }
            Arrival::Message { peer, bytes } => Input::Message { peer, bytes },
            Arrival::Resolved { question, answer } => Input::Resolved { question, answer },
            Arrival::Media(event) => Input::Media(event),
            Arrival::Handshake(event) => Input::Handshake(event),
            Arrival::Part { part, is_there } => Input::Part { part, is_there },
            Arrival::WorkerEnded { worker } => {
                error!(worker, "a media worker has ended: the process stops");
                self.failed = true;
                return self.stop(now);
            }
            // The turn itself is the answer.
            Arrival::Beat => return,
            Arrival::Stop => return self.stop(now),
        };
        self.brain.handle_input(now, input);
        self.carry_out(now);
    }

    fn stop(&mut self, now: Instant) {
        if self.stop_at.is_none() {
            self.stop_at = Some(now + BRAIN_STOPS_WITHIN);
            self.web.drain();
            self.brain.handle_input(now, Input::Stop);
            self.carry_out(now);
        }
    }

    fn carry_out(&mut self, now: Instant) {
        while let Some(output) = self.brain.poll_output() {
            match output {
                Output::Send {
                    peer: Peer::WebSocket(connection),
                    bytes,
                } => match self.connections.get(&connection) {
                    Some(outgoing) => outgoing.send(bytes),
                    None => debug!(connection = connection.0, "no such WebSocket any more"),
                },
                Output::Send {
                    peer: Peer::Udp(to),
                    bytes,
                } => {
                    if let Some(socket) = &self.udp {
                        udp::send(socket, to, &bytes);
                    }
                }
                Output::Send {
                    peer: peer @ (Peer::Tcp(_) | Peer::Tls(_)),
                    bytes,
                } => {
                    if let Some(streams) = &self.streams {
                        streams.send(peer, bytes);
                    }
                }
                Output::Connect { peer, trunk, name } => {
                    if let Some(streams) = &mut self.streams {
                        streams.connect(peer, trunk, &name);
                    }
                }
                Output::CloseStream { peer } => {
                    if let Some(streams) = &self.streams {
                        streams.close(peer);
                    }
                }
                Output::Resolve { question } => {
                    if let Some(dns) = &self.dns {
                        dns.ask(question);
                    }
                }
                Output::Sources { sources } => {
                    if let Some(streams) = &self.streams {
                        streams.set_sources(sources);
                    }
                }
                Output::Close {
                    connection,
                    code,
                    reason,
                } => {
                    if let Some(outgoing) = self.connections.get(&connection) {
                        outgoing.close(code, reason);
                    }
                }
                Output::Media { worker, command } => {
                    let worker = self.workers.get_mut(usize::from(worker));
                    if let Some(refusal) = worker.and_then(|worker| worker.send(command)) {
                        self.brain.handle_input(now, Input::Media(refusal));
                    }
                }
                Output::Handshake(command) => {
                    if let Some(handshakes) = &mut self.handshakes {
                        handshakes.send(command);
                    }
                }
                Output::Log(line) => log::write(&line),
            }
        }
    }

    /// Wakes the threads up that were asked for something in this turn.
    fn wake(&mut self) {
        for worker in &mut self.workers {
            worker.wake();
        }
        if let Some(handshakes) = &mut self.handshakes {
            handshakes.wake();
        }
    }

    fn retry(&mut self) {
        for worker in &mut self.workers {
            if worker.is_behind() && !worker.retry() {
                debug!("a media worker has more commands than it takes");
            }
        }
        if let Some(handshakes) = self.handshakes.as_mut().filter(|h| h.is_behind())
            && !handshakes.retry()
        {
            debug!("the handshake thread has more commands than it takes");
        }
    }

    /// Ends every WebSocket, and gives each a moment to be told.
    async fn close_connections(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        if let Some(streams) = &self.streams {
            streams.close_all();
        }
        for outgoing in self.connections.values() {
            outgoing.close(1001, "going away");
        }
        let all_closed = async {
            while !self.connections.is_empty() {
                match arrivals.recv().await {
                    Some(Arrival::Closed { connection }) => {
                        self.connections.remove(&connection);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(WEBSOCKETS_CLOSE_WITHIN, all_closed)
            .await
            .is_err()
        {
            debug!("some WebSockets did not close in time");
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.stop_at
            .is_some_and(|at| at <= now || self.brain.is_stopped())
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let behind = self.workers.iter().any(WorkerLink::is_behind)
            || self
                .handshakes
                .as_ref()
                .is_some_and(HandshakeLink::is_behind);
        let retry = now + if behind { COMMAND_RETRY_AFTER } else { IDLE };
        [self.brain.poll_timeout(), self.stop_at]
            .into_iter()
            .flatten()
            .fold(retry, Instant::min)
    }
}

/// Is the brain late, with so many arrivals that wait?
const fn is_late(was_late: bool, waiting: usize) -> bool {
    if was_late {
        waiting > ARRIVALS_IN_TIME
    } else {
        waiting >= ARRIVALS_LATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_s14_the_brain_is_late_from_half_of_the_queue_until_it_has_caught_up() {
        assert!(!is_late(false, 0));
        assert!(!is_late(false, ARRIVALS_LATE - 1));
        assert!(is_late(false, ARRIVALS_LATE));
        assert!(is_late(true, ARRIVALS_IN_TIME + 1));
        assert!(!is_late(true, ARRIVALS_IN_TIME));
    }
}
