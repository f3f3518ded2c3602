//! Table layouts: what `CreateTable` is given and what `DescribeTable` answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{KeyAttribute, KeySchema, KeyType, TableSettings};

/// The layout of a table: everything about it that a rebuild can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLayout {
    /// Key attributes of the table, partition key first: `(name, type)`.
    pub partition_key: (String, KeyType),
    /// The sort key.
    pub sort_key: Option<(String, KeyType)>,
    /// Global secondary indexes by name.
    pub global_indexes: BTreeMap<String, IndexLayout>,
    /// Local secondary indexes by name.
    pub local_indexes: BTreeMap<String, IndexLayout>,
    /// How the table is paid for.
    pub billing: Billing,
}

impl TableLayout {
    /// The table's primary key.
    pub fn key_schema(&self) -> KeySchema {
        let attribute = |(name, kind): &(String, KeyType)| KeyAttribute { name: name.clone(), kind: *kind };
        KeySchema { partition: attribute(&self.partition_key), sort: self.sort_key.as_ref().map(attribute) }
    }
}

/// The layout of a secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexLayout {
    /// Partition key attributes, in order: one, or up to four for a global index.
    pub partition_keys: Vec<(String, KeyType)>,
    /// Sort key attributes, in order: none or one, or up to four for a global index.
    pub sort_keys: Vec<(String, KeyType)>,
    /// What else the index holds.
    pub projection: Projection,
    /// Provisioned throughput, where the table has it; local indexes have none of their own.
    pub throughput: Option<Throughput>,
}

/// Which attributes an index holds besides the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Projection {
    /// None.
    KeysOnly,
    /// These, in no order.
    Include(Vec<String>),
    /// All of them.
    All,
}

/// How a table is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Billing {
    /// `PAY_PER_REQUEST`.
    OnDemand,
    /// `PROVISIONED`.
    Provisioned(Throughput),
}

/// Provisioned capacity units per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// Read capacity units per second, at least 1.
    pub read_units: i64,
    /// Write capacity units per second, at least 1.
    pub write_units: i64,
}

/// What a table says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    /// Tells a recreated table apart from its namesake.
    pub table_id: String,
    /// The table's ARN.
    pub arn: String,
    /// Whether it can be used.
    pub status: TableStatus,
    /// Its layout.
    pub layout: TableLayout,
    /// The state of each global index, by name.
    pub index_status: BTreeMap<String, IndexStatus>,
    /// Its stream, while one is enabled.
    pub stream: Option<StreamDescription>,
    /// Items, as counted by the service about every six hours.
    pub item_count: u64,
    /// Bytes, as counted by the service about every six hours.
    pub size_bytes: u64,
    /// What surrounds the layout.
    pub settings: TableSettings,
    /// The regions of its replicas, where it is a global table.
    pub replicas: Vec<String>,
}

/// The life of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableStatus {
    /// Being created.
    Creating,
    /// Usable.
    Active,
    /// Usable, while a setting changes.
    Updating,
    /// Being deleted.
    Deleting,
    /// Archived, or its key is out of reach, or a state this version does not know: not usable.
    Unusable,
}

/// The life of a global index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexStatus {
    /// Usable.
    Active,
    /// Being created, changed or deleted.
    Changing,
}

/// An enabled stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDescription {
    /// The stream's ARN: new whenever a stream is enabled.
    pub arn: String,
    /// What its records carry.
    pub view: ViewType,
}

/// What a stream's records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ViewType {
    /// `KEYS_ONLY`.
    KeysOnly,
    /// `NEW_IMAGE`.
    NewImage,
    /// `OLD_IMAGE`.
    OldImage,
    /// `NEW_AND_OLD_IMAGES`.
    NewAndOldImages,
}

impl ViewType {
    /// The service's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// Whether records carry the item before the change.
    pub const fn has_old_images(self) -> bool {
        matches!(self, Self::OldImage | Self::NewAndOldImages)
    }

    /// Whether records carry the item after the change.
    pub const fn has_new_images(self) -> bool {
        matches!(self, Self::NewImage | Self::NewAndOldImages)
    }
}
