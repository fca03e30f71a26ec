//! A call of ringway's own to its echo line, as a browser would make it: what it says, and what it
//! makes of the answers. The shell carries it ([`crate::shell::selftest`]).
//!
//! The call goes through everything that a browser's call goes through: a listener of `[web]`, the
//! log-in of a line, offer and answer, ICE, DTLS and SRTP.

mod media;
mod plan;
mod request;

pub(crate) use media::{ECHO_PACKETS, Echo, LocalMedia, PACKET_BYTES_MAX, RemoteMedia};
pub use plan::{Plan, PlanError};
pub(crate) use request::Dialog;
