//! The replication protocol under faults: each rule has a test that fails when the rule is broken.
//!
//! Everything enters through `runtime::run`, as in production, on fake ports and paused time. `TELL=1` prints all that
//! happened when an end is wrong. Random histories are in `tests/simulation`.

// All of it is test code, which `clippy.toml` judges by itself.
#[cfg(test)]
mod acting;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod copies;
#[cfg(test)]
mod cutover;
#[cfg(test)]
mod drain;
#[cfg(test)]
#[path = "../support/fakes/mod.rs"]
#[allow(dead_code, reason = "what random histories need")]
mod fakes;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod hands;
#[cfg(test)]
#[allow(dead_code, reason = "what random histories need")]
mod harness;
#[cfg(test)]
mod history;
#[cfg(test)]
mod intent;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod lineage;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod ownership;
#[cfg(test)]
mod phases;
#[cfg(test)]
mod reseed;
#[cfg(test)]
mod segments;
#[cfg(test)]
mod serial_writes;
#[cfg(test)]
mod switch;
