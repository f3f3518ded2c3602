//! The replication protocol under faults: each rule has a test that fails when the rule is broken.
//!
//! Everything enters through `runtime::run`, as in production, on fake ports and paused time. `SEED=7 cargo test --test
//! protocol random` replays one random history.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop where it stands")]

#[path = "../support/fakes/mod.rs"]
mod fakes;
mod harness;

mod serial_writes;
