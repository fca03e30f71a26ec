//! The seam: one of the ways that packets take between a worker and the kernel.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;

use super::mmsg::Mmsg;
use super::received::Received;
use super::uring::Uring;
use super::wake::EventFd;
use crate::StartError;
use crate::config::{BackendKind, IoConfig};
use crate::engine::{SocketId, Transmit};

/// See [`super`] for what each call means.
pub(crate) enum Backend {
    Uring(Box<Uring>),
    Mmsg(Box<Mmsg>),
}

/// What every back end is made from.
pub(crate) struct BackendParts<'a> {
    /// The browser-facing socket, bound.
    pub(crate) browser: Socket,
    /// What control writes to wake the worker.
    pub(crate) wake: &'a Arc<EventFd>,
    pub(crate) flows_max: usize,
    pub(crate) config: IoConfig,
}

/// The same call for each back end.
macro_rules! each {
    ($self:ident, $io:ident => $call:expr) => {
        match $self {
            Backend::Uring($io) => $call,
            Backend::Mmsg($io) => $call,
        }
    };
}

impl Backend {
    /// Makes the back end of the calling thread and starts to receive from the browser socket.
    ///
    /// # Errors
    /// The kernel forbids or lacks it, or has no memory for it.
    pub(crate) fn new(kind: BackendKind, parts: BackendParts<'_>) -> Result<Self, StartError> {
        Ok(match kind {
            BackendKind::Uring => Self::Uring(Box::new(Uring::new(parts)?)),
            BackendKind::Mmsg => Self::Mmsg(Box::new(Mmsg::new(parts)?)),
        })
    }

    /// Starts to receive from a socket. False when its place is taken.
    pub(crate) fn open(&mut self, id: SocketId, socket: Socket) -> bool {
        each!(self, io => io.open(id, socket))
    }

    /// Fixes the only peer of a socket, or (`None`) opens it to all again. Nothing is lost when
    /// the kernel refuses: an unconnected socket does the same, slower.
    pub(crate) fn connect(&mut self, id: SocketId, peer: Option<SocketAddr>) {
        each!(self, io => io.connect(id, peer));
    }

    /// Ends a socket. Its port is free once [`is_free`](Self::is_free) says so.
    pub(crate) fn close(&mut self, id: SocketId) {
        each!(self, io => io.close(id));
    }

    /// No socket is there, not even one that is still closing.
    pub(crate) fn is_free(&self, id: SocketId) -> bool {
        each!(self, io => io.is_free(id))
    }

    /// Submits everything, waits for news for at most `wait` (`None`: without end), and collects
    /// what was received: at most
    /// [`PACKETS_PER_TURN_MAX`](crate::limits::PACKETS_PER_TURN_MAX) packets, the rest waits its
    /// turn.
    ///
    /// # Errors
    /// The back end is broken; nothing can be sent or received any more.
    pub(crate) fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        each!(self, io => io.turn(wait))
    }

    /// The next packet of this turn.
    pub(crate) fn next_received(&mut self) -> Option<Received> {
        each!(self, io => io.next_received())
    }

    /// The packets of this turn that are still to come, the next one first.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = &Received> {
        each!(self, io => io.upcoming()).iter().rev()
    }

    /// The packet's bytes, and all of the room behind them.
    pub(crate) fn packet(&mut self, packet: &mut Received) -> &mut [u8] {
        each!(self, io => io.packet(packet))
    }

    /// Sends the first `transmit.length` bytes of the packet's buffer. What fails is counted in
    /// [`take_send_failures`](Self::take_send_failures).
    pub(crate) fn send(&mut self, packet: Received, transmit: &Transmit) {
        each!(self, io => io.send(packet, transmit));
    }

    /// Forgets a packet.
    pub(crate) fn give_back(&mut self, packet: Received) {
        each!(self, io => io.give_back(packet));
    }

    /// Sends bytes that did not arrive as a packet.
    pub(crate) fn send_copy(&mut self, bytes: &[u8], transmit: &Transmit) {
        each!(self, io => io.send_copy(bytes, transmit));
    }

    /// To be called when every packet of the turn was sent or given back.
    ///
    /// # Panics
    /// When a buffer was lost on the way.
    pub(crate) fn assert_conserved(&self) {
        each!(self, io => io.assert_conserved());
    }

    /// Packets that found no buffer since the last call.
    pub(crate) fn take_receive_failures(&mut self) -> u64 {
        each!(self, io => io.take_receive_failures())
    }

    /// Sends that failed since the last call.
    pub(crate) fn take_send_failures(&mut self) -> u64 {
        each!(self, io => io.take_send_failures())
    }

    /// Closes every socket and waits until the kernel has let go of them and of the buffers, so
    /// that the ports are free when this returns.
    ///
    /// # Errors
    /// As for [`turn`](Self::turn), or a request does not end; the buffers' memory is then leaked.
    pub(crate) fn shut_down(&mut self) -> io::Result<()> {
        each!(self, io => io.shut_down())
    }
}

/// The same tests for each back end.
#[cfg(test)]
macro_rules! on_every_backend {
    ($($name:ident,)+) => {
        mod uring {
            $(#[test]
            fn $name() {
                super::$name(crate::config::BackendKind::Uring);
            })+
        }

        mod mmsg {
            $(#[test]
            fn $name() {
                super::$name(crate::config::BackendKind::Mmsg);
            })+
        }
    };
}

#[cfg(test)]
pub(crate) use on_every_backend;

#[cfg(test)]
mod tests;
