//! What is remembered of the lease, the stream, the copy, refused items, tables, and of what happened.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Sides, Timestamp};
use crate::protocol::slots::Reason;

/// `LEASE`: who is active. Its version is the heartbeat counter, its epoch goes up at every takeover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// A name unique to one process.
    pub owner: String,
    /// The machine it runs on, for people.
    pub host: String,
    /// How long it may go without renewing, in milliseconds.
    pub duration_millis: u64,
    /// Its abandonment bound, in milliseconds: a successor waits for it before its first write.
    pub abandon_millis: u64,
    /// It was given back.
    pub released: bool,
    /// It was given back with no abandoned request younger than the bound: a successor need not wait.
    pub quiet: bool,
    /// Since when it is held, on the holder's wall clock, for people.
    pub since: Timestamp,
}

/// `PIN#<leg>`: where the tail of a leg begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The stream's ARN. Another one means that records are missing in between.
    pub stream_arn: String,
    /// The id of the table that is read.
    pub table_id: String,
    /// The service's time before the first shard was pinned.
    pub at: Timestamp,
}

/// `SEGMENT#<n>`: how far one segment of the copy is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Its number, from 0.
    pub segment: u32,
    /// How many segments there are; a cursor is valid only with the same total.
    pub segments: u32,
    /// The last key of the last durable page, in DynamoDB JSON.
    pub cursor: Option<Value>,
    /// Its last page is durable.
    pub done: bool,
    /// Items on its durable pages.
    pub items: u64,
}

/// `QUARANTINE#<leg>#<digest>`: what a table refuses for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// The digest of both keys.
    pub id: String,
    /// The item's key in each table, in DynamoDB JSON; none in the one that is written where the transform makes none.
    pub keys: Sides<Option<Value>>,
    /// Why.
    pub reason: Reason,
    /// What the service or the transform said.
    pub message: String,
    /// When it was last put in.
    pub since: Timestamp,
}

/// How long the audit trail is kept, in seconds: a year.
pub const EVENT_SECONDS: i64 = 366 * 24 * 3600;

/// `EVENT#<ulid>`: one line of the audit trail. It expires after a year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, on the service's clock.
    pub at: Timestamp,
    /// By which process.
    pub owner: String,
    /// What happened.
    pub what: String,
}

/// `LIVE`: what `status` shows, refreshed by the lease holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// When it was written, on the service's clock.
    pub at: Timestamp,
    /// The document that the admin port serves at `/status`.
    pub status: Value,
}

/// `DIRECTORY` / `<id>`: which migrations exist, so that `list` needs no scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryRecord {
    /// The migration's id.
    pub migration: String,
}

/// `TABLE` / `<table id>#<arn>`: the migrations that claim a table. Shared by all of them, so it carries no epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRecord {
    /// The table's ARN.
    pub arn: String,
    /// Its id.
    pub table_id: String,
    /// The migration whose shadow it is, or was.
    pub shadow_of: Option<String>,
    /// The migrations whose source it is, or was.
    pub sources_of: BTreeSet<String>,
}

/// `RESTLESS`: the source keys that still changed when the last drain failed, for whoever looks for their writer. They are
/// in no log and no status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestlessRecord {
    /// The cutover's id.
    pub cutover: String,
    /// Some of the keys in DynamoDB JSON, the newest first.
    pub keys: Vec<Value>,
}
