//! What a change or a copied item means for the shadow. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::error::EngineError;
use crate::model::{AttributeValue, Item, Key, KeySchema, UnknownType, Write};
use crate::protocol::slots::{Effect, Place, Reason};
use crate::protocol::transform::{Target, Transform};

/// One operation, not yet offered.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// Where it belongs.
    pub place: Place,
    /// What is to be done.
    pub effect: Effect,
    /// Bytes held by the image.
    pub memory_bytes: usize,
    /// Bytes of the image by the service's rules.
    pub stored_bytes: usize,
}

/// Maps items and changes of one source to operations on its shadow.
#[derive(Debug)]
pub struct Mapping {
    transform: Transform,
    source: KeySchema,
}

impl Mapping {
    /// Under this transform; `source` is the source's primary key.
    pub fn new(transform: Transform, source: KeySchema) -> Self {
        Self { transform, source }
    }

    /// Whether two source items may claim one shadow key.
    pub fn is_owned(&self) -> bool {
        !self.transform.properties().injective
    }

    /// The source key of an item.
    pub fn source_key(&self, item: &Item) -> Result<Key, EngineError> {
        Ok(item.key(&self.source)?)
    }

    /// An item as it was read: put, or nothing where it does not belong in the shadow.
    pub fn item(&self, source: &Key, item: Item) -> Result<Option<Mapped>, EngineError> {
        Ok(match self.transform.apply(item) {
            Ok(Target::Item { key, item }) => Some(self.put(source, key, item)?),
            Ok(Target::Nothing) => None,
            Err(refusal) => Some(refuse(source, Reason::Transform, refusal.to_string())),
        })
    }

    /// The shadow key of a source item, where its source key alone says it.
    pub fn place_of(&self, source: &Key) -> Option<Key> {
        self.transform.shadow_key_of_source_key(source)
    }

    /// A change: the item after it, and before it where that is known. A key-changing transform makes a deletion and a
    /// put on two shadow keys of it.
    pub fn change(&self, source: &Key, new: Option<Item>, old: Option<Item>) -> Result<Vec<Mapped>, EngineError> {
        let new = match new {
            Some(item) => self.item(source, item)?,
            None => None,
        };
        let before = match self.transform.shadow_key_of_source_key(source) {
            Some(key) => Some(key),
            None => match old.map(|old| self.transform.apply(old)) {
                Some(Ok(Target::Item { key, .. })) => Some(key),
                _ => None,
            },
        };
        // The item stays where it is, or the transform refuses it where only its source key says where that is: then
        // the old image stays too, and the quarantine says so.
        let stays = match (&new, &before) {
            (Some(Mapped { place: Place::Shadow(key), .. }), Some(before)) => key == before,
            (Some(Mapped { place: Place::Unplaced(_), .. }), _) => self.transform.properties().key_preserving,
            _ => false,
        };
        let delete = before.filter(|_| !stays).map(|key| self.delete(source, key));
        Ok(delete.into_iter().chain(new).collect())
    }

    fn put(&self, source: &Key, key: Key, item: Item) -> Result<Mapped, UnknownType> {
        let measure = item.measure()?;
        let write = Write { key: key.clone(), image: Some(item), owner: self.owner(source) };
        Ok(Mapped {
            place: Place::Shadow(key),
            effect: Effect::Write(Arc::new(write)),
            memory_bytes: measure.memory_bytes,
            stored_bytes: measure.stored_bytes,
        })
    }

    fn delete(&self, source: &Key, key: Key) -> Mapped {
        let write = Write { key: key.clone(), image: None, owner: self.owner(source) };
        Mapped { place: Place::Shadow(key), effect: Effect::Write(Arc::new(write)), memory_bytes: 0, stored_bytes: 0 }
    }

    fn owner(&self, source: &Key) -> Option<Arc<HashMap<String, AttributeValue>>> {
        self.is_owned().then(|| Arc::new(self.source.attributes_of(source)))
    }
}

/// A change that came after the switch's intent: the application may be writing to the shadow already.
pub(super) fn late(source: &Key) -> Mapped {
    refuse(source, Reason::Late, "the source changed after the switch; the change is not in the shadow".to_owned())
}

fn refuse(source: &Key, reason: Reason, message: String) -> Mapped {
    let (place, effect) = (Place::Unplaced(source.clone()), Effect::Refuse(reason, message));
    Mapped { place, effect, memory_bytes: 0, stored_bytes: 0 }
}
