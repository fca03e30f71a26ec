//! The SIP socket towards carriers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tracing::debug;

use super::arrival::Arrival;
use crate::engine::input::Peer;
use crate::limits::{SIP_DATAGRAM_BYTES_MAX, SIP_SOCKET_BUFFER_BYTES};

/// Binds the socket, with buffers for a burst.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    // The kernel grants less where its limits are lower; that is good enough.
    for granted in [
        socket.set_recv_buffer_size(SIP_SOCKET_BUFFER_BYTES),
        socket.set_send_buffer_size(SIP_SOCKET_BUFFER_BYTES),
    ] {
        if let Err(error) = granted {
            debug!(%error, "cannot enlarge the buffers of the SIP socket");
        }
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Reads datagrams until the brain is gone.
pub(super) async fn receive(socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; SIP_DATAGRAM_BYTES_MAX];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "the SIP socket reports an error");
                continue;
            }
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        // A keep-alive of CRLFs, or of nothing.
        if datagram
            .iter()
            .all(|byte| matches!(byte, b'\r' | b'\n' | 0))
        {
            continue;
        }
        let bytes = Bytes::copy_from_slice(datagram);
        let message = Arrival::Message {
            peer: Peer::Udp(from),
            bytes,
        };
        if arrivals.send(message).await.is_err() {
            return;
        }
    }
}

/// Sends a datagram, or loses it when the kernel has no room: SIP sends again by itself.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    if let Err(error) = socket.try_send_to(bytes, to) {
        debug!(%to, %error, "cannot send a SIP datagram");
    }
}
