//! Invariant 1: a slot per shadow key, with at most one write in flight.
//!
//! What is offered for one shadow key is sent in the order in which it was offered. Until it is sent, a later image
//! takes the place of an earlier one (they coalesce), and answers for its tickets too. Once an image was sent it stays
//! the same until its outcome is definite; if a request that carried it was given up meanwhile, a different image waits
//! in addition until that request is older than the abandonment bound, since it may still land.
//!
//! What has to be sent again stays in its slot, with two times: when it is sent again, and until when a different image is
//! held back. Neither shortens the other. So a key that the service does not take delays nothing but itself; and it is sent
//! again alone, since only of a request that was refused as a whole does the service say what it lacks.
//!
//! Under a transform that is not injective (*owned* slots), two source items may claim one shadow key. There, only
//! images of the same source key coalesce, each write goes alone under the condition "absent, or mine", a put whose
//! condition fails is a collision, and a deletion that frees the key asks for the colliding items to be read again.
//!
//! Nothing here sends anything: [`Slots::take`] says what to send, and the caller says what came of it.

mod lines;
mod quarantine;
mod queue;
mod slot;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lines::{Group, Lines};
pub use quarantine::{Mark, Pair, Quarantined, Reason, Recording};
pub use queue::{Admission, Held, Kind, Taken};
use slot::{Load, Op, Slot, Stage};

use super::invariant::{Invariant, Violation};
use super::ledger::Unit;
use crate::model::{Key, Moment, Write};

/// Where a write belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// This shadow key.
    Shadow(Key),
    /// Nowhere: the transform refuses the item with this source key.
    Unplaced(Key),
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Changes, before everything else.
    Tail,
    /// Copied images, and items read again.
    Copy,
}

/// One unit of one reader, waiting for its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The reader: a shard, a segment, or the re-reads.
    pub reader: u32,
    /// The unit in the reader's ledger.
    pub unit: Unit,
}

/// What is to be done at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write to the shadow.
    Write(Arc<Write>),
    /// It cannot be written: quarantine it, for this reason and with this message.
    Refuse(Reason, String),
    /// The transform no longer refuses the item.
    Accept,
}

/// Something offered to the slots.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where it belongs.
    pub place: Place,
    /// What is to be done there.
    pub effect: Effect,
    /// Whose it is.
    pub source: Key,
    /// What waits for it.
    pub ticket: Ticket,
    /// Who goes first.
    pub lane: Lane,
    /// Bytes held by the image, see [`crate::model::Measure`].
    pub memory_bytes: usize,
    /// Bytes of the image by the service's rules.
    pub stored_bytes: usize,
}

/// How the slots behave.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether two source items may claim one shadow key.
    pub owned: bool,
    /// How long a request that was given up may still take effect.
    pub abandon: Duration,
}

/// Operations in one `BatchWriteItem` at most (the service's limit).
pub const BATCH_OPERATIONS: usize = 25;

/// Bytes of images in one batch at most. The service takes 16 MB of request; images of many small numbers or binaries
/// grow up to four times in JSON.
pub const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Writes to be sent in one request.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The writes, of distinct shadow keys; one, where owned.
    pub writes: Vec<Arc<Write>>,
    /// Write capacity units that they will cost the table at least: 1 for each started KB.
    pub estimated_units: f64,
    /// Of which kind it is.
    pub kind: Kind,
}

/// What came of outcomes, for the caller to act on. Taken by [`Slots::drain`].
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Settled tickets.
    pub settled: Vec<Ticket>,
    /// From offer to durability, of changes.
    pub latencies: Vec<Duration>,
    /// Quarantine entries to store or clear; each place waits until [`Slots::recorded`].
    pub recordings: Vec<Recording>,
    /// Source keys in collision on a shadow key that is free now: to be read again.
    pub reread: Vec<Key>,
}

/// Totals since the start, and what is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes merged into a later image before they were sent.
    pub coalesced: u64,
    /// Copied images replaced by a change before they were sent.
    pub superseded: u64,
    /// Operations waiting or in flight.
    pub held: usize,
    /// Operations in flight.
    pub in_flight: usize,
    /// Bytes held by images and their slots.
    pub held_bytes: usize,
    /// Of those, bytes of copied images.
    pub copied_bytes: usize,
}

/// The slots of one shadow table.
#[derive(Debug)]
pub struct Slots {
    rules: Rules,
    places: HashMap<Place, Slot>,
    lines: Lines,
    /// What is sent again later, by time and the group's number.
    later: BTreeMap<(Moment, u64), Group>,
    /// The number of the last group.
    groups: u64,
    /// Until when a different image must wait, by place.
    fences: HashMap<Place, Moment>,
    timers: BinaryHeap<Reverse<(Moment, Place)>>,
    last_abandoned: Option<Moment>,
    quarantined: Quarantined,
    outcomes: Outcomes,
    counts: Counts,
    /// Bytes held, by the reader that offered them.
    held_by: HashMap<u32, usize>,
}

impl Slots {
    /// Empty slots; `quarantined` is what the state table holds.
    pub fn new(rules: Rules, quarantined: Quarantined) -> Self {
        Self {
            rules,
            places: HashMap::new(),
            lines: Lines::default(),
            later: BTreeMap::new(),
            groups: 0,
            fences: HashMap::new(),
            timers: BinaryHeap::new(),
            last_abandoned: None,
            quarantined,
            outcomes: Outcomes::default(),
            counts: Counts::default(),
            held_by: HashMap::new(),
        }
    }

    /// Offers a write. Tickets settle when it, or what takes its place, is durable or quarantined.
    pub fn offer(&mut self, offer: Offer, now: Moment) {
        let op = Op::new(&offer, now);
        let Some(slot) = self.places.get_mut(&offer.place) else {
            self.counts.held += 1;
            self.hold(Load::of(&op));
            self.places.insert(offer.place.clone(), Slot::new(op));
            self.start(offer.place, now);
            return;
        };
        let (owned, served) = (self.rules.owned, slot.lane());
        if let Some(last) = slot.last_unsent().filter(|last| !owned || last.source == op.source) {
            match last.lane {
                Lane::Tail => self.counts.coalesced += 1,
                Lane::Copy => self.counts.superseded += 1,
            }
            let before = Load::of(last);
            last.replace(op);
            let after = Load::of(last);
            self.let_go(before);
            self.hold(after);
        } else {
            self.counts.held += 1;
            let load = Load::of(&op);
            slot.behind.push_back(op);
            self.hold(load);
        }
        if self.places.get(&offer.place).is_some_and(|slot| slot.lane() != served) {
            self.lift(offer.place);
        }
    }

    /// Bytes held for a reader.
    pub fn held_by(&self, reader: u32) -> usize {
        self.held_by.get(&reader).copied().unwrap_or_default()
    }

    fn hold(&mut self, Load { reader, lane, bytes }: Load) {
        self.counts.held_bytes += bytes;
        if lane == Lane::Copy {
            self.counts.copied_bytes += bytes;
        }
        *self.held_by.entry(reader).or_default() += bytes;
    }

    fn let_go(&mut self, Load { reader, lane, bytes }: Load) {
        self.counts.held_bytes -= bytes;
        if lane == Lane::Copy {
            self.counts.copied_bytes -= bytes;
        }
        if let Entry::Occupied(mut held) = self.held_by.entry(reader) {
            *held.get_mut() -= bytes;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    /// A change waits here now, where only a copied image did: the place is served as a change.
    fn lift(&mut self, place: Place) {
        match self.places.get(&place).map(|slot| (slot.stage, slot.current.reader)) {
            Some((Stage::Ready, reader)) => self.lines.of(Lane::Tail).fresh.push_back(reader, place),
            Some((Stage::Again { at, .. }, _)) => self.group(vec![place], at),
            _ => {}
        }
    }

    /// Whether the transform refused this source key's item before, so that a later outcome must clear it.
    pub fn is_unplaced(&self, source: &Key) -> bool {
        let place = Place::Unplaced(source.clone());
        self.places.contains_key(&place) || self.quarantined.is_at(&place)
    }

    /// Totals and what is held.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What the quarantine holds.
    pub fn quarantined(&self) -> &Quarantined {
        &self.quarantined
    }

    /// Whether nothing is held and no abandoned request is younger than the bound: everything offered has a definite
    /// outcome that nothing can still change.
    pub fn is_quiet(&self, now: Moment) -> bool {
        self.places.is_empty() && self.nothing_can_land(now)
    }

    /// Whether no abandoned request is younger than the bound.
    pub fn nothing_can_land(&self, now: Moment) -> bool {
        self.last_abandoned.is_none_or(|last| now.since(last) >= self.rules.abandon)
    }

    /// What came of the outcomes since the last call.
    pub fn drain(&mut self) -> Outcomes {
        std::mem::take(&mut self.outcomes)
    }

    /// The place's current operation may go: into its lane, behind a fence, or straight to the quarantine.
    fn start(&mut self, place: Place, now: Moment) {
        let Some(slot) = self.places.get_mut(&place) else { return };
        match &slot.current.effect {
            Effect::Refuse(reason, message) => {
                let mark = Mark::Set { reason: *reason, message: message.clone() };
                self.record(&place, mark);
            }
            Effect::Accept => self.record_clear_or_finish(&place, now),
            Effect::Write(_) => match self.fences.get(&place) {
                Some(&until) if until > now => {
                    slot.stage = Stage::Fenced;
                    self.timers.push(Reverse((until, place)));
                }
                _ => {
                    slot.stage = Stage::Ready;
                    self.lines.of(slot.lane()).fresh.push_back(slot.current.reader, place);
                }
            },
        }
    }

    /// Asks for a quarantine entry; the place waits for it.
    fn record(&mut self, place: &Place, mark: Mark) {
        if let Some(slot) = self.places.get_mut(place) {
            slot.stage = Stage::Recording;
            self.outcomes
                .recordings
                .push(Recording { pair: Pair { place: place.clone(), source: slot.current.source.clone() }, mark });
        }
    }

    /// The place's current operation took effect: a quarantine entry of the same pair is cleared before it settles.
    fn record_clear_or_finish(&mut self, place: &Place, now: Moment) {
        let Some(slot) = self.places.get(place) else { return };
        if self.quarantined.contains(place, &slot.current.source) {
            self.record(place, Mark::Clear);
        } else {
            self.finish(place, now);
        }
    }

    /// The entry was stored. The place goes on.
    pub fn recorded(&mut self, recording: &Recording, now: Moment) {
        self.quarantined.apply(recording);
        self.finish(&recording.pair.place, now);
    }

    /// The place's current operation is settled: the next one starts, or the slot goes.
    fn finish(&mut self, place: &Place, now: Moment) {
        let Some(mut slot) = self.places.remove(place) else { return };
        let done = match slot.behind.pop_front() {
            Some(next) => {
                let done = std::mem::replace(&mut slot.current, next);
                slot.throttles = 0;
                self.places.insert(place.clone(), slot);
                self.start(place.clone(), now);
                done
            }
            None => slot.current,
        };
        self.counts.held -= 1;
        self.let_go(Load::of(&done));
        if done.lane == Lane::Tail {
            self.outcomes.latencies.push(now.since(done.offered));
        }
        self.outcomes.settled.extend(done.tickets);
    }

    /// Invariant 1, checked where a write leaves: it is not in flight already, and no fence stands before it.
    fn check_sendable(&self, place: &Place, stage: Stage, now: Moment) -> Result<(), Violation> {
        let fenced = stage == Stage::Ready && self.fences.get(place).is_some_and(|&until| until > now);
        if fenced || !matches!(stage, Stage::Ready | Stage::Again { .. }) {
            return Err(Violation::new(
                Invariant::SerialWrites,
                format!("a write was about to be sent while {stage:?}"),
            ));
        }
        Ok(())
    }
}

/// For unit tests of everything that deals in keys.
#[cfg(test)]
pub(crate) mod testing {
    use crate::model::{AttributeValue, Key, KeyAttribute, KeySchema, KeyType};

    pub(crate) fn schema() -> KeySchema {
        KeySchema { partition: KeyAttribute { name: "id".into(), kind: KeyType::S }, sort: None }
    }

    pub(crate) fn key(text: &str) -> Key {
        schema().key_of(&[("id".to_owned(), AttributeValue::S(text.into()))].into()).unwrap()
    }
}
