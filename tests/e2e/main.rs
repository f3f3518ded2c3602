//! What a migration must hold, as an operator would see it: the real binary, a real endpoint, writers from outside.
//!
//! `cargo test --test e2e` runs them on the embedded endpoint;
//!
//! ```sh
//! DYNAMODB_LOCAL_DIR=$(cargo xtask dynamodb-local) ENDPOINT=dynamodb-local cargo test --test e2e -- --test-threads=8
//! ```
//!
//! on DynamoDB Local, the reference. Most of a test is waiting for a process, so more threads than processors pay off.
#![cfg(test)]

mod chaos;
mod claims;
mod copying;
mod cutover;
mod fixtures;
mod kills;
mod lag;
mod output;
mod quarantine;
mod refusals;
mod runners;
mod shapes;
mod transforms;
mod upsets;
mod values;
mod verbs;
mod watching;

use testkit::real::context::Ctx;
use testkit::real::layout::{Keys, Kind, Layout, Projection};

/// A test's surroundings.
fn ctx() -> Ctx {
    Ctx::new(env!("CARGO_BIN_EXE_shadowtable"))
}

/// The key of most cases' sources.
const ID: Keys = &[("id", Kind::S)];

const BY_STATUS: Keys = &[("status", Kind::S), ("updated_at", Kind::N)];

/// A source as it often is: an index that turned out to project too little.
fn before(keys: Keys) -> Layout {
    Layout::new(keys).with_global("by-status", BY_STATUS, Projection::KeysOnly)
}

/// The same with another projection under the same name, which only a rebuild can reach.
fn after(keys: Keys) -> Layout {
    Layout::new(keys).with_global("by-status", BY_STATUS, Projection::Include(&["customer", "total"]))
}
