//! The brain of one worker: it decides what becomes of every packet.
//!
//! One call does it all: [`Engine::handle_packet`] classifies the packet, finds its flow, proves
//! where it came from, takes the protection off, rewrites it for the other side, protects it again
//! and says where it goes. The buffer it arrived in is the buffer it leaves in.
//!
//! The contract of a turn: any number of `handle_*`, then [`Engine::poll_event`] until empty, then
//! wait for [`Engine::poll_timeout`]. After [`Engine::handle_timeout`] there may be reports and
//! digits to send: [`Engine::poll_report`], [`Engine::poll_digit`]. `now` never goes backwards. No
//! I/O, no clock; the tables are allocated when the engine is made and never grow (only key
//! contexts and queues of digits are made later, by [`Command`](crate::link::Command)s).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::digits::Due;
use self::moment::Clock;
use self::peer::Kind;
use self::table::Table;
use crate::limits::{COMMAND_QUEUE_LENGTH, PEER_CHANGES_PER_TURN_MAX};
use crate::link::{Counters, Datagram, Event, FlowId};
use crate::wire::classify::{Protocol, classify};
use crate::wire::ntp::NtpTime;

mod ahead;
mod commands;
mod digits;
mod feedback;
mod flow;
mod heard;
mod ice;
mod key_frames;
mod media;
mod moment;
mod numbering;
mod peer;
mod reception;
mod reports;
mod rewrite;
mod route;
mod rtcp;
mod sending;
mod stun;
mod sweep;
mod table;
mod ticks;
mod verdict;

pub use verdict::{DropReason, PeerChange, SocketId, Transmit, Verdict};

/// What an engine needs to know when it is made.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Index of the worker: the only one in [`FlowId::worker`] that is accepted.
    pub worker: u16,
    /// Slots in the flow table, `1..=FLOWS_PER_WORKER_MAX`.
    pub flows_max: usize,
    /// A flow without an authentic packet for this long is reported silent.
    pub silent_after: Duration,
    /// Seed of the hash tables and of the times of reports: random in production, fixed in tests.
    pub seed: u64,
    /// The wall-clock time at some moment before the first call: what the NTP times of reports
    /// count from. (That the wall clock may be set later does not matter: only differences do.)
    pub epoch: (Instant, NtpTime),
}

/// The brain of one worker.
pub struct Engine {
    config: EngineConfig,
    counters: Arc<Counters>,
    table: Table,
    events: VecDeque<Event>,
    peer_changes: VecDeque<PeerChange>,
    /// Flows whose report is to be written.
    reports_due: VecDeque<u16>,
    clock: Clock,
    random: u64,
    /// What is to be done for digits and key frames, earliest first; each task of a flow at most
    /// once.
    digits_due: BinaryHeap<Reverse<Due>>,
    /// When the next slots are looked at, and which come first; `None` while no flow is open.
    sweep_at: Option<Instant>,
    sweep_slot: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine {{ worker: {}, .. }}", self.config.worker)
    }
}

impl Engine {
    /// Makes an engine and allocates all of its tables.
    ///
    /// # Panics
    /// When `flows_max` is 0 or beyond `FLOWS_PER_WORKER_MAX`: a mistake of the caller at start.
    #[must_use]
    pub fn new(config: EngineConfig, counters: Arc<Counters>) -> Self {
        let table = Table::new(config.flows_max, config.seed);
        let events = VecDeque::with_capacity(COMMAND_QUEUE_LENGTH);
        let reports_due = VecDeque::with_capacity(config.flows_max);
        Self {
            clock: Clock::new(config.epoch.0),
            random: config.seed | 1,
            reports_due,
            digits_due: BinaryHeap::with_capacity(3 * config.flows_max),
            config,
            counters,
            table,
            events,
            peer_changes: VecDeque::with_capacity(PEER_CHANGES_PER_TURN_MAX),
            sweep_at: None,
            sweep_slot: 0,
        }
    }

    /// Decides what becomes of one received packet, and counts it.
    ///
    /// The packet is the first `length` bytes of `buffer`; the bytes behind are room for an answer
    /// or an authentication tag (`SRTP_OVERHEAD_BYTES_MAX`). After [`Verdict::Forward`] and
    /// [`Verdict::Reply`] the buffer holds what must be sent.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        socket: SocketId,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Verdict {
        let verdict = match self.decide(now, socket, source, buffer, length) {
            Ok(verdict) => verdict,
            Err((reason, slot)) => {
                if let Some(flow) = slot.and_then(|slot| self.table.at_mut(slot)) {
                    flow.dropped_packets += 1;
                }
                Verdict::Drop(reason)
            }
        };
        self.counters.count_verdict(&verdict);
        verdict
    }

    /// The next event for control, oldest first. Events wait here as long as the shell has no room
    /// for them: nothing is lost, and at most one of each kind waits per flow. (Their queue grows
    /// only when control takes none for a long time.)
    ///
    /// The shell applies no further command while events wait: each may cause one.
    pub fn poll_event(&mut self) -> Option<Event> {
        let mut event = self.events.pop_front()?;
        match &mut event {
            Event::PeerSelected { flow, peer } => {
                if let Some(flow) = self.table.get_mut(*flow) {
                    flow.pending.peer_selected = false;
                    // The latest one counts, if it changed while the event waited.
                    let selected = flow.browser().and_then(|browser| browser.ice().selected());
                    *peer = selected.unwrap_or(*peer);
                }
            }
            Event::MediaSilent { flow, .. } => {
                if let Some(flow) = self.table.get_mut(*flow) {
                    flow.pending.media_silent = false;
                }
            }
            Event::FlowOpened { .. }
            | Event::Refused { .. }
            | Event::MediaStarted { .. }
            | Event::MediaRefused { .. }
            | Event::Digit { .. }
            | Event::FlowClosed { .. }
            | Event::WorkerLost { .. }
            | Event::WorkerRuns { .. } => {}
        }
        Some(event)
    }

    /// What the shell can tell the kernel about trunk sockets, in this order, each turn.
    pub fn poll_peer_change(&mut self) -> Option<PeerChange> {
        self.peer_changes.pop_front()
    }

    /// When [`Engine::handle_timeout`] and [`Engine::poll_digit`] want to be called; `None` while
    /// no flow is open.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sweep_at.into_iter().chain(self.digit_due_at()).min()
    }

    /// May this DTLS datagram from control be sent? Only to an address that is ICE-validated for
    /// its flow. The shell then sends [`Datagram::bytes`].
    #[must_use]
    pub fn outgoing_datagram(&self, now: Instant, datagram: &Datagram) -> Option<Transmit> {
        let browser = self.table.get(datagram.flow)?.browser()?;
        browser
            .ice()
            .is_validated(now, datagram.peer)
            .then(|| Transmit::new(SocketId::Browser, datagram.peer, datagram.bytes().len()))
    }

    /// True if [`Command::OpenFlow`](crate::link::Command::OpenFlow) with this name would find its
    /// slot free.
    #[must_use]
    pub fn is_slot_free(&self, flow: FlowId) -> bool {
        flow.worker == self.config.worker && self.table.is_free(flow.slot)
    }

    /// True if the flow is open: same slot, same generation.
    #[must_use]
    pub fn is_open(&self, flow: FlowId) -> bool {
        self.table.get(flow).is_some()
    }

    /// The verdict, or why there is none, with the slot of the flow that the packet was for.
    fn decide(
        &mut self,
        now: Instant,
        socket: SocketId,
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<Verdict, (DropReason, Option<u16>)> {
        let packet = buffer.get(..length).ok_or((DropReason::Truncated, None))?;
        if packet.len() < 2 {
            return Err((DropReason::TooShort, None));
        }
        let protocol = classify(packet);
        if socket == SocketId::Browser && protocol == Some(Protocol::Stun) {
            return self.handle_stun(now, source, buffer, length);
        }
        let slot = match socket {
            SocketId::Browser => self.browser_slot(now, source),
            SocketId::TrunkRtp(slot) | SocketId::TrunkRtcp(slot) => self.trunk_slot(slot),
        };
        let named = |reason| (reason, slot);
        let protocol = protocol.ok_or(named(DropReason::UnknownProtocol))?;
        let slot = slot.ok_or((DropReason::UnknownSource, None))?;
        let verdict = match (protocol, socket) {
            (Protocol::Dtls, SocketId::Browser) => self.pass_up(slot),
            (Protocol::Rtp, SocketId::Browser | SocketId::TrunkRtp(_)) => {
                self.handle_rtp(now, slot, source, buffer, length)
            }
            (Protocol::Rtcp, SocketId::Browser | SocketId::TrunkRtcp(_)) => {
                self.handle_rtcp(now, slot, source, buffer, length)
            }
            (Protocol::Stun, _)
            | (Protocol::Dtls, SocketId::TrunkRtp(_) | SocketId::TrunkRtcp(_))
            | (Protocol::Rtp, SocketId::TrunkRtcp(_))
            | (Protocol::Rtcp, SocketId::TrunkRtp(_)) => Err(DropReason::UnexpectedProtocol),
        };
        verdict.map_err(named)
    }

    /// The browser flow that this address was validated for, as long as its consent lasts.
    fn browser_slot(&self, now: Instant, source: SocketAddr) -> Option<u16> {
        let slot = self.table.by_source(source)?;
        let browser = self.table.at(slot)?.browser()?;
        browser.accepts(self.clock, now, source).then_some(slot)
    }

    fn trunk_slot(&self, slot: u16) -> Option<u16> {
        match self.table.at(slot)?.kind {
            Kind::Trunk(_) => Some(slot),
            Kind::Browser(_) => None,
        }
    }

    fn pass_up(&mut self, slot: u16) -> Result<Verdict, DropReason> {
        let flow = self.table.at_mut(slot).ok_or(DropReason::UnknownSource)?;
        let id = flow.id;
        let browser = flow.browser_mut();
        let browser = browser.ok_or(DropReason::UnexpectedProtocol)?;
        if browser.take_dtls_datagram() {
            Ok(Verdict::ToControl(id))
        } else {
            Err(DropReason::DtlsFlood)
        }
    }
}

#[cfg(test)]
mod tests;
