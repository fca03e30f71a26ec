//! Server transaction of all methods but INVITE (RFC 3261 section 17.2.2).

use std::time::Instant;

use bytes::Bytes;

use super::TimerConfig;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Trying or Proceeding: they differ only in whether there is a response to repeat.
    Proceeding,
    Completed,
    Terminated,
}

/// The machine.
#[derive(Debug)]
pub(super) struct ServerOther {
    state: State,
    is_reliable: bool,
    response: Option<Bytes>,
    /// Timer J.
    expires_at: Option<Instant>,
}

impl ServerOther {
    pub(super) fn new(is_reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            is_reliable,
            response: None,
            expires_at: None,
        }
    }

    /// Takes a response of the owner; true if it may be sent.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        config: &TimerConfig,
        status: u16,
        bytes: &Bytes,
    ) -> bool {
        if self.state != State::Proceeding {
            return false;
        }
        self.response = Some(bytes.clone());
        if status >= 200 {
            self.expires_at = Some(now + config.linger());
            self.state = if self.is_reliable {
                State::Terminated
            } else {
                State::Completed
            };
        }
        true
    }

    /// Takes a repeated request; returns what is sent again.
    pub(super) fn handle_retransmission(&self) -> Option<Bytes> {
        self.response.clone()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.expires_at.is_some_and(|at| now >= at) {
            self.state = State::Terminated;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_terminated() {
            None
        } else {
            self.expires_at
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Tells whether a final response was sent.
    pub(super) fn is_answered(&self) -> bool {
        self.state != State::Proceeding
    }
}
