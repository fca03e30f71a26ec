//! Chosen orders of sequence numbers, where index estimation and replay lists have their edges.

use crypto::keys::SrtpProfile;
use libsrtp::Suite;

use super::packets::{rtcp, rtp};
use super::peers::{Call, Kind, Peers, SUITES};
use crate::random::{Random, SeedOnPanic, seed};

const SSRC: u32 = 0x5249_4E47;

fn plain_call(suite: (SrtpProfile, Suite)) -> Call {
    Call {
        suite,
        mki: Vec::new(),
        window_packets: 128,
        rollover_counter: None,
    }
}

/// Has both senders protect packets of these numbers, in this order, and delivers them to both
/// receivers in the order of the positions. Returns which of the deliveries were accepted.
fn accepted(numbers: &[u16], deliveries: &[usize]) -> Vec<bool> {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    let mut accepted = Vec::new();
    for suite in SUITES {
        let mut peers = Peers::new(&plain_call(*suite), &mut random);
        let sent: Vec<_> = numbers
            .iter()
            .map(|number| {
                let plain = rtp(&mut random, SSRC, *number);
                let datagram = peers.protect_rtp(&plain).expect("both senders protect it");
                (plain, datagram)
            })
            .collect();
        let answers: Vec<_> = deliveries
            .iter()
            .map(|position| {
                let (plain, datagram) = &sent[*position];
                let received = peers.deliver(Kind::Rtp, datagram);
                assert!(received.is_none() || received.as_ref() == Some(plain));
                received.is_some()
            })
            .collect();
        assert!(accepted.is_empty() || accepted == answers, "{suite:?}");
        accepted = answers;
    }
    drop(repeat);
    accepted
}

#[test]
fn first_packets_of_any_number_are_accepted_once() {
    for first in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF] {
        assert_eq!(accepted(&[first], &[0, 0]), [true, false], "{first}");
    }
}

#[test]
fn a_receiver_that_joins_after_a_wrap_authenticates_nothing() {
    // The sender has ROC 1, the receiver guesses 0, nobody has told it (RFC 3711 section 3.3.1).
    assert_eq!(accepted(&[0xFFFF, 0, 1], &[1, 2]), [false, false]);
}

#[test]
fn late_packets_from_before_the_wrap_are_accepted_once() {
    let numbers = [0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0, 1];
    assert_eq!(
        accepted(&numbers, &[0, 4, 3, 5, 2, 3, 1]),
        [true, true, true, true, true, false, true]
    );
}

#[test]
fn the_first_packet_just_after_zero_makes_the_one_before_it_unreadable() {
    // 0xFFFF was sent with ROC 0, then 0 with ROC 1: a receiver whose first packet is 0 takes it
    // for ROC 0, and then 0xFFFF for a jump ahead.
    assert_eq!(accepted(&[0xFFFF, 0], &[1, 0]), [false, true]);
}

#[test]
fn the_window_ends_127_packets_behind_the_newest() {
    let numbers: Vec<u16> = (1000..1200).collect();
    for (newest, behind, expected) in [(150, 127, true), (150, 128, false), (199, 127, true)] {
        let answers = accepted(&numbers, &[0, newest, newest - behind, newest - behind]);
        assert_eq!(answers, [true, true, expected, false], "{behind} behind");
    }
}

#[test]
fn the_window_reaches_across_a_wrap() {
    let numbers: Vec<u16> = (0..200_u16).map(|n| n.wrapping_sub(100)).collect();
    let answers = accepted(&numbers, &[0, 199, 199 - 127, 199 - 128, 199 - 127]);
    assert_eq!(answers, [true, true, true, false, false]);
}

#[test]
fn half_the_number_space_ahead_is_ahead_and_more_is_behind() {
    // Ahead by 32768 from below the middle, and by 32767 from above it.
    assert_eq!(accepted(&[0, 0x8000], &[0, 1]), [true, true]);
    assert_eq!(
        accepted(&[0, 0x8000, 0xFFFF, 0x7FFE], &[0, 1, 2, 3, 2]),
        [true, true, true, true, false]
    );
}

#[test]
fn many_wraps_in_large_steps_are_followed() {
    let numbers: Vec<u16> = (0..900_u32)
        .map(|n| u16::try_from((n * 32_000) & 0xFFFF).unwrap())
        .collect();
    let order: Vec<usize> = (0..numbers.len()).collect();
    assert!(accepted(&numbers, &order).iter().all(|accepted| *accepted));
}

#[test]
fn losing_more_than_half_the_number_space_loses_the_source() {
    let numbers = [0, 30_000, 60_000, 24_464, 24_465];
    let answers = accepted(&numbers, &[0, 3, 4]);
    assert_eq!(answers, [true, false, false]);
}

#[test]
fn every_single_flipped_bit_is_refused_and_leaves_no_trace() {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    for suite in SUITES {
        for kind in [Kind::Rtp, Kind::Rtcp] {
            let mut peers = Peers::new(&plain_call(*suite), &mut random);
            for number in [7, 8] {
                let (plain, datagram) = match kind {
                    Kind::Rtp => {
                        let plain = rtp(&mut random, SSRC, number);
                        let datagram = peers.protect_rtp(&plain).unwrap();
                        (plain, datagram)
                    }
                    Kind::Rtcp => {
                        let plain = rtcp(&mut random, SSRC);
                        let (_, datagram) = peers.protect_with_ours(kind, &plain);
                        (plain, datagram.unwrap())
                    }
                };
                for bit in 0..datagram.len() * 8 {
                    let mut damaged = datagram.clone();
                    damaged[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(peers.deliver(kind, &damaged), None, "bit {bit}");
                }
                for length in 0..datagram.len() {
                    assert_eq!(
                        peers.deliver(kind, &datagram[..length]),
                        None,
                        "{length} bytes"
                    );
                }
                assert_eq!(peers.deliver(kind, &datagram), Some(plain));
            }
        }
    }
    drop(repeat);
}

#[test]
fn the_srtcp_window_ends_127_packets_behind_the_newest() {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    for suite in SUITES {
        let mut peers = Peers::new(&plain_call(*suite), &mut random);
        let sent: Vec<_> = (0..300)
            .map(|_| {
                let plain = rtcp(&mut random, SSRC);
                peers.protect_with_theirs(Kind::Rtcp, &plain).1.unwrap()
            })
            .collect();
        for (position, expected) in [
            (200, true),
            (200, false),
            (200 - 127, true),
            (200 - 128, false),
            (199, true),
            (299, true),
            (299 - 127, true),
            (299 - 128, false),
        ] {
            let received = peers.deliver(Kind::Rtcp, &sent[position]);
            assert_eq!(
                received.is_some(),
                expected,
                "packet {position} with {suite:?}"
            );
        }
    }
    drop(repeat);
}

#[test]
fn rollover_counters_of_32_bits_are_kept() {
    let seed = seed();
    let repeat = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    for suite in SUITES {
        for counter in [1, 0xFFFE, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFFE] {
            let call = Call {
                rollover_counter: Some((SSRC, counter)),
                ..plain_call(*suite)
            };
            let mut peers = Peers::new(&call, &mut random);
            for number in [0xFFFE, 0xFFFF, 0, 1] {
                let plain = rtp(&mut random, SSRC, number);
                let datagram = peers.protect_rtp(&plain).unwrap();
                assert_eq!(peers.deliver(Kind::Rtp, &datagram), Some(plain));
                peers.compare_rollover_counters(SSRC);
            }
        }
    }
    drop(repeat);
}
