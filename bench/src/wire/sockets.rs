//! Two UDP sockets on the loopback interface, for machines where no namespaces may be made: one
//! for all browsers, which sends from 127.1.0.1, 127.1.0.2, … and one for the trunk peer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use dataplane::io::batch::{BatchReceiver, BatchSender, Outgoing};
use socket2::{Domain, Protocol, Socket, Type};

use super::frames::{HEADERS_BYTES, destination, source};
use super::{Arrival, BATCH_PACKETS, PACKET_BYTES_MAX};
use crate::Failure;
use crate::clock::since_1970;
use crate::scenario::Way;

/// Queues of the sockets, as far as the kernel grants them.
const QUEUE_BYTES: usize = 4 << 20;

pub(crate) struct SocketWire {
    /// Browser and trunk.
    sockets: [Socket; 2],
    ports: [u16; 2],
    sender: BatchSender,
    receiver: BatchReceiver,
}

impl SocketWire {
    pub(crate) fn open() -> Result<Self, Failure> {
        let sockets = [socket(Ipv4Addr::UNSPECIFIED)?, socket(Ipv4Addr::LOCALHOST)?];
        let mut ports = [0; 2];
        for (port, socket) in ports.iter_mut().zip(&sockets) {
            *port = socket.local_addr()?.as_socket().ok_or("no address")?.port();
        }
        Ok(Self {
            sockets,
            ports,
            sender: BatchSender::new(BATCH_PACKETS),
            receiver: BatchReceiver::new(BATCH_PACKETS, PACKET_BYTES_MAX),
        })
    }

    pub(super) fn browser_port(&self) -> u16 {
        self.ports[0]
    }

    pub(super) fn trunk_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.ports[1])
    }

    pub(super) fn send<'a>(
        &mut self,
        way: Way,
        packets: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        let browser = way == Way::ToTrunk;
        let [browser_socket, trunk_socket] = &self.sockets;
        let socket = if browser {
            browser_socket
        } else {
            trunk_socket
        };
        let packets = packets.take(BATCH_PACKETS).filter_map(|frame| {
            Some(Outgoing {
                to: destination(frame)?.into(),
                from: source(frame).filter(|_| browser),
                bytes: frame.get(HEADERS_BYTES..)?,
            })
        });
        let packets: Vec<_> = packets.collect();
        self.sender.send(socket, &packets)
    }

    pub(super) fn receive(&mut self, mut each: impl FnMut(Arrival<'_>)) -> io::Result<usize> {
        let mut total = 0;
        for socket in &self.sockets {
            let count = self.receiver.receive(socket)?;
            let at: Duration = since_1970();
            for index in 0..count {
                let (payload, to) = (self.receiver.packet(index), None);
                each(Arrival { payload, to, at });
            }
            total += count;
        }
        Ok(total)
    }
}

fn socket(address: Ipv4Addr) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(QUEUE_BYTES)?;
    socket.set_send_buffer_size(QUEUE_BYTES)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    Ok(socket)
}
