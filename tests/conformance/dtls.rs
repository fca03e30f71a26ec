//! The DTLS fuzz target on random inputs: a minute in every run of the tests, and for as long as is
//! asked with `make fuzz-dtls`.
//!
//! A finding names its seed; `RINGWAY_SEED=… RINGWAY_EXECUTIONS=1 make fuzz-dtls` runs it again, with
//! other keys and randoms: those are the library's own.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::{Random, SeedOnPanic, seed};
use crate::targets;

/// How long a run of the tests looks for findings.
const IN_TESTS: Duration = Duration::from_secs(60);
/// Executions of `make fuzz-dtls`, unless `RINGWAY_EXECUTIONS` says otherwise.
const LONG_RUN: u64 = 10_000_000;
/// Time between two lines of a long run.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// One execution: an input of this seed.
fn execute(seed: u64) {
    let on_panic = SeedOnPanic(seed);
    let mut random = Random::new(seed);
    let length = random.between(4, 300);
    targets::dtls::dtls(&random.bytes(length));
    drop(on_panic);
}

/// Executions on two threads until the time or the number is reached; returns how many.
#[expect(clippy::disallowed_methods, reason = "a run is bounded by the clock")]
fn run(first: u64, executions: u64, time: Duration) -> u64 {
    let began = Instant::now();
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while began.elapsed() < time {
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    if number >= executions {
                        break;
                    }
                    execute(first.wrapping_add(number));
                }
            });
        }
    });
    done.load(Ordering::Relaxed).min(executions)
}

#[test]
fn media_f1_a_minute_of_random_datagrams_finds_no_panic_in_dtls() {
    let executions = run(seed(), u64::MAX, IN_TESTS);
    assert!(executions > 1000, "only {executions} executions");
}

#[test]
fn dtls_holds_over_its_corpus() {
    crate::corpus::replay("dtls", targets::dtls::dtls);
}

/// A fuzzer that never finds anything may be blind: the seam hides panics from everybody else.
#[test]
fn media_f1_a_panic_that_the_seam_has_caught_is_a_finding() {
    let caught = std::panic::catch_unwind(targets::dtls::what_a_caught_panic_is);
    assert!(caught.is_err(), "nobody would see it");
}

#[test]
#[ignore = "runs for as long as is asked: make fuzz-dtls"]
#[expect(clippy::disallowed_methods, reason = "the time that it took")]
fn fuzz_dtls() {
    let asked = env::var("RINGWAY_EXECUTIONS").ok();
    let asked = asked.map_or(LONG_RUN, |text| text.parse().expect("a whole number"));
    let (first, began) = (seed(), Instant::now());
    let mut done = 0;
    while done < asked {
        done += run(first.wrapping_add(done), asked - done, SAY_EVERY);
        let seconds = began.elapsed().as_secs_f64();
        println!("{done} executions in {seconds:.0} s without a finding (first seed {first})");
    }
}
