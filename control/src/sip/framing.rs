//! Where messages begin and end on TCP and TLS (RFC 3261 sections 7.5 and 18.3, RFC 5626
//! section 3.5.1).
//!
//! On a stream nothing but Content-Length says where a message ends, and two elements that read it
//! differently see two different next messages. So a head must carry exactly one, and whatever
//! could be read in two ways (a carriage return or a line feed on its own, two lengths) ends the
//! connection. What is wrong with the message itself is for [`Message::parse`] to say.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::header::HeaderName;
use super::limits::{HEAD_BYTES_MAX, MESSAGE_BYTES_MAX};
#[cfg(doc)]
use super::message::Message;
use super::message::line::unfold;
use super::parse::length_of;
use super::parse::scan::{line_at, split_name};

#[cfg(test)]
mod tests;

/// What is cut out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Two line breaks between messages: answered by one (RFC 5626 section 4.4.1).
    Ping,
    /// One line break between messages: the answer, or nothing.
    Pong,
    /// One message, from its start line to the end of its body.
    Message(Bytes),
}

/// Why a stream cannot be read any further. The connection is closed; what has come of the
/// request may be answered first ([`Framer::rest`] and [`Message::salvage`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Start line and header are longer than [`HEAD_BYTES_MAX`], or the whole message than
    /// [`MESSAGE_BYTES_MAX`].
    TooLarge,
    /// A carriage return or a line feed on its own, or a NUL that is not escaped. `offset` counts
    /// from the beginning of the message, in bytes.
    StrayControl {
        /// Where it is.
        offset: usize,
    },
    /// No Content-Length.
    NoLength,
    /// A second Content-Length; `offset` as above.
    SecondLength {
        /// Where its line begins.
        offset: usize,
    },
    /// A Content-Length that is not a number; `offset` as above.
    Length {
        /// Where its line begins.
        offset: usize,
    },
}

impl FrameError {
    /// Returns the status for the request with which the stream broke.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 513,
            Self::StrayControl { .. }
            | Self::NoLength
            | Self::SecondLength { .. }
            | Self::Length { .. } => 400,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("message too large"),
            Self::StrayControl { offset } => write!(f, "stray control character at {offset}"),
            Self::NoLength => f.write_str("no Content-Length on a stream"),
            Self::SecondLength { offset } => write!(f, "second Content-Length at {offset}"),
            Self::Length { offset } => write!(f, "malformed Content-Length at {offset}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts one stream into frames.
///
/// [`Framer::push`] what was read, then [`Framer::next_frame`] until there is none. So used, it
/// holds at most [`MESSAGE_BYTES_MAX`] and one read, and nothing while the connection is idle.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// So many bytes hold no end of a head.
    searched: usize,
    /// Size of the message whose head has been read.
    size: Option<usize>,
    /// The last frame was one line break: a second one makes a ping of it.
    is_half_ping: bool,
    broken: Option<FrameError>,
}

impl Framer {
    /// Makes one for a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Returns the next frame; `None` until more has been read.
    ///
    /// # Errors
    ///
    /// See [`FrameError`]; every later call returns the same.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let frame = self.cut().inspect_err(|error| self.broken = Some(*error))?;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(frame)
    }

    /// Tells whether part of a message has come: the rest must come before a deadline of the
    /// caller's.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Returns what has been read and not been returned as a frame.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        let size = match self.size {
            Some(size) => size,
            None => match self.buffer.first() {
                None => return Ok(None),
                Some(b'\r' | b'\n') => return self.keep_alive(),
                Some(_) => match self.measure()? {
                    Some(size) => size,
                    None => return Ok(None),
                },
            },
        };
        self.is_half_ping = false;
        if self.buffer.len() < size {
            self.size = Some(size);
            return Ok(None);
        }
        self.size = None;
        self.searched = 0;
        Ok(Some(Frame::Message(self.buffer.split_to(size).freeze())))
    }

    fn keep_alive(&mut self) -> Result<Option<Frame>, FrameError> {
        let taken = match self.buffer.as_ref() {
            [b'\r'] => return Ok(None),
            [b'\r', b'\n', b'\r', b'\n', ..] if !self.is_half_ping => 4,
            [b'\r', b'\n', ..] => 2,
            _ => return Err(FrameError::StrayControl { offset: 0 }),
        };
        drop(self.buffer.split_to(taken));
        let is_ping = taken == 4 || self.is_half_ping;
        self.is_half_ping = !is_ping;
        Ok(Some(if is_ping { Frame::Ping } else { Frame::Pong }))
    }

    /// Returns the size of the message at the front; `None` until its head is complete.
    fn measure(&mut self) -> Result<Option<usize>, FrameError> {
        const END: &[u8] = b"\r\n\r\n";
        let from = self.searched.saturating_sub(END.len() - 1);
        let unsearched = self.buffer.get(from..).unwrap_or_default();
        let Some(found) = memmem::find(unsearched, END) else {
            self.searched = self.buffer.len();
            return if self.searched > HEAD_BYTES_MAX {
                Err(FrameError::TooLarge)
            } else {
                Ok(None)
            };
        };
        let head_bytes = from + found + END.len();
        if head_bytes > HEAD_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        let body_bytes = body_length(self.buffer.get(..head_bytes).unwrap_or_default())?;
        let size = head_bytes.saturating_add(body_bytes);
        if size > MESSAGE_BYTES_MAX {
            Err(FrameError::TooLarge)
        } else {
            Ok(Some(size))
        }
    }
}

/// Returns the one Content-Length of a head.
fn body_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut length = None;
    let mut line = line_at(head, 0);
    let mut stray = line.stray_of_start();
    loop {
        if let Some(offset) = stray {
            return Err(FrameError::StrayControl { offset });
        }
        if line.text.is_empty() {
            return length.ok_or(FrameError::NoLength);
        }
        line = line_at(head, line.next);
        stray = line.stray;
        let Some((name, value)) = split_name(line.text) else {
            continue;
        };
        if HeaderName::from_token(name) != Some(HeaderName::ContentLength) {
            continue;
        }
        let offset = line.start;
        if length.is_some() {
            return Err(FrameError::SecondLength { offset });
        }
        let value = unfold(value.trim_ascii());
        length = Some(length_of(&value).ok_or(FrameError::Length { offset })?);
    }
}
