//! Packets through `recvmmsg(2)`, `sendmmsg(2)` and `epoll(7)`, for kernels and containers without
//! io_uring. The same turn, the same buffers and the same fairness as [`super::uring`].
//!
//! Sockets are watched edge-triggered: one that has said that it has packets stays in the queue
//! of ready sockets until it was found empty, and is asked for a few at a time. What is received
//! in a turn fills at most the buffers that were laid out for it, so a turn has an end.

#![expect(
    unsafe_code,
    reason = "epoll(7), sendmmsg(2) and recvmmsg(2) have no safe wrapper here"
)]

mod batch;
mod epoll;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use socket2::Socket;

use self::batch::{Inbox, Outbox, Sending};
use self::epoll::Epoll;
use super::backend::BackendParts;
use super::buffers::Buffers;
use super::control::VideoMarks;
use super::place::{self, BROWSER_INDEX};
use super::received::{PAYLOAD_OFFSET, Received};
use super::{setup, socket};
use crate::StartError;
use crate::engine::{SocketId, Transmit};
use crate::limits::{
    BUFFER_BYTES, BUFFERS_PER_WORKER, PACKETS_PER_SOCKET_MAX, PACKETS_PER_TURN_MAX,
};

/// What the event descriptor is called in epoll: no socket has this place.
const WAKE_INDEX: u32 = u32::MAX;
/// Of a turn, what the socket of all browsers may take while others wait.
const BROWSER_SHARE: usize = PACKETS_PER_TURN_MAX / 2;

struct Slot {
    descriptor: OwnedFd,
    /// The only peer, when the socket is connected.
    peer: Option<SocketAddr>,
    /// It is in the queue of ready sockets.
    is_queued: bool,
}

/// See [`super`] for what each call means.
pub(crate) struct Mmsg {
    epoll: Epoll,
    buffers: Buffers,
    slots: Box<[Option<Slot>]>,
    /// Sockets that may have packets, in the order of their turn; the browser socket has its own
    /// place.
    ready: VecDeque<u32>,
    is_browser_ready: bool,
    inbox: Inbox,
    outbox: Outbox,
    /// Packets of this turn, the first one last.
    received: Vec<Received>,
    segmentation_offload: bool,
    video_marks: VideoMarks,
    send_failures: u64,
}

impl Mmsg {
    /// Starts to receive from the browser socket.
    ///
    /// # Errors
    /// The process has no descriptor or no memory left.
    pub(crate) fn new(parts: BackendParts<'_>) -> Result<Self, StartError> {
        let flows_max = parts.flows_max;
        let kernel = |what| move |source| setup::explain_memory(what, source);
        let epoll = Epoll::new().map_err(kernel("make an epoll descriptor"))?;
        epoll
            .watch(parts.wake.as_raw_fd(), WAKE_INDEX)
            .map_err(kernel("watch an event descriptor"))?;
        let buffers = Buffers::new(BUFFERS_PER_WORKER, parts.config.huge_pages)
            .map_err(kernel("map the packet buffers"))?;
        let mut mmsg = Self {
            epoll,
            buffers,
            slots: (0..place::count(flows_max)).map(|_| None).collect(),
            ready: VecDeque::with_capacity(place::count(flows_max)),
            is_browser_ready: false,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            received: Vec::with_capacity(PACKETS_PER_TURN_MAX),
            segmentation_offload: parts.config.segmentation_offload,
            video_marks: VideoMarks::new(&parts.config),
            send_failures: 0,
        };
        mmsg.open(SocketId::Browser, parts.browser);
        Ok(mmsg)
    }

    pub(crate) fn open(&mut self, id: SocketId, socket: Socket) -> bool {
        let index = place::index(id);
        let Some(place @ None) = self.slot_place(index) else {
            return false;
        };
        let descriptor = OwnedFd::from(socket);
        let raw = descriptor.as_raw_fd();
        *place = Some(Slot {
            descriptor,
            peer: None,
            is_queued: false,
        });
        if self.epoll.watch(raw, index).is_err() {
            self.forget(index);
            return false;
        }
        true
    }

    pub(crate) fn connect(&mut self, id: SocketId, peer: Option<SocketAddr>) {
        if let Some(Some(slot)) = self.slot_place(place::index(id)) {
            slot.peer = socket::connect(&slot.descriptor, slot.peer, peer);
        }
    }

    pub(crate) fn close(&mut self, id: SocketId) {
        let index = place::index(id);
        if self.slot(index).is_some() {
            // What was sent before the end still leaves.
            self.flush();
            self.forget(index);
        }
    }

    pub(crate) fn is_free(&self, id: SocketId) -> bool {
        let place = usize::try_from(place::index(id)).ok();
        place.is_some_and(|place| self.slots.get(place).is_some_and(Option::is_none))
    }

    pub(crate) fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.flush();
        let has_work = self.is_browser_ready || !self.ready.is_empty();
        let wait = if has_work { Some(Duration::ZERO) } else { wait };
        for index in self.epoll.wait(wait)? {
            if index == BROWSER_INDEX {
                self.is_browser_ready = true;
            } else if let Some(Some(slot)) = self.slots.get_mut(index as usize)
                && !slot.is_queued
            {
                slot.is_queued = true;
                self.ready.push_back(index);
            }
        }
        self.receive();
        Ok(())
    }

    pub(crate) fn next_received(&mut self) -> Option<Received> {
        self.received.pop()
    }

    pub(crate) fn upcoming(&self) -> &[Received] {
        &self.received
    }

    pub(crate) fn packet(&mut self, packet: &mut Received) -> &mut [u8] {
        self.buffers
            .bytes_mut(&mut packet.buffer)
            .get_mut(PAYLOAD_OFFSET..)
            .unwrap_or_default()
    }

    pub(crate) fn send(&mut self, packet: Received, transmit: &Transmit) {
        let socket = place::index(transmit.socket);
        let fits = PAYLOAD_OFFSET + transmit.length <= BUFFER_BYTES;
        if !fits || self.slot(socket).is_none() {
            self.send_failures += 1;
            self.give_back(packet);
            return;
        }
        let start = self.buffers.sending(&packet.buffer);
        self.outbox.push(Sending {
            socket,
            buffer: packet.buffer.id(),
            to: transmit.to,
            start: start.wrapping_add(PAYLOAD_OFFSET),
            length: transmit.length,
            mark: self.video_marks.of(transmit),
        });
        if self.outbox.is_full() {
            self.flush();
        }
    }

    pub(crate) fn give_back(&mut self, packet: Received) {
        self.buffers.give_back(packet.buffer);
    }

    pub(crate) fn send_copy(&mut self, bytes: &[u8], transmit: &Transmit) {
        let Some(buffer) = self.buffers.take_spare() else {
            self.send_failures += 1;
            return;
        };
        let mut packet = Received {
            socket: transmit.socket,
            from: transmit.to,
            length: bytes.len(),
            buffer,
        };
        match self.packet(&mut packet).get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.send(packet, transmit);
            }
            None => {
                self.send_failures += 1;
                self.give_back(packet);
            }
        }
    }

    pub(crate) fn assert_conserved(&self) {
        self.buffers.assert_conserved();
    }

    /// Every packet is received into the buffer that it stays in.
    #[expect(clippy::unused_self, reason = "the other back end has some")]
    #[expect(clippy::needless_pass_by_ref_mut, reason = "and takes them away")]
    pub(crate) fn take_receive_failures(&mut self) -> u64 {
        0
    }

    pub(crate) fn take_send_failures(&mut self) -> u64 {
        std::mem::take(&mut self.send_failures)
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same face as the back end whose requests may not end"
    )]
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        while let Some(packet) = self.next_received() {
            self.give_back(packet);
        }
        self.flush();
        for place in &mut self.slots {
            *place = None;
        }
        self.inbox.clear(&mut self.buffers);
        self.buffers.assert_conserved();
        Ok(())
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn slot_place(&mut self, index: u32) -> Option<&mut Option<Slot>> {
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// Closes the descriptor: with it go its port and its place in epoll.
    fn forget(&mut self, index: u32) {
        if let Some(place) = self.slot_place(index) {
            *place = None;
        }
        self.ready.retain(|ready| *ready != index);
    }

    /// Sends everything. What the kernel does not take at once is lost, like in any full queue.
    fn flush(&mut self) {
        let Self {
            outbox,
            slots,
            buffers,
            send_failures,
            segmentation_offload,
            ..
        } = self;
        outbox.flush(
            *segmentation_offload,
            |index| {
                let slot = slots.get(usize::try_from(index).ok()?)?.as_ref()?;
                Some((slot.descriptor.as_raw_fd(), slot.peer))
            },
            |buffer, is_sent| {
                *send_failures += u64::from(!is_sent);
                let buffer = buffers.sent(buffer);
                buffers.give_back(buffer);
            },
        );
    }

    /// Fills the turn: half of it belongs to the socket of all browsers, since it carries as much
    /// as all others together; what one half does not need, the other takes.
    fn receive(&mut self) {
        self.inbox.lay_out(&mut self.buffers);
        self.receive_browser(BROWSER_SHARE);
        // A socket that has more goes to the end of the queue, and is asked again only when all
        // others were.
        let mut asked = 0;
        while self.inbox.room() > 0
            && asked < PACKETS_PER_TURN_MAX
            && let Some(index) = self.ready.pop_front()
        {
            asked += 1;
            let has_more = self.receive_from(index, PACKETS_PER_SOCKET_MAX);
            if let Some(Some(slot)) = self.slot_place(index) {
                slot.is_queued = has_more;
                if has_more {
                    self.ready.push_back(index);
                }
            }
        }
        self.receive_browser(PACKETS_PER_TURN_MAX);
        self.received.reverse();
    }

    fn receive_browser(&mut self, packets_max: usize) {
        if self.is_browser_ready && self.inbox.room() > 0 {
            self.is_browser_ready = self.receive_from(BROWSER_INDEX, packets_max);
        }
    }

    /// True when the socket may have more.
    fn receive_from(&mut self, index: u32, packets_max: usize) -> bool {
        let Some(raw) = self.slot(index).map(|slot| slot.descriptor.as_raw_fd()) else {
            return false;
        };
        let id = place::id(index);
        let packets_max = packets_max.min(self.inbox.room());
        match self.inbox.receive(raw, packets_max) {
            Ok(count) => {
                for _ in 0..count {
                    match self.inbox.take(&mut self.buffers) {
                        Some((buffer, Some(from), length)) => self.received.push(Received {
                            socket: id,
                            from,
                            length,
                            buffer,
                        }),
                        Some((buffer, None, _)) => self.buffers.give_back(buffer),
                        None => {}
                    }
                }
                count == packets_max
            }
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_socket_has_the_place_of_the_event_descriptor() {
        assert!(place::count(crate::limits::FLOWS_PER_WORKER_MAX) < WAKE_INDEX as usize);
    }
}
