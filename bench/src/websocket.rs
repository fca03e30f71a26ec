//! A SIP WebSocket of a browser that is made of text (RFC 6455, RFC 7118).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Failure;

/// A handshake that takes longer fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of one message of a server.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The browser's end of a connection.
pub(crate) struct WebSocket {
    stream: TcpStream,
    /// What has arrived and not been taken.
    buffer: Vec<u8>,
}

impl WebSocket {
    /// Connects without TLS, with subprotocol `sip`.
    pub(crate) async fn connect(to: SocketAddr) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Origin: http://{to}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await??;
            answer.push(byte);
        }
        if !answer.starts_with(b"HTTP/1.1 101 ") {
            return Err(String::from_utf8_lossy(&answer).into_owned().into());
        }
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(&frame(message)).await?;
        Ok(())
    }

    /// The next data frame; targets send each message in one.
    pub(crate) async fn next_message(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some((opcode, length)) = self.whole_frame()? {
                let head = head_bytes(self.buffer.get(1).copied().unwrap_or(0));
                let message = self.buffer.get(head..head + length).unwrap_or_default();
                let message = message.to_vec();
                self.buffer.drain(..head + length);
                match opcode {
                    1 | 2 => return Ok(message),
                    8 => return Err("the target closes the WebSocket".into()),
                    _ => continue,
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the target closes the connection".into());
            }
        }
    }

    /// Opcode and length of the frame at the beginning, once all of it is there (RFC 6455 section
    /// 5.2).
    fn whole_frame(&self) -> Result<Option<(u8, usize)>, Failure> {
        let [first, second, ..] = self.buffer.as_slice() else {
            return Ok(None);
        };
        let length = match (second & 0x7F, self.buffer.get(2..4)) {
            (126, Some([high, low])) => usize::from(u16::from_be_bytes([*high, *low])),
            (126, _) => return Ok(None),
            (127, _) => return Err("a message is too long".into()),
            (short, _) => usize::from(short),
        };
        if length > MESSAGE_BYTES_MAX {
            return Err("a message is too long".into());
        }
        let is_whole = self.buffer.len() >= head_bytes(*second) + length;
        Ok(is_whole.then_some((first & 0x0F, length)))
    }
}

const fn head_bytes(second: u8) -> usize {
    if second & 0x7F == 126 { 4 } else { 2 }
}

/// A masked text frame (RFC 6455 section 5.3).
fn frame(payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x52, 0x69, 0x6E, 0x67];
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.push(0x81);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(0x80 | length),
        (_, length) => {
            frame.push(0x80 | 126);
            frame.extend(length.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}
