//! What every part of the brain works with: the transactions, the media plan, the outputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crypto::random::Random;
use dataplane::link::Command;

use super::input::{ConnectionId, Peer};
use super::large::LargeRequests;
use super::output::{LogLine, Output};
use super::refusals::RefusalCount;
pub(crate) use super::refusals::{ALLOW, allow};
use crate::call::leg::Side;
use crate::config::{AccountConfig, Config};
use crate::health::Health;
use crate::hex::hex;
use crate::limits::{SEQUENCE_STRIDE, STREAMS_MAX};
use crate::media::handshake::HandshakeCommand;
use crate::media::plan::MediaPlanner;
use crate::sip::transaction::{
    Account, Challenged, ClientTransactionId, RequestOptions, ServerTransactionId, Transactions,
    ViaParameters,
};
use crate::sip::{HeaderName, Message, Method, Transport, Uri};
use crate::token::{Identity, Tokens};
use crate::trunk::Trunks;
use crate::trunk::authentication::Authenticator;
use crate::trunk::registration::Registrations;

/// Option tags that this server knows, as `Supported` says.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces, path";

/// Host name in Via and Contact towards browsers, who never resolve it (RFC 7118 section B.1):
/// they answer on the connection that the request came on.
pub(crate) const BROWSER_SIDE_HOST: &str = "ringway.invalid";

/// One WebSocket connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) secure: bool,
    /// The address of its other end.
    pub(crate) source: IpAddr,
    /// Whose it is, if a token has said so.
    pub(crate) identity: Option<Identity>,
}

/// What every part of the brain works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Arc<Config>,
    pub(crate) transactions: Transactions,
    pub(crate) planner: MediaPlanner,
    pub(crate) random: Random,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    /// TCP and TLS connections of the trunk side, those that are being opened included; at most
    /// [`STREAMS_MAX`].
    pub(crate) streams: BTreeSet<Peer>,
    pub(crate) trunks: Trunks,
    pub(crate) large: LargeRequests,
    pub(crate) authenticator: Authenticator,
    pub(crate) registrations: Registrations,
    pub(crate) outputs: VecDeque<Output>,
    /// Text of our certificate's fingerprint, as in SDP.
    pub(crate) fingerprint: String,
    /// Key of everything that peers are given to bring back: Call-IDs, tokens, nonces.
    pub(crate) secret: aws_lc_rs::hmac::Key,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) started: Instant,
    pub(crate) started_unix_s: u64,
    /// Which parts of the process are there.
    pub(crate) health: Health,
    pub(crate) stopping: bool,
    /// How many refusals the log may still name.
    pub(crate) refusals: RefusalCount,
    /// BYEs sent because the process stops; one per leg at most.
    pub(crate) goodbyes: Vec<ClientTransactionId>,
}

impl Context {
    /// Sends a new request; the transaction layer adds our Via.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Message,
    ) -> ClientTransactionId {
        self.send_within(now, peer, request, None)
    }

    /// Sends a new request that is not the business of a trunk's account to a peer that may be
    /// silent for so long only; `None` for timer B or F.
    pub(crate) fn send_within(
        &mut self,
        now: Instant,
        peer: Peer,
        request: Message,
        within: Option<Duration>,
    ) -> ClientTransactionId {
        let trunk = self.trunks.of_peer(peer);
        let config = trunk.and_then(|index| self.config.trunks.get(index));
        let options = RequestOptions {
            timers: config.map(|trunk| trunk.timers),
            within,
            account: None,
            large: trunk.and_then(|trunk| self.way_if_large(now, trunk, peer)),
        };
        self.send_with(now, peer, request, options)
    }

    /// Sends a new request to a target of a trunk: with the trunk's timers, and with credentials
    /// where it has an account. It may be silent for so long only; `None` for timer B or F.
    pub(crate) fn send_to_trunk(
        &mut self,
        now: Instant,
        trunk: usize,
        peer: Peer,
        request: Message,
        within: Option<Duration>,
    ) -> ClientTransactionId {
        self.send_in_dialog(now, (trunk, peer), request, within, true)
    }

    /// The same, in a dialog that is ours or the carrier's. Who called us is told no digest of the
    /// account's password for a realm of its choice: only for one that is configured, or that the
    /// trunk has asked for when the request was ours.
    pub(crate) fn send_in_dialog(
        &mut self,
        now: Instant,
        (trunk, peer): (usize, Peer),
        mut request: Message,
        within: Option<Duration>,
        is_ours: bool,
    ) -> ClientTransactionId {
        let known_realms_only = !is_ours;
        let config = Arc::clone(&self.config);
        let config = config.trunks.get(trunk);
        let account = config.and_then(|config| config.account.as_ref());
        let account = account.filter(|_| self.trunks.has_account_at(trunk, peer));
        if let Some(account) = account {
            self.authorize(trunk, account, &mut request);
        }
        let options = RequestOptions {
            timers: config.map(|config| config.timers),
            within,
            account: account.map(|_| Account {
                number: trunk,
                known_realms_only,
            }),
            large: self.way_if_large(now, trunk, peer),
        };
        self.send_with(now, peer, request, options)
    }

    fn send_with(
        &mut self,
        now: Instant,
        peer: Peer,
        mut request: Message,
        options: RequestOptions,
    ) -> ClientTransactionId {
        if request.header(HeaderName::UserAgent).is_none() {
            request.push(HeaderName::UserAgent, self.config.server.name.as_str());
        }
        let via = self.via(peer);
        self.transactions
            .send_request_with(now, peer, request, &via, options)
    }

    fn authorize(&mut self, trunk: usize, account: &AccountConfig, request: &mut Message) {
        let cnonce = self.token();
        self.authenticator
            .authorize(trunk, account, request, &cnonce);
    }

    /// Sends a request again, with credentials, that a trunk has challenged (RFC 3261 section
    /// 22.2). False if there is nothing to answer with.
    pub(crate) fn answer_challenge(
        &mut self,
        now: Instant,
        challenged: &Challenged,
        response: &Message,
    ) -> bool {
        let config = Arc::clone(&self.config);
        let mut request = challenged.request.clone();
        let trunk = challenged.account.number;
        let account = config.trunks.get(trunk);
        let account = account.and_then(|trunk| trunk.account.as_ref());
        let (Some(account), Some(cseq)) = (account, request.cseq()) else {
            return false;
        };
        let makes_sense = self.authenticator.challenged(
            (challenged.account, account),
            &request,
            response,
            challenged.tries,
        );
        if !makes_sense {
            return false;
        }
        let number = cseq.number.saturating_add(1);
        request.set(HeaderName::CSeq, format!("{number} {}", request.method()));
        self.authorize(trunk, account, &mut request);
        let peer = challenged.peer();
        let (via, large) = (self.via(peer), self.way_if_large(now, trunk, peer));
        self.transactions
            .send_again(now, challenged, request, &via, large)
    }

    /// Where the next request of a dialog with a trunk goes. A connection that the carrier opened
    /// cannot be opened again once it is gone: then to the target that its Contact names, or to the
    /// best one.
    pub(crate) fn way_to_trunk(
        &self,
        now: Instant,
        trunk: usize,
        peer: Peer,
        remote_target: &str,
    ) -> Peer {
        let can_be_reached =
            |peer: Peer| self.streams.contains(&peer) || self.trunks.server_of(peer).is_some();
        if !peer.is_stream() || can_be_reached(peer) {
            return peer;
        }
        let transport = peer.on_trunk_side().map_or(Transport::Tcp, |(t, _)| t);
        let named = Uri::parse(remote_target).and_then(|uri| {
            let address = uri.host.trim_matches(['[', ']']).parse().ok()?;
            let port = uri.port.unwrap_or(transport.default_port());
            Some(Peer::of_trunk(transport, SocketAddr::new(address, port)))
        });
        let named = named.filter(|named| can_be_reached(*named));
        let best = || {
            let mut ways = self.trunks.route_of_call(now, trunk, remote_target);
            ways.take()
        };
        named.or_else(best).unwrap_or(peer)
    }

    /// How far the sequence numbers of our requests to one side are from each other.
    pub(crate) fn stride(&self, side: Side) -> u32 {
        if self.has_account(side) {
            SEQUENCE_STRIDE
        } else {
            1
        }
    }

    /// Is this a trunk where challenges are answered here?
    pub(crate) fn has_account(&self, side: Side) -> bool {
        let Side::Trunk(index) = side else {
            return false;
        };
        let trunk = self.config.trunks.get(index);
        trunk.is_some_and(|trunk| trunk.account.is_some())
    }

    /// Sends an ACK for a 2xx: no transaction, and a Via of its own (RFC 3261 section 13.2.2.4).
    pub(crate) fn send_ack(&mut self, now: Instant, peer: Peer, ack: Message) {
        let trunk = self.trunks.of_peer(peer);
        let large = trunk.and_then(|trunk| self.way_if_large(now, trunk, peer));
        let via = self.via(peer);
        self.transactions.send_ack_2xx(peer, ack, &via, large);
    }

    /// Answers a request.
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        transaction: ServerTransactionId,
        mut response: Message,
    ) {
        if response.header(HeaderName::Server).is_none() {
            response.push(HeaderName::Server, self.config.server.name.as_str());
        }
        self.transactions.send_response(now, transaction, &response);
    }

    /// Asks something of the worker that owns the flow named in the command.
    pub(crate) fn command(&mut self, worker: u16, command: Command) {
        self.outputs.push_back(Output::Media { worker, command });
    }

    /// Asks something of the handshake thread.
    pub(crate) fn handshake(&mut self, command: HandshakeCommand) {
        self.outputs.push_back(Output::Handshake(command));
    }

    /// Writes a line to the log.
    pub(crate) fn log(&mut self, line: LogLine) {
        self.outputs.push_back(Output::Log(line));
    }

    /// 80 bits of randomness as text: tags.
    pub(crate) fn token(&mut self) -> String {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        hex(&bytes)
    }

    /// A value that only we can make, the same each time for the same text.
    pub(crate) fn keyed(&self, purpose: &str, text: &[&str]) -> String {
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.secret);
        context.update(purpose.as_bytes());
        for part in text {
            // With its length: no two lists of parts are the same text.
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        hex(context.sign().as_ref().get(..10).unwrap_or_default())
    }

    /// The address that a browser's request came from.
    pub(crate) fn source(&self, request: &Incoming) -> Option<IpAddr> {
        let connection = self.connections.get(&request.connection()?)?;
        Some(connection.source)
    }

    /// Time since the start: what nonces are dated with.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The same moment in seconds since 1970.
    pub(crate) fn unix_seconds(&self, now: Instant) -> u64 {
        self.started_unix_s
            .saturating_add(self.uptime(now).as_secs())
    }

    /// Whose the connection is, if a token has said so.
    pub(crate) fn identity(&self, connection: Option<ConnectionId>) -> Option<&Identity> {
        self.connections.get(&connection?)?.identity.as_ref()
    }

    /// What a trunk's SBC sees as our host and port.
    pub(crate) fn trunk_side_host(&self, transport: Transport) -> String {
        let sip = self.config.sip.as_ref();
        let advertise = sip.map(|sip| sip.advertise_of(transport).to_string());
        advertise.unwrap_or_default()
    }

    /// How the carrier of a user (an address of record) is spoken to.
    pub(crate) fn transport_of_user(&self, address_of_record: &str) -> Transport {
        let domain = address_of_record.rsplit_once('@').map(|(_, domain)| domain);
        let trunk = domain.and_then(|domain| self.config.trunk_of_domain(domain));
        trunk.map_or(Transport::Udp, |index| self.trunks.transport(index))
    }

    /// Our URI towards a trunk, as in Contact. `user` is escaped already.
    pub(crate) fn trunk_side_uri(&self, user: &str, transport: Transport) -> String {
        let host = self.trunk_side_host(transport);
        match transport {
            Transport::Udp => format!("sip:{user}@{host}"),
            Transport::Tcp | Transport::Tls => format!("sip:{user}@{host};transport={transport}"),
        }
    }

    /// Sends what the transaction layer wants to be sent; TCP and TLS connections are opened first
    /// where there are none. False if nothing was waiting.
    pub(crate) fn flush(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some((peer, bytes)) = self.transactions.poll_transmit() {
            any = true;
            if peer.is_stream() && !self.streams.contains(&peer) && !self.connect(now, peer) {
                // What was waiting for an answer fails at once.
                self.transactions.connection_closed(now, peer);
                continue;
            }
            self.note_size(peer, &bytes);
            self.outputs.push_back(Output::Send { peer, bytes });
        }
        any
    }

    /// Opens a connection to a trunk. False if it is none's, or there are too many.
    fn connect(&mut self, now: Instant, peer: Peer) -> bool {
        let Some((trunk, name)) = self.trunks.server_of(peer) else {
            return false;
        };
        if self.streams.len() >= STREAMS_MAX {
            return false;
        }
        self.streams.insert(peer);
        self.large.connecting(now, peer);
        self.outputs
            .push_back(Output::Connect { peer, trunk, name });
        true
    }

    pub(super) fn via(&self, peer: Peer) -> ViaParameters {
        match peer {
            Peer::Udp(_) | Peer::Tcp(_) | Peer::Tls(_) => {
                let transport = peer.on_trunk_side().map_or(Transport::Udp, |(t, _)| t);
                ViaParameters {
                    transport: transport.via(),
                    sent_by: self.trunk_side_host(transport),
                }
            }
            Peer::WebSocket(connection) => {
                let secure = self.connections.get(&connection).is_some_and(|c| c.secure);
                let transport = if secure { "WSS" } else { "WS" };
                ViaParameters {
                    transport,
                    sent_by: BROWSER_SIDE_HOST.to_owned(),
                }
            }
        }
    }
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) transaction: ServerTransactionId,
    pub(crate) peer: Peer,
    pub(crate) message: Message,
}

impl Incoming {
    /// The connection that it came on, if it came from a browser.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.peer.connection()
    }

    /// Its method.
    pub(crate) fn method(&self) -> Method {
        self.message.method()
    }
}

/// What is sent as a keep-alive answer (RFC 5626 section 4.4.1).
pub(crate) const KEEP_ALIVE_ANSWER: Bytes = Bytes::from_static(b"\r\n");
