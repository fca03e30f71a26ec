//! The control plane: calls. A small brain that decides, and a tokio shell that acts.
//!
//! # One INVITE, from end to end
//!
//! A frame arrives at `shell::websocket` and becomes [`engine::input::Input::Message`]. The
//! [`sip`] layer parses it, its transaction layer answers 100 and hands a new request to the
//! [`engine`], which makes a [`call`]: two legs, each with its own Call-ID, tags, and session
//! description. [`sdp`] reads the offer and plans what the other side will be offered;
//! [`media`] chooses a worker, ports and ICE credentials, and the worker opens the flows
//! (*open*). When they are open, the INVITE of the second leg leaves. Its answer goes the same
//! road back: [`sdp`] maps it to the first leg, the worker learns peer and route (*connect*), the
//! first leg gets its 200 and the second its ACK. The browser's ICE checks are answered on the
//! worker; its DTLS handshake runs on the handshake thread ([`media::handshake`]), and when the
//! certificate matches the SDP's fingerprint the keys go down (*key*). From then on no media
//! packet comes near this crate.
//!
//! Everything that is no INVITE dialog (REGISTER, MESSAGE, SUBSCRIBE, OPTIONS) goes through the [`edge`]
//! proxy, or ends at the built-in [`lines`].
//!
//! # The contract of every state machine
//!
//! One `handle_*`, then `poll_*` until empty, then wait for `poll_timeout`. `now` never goes
//! backwards. No machine reads a clock, sleeps, spawns, or does I/O: only [`shell`] does.

#![forbid(unsafe_code)]

pub mod acme;
pub mod call;
pub mod config;
pub mod edge;
pub mod engine;
pub mod explain;
pub mod health;
mod hex;
pub mod host;
pub mod limits;
pub mod lines;
pub mod media;
pub mod phone;
mod rate;
mod room;
pub mod sdp;
pub mod selftest;
pub mod shell;
pub mod sip;
pub mod token;
pub mod trunk;
pub mod websocket;
