//! The brain of the control plane: what comes in, where it belongs, what leaves.
//!
//! One `handle_input` or `handle_timeout`, then `poll_output` until it is empty, then wait for
//! `poll_timeout`. It owns every table of the control plane and does no I/O; the shell is
//! [`shell`](crate::shell).

pub(crate) mod context;
mod events;
mod identity;
pub mod input;
pub(crate) mod large;
mod locate;
pub mod output;
mod overload;
mod proxy;
pub(crate) mod refusals;
mod registrations;
mod routing;
mod sender;
mod targets;
mod to_trunk;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crypto::dtls::Fingerprint;
use crypto::random::Random;

use self::context::{Connection, Context, KEEP_ALIVE_ANSWER};
use self::input::{Input, Peer};
use self::large::LargeRequests;
use self::output::{LogLine, Output};
use self::overload::Overload;
use self::refusals::RefusalCount;
use crate::call::Calls;
use crate::config::Config;
use crate::edge::Edge;
use crate::edge::token::{FlowTokens, derived_key};
use crate::health::{Health, Part};
use crate::limits::{CONNECTIONS_MAX, STOP_WITHIN, STREAMS_MAX};
use crate::lines::Lines;
use crate::media::plan::{MediaPlanner, WorkerAddresses};
use crate::sip::message::is_keep_alive;
use crate::sip::transaction::{ClientTransactionId, TimerConfig, TransactionCounts, Transactions};
use crate::sip::{Message, Method};
use crate::token::Tokens;
use crate::trunk::Trunks;
use crate::trunk::authentication::Authenticator;
use crate::trunk::limits::TrunkUsage;
use crate::trunk::registration::Registrations;

/// What the brain needs to know before it starts.
#[derive(Debug)]
pub struct EngineConfig {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// One entry per media worker, in order.
    pub workers: Vec<WorkerAddresses>,
    /// Fingerprint of our DTLS certificate.
    pub fingerprint: Fingerprint,
    /// Randomness for tags, tokens and credentials.
    pub random: Random,
    /// Checks access tokens, if any are taken.
    pub tokens: Option<Arc<Tokens>>,
    /// The moment of the start.
    pub now: Instant,
    /// The same, in seconds since 1970: tokens are dated by the calendar.
    pub unix_s: u64,
}

/// What the brain holds: for statistics, and to find what is never given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls, those that are ending included.
    pub calls: usize,
    /// Entries of all tables of calls together.
    pub call_entries: usize,
    /// Requests that the edge proxy has passed on and that wait for their answer.
    pub relayed: usize,
    /// Transactions of both kinds, those included that wait for repetitions only.
    pub transactions: usize,
    /// Those that wait for a final response or its ACK.
    pub live_transactions: usize,
    /// Flow slots in use, of all workers.
    pub flows: usize,
    /// Port pairs in use, of all workers.
    pub port_pairs: usize,
    /// Calls that count towards the limits of their trunks, of all trunks.
    pub trunk_calls: usize,
    /// Open WebSocket connections.
    pub connections: usize,
    /// TCP and TLS connections of the trunk side.
    pub streams: usize,
}

/// The brain.
#[derive(Debug)]
pub struct Engine {
    context: Context,
    calls: Calls,
    edge: Edge,
    lines: Lines,
    stop_by: Option<Instant>,
    stop_is_due: bool,
    /// OPTIONS of ours that targets have not answered yet; one per target at most.
    probes: BTreeMap<ClientTransactionId, Peer>,
    overload: Overload,
}

impl Engine {
    /// A brain without calls, connections and registrations.
    #[must_use]
    pub fn new(engine: EngineConfig) -> Self {
        let EngineConfig {
            config,
            workers,
            fingerprint,
            mut random,
            tokens,
            now,
            unix_s,
        } = engine;
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let limits = config.server.transactions;
        let transactions = Transactions::new(TimerConfig::default(), seed).with_limits(limits);
        random.fill(&mut seed);
        let lines = Lines::new(&seed);
        zeroize::Zeroize::zeroize(&mut seed);
        let sip = config.sip.as_ref();
        let flow_secret = sip.and_then(|sip| sip.flow_secret.as_ref());
        let secret = derived_key(flow_secret, "names in dialogs", &mut random);
        let node = sip.map(|sip| sip.advertise.to_string()).unwrap_or_default();
        let flow_tokens = FlowTokens::new(flow_secret, &node, &mut random);
        let flows_max = u16::try_from(config.media.flows_max).unwrap_or(u16::MAX);
        let calls = Calls::new(&config, now);
        let mut context = Context {
            planner: MediaPlanner::new(&workers, flows_max),
            trunks: Trunks::new(Arc::clone(&config), now),
            large: LargeRequests::default(),
            authenticator: Authenticator::default(),
            registrations: Registrations::default(),
            config,
            transactions,
            random,
            connections: BTreeMap::new(),
            streams: BTreeSet::new(),
            outputs: VecDeque::new(),
            fingerprint: fingerprint.to_string(),
            secret,
            tokens,
            started: now,
            started_unix_s: unix_s,
            health: Health::default(),
            stopping: false,
            refusals: RefusalCount::new(now),
            goodbyes: Vec::new(),
        };
        context.registrations = context.begin_registrations(now);
        context.announce_sources();
        Self {
            context,
            calls,
            edge: Edge::new(flow_tokens),
            lines,
            stop_by: None,
            stop_is_due: false,
            probes: BTreeMap::new(),
            overload: Overload::default(),
        }
    }

    /// Takes what has happened outside.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::ConnectionOpened {
                connection,
                secure,
                identity,
                remote,
            } => {
                if self.context.connections.len() >= CONNECTIONS_MAX {
                    let reason = "too many connections";
                    let close = Output::Close {
                        connection,
                        code: 1013,
                        reason,
                    };
                    return self.context.outputs.push_back(close);
                }
                let source = remote.ip().to_canonical();
                let state = Connection {
                    secure,
                    source,
                    identity,
                };
                self.context.connections.insert(connection, state);
            }
            Input::ConnectionClosed { connection } => {
                self.context.connections.remove(&connection);
                self.lines.connection_closed(connection);
                self.edge.connection_closed(&self.context, now, connection);
                let peer = Peer::WebSocket(connection);
                self.context.transactions.connection_closed(now, peer);
                self.drain_events(now);
                self.calls
                    .connection_closed(&mut self.context, now, connection);
            }
            Input::StreamOpened { peer } => self.stream_opened(peer),
            Input::StreamClosed { peer } => {
                self.context.streams.remove(&peer);
                self.context.no_connection(now, peer);
                self.context.transactions.connection_closed(now, peer);
                self.context.registrations.stream_closed(now, peer);
            }
            Input::StreamBroken { peer, rest, error } => {
                self.refuse_malformed(now, peer, rest, error.status(), error.to_string());
                self.close_stream(peer);
            }
            Input::Message { peer, bytes } => self.message(now, peer, bytes),
            Input::Resolved { question, answer } => self.resolved(now, &question, answer),
            Input::Media(event) => self.calls.media_event(&mut self.context, now, event),
            Input::Handshake(event) => self.calls.handshake_event(&mut self.context, now, event),
            Input::Part { part, is_there } => self.part(part, is_there),
            Input::Late { is_late } => self.overload.is_late = is_late,
            Input::Stop => {
                self.context.stopping = true;
                self.stop_by.get_or_insert(now + STOP_WITHIN);
                self.calls.stop(&mut self.context, now);
                self.unregister_at_trunks(now);
            }
        }
        self.drain_events(now);
    }

    /// Why a new request of this method is not taken now.
    fn unready(&self, method: &Method) -> Option<String> {
        if self.context.stopping {
            return Some("the gateway stops".to_owned());
        }
        let missing = self.context.health.missing();
        let missing = missing.filter(|_| *method == Method::Invite);
        missing.map(|part| format!("{part} is missing"))
    }

    fn part(&mut self, part: Part, is_there: bool) {
        if !is_there {
            return self.context.health.lost(part);
        }
        self.context.health.is_back(part);
        if part == Part::Handshakes {
            self.calls.handshakes_restarted(&mut self.context);
        }
    }

    /// Lets every timer fire that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stop_is_due |= self.stop_by.is_some_and(|by| now >= by);
        self.context.give_up_connecting(now);
        self.context.transactions.handle_timeout(now);
        self.drain_events(now);
        self.calls.handle_timeout(&mut self.context, now);
        self.edge.handle_timeout(&mut self.context, now);
        self.locate(now);
        self.probe(now);
        self.register_at_trunks(now);
        self.overload_settled(now);
        self.drain_events(now);
    }

    /// What must be done outside; ask until there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.context.outputs.pop_front()
    }

    /// When [`Engine::handle_timeout`] must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = [
            self.context.transactions.poll_timeout(),
            self.context.large.poll_timeout(),
            self.calls.poll_timeout(),
            self.edge.poll_timeout(),
            self.poll_probes(),
            self.poll_registrations(),
            self.poll_questions(),
            self.poll_overload(),
        ];
        let stop = self.stop_by.filter(|_| !self.stop_is_due);
        timers.into_iter().flatten().chain(stop).min()
    }

    /// True when the process may end: it was asked to stop, every call has ended, and the peers
    /// have answered or had their time.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let transactions = &self.context.transactions;
        let answered = || {
            self.context
                .goodbyes
                .iter()
                .all(|bye| !transactions.is_pending(*bye))
        };
        self.context.stopping && (self.stop_is_due || (self.calls.len() == 0 && answered()))
    }

    /// What the brain holds at this moment.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            calls: self.calls.len(),
            call_entries: self.calls.entries(),
            relayed: self.edge.relayed(),
            transactions: self.context.transactions.len(),
            live_transactions: self.context.transactions.counts().live,
            flows: self.context.planner.flows(),
            port_pairs: self.context.planner.port_pairs(),
            trunk_calls: self.trunk_usage().iter().map(|trunk| trunk.calls).sum(),
            connections: self.context.connections.len(),
            streams: self.context.streams.len(),
        }
    }

    /// What the table of transactions holds, and what it had no room for since the start.
    #[must_use]
    pub fn transaction_counts(&self) -> TransactionCounts {
        self.context.transactions.counts()
    }

    /// How near each trunk is to its limits, in the order of the configuration.
    #[must_use]
    pub fn trunk_usage(&self) -> Vec<TrunkUsage> {
        self.calls.trunk_usage(&self.context.config)
    }

    /// True while new calls are taken.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        !self.context.stopping && self.context.health.missing().is_none()
    }

    /// Calls at this moment, those that are ending included.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// May this peer be heard at all? Neither a connection that is closed or never was taken,
    /// nor a stranger on the trunk side, gets a transaction: nobody would end it, and its
    /// retransmissions would go to an address that can be forged.
    fn is_known(&self, peer: Peer) -> bool {
        match peer {
            Peer::WebSocket(connection) => self.context.connections.contains_key(&connection),
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => self.context.trunks.knows(peer),
        }
    }

    fn refuse_stranger(&mut self, now: Instant, peer: Peer, bytes: Bytes) {
        let request = Message::parse(bytes).ok().filter(Message::is_request);
        if let (None, Some(request)) = (peer.connection(), request) {
            self.context
                .transactions
                .send_stateless(peer, &request, 403, None);
            let reason = "not from a trunk".to_owned();
            self.context.log(LogLine::Refused { peer, reason });
        }
        self.context.flush(now);
        self.close_stream(peer);
    }

    fn message(&mut self, now: Instant, peer: Peer, bytes: Bytes) {
        if !self.is_known(peer) {
            return self.refuse_stranger(now, peer, bytes);
        }
        if is_keep_alive(&bytes) {
            if matches!(peer, Peer::WebSocket(_)) && bytes.len() > 2 {
                self.context.outputs.push_back(Output::Send {
                    peer,
                    bytes: KEEP_ALIVE_ANSWER,
                });
            }
            return;
        }
        match Message::parse(bytes.clone()) {
            Ok(message) => {
                let has_room = self.has_room_for_calls();
                self.context.transactions.take_calls(has_room);
                self.context.transactions.handle_message(now, peer, message);
                self.note_overload(now);
            }
            Err(error) => {
                if let Peer::WebSocket(connection) = peer
                    && !names_sip(&bytes)
                {
                    self.context.outputs.push_back(Output::Close {
                        connection,
                        code: 1003,
                        reason: "not a SIP message",
                    });
                }
                self.refuse_malformed(now, peer, bytes, error.status(), error.to_string());
            }
        }
    }

    fn refuse_malformed(
        &mut self,
        now: Instant,
        peer: Peer,
        bytes: Bytes,
        status: u16,
        reason: String,
    ) {
        if let Some(request) = Message::salvage(bytes) {
            self.context
                .transactions
                .send_stateless(peer, &request, status, Some(&reason));
        }
        self.context.flush(now);
        self.context.log(LogLine::Refused { peer, reason });
    }

    /// A carrier has opened a connection, or one of ours stands.
    fn stream_opened(&mut self, peer: Peer) {
        if self.context.streams.len() >= STREAMS_MAX && !self.context.streams.contains(&peer) {
            return self.context.outputs.push_back(Output::CloseStream { peer });
        }
        self.context.streams.insert(peer);
        self.context.large.connected(peer);
    }

    fn close_stream(&mut self, peer: Peer) {
        if peer.is_stream() {
            self.context.outputs.push_back(Output::CloseStream { peer });
        }
    }

    fn drain_events(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.context.transactions.poll_event() {
                self.transaction_event(now, event);
            }
            // A connection that cannot be opened makes more events.
            if !self.context.flush(now) {
                break;
            }
        }
        let mut moved = std::mem::take(&mut self.edge.moved);
        moved.append(&mut self.lines.moved);
        for moved in moved {
            self.calls.user_moved(&moved);
        }
    }
}

/// Tells whether the first line says that this is meant to be SIP. "Messages other than SIP requests
/// and responses MUST NOT be transmitted" over a SIP WebSocket (RFC 7118 section 4.1).
fn names_sip(bytes: &[u8]) -> bool {
    let first_line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    first_line
        .windows(4)
        .any(|four| four.eq_ignore_ascii_case(b"SIP/"))
}
