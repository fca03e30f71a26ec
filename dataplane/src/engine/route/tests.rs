use super::*;

const CLOCK_HZ: u32 = 8000;

fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
    let mut packet = [0x80; 14];
    crate::wire::rtp::rewrite(&mut packet, 0, sequence, timestamp, ssrc).unwrap();
    packet[0] = 0x80;
    RtpHeader::parse(&packet).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test begins somewhere and goes on by itself"
)]
fn start() -> Instant {
    Instant::now()
}

#[test]
fn goes_on_by_one_when_the_source_changes() {
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(
        rewrite.apply(t, &header(1, 65_535, 1000), CLOCK_HZ),
        Some((65_535, 1000))
    );
    let later = t + Duration::from_millis(100);
    assert_eq!(
        rewrite.apply(later, &header(2, 500, 9), CLOCK_HZ),
        Some((0, 1800))
    );
    assert_eq!(
        rewrite.apply(later, &header(2, 501, 169), CLOCK_HZ),
        Some((1, 1960))
    );
    // Without any time gone by, the timestamp still advances by a frame.
    assert_eq!(
        rewrite.apply(later, &header(3, 7, 7), CLOCK_HZ),
        Some((2, 2120))
    );
}

#[test]
fn treats_a_jump_of_the_same_source_as_a_new_numbering() {
    let mut rewrite = Rewrite::default();
    let t = start();
    assert_eq!(
        rewrite.apply(t, &header(1, 100, 0), CLOCK_HZ),
        Some((100, 0))
    );
    assert_eq!(
        rewrite.apply(t, &header(1, 40_000, 5), CLOCK_HZ),
        Some((101, 160))
    );
    assert_eq!(
        rewrite.apply(t, &header(1, 40_002, 325), CLOCK_HZ),
        Some((103, 480))
    );
}

#[test]
fn lets_no_sequence_number_leave_twice() {
    let mut rewrite = Rewrite::default();
    let t = start();
    for sequence in [10, 12, 11] {
        assert!(
            rewrite
                .apply(t, &header(1, sequence, 0), CLOCK_HZ)
                .is_some()
        );
    }
    for sequence in [10, 11, 12] {
        assert_eq!(rewrite.apply(t, &header(1, sequence, 0), CLOCK_HZ), None);
    }
    // 999 of the new source would land on 12, which the old source has used.
    assert_eq!(
        rewrite.apply(t, &header(2, 1000, 0), CLOCK_HZ).unwrap().0,
        13
    );
    assert_eq!(rewrite.apply(t, &header(2, 999, 0), CLOCK_HZ), None);
    assert!(rewrite.apply(t, &header(2, 1300, 0), CLOCK_HZ).is_some());
    assert_eq!(
        rewrite.apply(t, &header(2, 1100, 0), CLOCK_HZ),
        None,
        "too old to tell"
    );
}
