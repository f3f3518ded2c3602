//! Invariants 4 and 8: which shards may be read, from where, and when history was lost.
//!
//! All records of one key stay in one line of shards, so a child is read only when its parent is finished *and* that is
//! stored: otherwise a restart would replay the parent over the child's newer images. Listings may be inconsistent for
//! a while, and shards older than 24 h vanish from them; what is known here is what the state table holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invariant::{Invariant, Violation};
use crate::model::{ListedShard, Position, StartAt, Timestamp};

/// What is durable about one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The shard's id.
    pub shard: String,
    /// The shard that it continues.
    pub parent: Option<String>,
    /// How far it is.
    pub stage: ShardStage,
    /// The last record that is durable, and all before it.
    pub position: Option<Position>,
    /// When that record was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// Every record created before it was offered and is durable.
    pub known_through: Timestamp,
}

impl ShardRecord {
    /// Whether it is still to be read, or being read.
    pub fn is_unread(&self) -> bool {
        matches!(self.stage, ShardStage::Pinned | ShardStage::Open)
    }
}

/// How far a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardStage {
    /// It was closed when the stream was pinned: the copy shows all of it. Never read.
    BeforePin,
    /// It was open when the stream was pinned, and has been read from its end of then.
    Pinned,
    /// It appeared after the pin: read from its beginning.
    Open,
    /// Its end was seen, all its records are durable, and this is stored. Its children may be read.
    Finished,
}

/// A pinned shard that is read again from its beginning skips records older than this before the pin: the copy shows
/// them, with a margin for clocks.
const BEFORE_PIN_MARGIN: Duration = Duration::from_mins(15);

/// Records' times are whole seconds, and so is the service's clock.
const ROUNDING: Duration = Duration::from_secs(2);

/// How long a shard may be listed without its parent being known until that counts as loss: listings may be
/// inconsistent for a while.
const ORPHAN_GRACE: Duration = Duration::from_mins(1);

/// How long after its last record a shard that is done with is remembered at least: twice as long as the service keeps
/// records. A listing may leave a shard out for a while; one that was forgotten too early would be taken for new when it
/// is listed again, and its records would be replayed over its children's newer images.
const MEMORY: Duration = Duration::from_hours(48);

/// History that was not read and can no longer be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The service may have trimmed unread records.
    #[error("shard {shard} is known only through {known_through}: older records may have been trimmed unread")]
    Overdue {
        /// The shard.
        shard: String,
        /// Its known-through time.
        known_through: Timestamp,
    },
    /// A shard's parent was never seen and is no longer listed.
    #[error("shard {shard} continues {parent}, which was never read and is no longer listed")]
    Orphan {
        /// The shard.
        shard: String,
        /// Its parent.
        parent: String,
    },
    /// The service says that records were trimmed.
    #[error("records of shard {shard} after {known_through} were trimmed unread")]
    Trimmed {
        /// The shard.
        shard: String,
        /// Its known-through time.
        known_through: Timestamp,
    },
    /// A shard vanished before it was finished.
    #[error("shard {shard} vanished before its end was read; it is known through {known_through}")]
    Vanished {
        /// The shard.
        shard: String,
        /// Its known-through time.
        known_through: Timestamp,
    },
}

/// Shards in generations: each before those that continue it. What is stored of a shard must not lie there without what is
/// stored of its parent: the parent would be taken for one that was closed before the pin, and never read.
pub fn generations(mut left: Vec<ShardRecord>) -> Vec<Vec<ShardRecord>> {
    let mut generations = Vec::new();
    while !left.is_empty() {
        let all: BTreeSet<String> = left.iter().map(|record| record.shard.clone()).collect();
        let follows = |record: &ShardRecord| record.parent.as_ref().is_some_and(|parent| all.contains(parent));
        let (later, first): (Vec<_>, Vec<_>) = left.into_iter().partition(follows);
        if first.is_empty() {
            // A circle, which no stream has.
            generations.push(later);
            break;
        }
        generations.push(first);
        left = later;
    }
    generations
}

/// What is known of a shard that was not known before.
fn found_now(shard: &ListedShard, before_pin: bool, known_through: Timestamp) -> ShardRecord {
    ShardRecord {
        shard: shard.id.clone(),
        parent: shard.parent.clone(),
        stage: if before_pin { ShardStage::BeforePin } else { ShardStage::Open },
        position: None,
        created: None,
        known_through,
    }
}

/// Where to begin reading a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The place.
    pub at: StartAt,
    /// Where that is behind a record: when it was made.
    pub created: Option<Timestamp>,
    /// Records created before this are read over.
    pub skip_before: Option<Timestamp>,
}

/// The shards that are known, and their lines.
#[derive(Debug, Default)]
pub struct Lineage {
    shards: BTreeMap<String, ShardRecord>,
    orphans: BTreeMap<String, (String, Timestamp)>,
    listed: Option<Timestamp>,
    /// When a listing was last asked for in which no shard was missing.
    complete: Option<Timestamp>,
    pinned: Option<Timestamp>,
    closed: bool,
}

impl Lineage {
    /// From what is stored. `pinned` is the time of the pin.
    pub fn restore(records: impl IntoIterator<Item = ShardRecord>, pinned: Timestamp) -> Self {
        let shards = records.into_iter().map(|record| (record.shard.clone(), record)).collect();
        Self { shards, orphans: BTreeMap::new(), listed: None, complete: None, pinned: Some(pinned), closed: false }
    }

    /// From now on a change would be late. A pinned shard of which no record was offered had none between the pin and
    /// the drain, so what it holds from before the pin is told apart from what is late by the pin's time, give or take
    /// the seconds to which records' times are rounded.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Takes a listing that was asked for at `asked`; returns the shards that were not known, to be stored before they are
    /// read.
    pub fn observe(&mut self, listing: &[ListedShard], asked: Timestamp) -> Vec<ShardRecord> {
        let listed: BTreeSet<&str> = listing.iter().map(|shard| shard.id.as_str()).collect();
        let older = self.ancestors(listing);
        let since = self.listed.or(self.pinned).unwrap_or(asked);
        let mut found = Vec::new();
        let mut orphans = BTreeMap::new();
        let mut left: Vec<_> = listing.iter().filter(|shard| !self.shards.contains_key(&shard.id)).collect();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|shard| {
                let known_through = match &shard.parent {
                    None => since,
                    Some(parent) => match self.shards.get(parent) {
                        Some(parent) => parent.known_through,
                        None if listed.contains(parent.as_str()) => return true,
                        None => {
                            let first = self.orphans.get(&shard.id).map_or(asked, |(_, first)| *first);
                            orphans.insert(shard.id.clone(), (parent.clone(), first));
                            return false;
                        }
                    },
                };
                // A listing that leaves out a shard may show its children. What continues it is read already, so it was
                // closed before the pin: reading it now would put its images over newer ones.
                let before_pin = older.contains(shard.id.as_str());
                let record = found_now(shard, before_pin, known_through);
                self.shards.insert(shard.id.clone(), record.clone());
                found.push(record);
                false
            });
            if left.len() == before {
                break;
            }
        }
        self.orphans = orphans;
        self.listed = Some(asked);
        if self.orphans.is_empty() {
            self.complete = self.listed;
        }
        found
    }

    /// Takes what was listed as continuing a shard; returns the shards that were not known, to be stored before they are read.
    pub fn follow(&mut self, parent: &str, children: &[ListedShard]) -> Vec<ShardRecord> {
        let Some(known_through) = self.shards.get(parent).map(|parent| parent.known_through) else { return Vec::new() };
        let new = children.iter().filter(|child| child.parent.as_deref() == Some(parent));
        let found: Vec<_> = new
            .filter(|child| !self.shards.contains_key(&child.id))
            .map(|child| {
                // What continues it is read already: see `observe`.
                let before_pin = self.shards.values().any(|record| record.parent.as_ref() == Some(&child.id));
                found_now(child, before_pin, known_through)
            })
            .collect();
        self.shards.extend(found.iter().map(|record| (record.shard.clone(), record.clone())));
        found
    }

    /// Whether the last listing showed a shard that cannot be placed yet.
    pub fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Where shards are missing that orphans continue: up to when everything that there was is known. Those shards
    /// appeared since the last listing that was complete.
    pub fn missing_since(&self) -> Option<Timestamp> {
        self.complete.or(self.pinned).filter(|_| self.has_orphans())
    }

    /// When the last listing was asked for.
    pub fn listed(&self) -> Option<Timestamp> {
        self.listed
    }

    /// The shards that may be read now: neither finished nor closed before the pin, and their parent is done with.
    pub fn readable(&self) -> impl Iterator<Item = &ShardRecord> {
        self.shards.values().filter(|record| record.is_unread() && self.parent_is_done(record))
    }

    /// Where to begin reading `shard`. Invariants 4 and 8 are checked here, where reading begins: [`Self::readable`]
    /// and [`Self::lost`] (with the same `margin`) have been asked before.
    pub fn start(&self, shard: &str, margin: Duration, now: Timestamp) -> Result<Start, Violation> {
        let broken = |invariant, detail: &str| Violation::new(invariant, format!("shard {shard} {detail}"));
        let unknown = || broken(Invariant::NothingSkipped, "was to be read without being known");
        let record = self.shards.get(shard).ok_or_else(unknown)?;
        if !self.parent_is_done(record) {
            let detail = "was to be read before its parent's final checkpoint was stored";
            return Err(broken(Invariant::ParentsFirst, detail));
        }
        if !record.is_unread() {
            return Err(broken(Invariant::ParentsFirst, "was to be read again after its end"));
        }
        if now.since(self.known_through(record)) > margin {
            let detail = "was to be read although records may have been trimmed";
            return Err(broken(Invariant::NothingSkipped, detail));
        }
        Ok(match (&record.position, record.stage) {
            (Some(position), _) => {
                Start { at: StartAt::After(position.clone()), created: record.created, skip_before: None }
            }
            (None, ShardStage::Pinned) => {
                let skip_before = |pinned: Timestamp| {
                    if self.closed { pinned.plus(ROUNDING) } else { pinned.minus(BEFORE_PIN_MARGIN) }
                };
                let skip_before = self.pinned.map(skip_before);
                Start { at: StartAt::Beginning, created: None, skip_before }
            }
            (None, _) => Start { at: StartAt::Beginning, created: None, skip_before: None },
        })
    }

    /// One shard's record.
    pub fn get(&self, shard: &str) -> Option<&ShardRecord> {
        self.shards.get(shard)
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &ShardRecord> {
        self.shards.values()
    }

    /// A checkpoint of a shard was stored. Only then may it count here.
    pub fn stored(&mut self, record: ShardRecord) {
        self.shards.insert(record.shard.clone(), record);
    }

    /// A finished shard of which no child is known yet: the next listing should show one.
    pub fn childless(&self) -> impl Iterator<Item = &ShardRecord> {
        let parents: BTreeSet<&str> = self.shards.values().filter_map(|record| record.parent.as_deref()).collect();
        self.shards
            .values()
            .filter(move |record| self.is_done(&record.shard) && !parents.contains(record.shard.as_str()))
    }

    /// The known-through time that holds for a shard: not before that of its parent, whose records are all older. What
    /// is stored of a shard that waits for its parent dates from when it was first listed.
    pub fn known_through(&self, record: &ShardRecord) -> Timestamp {
        let (mut through, mut parent) = (record.known_through, record.parent.as_deref());
        while let Some(older) = parent.and_then(|parent| self.shards.get(parent)) {
            through = through.max(older.known_through);
            // A parent that was begun has its own.
            parent = older.parent.as_deref().filter(|_| older.is_unread() && older.position.is_none());
        }
        through
    }

    /// Invariant 8: history that was lost as of `now`, given that the service keeps it for a little longer than `margin`.
    pub fn lost(&self, margin: Duration, now: Timestamp) -> Option<Lost> {
        let overdue = self.shards.values().filter(|record| record.is_unread()).find_map(|record| {
            let known_through = self.known_through(record);
            (now.since(known_through) > margin).then(|| Lost::Overdue { shard: record.shard.clone(), known_through })
        });
        // By listings, not by `now`: a machine that slept has not seen that the parent is still missing.
        let orphan = || {
            let listed = self.listed?;
            self.orphans.iter().find_map(|(shard, (parent, first))| {
                (listed.since(*first) > ORPHAN_GRACE)
                    .then(|| Lost::Orphan { shard: shard.clone(), parent: parent.clone() })
            })
        };
        overdue.or_else(orphan)
    }

    /// Shards that are done with, no longer listed, whose children are known, and whose records were trimmed long ago:
    /// nothing will ask for them again.
    pub fn forgettable(&self, listing: &[ListedShard], now: Timestamp) -> Vec<ShardRecord> {
        let listed: BTreeSet<&str> = listing.iter().map(|shard| shard.id.as_str()).collect();
        let childless: BTreeSet<&str> = self.childless().map(|record| record.shard.as_str()).collect();
        let gone = |record: &&ShardRecord| {
            self.is_done(&record.shard)
                && !listed.contains(record.shard.as_str())
                && !childless.contains(record.shard.as_str())
                && now.since(record.known_through) > MEMORY
        };
        self.shards.values().filter(gone).cloned().collect()
    }

    /// Forgets a shard named by [`Lineage::forgettable`]; its children stand on their own.
    pub fn forget(&mut self, shard: &str) {
        self.shards.remove(shard);
    }

    /// The listed shards that known ones continue.
    fn ancestors<'a>(&self, listing: &'a [ListedShard]) -> BTreeSet<&'a str> {
        let listed: BTreeMap<&str, &ListedShard> = listing.iter().map(|shard| (shard.id.as_str(), shard)).collect();
        let mut ancestors = BTreeSet::new();
        for record in self.shards.values() {
            let mut parent = record.parent.as_deref();
            while let Some(shard) = parent.and_then(|parent| listed.get(parent)) {
                if !ancestors.insert(shard.id.as_str()) {
                    break;
                }
                parent = shard.parent.as_deref();
            }
        }
        ancestors
    }

    fn is_done(&self, shard: &str) -> bool {
        self.shards.get(shard).is_some_and(|record| !record.is_unread())
    }

    /// A parent that is not known here was closed before the pin and trimmed since, or forgotten as finished: a shard
    /// is taken in only while its parent is known, listed, or was at the pin.
    fn parent_is_done(&self, record: &ShardRecord) -> bool {
        record.parent.as_ref().is_none_or(|parent| !self.shards.contains_key(parent) || self.is_done(parent))
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
