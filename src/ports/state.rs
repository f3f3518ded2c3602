//! The state table as a small conditional store.

use std::future::Future;

use serde_json::Value;

use super::PortError;

/// Where an entry lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey {
    /// The partition, such as `MIGRATION#orders-2`.
    pub partition: String,
    /// The sort key, such as `META`.
    pub sort: String,
}

/// One entry of the state table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it lies.
    pub key: StateKey,
    /// Goes up by one with every write.
    pub version: u64,
    /// The lease epoch under which it was written; 0 for what an operator wrote.
    pub epoch: u64,
    /// When it may vanish by itself, in seconds since the epoch; only the audit trail does.
    pub expires: Option<i64>,
    /// The entity, as named attributes.
    pub body: Value,
}

/// The condition under which a write is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing lies there.
    Absent,
    /// What lies there has this version, and was written under this epoch or an earlier one.
    Unchanged {
        /// The version last seen.
        version: u64,
        /// The writer's own epoch.
        epoch: u64,
    },
    /// Nothing lies there, or it was written under this epoch or an earlier one.
    Epoch(u64),
}

/// The state table's contents. Reads are consistent; a guard that does not hold is [`super::Fault::Conflict`].
pub trait StateStore: Send + Sync + 'static {
    /// One entry.
    fn get(&self, key: &StateKey) -> impl Future<Output = Result<Option<Entry>, PortError>> + Send;
    /// All entries of a partition whose sort key begins with `prefix`, in its order, all pages followed.
    fn list(&self, partition: &str, prefix: &str) -> impl Future<Output = Result<Vec<Entry>, PortError>> + Send;
    /// Writes `entry` as it is, version included.
    fn put(&self, entry: &Entry, guard: Guard) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Deletes an entry; one that is not there is no error.
    fn delete(&self, key: &StateKey, guard: Guard) -> impl Future<Output = Result<(), PortError>> + Send;
}
