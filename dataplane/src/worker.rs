//! One worker: a thread that turns over and over. The engine decides, [`crate::io`] acts, and this
//! file joins them.

mod error;
mod restart;
mod start;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use self::error::StartError;
pub use self::start::{Dataplane, start};
use crate::config::IoConfig;
use crate::engine::{DropReason, Engine, SocketId, Verdict};
use crate::io::backend::Backend;
use crate::io::cache::Prefetcher;
use crate::io::received::Received;
use crate::io::socket;
use crate::limits::{
    COMMANDS_PER_TURN_MAX, DATAGRAMS_PER_TURN_MAX, DIGIT_PACKET_BYTES_MAX,
    DIGIT_PACKETS_PER_TURN_MAX, FULL_EVENTS_RETRY_AFTER, PACKET_BYTES_MAX, REPORT_BYTES_MAX,
    REPORTS_PER_TURN_MAX,
};
use crate::link::{
    CloseReason, Command, Datagram, Event, FlowId, FlowKind, RefuseReason, WorkerEnd,
};

struct Worker {
    engine: Engine,
    io: Backend,
    end: WorkerEnd,
    trunk_bind: IpAddr,
    io_config: IoConfig,
    /// Flows that the engine has closed, held back until their ports are free again.
    closing: Vec<(FlowId, Event)>,
    /// An event that found the queue full.
    unpublished: Option<Event>,
    stopping: bool,
}

impl Worker {
    fn new(
        engine: Engine,
        io: Backend,
        end: WorkerEnd,
        trunk_bind: IpAddr,
        io_config: IoConfig,
        flows_max: usize,
    ) -> Self {
        let closing = Vec::with_capacity(COMMANDS_PER_TURN_MAX.min(flows_max));
        Self {
            engine,
            io,
            end,
            trunk_bind,
            io_config,
            closing,
            unpublished: None,
            stopping: false,
        }
    }

    /// Turns until it is told to stop.
    ///
    /// # Errors
    /// The kernel no longer takes requests.
    fn run(&mut self) -> io::Result<()> {
        let outcome = self.run_turns();
        outcome.and(self.io.shut_down())
    }

    fn run_turns(&mut self) -> io::Result<()> {
        let mut wait = Some(Duration::ZERO);
        loop {
            self.io.turn(wait)?;
            self.end.count_turn();
            #[cfg(debug_assertions)]
            self.end.check_panic();
            self.end.awake();
            let now = clock();
            self.handle_packets(now);
            self.send_datagrams(now);
            let commands_left = self.apply_commands(now);
            self.connect_trunks();
            self.engine.handle_timeout(now);
            self.send_reports(now);
            self.send_digits(now);
            self.publish_events();
            for _ in 0..self.io.take_receive_failures() {
                self.end.counters().count_drop(DropReason::NoBuffer);
            }
            for _ in 0..self.io.take_send_failures() {
                self.end.counters().count_drop(DropReason::SendFailed);
            }
            if self.stopping && self.has_said_everything() {
                return Ok(());
            }
            let work_left = commands_left || self.engine.has_reports_due();
            wait = self.next_wait(now, work_left);
        }
    }

    /// How long the next turn may wait for news; `None` is without end.
    fn next_wait(&self, now: Instant, work_left: bool) -> Option<Duration> {
        let timeout = self.engine.poll_timeout();
        let timeout = timeout.map(|time| time.saturating_duration_since(now));
        if self.unpublished.is_some() {
            // Nobody says when there is room, and commands that wait for it must not spin.
            let retry = FULL_EVENTS_RETRY_AFTER;
            return Some(timeout.map_or(retry, |timeout| timeout.min(retry)));
        }
        if work_left || !self.end.announce_sleep() {
            return Some(Duration::ZERO);
        }
        timeout
    }

    fn handle_packets(&mut self, now: Instant) {
        let mut news = false;
        let mut foreseen = 0;
        loop {
            if foreseen == 0 {
                let upcoming = self.io.upcoming();
                let upcoming = upcoming.map(|packet| (packet.socket, packet.from));
                foreseen = self.engine.foresee(upcoming, &mut Prefetcher);
            }
            let Some(mut packet) = self.io.next_received() else {
                break;
            };
            foreseen = foreseen.saturating_sub(1);
            if packet.length > PACKET_BYTES_MAX {
                self.drop_packet(packet, DropReason::Truncated);
                continue;
            }
            let (socket, from, length) = (packet.socket, packet.from, packet.length);
            let buffer = self.io.packet(&mut packet);
            match self.engine.handle_packet(now, socket, from, buffer, length) {
                Verdict::Forward(transmit) | Verdict::Reply(transmit) => {
                    self.io.send(packet, &transmit);
                }
                Verdict::ToControl(flow) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let datagram = Datagram::new(flow, from, bytes);
                    if datagram.is_some_and(|datagram| self.end.push_datagram(datagram)) {
                        news = true;
                        self.io.give_back(packet);
                    } else {
                        self.drop_packet(packet, DropReason::ControlQueueFull);
                    }
                }
                // Counted by the engine.
                Verdict::Consumed | Verdict::Drop(_) => self.io.give_back(packet),
            }
        }
        self.io.assert_conserved();
        if news {
            self.end.notify_datagrams();
        }
    }

    fn drop_packet(&mut self, packet: Received, reason: DropReason) {
        self.end.counters().count_drop(reason);
        self.io.give_back(packet);
    }

    fn send_datagrams(&mut self, now: Instant) {
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let Some(datagram) = self.end.next_datagram() else {
                return;
            };
            match self.engine.outgoing_datagram(now, &datagram) {
                Some(transmit) => self.io.send_copy(datagram.bytes(), &transmit),
                None => self.end.counters().count_drop(DropReason::NoDestination),
            }
        }
    }

    fn send_reports(&mut self, now: Instant) {
        let mut buffer = [0; REPORT_BYTES_MAX];
        for _ in 0..REPORTS_PER_TURN_MAX {
            let Some(transmit) = self.engine.poll_report(now, &mut buffer) else {
                return;
            };
            let bytes = buffer.get(..transmit.length).unwrap_or_default();
            self.io.send_copy(bytes, &transmit);
        }
    }

    /// What is left is due at the engine's next timeout: at once.
    fn send_digits(&mut self, now: Instant) {
        let mut buffer = [0; DIGIT_PACKET_BYTES_MAX];
        for _ in 0..DIGIT_PACKETS_PER_TURN_MAX {
            let Some(transmit) = self.engine.poll_digit(now, &mut buffer) else {
                return;
            };
            let bytes = buffer.get(..transmit.length).unwrap_or_default();
            self.io.send_copy(bytes, &transmit);
        }
    }

    /// True when it stopped early: there may be more. None is applied while an event waits for
    /// room, since each may cause one more; unless the end is near, when nobody need hear of them.
    fn apply_commands(&mut self, now: Instant) -> bool {
        if self.unpublished.is_some() && !self.end.stop_asked() {
            return false;
        }
        for _ in 0..COMMANDS_PER_TURN_MAX {
            let Some(command) = self.end.next_command() else {
                return false;
            };
            self.stopping |= matches!(command, Command::Stop);
            match self.bind_ports(&command) {
                Ok(bound) => {
                    self.engine.handle_command(now, command);
                    if let Some(flow) = bound.filter(|flow| !self.engine.is_open(*flow)) {
                        self.close_ports(flow);
                    }
                }
                Err(flow) => self.engine.refuse(flow, RefuseReason::PortUnavailable),
            }
        }
        true
    }

    /// Binds the port pair of a trunk flow that is about to be made, and returns its name.
    fn bind_ports(&mut self, command: &Command) -> Result<Option<FlowId>, FlowId> {
        let Command::OpenFlow(open) = command else {
            return Ok(None);
        };
        let FlowKind::Trunk(trunk) = &open.kind else {
            return Ok(None);
        };
        let (rtp, rtcp) = trunk_sockets(open.flow);
        if !self.engine.is_slot_free(open.flow) {
            // The engine says why.
            return Ok(None);
        }
        if !self.io.is_free(rtp) || !self.io.is_free(rtcp) {
            return Err(open.flow);
        }
        let bound = socket::bind_trunk_pair(self.trunk_bind, trunk.rtp_port, &self.io_config);
        let (rtp_socket, rtcp_socket) = bound.map_err(|_| open.flow)?;
        let opened = self.io.open(rtp, rtp_socket) && self.io.open(rtcp, rtcp_socket);
        if opened {
            Ok(Some(open.flow))
        } else {
            Err(open.flow)
        }
    }

    fn connect_trunks(&mut self) {
        while let Some(change) = self.engine.poll_peer_change() {
            if self.io_config.connect_trunks {
                self.io.connect(change.socket, change.peer);
            }
        }
    }

    fn publish_events(&mut self) {
        let mut news = false;
        if let Some(event) = self.unpublished.take() {
            news |= self.publish(event);
        }
        while self.unpublished.is_none() {
            let Some(event) = self.engine.poll_event() else {
                break;
            };
            if let Some(flow) = closed_flow(&event).filter(|flow| self.close_ports(*flow)) {
                self.closing.push((flow, event));
            } else {
                news |= self.publish(event);
            }
        }
        let mut position = 0;
        while self.unpublished.is_none()
            && let Some((flow, _)) = self.closing.get(position)
        {
            if self.has_ports(*flow) {
                position += 1;
            } else {
                let (_, event) = self.closing.swap_remove(position);
                news |= self.publish(event);
            }
        }
        if news {
            self.end.notify_events();
        }
    }

    /// True when the event is in the queue; otherwise it waits until there is room.
    fn publish(&mut self, event: Event) -> bool {
        if self.end.events_full() {
            self.unpublished = Some(event);
            return false;
        }
        self.end.push_event(event)
    }

    /// True when there was something to close, and it takes a moment.
    fn close_ports(&mut self, flow: FlowId) -> bool {
        let (rtp, rtcp) = trunk_sockets(flow);
        self.io.close(rtp);
        self.io.close(rtcp);
        self.has_ports(flow)
    }

    fn has_ports(&self, flow: FlowId) -> bool {
        let (rtp, rtcp) = trunk_sockets(flow);
        !self.io.is_free(rtp) || !self.io.is_free(rtcp)
    }

    /// When stopping: nothing is left to say, or nobody listens any more.
    fn has_said_everything(&self) -> bool {
        self.unpublished.is_some() || self.closing.is_empty()
    }
}

fn trunk_sockets(flow: FlowId) -> (SocketId, SocketId) {
    (
        SocketId::TrunkRtp(flow.slot),
        SocketId::TrunkRtcp(flow.slot),
    )
}

/// The flow whose ports are to be closed before control hears of this.
fn closed_flow(event: &Event) -> Option<FlowId> {
    match event {
        // A flow that is unknown has no ports; its slot may be another's.
        Event::FlowClosed {
            reason: CloseReason::Lost,
            ..
        } => None,
        Event::FlowClosed { flow, .. } => Some(*flow),
        Event::FlowOpened { .. }
        | Event::Refused { .. }
        | Event::PeerSelected { .. }
        | Event::MediaStarted { .. }
        | Event::MediaRefused { .. }
        | Event::Digit { .. }
        | Event::MediaSilent { .. }
        | Event::WorkerLost { .. }
        | Event::WorkerRuns { .. } => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock, once per turn"
)]
fn clock() -> Instant {
    Instant::now()
}
