//! Metrics and logs.

mod logs;
mod meters;
pub mod names;

pub use logs::{LogFormat, LogSettings, init_logs};
pub use meters::Meters;
