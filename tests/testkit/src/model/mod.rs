//! A checked model of the replication protocol: every state within small bounds is looked at.
//!
//! Four models, each of what the others leave out: `replication` (invariants 1 to 5 and 8), `takeover` (6), `ownership` of
//! shadow keys, and `cutover` (6 and 7). In each,
//!
//! - with all rules in place nothing goes wrong in any state, and whatever happens, all is drained once faults stop:
//!   there is no cycle, and where nothing but faults can follow, it is drained;
//! - with one rule taken out, something goes wrong, and the shortest story of it is printed;
//! - what the claims speak of does happen.
//!
//! `cargo run --release -p testkit --bin model` looks at larger bounds and tells all stories.

pub mod catalogue;
mod check;
pub mod cutover;
mod few;
pub mod ownership;
pub mod replication;
pub mod rules;
pub mod takeover;
