//! What there is: two items, the places that they claim in the shadow, and the memory of the one process.

use crate::model::few::Few;

/// Source items.
pub(super) const ITEMS: usize = 2;
/// Shadow keys that they can claim.
pub(super) const PLACES: usize = 2;
/// Changes at most.
pub(super) const CHANGES: usize = 4;

/// An item, or its image in the shadow: 0 where there is none, else the number of its write.
pub(super) type Image = u8;

/// An item at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Item {
    pub image: Image,
    /// The shadow key that it claims, while there is an item.
    pub place: u8,
}

impl Item {
    /// The shadow key that it claims.
    pub fn claims(self) -> Option<u8> {
        (self.image != 0).then_some(self.place)
    }
}

/// One stream record, with old and new image. Each item's records are on a shard of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Change {
    pub source: u8,
    pub old: Item,
    pub new: Item,
}

/// What a shadow key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    /// 0: nothing.
    pub image: Image,
    pub owner: u8,
}

/// A put of an image, or a deletion (image 0), for a source item. `tickets`: two bits for each change, then one for each page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Op {
    pub source: u8,
    pub image: Image,
    pub tickets: u16,
}

/// An operation that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Abandoned {
    pub place: u8,
    pub op: Op,
    pub landed: bool,
}

/// Where a slot's current operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The slot is empty.
    #[default]
    Free,
    /// It waits until no abandoned request is younger than the bound.
    Fenced,
    /// It is in a request.
    Sent,
    /// Its collision is being stored.
    Setting,
    /// It has an outcome; an earlier collision of the same pair is being cleared.
    Clearing,
}

/// The queue of one shadow key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    pub stage: Stage,
    pub current: Op,
    pub behind: Few<Op, 6>,
}

/// Why an item is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is copied.
    Copied,
    /// It is read again, since its shadow key was freed.
    Again,
}

/// A consistent read of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Read {
    pub source: u8,
    pub why: Why,
    /// What it showed, once it was answered.
    pub found: Option<Item>,
    /// A change to the item was offered since it began.
    pub overtaken: bool,
}

/// What the process remembers; a crash forgets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// For each item's shard, the place in the log up to which changes were offered.
    pub readers: [u8; ITEMS],
    pub settled: u16,
    pub slots: [Slot; PLACES],
    /// Items to be read again, as bits.
    pub wanted: u8,
    /// Items of which the page was offered, as bits.
    pub copied: u8,
    pub read: Option<Read>,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub source: [Item; ITEMS],
    pub log: Few<Change, CHANGES>,
    pub shadow: [Held; PLACES],
    /// Collisions, durable: bits of items, by place.
    pub collisions: [u8; PLACES],
    /// Checkpoints: changes of each item's shard that are passed.
    pub passed: [u8; ITEMS],
    /// Pages that are durable, as bits.
    pub copied: u8,
    pub abandoned: Few<Abandoned, 6>,
    pub process: Option<Process>,
    pub writes_left: u8,
    pub faults_left: u8,
    pub crashes_left: u8,
}

/// Both operations of a change.
pub(super) const fn change_tickets(change: usize) -> u16 {
    0b11 << (2 * change)
}

/// The ticket of an item's page.
pub(super) const fn page_ticket(source: u8) -> u16 {
    1 << (2 * CHANGES + source as usize)
}

/// The bit of an item.
pub(super) const fn bit(source: u8) -> u8 {
    1 << source
}
