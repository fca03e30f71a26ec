//! The data plane: pinned workers that forward packets. Knows flows, never calls.
//!
//! # The turn of a worker
//!
//! One thread per worker, and one turn over and over: read the clock once; take at most
//! [`limits::PACKETS_PER_TURN_MAX`] received packets and ask the [`engine`] for a verdict on each;
//! carry the verdict out from the very buffer the packet came in; apply at most
//! [`limits::COMMANDS_PER_TURN_MAX`] commands; let timers fire; publish events; submit everything
//! to the kernel with one system call and sleep until a packet, a command or a timer comes.
//!
//! The engine decides and does no I/O, reads no clock and allocates only when it is made; `worker`
//! and [`io`] act. [`link`] is the contract with control.

pub mod config;
pub mod engine;
pub mod io;
pub mod limits;
pub mod link;
pub mod wire;
mod worker;

pub use io::setup::{check_io_uring, kernel_version};
pub use worker::{Dataplane, StartError, start};
