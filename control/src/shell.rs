//! The shell: everything of the control plane that touches the world.
//!
//! Sockets, the clock, threads, signals and the log are here and nowhere else. [`run`] starts
//! them; one task owns the brain and asks it for every decision ([`Brain`]):
//!
//! ```text
//! websocket.rs ─┐                                  ┌─► websocket.rs, udp.rs, stream.rs
//! udp.rs ───────┤
//! streams.rs ───┤   Arrival     drive.rs   Output  ├─► media workers
//! dns.rs ───────┤                                  ├─► dns.rs
//! workers.rs ───┼──────────────► Brain ────────────┼─► handshakes.rs
//! handshakes.rs ┤                                  └─► log.rs
//! signals.rs ───┘
//! ```
//!
//! Everything goes through bounded queues. A browser that does not read is closed; one that sends
//! too much is read more slowly.

mod acme;
mod admission;
mod arrival;
mod bearer;
mod brain;
mod clock;
mod dns;
mod drive;
mod fault;
mod greeting;
mod handshakes;
mod host;
mod http;
mod log;
mod notify;
mod origins;
mod page;
mod run;
mod selftest;
mod signals;
mod source;
mod stream;
mod streams;
mod supervise;
#[cfg(test)]
mod tests;
mod tls;
mod trunk_tls;
mod udp;
mod upgrade;
mod web_tls;
mod websocket;
mod workers;

pub use brain::Brain;
pub use host::check_host;
pub use run::{RunError, demo_passwords, host_address, run};
pub use selftest::{Passed, SelftestError, selftest};
