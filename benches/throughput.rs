//! CPU per item, latency and memory: `cargo bench --bench throughput`.
//!
//! Everything is measured in one run, on one machine, against endpoints that cost next to nothing, since only then can
//! figures be compared: the goals are ratios to the *bare loop*, which is what the typed SDK costs by itself. What is
//! counted is the CPU time of the measured process, all threads; endpoints are processes of their own. Rounds alternate
//! between what is compared, and a ratio is taken within its round, so that a busy neighbour hits both sides.
//!
//! It fails when an item or change is lost on the way: see `Scenario::check`.
//!
//! `cargo bench --bench throughput -- --rounds 5` for more rounds, `-- measure '"Copy"' 200000` for one measurement
//! alone, under a profiler.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark reports to a person and stops at a failure; indexing JSON gives null where nothing is"
)]

mod bare_loop;
mod child;
mod mirror;
mod null_endpoint;
mod report;
mod scenario;

use report::{Row, median};
use scenario::{Measured, Scenario, as_f64};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Enough for seconds of CPU: one in a hundred of noise.
const ITEMS: u64 = 200_000;
/// About 20 s of writes into the slow shadow, copied and replayed.
const ITEMS_FOR_MEMORY: u64 = 300_000;
/// Shards, and the changes that each of them holds when the process starts: three full pages, or one.
const MANY_SHARDS: [(u64, u64); 2] = [(300, 2_400), (2_000, 800)];
/// `cargo test --benches` only wants to know that it runs.
const ITEMS_OF_A_TRIAL: u64 = 4_000;
const ROUNDS: usize = 3;

/// What is compared with the bare loop: its name and its goal.
const COMPARED: [(Scenario, &str, Option<f64>); 5] = [
    (Scenario::Bare, "bare loop, an item", None),
    (Scenario::Copy, "copy, an item", Some(1.4)),
    (Scenario::Replay, "replay, a change", Some(2.0)),
    (Scenario::ReplaySkewed, "replay of skewed keys, a change", Some(2.0)),
    (Scenario::ReplayOldImages, "replay with old images, a change", None),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [null_endpoint::ARGUMENT, ..] => null_endpoint::serve(&arguments[1..]).expect("the endpoint serves"),
        [mirror::STATE_ARGUMENT] => mirror::serve_state().expect("the state table's endpoint serves"),
        [scenario::ARGUMENT, scenario, count, ..] => measure(scenario, count),
        given => {
            let rounds = given.iter().skip_while(|one| **one != "--rounds").nth(1).and_then(|text| text.parse().ok());
            let full = given.contains(&"--bench");
            compare(full, rounds.unwrap_or(if full { ROUNDS } else { 1 }));
        }
    }
}

/// Measures one scenario in this process, and prints the figures for the one that started it.
fn measure(scenario: &str, count: &str) {
    let scenario: Scenario = serde_json::from_str(scenario).expect("a scenario");
    let count = count.parse().expect("a number of items");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let measured = runtime.block_on(scenario.run(count)).expect("figures");
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
}

fn compare(full: bool, rounds: usize) {
    let (items, items_for_memory) = if full { (ITEMS, ITEMS_FOR_MEMORY) } else { (ITEMS_OF_A_TRIAL, ITEMS_OF_A_TRIAL) };
    let mut measured: [Vec<Measured>; COMPARED.len()] = Default::default();
    for _ in 0..rounds {
        for ((scenario, ..), measured) in COMPARED.iter().zip(&mut measured) {
            measured.push(scenario.measure(items).expect("figures"));
        }
    }
    println!("{items} items or changes of 1 KB, {rounds} rounds");
    report::print_cpu_head();
    for ((_, name, goal), rounds) in COMPARED.iter().zip(&measured) {
        Row { name, measured: rounds, bare: &measured[0], goal: *goal }.print();
    }

    let rates = measured[2].iter().map(|one| as_f64(one.writes) / one.writing_seconds).collect();
    let rate = half_of(median(rates));
    let latency = |_| Scenario::Latency { rate }.measure(items).expect("figures");
    report::print_latency(rate, &(0..rounds).map(latency).collect::<Vec<_>>());

    let memory = |scenario: Scenario| scenario.measure(items_for_memory).expect("figures");
    report::print_memory("memory, copy with a backlog, slow shadow", &memory(Scenario::SlowShadow));
    report::print_memory("memory, skewed backlog, stalled shadow", &memory(Scenario::StalledShadow));
    for (shards, each) in MANY_SHARDS {
        let each = if full { each } else { each / 100 };
        let measured = Scenario::ManyShards { shards }.measure(shards * each).expect("figures");
        report::print_memory(&format!("memory, restart, {shards} shards with {each} changes each"), &measured);
    }
}

/// In whole hundreds, which the portions of a hundredth of a second divide.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate of some thousands a second")]
fn half_of(rate: f64) -> u64 {
    ((rate / 200.0) as u64).max(1) * 100
}
