//! Plays many random histories of a migration on a simulated service; see `testkit::histories`.
//!
//! ```sh
//! cargo run --release -p testkit --bin simulate -- --seeds 10000      # prints how many a second, and how they ended
//! cargo run --release -p testkit --bin simulate -- --seed 42          # one; if it fails, it is shrunk and told
//! TELL=1 cargo run --release -p testkit --bin simulate -- --seed 42   # with every request, if it fails
//! ```
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "test code, and a program for a terminal"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;

use testkit::histories::history::History;
use testkit::histories::run::{self, Seen};
use testkit::histories::shrink::{outcome, shrink};

/// Plays random histories of a migration.
#[derive(Parser)]
struct Args {
    /// How many histories.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plays this seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Tells a failure as it is, without making it shorter.
    #[arg(long)]
    no_shrink: bool,
}

/// What was played so far.
#[derive(Default)]
struct Played {
    histories: u64,
    ends: BTreeMap<String, u64>,
    seen: Seen,
    failed: Option<(u64, String)>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seeds = args.seed.map_or(args.from..args.from + args.seeds, |seed| seed..seed + 1);
    // A failure is told when it is looked at, not by each thread.
    std::panic::set_hook(Box::new(|_| {}));
    let (next, played, began) = (AtomicU64::new(seeds.start), Mutex::new(Played::default()), now());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end
                        || played.lock().unwrap().failed.as_ref().is_some_and(|(first, _)| *first < seed)
                    {
                        return;
                    }
                    let outcome = outcome(&History::of(seed));
                    note(&mut played.lock().unwrap(), seed, outcome);
                }
            });
        }
    });
    let played = played.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let Seen { cutovers, processes, requests, .. } = played.seen;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = played.histories as f64 / seconds;
    println!("{} histories in {seconds:.1} s, {rate:.1} a second: {:?}", played.histories, played.ends);
    println!(
        "{cutovers} cutovers were begun, {processes} processes started; the last of each history sent {requests} requests"
    );
    match played.failed {
        None => ExitCode::SUCCESS,
        Some((seed, broken)) => {
            tell(seed, &broken, !args.no_shrink);
            ExitCode::FAILURE
        }
    }
}

fn note(played: &mut Played, seed: u64, outcome: Result<(run::End, Seen), String>) {
    played.histories += 1;
    match outcome {
        Ok((end, more)) => {
            *played.ends.entry(format!("{end:?}")).or_default() += 1;
            played.seen.cutovers += more.cutovers;
            played.seen.processes += more.processes;
            played.seen.requests += more.requests;
        }
        Err(broken) if played.failed.as_ref().is_none_or(|(first, _)| seed < *first) => {
            played.failed = Some((seed, broken));
        }
        Err(_) => {}
    }
}

fn tell(seed: u64, broken: &str, shortened: bool) {
    eprintln!("seed {seed} failed: {broken}");
    let mut history = History::of(seed);
    if shortened {
        history = shrink(&history);
        eprintln!("made shorter, it fails so: {}", outcome(&history).expect_err("it failed just now"));
    }
    eprintln!("{history}");
    eprintln!("to play it again: cargo run --release -p testkit --bin simulate -- --seed {seed}");
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}
