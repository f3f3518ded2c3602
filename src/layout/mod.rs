//! What a migration is to reach, and what it will cost: pure comparisons, no requests.
//!
//! | file | does |
//! |---|---|
//! | `file/` | a layout from YAML or JSON with CloudFormation's property names, all its mistakes at once; and such a file from a layout |
//! | `drift` | what a table has otherwise than it should, field by field |
//! | `cost` | units and duration of the copy |
//!
//! A layout itself is [`TableLayout`](crate::model::TableLayout). Limits are the service's, each with its source.

mod cost;
mod drift;
mod file;

pub use cost::{CopyEstimate, CopyVolume};
pub use drift::{Difference, differences};
pub use file::{read_layout, write_layout};
