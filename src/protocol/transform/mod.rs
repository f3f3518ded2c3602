//! How a source item becomes a shadow item, or nothing.

mod rule;

pub use rule::{Action, Condition, Rule};
