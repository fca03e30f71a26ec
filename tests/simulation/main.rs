//! The control plane in one thread, with a fake clock: whole calls, message by message.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod association;
mod bodies;
mod calls;
mod carrier_media;
mod descriptions;
mod dialects;
mod digits;
mod failover;
mod flows;
mod forks;
mod formats;
mod hardening;
mod headers;
mod holds;
mod identity;
mod large;
mod late_offer;
mod limits;
mod lines;
mod load;
mod locate;
mod number_params;
mod numbers;
mod offers;
mod peers;
mod privacy;
mod proxy;
mod random;
mod refer;
mod registrars;
mod registration;
mod reliable;
mod request_failover;
mod rfc7118;
mod service_route;
mod session_timer;
mod talker;
mod transfer;
mod transfer_codecs;
mod transports;
mod trouble;
mod update;
mod video;
