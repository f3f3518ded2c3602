//! The replication protocol under faults: each rule has a test that fails when the rule is broken.
//!
//! Everything enters through `runtime::run`, as in production, on fake ports and paused time. `TELL=1` prints all that
//! happened when an end is wrong. Random histories are in `tests/simulation`.
#![cfg(test)]

mod acting;
mod checkpoints;
mod commands;
mod copies;
mod cutover;
mod drain;
mod feed;
mod foreign;
mod gates;
mod hands;
mod history;
mod intent;
mod lease;
mod lineage;
mod liveness;
mod memory;
mod ownership;
mod phases;
mod reseed;
mod segments;
mod serial_writes;
mod switch;
