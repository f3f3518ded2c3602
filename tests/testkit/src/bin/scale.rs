//! Plays the engine at the size of production, on a model of the service's limits; see `testkit::scale`.
//!
//! ```sh
//! cargo run --release -p testkit --bin scale            # all scenarios
//! cargo run --release -p testkit --bin scale -- cold    # one of them
//! ```
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::Instant;

use clap::Parser;

use testkit::scale::{run, scenario};

/// Plays the engine at the size of production.
#[derive(Parser)]
struct Args {
    /// The scenarios' names; all without any.
    names: Vec<String>,
    /// Items of each table, instead of its own number.
    #[arg(long)]
    items: Option<u32>,
}

fn main() {
    let args = Args::parse();
    for mut scenario in scenario::all() {
        if !args.names.is_empty() && !args.names.iter().any(|name| name == scenario.name) {
            continue;
        }
        scenario.items = args.items.unwrap_or(scenario.items);
        let began = now();
        print!("{}", run::play(&scenario));
        println!("  played in {:.1} s\n", began.elapsed().as_secs_f64());
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it takes to play is told")]
fn now() -> Instant {
    Instant::now()
}
