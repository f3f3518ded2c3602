//! What a table holds: numbers, keys, items, changes and layouts, as plain data.
//!
//! | file | holds |
//! |---|---|
//! | `side` | the two tables of a migration, and one value for each |
//! | `item`, `key`, `key_json`, `decimal` | what lies in a table, and under which key |
//! | `change`, `position`, `stream` | what a stream tells |
//! | `layout`, `surroundings`, `place` | a table as a whole, what is around it, and where it is |
//! | `write` | what is written |
//! | `time`, `figures` | moments, and numbers for people |
//!
//! Nothing here knows a clock, a network or a runtime. Values are the DynamoDB SDK's `AttributeValue`, the one SDK
//! type allowed outside `aws/`; [`Item`] hides them, so that a raw representation can take their place.

mod change;
mod decimal;
mod figures;
mod item;
mod key;
mod key_json;
mod layout;
mod place;
mod position;
mod side;
mod stream;
mod surroundings;
mod time;
mod write;

pub use aws_sdk_dynamodb::types::AttributeValue;
pub use aws_smithy_types::Blob;
pub use change::{Change, ChangeKind, Image};
pub use decimal::Decimal;
pub use figures::{counted, grouped, tenths};
pub use item::{Item, Measure, UnknownType};
pub use key::{Key, KeyAttribute, KeyError, KeySchema, KeyType};
pub use key_json::{KeyJsonError, key_value_from_json};
pub use layout::{
    Billing, IndexLayout, IndexStatus, Projection, StreamDescription, TableDescription, TableLayout, TableStatus,
    Throughput, ViewType,
};
pub use place::{Place, is_region};
pub use position::{Position, PositionError};
pub use side::{Side, Sides};
pub use stream::{ListedShard, StartAt};
pub use surroundings::{Aspect, TableSettings};
pub use time::{Moment, Timestamp};
pub use write::Write;
