//! Rollover counters: signalled, reset, lost.

use super::*;
use crate::limits::ROLLOVER_RESET_PACKETS_MAX;

/// A receiver that has followed a source to rollover 3, and what the source sent last.
fn far_along(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let (mut sender, mut receiver) = pair(profile);
    sender.start_source(7, 3).unwrap();
    receiver.start_source(7, 3).unwrap();
    for number in [1000, 1001, 1002] {
        let sent = protected(&mut sender, &rtp(7, number)).unwrap();
        unprotected(&mut receiver, &sent).unwrap();
    }
    (sender, receiver)
}

#[test]
fn a_source_that_starts_again_is_only_taken_after_a_signal() {
    for profile in PROFILES {
        // Behind, within, ahead and half the range away of where it was.
        for first in [5, 990, 1003, 1500, 34_000, 60_000] {
            let (_, mut receiver) = far_along(profile);
            let (mut restarted, _) = pair(profile);
            let sent = protected(&mut restarted, &rtp(7, first)).unwrap();
            assert!(unprotected(&mut receiver, &sent).is_err());
            receiver.signal_rollover_reset();
            assert_eq!(
                unprotected(&mut receiver, &sent),
                Ok(rtp(7, first)),
                "{first}"
            );
            assert_eq!(receiver.rollover_counter(7), Some(0));
            let refused = unprotected(&mut receiver, &sent);
            assert_eq!(refused, Err(SrtpError::Replayed));
            let next = protected(&mut restarted, &rtp(7, first + 1)).unwrap();
            assert_eq!(unprotected(&mut receiver, &next), Ok(rtp(7, first + 1)));
        }
    }
}

#[test]
fn a_source_that_goes_on_after_a_signal_goes_on() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = far_along(profile);
        let replayed = protected(&mut sender, &rtp(7, 1003)).unwrap();
        unprotected(&mut receiver, &replayed).unwrap();
        receiver.signal_rollover_reset();
        let sent = protected(&mut sender, &rtp(7, 1004)).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(rtp(7, 1004)));
        let refused = unprotected(&mut receiver, &replayed);
        assert_eq!(refused, Err(SrtpError::Replayed));
        assert_eq!(receiver.rollover_counter(7), Some(3));
        // Still awaited: the re-INVITE may be answered before the peer starts again.
        let sent = protected(&mut pair(profile).0, &rtp(7, 1)).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(rtp(7, 1)));
        // Done: there is no second one.
        let sent = protected(&mut pair(profile).0, &rtp(7, 50_000)).unwrap();
        assert_eq!(unprotected(&mut receiver, &sent), Ok(rtp(7, 50_000)));
        let early = protected(&mut pair(profile).0, &rtp(7, 2)).unwrap();
        assert!(unprotected(&mut receiver, &early).is_err());
    }
}

#[test]
fn the_expectation_of_a_reset_ends() {
    let (mut sender, mut receiver) = far_along(SrtpProfile::AesCm128HmacSha1_80);
    receiver.signal_rollover_reset();
    for number in 0..ROLLOVER_RESET_PACKETS_MAX {
        let sent = protected(&mut sender, &rtp(7, 1003 + number)).unwrap();
        unprotected(&mut receiver, &sent).unwrap();
    }
    let (mut restarted, _) = pair(SrtpProfile::AesCm128HmacSha1_80);
    let sent = protected(&mut restarted, &rtp(7, 1)).unwrap();
    let refused = unprotected(&mut receiver, &sent);
    assert_eq!(refused, Err(SrtpError::TooOld));
}

#[test]
fn forged_packets_do_not_use_up_the_expectation_of_a_reset() {
    for profile in PROFILES {
        let (_, mut receiver) = far_along(profile);
        receiver.signal_rollover_reset();
        let (mut restarted, _) = pair(profile);
        let sent = protected(&mut restarted, &rtp(7, 1)).unwrap();
        let mut forged = sent.clone();
        forged[100] ^= 1;
        for _ in 0..2 * ROLLOVER_RESET_PACKETS_MAX {
            let refused = unprotected(&mut receiver, &forged);
            assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
        }
        assert_eq!(unprotected(&mut receiver, &sent), Ok(rtp(7, 1)));
    }
}

#[test]
fn the_rtcp_index_starts_again_with_the_source() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        sender.skip_rtcp_indices(5000);
        let sent = protected_rtcp(&mut sender, &rtcp(7)).unwrap();
        unprotected_rtcp(&mut receiver, &sent).unwrap();
        let (mut restarted, _) = pair(profile);
        let first = protected_rtcp(&mut restarted, &rtcp(7)).unwrap();
        let refused = unprotected_rtcp(&mut receiver, &first);
        assert_eq!(refused, Err(SrtpError::TooOld));
        receiver.signal_rollover_reset();
        assert_eq!(unprotected_rtcp(&mut receiver, &first), Ok(rtcp(7)));
        let refused = unprotected_rtcp(&mut receiver, &first);
        assert_eq!(refused, Err(SrtpError::Replayed));
    }
}

#[test]
fn a_signalled_rollover_counter_is_only_for_a_source_not_heard_yet() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes256Gcm);
    sender.start_source(1, 9).unwrap();
    assert_eq!(sender.rollover_counter(1), Some(9));
    assert_eq!(sender.start_source(1, 10), Err(SrtpError::SourceInUse));
    let sent = protected(&mut sender, &rtp(1, 5)).unwrap();
    let refused = unprotected(&mut receiver, &sent);
    assert_eq!(refused, Err(SrtpError::AuthenticationFailed));
    receiver.start_source(1, 9).unwrap();
    assert_eq!(unprotected(&mut receiver, &sent), Ok(rtp(1, 5)));
    assert_eq!(receiver.start_source(1, 9), Err(SrtpError::SourceInUse));
    receiver.remove_source(1);
    assert_eq!(receiver.rollover_counter(1), None);
    for ssrc in 0..u32::from(SOURCES_DEFAULT) {
        receiver.start_source(ssrc, ssrc).unwrap();
    }
    let refused = receiver.start_source(100, 0);
    assert_eq!(refused, Err(SrtpError::TooManySources));
    // The last one moves into the gap with all that it is.
    receiver.remove_source(3);
    let last = u32::from(SOURCES_DEFAULT) - 1;
    assert_eq!(receiver.rollover_counter(last), Some(last));
}

#[test]
fn a_loss_of_less_than_half_the_range_is_survived_and_a_longer_one_is_not() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        // The sender sees every step that it needs to keep its own count.
        let mut arrives = |from: u16, steps: u16, receiver: &mut SrtpReceiver| {
            let numbers = (1..=steps).map(|step| from.wrapping_add(8191 * step));
            let sent: Vec<_> = numbers
                .map(|number| protected(&mut sender, &rtp(7, number)).unwrap())
                .collect();
            unprotected(receiver, &sent[sent.len() - 1])
        };
        assert!(arrives(40_000, 1, &mut receiver).is_ok());
        assert!(arrives(48_191, 4, &mut receiver).is_ok());
        assert!(arrives(15_419, 4, &mut receiver).is_ok());
        let refused = arrives(48_183, 6, &mut receiver).unwrap_err();
        assert!(matches!(
            refused,
            SrtpError::TooOld | SrtpError::AuthenticationFailed
        ));
    }
}
