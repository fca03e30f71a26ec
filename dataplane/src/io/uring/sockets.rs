//! The sockets of one worker: which are open, and what the kernel still does with each.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use io_uring::types;

use super::tag::GENERATION_MASK;
use crate::io::place::{self, BROWSER_INDEX};
use crate::io::socket;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Open,
    /// Closed for us; the descriptor stays until the kernel has finished every request on it.
    Closing,
}

/// How a request names the socket to the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// By its place among the registered files ([`Files`](super::files::Files)).
    Registered(types::Fixed),
    /// By its descriptor.
    Descriptor(types::Fd),
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    /// Counts the uses of the slot, so that a request of a former use is recognised.
    pub(super) generation: u32,
    /// Requests that the kernel has: the receive, and sends.
    pub(super) requests: u32,
    /// The receive is armed.
    pub(super) receiving: bool,
    /// The kernel was asked to end the receive.
    pub(super) cancelled: bool,
    /// The only peer, when the socket is connected.
    pub(super) peer: Option<SocketAddr>,
    descriptor: Option<OwnedFd>,
    registration: Registration,
}

/// Whether the kernel knows a socket by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registration {
    Untried,
    Failed,
    Registered,
}

pub(super) struct Sockets {
    slots: Box<[Slot]>,
    in_use: usize,
}

impl Sockets {
    pub(super) fn new(flows_max: usize) -> Self {
        let slots = (0..place::count(flows_max)).map(|_| Slot {
            state: State::Free,
            generation: 0,
            requests: 0,
            receiving: false,
            cancelled: false,
            peer: None,
            descriptor: None,
            registration: Registration::Untried,
        });
        Self {
            slots: slots.collect(),
            in_use: 0,
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// Slots that are open or closing.
    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(super) fn open_indexes(&self) -> impl Iterator<Item = u32> {
        let open = |(index, slot): (u32, &Slot)| (slot.state == State::Open).then_some(index);
        (0..).zip(&self.slots).filter_map(open)
    }

    /// False when the slot is not free (the descriptor is closed then).
    pub(super) fn occupy(&mut self, index: u32, descriptor: OwnedFd) -> bool {
        let Some(slot) = self.get_mut(index) else {
            return false;
        };
        if slot.state != State::Free {
            return false;
        }
        slot.state = State::Open;
        slot.descriptor = Some(descriptor);
        slot.cancelled = false;
        self.in_use += 1;
        true
    }

    /// For a closing slot that the kernel is done with: whether it is registered.
    pub(super) fn done(&self, index: u32) -> Option<bool> {
        let slot = self.get(index)?;
        let is_done = slot.state == State::Closing && slot.requests == 0;
        is_done.then_some(slot.registration == Registration::Registered)
    }

    /// Frees a slot that is [`done`](Self::done), and its descriptor, hence its port.
    pub(super) fn release(&mut self, index: u32) {
        if let Some(slot) = self.get_mut(index) {
            slot.state = State::Free;
            slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
            slot.descriptor = None;
            slot.registration = Registration::Untried;
            slot.peer = None;
            self.in_use -= 1;
        }
    }

    /// The descriptor of an open trunk socket for which registration was not tried yet; it counts
    /// as tried from now on.
    pub(super) fn take_unregistered(&mut self, index: u32) -> Option<RawFd> {
        let slot = self.get_mut(index)?;
        let is_untried = slot.registration == Registration::Untried;
        if index == BROWSER_INDEX || slot.state != State::Open || !is_untried {
            return None;
        }
        slot.registration = Registration::Failed;
        slot.descriptor.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The registration has succeeded.
    pub(super) fn set_registered(&mut self, index: u32) {
        if let Some(slot) = self.get_mut(index) {
            slot.registration = Registration::Registered;
        }
    }

    /// Fixes the only peer of an open socket, or opens it to all.
    pub(super) fn connect(&mut self, index: u32, peer: Option<SocketAddr>) {
        let slot = self.get_mut(index).filter(|slot| slot.state == State::Open);
        if let Some(slot) = slot
            && let Some(descriptor) = &slot.descriptor
        {
            slot.peer = socket::connect(descriptor, slot.peer, peer);
        }
    }

    /// How to name an open socket to the kernel.
    pub(super) fn target(&self, index: u32) -> Option<Target> {
        let slot = self.get(index).filter(|slot| slot.state == State::Open)?;
        if index == BROWSER_INDEX || slot.registration == Registration::Registered {
            return Some(Target::Registered(types::Fixed(index)));
        }
        slot.descriptor
            .as_ref()
            .map(|fd| Target::Descriptor(types::Fd(fd.as_raw_fd())))
    }
}
