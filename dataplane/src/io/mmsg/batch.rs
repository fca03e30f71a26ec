//! Packets on their way through `recvmmsg(2)` and `sendmmsg(2)`.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr;

use crate::io::address::{self, ADDRESS_BYTES};
use crate::io::buffers::{Buffer, Buffers};
use crate::io::control::{Control, Mark};
use crate::io::received::PAYLOAD_OFFSET;
use crate::limits::{
    BUFFER_BYTES, DATAGRAMS_PER_TURN_MAX, PACKETS_PER_TURN_MAX, SEGMENTS_PER_SEND_MAX,
};

/// Packets that leave in one turn.
const OUTBOX_PACKETS: usize = PACKETS_PER_TURN_MAX + DATAGRAMS_PER_TURN_MAX;

/// Buffers laid out for the packets of one turn.
pub(super) struct Inbox {
    headers: Box<[libc::mmsghdr]>,
    /// Only pointed to.
    vectors: Box<[libc::iovec]>,
    addresses: Box<[[u8; ADDRESS_BYTES]]>,
    buffers: Box<[Option<u16>]>,
    /// How many of the first places hold a packet …
    filled: usize,
    /// … and how many of those were taken out.
    taken: usize,
    /// How many of the first places have a buffer.
    laid_out: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let count = PACKETS_PER_TURN_MAX;
        Self {
            headers: vec![empty_header(); count].into_boxed_slice(),
            vectors: vec![empty_vector(); count].into_boxed_slice(),
            addresses: vec![[0; ADDRESS_BYTES]; count].into_boxed_slice(),
            buffers: vec![None; count].into_boxed_slice(),
            filled: 0,
            taken: 0,
            laid_out: 0,
        }
    }

    /// Begins a turn: every place gets a buffer, as far as there are some.
    pub(super) fn lay_out(&mut self, buffers: &mut Buffers) {
        (self.filled, self.taken) = (0, 0);
        let places = self.headers.iter_mut().zip(&mut self.vectors);
        let places = places.zip(self.addresses.iter_mut().zip(&mut self.buffers));
        self.laid_out = 0;
        for ((header, vector), (address, place)) in places {
            if place.is_none() {
                let Some(buffer) = buffers.take_spare() else {
                    return;
                };
                vector.iov_base = buffers.lend(&buffer).wrapping_add(PAYLOAD_OFFSET).cast();
                vector.iov_len = BUFFER_BYTES - PAYLOAD_OFFSET;
                *place = Some(buffer.id());
                header.msg_hdr.msg_name = address.as_mut_ptr().cast();
                header.msg_hdr.msg_namelen = address::ADDRESS_BYTES_U32;
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
            }
            self.laid_out += 1;
        }
    }

    /// Packets that still fit into the turn.
    pub(super) fn room(&self) -> usize {
        self.laid_out - self.filled
    }

    /// Receives what is there, at most so many packets; they can be [taken](Self::take) then.
    pub(super) fn receive(&mut self, socket: RawFd, packets_max: usize) -> io::Result<usize> {
        let count = packets_max.min(self.room());
        let headers = self
            .headers
            .get_mut(self.filled..self.filled + count)
            .unwrap_or_default();
        let length = u32::try_from(headers.len()).unwrap_or_default();
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the headers point to vectors and addresses of `self`, which do not move, and to
        // buffers that are lent to the kernel until `take`.
        let received =
            unsafe { libc::recvmmsg(socket, headers.as_mut_ptr(), length, flags, ptr::null_mut()) };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.filled += received;
        Ok(received)
    }

    /// The next packet: its buffer, who sent it and how long it is.
    pub(super) fn take(
        &mut self,
        buffers: &mut Buffers,
    ) -> Option<(Buffer, Option<SocketAddr>, usize)> {
        if self.taken == self.filled {
            return None;
        }
        let id = self.buffers.get_mut(self.taken)?.take()?;
        let length = self.headers.get(self.taken)?.msg_len;
        let from = address::read(self.addresses.get(self.taken)?);
        self.taken += 1;
        Some((
            buffers.received(id),
            from,
            usize::try_from(length).unwrap_or_default(),
        ))
    }

    /// Gives every buffer back.
    pub(super) fn clear(&mut self, buffers: &mut Buffers) {
        for id in self.buffers.iter_mut().filter_map(Option::take) {
            let buffer = buffers.received(id);
            buffers.give_back(buffer);
        }
        (self.filled, self.taken, self.laid_out) = (0, 0, 0);
    }
}

/// A packet that waits for the end of the turn.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    /// Place of the socket that it leaves from.
    pub(super) socket: u32,
    /// Its buffer, in flight.
    pub(super) buffer: u16,
    /// Where it goes.
    pub(super) to: SocketAddr,
    /// Where its first byte lies.
    pub(super) start: *mut u8,
    pub(super) length: usize,
    pub(super) mark: Option<Mark>,
}

/// The packets that leave at the end of a turn.
pub(super) struct Outbox {
    waiting: Vec<Sending>,
    /// Positions in `waiting`, by socket.
    order: Vec<u16>,
    headers: Vec<libc::mmsghdr>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[[u8; ADDRESS_BYTES]]>,
    controls: Box<[Control]>,
    /// For each header, how many packets it carries.
    counts: Vec<usize>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let count = OUTBOX_PACKETS;
        Self {
            waiting: Vec::with_capacity(count),
            order: Vec::with_capacity(count),
            headers: Vec::with_capacity(count),
            vectors: vec![empty_vector(); count].into_boxed_slice(),
            addresses: vec![[0; ADDRESS_BYTES]; count].into_boxed_slice(),
            controls: vec![Control::default(); count].into_boxed_slice(),
            counts: Vec::with_capacity(count),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() == OUTBOX_PACKETS
    }

    pub(super) fn push(&mut self, sending: Sending) {
        debug_assert!(!self.is_full(), "the caller flushes a full outbox");
        self.waiting.push(sending);
    }

    /// Sends everything, with one system call per socket where that goes well. `socket` tells the
    /// descriptor of a place and its connected peer; `done` hears of every buffer once, and
    /// whether it was sent.
    pub(super) fn flush(
        &mut self,
        segmentation: bool,
        socket: impl Fn(u32) -> Option<(RawFd, Option<SocketAddr>)>,
        mut done: impl FnMut(u16, bool),
    ) {
        if self.waiting.is_empty() {
            return;
        }
        self.order.clear();
        self.order
            .extend((0..).take(self.waiting.len()).map(|position: u16| position));
        let key = |waiting: &[Sending], position: u16| {
            let socket = waiting.get(usize::from(position)).map(|s| s.socket);
            (socket, position)
        };
        let waiting = std::mem::take(&mut self.waiting);
        // In place, and with the position in the key it keeps the order on each socket.
        self.order
            .sort_unstable_by_key(|position| key(&waiting, *position));
        let order = std::mem::take(&mut self.order);
        let packet = |position: &u16| waiting.get(usize::from(*position));
        for run in order.chunk_by(|a, b| packet(a).map(|p| p.socket) == packet(b).map(|p| p.socket))
        {
            let target = run.first().and_then(packet).and_then(|p| socket(p.socket));
            let packets = run.iter().filter_map(packet);
            let Some((raw, peer)) = target else {
                packets.for_each(|packet| done(packet.buffer, false));
                continue;
            };
            self.prepare(packets, peer, segmentation);
            self.send_run(raw, run.iter().filter_map(packet), &mut done);
        }
        self.order = order;
        self.waiting = waiting;
        self.waiting.clear();
    }

    /// Writes the headers of the packets of one socket.
    fn prepare<'a>(
        &mut self,
        packets: impl Iterator<Item = &'a Sending>,
        peer: Option<SocketAddr>,
        segmentation: bool,
    ) {
        self.headers.clear();
        self.counts.clear();
        let places = self.vectors.iter_mut().zip(&mut self.addresses);
        let places = places.zip(&mut self.controls);
        // The run of equal packets that the last header carries: the first one, and whether one
        // may follow.
        let mut run: Option<(&Sending, bool)> = None;
        for (packet, ((vector, address), control)) in packets.zip(places) {
            vector.iov_base = packet.start.cast();
            vector.iov_len = packet.length;
            let last = self.headers.last_mut().zip(self.counts.last_mut());
            if let Some(((first, open), (header, count))) = run.as_mut().zip(last)
                && segmentation
                && *open
                && (first.to, first.mark) == (packet.to, packet.mark)
                && packet.length <= first.length
                && *count < SEGMENTS_PER_SEND_MAX
            {
                // The vectors lie one behind the other.
                header.msg_hdr.msg_iovlen += 1;
                *count += 1;
                *open = packet.length == first.length;
                if *count == 2 {
                    let length = control.write(Some(first.length), first.mark);
                    header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                    header.msg_hdr.msg_controllen = length;
                }
                continue;
            }
            let mut header = empty_header();
            if peer != Some(packet.to) {
                header.msg_hdr.msg_namelen = address::write(packet.to, address);
                header.msg_hdr.msg_name = address.as_mut_ptr().cast();
            }
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if packet.mark.is_some() {
                header.msg_hdr.msg_controllen = control.write(None, packet.mark);
                header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            }
            self.headers.push(header);
            self.counts.push(1);
            run = Some((packet, packet.length > 0));
        }
    }

    fn send_run<'a>(
        &mut self,
        raw: RawFd,
        mut packets: impl Iterator<Item = &'a Sending>,
        done: &mut impl FnMut(u16, bool),
    ) {
        let mut first = 0;
        while let Some(headers) = self.headers.get_mut(first..).filter(|h| !h.is_empty()) {
            let length = u32::try_from(headers.len()).unwrap_or(u32::MAX);
            let flags = libc::MSG_DONTWAIT;
            // SAFETY: the headers point to vectors, addresses and controls of `self`, which do not
            // move, and to buffers in flight, which nobody touches.
            let sent = unsafe { libc::sendmmsg(raw, headers.as_mut_ptr(), length, flags) };
            let sent = usize::try_from(sent).unwrap_or(0);
            for count in self.counts.iter().skip(first).take(sent) {
                packets
                    .by_ref()
                    .take(*count)
                    .for_each(|packet| done(packet.buffer, true));
            }
            first += sent;
            if sent == 0 {
                // The first one fails: the others may still go.
                let count = self.counts.get(first).copied().unwrap_or(1);
                let whole = self.headers.get(first).copied();
                for index in 0..count {
                    let again = whole.filter(|_| count > 1);
                    if let Some(packet) = packets.next() {
                        let send = |header| send_segment(raw, header, index, packet.mark);
                        done(packet.buffer, again.is_some_and(send));
                    }
                }
                first += 1;
            }
        }
    }
}

/// Sends one packet of a header that carries several and was refused: a path or a device that
/// cannot cut them.
fn send_segment(raw: RawFd, mut header: libc::mmsghdr, index: usize, mark: Option<Mark>) -> bool {
    let mut control = Control::default();
    header.msg_hdr.msg_iov = header.msg_hdr.msg_iov.wrapping_add(index);
    header.msg_hdr.msg_iovlen = 1;
    header.msg_hdr.msg_controllen = control.write(None, mark);
    header.msg_hdr.msg_control = (&raw mut control).cast();
    // SAFETY: as for the whole header; `index` is below the number of its vectors.
    unsafe { libc::sendmsg(raw, &raw const header.msg_hdr, libc::MSG_DONTWAIT) >= 0 }
}

fn empty_vector() -> libc::iovec {
    libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}
