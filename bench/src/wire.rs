//! How the generator's packets come to the target and back: as whole frames on a network of its
//! own, or through two sockets on the loopback interface.

mod frames;
mod sockets;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub(crate) use frames::{FrameWire, HEADERS_BYTES};
pub(crate) use sockets::SocketWire;

use crate::scenario::Way;

/// Datagrams per system call of the generator.
pub(crate) const BATCH_PACKETS: usize = 64;
/// Longest datagram that the generator takes.
pub(crate) const PACKET_BYTES_MAX: usize = 1536;
/// UDP port of every browser.
const BROWSER_PORT: u16 = 40_000;

/// Between generator and target.
pub(crate) enum Wire {
    Frames(FrameWire),
    Sockets(SocketWire),
}

/// A datagram that came back.
pub(crate) struct Arrival<'a> {
    pub(crate) payload: &'a mut [u8],
    /// Where it was sent to, as far as that is known.
    pub(crate) to: Option<SocketAddrV4>,
    /// When, since 1970.
    pub(crate) at: Duration,
}

impl Wire {
    /// The address of the browser of this call.
    pub(crate) fn browser_address(&self, call: u16) -> SocketAddrV4 {
        match self {
            Self::Frames(_) => browser_of(Ipv4Addr::new(198, 19, 0, 0), call, BROWSER_PORT),
            Self::Sockets(wire) => {
                browser_of(Ipv4Addr::new(127, 1, 0, 0), call, wire.browser_port())
            }
        }
    }

    /// The address of the trunk peer of this call.
    pub(crate) fn trunk_address(&self, call: u16) -> SocketAddrV4 {
        match self {
            Self::Frames(wire) => wire.trunk_address(call),
            Self::Sockets(wire) => wire.trunk_address(),
        }
    }

    /// Can one send stand for many datagrams?
    pub(crate) fn segments(&self) -> bool {
        matches!(self, Self::Frames(_))
    }

    /// What stands in front of `count` datagrams of this length each.
    pub(crate) fn headers(
        &self,
        from: SocketAddrV4,
        to: SocketAddrV4,
        length: usize,
        count: u16,
    ) -> [u8; HEADERS_BYTES] {
        let [source, destination] = match self {
            Self::Frames(wire) => wire.mac_addresses(),
            Self::Sockets(_) => [[0; 6]; 2],
        };
        frames::headers(source, destination, from, to, length, count)
    }

    /// Sends the first of these (headers and datagrams each), at most a batch; returns how many
    /// were taken.
    pub(crate) fn send<'a>(
        &mut self,
        way: Way,
        packets: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        match self {
            Self::Frames(wire) => wire.send(packets),
            Self::Sockets(wire) => wire.send(way, packets),
        }
    }

    /// Takes what has arrived, at most `limit` datagrams; returns how many.
    pub(crate) fn receive(
        &mut self,
        limit: usize,
        each: impl FnMut(Arrival<'_>),
    ) -> io::Result<usize> {
        match self {
            Self::Frames(wire) => Ok(wire.receive(limit, each)),
            Self::Sockets(wire) => wire.receive(each),
        }
    }

    /// Packets that came back and found no room here, since this was last asked.
    pub(crate) fn overflow(&self) -> io::Result<u32> {
        match self {
            Self::Frames(wire) => wire.overflow(),
            // Not known: it counts as loss of the target.
            Self::Sockets(_) => Ok(0),
        }
    }
}

fn browser_of(network: Ipv4Addr, call: u16, port: u16) -> SocketAddrV4 {
    let address = u32::from(network) + 1 + u32::from(call);
    SocketAddrV4::new(Ipv4Addr::from(address), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_have_addresses_of_their_own_in_their_network() {
        let network = Ipv4Addr::new(198, 19, 0, 0);
        assert_eq!(browser_of(network, 0, 5).to_string(), "198.19.0.1:5");
        assert_eq!(browser_of(network, 7999, 5).to_string(), "198.19.31.64:5");
    }
}
