//! What the tasks of the shell tell the one that owns the brain.

use std::net::SocketAddr;

use bytes::Bytes;
use dataplane::link::Event;
use tokio::sync::OwnedSemaphorePermit;

use super::stream::StreamQueue;
use super::streams::StreamId;
use super::websocket::OutgoingQueue;
use crate::engine::input::{ConnectionId, Peer};
use crate::health::Part;
use crate::media::handshake::HandshakeEvent;
use crate::sip::framing::FrameError;
use crate::token::Identity;
use crate::trunk::dns::{Answer, Question};

/// Something happened at a socket, a queue, or a signal handler.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A WebSocket passed its handshake.
    Opened {
        connection: ConnectionId,
        remote: SocketAddr,
        secure: bool,
        /// Whose it is, if a token of the handshake says so.
        identity: Option<Identity>,
        /// Where messages to it go.
        outgoing: OutgoingQueue,
    },
    /// A WebSocket is gone.
    Closed { connection: ConnectionId },
    /// A TCP or TLS connection of the trunk side stands.
    StreamOpened {
        peer: Peer,
        id: StreamId,
        /// Where messages to it go.
        outgoing: StreamQueue,
    },
    /// A TCP or TLS connection of the trunk side is gone, or could not be opened.
    StreamClosed { peer: Peer, id: StreamId },
    /// What comes on a TCP or TLS connection cannot be cut into messages any more.
    StreamBroken {
        peer: Peer,
        rest: Bytes,
        error: FrameError,
    },
    /// A SIP message; keep-alives are answered before.
    Message { peer: Peer, bytes: Bytes },
    /// A SIP message of a browser; keep-alives are answered before.
    Heard {
        connection: ConnectionId,
        bytes: Bytes,
        /// Given back when the brain has it.
        room: OwnedSemaphorePermit,
    },
    /// The DNS has answered, or could not.
    Resolved { question: Question, answer: Answer },
    /// A media worker reports.
    Media(Event),
    /// The handshake thread reports.
    Handshake(HandshakeEvent),
    /// A part of the process is gone, or is there again.
    Part { part: Part, is_there: bool },
    /// A media worker ended though nobody asked it to.
    WorkerEnded { worker: usize },
    /// The watchdog wants to see a turn.
    Beat,
    /// The process was asked to stop.
    Stop,
}
