//! What every part of the brain works with: the transactions, the media plan, the outputs.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crypto::random::Random;
use dataplane::link::Command;

use super::input::{ConnectionId, Peer};
use super::output::{LogLine, Output};
use crate::config::Config;
use crate::limits::RETRY_AFTER_S;
use crate::media::handshake::HandshakeCommand;
use crate::media::plan::MediaPlanner;
use crate::sdp::Refusal;
use crate::sip::transaction::{
    ClientTransactionId, ServerTransactionId, Transactions, ViaParameters,
};
use crate::sip::{HeaderName, Message, Method};
use crate::token::{Identity, Tokens};

/// Methods that this server takes, as `Allow` says.
pub(crate) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, MESSAGE, UPDATE, PRACK, REFER, NOTIFY";
/// Methods that it passes on besides, outside of calls.
const ALLOW_OUTSIDE_OF_CALLS: [&str; 4] = ["SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER"];
/// Option tags that this server knows, as `Supported` says.
pub(crate) const SUPPORTED: &str = "timer, 100rel, replaces, path";

/// `Allow` outside of a call.
pub(crate) fn allow() -> String {
    let is_new = |method: &&str| !ALLOW.split(", ").any(|known| known == *method);
    let more = ALLOW_OUTSIDE_OF_CALLS.into_iter().filter(is_new);
    std::iter::once(ALLOW)
        .chain(more)
        .collect::<Vec<_>>()
        .join(", ")
}

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
    pub(crate) outputs: VecDeque<Output>,
    /// Text of our certificate's fingerprint, as in SDP.
    pub(crate) fingerprint: String,
    /// Key of everything that peers are given to bring back: Call-IDs, tokens, nonces.
    pub(crate) secret: aws_lc_rs::hmac::Key,
    pub(crate) tokens: Option<Arc<Tokens>>,
    pub(crate) started: Instant,
    pub(crate) started_unix_s: u64,
    pub(crate) stopping: bool,
    /// BYEs sent because the process stops; one per leg at most.
    pub(crate) goodbyes: Vec<ClientTransactionId>,
}

impl Context {
    /// Sends a new request; the transaction layer adds our Via.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        peer: Peer,
        mut request: Message,
    ) -> ClientTransactionId {
        if request.header(HeaderName::UserAgent).is_none() {
            request.push(HeaderName::UserAgent, self.config.server.name.as_str());
        }
        let via = self.via(peer);
        self.transactions.send_request(now, peer, request, &via)
    }

    /// Sends an ACK for a 2xx: no transaction, and a Via of its own (RFC 3261 section 13.2.2.4).
    pub(crate) fn send_ack(&mut self, peer: Peer, ack: Message) {
        let via = self.via(peer);
        self.transactions.send_ack_2xx(peer, ack, &via);
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

    /// A response of our own, with a To tag where the request had none.
    pub(crate) fn response(&mut self, request: &Message, status: u16) -> Message {
        let mut response = Message::response_to(request, status, None);
        let to = request.header(HeaderName::To).unwrap_or_default();
        if status > 100 && crate::sip::header::header_param(to, "tag").is_none() {
            response.set(HeaderName::To, format!("{to};tag={}", self.token()));
        }
        match status {
            405 | 501 if request.to_tag().is_some() => response.push(HeaderName::Allow, ALLOW),
            405 | 501 => response.push(HeaderName::Allow, allow()),
            503 => response.push(HeaderName::RetryAfter, RETRY_AFTER_S.to_string()),
            _ => {}
        }
        response
    }

    /// Answers a request with a bare status, and says why in the log.
    pub(crate) fn refuse(
        &mut self,
        now: Instant,
        request: &Incoming,
        status: u16,
        reason: impl Into<String>,
    ) {
        let response = self.response(&request.message, status);
        self.respond(now, request.transaction, response);
        let line = LogLine::Refused {
            peer: request.peer,
            reason: reason.into(),
        };
        self.log(line);
    }

    /// Refuses a session description, with a Warning that says why (RFC 3261 section 20.43).
    pub(crate) fn refuse_offer(&mut self, now: Instant, request: &Incoming, refusal: &Refusal) {
        let mut response = self.response(&request.message, refusal.status);
        response.push(HeaderName::Warning, refusal.warning(BROWSER_SIDE_HOST));
        self.respond(now, request.transaction, response);
        self.log(LogLine::Refused {
            peer: request.peer,
            reason: refusal.to_string(),
        });
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
    pub(crate) fn trunk_side_host(&self) -> String {
        self.config
            .sip
            .as_ref()
            .map(|sip| sip.advertise.to_string())
            .unwrap_or_default()
    }

    fn via(&self, peer: Peer) -> ViaParameters {
        match peer {
            Peer::Udp(_) => ViaParameters {
                transport: "UDP",
                sent_by: self.trunk_side_host(),
            },
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
        match self.peer {
            Peer::WebSocket(connection) => Some(connection),
            Peer::Udp(_) => None,
        }
    }

    /// Its method.
    pub(crate) fn method(&self) -> Method {
        self.message.method()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is sent as a keep-alive answer (RFC 5626 section 4.4.1).
pub(crate) const KEEP_ALIVE_ANSWER: Bytes = Bytes::from_static(b"\r\n");
