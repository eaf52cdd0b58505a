//! Tests that try random values for as long as they are given: half a second, or the seconds that `CRITD_FUZZ_SECONDS` says.
//!
//! `cargo xtask test` gives each of them ten seconds; `docs/SECURITY.md` says what ran longer and what it found.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Tries values until the time is over; a value that fails is made smaller and shown. How many were tried is printed.
pub(crate) fn for_a_while<S: Strategy>(values: S, test: impl Fn(S::Value) -> TestCaseResult) {
    let seconds = std::env::var("CRITD_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.5);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let mut tried = 0_u64;
    loop {
        if let Err(error) = TestRunner::new(config.clone()).run(&values, &test) {
            panic!("{error}");
        }
        tried += u64::from(config.cases);
        if Instant::now() > end {
            println!("{tried} values tried in {seconds} s");
            return;
        }
    }
}

/// Parts of what means something here, put together at random, and anything else.
pub(crate) fn any_of_parts(parts: &'static [&'static str], most: usize) -> BoxedStrategy<String> {
    let part = prop_oneof![
        12 => prop::sample::select(parts).prop_map(String::from),
        1 => "\\PC{0,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..most)
        .prop_map(|parts| parts.concat())
        .boxed()
}
