//! Packets through io_uring: one ring per worker, one system call per turn.
//!
//! Each socket has one multishot receive that takes buffers from a ring we share with the kernel
//! ([`super::buffers`]); a packet is sent from the buffer it arrived in. The socket of all browsers
//! has a ring of longer buffers, since runs of equal packets come as one ([`runs`]). The ring is made in the
//! thread that uses it: completions are then only worked on when that thread asks for them
//! (`DEFER_TASKRUN`), in one go.

#![expect(
    unsafe_code,
    reason = "requests hold raw pointers until they are completed"
)]

mod enter;
mod files;
mod make;
mod receive;
mod runs;
mod sockets;
mod tag;
#[cfg(test)]
mod tests;
mod transmit;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use socket2::Socket;

use self::files::Files;
use self::make::register_buffers;
pub(super) use self::make::{build_ring, probe};
use self::runs::Runs;
use self::sockets::{Sockets, State};
use self::tag::{Kind, Tag};
use self::transmit::Transmits;
use super::address::ADDRESS_BYTES;
use super::backend::BackendParts;
use super::buffers::Buffers;
use super::control::{MESSAGE_BYTES, VideoMarks};
use super::place::{self, BROWSER_INDEX};
use super::received::{PAYLOAD_OFFSET, Received};
use super::{cache, setup, socket};
use crate::StartError;
use crate::engine::{SocketId, Transmit};
use crate::limits::{
    BUFFERS_PER_WORKER, DATAGRAMS_PER_TURN_MAX, GATHER_US, PACKETS_PER_TURN_MAX, RUN_COPIES_MAX,
    SEGMENTS_PER_RUN_MAX, SPARE_BUFFERS_PER_WORKER,
};

/// Requests of one turn without a system call in between: sends, datagrams, a few receives.
const SUBMISSION_ENTRIES: u32 = 1024;
/// Each buffer has at most two completions to come, those of a send without a copy: the queue
/// cannot overflow.
const COMPLETION_ENTRIES: usize = 2 * BUFFERS_PER_WORKER;
/// Of a turn's packets, what belongs to the socket of all browsers: it carries as much as all others
/// together.
const BROWSER_SHARE: usize = PACKETS_PER_TURN_MAX / 2;
const BUFFER_GROUP: u16 = 0;
const RUN_GROUP: u16 = 1;
/// What is fetched of each packet before it is looked at: its source and a packet of audio.
const PREFETCHED_BYTES: usize = PAYLOAD_OFFSET + 192;
/// Turns that shutting down may take until the kernel has let go of every buffer.
const SHUT_DOWN_TURNS_MAX: usize = 200;
const SHUT_DOWN_TURN_WAIT: Duration = Duration::from_millis(5);

const _: () = assert!(
    PACKETS_PER_TURN_MAX + SEGMENTS_PER_RUN_MAX + DATAGRAMS_PER_TURN_MAX
        <= SUBMISSION_ENTRIES as usize
);

/// See [`super`] for what each call means.
pub(crate) struct Uring {
    ring: IoUring,
    buffers: Buffers,
    /// What the browser socket receives into; `None` without receive offload: then it is `buffers`.
    runs: Option<Runs>,
    files: Files,
    sockets: Sockets,
    transmits: Transmits,
    /// What each receive asks for: a source address, nothing else.
    receive_header: Box<libc::msghdr>,
    /// The same, and how a run is to be cut.
    run_header: Box<libc::msghdr>,
    /// Completions of this turn that are no packets.
    completions: Vec<cqueue::Entry>,
    /// Those of receives that wait for their turn, the oldest first: of the browser socket …
    browser_waiting: VecDeque<cqueue::Entry>,
    /// … and of all others.
    trunks_waiting: VecDeque<cqueue::Entry>,
    /// Packets of this turn, the first one last.
    received: Vec<Received>,
    /// Sockets whose receive must be armed or cancelled.
    unattended: Vec<u32>,
    wake_armed: bool,
    /// There is work left: the next turn must not wait.
    backlog: bool,
    send_failures: u64,
    receive_failures: u64,
    /// Sends that were pushed, and whose completions were not looked at yet.
    sends_under_way: usize,
    segmentation_offload: bool,
    zero_copy: bool,
    video_marks: VideoMarks,
    /// Packets that trunk sockets delivered beyond those of the browser socket, or below zero the
    /// other way round: see
    /// [`drain_browser`](Self::drain_browser).
    browser_owed: i32,
    packets_of_last_turn: usize,
    /// How long a worker that is busy waits for more; zero where it must not, or the kernel cannot.
    gather_us: u32,
    /// Packets of the drain that is being collected.
    drained: i32,
}

impl Uring {
    /// Makes the ring of the calling thread and starts to receive from the browser socket.
    ///
    /// # Errors
    /// The kernel forbids or lacks io_uring, or has no memory for it.
    pub(crate) fn new(parts: BackendParts<'_>) -> Result<Self, StartError> {
        let BackendParts {
            browser,
            wake,
            flows_max,
            config,
        } = parts;
        let ring = build_ring().map_err(|source| setup::explain("set up io_uring", source))?;
        // Since Linux 6.12.
        let gathers = config.gather && ring.params().is_feature_min_timeout();
        let gather_us = if gathers { GATHER_US } else { 0 };
        if let Some(time) = config.busy_poll {
            let microseconds = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            let mut napi = types::Napi::new().set_busy_poll_timeout(microseconds);
            // An option to be faster, since Linux 6.9: not worth a refusal.
            drop(ring.submitter().register_napi(&mut napi));
        }
        // Saves a look-up of the ring's own descriptor per system call; nothing is lost without.
        drop(ring.submitter().register_ring_fd());
        let descriptors = [browser.as_raw_fd(), wake.as_raw_fd()];
        let files = Files::register(&ring, descriptors, flows_max, config.register_trunks)
            .map_err(|source| setup::explain("register files with io_uring", source))?;
        let takes_runs = config.receive_offload && socket::take_runs(&browser);
        let copies = if takes_runs { RUN_COPIES_MAX } else { 0 };
        let unmapped = |source| setup::explain("map the packet buffers", source);
        let spares = SPARE_BUFFERS_PER_WORKER + copies;
        let mut buffers = Buffers::new(spares, config.huge_pages).map_err(unmapped)?;
        register_buffers(&ring, buffers.ring(), BUFFER_GROUP)?;
        buffers.set_leak(true);
        let mut runs = None;
        if takes_runs {
            let made = runs.insert(Runs::new(config.huge_pages).map_err(unmapped)?);
            register_buffers(&ring, made.ring(), RUN_GROUP)?;
            made.set_leak(true);
        }
        let mut receive_header = Box::new(empty_header());
        receive_header.msg_namelen = libc::socklen_t::try_from(ADDRESS_BYTES).unwrap_or_default();
        let mut run_header = receive_header.clone();
        run_header.msg_controllen = MESSAGE_BYTES;
        let mut uring = Self {
            ring,
            buffers,
            runs,
            files,
            sockets: Sockets::new(flows_max),
            transmits: Transmits::new(),
            receive_header,
            run_header,
            completions: Vec::with_capacity(COMPLETION_ENTRIES),
            browser_waiting: VecDeque::with_capacity(COMPLETION_ENTRIES),
            // Besides those with packets, each receive may end for want of buffers.
            trunks_waiting: VecDeque::with_capacity(COMPLETION_ENTRIES + place::count(flows_max)),
            received: Vec::with_capacity(PACKETS_PER_TURN_MAX + SEGMENTS_PER_RUN_MAX),
            unattended: Vec::with_capacity(1 + 2 * flows_max),
            wake_armed: false,
            backlog: false,
            send_failures: 0,
            receive_failures: 0,
            sends_under_way: 0,
            segmentation_offload: config.segmentation_offload,
            zero_copy: config.zero_copy,
            video_marks: VideoMarks::new(&config),
            browser_owed: 0,
            packets_of_last_turn: 0,
            gather_us,
            drained: 0,
        };
        uring.open(SocketId::Browser, browser);
        Ok(uring)
    }

    /// Starts to receive from a socket. False when its place is taken.
    pub(crate) fn open(&mut self, id: SocketId, socket: Socket) -> bool {
        let index = place::index(id);
        let opened = self.sockets.occupy(index, OwnedFd::from(socket));
        if opened {
            self.unattended.push(index);
        }
        opened
    }

    /// Fixes the only peer of a socket, or opens it to all.
    pub(crate) fn connect(&mut self, id: SocketId, peer: Option<SocketAddr>) {
        self.push_open_send();
        self.sockets.connect(place::index(id), peer);
    }

    /// Ends a socket. Its port is free once [`is_free`](Self::is_free) says so.
    pub(crate) fn close(&mut self, id: SocketId) {
        let index = place::index(id);
        self.push_open_send();
        let Some(slot) = self.sockets.get_mut(index) else {
            return;
        };
        if slot.state == State::Open {
            slot.state = State::Closing;
            self.unattended.push(index);
            self.release_if_done(index);
        }
    }

    /// Frees a closing socket (and its port) once the kernel is done with it.
    fn release_if_done(&mut self, index: u32) {
        if let Some(is_registered) = self.sockets.done(index) {
            if is_registered {
                self.files.remove(&self.ring, index);
            }
            self.sockets.release(index);
        }
    }

    /// No socket is there, not even one that is still closing.
    pub(crate) fn is_free(&self, id: SocketId) -> bool {
        self.sockets
            .get(place::index(id))
            .is_some_and(|slot| slot.state == State::Free)
    }

    /// Submits everything, waits for news for at most `wait` (`None`: without end), and collects
    /// what was received: at most [`PACKETS_PER_TURN_MAX`] packets, the rest waits its turn.
    ///
    /// # Errors
    /// The ring is broken; nothing can be sent or received any more.
    pub(crate) fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.push_open_send();
        self.buffers.commit();
        if let Some(runs) = &mut self.runs {
            runs.commit();
        }
        self.attend();
        self.drain_browser();
        self.enter(wait)?;
        self.collect()
    }

    /// The next packet of this turn.
    pub(crate) fn next_received(&mut self) -> Option<Received> {
        self.received.pop()
    }

    /// Packets of this turn, the next one last.
    pub(crate) fn upcoming(&self) -> &[Received] {
        &self.received
    }

    /// The packet's bytes, and all of the room behind them.
    pub(crate) fn packet(&mut self, packet: &mut Received) -> &mut [u8] {
        self.buffers
            .bytes_mut(&mut packet.buffer)
            .get_mut(PAYLOAD_OFFSET..)
            .unwrap_or_default()
    }

    /// Sends the first `transmit.length` bytes of the packet's buffer. What fails is counted in
    /// [`take_send_failures`](Self::take_send_failures).
    pub(crate) fn send(&mut self, packet: Received, transmit: &Transmit) {
        self.send_buffer(packet.buffer, transmit);
    }

    /// Forgets a packet.
    pub(crate) fn give_back(&mut self, packet: Received) {
        self.buffers.give_back(packet.buffer);
    }

    /// Sends bytes that did not arrive as a packet.
    pub(crate) fn send_copy(&mut self, bytes: &[u8], transmit: &Transmit) {
        let Some(mut buffer) = self.buffers.take_spare() else {
            self.send_failures += 1;
            return;
        };
        let room = self
            .buffers
            .bytes_mut(&mut buffer)
            .get_mut(PAYLOAD_OFFSET..);
        match room.and_then(|room| room.get_mut(..bytes.len())) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.send_buffer(buffer, transmit);
            }
            None => {
                self.send_failures += 1;
                self.buffers.give_back(buffer);
            }
        }
    }

    /// To be called when every packet of the turn was sent or given back.
    ///
    /// # Panics
    /// When a buffer was lost on the way.
    pub(crate) fn assert_conserved(&self) {
        self.buffers.assert_conserved();
    }

    /// Packets that found no buffer since the last call.
    pub(crate) fn take_receive_failures(&mut self) -> u64 {
        std::mem::take(&mut self.receive_failures)
    }

    /// Sends that failed since the last call.
    pub(crate) fn take_send_failures(&mut self) -> u64 {
        std::mem::take(&mut self.send_failures)
    }

    /// Closes every socket and waits until the kernel has let go of them and of the buffers, so
    /// that the ports are free when this returns.
    ///
    /// # Errors
    /// As for [`turn`](Self::turn), or a request does not end; the buffers' memory is then leaked.
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        let open: Vec<u32> = self.sockets.open_indexes().collect();
        for index in open {
            self.close(place::id(index));
        }
        let wake = Tag::new(Kind::Wake, 0, 0);
        let cancel = opcode::AsyncCancel::new(wake.encode()).build();
        let cancel_tag = Tag::new(Kind::Cancel, 0, 0);
        let mut cancel_sent = false;
        for _ in 0..SHUT_DOWN_TURNS_MAX {
            while let Some(packet) = self.next_received() {
                self.give_back(packet);
            }
            if self.sockets.in_use() == 0 && !self.wake_armed {
                self.buffers.assert_conserved();
                self.buffers.set_leak(false);
                if let Some(runs) = &mut self.runs {
                    runs.set_leak(false);
                }
                return self.ring.submitter().unregister_files();
            }
            // Last: a turn would arm it again.
            if self.sockets.in_use() == 0 && !cancel_sent {
                cancel_sent = self.push(cancel.clone(), cancel_tag);
            }
            self.turn(Some(SHUT_DOWN_TURN_WAIT))?;
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "a request to the kernel does not end",
        ))
    }

    /// Queues a request; what its pointers point to lives until its completion, by the rules of
    /// [`Transmits`] and [`Buffers`]. False when the queue is full and the kernel takes nothing.
    fn push(&mut self, entry: squeue::Entry, tag: Tag) -> bool {
        let entry = entry.user_data(tag.encode());
        for _ in 0..2 {
            // SAFETY: the header, vector, address and buffer of a send lie in boxes and a map that
            // live as long as the ring and are not touched before the completion; the header of a
            // receive is a box that never changes.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return true;
            }
            if self.ring.submit().is_err() {
                return false;
            }
        }
        false
    }

    /// What was sent is looked at first, however many packets wait: so buffers come back.
    fn collect(&mut self) -> io::Result<()> {
        for entry in self.ring.completion() {
            match Tag::decode(entry.user_data()) {
                Some(tag) if tag.kind.is_receive() => match tag.index {
                    BROWSER_INDEX => self.browser_waiting.push_back(entry),
                    _ => self.trunks_waiting.push_back(entry),
                },
                Some(_) | None => self.completions.push(entry),
            }
        }
        let mut completions = std::mem::take(&mut self.completions);
        for entry in completions.drain(..) {
            if let Some(tag) = Tag::decode(entry.user_data()) {
                self.handle_completion(tag, &entry);
            }
        }
        self.completions = completions;
        // What one half does not need, the other takes.
        let outcome = self.receive_waiting(|uring| &mut uring.browser_waiting, BROWSER_SHARE);
        let all = PACKETS_PER_TURN_MAX;
        let outcome = outcome.and(self.receive_waiting(|uring| &mut uring.trunks_waiting, all));
        let outcome = outcome.and(self.receive_waiting(|uring| &mut uring.browser_waiting, all));
        self.backlog = !self.browser_waiting.is_empty() || !self.trunks_waiting.is_empty();
        self.packets_of_last_turn = self.received.len();
        self.received.reverse();
        outcome
    }

    /// Takes in what waits, until the turn has so many packets.
    fn receive_waiting(
        &mut self,
        waiting: impl Fn(&mut Self) -> &mut VecDeque<cqueue::Entry>,
        packets_max: usize,
    ) -> io::Result<()> {
        self.prefetch_waiting(&waiting, packets_max);
        let mut outcome = Ok(());
        while self.received.len() < packets_max
            && let Some(entry) = waiting(self).pop_front()
        {
            if let Some(tag) = Tag::decode(entry.user_data()) {
                outcome = outcome.and(self.handle_reception(tag, &entry));
            }
        }
        outcome
    }

    /// Has the beginnings of the packets fetched that are about to be taken in.
    fn prefetch_waiting(
        &mut self,
        waiting: &impl Fn(&mut Self) -> &mut VecDeque<cqueue::Entry>,
        packets_max: usize,
    ) {
        let entries = std::mem::take(waiting(self));
        let count = packets_max.saturating_sub(self.received.len());
        for entry in entries.iter().take(count) {
            let tag = Tag::decode(entry.user_data());
            if let (Some(tag), Some(id)) = (tag, cqueue::buffer_select(entry.flags())) {
                let place = match &self.runs {
                    Some(runs) if tag.index == BROWSER_INDEX => runs.address(id),
                    Some(_) | None => self.buffers.address(id),
                };
                cache::prefetch(place, PREFETCHED_BYTES);
            }
        }
        *waiting(self) = entries;
    }

    fn handle_completion(&mut self, tag: Tag, entry: &cqueue::Entry) {
        match tag.kind {
            Kind::Send => self.handle_sent(tag, entry),
            Kind::Wake => self.wake_armed &= cqueue::more(entry.flags()),
            Kind::Cancel | Kind::Receive | Kind::Drain => {}
        }
    }

    fn handle_reception(&mut self, tag: Tag, entry: &cqueue::Entry) -> io::Result<()> {
        match tag.kind {
            Kind::Drain => self.handle_drain(tag, entry),
            Kind::Receive | Kind::Send | Kind::Wake | Kind::Cancel => {
                self.handle_receive(tag, entry)
            }
        }
    }
}

pub(super) fn empty_header() -> libc::msghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}
