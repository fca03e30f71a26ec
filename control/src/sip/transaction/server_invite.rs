//! INVITE server transaction (RFC 3261 section 17.2.1, RFC 6026 section 8.5), together with the
//! retransmission of the 2xx, which RFC 3261 section 13.3.1.4 leaves to the core.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::TimerConfig;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response yet.
    Proceeding,
    /// A 2xx was sent; its ACK is awaited.
    Accepted,
    /// The ACK to the 2xx has come; repeated INVITEs are still absorbed.
    Acknowledged,
    /// Another final response was sent; its ACK is awaited.
    Completed,
    /// The ACK to it has come; repeated ACKs are absorbed.
    Confirmed,
    Terminated,
}

/// What an ACK means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckMeaning {
    /// It is the business of this transaction alone.
    Absorbed,
    /// It answers a 2xx: the owner wants it.
    OfDialog,
}

/// Which wait has ended in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerInviteTimeout {
    /// Timer H.
    NoAck,
    /// 64·T1 after the 2xx.
    NoAckTo2xx,
}

/// The machine.
#[derive(Debug)]
pub(super) struct ServerInvite {
    state: State,
    is_reliable: bool,
    /// The latest response.
    response: Option<Bytes>,
    /// Timer G, and its like for the 2xx.
    interval: Duration,
    retransmit_at: Option<Instant>,
    /// Timers H, I and L.
    expires_at: Option<Instant>,
}

impl ServerInvite {
    pub(super) fn new(is_reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            is_reliable,
            response: None,
            interval: Duration::ZERO,
            retransmit_at: None,
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
        if status < 200 {
            return true;
        }
        let is_2xx = status < 300;
        self.state = if is_2xx {
            State::Accepted
        } else {
            State::Completed
        };
        // A 2xx is repeated on reliable transports too (RFC 3261 section 13.3.1.4).
        self.interval = config.t1;
        self.retransmit_at = (is_2xx || !self.is_reliable).then(|| now + config.t1);
        self.expires_at = Some(now + config.linger());
        true
    }

    /// Takes a repeated INVITE; returns what is sent again.
    pub(super) fn handle_retransmission(&self) -> Option<Bytes> {
        match self.state {
            State::Proceeding | State::Completed => self.response.clone(),
            // RFC 6026 section 7.1: absorbed; the 2xx has its own timer.
            State::Accepted | State::Acknowledged | State::Confirmed | State::Terminated => None,
        }
    }

    pub(super) fn handle_ack(&mut self, now: Instant, config: &TimerConfig) -> AckMeaning {
        match self.state {
            State::Accepted | State::Acknowledged => {
                self.state = State::Acknowledged;
                self.retransmit_at = None;
                AckMeaning::OfDialog
            }
            State::Completed => {
                self.retransmit_at = None;
                self.expires_at = Some(now + config.t4);
                self.state = if self.is_reliable {
                    State::Terminated
                } else {
                    State::Confirmed
                };
                AckMeaning::Absorbed
            }
            State::Proceeding | State::Confirmed | State::Terminated => AckMeaning::Absorbed,
        }
    }

    /// Lets timers fire; returns what is sent again, and what was waited for in vain.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        config: &TimerConfig,
    ) -> (Option<Bytes>, Option<ServerInviteTimeout>) {
        if self.expires_at.is_some_and(|at| now >= at) {
            let missing = match self.state {
                State::Accepted => Some(ServerInviteTimeout::NoAckTo2xx),
                State::Completed => Some(ServerInviteTimeout::NoAck),
                State::Proceeding | State::Acknowledged | State::Confirmed | State::Terminated => {
                    None
                }
            };
            self.state = State::Terminated;
            return (None, missing);
        }
        if self.retransmit_at.is_some_and(|at| now >= at) {
            self.interval = config.next_interval(self.interval);
            self.retransmit_at = Some(now + self.interval);
            return (self.response.clone(), None);
        }
        (None, None)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Terminated => None,
            State::Proceeding
            | State::Accepted
            | State::Acknowledged
            | State::Completed
            | State::Confirmed => self.retransmit_at.into_iter().chain(self.expires_at).min(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Tells whether the final response has its ACK: nothing is sent by itself any more.
    pub(super) fn is_acknowledged(&self) -> bool {
        match self.state {
            State::Acknowledged | State::Confirmed | State::Terminated => true,
            State::Proceeding | State::Accepted | State::Completed => false,
        }
    }

    /// Tells whether the final response was a 2xx.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted | State::Acknowledged)
    }

    /// Tells whether a final response was sent.
    pub(super) fn is_answered(&self) -> bool {
        self.state != State::Proceeding
    }

    /// Tells whether the loss of the connection leaves somebody without an answer.
    pub(super) fn is_waiting(&self) -> bool {
        match self.state {
            State::Proceeding | State::Accepted => true,
            State::Acknowledged | State::Completed | State::Confirmed | State::Terminated => false,
        }
    }
}
