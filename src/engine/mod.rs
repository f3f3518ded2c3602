//! The migration itself, generic over the ports.
//!
//! | file | does |
//! |---|---|
//! | `state/` | what is durable, how it is written, and by whom: the lease |
//! | `claims` | whose a table is |
//! | `provision` | checks the source, makes the shadow, pins the stream |
//! | `apply/` | the one applier: everything that is written to the shadow goes through it |
//! | `copy/` | reads the source by segments and offers pages |
//! | `tail/` | reads the source's stream by shards and offers changes |
//! | `cutover/` | the steps of a cutover |
//! | `retry` | waits between attempts |
//!
//! `copy` and `tail` never import each other: they meet in `apply`.

pub mod apply;
pub mod claims;
pub mod copy;
pub mod cutover;
pub mod error;
pub mod provision;
pub mod retry;
mod settings;
pub mod state;
pub mod tail;
pub mod watched;

pub use error::EngineError;
pub use settings::{
    ApplySettings, CopySettings, CutoverSettings, EngineSettings, Fence, Hooks, LeaseSettings, Switch, TailSettings,
};
