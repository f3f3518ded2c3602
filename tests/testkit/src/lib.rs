//! What the tests stand on, compiled once.
//!
//! - `fakes`: a simulated service behind the program's ports, on paused time, with faults; `harness` runs migrations in it;
//!   `histories` makes random ones from seeds.
//! - `scale`: the engine at the size of production, against a model of the service's limits.
//! - `model`: a checked model of the protocol.
//! - `real`: endpoints, the real program, outside writers, and a comparator. It uses nothing of the library under test: a mistake
//!   shared by both would prove itself right.
//!
//! A file that only one test target needs is that target's own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on stops where it stands"
)]
#![allow(clippy::return_self_not_must_use, missing_docs, reason = "a name that says everything needs no comment")]

pub mod fakes;
pub mod harness;
pub mod histories;
pub mod model;
pub mod real;
pub mod scale;
