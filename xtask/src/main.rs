//! What is done to the project beyond plain commands of cargo: `cargo xtask --help`.
//!
//! A file for each task. What a task needs besides Rust is fetched once, at fixed versions, into `~/.cache/shadowtable` (see
//! `tools`). Nothing is read from stdin, and all servers listen on 127.0.0.1.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::disallowed_methods, reason = "clock and environment have ports in the product, not here")]

mod browser;
mod ci;
mod deploy;
mod documents;
mod grafana;
mod iam;
mod mutants;
mod place;
mod tally;
mod tools;
mod tour;

use anyhow::Result;
use clap::Parser;
use xshell::Shell;

/// What is done to the project beyond plain commands of cargo. Tasks that need the program build it, unless SHADOWTABLE names one.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Everything that must hold before a change lands.
    Ci {
        /// Goes on from this step.
        step: Option<String>,
    },
    /// The status page in a real browser, through a whole migration on DynamoDB Local.
    Browser {
        /// Also writes the pictures of docs/images.
        #[arg(long)]
        write: bool,
        /// Takes the page from this checkout, not from the program: to try changes.
        #[arg(long)]
        disk: bool,
    },
    /// What deploy/ holds is valid, and fits together.
    Deploy,
    /// Fetches `DynamoDB` Local and prints its folder, for `DYNAMODB_LOCAL_DIR`.
    DynamodbLocal,
    /// The Grafana dashboard is what its generator makes, and what Grafana's published types allow.
    Grafana {
        /// Writes it anew first.
        #[arg(long)]
        write: bool,
    },
    /// Does what docs/operations and the README tell operators to do.
    Handbook {
        /// Only the scenarios whose names begin so.
        scenario: Option<String>,
    },
    /// Tries the policies of deploy/iam on moto, with its IAM switched on.
    Iam {
        /// Only the scenarios whose names begin so.
        scenario: Option<String>,
    },
    /// Breaks rules on purpose, one at a time: random histories, or a test, must notice.
    Mutants {
        /// Only these: names of files in tests/mutants. All of them take about a minute each.
        names: Vec<String>,
        /// Says whether all still apply and compile, and plays nothing.
        #[arg(long, conflicts_with = "names")]
        check: bool,
        /// So many histories may be played until one notices.
        #[arg(long, default_value_t = 10_000)]
        seeds: u32,
    },
    /// Runs the end-to-end tests many times in a row, and counts.
    Tally {
        /// On this endpoint.
        endpoint: tally::Endpoint,
        /// Until there are so many runs of this commit.
        runs: usize,
    },
    /// Does what the README's five-minute tour says, in its own words.
    Tour,
}

fn main() -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(place::root());
    match Task::parse() {
        Task::Ci { step } => ci::run(&shell, step.as_deref()),
        Task::Browser { write, disk } => browser::run(&shell, write, disk),
        Task::Deploy => deploy::run(&shell),
        Task::DynamodbLocal => {
            println!("{}", tools::dynamodb_local(&shell)?.display());
            Ok(())
        }
        Task::Grafana { write } => grafana::run(&shell, write),
        Task::Handbook { scenario } => documents::handbook(&shell, scenario.as_deref()),
        Task::Iam { scenario } => iam::run(&shell, scenario.as_deref()),
        Task::Mutants { check: true, .. } => mutants::check(&shell),
        Task::Mutants { names, seeds, .. } => mutants::run(&shell, &names, seeds),
        Task::Tally { endpoint, runs } => tally::run(&shell, endpoint, runs),
        Task::Tour => tour::run(&shell),
    }
}
