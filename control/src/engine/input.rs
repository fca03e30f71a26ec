//! What comes into the brain of the control plane.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use dataplane::link::Event;

use crate::health::Part;
use crate::media::handshake::HandshakeEvent;
use crate::sip::Transport;
use crate::sip::framing::FrameError;
use crate::token::Identity;
use crate::trunk::dns::{Answer, Question};

/// Names one WebSocket connection; never used twice in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a SIP message came from, and where the answer to it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A browser's WebSocket connection.
    WebSocket(ConnectionId),
    /// A datagram on the SIP socket, from this address.
    Udp(SocketAddr),
    /// A TCP connection with this address, on the trunk side.
    Tcp(SocketAddr),
    /// A TLS connection with this address, on the trunk side.
    Tls(SocketAddr),
}

impl Peer {
    /// The connection, if it is a browser's.
    #[must_use]
    pub const fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::WebSocket(connection) => Some(connection),
            Self::Udp(_) | Self::Tcp(_) | Self::Tls(_) => None,
        }
    }

    /// The address and transport, if it is on the trunk side.
    #[must_use]
    pub const fn on_trunk_side(self) -> Option<(Transport, SocketAddr)> {
        match self {
            Self::WebSocket(_) => None,
            Self::Udp(address) => Some((Transport::Udp, address)),
            Self::Tcp(address) => Some((Transport::Tcp, address)),
            Self::Tls(address) => Some((Transport::Tls, address)),
        }
    }

    /// Somebody on the trunk side.
    #[must_use]
    pub const fn of_trunk(transport: Transport, address: SocketAddr) -> Self {
        match transport {
            Transport::Udp => Self::Udp(address),
            Transport::Tcp => Self::Tcp(address),
            Transport::Tls => Self::Tls(address),
        }
    }

    /// True if its messages arrive on a connection: nothing is sent twice, and everything that
    /// waits for it ends with the connection (RFC 3261 section 17, RFC 7118 section 5).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::WebSocket(_) | Self::Tcp(_) | Self::Tls(_) => true,
            Self::Udp(_) => false,
        }
    }

    /// True if it is a TCP or TLS connection of the trunk side.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Tcp(_) | Self::Tls(_) => true,
            Self::WebSocket(_) | Self::Udp(_) => false,
        }
    }
}

/// Something happened outside.
#[derive(Debug)]
pub enum Input {
    /// A WebSocket connection passed its handshake.
    ConnectionOpened {
        /// Its name.
        connection: ConnectionId,
        /// The address of its other end.
        remote: SocketAddr,
        /// True for wss: Via says `WSS`.
        secure: bool,
        /// Whose it is, if a token of the handshake says so.
        identity: Option<Identity>,
    },
    /// A WebSocket connection is gone.
    ConnectionClosed {
        /// Its name.
        connection: ConnectionId,
    },
    /// A TCP or TLS connection of the trunk side stands: one that a carrier opened, or one that
    /// [`Output::Connect`](super::output::Output::Connect) asked for.
    StreamOpened {
        /// Its other end.
        peer: Peer,
    },
    /// A TCP or TLS connection of the trunk side is gone, or could not be opened.
    StreamClosed {
        /// Its other end.
        peer: Peer,
    },
    /// The bytes on a TCP or TLS connection of the trunk side cannot be cut into messages any more.
    StreamBroken {
        /// Its other end.
        peer: Peer,
        /// What has come of the message with which it broke.
        rest: Bytes,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A whole SIP message (one WebSocket message, one datagram, one frame of a stream), or a
    /// keep-alive of CRLFs.
    Message {
        /// Where it came from.
        peer: Peer,
        /// The message.
        bytes: Bytes,
    },
    /// The DNS has answered an [`Output::Resolve`](super::output::Output::Resolve), or could not.
    Resolved {
        /// What was asked.
        question: Question,
        /// What has become of it.
        answer: Answer,
    },
    /// A media worker reports.
    Media(Event),
    /// The handshake thread reports.
    Handshake(HandshakeEvent),
    /// A part of the process is gone, or is there again. While one is missing, new calls are refused.
    Part {
        /// Which one.
        part: Part,
        /// It is there again; as if it had just been started.
        is_there: bool,
    },
    /// More waits to be handled than is good, or no longer so. While it does, new calls are refused:
    /// what ends calls comes first.
    Late {
        /// True when it begins, false when it is over.
        is_late: bool,
    },
    /// The process was asked to stop: end all calls, then be [`Engine::is_stopped`].
    ///
    /// [`Engine::is_stopped`]: super::Engine::is_stopped
    Stop,
}
