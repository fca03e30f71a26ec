//! The brain of the control plane in a world of its own: messages go in as text, come out as
//! text, media workers and handshakes are played by the test.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use control::config::Config;
use control::engine::input::{ConnectionId, Input, Peer};
use control::engine::output::{CallEnded, LogLine, Output};
use control::engine::{Engine, EngineConfig};
use control::media::handshake::{HandshakeCommand, HandshakeEvent};
use control::media::plan::WorkerAddresses;
use control::sip::{HeaderName, Message, Method};
use control::token::{Identity, Tokens};
use crypto::dtls::Certificate;
use crypto::keys::SrtpProfile;
use crypto::random::Random;
use dataplane::link::{CloseReason, Command, Event, FlowId, FlowTotals, RefuseReason};

use crate::dns::Dns;

/// The carrier's address in every configuration here.
pub const TRUNK: &str = "198.51.100.20:5060";

/// Seconds since 1970 when every world begins.
pub const UNIX_S: u64 = 1_800_000_000;

/// A configuration with one trunk, one realm, two lines and an echo line.
pub const CONFIG: &str = r#"
[web]
listen = "192.0.2.1:8443"
[sip]
listen = "198.51.100.1:5060"
[media]
browser_bind = "192.0.2.1"
trunk_bind = "198.51.100.1"
[[trunk]]
name = "carrier"
target = "198.51.100.20:5060"
domain = "carrier.test"
codecs = ["PCMU", "PCMA", "G722"]
[[realm]]
domain = "carrier.test"
trunk = "carrier"
[lines]
domain = "lines.test"
[[line]]
number = "1001"
password = "secret-one"
name = "Alice"
[[line]]
number = "1002"
password = "secret-two"
"#;

/// The brain, and everything that it has asked for and not been looked at.
#[derive(Debug)]
pub struct World {
    /// The brain under test.
    pub engine: Engine,
    /// The fake clock.
    pub now: Instant,
    /// Messages that the brain has sent.
    pub sent: VecDeque<(Peer, Message)>,
    /// Connections that it has closed, with the WebSocket status.
    pub closed: Vec<(ConnectionId, u16)>,
    /// TCP and TLS connections that it has opened, with the name that was to be in the certificate.
    pub connects: Vec<(Peer, String)>,
    /// Peers that no connection can be opened to.
    pub unreachable: Vec<Peer>,
    /// Peers that say nothing when a connection is to be opened to them.
    pub unanswering: Vec<Peer>,
    /// Peers whose TCP or TLS connection it has closed.
    pub closed_streams: Vec<Peer>,
    /// What answers its questions about where trunks are.
    pub dns: Dns,
    /// The addresses that carriers may connect from.
    pub sources: Vec<IpAddr>,
    /// What it has asked of media workers.
    pub commands: Vec<Command>,
    /// What it has asked of the handshake thread.
    pub handshakes: Vec<HandshakeCommand>,
    /// Records of ended calls.
    pub records: Vec<CallEnded>,
    /// Everything else that it has logged.
    pub logged: Vec<String>,
    /// What the workers answer to the next `OpenFlow`s; `FlowOpened` when empty.
    pub refuse_opens: VecDeque<RefuseReason>,
    /// False: workers do not answer by themselves.
    pub workers_answer: bool,
    events: VecDeque<Input>,
    next_connection: u64,
}

impl World {
    /// A world with [`CONFIG`].
    ///
    /// # Panics
    /// If the configuration is wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(CONFIG)
    }

    /// A world with this configuration file.
    ///
    /// # Panics
    /// If the configuration is wrong.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "a starting point for the fake clock"
    )]
    pub fn with_config(text: &str) -> Self {
        let config = Config::parse("test.toml", text, &|_| None).expect("configuration");
        let now = Instant::now();
        let tokens = config.web.token.as_ref();
        let tokens = tokens
            .map(|token| Tokens::new(token, &|path| std::fs::read(path)).expect("keys of tokens"));
        let range = config.media.rtp_ports;
        let workers = vec![WorkerAddresses {
            browser: SocketAddr::new(config.media.browser_advertise, config.media.browser_port),
            trunk: config.media.trunk_advertise,
            ports: range.first..=range.last,
        }];
        let certificate = Certificate::generate().expect("certificate");
        let engine = Engine::new(EngineConfig {
            config: Arc::new(config),
            workers,
            fingerprint: certificate.fingerprint(),
            random: Random::seeded(7),
            tokens: tokens.map(Arc::new),
            now,
            unix_s: UNIX_S,
        });
        Self {
            engine,
            now,
            sent: VecDeque::new(),
            closed: Vec::new(),
            connects: Vec::new(),
            unreachable: Vec::new(),
            unanswering: Vec::new(),
            closed_streams: Vec::new(),
            dns: Dns::default(),
            sources: Vec::new(),
            commands: Vec::new(),
            handshakes: Vec::new(),
            records: Vec::new(),
            logged: Vec::new(),
            refuse_opens: VecDeque::new(),
            workers_answer: true,
            events: VecDeque::new(),
            next_connection: 1,
        }
    }

    /// A browser connects.
    pub fn browser(&mut self) -> Peer {
        self.browser_of(None)
    }

    /// A browser connects, with a token that says whose it is.
    pub fn browser_of(&mut self, identity: Option<Identity>) -> Peer {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let remote = SocketAddr::from(([203, 0, 113, 40], 50_000));
        self.input(Input::ConnectionOpened {
            connection,
            remote,
            secure: true,
            identity,
        });
        Peer::WebSocket(connection)
    }

    /// A browser's connection is gone.
    pub fn disconnect(&mut self, peer: Peer) {
        let Peer::WebSocket(connection) = peer else {
            return;
        };
        self.input(Input::ConnectionClosed { connection });
    }

    /// A connection of the trunk side is gone.
    pub fn lose_stream(&mut self, peer: Peer) {
        self.input(Input::StreamClosed { peer });
    }

    /// Something happens outside; everything that follows at once is done.
    pub fn input(&mut self, input: Input) {
        self.engine.handle_input(self.now, input);
        self.drain();
    }

    /// A message arrives. Line ends may be bare; Content-Length is added where there is none.
    pub fn receive(&mut self, peer: Peer, message: &Message) {
        self.input(Input::Message {
            peer,
            bytes: message.to_bytes(),
        });
    }

    /// Raw bytes arrive.
    pub fn receive_bytes(&mut self, peer: Peer, bytes: impl Into<Bytes>) {
        self.input(Input::Message {
            peer,
            bytes: bytes.into(),
        });
    }

    /// Lets time pass, timer by timer.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Takes the next message that was sent to this peer.
    ///
    /// # Panics
    /// If there is none.
    pub fn expect(&mut self, peer: Peer) -> Message {
        let found = self.sent.iter().position(|(to, _)| *to == peer);
        let Some((_, message)) = found.and_then(|index| self.sent.remove(index)) else {
            panic!("nothing was sent to {peer:?}; waiting: {:#?}", self.sent);
        };
        message
    }

    /// Takes the next response sent to this peer, and checks its status.
    ///
    /// # Panics
    /// If there is none, or with another status.
    pub fn expect_status(&mut self, peer: Peer, status: u16) -> Message {
        let message = self.expect(peer);
        assert_eq!(message.status(), Some(status), "{}", text(&message));
        message
    }

    /// Takes the next request sent to this peer, and checks its method.
    ///
    /// # Panics
    /// If there is none, or with another method.
    pub fn expect_request(&mut self, peer: Peer, method: &Method) -> Message {
        let message = self.expect(peer);
        assert!(
            message.is_request() && message.method() == *method,
            "{}",
            text(&message)
        );
        message
    }

    /// Nothing waits for this peer.
    ///
    /// # Panics
    /// If something does.
    pub fn expect_silence(&self, peer: Peer) {
        let waiting: Vec<String> = self
            .sent
            .iter()
            .filter(|(to, _)| *to == peer)
            .map(|(_, m)| text(m))
            .collect();
        assert!(waiting.is_empty(), "{waiting:#?}");
    }

    /// All flows that were opened, in order of opening.
    #[must_use]
    pub fn opened_flows(&self) -> Vec<FlowId> {
        let opened = |command: &Command| match command {
            Command::OpenFlow(open) => Some(open.flow),
            Command::SetPeer { .. }
            | Command::SetIceCredentials { .. }
            | Command::InstallKeys { .. }
            | Command::SetRoute(_)
            | Command::SendDigit(_)
            | Command::ClearRoute { .. }
            | Command::ExpectMedia { .. }
            | Command::CloseFlow { .. }
            | Command::Stop => None,
        };
        self.commands.iter().filter_map(opened).collect()
    }

    /// The browser flows that are open, in order of opening.
    #[must_use]
    pub fn handshake_flows(&self) -> Vec<FlowId> {
        let opened = |command: &HandshakeCommand| match command {
            HandshakeCommand::Open { flow } => Some(*flow),
            HandshakeCommand::Expect { .. } | HandshakeCommand::Close { .. } => None,
        };
        self.handshakes.iter().filter_map(opened).collect()
    }

    /// Every handshake of the world completes.
    pub fn complete_handshakes(&mut self) {
        for flow in self.handshake_flows() {
            let profile = SrtpProfile::AeadAes256Gcm;
            self.input(Input::Handshake(HandshakeEvent::Completed {
                flow,
                profile,
            }));
        }
    }

    /// Logs in at a line or a trunk's registrar: not here, but the message for it.
    #[must_use]
    pub fn register_message(user: &str, domain: &str, call_id: &str) -> Message {
        let mut request = Message::request(Method::Register, &format!("sip:{domain}"));
        request.push(
            HeaderName::Via,
            format!("SIP/2.0/WSS x1.invalid;branch=z9hG4bK{call_id}r1"),
        );
        request.push(HeaderName::MaxForwards, "69");
        request.push(HeaderName::To, format!("<sip:{user}@{domain}>"));
        request.push(
            HeaderName::From,
            format!("\"{user}\" <sip:{user}@{domain}>;tag=reg"),
        );
        request.push(HeaderName::CallId, call_id);
        request.push(HeaderName::CSeq, "1 REGISTER");
        let contact = format!(
            "<sip:{user}x@x1.invalid;transport=ws>;+sip.ice;reg-id=1;\
             +sip.instance=\"<urn:uuid:00000000-0000-4000-8000-{user:0>12}>\";expires=600"
        );
        request.push(HeaderName::Contact, contact);
        request.push(HeaderName::Expires, "600");
        request.push(HeaderName::Supported, "path,gruu,outbound");
        request.push(HeaderName::UserAgent, "JsSIP 3.13.8");
        request
    }

    fn drain(&mut self) {
        loop {
            while let Some(output) = self.engine.poll_output() {
                self.take(output);
            }
            let Some(event) = self.events.pop_front() else {
                break;
            };
            self.engine.handle_input(self.now, event);
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Send { peer, bytes } => match Message::parse(bytes.clone()) {
                Ok(message) => self.sent.push_back((peer, message)),
                // A refusal repeats what was malformed.
                Err(error) if is_refusal(&bytes) => {
                    self.logged.push(format!("{error}: {bytes:?}"));
                }
                Err(error) => panic!("sent what cannot be parsed ({error}): {bytes:?}"),
            },
            Output::Close {
                connection, code, ..
            } => self.closed.push((connection, code)),
            Output::Connect { peer, name, .. } => {
                self.connects.push((peer, name));
                if self.unanswering.contains(&peer) {
                    return;
                }
                self.events.push_back(if self.unreachable.contains(&peer) {
                    Input::StreamClosed { peer }
                } else {
                    Input::StreamOpened { peer }
                });
            }
            Output::CloseStream { peer } => {
                self.closed_streams.push(peer);
                self.events.push_back(Input::StreamClosed { peer });
            }
            Output::Resolve { question } => {
                let answer = self.dns.answer(&question);
                self.events.push_back(Input::Resolved { question, answer });
            }
            Output::Sources { sources } => self.sources = sources,
            Output::Media { command, .. } => {
                if self.workers_answer {
                    self.answer_command(&command);
                }
                self.commands.push(command);
            }
            Output::Handshake(command) => self.handshakes.push(command),
            Output::Log(LogLine::CallEnded(ended)) => self.records.push(*ended),
            Output::Log(line) => self.logged.push(format!("{line:?}")),
        }
    }

    fn answer_command(&mut self, command: &Command) {
        match command {
            Command::OpenFlow(open) => {
                let flow = open.flow;
                let event = match self.refuse_opens.pop_front() {
                    Some(reason) => Event::Refused { flow, reason },
                    None => Event::FlowOpened { flow },
                };
                self.events.push_back(Input::Media(event));
            }
            Command::CloseFlow { flow } => self.events.push_back(Input::Media(Event::FlowClosed {
                flow: *flow,
                reason: CloseReason::Asked,
                totals: FlowTotals::default(),
            })),
            Command::SetPeer { .. }
            | Command::SetIceCredentials { .. }
            | Command::InstallKeys { .. }
            | Command::SetRoute(_)
            | Command::SendDigit(_)
            | Command::ClearRoute { .. }
            | Command::ExpectMedia { .. }
            | Command::Stop => {}
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A message as text, for failures.
#[must_use]
pub fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.to_bytes()).into_owned()
}

/// Is this a response that refuses a request, whose headers it repeats as they came?
fn is_refusal(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5")
}
