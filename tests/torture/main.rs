//! The torture tests of RFC 4475 and RFC 5118, bit for bit as their appendices hold them, each
//! with the RFC's verdict. Where an RFC leaves a choice, the test says which one is ours.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod corpus;
mod frames;
mod properties;
mod rfc3261;
mod rfc4475;
mod rfc5118;
mod subject;
#[path = "../fuzz/src/sip.rs"]
pub mod targets;
#[path = "../fuzz/src/websocket.rs"]
pub mod websocket;
