//! What a client says on a SIP WebSocket (RFC 6455, RFC 7118): the limits on it, what its messages
//! mean, and with which status the connection closes when they break a rule. `shell::websocket`
//! does the reading and writing.

mod progress;

use bytes::Bytes;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{Message, WebSocketConfig};

use crate::limits::{
    WEBSOCKET_MESSAGE_BYTES_MAX, WEBSOCKET_READ_BUFFER_BYTES, WEBSOCKET_WRITE_BUFFER_BYTES_MAX,
};

pub use progress::{Passed, Progress};

/// Double CRLF: the client asks for a sign of life (RFC 7118 section 6, RFC 5626 section 4.4.1).
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";
/// The sign of life.
pub const KEEP_ALIVE_ANSWER: &[u8] = b"\r\n";

/// Bounds of one connection, in messages, frames and buffers.
#[must_use]
pub fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(WEBSOCKET_READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WEBSOCKET_WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
}

/// What a message of a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A SIP message, or something that should be one.
    Sip(Bytes),
    /// A client that waits for [`KEEP_ALIVE_ANSWER`].
    KeepAlive,
    /// Line breaks alone, or what is answered below us: pings, pongs, and Close.
    Nothing,
}

/// Text and binary messages are the same (RFC 7118 section 4.2).
#[must_use]
pub fn heard(message: Message) -> Heard {
    let bytes = match message {
        Message::Text(text) => Bytes::from(text),
        Message::Binary(bytes) => bytes,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
            return Heard::Nothing;
        }
    };
    if bytes == KEEP_ALIVE {
        Heard::KeepAlive
    } else if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        Heard::Nothing
    } else {
        Heard::Sip(bytes)
    }
}

/// Status and reason of our Close after a client broke a rule (RFC 6455 section 7.4.1). `None`: the
/// connection has ended without that.
#[must_use]
pub fn closing_after(error: &Error) -> Option<(u16, &'static str)> {
    match error {
        Error::Capacity(_) => Some((1009, "message too big")),
        Error::Utf8(_) => Some((1007, "text is not UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some((1002, "protocol error")),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => None,
    }
}
