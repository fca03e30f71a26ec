use std::time::Duration;

use super::*;

const CLOCK_HZ: u32 = 8000;

#[expect(
    clippy::disallowed_methods,
    reason = "a test begins somewhere and goes on by itself"
)]
fn start() -> Instant {
    Instant::now()
}

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    let mut packet = [0x80; 14];
    crate::wire::rtp::rewrite(&mut packet, 0, sequence, timestamp, ssrc).unwrap();
    packet[0] = 0x80;
    RtpHeader::parse(&packet).unwrap()
}

/// What a packet leaves as.
fn sent(
    rewrite: &mut Rewrite,
    now: Instant,
    (ssrc, sequence, timestamp): (u32, u16, u32),
) -> Option<(u16, u32)> {
    let header = header(ssrc, sequence, timestamp);
    let arrival = rewrite.take(&header, CLOCK_HZ);
    let numbers = rewrite.apply(now, &header, arrival, CLOCK_HZ)?;
    Some((numbers.sequence, numbers.timestamp))
}

/// A packet comes that is withheld.
fn withheld(rewrite: &mut Rewrite, (ssrc, sequence, timestamp): (u32, u16, u32)) {
    let arrival = rewrite.take(&header(ssrc, sequence, timestamp), CLOCK_HZ);
    rewrite.skip(arrival);
}

#[test]
fn goes_on_by_one_when_the_source_changes() {
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(sent(&mut rewrite, t, (1, 500, 1000)), Some((500, 1000)));
    let later = t + Duration::from_millis(100);
    assert_eq!(sent(&mut rewrite, later, (2, 9, 9)), Some((501, 1800)));
    assert_eq!(sent(&mut rewrite, later, (2, 10, 169)), Some((502, 1960)));
    // Without any time gone by, the timestamp still advances by a frame.
    assert_eq!(sent(&mut rewrite, later, (3, 7, 7)), Some((503, 2120)));
}

#[test]
fn media_f4_two_in_a_row_far_away_begin_a_new_numbering() {
    for far in [40_000, 3100, 62_000_u16] {
        let mut rewrite = Rewrite::default();
        let t = start();
        assert_eq!(sent(&mut rewrite, t, (1, 100, 0)), Some((100, 0)));
        assert_eq!(sent(&mut rewrite, t, (1, far, 5)), None, "one may be stray");
        // The number of the first is left to it, in case that it is sent again.
        let second = sent(&mut rewrite, t, (1, far + 1, 165));
        assert_eq!(second, Some((102, 160)), "{far}");
        assert_eq!(sent(&mut rewrite, t, (1, far, 5)), Some((101, 0)));
        let next = sent(&mut rewrite, t, (1, far + 3, 485));
        assert_eq!(next, Some((104, 480)));
        assert_eq!(sent(&mut rewrite, t, (1, far, 5)), None, "only once");
        // What is late of the old numbering is stray.
        assert_eq!(sent(&mut rewrite, t, (1, 97, 160)), None);
        assert_eq!(sent(&mut rewrite, t, (1, far + 4, 645)), Some((105, 640)));
    }
}

#[test]
fn media_f4_a_single_stray_packet_changes_nothing() {
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(sent(&mut rewrite, t, (1, 5000, 0)), Some((5000, 0)));
    for (stray, next) in [(4000, 5001), (4001, 5002), (30_000, 5003), (30_001, 5004)] {
        assert_eq!(sent(&mut rewrite, t, (1, stray, 0)), None);
        // The two are not in a row: the true numbering goes on between them.
        assert_eq!(sent(&mut rewrite, t, (1, next, 0)), Some((next, 0)));
    }
}

#[test]
fn media_f4_a_source_that_goes_back_by_a_few_is_told_from_repeated_packets() {
    let mut rewrite = Rewrite::default();
    let t = start();
    for n in 0..200_u16 {
        assert!(sent(&mut rewrite, t, (1, 1000 + n, u32::from(n) * 160)).is_some());
    }
    // Sent twice by a network.
    for n in 150..160_u16 {
        let repeated = sent(&mut rewrite, t, (1, 1000 + n, u32::from(n) * 160));
        assert_eq!(repeated, None);
    }
    // New sound in used numbers: time goes on, or is another one.
    assert_eq!(sent(&mut rewrite, t, (1, 1150, 32_000)), None);
    let restarted = sent(&mut rewrite, t, (1, 1151, 32_160));
    assert_eq!(restarted.map(|(sequence, _)| sequence), Some(1201));
    assert_eq!(sent(&mut rewrite, t, (1, 1120, 4_000_000)), None);
    let restarted = sent(&mut rewrite, t, (1, 1121, 4_000_160));
    assert_eq!(restarted.map(|(sequence, _)| sequence), Some(1203));
}

#[test]
fn media_f4_numbers_are_followed_while_nothing_leaves() {
    for passed in [1_u32, 90, 2999, 63_500, 65_536, 200_000] {
        let mut rewrite = Rewrite::default();
        let t = start();
        assert_eq!(sent(&mut rewrite, t, (1, 100, 0)), Some((100, 0)));
        for n in 1..=passed {
            let sequence = u16::try_from((100 + n) & 0xFFFF).unwrap();
            withheld(&mut rewrite, (1, sequence, n * 160));
        }
        let sequence = u16::try_from((101 + passed) & 0xFFFF).unwrap();
        let later = t + Duration::from_millis(20) * (passed + 1);
        let time = (passed + 1) * 160;
        let resumed = sent(&mut rewrite, later, (1, sequence, time));
        assert_eq!(resumed, Some((101, time)), "after {passed}");
        // What was withheld does not leave when it comes late.
        let late = sequence.wrapping_sub(1);
        assert_eq!(sent(&mut rewrite, later, (1, late, time - 160)), None);
    }
}

#[test]
fn media_f4_a_source_that_begins_anew_while_nothing_leaves_goes_on_at_once() {
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(sent(&mut rewrite, t, (1, 100, 0)), Some((100, 0)));
    withheld(&mut rewrite, (1, 40_000, 7));
    withheld(&mut rewrite, (1, 40_001, 167));
    let later = t + Duration::from_secs(60);
    assert_eq!(sent(&mut rewrite, later, (1, 40_000, 7)), None, "late");
    let resumed = sent(&mut rewrite, later, (1, 40_002, 327));
    assert_eq!(resumed, Some((101, 480_000)));
    withheld(&mut rewrite, (2, 9, 5));
    let resumed = sent(&mut rewrite, later, (2, 10, 165));
    assert_eq!(resumed, Some((102, 480_160)));
}

#[test]
fn media_f4_a_clock_that_was_set_does_not_reach_the_receiver() {
    for clock in [0_u32, 0x8000_0000, 3_000_000_000] {
        let mut rewrite = Rewrite::default();
        let t = start();
        assert_eq!(
            sent(&mut rewrite, t, (1, 9, 1_000_000)),
            Some((9, 1_000_000))
        );
        let later = t + Duration::from_millis(20);
        let next = sent(&mut rewrite, later, (1, 10, clock));
        assert_eq!(next, Some((10, 1_000_160)));
        let next = sent(&mut rewrite, later, (1, 11, clock.wrapping_add(160)));
        assert_eq!(next, Some((11, 1_000_320)));
    }
    // A pause of the source is none.
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(sent(&mut rewrite, t, (1, 9, 0)), Some((9, 0)));
    let later = t + Duration::from_secs(600);
    assert_eq!(
        sent(&mut rewrite, later, (1, 10, 4_800_000)),
        Some((10, 4_800_000))
    );
}

#[test]
fn lets_no_sequence_number_leave_twice() {
    let mut rewrite = Rewrite::default();
    let t = start();
    for sequence in [10, 12, 11] {
        assert!(sent(&mut rewrite, t, (1, sequence, 0)).is_some());
    }
    for sequence in [10, 11, 12] {
        assert_eq!(sent(&mut rewrite, t, (1, sequence, 0)), None);
    }
    // 999 of the new source would land on 12, which the old source has used.
    assert_eq!(sent(&mut rewrite, t, (2, 1000, 0)).unwrap().0, 13);
    assert_eq!(sent(&mut rewrite, t, (2, 999, 0)), None);
    assert!(sent(&mut rewrite, t, (2, 1300, 0)).is_some());
    assert_eq!(sent(&mut rewrite, t, (2, 1200, 0)), None, "too old to tell");
}

#[test]
fn media_f5_a_stream_begins_far_from_the_wrap_of_its_numbers() {
    let t = start();
    for (first, leaves_as) in [
        (65_535, 32_767),
        (65_530, 32_762),
        (32_768, 0),
        (0, 0),
        (7, 7),
    ] {
        let mut rewrite = Rewrite::default();
        let begun = sent(&mut rewrite, t, (1, first, 160));
        assert_eq!(begun, Some((leaves_as, 160)));
        let next = sent(&mut rewrite, t, (1, first.wrapping_add(1), 320));
        assert_eq!(next, Some((leaves_as + 1, 320)));
        // Another stream from here on: it too.
        rewrite.leave_as(None);
        let next = sent(&mut rewrite, t, (1, first.wrapping_add(2), 480));
        assert!(next.unwrap().0 <= FIRST_SEQUENCE_MAX);
    }
    for random in [0, u64::MAX, 0x7FFF, 0x8000, 0xFFFF] {
        let mut rewrite = Rewrite::default();
        let time = rewrite.begin(t, CLOCK_HZ, random);
        let digit = rewrite.insert(t, time).sequence;
        assert!(digit <= FIRST_SEQUENCE_MAX, "{random:x}: {digit}");
        let next = sent(&mut rewrite, t, (1, 60_000, 480)).unwrap();
        assert_eq!(next.0, digit + 1);
    }
}

#[test]
fn media_f5_packets_that_could_not_be_sent_take_no_numbers() {
    let mut rewrite = Rewrite::default();
    let t = start();
    for n in 0..70_000_u32 {
        let header = header(1, u16::try_from((65_500 + n) & 0xFFFF).unwrap(), n * 160);
        let arrival = rewrite.take(&header, CLOCK_HZ);
        let numbers = rewrite.apply(t, &header, arrival, CLOCK_HZ).unwrap();
        assert_eq!(numbers.sequence, 32_732, "after {n}");
        rewrite.withdraw(&numbers);
    }
    let next = sent(&mut rewrite, t, (1, 4428, 70_000 * 160));
    assert_eq!(next, Some((32_732, 70_000 * 160)));
    // A late one that could not be sent changes nothing.
    assert_eq!(
        sent(&mut rewrite, t, (1, 4430, 70_000 * 160)).unwrap().0,
        32_734
    );
    let late = header(1, 4429, 70_000 * 160);
    let arrival = rewrite.take(&late, CLOCK_HZ);
    let numbers = rewrite.apply(t, &late, arrival, CLOCK_HZ).unwrap();
    assert_eq!(numbers.sequence, 32_733);
    rewrite.withdraw(&numbers);
    assert_eq!(
        sent(&mut rewrite, t, (1, 4431, 70_000 * 160)).unwrap().0,
        32_735
    );
}

#[test]
fn media_f5_a_stream_that_another_source_takes_over_goes_on() {
    let mut rewrite = Rewrite::default();
    let t = start();
    rewrite.leave_as(Some(Place {
        sequence: 65_535,
        timestamp: 1000,
        sent_at: t,
    }));
    let later = t + Duration::from_secs(1);
    assert_eq!(sent(&mut rewrite, later, (1, 7, 5)), Some((0, 9000)));
}
