//! The same through io_uring: one multishot receive into a provided buffer ring, and each datagram
//! is sent from the buffer it arrived in. What the kernel's path costs a worker of ours that does
//! nothing else.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::{io, ptr};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use crate::io::address::ADDRESS_BYTES_U32;
use crate::io::batch::empty_vector;
use crate::io::buffers::{Buffer, Buffers};
use crate::io::uring;
use crate::limits::{BUFFERS_PER_WORKER, BUFFERS_TO_REARM_MIN};

const BUFFER_GROUP: u16 = 0;
/// Marks the receive; a send is marked with its buffer.
const RECEIVE: u64 = u64::MAX;

/// What the kernel reads while it sends from a buffer.
struct Sending {
    header: libc::msghdr,
    vector: libc::iovec,
}

/// Receives datagrams and sends each back to where it came from, with one system call a turn.
pub struct UringReflector {
    ring: IoUring,
    buffers: Buffers,
    /// One for each buffer.
    sendings: Box<[Sending]>,
    /// Asks for the source address. The kernel may read it until the ring is gone, so it stays.
    receive_header: &'static libc::msghdr,
    socket: UdpSocket,
    is_armed: bool,
}

impl UringReflector {
    /// Makes the ring of the calling thread: only this thread may call [`turn`](Self::turn). The
    /// memory of the packets stays mapped when the reflector goes.
    ///
    /// # Errors
    /// The kernel forbids or lacks io_uring, or has no memory for it.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let ring = uring::build_ring()?;
        let mut buffers = Buffers::new(0, true)?;
        let (address, entries) = buffers.ring();
        // SAFETY: the address is that of `entries` ring entries on a page boundary, and the map is
        // never unmapped.
        unsafe {
            let submitter = ring.submitter();
            submitter.register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0)?;
        }
        buffers.set_leak(true);
        let mut receive_header = Box::new(uring::empty_header());
        receive_header.msg_namelen = ADDRESS_BYTES_U32;
        let sending = || Sending {
            header: uring::empty_header(),
            vector: empty_vector(),
        };
        Ok(Self {
            ring,
            buffers,
            sendings: std::iter::repeat_with(sending)
                .take(BUFFERS_PER_WORKER)
                .collect(),
            receive_header: Box::leak(receive_header),
            socket,
            is_armed: false,
        })
    }

    /// Waits for a datagram, and sends back what has arrived; it leaves with the next turn. What
    /// cannot be sent is lost.
    ///
    /// # Errors
    /// The ring is broken.
    pub fn turn(&mut self) -> io::Result<()> {
        self.buffers.commit();
        if !self.is_armed && self.buffers.with_kernel() >= BUFFERS_TO_REARM_MIN {
            let socket = types::Fd(self.socket.as_raw_fd());
            let receive = opcode::RecvMsgMulti::new(socket, self.receive_header, BUFFER_GROUP);
            self.push(receive.build().user_data(RECEIVE))?;
            self.is_armed = true;
        }
        match self.ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
        while let Some(entry) = self.next_completion() {
            if entry.user_data() != RECEIVE {
                let sent = u16::try_from(entry.user_data()).unwrap_or(u16::MAX);
                let buffer = self.buffers.sent(sent);
                self.buffers.give_back(buffer);
                continue;
            }
            self.is_armed &= cqueue::more(entry.flags());
            if let Some(id) = cqueue::buffer_select(entry.flags()) {
                let buffer = self.buffers.received(id);
                self.send_back(buffer, entry.result())?;
            }
        }
        self.buffers.assert_conserved();
        Ok(())
    }

    fn next_completion(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    fn send_back(&mut self, buffer: Buffer, result: i32) -> io::Result<()> {
        let written = usize::try_from(result).unwrap_or_default();
        let written = self.buffers.bytes(&buffer).get(..written);
        let message = written
            .and_then(|bytes| types::RecvMsgOut::parse(bytes, self.receive_header).ok())
            .filter(|message| !message.is_payload_truncated());
        let place = self.sendings.get_mut(buffer.index());
        let (Some(message), Some(sending)) = (message, place) else {
            self.buffers.give_back(buffer);
            return Ok(());
        };
        sending.header.msg_name = message.name_data().as_ptr().cast_mut().cast();
        sending.header.msg_namelen = u32::try_from(message.name_data().len()).unwrap_or_default();
        sending.vector.iov_base = message.payload_data().as_ptr().cast_mut().cast();
        sending.vector.iov_len = message.payload_data().len();
        sending.header.msg_iov = &raw mut sending.vector;
        sending.header.msg_iovlen = 1;
        let socket = types::Fd(self.socket.as_raw_fd());
        let send = opcode::SendMsg::new(socket, ptr::from_ref(&sending.header))
            .flags(libc::MSG_DONTWAIT.cast_unsigned())
            .build();
        let id = buffer.id();
        self.buffers.sending(&buffer);
        self.push(send.user_data(id.into()))
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: what a send points to lies in a box and a map and is not touched before its
        // completion, which comes before the system call returns, since it never waits; the
        // header of the receive and the buffers live for ever.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}
