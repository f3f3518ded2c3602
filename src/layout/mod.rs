//! What a migration is to reach, and what it will cost: pure comparisons, no requests.
//!
//! - [`read_layout`]: a target layout from a file with CloudFormation's property names, with all its mistakes at once.
//! - [`write_layout`]: such a file, from a layout.
//! - [`differences`]: what a table has otherwise than it should, field by field.
//! - [`CopyEstimate`]: units and duration of the copy.

mod cost;
mod drift;
mod file;

pub use cost::{CopyEstimate, CopyVolume};
pub use drift::{Difference, differences};
pub use file::{read_layout, write_layout};
