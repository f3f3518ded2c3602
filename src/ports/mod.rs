//! What the engine needs from the outside, as small traits, so that a faulty one is a page of test code.
//!
//! | file | asks |
//! |---|---|
//! | this | for the two tables by side: reader, feed, writer, admin; and for all of them together |
//! | `state` | for the state table, as a small conditional store |
//! | `application` | for the operator's programs, and for the pointer |
//! | `clock` | for time and chance |
//! | `error` | what can go wrong, by what it means for us |
//!
//! `aws/` implements them on the SDK, tests implement them in memory. Every method is one request (listings of
//! the state table follow their pages), with no retry inside: retries have one owner, `engine::retry`. A reply that never came is
//! [`Fault::Abandoned`]: the request may still take effect.

mod application;
mod clock;
mod error;
mod state;

use std::future::Future;
use std::sync::Arc;

pub use application::{Application, Program, ProgramFailure};
pub use clock::Clock;
pub use error::{Fault, PortError, Reaction};
pub use state::{Entry, Guard, StateKey, StateStore};

use crate::model::{Aspect, Change, Item, Key, Place, Side, TableDescription, TableLayout, Timestamp, ViewType};
pub use crate::model::{ListedShard, Moment, StartAt, Write};

/// The state table and the clock: all that whoever looks at migrations, or asks something of them, needs.
pub trait StatePorts: Send + Sync + 'static {
    /// The state table's contents.
    type State: StateStore;
    /// Time and chance.
    type Clock: Clock;

    /// The state table's contents.
    fn state(&self) -> &Self::State;
    /// Time and chance.
    fn clock(&self) -> &Self::Clock;
}

/// All ports of one migration: the single seam through which clients enter. Those of the two tables are asked for by side.
pub trait Ports: StatePorts {
    /// Reads a table.
    type Reader: TableReader;
    /// Reads a table's stream.
    type Feed: ChangeFeed;
    /// Writes a table.
    type Writer: TableWriter;
    /// Creates and describes a table.
    type Admin: TableAdmin;
    /// The application that uses the tables.
    type Application: Application;

    /// Reads this table.
    fn reader(&self, side: Side) -> &Self::Reader;
    /// Reads this table's stream.
    fn feed(&self, side: Side) -> &Self::Feed;
    /// Writes this table.
    fn writer(&self, side: Side) -> &Self::Writer;
    /// Creates and describes this table.
    fn admin(&self, side: Side) -> &Self::Admin;
    /// The state table as a table.
    fn state_admin(&self) -> &Self::Admin;
    /// The application that uses the tables.
    fn application(&self) -> &Self::Application;
    /// When the credentials in use expire, by connection; none where there are none.
    fn credentials(&self) -> Vec<CredentialExpiry> {
        Vec::new()
    }
}

/// When the credentials of one connection expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialExpiry {
    /// `source`, `shadow` or `state`.
    pub connection: &'static str,
    /// When.
    pub expiry: Expiry,
}

/// When credentials expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Expiry {
    /// Nobody asked for them yet.
    #[default]
    Unknown,
    /// Never.
    Never,
    /// Then, on the service's clock.
    At(Timestamp),
}

/// Which page of a parallel Scan to read.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRequest {
    /// This segment, from 0.
    pub segment: u32,
    /// How many segments there are.
    pub segments: u32,
    /// The key after which the page begins; `None` for the segment's first page. Valid only with the same segment and total.
    pub start: Option<Key>,
    /// At most so many items; `None` for the service's own limit of 1 MB.
    pub limit: Option<u32>,
}

/// One Scan response.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ScanPage {
    /// The items, possibly none even when more pages follow.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` at the segment's end, and only there.
    pub next: Option<Key>,
    /// Read capacity units consumed, where the service says.
    pub read_units: Option<f64>,
}

/// Reads a table, always consistently.
pub trait TableReader: Send + Sync + 'static {
    /// One page: it shows every write finished before the request was sent.
    fn scan(&self, request: &ScanRequest) -> impl Future<Output = Result<ScanPage, PortError>> + Send;
    /// One item as it is now.
    fn get(&self, key: &Key) -> impl Future<Output = Result<Option<Item>, PortError>> + Send;
}

/// One page of a listing of shards.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ShardsPage {
    /// The shards.
    pub shards: Vec<ListedShard>,
    /// The shard behind which the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// A place in a shard, good for 15 minutes after its issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator(pub String);

/// One `GetRecords` response.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordsPage {
    /// The changes in stream order. None of them proves nothing.
    pub changes: Vec<Change>,
    /// Where to go on; `None` ends the shard, and nothing else does.
    pub next: Option<ShardIterator>,
}

/// Reads a table's stream.
pub trait ChangeFeed: Send + Sync + 'static {
    /// A page of the shards that are listed now, up to 100 behind this one. Listings may be inconsistent for a while.
    fn shards(
        &self,
        stream_arn: &str,
        after: Option<&str>,
    ) -> impl Future<Output = Result<ShardsPage, PortError>> + Send;
    /// The shards that are listed now as those that continue `parent`.
    fn children(
        &self,
        stream_arn: &str,
        parent: &str,
    ) -> impl Future<Output = Result<Vec<ListedShard>, PortError>> + Send;
    /// An iterator.
    fn iterator(
        &self,
        stream_arn: &str,
        shard: &str,
        start: &StartAt,
    ) -> impl Future<Output = Result<ShardIterator, PortError>> + Send;
    /// Up to 1 MB, and at most so many records, 1 to 1,000.
    fn records(
        &self,
        iterator: &ShardIterator,
        limit: usize,
    ) -> impl Future<Output = Result<RecordsPage, PortError>> + Send;
}

/// The service took the request. What it left undone is in `unprocessed`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BatchReply {
    /// Keys whose writes were not done, in no order.
    pub unprocessed: Vec<Key>,
    /// Write capacity units consumed, where the service says.
    pub write_units: Option<f64>,
}

/// The outcome of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnedReply {
    /// The key was free or the owner's, and the write was done. Otherwise it belongs to another source item.
    pub done: bool,
    /// Write capacity units consumed, where the service says.
    pub write_units: Option<f64>,
}

/// Writes a table.
pub trait TableWriter: Send + Sync + 'static {
    /// Up to 25 writes of distinct keys in one `BatchWriteItem`.
    fn write_batch(&self, writes: &[Arc<Write>]) -> impl Future<Output = Result<BatchReply, PortError>> + Send;
    /// One write under the condition "absent, or its owner's".
    fn write_owned(&self, write: &Write) -> impl Future<Output = Result<OwnedReply, PortError>> + Send;
}

/// What a new table gets besides its layout.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CreateOptions {
    /// Refuse `DeleteTable` until switched off.
    pub deletion_protection: bool,
    /// The attribute that holds an item's expiry, in seconds since the epoch.
    pub ttl_attribute: Option<String>,
    /// Point-in-time recovery.
    pub point_in_time_recovery: bool,
}

/// Creates and describes one table.
pub trait TableAdmin: Send + Sync + 'static {
    /// Where the table is.
    fn place(&self) -> &Place;
    /// The table's name.
    fn name(&self) -> &str {
        &self.place().table
    }
    /// The table as it is, or `None` when there is none. Eventually consistent.
    fn describe(&self) -> impl Future<Output = Result<Option<TableDescription>, PortError>> + Send;
    /// What surrounds the table with this ARN: the value, if it is set.
    fn aspect(&self, arn: &str, aspect: Aspect) -> impl Future<Output = Result<Option<String>, PortError>> + Send;
    /// Asks for the table to be created; it is not usable yet when this returns.
    fn create(
        &self,
        layout: &TableLayout,
        options: &CreateOptions,
    ) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Sets what can only be set on an active table (time to live, point-in-time recovery). Returns what the endpoint
    /// does not offer.
    fn configure(&self, options: &CreateOptions) -> impl Future<Output = Result<Vec<&'static str>, PortError>> + Send;
    /// Enables the stream of a table that has none.
    fn enable_stream(&self, view: ViewType) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Whether the table holds no item at all, read consistently.
    fn is_empty(&self) -> impl Future<Output = Result<bool, PortError>> + Send;
    /// Asks for the table to be deleted.
    fn delete(&self) -> impl Future<Output = Result<(), PortError>> + Send;
}
