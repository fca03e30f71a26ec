//! Whole Ethernet frames, past the UDP stack (packet(7)): what lets one core of a load generator
//! offer more than one core of a worker can take.
//!
//! Frames are sent with `sendmmsg(2)` straight to the driver, each behind a `struct
//! virtio_net_hdr`, by which one frame may stand for many datagrams (UDP segmentation). They are
//! received through a ring that the kernel shares with this process, each with the time of its
//! arrival.

#![expect(
    unsafe_code,
    reason = "packet sockets and their rings have no safe wrapper here"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Room in front of a frame: its header in the ring, and the address that follows it.
const HEADER_BYTES_MAX: usize = 128;
/// Memory that the kernel takes in one piece.
const BLOCK_BYTES: usize = 1 << 16;
/// In network byte order, as the kernel wants it.
const EVERY_PROTOCOL: u16 = 0x0003_u16.to_be();

/// Two packet sockets on one interface: one to send, and one with a receive ring.
pub struct PacketRing {
    sender: OwnedFd,
    socket: OwnedFd,
    memory: NonNull<u8>,
    memory_bytes: usize,
    slot_bytes: usize,
    slots: usize,
    next: usize,
}

impl PacketRing {
    /// Opens the interface with this index, of the network namespace of the calling thread, for
    /// frames of at most `frame_bytes_max` bytes; at least `slots` of them can wait.
    ///
    /// # Errors
    /// No privilege (`CAP_NET_RAW`), no such interface, or no memory.
    pub fn open(interface: u32, frame_bytes_max: usize, slots: usize) -> io::Result<Self> {
        let sender = packet_socket()?;
        set_option(&sender, libc::PACKET_VNET_HDR, &1)?;
        set_option(&sender, libc::PACKET_QDISC_BYPASS, &1)?;
        bind(&sender, interface, 0)?;
        let socket = packet_socket()?;
        let slot_bytes = (HEADER_BYTES_MAX + frame_bytes_max).next_power_of_two();
        let memory_bytes = (slots * slot_bytes).next_multiple_of(BLOCK_BYTES);
        let request = libc::tpacket_req {
            tp_block_size: number(BLOCK_BYTES)?,
            tp_block_nr: number(memory_bytes / BLOCK_BYTES)?,
            tp_frame_size: number(slot_bytes)?,
            tp_frame_nr: number(memory_bytes / slot_bytes)?,
        };
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        set_option(&socket, libc::PACKET_VERSION, &version)?;
        set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1)?;
        set_option(&socket, libc::PACKET_RX_RING, &request)?;
        let memory = map(&socket, memory_bytes)?;
        let ring = Self {
            sender,
            socket,
            memory,
            memory_bytes,
            slot_bytes,
            slots: memory_bytes / slot_bytes,
            next: 0,
        };
        bind(&ring.socket, interface, EVERY_PROTOCOL)?;
        Ok(ring)
    }

    /// Takes what has arrived, at most `limit` frames; returns how many. Each is shown with its
    /// time of arrival (since 1970), and is gone afterwards.
    pub fn receive(&mut self, limit: usize, mut each: impl FnMut(&mut [u8], Duration)) -> usize {
        for count in 0..limit {
            // SAFETY: `next` is below `slots`, so the slot lies within the mapping.
            let slot = unsafe { self.memory.add(self.next * self.slot_bytes) };
            // SAFETY: a slot begins with its state, four aligned bytes, which both sides change
            // atomically.
            let state = unsafe { AtomicU32::from_ptr(slot.as_ptr().cast()) };
            if state.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return count;
            }
            // SAFETY: the kernel wrote a header here, and has given the slot to us.
            let header: libc::tpacket2_hdr = unsafe { ptr::read(slot.as_ptr().cast()) };
            let start = usize::from(header.tp_mac).min(self.slot_bytes);
            let length = usize::try_from(header.tp_snaplen).unwrap_or(usize::MAX);
            let length = length.min(self.slot_bytes - start);
            // SAFETY: `start` is at most the length of the slot.
            let first = unsafe { slot.add(start) };
            // SAFETY: within the slot, initialised by the kernel, and ours until the state is
            // given back below.
            let frame = unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), length) };
            each(
                frame,
                Duration::new(header.tp_sec.into(), header.tp_nsec % 1_000_000_000),
            );
            state.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.slots;
        }
        limit
    }

    /// Frames that found no room in the ring since this was last asked.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn overflow(&self) -> io::Result<u32> {
        let mut counts = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = option_length::<libc::tpacket_stats>();
        let fd = self.socket.as_raw_fd();
        // SAFETY: the kernel writes at most `length` bytes, which is the size of `counts`.
        let result = unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counts).cast(),
                &raw mut length,
            )
        };
        succeeded(result)?;
        Ok(counts.tp_drops)
    }
}

impl AsFd for PacketRing {
    /// The socket to send with.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sender.as_fd()
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this length, and nothing points into it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.memory_bytes) };
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: makes a descriptor, and touches no memory.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn map(socket: &OwnedFd, bytes: usize) -> io::Result<NonNull<u8>> {
    let (fd, access) = (socket.as_raw_fd(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping at a place of the kernel's choice; no existing memory is touched.
    let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd, 0) };
    if memory == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(memory.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// With protocol 0, nothing is received.
fn bind(socket: &OwnedFd, interface: u32, protocol: u16) -> io::Result<()> {
    let index = i32::try_from(interface).map_err(io::Error::other)?;
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: protocol,
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = option_length::<libc::sockaddr_ll>();
    let fd = socket.as_raw_fd();
    // SAFETY: the kernel reads `length` bytes, which is the size of `address`.
    succeeded(unsafe { libc::bind(fd, (&raw const address).cast(), length) })
}

fn set_option<T>(socket: &OwnedFd, name: libc::c_int, value: &T) -> io::Result<()> {
    let (fd, value) = (socket.as_raw_fd(), ptr::from_ref(value).cast());
    // SAFETY: the kernel reads as many bytes as `value` has.
    succeeded(unsafe { libc::setsockopt(fd, libc::SOL_PACKET, name, value, option_length::<T>()) })
}

fn option_length<T>() -> libc::socklen_t {
    // No option here is anywhere near that long.
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(io::Error::other)
}

fn succeeded(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
