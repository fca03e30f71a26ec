//! SRTP takes its memory when a context is made: after that, no packet allocates, whatever becomes
//! of it. And how much memory that is.

#![expect(
    unsafe_code,
    reason = "a global allocator that counts is an unsafe trait"
)]
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod engine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crypto::keys::{MasterKey, Mki, SrtpProfile};
use crypto::srtp::{SrtpError, SrtpOptions, SrtpReceiver, SrtpSender};

thread_local! {
    /// Allocations of this thread, and bytes that it holds.
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub(layout.size()));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

fn master(profile: SrtpProfile, mki: bool) -> MasterKey {
    let material: Vec<u8> = (0..46).collect();
    let (key, salt) = material.split_at(profile.key_bytes());
    let key = MasterKey::new(profile, key, &salt[..profile.salt_bytes()]).unwrap();
    match mki {
        true => key.with_mki(Mki::new(&[1, 2, 3, 4]).unwrap()),
        false => key,
    }
}

fn rtp(buffer: &mut [u8], ssrc: u8, sequence: u16, length: usize) {
    buffer[..length].fill(0x11);
    buffer[..2].copy_from_slice(&[0x80, 96]);
    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
    buffer[8..12].copy_from_slice(&[0, 0, 0, ssrc]);
}

/// What one direction may take for one source. aws-lc keeps each of the two expanded keys of a GCM
/// suite in 584 bytes of its own, which this allocator does not see.
const BYTES_MAX: usize = 1024;

/// Good, repeated, forged and malformed packets of several sources, around a reset too.
fn traffic(sender: &mut SrtpSender, receiver: &mut SrtpReceiver) {
    let mut buffer = [0; 1500];
    for step in 0..600_u16 {
        let ssrc = u8::try_from(step % 3).unwrap();
        rtp(&mut buffer, ssrc, step.wrapping_mul(200), 172);
        let length = sender.protect_rtp(&mut buffer, 172).unwrap();
        let sent = buffer;
        buffer[40] ^= 1;
        assert!(receiver.unprotect_rtp(&mut buffer[..length]).is_err());
        buffer = sent;
        receiver.unprotect_rtp(&mut buffer[..length]).unwrap();
        buffer = sent;
        let repeated = receiver.unprotect_rtp(&mut buffer[..length]);
        assert_eq!(repeated, Err(SrtpError::Replayed));
        assert!(sender.protect_rtp(&mut buffer, 5).is_err());

        buffer[..8].copy_from_slice(&[0x81, 200, 0, 6, 0, 0, 0, ssrc]);
        let length = sender.protect_rtcp(&mut buffer, 28).unwrap();
        let sent = buffer;
        buffer[12] ^= 1;
        assert!(receiver.unprotect_rtcp(&mut buffer[..length]).is_err());
        buffer = sent;
        receiver.unprotect_rtcp(&mut buffer[..length]).unwrap();
        if step == 300 {
            receiver.signal_rollover_reset();
        }
    }
}

#[test]
fn no_packet_allocates_after_a_context_is_made() {
    assert!(
        allocations(|| drop(vec![0_u8; 10])) > 0,
        "the counter counts"
    );
    for profile in SrtpProfile::ALL {
        for mki in [false, true] {
            let key = master(profile, mki);
            let mut sender = SrtpSender::new(&key).unwrap();
            let mut receiver = SrtpReceiver::new(&key).unwrap();
            let count = allocations(|| traffic(&mut sender, &mut receiver));
            assert_eq!(count, 0, "{profile}, identifier: {mki}");
        }
    }
}

#[test]
fn one_direction_of_one_source_fits_in_one_kibibyte() {
    let options = SrtpOptions {
        sources_max: 1,
        ..SrtpOptions::default()
    };
    for profile in SrtpProfile::ALL {
        let key = master(profile, false);
        let before = BYTES.get();
        let sender = Box::new(SrtpSender::with_options(&key, options).unwrap());
        let sender_bytes = BYTES.get() - before;
        let receiver = Box::new(SrtpReceiver::with_options(&key, options).unwrap());
        let receiver_bytes = BYTES.get() - before - sender_bytes;
        assert!(sender_bytes <= BYTES_MAX, "{profile}: {sender_bytes} bytes");
        assert!(
            receiver_bytes <= BYTES_MAX,
            "{profile}: {receiver_bytes} bytes"
        );
        drop((sender, receiver));
        assert_eq!(BYTES.get(), before, "everything is given back");
    }
}
