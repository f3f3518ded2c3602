//! What surrounds a table and is no part of its layout: a rebuild leaves all of it behind.

use std::collections::BTreeMap;
use std::fmt;

use super::Throughput;

/// What `DescribeTable` says besides the layout.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TableSettings {
    /// `DeleteTable` is refused.
    pub deletion_protection: bool,
    /// The kind of key that encrypts it, and the key's ARN where it is not the service's own.
    pub encryption: String,
    /// `STANDARD`, or another class.
    pub class: String,
    /// What the table bears at once, in units per second, where the endpoint says.
    pub warm: Option<Throughput>,
    /// The same for its global indexes, by name.
    pub warm_indexes: BTreeMap<String, Throughput>,
}

/// What takes a request of its own to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The attribute that holds an item's expiry.
    TimeToLive,
    /// Whether the table can be restored to a moment, and how far back.
    PointInTimeRecovery,
    /// Its tags.
    Tags,
    /// Whether it has a resource policy.
    ResourcePolicy,
    /// The Kinesis streams that its changes go to.
    KinesisDestinations,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TimeToLive, Self::PointInTimeRecovery, Self::Tags, Self::ResourcePolicy, Self::KinesisDestinations];

    /// The words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimeToLive => "time to live",
            Self::PointInTimeRecovery => "point-in-time recovery",
            Self::Tags => "tags",
            Self::ResourcePolicy => "resource policy",
            Self::KinesisDestinations => "Kinesis destinations",
        }
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
