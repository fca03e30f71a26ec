//! What is behind the proxy: a registrar and user agent that takes everything.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use control::sip::{HeaderName, Message};
use tokio::net::UdpSocket;

use crate::Failure;

/// Longest datagram that is looked at.
const DATAGRAM_BYTES_MAX: usize = 8192;

pub(super) struct Registrar {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Registrar {
    pub(super) async fn bind() -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers each request with 200 until the task is ended.
    pub(super) async fn answer(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer).await {
            let datagram = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            let Ok(request) = Message::parse(datagram) else {
                continue;
            };
            if !request.is_request() {
                continue;
            }
            let mut response = Message::response_to(&request, 200, None);
            response.set_to_tag("registrar");
            response.copy_from(&request, HeaderName::Contact);
            response.copy_from(&request, HeaderName::Path);
            if self
                .socket
                .send_to(&response.to_bytes(), from)
                .await
                .is_err()
            {
                // What is lost is repeated, as over any network.
                continue;
            }
        }
    }
}
