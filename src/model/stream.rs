//! What a stream is made of.

use super::Position;

/// A shard as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedShard {
    /// The shard's id.
    pub id: String,
    /// The shard it continues, which may no longer be listed.
    pub parent: Option<String>,
    /// It has an ending sequence number. The embedded endpoint says so of open shards too: only a null iterator proves an end.
    pub says_closed: bool,
}

/// Where reading a shard begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// `TRIM_HORIZON`: the oldest record kept. No error is raised when older ones were trimmed.
    Beginning,
    /// `LATEST`: after the newest record.
    Latest,
    /// `AFTER_SEQUENCE_NUMBER`.
    After(Position),
}
