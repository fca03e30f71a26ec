//! Our SRTP beside libsrtp2: the same packets to both, the same answers from both.
//!
//! | File | What |
//! |---|---|
//! | `differences` | where the two may differ, all of it |
//! | `peers` | one call: both senders and both receivers with the same keys |
//! | `packets` | random RTP and RTCP, and damage |
//! | `traffic` | random calls |
//! | `edges` | chosen orders: first packets, wraps, window edges |
//! | `reference` | a second judge of the suites in counter mode, for AES-192 |

mod differences;
mod edges;
mod packets;
mod peers;
mod reference;
mod traffic;

pub(crate) use peers::SUITES;
