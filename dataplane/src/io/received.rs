//! A received packet, as the worker holds it.

use std::net::SocketAddr;

use super::address::ADDRESS_BYTES;
use super::buffers::Buffer;
use crate::engine::SocketId;
use crate::limits::{BUFFER_BYTES, PACKET_BYTES_MAX, SRTP_OVERHEAD_BYTES_MAX};

/// Where a packet begins in its buffer: io_uring puts `struct io_uring_recvmsg_out` and the source
/// address before it. The same for all back ends.
pub(super) const PAYLOAD_OFFSET: usize = 16 + ADDRESS_BYTES;

const _: () = assert!(PAYLOAD_OFFSET + PACKET_BYTES_MAX + SRTP_OVERHEAD_BYTES_MAX <= BUFFER_BYTES);

/// A received packet: owns its buffer until it is sent or given back.
#[derive(Debug)]
#[must_use = "send it or give it back"]
pub(crate) struct Received {
    /// Where it arrived.
    pub(crate) socket: SocketId,
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Bytes that arrived; more than [`PACKET_BYTES_MAX`] may be cut short.
    pub(crate) length: usize,
    pub(super) buffer: Buffer,
}
