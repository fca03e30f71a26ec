//! Receiving: one multishot receive per socket, and a fair share for the socket of all browsers.

use std::io;
use std::net::SocketAddr;

use io_uring::{cqueue, opcode, types};

use super::sockets::{State, Target};
use super::tag::{Kind, Tag};
use super::{BROWSER_SHARE, BUFFER_GROUP, RUN_GROUP, Uring};
use crate::engine::SocketId;
use crate::io::address;
use crate::io::buffers::Buffer;
use crate::io::control;
use crate::io::place::{self, BROWSER_INDEX};
use crate::io::received::{PAYLOAD_OFFSET, Received};
use crate::limits::BUFFERS_TO_REARM_MIN;

/// What one receive takes from its socket before the kernel looks at the next one.
const PACKETS_PER_RECEIVE: i32 = 32;
/// The same.
const COMPLETIONS_PER_RECEIVE: usize = PACKETS_PER_RECEIVE.unsigned_abs() as usize;
/// Most that the browser socket can be owed: about what the kernel delivers in one go of others.
const BROWSER_OWED_MAX: i32 = 1024;
/// Most that it can be ahead, by runs: a quarter.
const BROWSER_OVERPAID_MAX: i32 = -BROWSER_OWED_MAX / 4;

impl Uring {
    /// Arms the receives that are not armed, and cancels those of closed sockets.
    pub(super) fn attend(&mut self) {
        if !self.wake_armed {
            let events = u32::from(libc::POLLIN.cast_unsigned()) | libc::EPOLLET.cast_unsigned();
            // Edge-triggered, so the descriptor is never read: each write is one completion.
            let poll = opcode::PollAdd::new(self.files.wake(), events)
                .multi(true)
                .build();
            self.wake_armed = self.push(poll, Tag::new(Kind::Wake, 0, 0));
        }
        let mut position = 0;
        while let Some(&index) = self.unattended.get(position) {
            if self.attend_socket(index) {
                self.unattended.swap_remove(position);
            } else {
                position += 1;
            }
        }
    }

    /// False when it has to wait.
    fn attend_socket(&mut self, index: u32) -> bool {
        let Some(slot) = self.sockets.get(index) else {
            return true;
        };
        let tag = Tag::new(Kind::Receive, slot.generation, index);
        match slot.state {
            State::Open if !slot.receiving => {
                if self.buffers_for(index) < BUFFERS_TO_REARM_MIN {
                    return false;
                }
                let Some(target) = self.sockets.target(index) else {
                    return true;
                };
                let (header, group) = self.receive_into(index);
                let entry = match target {
                    Target::Registered(file) => {
                        opcode::RecvMsgMulti::new(file, header, group).build()
                    }
                    Target::Descriptor(fd) => opcode::RecvMsgMulti::new(fd, header, group).build(),
                };
                let armed = self.push(entry, tag);
                self.backlog |= !armed;
                if let Some(slot) = self.sockets.get_mut(index).filter(|_| armed) {
                    slot.receiving = true;
                    slot.requests += 1;
                }
                armed
            }
            State::Closing if slot.receiving && !slot.cancelled => {
                let cancel = opcode::AsyncCancel::new(tag.encode()).build();
                let sent = self.push(cancel, Tag::new(Kind::Cancel, 0, index));
                self.backlog |= !sent;
                if let Some(slot) = self.sockets.get_mut(index) {
                    slot.cancelled |= sent;
                }
                sent
            }
            State::Open | State::Closing | State::Free => true,
        }
    }

    /// Buffers that the kernel has for what a socket receives.
    fn buffers_for(&self, index: u32) -> usize {
        match &self.runs {
            Some(runs) if index == BROWSER_INDEX => runs.with_kernel(),
            Some(_) | None => self.buffers.with_kernel(),
        }
    }

    /// What a receive asks for, and the buffers that it takes.
    fn receive_into(&self, index: u32) -> (*const libc::msghdr, u16) {
        match &self.runs {
            Some(_) if index == BROWSER_INDEX => (&raw const *self.run_header, RUN_GROUP),
            Some(_) | None => (&raw const *self.receive_header, BUFFER_GROUP),
        }
    }

    /// Lets the browser socket catch up.
    ///
    /// The kernel serves sockets in turn, each with at most [`PACKETS_PER_RECEIVE`] packets. That
    /// is fair among sockets but not among calls: one socket has the packets of all browsers, and
    /// would lose nearly all of them under overload while the trunk sockets lose none. So it is
    /// looked at once more for what the others have delivered beyond it: a receive that never
    /// waits, and ends by itself. As long as enough of its packets wait here, the others wait in its
    /// queue.
    pub(super) fn drain_browser(&mut self) {
        let mut waiting = self.browser_waiting.len();
        while self.browser_owed >= PACKETS_PER_RECEIVE && waiting < BROWSER_SHARE {
            waiting += COMPLETIONS_PER_RECEIVE;
            self.browser_owed -= PACKETS_PER_RECEIVE;
            let Some(Target::Registered(file)) = self.sockets.target(BROWSER_INDEX) else {
                return;
            };
            let (header, group) = self.receive_into(BROWSER_INDEX);
            let entry = opcode::RecvMsgMulti::new(file, header, group)
                .flags(libc::MSG_DONTWAIT.cast_unsigned())
                .build();
            let generation = self
                .sockets
                .get(BROWSER_INDEX)
                .map_or(0, |slot| slot.generation);
            let pushed = self.push(entry, Tag::new(Kind::Drain, generation, BROWSER_INDEX));
            if let Some(slot) = self.sockets.get_mut(BROWSER_INDEX).filter(|_| pushed) {
                slot.requests += 1;
            }
        }
    }

    pub(super) fn handle_drain(&mut self, tag: Tag, entry: &cqueue::Entry) -> io::Result<()> {
        let outcome = self.take_packet(tag, entry);
        self.drained += i32::from(cqueue::buffer_select(entry.flags()).is_some());
        if !cqueue::more(entry.flags()) {
            if self.drained < PACKETS_PER_RECEIVE {
                // Its queue is empty: it is owed nothing.
                self.browser_owed = self.browser_owed.min(0);
            }
            self.drained = 0;
            if let Some(slot) = self.sockets.get_mut(tag.index) {
                slot.requests -= 1;
            }
            self.release_if_done(tag.index);
        }
        outcome
    }

    pub(super) fn handle_receive(&mut self, tag: Tag, entry: &cqueue::Entry) -> io::Result<()> {
        let outcome = self.take_packet(tag, entry);
        let slot = self.sockets.get_mut(tag.index);
        if let Some(slot) = slot.filter(|slot| slot.generation == tag.generation)
            && !cqueue::more(entry.flags())
        {
            slot.receiving = false;
            slot.requests -= 1;
            self.unattended.push(tag.index);
            self.release_if_done(tag.index);
        }
        outcome
    }

    /// Takes the packet out of a completed receive, if there is one.
    fn take_packet(&mut self, tag: Tag, entry: &cqueue::Entry) -> io::Result<()> {
        let current = self
            .sockets
            .get(tag.index)
            .filter(|slot| slot.generation == tag.generation);
        let open = current.is_some_and(|slot| slot.state == State::Open);
        let id = cqueue::buffer_select(entry.flags());
        if let Some(id) = id.filter(|_| tag.index == BROWSER_INDEX && self.runs.is_some()) {
            self.take_run(id, entry.result(), open, tag.kind);
        } else if let Some(id) = id {
            let buffer = self.buffers.received(id);
            let packet = self.read_packet(&buffer, entry.result()).filter(|_| open);
            match packet {
                Some((from, length)) => {
                    let socket = place::id(tag.index);
                    match (tag.kind, socket) {
                        (Kind::Receive, SocketId::Browser) => self.pay_browser(),
                        (Kind::Receive, SocketId::TrunkRtp(_) | SocketId::TrunkRtcp(_)) => {
                            self.browser_owed = BROWSER_OWED_MAX.min(self.browser_owed + 1);
                        }
                        // Paid when the drain was asked for.
                        (Kind::Drain | Kind::Send | Kind::Wake | Kind::Cancel, _) => {}
                    }
                    self.received.push(Received {
                        socket,
                        from,
                        length,
                        buffer,
                    });
                }
                None => self.buffers.give_back(buffer),
            }
        }
        match -entry.result() {
            // Arming it again would fail again, for ever.
            error @ (libc::EINVAL | libc::EBADF | libc::EOPNOTSUPP | libc::EFAULT) if open => {
                Err(io::Error::from_raw_os_error(error))
            }
            // Out of buffers, cancelled, an ICMP error of some peer: harmless.
            _ => Ok(()),
        }
    }

    /// Copies the datagrams of a run into buffers of their own.
    fn take_run(&mut self, id: u16, result: i32, is_open: bool, kind: Kind) {
        let Some(mut runs) = self.runs.take() else {
            return;
        };
        let run = runs.received(id);
        let written = usize::try_from(result).unwrap_or_default();
        let written = runs.bytes(&run).get(..written).filter(|_| is_open);
        let header = &self.run_header;
        let message = written.and_then(|bytes| types::RecvMsgOut::parse(bytes, header).ok());
        if let Some(message) = message
            && let Some(from) = address::read(message.name_data())
        {
            let payload = message.payload_data();
            let told = control::segment_bytes(message.control_data());
            let segment = told.unwrap_or(payload.len()).max(1);
            // An empty datagram is one too.
            let empty = payload.is_empty().then_some(payload);
            for bytes in payload.chunks(segment).chain(empty) {
                self.receive_copy(from, bytes);
                self.pay_browser();
            }
            if kind == Kind::Drain {
                // One for each run was paid when the drain was asked for.
                self.browser_owed += 1;
            }
        }
        runs.give_back(run);
        self.runs = Some(runs);
    }

    /// The browser socket has delivered a packet.
    fn pay_browser(&mut self) {
        self.browser_owed = BROWSER_OVERPAID_MAX.max(self.browser_owed - 1);
    }

    /// Takes in a packet that lies elsewhere; what is longer than a buffer is cut, as the kernel
    /// does.
    fn receive_copy(&mut self, from: SocketAddr, bytes: &[u8]) {
        let Some(mut buffer) = self.buffers.take_spare() else {
            self.receive_failures += 1;
            return;
        };
        let room = self.buffers.bytes_mut(&mut buffer);
        let room = room.get_mut(PAYLOAD_OFFSET..).unwrap_or_default();
        let length = room.len().min(bytes.len());
        if let Some((place, bytes)) = room.get_mut(..length).zip(bytes.get(..length)) {
            place.copy_from_slice(bytes);
        }
        self.received.push(Received {
            socket: SocketId::Browser,
            from,
            length,
            buffer,
        });
    }

    /// Source and length of what the kernel wrote into a buffer.
    fn read_packet(&self, buffer: &Buffer, result: i32) -> Option<(SocketAddr, usize)> {
        let written = self
            .buffers
            .bytes(buffer)
            .get(..usize::try_from(result).ok()?)?;
        let message = types::RecvMsgOut::parse(written, &self.receive_header).ok()?;
        debug_assert_eq!(written.len() - message.payload_data().len(), PAYLOAD_OFFSET);
        Some((
            address::read(message.name_data())?,
            message.payload_data().len(),
        ))
    }
}
