//! What is durable, and how it is written: the state table.
//!
//! | file | does |
//! |---|---|
//! | `entry` | under which key an entity lies, and in which form |
//! | `entities` | what there is, in one list |
//! | `lease`, `holder` | one active process (invariant 6), and whether it is alive |
//! | `store` | typed, conditional writes with a definite outcome |
//! | `journal` | the migration's own entry: its phase, and its audit trail (invariant 7) |
//!
//! A new entity is a type in `entities/`, its line in the list there, and its sort key in `entry`. The list says who writes it, and
//! whether a reseed deletes it; `docs/adr/0002-state-table.md` has a row for each.
//!
//! An entity that only the lease holder writes is claimed by the next one before it is read: what the list has as
//! `Written::ByHolder`, and nothing else, may be written by [`store::Store::create`], `update` and `replace`.

pub mod entities;
pub mod entry;
pub mod holder;
pub mod journal;
pub mod lease;
pub mod store;
