//! What the tests that look at more than one crate share: a world in one thread, with a fake
//! clock, no sockets, and peers made of bytes.

pub mod dns;
pub mod stun;
pub mod world;
