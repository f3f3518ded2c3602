//! One stream record.

use super::{Item, Key, Position, Timestamp};

/// What a stream record says about its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The item was not there before.
    Insert,
    /// The item was there before.
    Modify,
    /// The item is gone, by a request.
    Remove,
    /// The item is gone because its time to live had passed.
    Expire,
}

impl ChangeKind {
    /// All kinds, for metrics that exist from the start.
    pub const ALL: [Self; 4] = [Self::Insert, Self::Modify, Self::Remove, Self::Expire];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Modify => "modify",
            Self::Remove => "remove",
            Self::Expire => "expire",
        }
    }

    /// Whether the item is gone after this change.
    pub const fn is_deletion(self) -> bool {
        matches!(self, Self::Remove | Self::Expire)
    }
}

/// The item after a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// The item as the change left it.
    Item(Item),
    /// The change deleted the item.
    Deleted,
    /// The stream does not carry new images (`KEYS_ONLY`, `OLD_IMAGE`): the item must be read back.
    NotInStream,
}

/// One stream record: what happened to one source key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What kind of change it was.
    pub kind: ChangeKind,
    /// The source key.
    pub key: Key,
    /// The item after the change.
    pub new: Image,
    /// The item before the change, where the stream carries old images and the item was there.
    pub old: Option<Item>,
    /// The record's place in its shard.
    pub position: Position,
    /// When the change was made, floored to the second by the service.
    pub created: Timestamp,
}
