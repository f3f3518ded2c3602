//! Looks at the models of `testkit::model` within larger bounds, and tells what goes wrong without each rule.
//!
//! `cargo run --release -p testkit --bin model`: some minutes, some gigabytes. With `small`, the bounds of the tests.

#![allow(clippy::indexing_slicing, reason = "as in the tests, whose modules these are: indices come from the bounds")]
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::process::ExitCode;

use testkit::model::catalogue::{
    CASES, CUTOVER, Case, HISTORY, OWNERSHIP, REMOVALS, REPLICATION, THERE_AND_BACK, TWO_CUTOVERS, TWO_KEYS,
};
use testkit::model::ownership::Begin;
use testkit::model::rules::{Guards, Invariant, Rule};
use testkit::model::{cutover, ownership, replication, takeover};

/// What is looked at beyond the tests.
const LARGE: [Case; 17] = [
    Case::Replication(replication::Bounds { writes: 3, ..REPLICATION }),
    Case::Replication(replication::Bounds { writes: 3, trims: 0, crashes: 2, rolls: 2, ..REPLICATION }),
    Case::Replication(replication::Bounds { writes: 3, refusals: 0, trims: 0, faults: 2, rolls: 0, ..REPLICATION }),
    Case::Replication(replication::Bounds { keys: 2, trims: 0, ..REPLICATION }),
    Case::Replication(replication::Bounds { keys: 2, writes: 1, ..REPLICATION }),
    Case::Replication(replication::Bounds { keys: 2, faults: 0, refusals: 0, history: 2, ..REPLICATION }),
    Case::Replication(replication::Bounds { keys: 3, faults: 1, rolls: 0, ..TWO_KEYS }),
    Case::Replication(replication::Bounds { writes: 2, ..HISTORY }),
    Case::Takeover(takeover::Bounds { writes: 3, faults: 2, ends: 3 }),
    Case::Ownership(ownership::Bounds { writes: 3, faults: 1, crashes: 1, begin: Begin::One }),
    Case::Ownership(ownership::Bounds { writes: 3, faults: 1, ..OWNERSHIP }),
    Case::Ownership(ownership::Bounds { faults: 1, begin: Begin::Copy, crashes: 0, ..OWNERSHIP }),
    Case::Ownership(ownership::Bounds { begin: Begin::Copy, ..OWNERSHIP }),
    Case::Cutover(cutover::Bounds { writes: 2, cutovers: 2, faults: 2, ..CUTOVER }),
    Case::Cutover(cutover::Bounds { cutovers: 2, ends: 2, ..CUTOVER }),
    Case::Cutover(cutover::Bounds { writes: 2, cutovers: 2, faults: 2, ends: 2, ..CUTOVER }),
    Case::Cutover(cutover::Bounds { cutovers: 2, ..THERE_AND_BACK }),
];

/// States up to which cycles are looked for.
const CYCLES_UP_TO: usize = 3_000_000;

fn main() -> ExitCode {
    let small = std::env::args().any(|argument| argument == "small");
    let well = all_rules(if small { &CASES } else { &LARGE }) & one_rule_less();
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// With all rules, nothing may go wrong.
fn all_rules(cases: &[Case]) -> bool {
    println!("With all rules:\n\n{:>10} {:>6} {:>8}  {:<9} model", "states", "depth", "seconds", "result");
    let mut well = true;
    for case in cases {
        let outcome = case.explore(Guards::default());
        let seconds = outcome.took.as_secs_f64();
        let result = if outcome.counterexample.is_none() { "holds" } else { "VIOLATED" };
        println!("{:>10} {:>6} {seconds:>8.1}  {result:<9} {}", outcome.states, outcome.depth, outcome.title);
        if outcome.counterexample.is_some() || !outcome.unseen.is_empty() {
            println!("{outcome}");
            well = false;
        }
        // With more states than the tests have, looking for cycles takes more memory than the rest.
        if outcome.states < CYCLES_UP_TO
            && let Err(path) = case.cycle()
        {
            println!("IT GOES ROUND: {path:#?}");
            well = false;
        }
    }
    well
}

/// Without one rule, something must go wrong.
fn one_rule_less() -> bool {
    println!("\nWithout one rule:\n");
    let mut lengths = Vec::new();
    for (rule, case) in REMOVALS {
        let outcome = case.explore(Guards::without(rule));
        println!("without {rule}: {outcome}\n");
        lengths.push((rule, outcome.counterexample.map(|(_, story)| story.len())));
    }
    // A source that stays fenced is the shorter story; this is the worse one.
    for rule in [Rule::StepsOutlasted, Rule::StepsCountAsLoud, Rule::OwnStepsOutlasted] {
        let case = match rule {
            Rule::OwnStepsOutlasted => Case::Cutover(cutover::Bounds { faults: 2, ..TWO_CUTOVERS }),
            _ => Case::Cutover(CUTOVER),
        };
        let outcome = case.explore_for(Guards::without(rule), Some(cutover::BOTH_OPEN));
        println!("without {rule}: {outcome}\n");
    }
    println!("{:>7}  without", "actions");
    for (rule, length) in &lengths {
        println!("{:>7}  {rule}", length.map_or_else(|| "none".to_owned(), |length| length.to_string()));
    }
    let told = |invariant| lengths.iter().any(|(rule, length)| *rule == Rule::Whole(invariant) && length.is_some());
    Invariant::ALL.into_iter().all(told) && lengths.iter().all(|(_, length)| length.is_some())
}
