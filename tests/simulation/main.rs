//! The control plane in one thread, with a fake clock: whole calls, message by message.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod hardening;
mod identity;
mod peers;
mod random;
mod registration;
mod session_timer;
mod trouble;
