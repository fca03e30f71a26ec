//! Ethernet frames through a packet socket: the generator's kernel does no UDP.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use dataplane::io::batch::BatchSender;
use dataplane::io::packet_ring::PacketRing;

use super::{Arrival, BATCH_PACKETS, PACKET_BYTES_MAX};
use crate::Failure;
use crate::network::{GENERATOR_ADDRESS, Network};

/// What stands in front of a datagram that is sent: `struct virtio_net_hdr`, Ethernet, IPv4, UDP.
pub(crate) const HEADERS_BYTES: usize = SEGMENTATION_BYTES + FRAME_HEADERS_BYTES;
const SEGMENTATION_BYTES: usize = 10;
/// Ethernet, IPv4 and UDP.
const FRAME_HEADERS_BYTES: usize = 42;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM` and `VIRTIO_NET_HDR_GSO_UDP_L4`: many datagrams in one frame.
const SEGMENTED: [u8; 2] = [1, 5];
/// Where the UDP header begins in a frame, and the checksum in it.
const UDP_START: u16 = 34;
const UDP_CHECKSUM: u16 = 6;
const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: u16 = 20;
const UDP_BYTES: u16 = 8;
const UDP: u8 = 17;
/// Ethernet type of IPv4, then version 4 with a header of five words, then EF (RFC 3246).
const IPV4_MARK: [u8; 4] = [0x08, 0x00, 0x45, 46 << 2];
/// "Do not fragment".
const NO_FRAGMENTS: u16 = 0x4000;
const HOPS_MAX: u8 = 64;
/// Of the trunk peer: each call has a pair.
const TRUNK_PORT_BASE: u16 = 10_000;
/// Frames that can wait until the generator looks again: more than 0.1 s.
const RING_SLOTS: usize = 1 << 16;

/// The generator's end of the cable.
pub(crate) struct FrameWire {
    ring: PacketRing,
    sender: BatchSender,
    generator_mac: [u8; 6],
    subject_mac: [u8; 6],
    trunk: Ipv4Addr,
}

impl FrameWire {
    /// Opens the generator's interface. The calling thread must be in its namespace.
    pub(crate) fn open(network: &Network, payload_bytes: u16) -> Result<Self, Failure> {
        let interface = network.generator_interface_index()?;
        let audio = usize::from(payload_bytes) + FRAME_HEADERS_BYTES < 256;
        let frame_bytes = if audio { 320 } else { PACKET_BYTES_MAX };
        Ok(Self {
            ring: PacketRing::open(interface, frame_bytes, RING_SLOTS)?,
            sender: BatchSender::new(BATCH_PACKETS),
            generator_mac: network.generator_mac,
            subject_mac: network.subject_mac,
            trunk: GENERATOR_ADDRESS.parse()?,
        })
    }

    pub(super) fn trunk_address(&self, call: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.trunk, TRUNK_PORT_BASE + 2 * call)
    }

    pub(super) fn mac_addresses(&self) -> [[u8; 6]; 2] {
        [self.generator_mac, self.subject_mac]
    }

    pub(super) fn send<'a>(
        &mut self,
        packets: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        self.sender.send_connected(&self.ring, packets)
    }

    pub(super) fn receive(&mut self, limit: usize, mut each: impl FnMut(Arrival<'_>)) -> usize {
        self.ring.receive(limit, |frame, at| {
            if let Some((payload, to)) = datagram(frame) {
                let to = Some(to);
                each(Arrival { payload, to, at });
            }
        })
    }

    pub(super) fn overflow(&self) -> io::Result<u32> {
        self.ring.overflow()
    }
}

/// The headers of `count` IPv4 datagrams of this length each, which follow each other in one frame.
/// UDP goes without a checksum, as RFC 768 allows: with sockets at both ends a veth pair would not
/// compute one either.
pub(super) fn headers(
    source: [u8; 6],
    destination: [u8; 6],
    from: SocketAddrV4,
    to: SocketAddrV4,
    length: usize,
    count: u16,
) -> [u8; HEADERS_BYTES] {
    let segment_bytes = u16::try_from(length).unwrap_or(u16::MAX);
    let udp_bytes = UDP_BYTES.saturating_add(segment_bytes.saturating_mul(count));
    let mut ip = Vec::with_capacity(HEADERS_BYTES);
    if count > 1 {
        ip.extend(SEGMENTED);
        let fields = [42, segment_bytes, UDP_START, UDP_CHECKSUM];
        ip.extend(fields.into_iter().flat_map(u16::to_ne_bytes));
    } else {
        ip.extend([0; SEGMENTATION_BYTES]);
    }
    ip.extend(destination);
    ip.extend(source);
    ip.extend(IPV4_MARK);
    ip.extend(IPV4_BYTES.saturating_add(udp_bytes).to_be_bytes());
    ip.extend(0_u16.to_be_bytes());
    ip.extend(NO_FRAGMENTS.to_be_bytes());
    ip.extend([HOPS_MAX, UDP, 0, 0]);
    ip.extend(from.ip().octets());
    ip.extend(to.ip().octets());
    let sum = checksum(
        ip.get(SEGMENTATION_BYTES + ETHERNET_BYTES..)
            .unwrap_or_default(),
    );
    ip.extend(from.port().to_be_bytes());
    ip.extend(to.port().to_be_bytes());
    ip.extend(udp_bytes.to_be_bytes());
    ip.extend(0_u16.to_be_bytes());
    let mut headers = [0; HEADERS_BYTES];
    headers.copy_from_slice(&ip);
    headers[34..36].copy_from_slice(&sum.to_be_bytes());
    headers
}

/// Of an IPv4 header (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let mut sum: u32 = words
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// The datagram in an IPv4 frame, and where it was sent to.
fn datagram(frame: &mut [u8]) -> Option<(&mut [u8], SocketAddrV4)> {
    let ipv4 = frame.get(12..15)? == &IPV4_MARK[..3] && *frame.get(23)? == UDP;
    let to = address(frame)?;
    let udp_bytes = u16::from_be_bytes(*frame.get(38..)?.first_chunk()?);
    let end = FRAME_HEADERS_BYTES + usize::from(udp_bytes.checked_sub(UDP_BYTES)?);
    let payload = frame.get_mut(FRAME_HEADERS_BYTES..end)?;
    ipv4.then_some((payload, to))
}

/// Where a frame is sent to that [`headers`] begin.
pub(super) fn destination(frame: &[u8]) -> Option<SocketAddrV4> {
    address(frame.get(SEGMENTATION_BYTES..)?)
}

fn address(frame: &[u8]) -> Option<SocketAddrV4> {
    let address: [u8; 4] = *frame.get(30..)?.first_chunk()?;
    let port = u16::from_be_bytes(*frame.get(36..)?.first_chunk()?);
    Some(SocketAddrV4::new(address.into(), port))
}

/// Where a frame comes from that [`headers`] begin.
pub(super) fn source(frame: &[u8]) -> Option<Ipv4Addr> {
    let address: [u8; 4] = *frame.get(SEGMENTATION_BYTES + 26..)?.first_chunk()?;
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_as_it_was_made_and_its_checksum_is_right() {
        let from: SocketAddrV4 = "198.19.0.1:40000".parse().unwrap();
        let to: SocketAddrV4 = "198.18.0.10:20000".parse().unwrap();
        let mut frame = headers([2; 6], [4; 6], from, to, 5, 1).to_vec();
        frame.extend(b"hello and padding");
        assert_eq!(
            (source(&frame), destination(&frame)),
            (Some(*from.ip()), Some(to))
        );
        // The sum over a header with its checksum is all ones.
        assert_eq!(checksum(&frame[24..44]), 0);
        let (payload, sent_to) = datagram(&mut frame[10..]).unwrap();
        assert_eq!((&*payload, sent_to), (&b"hello"[..], to));
    }

    #[test]
    fn a_frame_of_many_datagrams_says_how_long_each_is() {
        let address: SocketAddrV4 = "198.19.0.1:1".parse().unwrap();
        let frame = headers([2; 6], [4; 6], address, address, 172, 8);
        assert_eq!(frame[..2], SEGMENTED);
        assert_eq!(u16::from_ne_bytes([frame[4], frame[5]]), 172);
        // IPv4 and UDP count all of them.
        assert_eq!(u16::from_be_bytes([frame[26], frame[27]]), 28 + 8 * 172);
        assert_eq!(u16::from_be_bytes([frame[48], frame[49]]), 8 + 8 * 172);
    }

    #[test]
    fn other_frames_are_none_of_ours() {
        let address: SocketAddrV4 = "198.19.0.1:1".parse().unwrap();
        let mut frame = headers([2; 6], [4; 6], address, address, 0, 1)[10..].to_vec();
        assert!(datagram(&mut frame).is_some());
        frame[23] = 6;
        assert!(datagram(&mut frame).is_none());
        assert!(datagram(&mut frame[..30]).is_none());
    }
}
