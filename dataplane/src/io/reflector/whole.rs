//! The same with runs of equal datagrams taken whole and sent back whole (UDP generic receive and
//! segmentation offload, udp(7)): what that would save a worker at most.

use std::os::fd::{AsFd, AsRawFd};
use std::{io, ptr};

use super::send_back;
use crate::io::address::{ADDRESS_BYTES, ADDRESS_BYTES_U32};
use crate::io::batch::{empty_header, empty_vector};
use crate::io::control::Control;
use crate::io::socket;

/// Runs per system call.
const BATCH_RUNS: usize = 32;
/// The longest run: the longest datagram.
const RUN_BYTES_MAX: usize = 65_535;

/// What comes beside a run: how long each of its datagrams is.
#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
struct Told {
    length: usize,
    level: i32,
    kind: i32,
    segment_bytes: i32,
    padding: i32,
}

/// Receives runs of datagrams and sends each back to where it came from.
pub struct WholeReflector {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    addresses: Vec<[u8; ADDRESS_BYTES]>,
    told: Vec<Told>,
    controls: Vec<Control>,
    buffers: Vec<Vec<u8>>,
}

impl WholeReflector {
    /// For one socket, which from now on takes runs whole.
    ///
    /// # Errors
    /// The kernel cannot (before Linux 5.0).
    pub fn new(socket: &impl AsFd) -> io::Result<Self> {
        if !socket::take_runs(socket) {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            headers: vec![empty_header(); BATCH_RUNS],
            vectors: vec![empty_vector(); BATCH_RUNS],
            addresses: vec![[0; ADDRESS_BYTES]; BATCH_RUNS],
            told: vec![Told::default(); BATCH_RUNS],
            controls: vec![Control::default(); BATCH_RUNS],
            buffers: vec![vec![0; RUN_BYTES_MAX]; BATCH_RUNS],
        })
    }

    /// As [`Reflector::turn`](super::Reflector::turn); what cannot be sent as it came is lost.
    ///
    /// # Errors
    /// What the kernel says when it receives.
    pub fn turn(&mut self, socket: &impl AsFd) -> io::Result<()> {
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        let slots = slots.zip(self.addresses.iter_mut().zip(&mut self.told));
        let mut capacity = 0;
        for (((header, vector), (address, told)), buffer) in slots.zip(&mut self.buffers) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            let header = &mut header.msg_hdr;
            header.msg_name = address.as_mut_ptr().cast();
            header.msg_namelen = ADDRESS_BYTES_U32;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = ptr::from_mut(told).cast();
            header.msg_controllen = size_of::<Told>();
            capacity += 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_WAITFORONE);
        // SAFETY: the headers point into `self`, which is borrowed mutably until the call returns.
        let received = unsafe { libc::recvmmsg(fd, headers, capacity, flags, ptr::null_mut()) };
        let Ok(count) = usize::try_from(received) else {
            return Err(io::Error::last_os_error());
        };
        let slots = self.headers.iter_mut().zip(&mut self.vectors);
        let slots = slots.zip(self.told.iter().zip(&mut self.controls));
        for ((header, vector), (told, control)) in slots.take(count) {
            vector.iov_len = usize::try_from(header.msg_len).unwrap_or_default();
            let header = &mut header.msg_hdr;
            let is_told = header.msg_controllen > 0
                && (told.level, told.kind) == (libc::SOL_UDP, libc::UDP_GRO);
            let segment = usize::try_from(told.segment_bytes).unwrap_or_default();
            let segment = Some(segment).filter(|bytes| is_told && *bytes < vector.iov_len);
            header.msg_controllen = control.write(segment, None);
            header.msg_control = ptr::from_mut(control).cast();
        }
        let received = self.headers.get_mut(..count).unwrap_or_default();
        // SAFETY: as above; the address of each is the one that the kernel wrote.
        unsafe { send_back(fd, received) };
        Ok(())
    }
}
