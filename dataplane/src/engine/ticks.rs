//! Arithmetic of sequence numbers and timestamps, which wrap.

use std::time::Duration;

use crate::limits::TIMESTAMP_JUMP_MAX;

/// How far `to` is ahead of `from`, over the wrap.
pub(super) fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// A time in ticks of an RTP clock, modulo 2^32 as timestamps are.
pub(super) fn ticks(time: Duration, clock_hz: u32) -> u32 {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let ticks = microseconds.wrapping_mul(u64::from(clock_hz)) / 1_000_000;
    u32::try_from(ticks & u64::from(u32::MAX)).unwrap_or(0)
}

/// Two timestamps that differ by so much can be of one clock. Without a known clock, any can.
pub(super) fn is_near(difference: i32, clock_hz: u32) -> bool {
    let max = TIMESTAMP_JUMP_MAX.as_secs() * u64::from(clock_hz);
    clock_hz == 0 || u64::from(difference.unsigned_abs()) <= max
}
