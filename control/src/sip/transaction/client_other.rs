//! Client transaction of all methods but INVITE (RFC 3261 section 17.1.2).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TimerConfig;
use super::client_invite::ClientStep;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// The machine.
#[derive(Debug)]
pub(super) struct ClientOther {
    state: State,
    request: Bytes,
    is_reliable: bool,
    /// Timer E.
    interval: Duration,
    retransmit_at: Option<Instant>,
    /// Timers F and K.
    expires_at: Instant,
}

impl ClientOther {
    /// Begins; the owner sends the request.
    pub(super) fn new(now: Instant, config: &TimerConfig, is_reliable: bool, req: Bytes) -> Self {
        Self {
            state: State::Trying,
            request: req,
            is_reliable,
            interval: config.t1,
            retransmit_at: (!is_reliable).then(|| now + config.t1),
            expires_at: now + config.request_timeout,
        }
    }

    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        config: &TimerConfig,
        status: u16,
    ) -> ClientStep {
        match self.state {
            State::Trying | State::Proceeding if status < 200 => {
                self.state = State::Proceeding;
                self.interval = config.t2;
            }
            State::Trying | State::Proceeding => {
                self.retransmit_at = None;
                self.request = Bytes::new();
                self.expires_at = now + config.t4;
                self.state = if self.is_reliable {
                    State::Terminated
                } else {
                    State::Completed
                };
            }
            State::Completed | State::Terminated => return ClientStep::default(),
        }
        ClientStep {
            deliver: true,
            ..ClientStep::default()
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, config: &TimerConfig) -> ClientStep {
        if now >= self.expires_at {
            let timeout = matches!(self.state, State::Trying | State::Proceeding);
            self.state = State::Terminated;
            return ClientStep {
                timeout,
                ..ClientStep::default()
            };
        }
        match self.retransmit_at {
            Some(at) if now >= at => {
                self.interval = config.next_interval(self.interval);
                self.retransmit_at = Some(now + self.interval);
                ClientStep {
                    transmit: Some(self.request.clone()),
                    ..ClientStep::default()
                }
            }
            Some(_) | None => ClientStep::default(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Terminated => None,
            State::Trying | State::Proceeding | State::Completed => Some(
                self.retransmit_at
                    .map_or(self.expires_at, |at| at.min(self.expires_at)),
            ),
        }
    }

    /// Tells whether a final response has come, or never will.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.state, State::Completed | State::Terminated)
    }

    /// Tells whether nothing has come back.
    pub(super) fn is_unheard(&self) -> bool {
        self.state == State::Trying
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}
