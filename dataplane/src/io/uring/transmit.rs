//! Sending, and what the kernel reads meanwhile: destination, place and length.
//!
//! A run of packets of one length to one peer (a video frame) leaves as one request, and the
//! kernel cuts it again ([`segments`]). So each packet waits until it is known what follows it, at
//! most until the end of the turn. A request is known by the buffer of its first packet.

use std::net::SocketAddr;
use std::ptr;

use io_uring::{cqueue, opcode};

use super::Uring;
use super::sockets::Target;
use super::tag::{Kind, Tag};
use crate::engine::Transmit;
use crate::io::address::{self, ADDRESS_BYTES};
use crate::io::buffers::Buffer;
use crate::io::control::{Control, Mark};
use crate::io::place;
use crate::io::received::PAYLOAD_OFFSET;
use crate::limits::{BUFFER_BYTES, BUFFERS_PER_WORKER, SEGMENTED_SENDS_MAX, SEGMENTS_PER_SEND_MAX};

/// What the kernel reads while it sends. None of it ever moves.
pub(super) struct Transmits {
    /// One for each buffer, so a send never waits for one.
    slots: Box<[Slot]>,
    /// As many, apart: audio needs none.
    controls: Box<[Control]>,
    runs: Box<[Run]>,
    free_runs: Vec<usize>,
    /// The request that waits for what follows.
    open: Option<Open>,
}

struct Slot {
    header: libc::msghdr,
    vector: libc::iovec,
    address: [u8; ADDRESS_BYTES],
    socket: u32,
    /// The run that begins with this packet.
    run: Option<usize>,
    mark: Option<Mark>,
    /// Of a send without a copy, until the kernel no longer reads from the buffer.
    result: i32,
}

/// The packets of a request that carries several.
struct Run {
    vectors: [libc::iovec; SEGMENTS_PER_SEND_MAX],
    buffers: [u16; SEGMENTS_PER_SEND_MAX],
    count: usize,
}

/// A request that may grow.
#[derive(Clone, Copy)]
struct Open {
    first: u16,
    socket: u32,
    to: SocketAddr,
    mark: Option<Mark>,
    segment_bytes: usize,
    /// A shorter packet ends the run.
    is_complete: bool,
}

impl Transmits {
    pub(super) fn new() -> Self {
        let slot = |_| Slot {
            header: super::empty_header(),
            vector: empty_vector(),
            address: [0; ADDRESS_BYTES],
            socket: 0,
            run: None,
            mark: None,
            result: 0,
        };
        let run = |_| Run {
            vectors: [empty_vector(); SEGMENTS_PER_SEND_MAX],
            buffers: [0; SEGMENTS_PER_SEND_MAX],
            count: 0,
        };
        Self {
            slots: (0..BUFFERS_PER_WORKER).map(slot).collect(),
            controls: vec![Control::default(); BUFFERS_PER_WORKER].into_boxed_slice(),
            runs: (0..SEGMENTED_SENDS_MAX).map(run).collect(),
            free_runs: (0..SEGMENTED_SENDS_MAX).collect(),
            open: None,
        }
    }

    /// Writes the slot of a buffer; without `to` for a connected socket.
    fn prepare(
        &mut self,
        buffer: u16,
        socket: u32,
        to: Option<SocketAddr>,
        mark: Option<Mark>,
        vector: libc::iovec,
    ) {
        let Some(slot) = self.slots.get_mut(usize::from(buffer)) else {
            return;
        };
        slot.socket = socket;
        slot.mark = mark;
        slot.vector = vector;
        slot.run = None;
        slot.header = super::empty_header();
        // With a name the kernel would look up the route again, though it is the same.
        if let Some(to) = to {
            slot.header.msg_namelen = address::write(to, &mut slot.address);
            slot.header.msg_name = (&raw mut slot.address).cast();
        }
        slot.header.msg_iov = &raw mut slot.vector;
        slot.header.msg_iovlen = 1;
        if mark.is_some() {
            self.write_control(buffer, None);
        }
    }

    fn write_control(&mut self, first: u16, segment_bytes: Option<usize>) {
        let index = usize::from(first);
        let places = self.slots.get_mut(index).zip(self.controls.get_mut(index));
        if let Some((slot, control)) = places {
            slot.header.msg_controllen = control.write(segment_bytes, slot.mark);
            slot.header.msg_control = ptr::from_mut(control).cast();
        }
    }

    /// Puts a packet behind the open request, if it goes the same way and there is room.
    fn join(
        &mut self,
        buffer: u16,
        socket: u32,
        to: SocketAddr,
        mark: Option<Mark>,
        vector: libc::iovec,
    ) -> bool {
        let Some(mut open) = self.open.filter(|open| {
            let same_way = open.socket == socket && open.to == to && open.mark == mark;
            same_way && !open.is_complete && (1..=open.segment_bytes).contains(&vector.iov_len)
        }) else {
            return false;
        };
        let Some(slot) = self.slots.get_mut(usize::from(open.first)) else {
            return false;
        };
        let Some(index) = slot.run.or_else(|| self.free_runs.pop()) else {
            return false;
        };
        let Some(run) = self.runs.get_mut(index) else {
            return false;
        };
        let begins = slot.run.is_none();
        if begins {
            slot.run = Some(index);
            (run.vectors[0], run.buffers[0], run.count) = (slot.vector, open.first, 1);
            slot.header.msg_iov = run.vectors.as_mut_ptr();
        }
        let places = run
            .vectors
            .get_mut(run.count)
            .zip(run.buffers.get_mut(run.count));
        let Some((place, name)) = places else {
            return false;
        };
        (*place, *name) = (vector, buffer);
        run.count += 1;
        slot.header.msg_iovlen = run.count;
        open.is_complete = vector.iov_len < open.segment_bytes;
        self.open = Some(open);
        if begins {
            self.write_control(open.first, Some(open.segment_bytes));
        }
        true
    }

    /// The run that begins with this packet. It is over, and its packets stay in place only until
    /// the next one begins.
    fn take_run(&mut self, first: u16) -> Option<usize> {
        let index = self.slots.get_mut(usize::from(first))?.run.take()?;
        self.free_runs.push(index);
        Some(index)
    }

    /// One packet of a run: its buffer, and where it lies.
    fn segment(&self, run: usize, position: usize) -> Option<(u16, libc::iovec)> {
        let run = self.runs.get(run)?;
        let place = run.buffers.get(..run.count)?.get(position);
        place.copied().zip(run.vectors.get(position).copied())
    }

    fn header(&self, first: u16) -> Option<*const libc::msghdr> {
        let slot = self.slots.get(usize::from(first))?;
        Some(&raw const slot.header)
    }
}

impl Uring {
    pub(super) fn send_buffer(&mut self, buffer: Buffer, transmit: &Transmit) {
        let socket = place::index(transmit.socket);
        let is_open = self.sockets.target(socket).is_some();
        if !is_open || PAYLOAD_OFFSET + transmit.length > BUFFER_BYTES {
            self.send_failures += 1;
            self.buffers.give_back(buffer);
            return;
        }
        let start = self.buffers.sending(&buffer).wrapping_add(PAYLOAD_OFFSET);
        let vector = libc::iovec {
            iov_base: start.cast(),
            iov_len: transmit.length,
        };
        let (id, to) = (buffer.id(), transmit.to);
        let mark = self.video_marks.of(transmit);
        if self.segmentation_offload && self.transmits.join(id, socket, to, mark, vector) {
            return;
        }
        self.push_open_send();
        let peer = self.sockets.get(socket).and_then(|slot| slot.peer);
        let name = Some(to).filter(|to| peer != Some(*to));
        self.transmits.prepare(id, socket, name, mark, vector);
        self.transmits.open = Some(Open {
            first: id,
            socket,
            to,
            mark,
            segment_bytes: transmit.length,
            is_complete: false,
        });
    }

    /// Hands the waiting request to the ring. To be called before anything else happens to its
    /// socket, and at the end of the turn.
    pub(super) fn push_open_send(&mut self) {
        if let Some(open) = self.transmits.open.take()
            && !self.push_send(open.first, open.socket)
        {
            self.finish_send(open.first, false);
        }
    }

    fn push_send(&mut self, first: u16, socket: u32) -> bool {
        let (Some(target), Some(header)) = (self.send_target(socket), self.transmits.header(first))
        else {
            return false;
        };
        // Never waits: what the socket's queue cannot take is lost, like in any full queue.
        let flags = libc::MSG_DONTWAIT.cast_unsigned();
        let entry = match (target, self.zero_copy) {
            (Target::Registered(file), false) => {
                opcode::SendMsg::new(file, header).flags(flags).build()
            }
            (Target::Descriptor(fd), false) => {
                opcode::SendMsg::new(fd, header).flags(flags).build()
            }
            (Target::Registered(file), true) => {
                opcode::SendMsgZc::new(file, header).flags(flags).build()
            }
            (Target::Descriptor(fd), true) => {
                opcode::SendMsgZc::new(fd, header).flags(flags).build()
            }
        };
        let pushed = self.push(entry, Tag::new(Kind::Send, 0, u32::from(first)));
        self.sends_under_way += usize::from(pushed);
        if let Some(slot) = self.sockets.get_mut(socket).filter(|_| pushed) {
            slot.requests += 1;
        }
        pushed
    }

    /// How to name an open socket that is sent from: registered with its first packet, so that a
    /// call without media pays nothing for it.
    fn send_target(&mut self, index: u32) -> Option<Target> {
        if let Some(descriptor) = self.sockets.take_unregistered(index)
            && self.files.add(&self.ring, index, descriptor)
        {
            self.sockets.set_registered(index);
        }
        self.sockets.target(index)
    }

    /// Takes the buffers of a request back.
    fn finish_send(&mut self, first: u16, is_sent: bool) {
        match self.transmits.take_run(first) {
            None => self.finish_packet(first, is_sent),
            Some(run) => {
                let mut position = 0;
                while let Some((id, _)) = self.transmits.segment(run, position) {
                    self.finish_packet(id, is_sent);
                    position += 1;
                }
            }
        }
    }

    fn finish_packet(&mut self, id: u16, is_sent: bool) {
        self.send_failures += u64::from(!is_sent);
        let buffer = self.buffers.sent(id);
        self.buffers.give_back(buffer);
    }

    /// One completion; or, for a send without a copy, two: what became of it, and that the kernel
    /// no longer reads from the buffer.
    pub(super) fn handle_sent(&mut self, tag: Tag, entry: &cqueue::Entry) {
        let Ok(first) = u16::try_from(tag.index) else {
            return;
        };
        let Some(slot) = self.transmits.slots.get_mut(usize::from(first)) else {
            return;
        };
        if !cqueue::notif(entry.flags()) {
            self.sends_under_way -= 1;
            slot.result = entry.result();
        }
        if cqueue::more(entry.flags()) {
            return;
        }
        let (socket, is_run, result) = (slot.socket, slot.run.is_some(), slot.result);
        if is_run && cannot_cut(result) {
            self.send_singly(first, socket);
        } else {
            self.finish_send(first, result >= 0);
        }
        if let Some(slot) = self.sockets.get_mut(socket) {
            slot.requests -= 1;
        }
        self.release_if_done(socket);
    }

    /// Sends the packets of a run once more, each by itself.
    fn send_singly(&mut self, first: u16, socket: u32) {
        let slot = self.transmits.slots.get(usize::from(first));
        let mark = slot.and_then(|slot| slot.mark);
        let named = slot.filter(|slot| !slot.header.msg_name.is_null());
        let to = named.and_then(|slot| address::read(&slot.address));
        let Some(run) = self.transmits.take_run(first) else {
            return;
        };
        let mut position = 0;
        while let Some((id, vector)) = self.transmits.segment(run, position) {
            self.transmits.prepare(id, socket, to, mark, vector);
            if !self.push_send(id, socket) {
                self.finish_packet(id, false);
            }
            position += 1;
        }
    }
}

/// The path's MTU or the device does not let the kernel cut a run.
fn cannot_cut(result: i32) -> bool {
    matches!(
        -result,
        libc::EINVAL | libc::EMSGSIZE | libc::EIO | libc::EOPNOTSUPP
    )
}

fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}
