//! Metrics and logs: what a process says to machines and to people while it runs.
//!
//! | file | does |
//! |---|---|
//! | `names` | every metric in one table: name, kind, unit, meaning; and its labels |
//! | `meters` | counters and histograms, counted by whoever does the work |
//! | `recorder` | keeps all samples, for the admin port to print |
//! | `logs` | structured lines |
//! | `stderr` | the way out for them, which never holds anything up |
//!
//! A name stands in `names` alone. A counter has a field or a method in `meters`. A gauge is set by `publish` of `runtime::monitor`, from
//! the status document and whenever somebody asks, so that no stuck task can leave it stale, and to NaN by `publish_nothing`.
//! `docs/operations/metrics.md` describes each. No item value enters a metric or a line.

mod logs;
mod meters;
pub mod names;
mod recorder;
pub mod stderr;

pub use logs::{LogFormat, LogSettings, announce, announce_panics, init_logs};
pub use meters::{Meters, Tally, Totals};
pub use recorder::install_recorder;
