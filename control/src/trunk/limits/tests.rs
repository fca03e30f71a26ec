use proptest::prelude::*;

use super::*;

#[expect(
    clippy::disallowed_methods,
    reason = "a starting point for a fake clock"
)]
fn start() -> Instant {
    Instant::now()
}

fn quota(calls_max: Option<usize>, calls_per_second: Option<u32>) -> (Quota, Instant) {
    let now = start();
    let config = LimitsConfig {
        calls_max,
        calls_per_second,
    };
    (Quota::new(config, now), now)
}

fn name(number: u32) -> CallName {
    (format!("call-{number}"), "tag".to_owned())
}

/// The call is made if it may be.
fn call(quota: &mut Quota, now: Instant, number: u32) -> Result<(), Limit> {
    let checked = quota.check(now, &name(number));
    if checked.is_ok() {
        quota.began(now, &name(number));
    }
    checked.map_err(|excess| excess.limit)
}

#[test]
fn without_limits_every_call_is_taken_and_counted() {
    let (mut quota, now) = quota(None, None);
    for number in 0..1000 {
        assert_eq!(call(&mut quota, now, number), Ok(()));
    }
    assert_eq!(quota.usage("a").calls, 1000);
    assert_eq!(quota.poll_timeout(), None);
}

#[test]
fn calls_at_a_time_are_limited_and_one_that_ends_makes_room() {
    let (mut quota, now) = quota(Some(2), None);
    assert_eq!(call(&mut quota, now, 1), Ok(()));
    assert_eq!(call(&mut quota, now, 2), Ok(()));
    assert_eq!(call(&mut quota, now, 3), Err(Limit::Calls));
    quota.ended();
    assert_eq!(call(&mut quota, now, 4), Ok(()));
    assert_eq!(call(&mut quota, now, 5), Err(Limit::Calls));
    assert_eq!(quota.usage("a").refused_by_calls, 2);
}

#[test]
fn new_calls_per_second_are_limited_with_a_burst_of_one_second() {
    let (mut quota, now) = quota(None, Some(4));
    for number in 0..4 {
        assert_eq!(call(&mut quota, now, number), Ok(()));
    }
    assert_eq!(call(&mut quota, now, 9), Err(Limit::Rate));
    let later = now + Duration::from_millis(250);
    assert_eq!(call(&mut quota, later, 10), Ok(()));
    assert_eq!(call(&mut quota, later, 11), Err(Limit::Rate));
    let rested = later + Duration::from_secs(60);
    for number in 20..24 {
        assert_eq!(call(&mut quota, rested, number), Ok(()));
    }
    assert_eq!(call(&mut quota, rested, 24), Err(Limit::Rate));
    assert_eq!(quota.usage("a").refused_by_rate, 3);
}

#[test]
fn a_refused_call_costs_no_place_and_no_token() {
    let (mut quota, now) = quota(Some(1), Some(1));
    assert_eq!(call(&mut quota, now, 1), Ok(()));
    let later = now + Duration::from_secs(1);
    for number in 2..50 {
        assert_eq!(call(&mut quota, later, number), Err(Limit::Calls));
    }
    quota.ended();
    assert_eq!(call(&mut quota, later, 50), Ok(()));
}

#[test]
fn the_pause_is_that_until_the_next_call_in_whole_seconds() {
    let (mut fast, now) = quota(None, Some(10));
    let (mut full, _) = quota(Some(1), None);
    for number in 0..10 {
        assert_eq!(call(&mut fast, now, number), Ok(()));
    }
    let pause = |checked: Result<(), Excess>| checked.unwrap_err().retry_after_s;
    assert_eq!(pause(fast.check(now, &name(11))), 1);
    assert_eq!(call(&mut full, now, 1), Ok(()));
    assert_eq!(pause(full.check(now, &name(2))), RETRY_AFTER_S);
    assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
}

#[test]
fn only_the_first_refusal_of_many_is_told_and_their_number_when_it_is_over() {
    let (mut quota, mut now) = quota(Some(1), None);
    assert_eq!(call(&mut quota, now, 1), Ok(()));
    let firsts = (0..50).filter(|number| {
        now += Duration::from_secs(1);
        quota.check(now, &name(*number)).unwrap_err().is_first
    });
    assert_eq!(firsts.count(), 1);
    let quiet_at = quota.poll_timeout().unwrap();
    assert_eq!(quiet_at, now + LIMIT_QUIET_AFTER);
    assert!(quota.settled(now).is_empty());
    assert_eq!(quota.settled(quiet_at), [(Limit::Calls, 50)]);
    assert_eq!(quota.poll_timeout(), None);
    assert!(quota.check(quiet_at, &name(99)).unwrap_err().is_first);
}

#[test]
fn a_call_that_comes_again_with_credentials_does_not_count_twice() {
    let (mut quota, now) = quota(None, Some(1));
    assert_eq!(call(&mut quota, now, 1), Ok(()));
    quota.challenged(now, name(1));
    quota.ended();
    assert_eq!(call(&mut quota, now, 2), Err(Limit::Rate));
    assert_eq!(call(&mut quota, now, 1), Ok(()), "the same again");
    quota.ended();
    assert_eq!(call(&mut quota, now, 1), Err(Limit::Rate), "but once");
}

#[test]
fn endless_challenges_do_not_open_the_limit() {
    let (mut quota, now) = quota(None, Some(1));
    let mut taken = 0;
    while call(&mut quota, now, 1).is_ok() {
        quota.challenged(now, name(1));
        quota.ended();
        taken += 1;
    }
    assert_eq!(taken, 1 + u32::from(CHALLENGES_FREE_MAX));
}

#[test]
fn a_challenge_is_forgotten_in_time_and_their_number_is_bounded() {
    let (mut quota, now) = quota(None, Some(1));
    assert_eq!(call(&mut quota, now, 1), Ok(()));
    quota.challenged(now, name(1));
    let late = now + CHALLENGE_ANSWERED_WITHIN;
    assert_eq!(call(&mut quota, late, 2), Ok(()));
    assert_eq!(call(&mut quota, late, 1), Err(Limit::Rate));
    for number in 0..u32::try_from(CHALLENGED_CALLS_MAX).unwrap() + 9 {
        quota.challenged(late, name(number));
    }
    assert_eq!(quota.challenged.len(), CHALLENGED_CALLS_MAX);
    quota.challenged(late + CHALLENGE_ANSWERED_WITHIN, name(u32::MAX));
    assert_eq!(quota.challenged.len(), 1);
}

proptest! {
    #[test]
    fn never_more_calls_than_allowed_and_none_is_lost(
        max in 1usize..5,
        rate in 1u32..5,
        steps in prop::collection::vec((0u32..8, 0u64..900), 1..200),
    ) {
        let (mut quota, mut now) = quota(Some(max), Some(rate));
        let begin = now;
        let (mut open, mut begun) = (0usize, 0u32);
        for (step, pause_ms) in steps {
            now += Duration::from_millis(pause_ms);
            if step < 5 {
                if call(&mut quota, now, begun).is_ok() {
                    open += 1;
                    begun += 1;
                }
            } else if open > 0 {
                quota.ended();
                open -= 1;
            }
            prop_assert_eq!(quota.usage("a").calls, open);
            prop_assert!(open <= max);
            let allowed = f64::from(rate) * ((now - begin).as_secs_f64() + 1.0);
            prop_assert!(f64::from(begun) <= allowed + 1e-6);
        }
        while open > 0 {
            quota.ended();
            open -= 1;
        }
        prop_assert_eq!(quota.usage("a").calls, 0);
    }
}
