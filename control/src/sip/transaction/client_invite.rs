//! INVITE client transaction (RFC 3261 section 17.1.1, RFC 6026 section 8.4).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TimerConfig;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come back.
    Calling,
    /// A 1xx has come.
    Proceeding,
    /// A 2xx has come; more may follow.
    Accepted,
    /// Another final response has come, and was acknowledged.
    Completed,
    Terminated,
}

/// What a response or a timer leads to.
#[derive(Debug, Default)]
pub(super) struct ClientStep {
    /// Send this.
    pub(super) transmit: Option<Bytes>,
    /// Hand the response to the owner.
    pub(super) deliver: bool,
    /// Make the ACK to the response, send it and store it ([`ClientInvite::set_ack`]).
    pub(super) acknowledge: bool,
    /// Send the CANCEL now.
    pub(super) cancel: bool,
    /// Tell the owner that no answer came.
    pub(super) timeout: bool,
}

/// The machine.
#[derive(Debug)]
pub(super) struct ClientInvite {
    state: State,
    request: Bytes,
    ack: Option<Bytes>,
    is_reliable: bool,
    wants_cancel: bool,
    is_cancelled: bool,
    /// Timer A.
    interval: Duration,
    retransmit_at: Option<Instant>,
    /// Timers B, C, D and M, and the wait for a final response after CANCEL.
    expires_at: Instant,
}

impl ClientInvite {
    /// Begins; the owner sends the request.
    pub(super) fn new(now: Instant, config: &TimerConfig, is_reliable: bool, req: Bytes) -> Self {
        Self {
            state: State::Calling,
            request: req,
            ack: None,
            is_reliable,
            wants_cancel: false,
            is_cancelled: false,
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
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..200) => self.provisional(now, config, status),
            (State::Calling | State::Proceeding | State::Accepted, 200..300) => {
                if self.state != State::Accepted {
                    self.enter(State::Accepted, now + config.linger());
                }
                ClientStep {
                    deliver: true,
                    ..ClientStep::default()
                }
            }
            (State::Calling | State::Proceeding, _) => {
                if self.is_reliable {
                    self.enter(State::Terminated, now);
                } else {
                    self.enter(State::Completed, now + config.linger());
                }
                ClientStep {
                    deliver: true,
                    acknowledge: true,
                    ..ClientStep::default()
                }
            }
            // The ACK was lost.
            (State::Completed, 300..) => ClientStep {
                transmit: self.ack.clone(),
                ..ClientStep::default()
            },
            (State::Accepted | State::Completed | State::Terminated, _) => ClientStep::default(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, config: &TimerConfig) -> ClientStep {
        if now >= self.expires_at {
            return self.expire(now, config);
        }
        match self.retransmit_at {
            Some(at) if now >= at => {
                // Timer A doubles without bound (RFC 3261 section 17.1.1.2).
                self.interval *= 2;
                self.retransmit_at = Some(now + self.interval);
                ClientStep {
                    transmit: Some(self.request.clone()),
                    ..ClientStep::default()
                }
            }
            Some(_) | None => ClientStep::default(),
        }
    }

    /// Asks for a CANCEL; true if it shall be sent now. Before the first 1xx it is held back
    /// (RFC 3261 section 9.1).
    pub(super) fn cancel(&mut self, now: Instant, config: &TimerConfig) -> bool {
        match self.state {
            State::Calling => {
                self.wants_cancel = true;
                false
            }
            State::Proceeding if !self.is_cancelled => {
                self.is_cancelled = true;
                self.expires_at = now + config.linger();
                true
            }
            State::Proceeding | State::Accepted | State::Completed | State::Terminated => false,
        }
    }

    pub(super) fn set_ack(&mut self, ack: Bytes) {
        self.ack = Some(ack);
    }

    /// The ACK to its final response, if that was no 2xx.
    pub(super) fn into_ack(self) -> Option<Bytes> {
        self.ack
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Terminated => None,
            State::Calling | State::Proceeding | State::Accepted | State::Completed => Some(
                self.retransmit_at
                    .map_or(self.expires_at, |at| at.min(self.expires_at)),
            ),
        }
    }

    /// Tells whether a CANCEL has been sent, or waits to be.
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled || self.wants_cancel
    }

    /// Tells whether nothing has come back.
    pub(super) fn is_unheard(&self) -> bool {
        self.state == State::Calling
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Tells whether a final response has come.
    pub(super) fn is_answered(&self) -> bool {
        match self.state {
            State::Calling | State::Proceeding => false,
            State::Accepted | State::Completed | State::Terminated => true,
        }
    }

    fn provisional(&mut self, now: Instant, config: &TimerConfig, status: u16) -> ClientStep {
        let is_first = self.state == State::Calling;
        if is_first || (status != 100 && !self.is_cancelled) {
            self.enter(State::Proceeding, now + config.timer_c);
        }
        let cancel = is_first && self.wants_cancel && self.cancel(now, config);
        ClientStep {
            deliver: true,
            cancel,
            ..ClientStep::default()
        }
    }

    fn expire(&mut self, now: Instant, config: &TimerConfig) -> ClientStep {
        match self.state {
            // Timer C.
            State::Proceeding if !self.is_cancelled => {
                let cancel = self.cancel(now, config);
                ClientStep {
                    cancel,
                    ..ClientStep::default()
                }
            }
            // Timer B, or no answer to the CANCEL.
            State::Calling | State::Proceeding => {
                self.enter(State::Terminated, now);
                ClientStep {
                    timeout: true,
                    ..ClientStep::default()
                }
            }
            // Timers M and D.
            State::Accepted | State::Completed | State::Terminated => {
                self.enter(State::Terminated, now);
                ClientStep::default()
            }
        }
    }

    fn enter(&mut self, state: State, expires_at: Instant) {
        self.state = state;
        self.retransmit_at = None;
        self.expires_at = expires_at;
    }
}
