//! Random histories of a migration, on the simulated service and paused time.
//!
//! A history is made from a seed: what the application writes, how the stream's shards split, which requests fail and how,
//! when processes die, freeze, start and stop, what operators ask for. The engine is the one of production, entered by
//! `runtime::run`. After every step the rules are looked at that can be seen from outside; at the end the faults stop, and
//! the shadow must be the transformed source exactly.

pub mod end;
pub mod faults;
pub mod history;
pub mod run;
pub mod shrink;
