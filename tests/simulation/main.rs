//! Random histories of a migration, on a simulated service and paused time.
//!
//! A history is made from a seed: what the application writes, how the stream's shards split, which requests fail and how,
//! when processes die, freeze, start and stop, what operators ask for. The engine is the one of production, entered by
//! `runtime::run`. After every step the rules are looked at that can be seen from outside; at the end the faults stop, and
//! the shadow must be the transformed source exactly. `examples/simulate.rs` plays many more, and shrinks what fails.

// All of it is test code, which `clippy.toml` judges by itself.
#[cfg(test)]
mod claims;
#[cfg(test)]
mod end;
#[cfg(test)]
#[path = "../support/fakes/mod.rs"]
#[allow(dead_code, unused_imports, reason = "what the tests of single rules need")]
mod fakes;
#[cfg(test)]
mod faults;
#[cfg(test)]
#[path = "../protocol/harness.rs"]
#[allow(dead_code, reason = "what the tests of single rules need")]
mod harness;
#[cfg(test)]
mod history;
#[cfg(test)]
mod run;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod shrink;
#[cfg(test)]
mod sweep;
