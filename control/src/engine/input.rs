//! What comes into the brain of the control plane.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use dataplane::link::Event;

use crate::media::handshake::HandshakeEvent;
use crate::token::Identity;

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
    /// A whole SIP message (one WebSocket message, one datagram), or a keep-alive of CRLFs.
    Message {
        /// Where it came from.
        peer: Peer,
        /// The message.
        bytes: Bytes,
    },
    /// A media worker reports.
    Media(Event),
    /// The handshake thread reports.
    Handshake(HandshakeEvent),
    /// The process was asked to stop: end all calls, then be [`Engine::is_stopped`].
    ///
    /// [`Engine::is_stopped`]: super::Engine::is_stopped
    Stop,
}
