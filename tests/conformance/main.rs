//! What others have written down or built, as the judge of what we build.
//!
//! `srtp` compares our SRTP with Debian's libsrtp2 on random traffic. Its seed is in the message of
//! a failure; `RINGWAY_SEED` runs it again. `reports` reads our RTCP with it. `corpus` replays what the fuzzers of `tests/fuzz` run on.
//! `dtls` runs the DTLS target on random inputs for a minute.

#![expect(clippy::unwrap_used, reason = "in a test a panic says what is wrong")]

mod corpus;
mod dtls;
mod random;
mod reports;
mod srtp;
#[path = "../fuzz/src/lib.rs"]
pub mod targets;
