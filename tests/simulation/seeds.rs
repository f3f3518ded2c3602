//! A few hundred seeds for every test run.

use testkit::harness::given;
use testkit::histories::history::History;
use testkit::histories::run::{End, Seen};
use testkit::histories::shrink::outcome;

/// How many seeds each of the tests plays; they run at the same time.
const SEEDS: u64 = 120;

/// Plays seeds from `from` on, or those that the environment says: `SEED` is the first, `SEEDS` how many.
fn seeds(from: u64) -> Vec<(End, Seen)> {
    let from = given("SEED").unwrap_or(from);
    let played = (from..from + given("SEEDS").unwrap_or(SEEDS)).map(|seed| {
        outcome(&History::of(seed)).unwrap_or_else(|broken| {
            panic!(
                "seed {seed}: {broken}\nto shrink it: cargo run --release -p testkit --bin simulate -- --seed {seed}"
            )
        })
    });
    played.collect()
}

#[test]
fn histories_end_right() {
    let played = seeds(0);
    if given("SEED").is_none() {
        for end in [End::Mirrored, End::Switched, End::NeedsReseed] {
            assert!(played.iter().any(|(ended, _)| *ended == end), "no history ends as {end:?}");
        }
    }
}

#[test]
fn more_histories_end_right() {
    seeds(1_000_000);
}

/// A seed that failed can be looked into only if it goes the same way again.
#[test]
fn a_history_goes_the_same_way_each_time() {
    for seed in 0..20 {
        let history = History::of(seed);
        let [first, second] = [outcome(&history).unwrap(), outcome(&history).unwrap()];
        assert_eq!(first, second, "seed {seed}");
    }
}
