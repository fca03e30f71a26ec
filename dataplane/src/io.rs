//! The kernel: the only folder where the data plane touches sockets, memory maps and `unsafe`.
//!
//! # The seam
//!
//! The worker moves packets through one `backend`: `uring` (io_uring, the usual one), or
//! `mmsg` where io_uring is forbidden. What it uses of it is this:
//!
//! | Call | Meaning |
//! |---|---|
//! | `turn(wait)` | submit everything, wait for at most that long, collect what was received |
//! | `next_received()` | the next packet of this turn, as a token that owns its buffer |
//! | `upcoming()` | those still to come, to prepare for them |
//! | `packet(&mut token)` | its bytes, and the room behind them |
//! | `send(token, socket, to, length)` | send it from where it lies; the buffer comes back by itself |
//! | `give_back(token)` | forget it |
//! | `assert_conserved()` | no packet is left, and no buffer was lost |
//! | `send_copy(socket, to, bytes)` | send bytes that did not arrive as a packet (DTLS) |
//! | `open(id, socket)`, `close(id)`, `is_free(id)` | sockets come and go |
//! | `connect(id, peer)` | the only peer of a socket is known |
//! | `shut_down()` | close all and wait for the kernel to let go of the buffers |
//!
//! A token is neither `Clone` nor `Copy` and every way out consumes it, so a buffer has one owner
//! at a time: the kernel (to receive into), the worker, the kernel (to send from), or the spares.
//!
//! Beside the seam, [`batch`] sends and receives many datagrams per system call for programs that
//! only make load.
//!
//! What fails on one socket stays on it: an ICMP error or a full send queue loses that packet and
//! is counted; sends never wait.

mod address;
pub mod affinity;
pub(crate) mod backend;
pub mod batch;
mod buffers;
pub(crate) mod cache;
mod control;
mod mmsg;
pub mod packet_ring;
mod place;
pub mod process;
pub(crate) mod received;
pub mod reflector;
pub(crate) mod setup;
pub(crate) mod socket;
mod uring;
pub mod wake;
pub mod wall_clock;
