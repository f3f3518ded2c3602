//! The migration itself, generic over the ports.
//!
//! | file | does |
//! |---|---|
//! | `state/` | what is durable, how it is written, and by whom: the lease |
//! | `tables/` | the two tables as a whole: whose they are, and how the shadow is made |
//! | `replicate/` | one leg of replication: copy, tail, and the applier that both offer to |
//! | `cutover/` | the steps of a cutover |
//! | `settings` | what an operator may tune, with defaults and limits |
//! | `error` | why work ends |
//! | `retry` | waits between attempts |
//! | `watched` | a value whose changes can be waited for |
//!
//! Every change of what is durable goes through `state/`, and every request that changes anything outside is sent under its lease.

pub mod cutover;
pub mod error;
mod parallel;
pub mod replicate;
pub mod retry;
mod settings;
pub mod state;
pub mod tables;
pub mod watched;

pub use error::EngineError;
pub use settings::{
    ApplySettings, CopySettings, CutoverSettings, EngineSettings, Fence, Hooks, LeaseSettings, Switch, TailSettings,
};
