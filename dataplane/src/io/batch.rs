//! Many datagrams per system call (`sendmmsg(2)`, `recvmmsg(2)`), for load generators.

#![expect(
    unsafe_code,
    reason = "sendmmsg(2) and recvmmsg(2) have no safe wrapper here"
)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::address::{self, ADDRESS_BYTES};

/// Room for one control message with a `struct in_pktinfo`.
const CONTROL_WORDS: usize = 4;
const PACKET_INFO_BYTES: usize = size_of::<libc::in_pktinfo>();
const CONTROL_HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

const _: () = assert!((CONTROL_HEADER_BYTES + PACKET_INFO_BYTES).next_multiple_of(8) <= 32);

/// A datagram to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where it goes.
    pub to: SocketAddr,
    /// The source address, for a socket that is bound to all IPv4 addresses; `None` leaves it to
    /// the kernel.
    pub from: Option<Ipv4Addr>,
    /// What is sent.
    pub bytes: &'a [u8],
}

/// Sends batches. Its memory is allocated once.
pub struct BatchSender {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<[u8; ADDRESS_BYTES]>,
    controls: Vec<[u64; CONTROL_WORDS]>,
}

/// Receives batches into buffers of its own, allocated once.
pub struct BatchReceiver {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    buffers: Vec<Vec<u8>>,
    received: usize,
}

impl BatchSender {
    /// For at most `capacity` datagrams per call.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            headers: vec![empty_header(); capacity],
            vectors: vec![empty_vector(); capacity],
            addresses: vec![[0; ADDRESS_BYTES]; capacity],
            controls: vec![[0; CONTROL_WORDS]; capacity],
        }
    }

    /// Sends the first packets, at most `capacity` of them, without waiting; returns how many the
    /// kernel took. 0 when the socket's queue is full.
    ///
    /// # Errors
    /// What the kernel says about the first packet.
    pub fn send(&mut self, socket: &impl AsFd, packets: &[Outgoing<'_>]) -> io::Result<usize> {
        let mut count = 0;
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        let slots = slots.zip(self.addresses.iter_mut().zip(&mut self.controls));
        for (packet, ((header, vector), (address, control))) in packets.iter().zip(slots) {
            // The kernel only reads from here.
            vector.iov_base = packet.bytes.as_ptr().cast_mut().cast();
            vector.iov_len = packet.bytes.len();
            let header = &mut header.msg_hdr;
            header.msg_namelen = address::write(packet.to, address);
            header.msg_name = address.as_mut_ptr().cast();
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if let Some(source) = packet.from {
                header.msg_controllen = write_source(source, control);
                header.msg_control = control.as_mut_ptr().cast();
            }
            count += 1;
        }
        self.submit(socket, count)
    }

    /// Sends the first of these as they are, at most `capacity`, through a socket that knows where
    /// to: a connected one, or a [`PacketRing`](super::packet_ring::PacketRing). Otherwise like
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// What the kernel says about the first packet.
    pub fn send_connected<'a>(
        &mut self,
        socket: &impl AsFd,
        packets: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        for (bytes, (header, vector)) in packets.zip(slots) {
            // The kernel only reads from here.
            vector.iov_base = bytes.as_ptr().cast_mut().cast();
            vector.iov_len = bytes.len();
            header.msg_hdr = empty_header().msg_hdr;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        self.submit(socket, count)
    }

    /// The first `count` headers must have been written since the packets were borrowed.
    fn submit(&mut self, socket: &impl AsFd, count: u32) -> io::Result<usize> {
        if count == 0 {
            return Ok(0);
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `count` headers point into `self` and into the packets, all of which
        // the callers borrow until this returns.
        let sent =
            unsafe { libc::sendmmsg(fd, self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        or_would_block(sent)
    }
}

impl BatchReceiver {
    /// For at most `capacity` datagrams of at most `bytes_max` bytes per call.
    #[must_use]
    pub fn new(capacity: usize, bytes_max: usize) -> Self {
        Self {
            headers: vec![empty_header(); capacity],
            vectors: vec![empty_vector(); capacity],
            buffers: vec![vec![0; bytes_max]; capacity],
            received: 0,
        }
    }

    /// Receives what is there, without waiting; returns how many. Longer datagrams are cut.
    ///
    /// # Errors
    /// What the kernel says, except that there is nothing.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        let mut count = 0;
        for ((header, vector), buffer) in slots.zip(&mut self.buffers) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: the first `count` headers point into `self`, which is borrowed mutably until the
        // call returns; no address and no control data is asked for.
        let received = unsafe { libc::recvmmsg(fd, headers, count, flags, ptr::null_mut()) };
        self.received = 0;
        self.received = or_would_block(received)?;
        Ok(self.received)
    }

    /// One datagram of the last batch; empty beyond its end.
    pub fn packet(&mut self, index: usize) -> &mut [u8] {
        let header = self
            .headers
            .get(..self.received)
            .and_then(|headers| headers.get(index));
        let length = header.map_or(0, |header| header.msg_len);
        let length = usize::try_from(length).unwrap_or_default();
        let buffer = self.buffers.get_mut(index).map(Vec::as_mut_slice);
        buffer
            .and_then(|buffer| buffer.get_mut(..length))
            .unwrap_or_default()
    }
}

/// Writes an `IP_PKTINFO` control message (ip(7)); returns its length.
fn write_source(source: Ipv4Addr, control: &mut [u64; CONTROL_WORDS]) -> usize {
    let length = CONTROL_HEADER_BYTES + PACKET_INFO_BYTES;
    let kind = u64::from(libc::IP_PKTINFO.cast_unsigned());
    let level = u64::from(libc::IPPROTO_IP.cast_unsigned());
    let address = u64::from(u32::from_ne_bytes(source.octets()));
    // cmsg_len; cmsg_level and cmsg_type; then ipi_ifindex (any) and ipi_spec_dst; ipi_addr.
    let pair = |first: u64, second: u64| {
        if cfg!(target_endian = "little") {
            first | second << 32
        } else {
            first << 32 | second
        }
    };
    *control = [length as u64, pair(level, kind), pair(0, address), 0];
    length
}

/// How many; 0 for a failure that passes by itself.
fn or_would_block(result: libc::c_int) -> io::Result<usize> {
    match usize::try_from(result) {
        Ok(count) => Ok(count),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            // The interface has no room, or a signal came: as well later.
            error if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            error => Err(error),
        },
    }
}

pub(super) fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}

pub(super) fn empty_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_arrives_whole_and_from_the_chosen_addresses() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let sources = [Ipv4Addr::new(127, 1, 2, 3), Ipv4Addr::new(127, 200, 0, 9)];
        let packets = [b"first", b"other"].map(|bytes| &bytes[..]);
        let batch = [
            Outgoing {
                to,
                from: Some(sources[0]),
                bytes: packets[0],
            },
            Outgoing {
                to,
                from: Some(sources[1]),
                bytes: packets[1],
            },
        ];
        assert_eq!(BatchSender::new(8).send(&sender, &batch).unwrap(), 2);
        let mut buffer = [0; 16];
        receiver
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        for (packet, source) in packets.into_iter().zip(sources) {
            let (length, from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from.ip()), (packet, source.into()));
        }
    }

    #[test]
    fn a_connected_socket_needs_no_addresses_even_after_a_batch_that_had_them() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("0.0.0.0:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let first = Outgoing {
            to,
            from: Some(Ipv4Addr::new(127, 9, 9, 9)),
            bytes: b"first",
        };
        let mut batch = BatchSender::new(2);
        assert_eq!(batch.send(&sender, &[first]).unwrap(), 1);
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(to).unwrap();
        let packets = [&b"second"[..], b"third", b"beyond the capacity"];
        let sent = batch.send_connected(&connected, packets.into_iter());
        assert_eq!(sent.unwrap(), 2);
        let patience = Some(Duration::from_secs(20));
        receiver.set_read_timeout(patience).unwrap();
        let mut buffer = [0; 16];
        let mut sources = Vec::new();
        for text in [&b"first"[..], b"second", b"third"] {
            let (length, from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text);
            sources.push(from);
        }
        let own = connected.local_addr().unwrap();
        assert!(sources[0] != own && sources[1..] == [own, own]);
    }

    #[test]
    fn receives_several_at_once_and_none_without_waiting() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = BatchReceiver::new(4, 4);
        assert_eq!(batch.receive(&receiver).unwrap(), 0);
        for text in ["a", "bc", "too long"] {
            sender
                .send_to(text.as_bytes(), receiver.local_addr().unwrap())
                .unwrap();
        }
        assert_eq!(batch.receive(&receiver).unwrap(), 3);
        assert_eq!(batch.packet(0), b"a");
        assert_eq!(batch.packet(1), b"bc");
        assert_eq!(batch.packet(2), b"too ");
        assert_eq!(batch.packet(3), b"");
        assert_eq!(batch.receive(&receiver).unwrap(), 0);
        assert_eq!(batch.packet(0), b"");
    }
}
