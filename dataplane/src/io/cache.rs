//! What the processor's caches are told to fetch.

#![expect(unsafe_code, reason = "these instructions have no safe wrapper")]

use crypto::srtp::Visitor;

/// A cache line of x86-64, and of most AArch64.
const LINE_BYTES: usize = 64;

/// Has all that it visits fetched. Nothing waits for it, and nothing changes.
pub(crate) struct Prefetcher;

impl Visitor for Prefetcher {
    fn visit<T: ?Sized>(&mut self, part: &T) {
        prefetch(std::ptr::from_ref(part).cast(), size_of_val(part));
    }
}

/// Has the lines fetched in which so many bytes lie. The address may be any.
pub(super) fn prefetch(start: *const u8, bytes: usize) {
    let into_line = start.addr() % LINE_BYTES;
    for offset in (0..into_line + bytes).step_by(LINE_BYTES) {
        prefetch_line(start.wrapping_sub(into_line).wrapping_add(offset));
    }
}

fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing and cannot fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint, which reads nothing and cannot fault.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{address}]",
            address = in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
