//! SIP transactions: RFC 3261 section 17, RFC 6026, RFC 3581.
//!
//! [`Transactions`] is one table of all client and server transactions. The owner feeds it with
//! messages and time, then polls until nothing is left:
//!
//! 1. `handle_message`, `send_request`, `send_response`, `cancel`, `connection_closed` or
//!    `handle_timeout`;
//! 2. `poll_transmit` and `poll_event` until both are empty;
//! 3. wait until `poll_timeout`.
//!
//! What the layer does by itself: 100 Trying for INVITE, retransmission both ways, the 2xx to
//! INVITE until its ACK comes, the ACK to other final responses, 200 or 481 to CANCEL, 482 to
//! merged INVITEs, and 503 where there is no room (`admission`). Merged requests of other methods are *not*
//! refused: a request that the edge relays may come back through it to another browser.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::header::HeaderName;
use super::limits::TABLE_FULL_RETRY_AFTER_S;
use super::message::Message;
use super::method::Method;
use crate::engine::input::Peer;

use admission::TransactionLimits as Limits;
use client_invite::ClientInvite;
use client_other::ClientOther;
use fingerprint::Fingerprint;
use finished::{Finished, Kind, Record, SentInvite, ServedInvite};
use key::{ClientKey, DialogKey, Identifiers, MergeKey, ServerKey};
use server_invite::{ServerInvite, ServerInviteTimeout};
use server_other::ServerOther;

mod admission;
mod client;
mod client_invite;
mod client_other;
mod fingerprint;
mod finished;
mod key;
mod large;
mod retire;
mod server;
mod server_invite;
mod server_other;
#[cfg(test)]
mod tests;

pub use admission::{TransactionCounts, TransactionLimits};

/// Names a client transaction; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTransactionId(u64);

/// Names a server transaction; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTransactionId(u64);

/// Base values of the timers (RFC 3261 table 4); the others follow from them.
#[derive(Clone, Copy, Debug)]
pub struct TimerConfig {
    /// Estimate of the round-trip time. Default 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions. Default 4 s.
    pub t2: Duration,
    /// How long a message can stay in the network. Default 5 s.
    pub t4: Duration,
    /// Timer B and F: how long a request waits for its first (F: final) answer. Default 64·T1.
    pub request_timeout: Duration,
    /// Timer C: how long an INVITE may ring, counted from its last 1xx other than 100. Then it
    /// is cancelled. More than 180 s (RFC 3261 section 16.6); default 185 s.
    pub timer_c: Duration,
}

impl Default for TimerConfig {
    fn default() -> Self {
        let t1 = Duration::from_millis(500);
        Self {
            t1,
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            request_timeout: t1 * 64,
            timer_c: Duration::from_secs(185),
        }
    }
}

impl TimerConfig {
    /// Timers D, H, J, L and M.
    fn linger(&self) -> Duration {
        self.t1 * 64
    }

    /// The interval after this one: doubled, up to T2.
    fn next_interval(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }
}

/// The account that answers a challenge to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// A number of the owner's.
    pub number: usize,
    /// True if only realms are answered that are known: the request is not one that we began
    /// something with, and whoever challenges it may want no more than a digest to guess at.
    pub known_realms_only: bool,
}

/// How one request is sent.
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    /// Base values of its timers, if they are not those of the table.
    pub timers: Option<TimerConfig>,
    /// Timer B or F, if it is another one still.
    pub within: Option<Duration>,
    /// The account that answers a challenge to it: a number of the owner's, which comes back with
    /// [`TransactionEvent::Challenged`].
    pub account: Option<Account>,
    /// Where it goes instead if it is larger than [`DATAGRAM_REQUEST_BYTES_MAX`], as long as a
    /// connection can be had there ([`Transactions::fall_back`]).
    ///
    /// [`DATAGRAM_REQUEST_BYTES_MAX`]: super::limits::DATAGRAM_REQUEST_BYTES_MAX
    pub large: Option<Way>,
}

/// One way to the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// To whom.
    pub peer: Peer,
    /// What the Via of a request says that goes this way.
    pub via: ViaParameters,
}

/// What the layer writes into the Via of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViaParameters {
    /// `UDP`, `TCP`, `TLS`, `WS` or `WSS`. With `UDP`, `rport` is asked for (RFC 3581).
    pub transport: &'static str,
    /// Our address as the peer shall see it: `host` or `host:port`.
    pub sent_by: String,
}

/// Something that the owner of the table must know.
#[derive(Debug)]
pub enum TransactionEvent {
    /// A new request. Answer it with [`Transactions::send_response`]. The 100 to an INVITE has
    /// been sent. On the trunk side, `received` and `rport` of the top Via are filled in.
    Request {
        /// The transaction that waits for responses.
        transaction: ServerTransactionId,
        /// Where it came from.
        peer: Peer,
        /// The request; never ACK or CANCEL.
        message: Message,
    },
    /// An ACK to a 2xx: the first one and each repetition.
    Ack {
        /// The INVITE that it belongs to; `None` if that one is unknown or gone.
        transaction: Option<ServerTransactionId>,
        /// Where it came from.
        peer: Peer,
        /// The ACK.
        message: Message,
    },
    /// A CANCEL for an INVITE that has no final response yet. The layer has answered the CANCEL;
    /// the owner answers the INVITE with 487.
    Cancel {
        /// The INVITE.
        transaction: ServerTransactionId,
        /// The CANCEL (its Reason header may be of interest).
        message: Message,
    },
    /// A response. Our own Via is still on top. Provisional responses and the 2xx to an INVITE
    /// come as often as they arrive (RFC 6026 section 7.2): answer each 2xx with an ACK.
    Response {
        /// The request that it answers.
        transaction: ClientTransactionId,
        /// Where it came from.
        peer: Peer,
        /// The response.
        message: Message,
    },
    /// A 401 or 407 to a request that an account was named for: send the request again with
    /// credentials ([`Transactions::send_again`]), or take it as a [`TransactionEvent::Response`].
    Challenged {
        /// What is challenged.
        challenged: Box<Challenged>,
        /// Where the response came from.
        peer: Peer,
        /// The response.
        message: Message,
    },
    /// A response that belongs to no transaction, for example a late 2xx.
    StrayResponse {
        /// Where it came from.
        peer: Peer,
        /// The response.
        message: Message,
    },
    /// No (final) response came in time: timer B or F, or nothing after a CANCEL. Same as 408.
    Timeout {
        /// The request, which is gone now.
        transaction: ClientTransactionId,
        /// Who has not answered at all; `None` if a 1xx came.
        silent: Option<Peer>,
    },
    /// The request could not be sent, or its connection closed. Same as 503.
    TransportFailed {
        /// The request, which is gone now.
        transaction: ClientTransactionId,
        /// To whom; `None` if the table was full.
        peer: Option<Peer>,
    },
    /// The connection of a request closed before its final response (INVITE: before its ACK).
    ServerTransportFailed {
        /// The request, which is gone now.
        transaction: ServerTransactionId,
    },
    /// Timer H: no ACK to the final non-2xx response of an INVITE. Nothing need be done.
    ServerTimeout {
        /// The INVITE, which is gone now.
        transaction: ServerTransactionId,
    },
    /// No ACK to the 2xx of an INVITE within 64·T1; the dialog is ended with a BYE (RFC 3261
    /// section 13.3.1.4).
    AckMissing {
        /// The INVITE, which is gone now.
        transaction: ServerTransactionId,
    },
}

/// A request that was challenged.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// Its name, also when it is sent again.
    pub transaction: ClientTransactionId,
    /// The account that was named for it.
    pub account: Account,
    /// How often it has been sent again before.
    pub tries: u32,
    /// The request as it was sent, without our Via.
    pub request: Message,
    /// Where it went, but for its size.
    peer: Peer,
    timers: TimerConfig,
    is_cancelled: bool,
}

impl Challenged {
    /// Where the request went, and goes again; if it is not too large.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }
}

/// The table of all transactions.
#[derive(Debug)]
pub struct Transactions {
    config: TimerConfig,
    identifiers: Identifiers,
    limits: Limits,
    takes_calls: bool,
    counts: TransactionCounts,
    next_id: u64,
    clients: HashMap<ClientTransactionId, Client, RandomState>,
    servers: HashMap<ServerTransactionId, Server, RandomState>,
    finished: Finished,
    /// All of them, by their keys: client and server transactions by those of RFC 3261 section 17,
    /// INVITEs with a 2xx by what their ACK will say, those without To tag by what a merged one
    /// would say. The number is the one in the name.
    index: HashMap<Fingerprint, u64, RandomState>,
    /// Those that end with the connection of their peer.
    connections: BTreeSet<(Peer, Either)>,
    deadlines: BTreeSet<(Instant, Either)>,
    events: VecDeque<TransactionEvent>,
    transmits: VecDeque<(Peer, Bytes)>,
}

/// Either kind of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Either {
    Client(ClientTransactionId),
    Server(ServerTransactionId),
}

#[derive(Debug)]
struct Client {
    machine: ClientMachine,
    key: Fingerprint,
    branch: String,
    peer: Peer,
    /// For what repeats parts of it; `None` once a request other than INVITE has its final
    /// response, since many of those wait for Timer K at a time.
    request: Option<Message>,
    /// Value of the Reason header of the CANCEL.
    cancel_reasons: Vec<String>,
    /// Made by the layer itself (CANCEL), or sent again since: its fate is nobody's concern.
    is_internal: bool,
    timers: TimerConfig,
    account: Option<Account>,
    /// How often it has been sent again with credentials.
    tries: u32,
    /// The way that it would have gone but for its size.
    fallback: Option<Way>,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum ClientMachine {
    Invite(ClientInvite),
    Other(ClientOther),
}

#[derive(Debug)]
struct Server {
    machine: ServerMachine,
    timers: TimerConfig,
    key: Fingerprint,
    /// The To tag of the latest response that had one.
    to_tag: Option<Box<str>>,
    merge: Option<Fingerprint>,
    dialog: Option<Fingerprint>,
    peer: Peer,
    /// Where responses go: RFC 3261 section 18.2.2, RFC 3581 section 4.
    reply_to: Peer,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    Other(ServerOther),
}

impl Transactions {
    /// Makes an empty table. `seed` must be secret and random: the branches, by which responses
    /// are recognised, are derived from it.
    #[must_use]
    pub fn new(config: TimerConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            identifiers: Identifiers::new(seed),
            limits: Limits::default(),
            takes_calls: true,
            counts: TransactionCounts::default(),
            next_id: 0,
            clients: HashMap::default(),
            servers: HashMap::default(),
            finished: Finished::new(Limits::default().finished),
            index: HashMap::default(),
            connections: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Takes a message that has arrived.
    pub fn handle_message(&mut self, now: Instant, peer: Peer, message: Message) {
        if message.is_request() {
            self.handle_request(now, peer, message);
        } else {
            self.handle_response(now, peer, message);
        }
    }

    /// Lets all timers fire that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, either)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            match either {
                Either::Client(id) => self.client_timeout(now, id),
                Either::Server(id) => self.server_timeout(now, id),
            }
        }
        while let Some((number, record)) = self.finished.take_due(now) {
            self.forget_keys(number, record.keys());
        }
    }

    /// Ends all transactions of a connection (WebSocket, TCP, TLS) that has closed, but for those
    /// that [`Transactions::fall_back`] saves.
    pub fn connection_closed(&mut self, now: Instant, peer: Peer) {
        self.fall_back(now, peer);
        for either in self.of_connection(peer) {
            match either {
                Either::Client(id) => self.client_connection_closed(id),
                Either::Server(id) => self.server_connection_closed(id),
            }
        }
    }

    fn of_connection(&self, peer: Peer) -> Vec<Either> {
        let first = Either::Client(ClientTransactionId(0));
        let is_of_it = |(p, _): &&(Peer, Either)| *p == peer;
        let from_first = self.connections.range((peer, first)..);
        from_first.take_while(is_of_it).map(|(_, e)| *e).collect()
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<TransactionEvent> {
        self.events.pop_front()
    }

    /// Returns the next message to send.
    pub fn poll_transmit(&mut self) -> Option<(Peer, Bytes)> {
        self.transmits.pop_front()
    }

    /// Returns when [`Transactions::handle_timeout`] must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let live = self.deadlines.first().map(|(at, _)| *at);
        live.into_iter().chain(self.finished.poll_timeout()).min()
    }

    /// Returns the count of transactions, those included that wait for repetitions only.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len() + self.finished.len()
    }

    /// Tells whether there is no transaction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn transmit(&mut self, peer: Peer, bytes: Option<Bytes>) {
        self.transmits.extend(bytes.map(|bytes| (peer, bytes)));
    }

    /// Moves the deadline of a transaction.
    fn set_deadline(
        deadlines: &mut BTreeSet<(Instant, Either)>,
        either: Either,
        old: &mut Option<Instant>,
        new: Option<Instant>,
    ) {
        if *old != new {
            if let Some(at) = old.take() {
                deadlines.remove(&(at, either));
            }
            if let Some(at) = new {
                deadlines.insert((at, either));
            }
            *old = new;
        }
    }
}
