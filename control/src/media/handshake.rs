//! The DTLS sessions of all browser flows: a table of state machines that a thread of its own
//! drives, because a handshake costs half a millisecond and must delay neither media nor
//! signalling.
//!
//! A session lives from [`HandshakeCommand::Open`] to [`HandshakeCommand::Close`], longer than its
//! handshake: it answers a browser that repeats its last flight because ours was lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use crypto::dtls::{Certificate, DtlsError, DtlsOutput, DtlsServer, Fingerprint};
use crypto::keys::{SrtpKeys, SrtpProfile};
use dataplane::link::{Datagram, FlowId};

/// What control asks of the handshake thread.
#[derive(Debug)]
pub enum HandshakeCommand {
    /// A browser flow exists: wait for its ClientHello. For a flow that has a session: starts
    /// again with a new one.
    Open {
        /// The flow that is meant.
        flow: FlowId,
    },
    /// The browser's SDP is known. Before this no keys are installed.
    Expect {
        /// The flow that is meant.
        flow: FlowId,
        /// Its `a=fingerprint` lines; one that matches is enough.
        fingerprints: Vec<Fingerprint>,
    },
    /// The flow ends: wipes its session.
    Close {
        /// The flow that is meant.
        flow: FlowId,
    },
}

/// What the handshake thread reports to control.
#[derive(Debug)]
pub enum HandshakeEvent {
    /// The browser is who its SDP says, and the keys are on their way to the worker. Once per
    /// session.
    Completed {
        /// Which flow.
        flow: FlowId,
        /// The SRTP protection profile.
        profile: SrtpProfile,
    },
    /// The browser has closed the association before it had given its keys: there will be none,
    /// unless the session is opened again. Never after `Completed`.
    Closed {
        /// Which flow.
        flow: FlowId,
    },
    /// There will be no keys. Once per session, and never after `Completed`.
    Failed {
        /// Which flow.
        flow: FlowId,
        /// Why, for logs.
        reason: String,
    },
}

/// What the thread that owns [`Handshakes`] must do.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are datagrams, polled one at a time"
)]
pub enum HandshakeOutput {
    /// Hand this to the worker that owns the flow.
    Send(Datagram),
    /// Give the worker that owns the flow its keys. Comes before the event `Completed`.
    InstallKeys {
        /// Which flow.
        flow: FlowId,
        /// The keys of both directions.
        keys: SrtpKeys,
    },
    /// Tell control.
    Event(HandshakeEvent),
}

/// What was not worth an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounters {
    /// Datagrams for flows that have no session: late ones, after a failure or a close.
    pub unknown_flow_datagrams: u64,
    /// Sessions that ended after they had given their keys: the browser closed the association, or
    /// disturbed it. Media goes on; signalling or silence ends the call.
    pub ended_after_completion: u64,
    /// Sessions that ended because the DTLS library panicked.
    pub panicked: u64,
}

/// All sessions. `handle_*`, then `poll_output` until `None`.
#[derive(Debug)]
pub struct Handshakes {
    certificate: Certificate,
    sessions_max: usize,
    sessions: HashMap<FlowId, Session>,
    /// When each session wants `handle_timeout`, the next one first.
    timeouts: BTreeSet<(Instant, FlowId)>,
    outputs: VecDeque<HandshakeOutput>,
    counters: HandshakeCounters,
}

#[derive(Debug)]
struct Session {
    dtls: DtlsServer,
    /// Where the browser's last datagram came from.
    peer: Option<SocketAddr>,
    /// The entry in `timeouts`.
    timeout: Option<Instant>,
    completed: bool,
}

impl Handshakes {
    /// No sessions yet, and at most `sessions_max` at a time.
    #[must_use]
    pub fn new(certificate: Certificate, sessions_max: usize) -> Self {
        Self {
            certificate,
            sessions_max,
            sessions: HashMap::new(),
            timeouts: BTreeSet::new(),
            outputs: VecDeque::new(),
            counters: HandshakeCounters::default(),
        }
    }

    /// Does what control asks. `Expect` and `Close` for a flow without a session do nothing: that
    /// session has failed and said so.
    pub fn handle_command(&mut self, now: Instant, command: HandshakeCommand) {
        match command {
            HandshakeCommand::Open { flow } => self.open(now, flow),
            HandshakeCommand::Expect { flow, fingerprints } => {
                self.drive(flow, |session| session.dtls.expect(fingerprints));
            }
            HandshakeCommand::Close { flow } => self.remove(flow),
        }
    }

    /// Takes a datagram from a browser; the worker has checked that ICE validated its address.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        let known = self.drive(datagram.flow, |session| {
            session.peer = Some(datagram.peer);
            session.dtls.handle_datagram(now, datagram.bytes())
        });
        if !known {
            self.counters.unknown_flow_datagrams += 1;
        }
    }

    /// Lets the sessions whose time has come send again or give up.
    pub fn handle_timeout(&mut self, now: Instant) {
        // First all that are due, then each once: a session that is due again at once cannot hold
        // the others up.
        let mut due = Vec::new();
        while let Some(&(at, flow)) = self.timeouts.first() {
            if at > now {
                break;
            }
            self.timeouts.pop_first();
            due.push(flow);
        }
        for flow in due {
            self.drive(flow, |session| session.dtls.handle_timeout(now));
        }
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<HandshakeOutput> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called; `None`: not before more input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeouts.first().map(|(at, _)| *at)
    }

    /// Sessions now, in handshake and after it.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What happened without an event, since the start.
    #[must_use]
    pub fn counters(&self) -> HandshakeCounters {
        self.counters
    }

    /// Forgets every session after a panic, when the tables may contradict each other. The flows whose
    /// handshake was under way fail; those whose browser has not spoken may be opened again.
    pub fn forget_all(&mut self, reason: &str) {
        self.timeouts.clear();
        let sessions = std::mem::take(&mut self.sessions);
        let begun = |(_, session): &(FlowId, Session)| session.peer.is_some() && !session.completed;
        let mut failed: Vec<FlowId> = sessions.into_iter().filter(begun).map(|(f, _)| f).collect();
        failed.sort_unstable();
        for flow in failed {
            self.fail(flow, reason.to_owned());
        }
    }

    fn open(&mut self, now: Instant, flow: FlowId) {
        self.remove(flow);
        if self.sessions.len() >= self.sessions_max {
            return self.fail(flow, "too many DTLS sessions".to_owned());
        }
        match DtlsServer::new(&self.certificate, now) {
            Ok(dtls) => {
                let session = Session {
                    dtls,
                    peer: None,
                    timeout: None,
                    completed: false,
                };
                self.sessions.insert(flow, session);
                self.drive(flow, |_| Ok(()));
            }
            Err(error) => {
                let panicked = matches!(error, DtlsError::Panicked(_));
                self.counters.panicked += u64::from(panicked);
                self.fail(flow, error.to_string());
            }
        }
    }

    /// Lets one session do something, then takes its outputs and its next timeout. False when the
    /// flow has no session.
    fn drive(
        &mut self,
        flow: FlowId,
        step: impl FnOnce(&mut Session) -> Result<(), DtlsError>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&flow) else {
            return false;
        };
        let previous = session.timeout;
        let result = step(session);
        let mut closed = false;
        while let Some(output) = session.dtls.poll_output() {
            match output {
                DtlsOutput::Datagram(bytes) => {
                    let peer = session.peer;
                    let datagram = peer.and_then(|peer| Datagram::new(flow, peer, &bytes));
                    self.outputs.extend(datagram.map(HandshakeOutput::Send));
                }
                DtlsOutput::Keys(keys) => {
                    let profile = keys.local.profile();
                    session.completed = true;
                    self.outputs
                        .push_back(HandshakeOutput::InstallKeys { flow, keys });
                    let event = HandshakeEvent::Completed { flow, profile };
                    self.outputs.push_back(HandshakeOutput::Event(event));
                }
                DtlsOutput::Closed => closed = true,
            }
        }
        let (completed, timeout) = (session.completed, session.dtls.poll_timeout());
        session.timeout = timeout;
        if let Some(at) = previous {
            self.timeouts.remove(&(at, flow));
        }
        self.timeouts.extend(timeout.map(|at| (at, flow)));
        let reason = match result {
            Err(error) => {
                let panicked = matches!(error, DtlsError::Panicked(_));
                self.counters.panicked += u64::from(panicked);
                error.to_string()
            }
            Ok(()) if !closed => return true,
            Ok(()) => {
                self.remove(flow);
                match completed {
                    true => self.counters.ended_after_completion += 1,
                    false => {
                        let event = HandshakeEvent::Closed { flow };
                        self.outputs.push_back(HandshakeOutput::Event(event));
                    }
                }
                return true;
            }
        };
        self.remove(flow);
        if completed {
            self.counters.ended_after_completion += 1;
        } else {
            self.fail(flow, reason);
        }
        true
    }

    fn remove(&mut self, flow: FlowId) {
        let session = self.sessions.remove(&flow);
        if let Some(at) = session.and_then(|session| session.timeout) {
            self.timeouts.remove(&(at, flow));
        }
    }

    fn fail(&mut self, flow: FlowId, reason: String) {
        self.outputs
            .push_back(HandshakeOutput::Event(HandshakeEvent::Failed {
                flow,
                reason,
            }));
    }
}

#[cfg(test)]
mod tests;
