//! WebSocket frames: whatever a client sends, and in whatever pieces, the same messages come out
//! and the connection ends in the same way.

use std::io::{self, Read, Write};

use control::limits::WEBSOCKET_MESSAGE_BYTES_MAX;
use control::websocket::{Heard, Progress, closing_after, heard, limits};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

/// A text frame of one letter, masked with zeros.
const LETTER: &[u8] = b"\x81\x81\0\0\0\0x";

/// The frames of a client. The first byte is the size of a read.
pub fn websocket_frames(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else {
        return;
    };
    let whole = listen(stream, stream.len().max(1));
    let pieces = listen(stream, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
}

/// What a connection came to.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    /// Messages, one after the other.
    pub heard: Vec<Heard>,
    /// The Close that follows a broken rule.
    pub closing: Option<(u16, &'static str)>,
    /// Nothing more can be read.
    pub is_over: bool,
    /// Pongs and Close.
    pub answers: Vec<u8>,
}

/// Head and payload of the longest control frame of a server.
const CONTROL_FRAME_BYTES_MAX: usize = 2 + 125;

/// Reads the stream in pieces of this size, as the shell does.
pub fn listen(stream: &[u8], size: usize) -> Said {
    let client = Client {
        left: stream,
        size,
        pauses: false,
        progress: Progress::default(),
        messages: 0,
        answers: Vec::new(),
    };
    let mut socket = WebSocket::from_raw_socket(client, Role::Server, Some(limits()));
    let mut said = Said::default();
    let mut data_messages = 0;
    loop {
        match socket.read() {
            Ok(message) => {
                data_messages += usize::from(message.is_text() || message.is_binary());
                assert!(message.len() <= WEBSOCKET_MESSAGE_BYTES_MAX);
                said.heard.push(heard(message));
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.get_ref().left.is_empty() {
                    break;
                }
            }
            Err(error) => {
                said.closing = closing_after(&error);
                said.is_over = true;
                break;
            }
        }
    }
    said.answers = std::mem::take(&mut socket.get_mut().answers);
    // Pongs repeat what came; a Close says why in one more frame (RFC 6455 section 5.5).
    assert!(
        said.answers.len() <= stream.len() + CONTROL_FRAME_BYTES_MAX,
        "more than was asked for"
    );
    if said.is_over || !socket.can_read() {
        return said;
    }
    let client = socket.get_mut();
    assert_eq!(client.messages, data_messages, "both count alike");
    if !client.progress.is_mid_message() {
        client.left = LETTER;
        client.pauses = false;
        client.size = LETTER.len();
        let next = socket.read().map(heard);
        assert_eq!(next.ok(), Some(Heard::Sip("x".into())), "nothing had begun");
    }
    said
}

/// The other end: bytes that come in pieces, with pauses between.
struct Client<'a> {
    left: &'a [u8],
    size: usize,
    pauses: bool,
    progress: Progress,
    messages: usize,
    answers: Vec<u8>,
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pauses = !self.pauses;
        if self.left.is_empty() || !self.pauses {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.size.min(self.left.len()).min(buffer.len());
        let (piece, left) = self.left.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.left = left;
        self.messages += self.progress.push(piece).messages;
        Ok(length)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
