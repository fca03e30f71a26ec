use super::*;

#[test]
fn an_interval_is_half_to_one_and_a_half_of_the_mean_less_the_compensation() {
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for random in 0..2000 {
        let time = interval(false, random);
        (shortest, longest) = (shortest.min(time), longest.max(time));
    }
    let range = Duration::from_millis(2_052)..Duration::from_millis(2_054);
    assert!(range.contains(&shortest), "{shortest:?}");
    let range = Duration::from_millis(6_156)..Duration::from_millis(6_159);
    assert!(range.contains(&longest), "{longest:?}");
    assert!(interval(true, 1000) < Duration::from_millis(1_233));
}

#[test]
fn the_peers_clock_is_taken_from_the_report_that_was_quickest() {
    let written = |ms| NtpTime(1 << 60).after(Duration::from_millis(ms));
    let ours = |ms| NtpTime(1 << 61).after(Duration::from_millis(ms));
    let near = |clock: &PeerClock, ms: u64, expected: u64| {
        let error = clock.at(ours(ms)).unwrap().minus(written(expected));
        assert!(error.unsigned_abs() < 1 << 24, "{error} is more than 4 ms");
    };
    let mut clock = PeerClock::default();
    assert_eq!(clock.at(ours(0)), None);
    clock.follow(written(0), ours(80));
    near(&clock, 80, 0);
    clock.follow(written(5000), ours(5020));
    near(&clock, 5020, 5000);
    // A late report moves it by little, and many of them by as much as they are late.
    clock.follow(written(10_000), ours(10_120));
    near(&clock, 10_020, 10_000);
    for n in 3..300 {
        clock.follow(written(5000 * n), ours(5000 * n + 120));
    }
    near(&clock, 1_500_120, 1_500_000);
    // Its clock was set.
    clock.follow(written(0), ours(2_000_000));
    near(&clock, 2_000_000, 0);
    // Any number may come.
    clock.follow(NtpTime(0), NtpTime(u64::MAX));
    clock.follow(NtpTime(u64::MAX), NtpTime(0));
    assert!(clock.at(NtpTime(5)).is_some());
}
