//! What is said about a packet beside its address (control messages, cmsg(3)): how the kernel cuts
//! it, and how it is marked.
//!
//! A run of equal packets is taken as one and cut again (UDP generic segmentation offload,
//! `UDP_SEGMENT` in udp(7)): one way through the stack for all of them.

use std::net::SocketAddr;

use crate::config::IoConfig;
use crate::engine::{SocketId, Transmit};

/// `struct cmsghdr` and a value, with their padding.
pub(super) const MESSAGE_BYTES: usize = 24;
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
/// How many messages a packet can need.
const MESSAGES_MAX: usize = 2;

const _: () = assert!(HEADER_BYTES == 16);

/// The messages of one send. Their memory must not move until the kernel has read it.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Control {
    messages: [Message; MESSAGES_MAX],
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
struct Message {
    length: usize,
    level: i32,
    kind: i32,
    value: [u8; 8],
}

const _: () = assert!(size_of::<Message>() == MESSAGE_BYTES);

impl Control {
    /// Writes what is needed and returns the length, 0 when nothing is. `segment_bytes`: every
    /// packet of the run but the last, which may be shorter, has so many bytes.
    pub(super) fn write(&mut self, segment_bytes: Option<usize>, mark: Option<Mark>) -> usize {
        let segment = segment_bytes.map(|bytes| {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            Message::new(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes())
        });
        let mark = mark.map(|mark| {
            let (level, kind) = if mark.is_ipv6 {
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
            } else {
                (libc::IPPROTO_IP, libc::IP_TOS)
            };
            Message::new(level, kind, &i32::from(mark.byte).to_ne_bytes())
        });
        let mut count = 0;
        let messages = segment.into_iter().chain(mark);
        for (place, message) in self.messages.iter_mut().zip(messages) {
            *place = message;
            count += 1;
        }
        count * MESSAGE_BYTES
    }
}

impl Message {
    fn new(level: i32, kind: i32, bytes: &[u8]) -> Self {
        let mut value = [0; 8];
        if let Some(place) = value.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        Self {
            length: HEADER_BYTES + bytes.len(),
            level,
            kind,
            value,
        }
    }
}

/// What the kernel says of a run that it hands over as one: how long each datagram is but the last,
/// which may be shorter. `None` for a single datagram.
pub(super) fn segment_bytes(control: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(i32::from_ne_bytes(*control.get(at..)?.first_chunk()?));
    let kind = (word(8)?, word(12)?);
    let bytes = word(HEADER_BYTES).filter(|_| kind == (libc::SOL_UDP, libc::UDP_GRO))?;
    usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// A mark that is not the socket's own: the byte of RFC 2474 section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    byte: u8,
    is_ipv6: bool,
}

/// How video is marked, where that is not how the socket marks everything: `None` costs nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct VideoMarks {
    browser: Option<u8>,
    trunk: Option<u8>,
}

impl VideoMarks {
    pub(super) fn new(config: &IoConfig) -> Self {
        let byte = |video: u8, audio: u8| (video != audio).then_some(video << 2);
        Self {
            browser: byte(config.browser_video_dscp, config.browser_dscp),
            trunk: byte(config.trunk_video_dscp, config.trunk_dscp),
        }
    }

    /// The mark of a packet, if it has one of its own.
    pub(super) fn of(self, transmit: &Transmit) -> Option<Mark> {
        if !transmit.is_video {
            return None;
        }
        let byte = match transmit.socket {
            SocketId::Browser => self.browser,
            SocketId::TrunkRtp(_) | SocketId::TrunkRtcp(_) => self.trunk,
        };
        // An IPv6 socket is for IPv6 only, so the address tells which socket it is.
        let is_ipv6 = matches!(transmit.to, SocketAddr::V6(_));
        byte.map(|byte| Mark { byte, is_ipv6 })
    }
}
