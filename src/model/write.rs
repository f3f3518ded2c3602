//! One write to the shadow.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AttributeValue, Item, Key};

/// One write to the shadow: a put of a full image, or a deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The shadow key.
    pub key: Key,
    /// The image to put; `None` deletes.
    pub image: Option<Item>,
    /// The source key attributes that say whose the item is: needed under a transform that is not injective.
    pub owner: Option<Arc<HashMap<String, AttributeValue>>>,
}
