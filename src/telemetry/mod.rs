//! Metrics and logs.

mod logs;
mod meters;
pub mod names;
mod recorder;
pub mod stderr;

pub use logs::{LogFormat, LogSettings, announce, announce_panics, init_logs};
pub use meters::{Meters, Tally, Totals};
pub use recorder::install_recorder;
