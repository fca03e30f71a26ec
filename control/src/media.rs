//! The media side of a call, without SIP: which worker, which ports, which flows, and the DTLS
//! handshakes that key them.

pub mod handshake;
pub mod plan;
pub mod ports;
