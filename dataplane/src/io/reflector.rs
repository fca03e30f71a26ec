//! The least that a program can do with a datagram: send it back. What the kernel's UDP path costs
//! by itself, and so the measure of everything that does more.

#![expect(
    unsafe_code,
    reason = "sendmmsg(2) and recvmmsg(2) have no safe wrapper here"
)]

mod uring;
mod whole;

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;

pub use self::uring::UringReflector;
pub use self::whole::WholeReflector;

use super::address::ADDRESS_BYTES;
use super::batch::{empty_header, empty_vector};

/// Datagrams per system call.
const BATCH_PACKETS: usize = 64;
/// Longer datagrams come back cut.
const PACKET_BYTES_MAX: usize = 2048;

/// Receives datagrams and sends each back to where it came from.
pub struct Reflector {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<[u8; ADDRESS_BYTES]>,
    buffers: Vec<[u8; PACKET_BYTES_MAX]>,
}

impl Default for Reflector {
    fn default() -> Self {
        Self {
            headers: vec![empty_header(); BATCH_PACKETS],
            vectors: vec![empty_vector(); BATCH_PACKETS],
            addresses: vec![[0; ADDRESS_BYTES]; BATCH_PACKETS],
            buffers: vec![[0; PACKET_BYTES_MAX]; BATCH_PACKETS],
        }
    }
}

impl Reflector {
    /// Waits for a datagram, as long as the socket does, takes what else is there, and sends all
    /// of it back. What cannot be sent is lost.
    ///
    /// # Errors
    /// What the kernel says when it receives.
    pub fn turn(&mut self, socket: &impl AsFd) -> io::Result<()> {
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        let slots = slots.zip(self.addresses.iter_mut().zip(&mut self.buffers));
        let mut capacity = 0;
        for ((header, vector), (address, buffer)) in slots {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            header.msg_hdr.msg_name = address.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = u32::try_from(ADDRESS_BYTES).unwrap_or_default();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            capacity += 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_WAITFORONE);
        // SAFETY: the headers point into `self`, which is borrowed mutably until the call returns.
        let received = unsafe { libc::recvmmsg(fd, headers, capacity, flags, ptr::null_mut()) };
        let Ok(count) = usize::try_from(received) else {
            return Err(io::Error::last_os_error());
        };
        for (header, vector) in self.headers.iter().zip(&mut self.vectors).take(count) {
            vector.iov_len = usize::try_from(header.msg_len).unwrap_or_default();
        }
        let received = self.headers.get_mut(..count).unwrap_or_default();
        // SAFETY: as above; the address of each is the one that the kernel wrote.
        unsafe { send_back(fd, received) };
        Ok(())
    }
}

/// Sends what was received; what cannot be sent is lost.
///
/// # Safety
/// The headers point to live memory that nobody else writes to.
unsafe fn send_back(socket: RawFd, mut headers: &mut [libc::mmsghdr]) {
    while !headers.is_empty() {
        let length = u32::try_from(headers.len()).unwrap_or_default();
        // SAFETY: by the contract of this function.
        let taken = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), length, 0) };
        // The first one is lost when the kernel refuses it.
        let taken = usize::try_from(taken).unwrap_or(0).max(1);
        headers = headers.get_mut(taken..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::io::control::Control;

    /// Two datagrams come back, each to who sent it, after at most so many turns.
    fn sends_every_datagram_back_to_its_own_sender(to: SocketAddr, turns: impl FnOnce()) {
        let senders = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for (sender, text) in senders.iter().zip(["first", "the other"]) {
            sender.send_to(text.as_bytes(), to).unwrap();
        }
        turns();
        for (sender, text) in senders.iter().zip(["first", "the other"]) {
            let patience = Some(Duration::from_secs(20));
            sender.set_read_timeout(patience).unwrap();
            let mut buffer = [0; 32];
            let length = sender.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], text.as_bytes());
        }
    }

    #[test]
    fn the_bare_loop_sends_every_datagram_back_to_its_own_sender() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sends_every_datagram_back_to_its_own_sender(socket.local_addr().unwrap(), || {
            Reflector::default().turn(&socket).unwrap();
        });
    }

    #[test]
    fn runs_come_back_whole_or_cut_as_they_came() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut reflector = WholeReflector::new(&socket).unwrap();
        let to = socket.local_addr().unwrap();
        sends_every_datagram_back_to_its_own_sender(to, || {
            reflector.turn(&socket).unwrap();
        });
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(to).unwrap();
        let patience = Some(Duration::from_secs(20));
        sender.set_read_timeout(patience).unwrap();
        // A run of three, as one datagram on the loopback interface.
        let (mut control, run) = (Control::default(), [7_u8; 250]);
        let mut vector = empty_vector();
        (vector.iov_base, vector.iov_len) = (run.as_ptr().cast_mut().cast(), run.len());
        let mut header = empty_header().msg_hdr;
        (header.msg_iov, header.msg_iovlen) = (&raw mut vector, 1);
        header.msg_controllen = control.write(Some(100), None);
        header.msg_control = (&raw mut control).cast();
        // SAFETY: the header points to live memory of the lengths it tells.
        let sent = unsafe { libc::sendmsg(sender.as_raw_fd(), &raw const header, 0) };
        assert_eq!(sent, 250);
        reflector.turn(&socket).unwrap();
        let mut buffer = [0; 300];
        for expected in [100, 100, 50] {
            assert_eq!(sender.recv(&mut buffer).unwrap(), expected);
        }
    }

    #[test]
    fn the_bare_ring_sends_every_datagram_back_to_its_own_sender() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sends_every_datagram_back_to_its_own_sender(socket.local_addr().unwrap(), || {
            let mut reflector = UringReflector::new(socket).unwrap();
            // What arrived in one turn leaves with the next one, whose completions end its wait.
            reflector.turn().unwrap();
            reflector.turn().unwrap();
        });
    }
}
