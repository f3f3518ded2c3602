//! What the shadow refuses for good: pairs of a source key and the place it was meant for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Place;
use crate::model::Key;

/// Why something is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The service refuses the image: a wrong-typed index key, too large…
    Refused,
    /// The shadow key belongs to another source item.
    Collision,
    /// The transform makes no shadow item of it.
    Transform,
    /// The source changed after the switch's intent: the change is not in the shadow.
    Late,
}

impl Reason {
    /// The word used in the state table and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Collision => "collision",
            Self::Transform => "transform",
            Self::Late => "late",
        }
    }
}

/// A source item and the place it was meant for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The place.
    pub place: Place,
    /// The source key.
    pub source: Key,
}

/// A change to the quarantine, to be stored before the place goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What it is about.
    pub pair: Pair,
    /// In or out.
    pub mark: Mark,
}

/// In or out of quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In.
    Set {
        /// Why.
        reason: Reason,
        /// What the service or the transform said.
        message: String,
    },
    /// Out.
    Clear,
}

/// The pairs in quarantine, by place.
#[derive(Clone, Debug, Default)]
pub struct Quarantined {
    places: BTreeMap<Place, BTreeMap<Key, Reason>>,
    pairs: usize,
}

impl Quarantined {
    /// Adds a pair, as read from the state table.
    pub fn insert(&mut self, pair: Pair, reason: Reason) {
        if self.places.entry(pair.place).or_default().insert(pair.source, reason).is_none() {
            self.pairs += 1;
        }
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// The source keys in collision anywhere.
    pub fn collisions(&self) -> impl Iterator<Item = &Key> {
        self.places.values().flat_map(colliding)
    }

    pub(super) fn contains(&self, place: &Place, source: &Key) -> bool {
        self.pairs > 0 && self.places.get(place).is_some_and(|sources| sources.contains_key(source))
    }

    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.pairs > 0 && self.places.contains_key(place)
    }

    /// The source keys in collision on this place.
    pub(super) fn colliding_at(&self, place: &Place) -> impl Iterator<Item = &Key> {
        self.places.get(place).into_iter().flat_map(colliding)
    }

    pub(super) fn apply(&mut self, recording: &Recording) {
        match recording.mark {
            Mark::Set { reason, .. } => self.insert(recording.pair.clone(), reason),
            Mark::Clear => {
                let Some(sources) = self.places.get_mut(&recording.pair.place) else { return };
                if sources.remove(&recording.pair.source).is_some() {
                    self.pairs -= 1;
                }
                if sources.is_empty() {
                    self.places.remove(&recording.pair.place);
                }
            }
        }
    }
}

fn colliding(sources: &BTreeMap<Key, Reason>) -> impl Iterator<Item = &Key> {
    sources.iter().filter(|(_, reason)| **reason == Reason::Collision).map(|(source, _)| source)
}
