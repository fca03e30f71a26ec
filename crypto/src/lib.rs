//! Bytes in, bytes out: SRTP, DTLS, STUN integrity and randomness. No socket, no clock, no thread.
//!
//! # Which secrets exist, who holds them, when they are wiped
//!
//! | Secret | Held by | Wiped |
//! |---|---|---|
//! | private key of [`dtls::Certificate`] | all its clones and sessions | with the last one |
//! | DTLS traffic keys | one [`dtls::DtlsServer`] | with the session |
//! | SRTP master keys, [`keys::SrtpKeys`] | the session, later the taker | on drop of each copy |
//! | SRTP session keys | [`srtp::SrtpSender`], [`srtp::SrtpReceiver`] | on drop |
//! | state of [`random::Random`] | its owner | replaced on each use, wiped on drop |
//!
//! A session exports the master keys (RFC 5764 section 4.2) and holds them back until the peer's
//! fingerprint is verified; then [`dtls::DtlsOutput::Keys`] hands them over, once.
//!
//! No type that holds a secret shows it in `Debug`. Tags are compared in constant time. Some
//! copies are beyond our reach: dimpl hands exported key material over in a plain `Vec` and copies
//! the private key for each session, and aws-lc keeps the expanded GCM key in memory of its own.
//!
//! # The contract of a state machine
//!
//! `handle_*` takes what happened together with `now`; it is followed by `poll_output` until that
//! returns `None`. `poll_timeout` says when `handle_timeout` wants to be called. SRTP needs no
//! time: it works on one packet in place and allocates nothing once it is made.

#![forbid(unsafe_code)]

pub mod dtls;
pub mod keys;
pub mod limits;
pub mod random;
pub mod sdes;
pub mod srtp;
pub mod stun_integrity;
