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
//! A metric is named here alone: a counter has its field in `meters`; a gauge is set in `runtime::monitor`, whenever somebody asks, so
//! that no stuck task can leave it stale. `docs/operations/metrics.md` describes each. No item value enters a metric or a line.

mod logs;
mod meters;
pub mod names;
mod recorder;
pub mod stderr;

pub use logs::{LogFormat, LogSettings, announce, announce_panics, init_logs};
pub use meters::{Meters, Tally, Totals};
pub use recorder::install_recorder;
