//! What the kernel says about the clock on the wall.

#![expect(unsafe_code, reason = "adjtimex(2) has no safe wrapper here")]

use std::io;

/// Does a time service hold the clock of this host in step (`STA_UNSYNC` of adjtimex(2) is not set)?
/// Nothing is changed by asking.
///
/// # Errors
/// The process may not ask (a unit with `ProtectClock=`).
pub fn is_in_step() -> io::Result<bool> {
    // SAFETY: a C structure of numbers, for which zeros are values.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, writable `timex`; its zero `modes` change nothing.
    match unsafe { libc::adjtimex(&raw mut clock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(clock.status & libc::STA_UNSYNC == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_says_the_same_twice() {
        assert_eq!(is_in_step().unwrap(), is_in_step().unwrap());
    }
}
