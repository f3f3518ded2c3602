//! Rebuild a live DynamoDB table under a new layout without downtime.
//!
//! A second table, the *shadow*, is created with the new layout. The live table, the *source*, is copied into it and
//! its stream is tailed, both at the same time, until an operator stops it. Everything durable lies in a *state table*;
//! a process can be killed at any moment and another one carries on.
//!
//! # One page of architecture
//!
//! ```text
//!              Scan, by segments                                one write in flight
//!            ┌──────────────────────► replicate::copy ─┐              per shadow key
//!   source ──┤                                         ├─► replicate::apply ───────────► shadow
//!            └──────────────────────► replicate::tail ─┘           │
//!              stream, by shards             │                     │ quarantine
//!                                            ▼ checkpoints         ▼
//!   operator ─── commands ──────────►  state table  ◄─── engine::state
//! ```
//!
//! - **Decisions are pure.** [`protocol`] says which write may be sent, which shard may be read, how far a checkpoint may
//!   move, which phase follows. It knows no clock and no network; time is an argument. Its eight rules are numbered in
//!   [`protocol::invariant::Invariant`].
//! - **[`engine`] does what they say.** Copy and tail never write and never meet: both offer to the one applier, which
//!   sends, waits for a definite outcome, and settles what was offered. Progress is stored only behind what is settled.
//! - **[`ports`] is all that the engine sees of the world**: a reader, a feed, a writer, tables, state, a clock. A port
//!   method is one request with no retry inside. [`aws`] implements them on the SDK, and nothing else calls it.
//! - **[`runtime`] is a reconciler.** It takes the lease, claims what the holder before it stored, reads the durable
//!   phase and carries on from there. Operators' commands are entries of the state table that it obeys; [`operator`] writes them,
//!   from any machine, and [`admin`] shows what it does.
//! - **[`model`] and [`layout`] are data**: items, keys and changes; layouts, their differences, and what a copy costs.
//! - **[`config`], [`cli`] and [`telemetry`] face people**: settings with all mistakes at once, verbs, metrics and logs.
//!
//! Nothing is passed over in silence. What the shadow refuses for good goes to quarantine; what is not understood (an
//! unknown type or error, lost history, a broken rule) stops the process.
//!
//! Imports point downwards (A ← B: B imports A): model ← layout, protocol ← ports ← aws, engine ← runtime ← operator, admin ← cli. `tests/layering.rs` holds that;
//! `docs/design/ARCHITECTURE.md` says for each rule which code keeps it and which test fails without it; decisions with
//! their alternatives are in `docs/adr`.

pub mod admin;
pub mod aws;
pub mod cli;
pub mod config;
pub mod document;
pub mod engine;
pub mod layout;
pub mod model;
pub mod operator;
pub mod ports;
pub mod programs;
pub mod protocol;
pub mod runtime;
pub mod telemetry;
