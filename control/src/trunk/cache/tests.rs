use std::net::IpAddr;

use super::*;
use crate::trunk::dns::{RecordKind, Srv};

const TTL: Duration = Duration::from_secs(300);

#[expect(
    clippy::disallowed_methods,
    reason = "a starting point for a fake clock"
)]
fn start() -> Instant {
    Instant::now()
}

fn question() -> Question {
    Question {
        name: "sbc.test".to_owned(),
        kind: RecordKind::A,
    }
}

fn address(last: u8) -> Record {
    Record::Address(IpAddr::from([192, 0, 2, last]))
}

fn answer(last: u8, ttl: Duration) -> Answer {
    let records = vec![address(last)];
    Answer::Records { records, ttl }
}

fn failed() -> Answer {
    Answer::Failed("timed out".to_owned())
}

/// A cache of which one question was asked.
fn asked(now: Instant) -> Cache {
    let mut cache = Cache::default();
    cache.want(now, &BTreeSet::from([question()]));
    assert_eq!(cache.due(now), [question()]);
    cache
}

/// Asks when it wants to, and answers so. Returns how long that took.
fn next(cache: &mut Cache, now: &mut Instant, answer: Answer) -> Duration {
    let at = cache.poll_timeout().unwrap();
    let waited = at - *now;
    *now = at;
    assert_eq!(cache.due(*now), [question()]);
    assert!(cache.answered(*now, &question(), answer));
    waited
}

#[test]
fn d1_a_question_is_asked_once_until_it_is_answered() {
    let now = start();
    let mut cache = asked(now);
    assert_eq!(cache.look(now, &question()), Look::Waiting);
    assert_eq!(cache.poll_timeout(), None);
    assert_eq!(cache.due(now + TTL), []);
    assert!(cache.answered(now, &question(), answer(1, TTL)));
    assert_eq!(cache.look(now, &question()), Look::Known(&[address(1)]));
    assert!(!cache.answered(now, &question(), answer(2, TTL)), "twice");
}

#[test]
fn d1_an_answer_is_asked_for_again_before_its_time_ends() {
    let mut now = start();
    let mut cache = asked(now);
    cache.answered(now, &question(), answer(1, TTL));
    assert_eq!(next(&mut cache, &mut now, answer(2, TTL)), TTL * 9 / 10);
    assert_eq!(cache.look(now, &question()), Look::Known(&[address(2)]));
}

#[test]
fn d1_times_to_live_have_a_floor_and_a_ceiling() {
    for (given, taken) in [
        (Duration::ZERO, LOCATION_TTL_MIN),
        (TTL, TTL),
        (Duration::from_secs(7 * 24 * 3600), LOCATION_TTL_MAX),
    ] {
        let now = start();
        let mut cache = asked(now);
        cache.answered(now, &question(), answer(1, given));
        assert_eq!(cache.poll_timeout(), Some(now + taken * 9 / 10));
    }
    for (given, taken) in [
        (None, LOCATION_TTL_MIN),
        (Some(LOCATION_TTL_MAX), LOCATION_NEGATIVE_TTL_MAX),
    ] {
        let now = start();
        let mut cache = asked(now);
        cache.answered(now, &question(), Answer::Nothing { ttl: given });
        assert_eq!(cache.look(now, &question()), Look::Known(&[]));
        assert_eq!(cache.poll_timeout(), Some(now + taken * 9 / 10));
    }
}

#[test]
fn d1_failures_are_tried_again_less_and_less_often() {
    let mut now = start();
    let mut cache = asked(now);
    cache.answered(now, &question(), failed());
    assert_eq!(cache.look(now, &question()), Look::Failed("timed out"));
    let waits: Vec<u64> = (0..8)
        .map(|_| next(&mut cache, &mut now, failed()).as_secs())
        .collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    next(&mut cache, &mut now, answer(1, TTL));
    next(&mut cache, &mut now, failed());
    assert_eq!(next(&mut cache, &mut now, failed()), LOCATION_RETRY_FIRST);
}

#[test]
fn d1_an_old_answer_is_better_than_none_for_a_day() {
    let mut now = start();
    let mut cache = asked(now);
    cache.answered(now, &question(), answer(1, TTL));
    let end = now + TTL;
    next(&mut cache, &mut now, failed());
    assert_eq!(cache.look(now, &question()), Look::Known(&[address(1)]));
    while now < end + LOCATION_STALE_MAX - LOCATION_RETRY_MAX {
        next(&mut cache, &mut now, failed());
    }
    let stale = [address(1)];
    assert_eq!(
        cache.look(now, &question()),
        Look::Stale(&stale, "timed out")
    );
    next(&mut cache, &mut now, failed());
    next(&mut cache, &mut now, failed());
    assert_eq!(cache.look(now, &question()), Look::Failed("timed out"));
}

#[test]
fn d1_what_nobody_wants_is_forgotten() {
    let now = start();
    let mut cache = asked(now);
    cache.want(now, &BTreeSet::new());
    assert!(!cache.answered(now, &question(), answer(1, TTL)), "late");
    assert_eq!(cache.poll_timeout(), None);
    assert_eq!(cache.look(now, &question()), Look::Waiting);
}

#[test]
fn d1_of_too_many_records_the_best_are_kept() {
    let now = start();
    let mut cache = asked(now);
    let srv = |priority| {
        Record::Srv(Srv {
            priority,
            weight: 0,
            port: 5060,
            target: "sbc.test.".to_owned(),
        })
    };
    let records = (0..100).rev().map(srv).collect();
    cache.answered(now, &question(), Answer::Records { records, ttl: TTL });
    let best: Vec<Record> = (0..32).map(srv).collect();
    assert_eq!(cache.look(now, &question()), Look::Known(&best));
}
