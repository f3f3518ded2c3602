//! What there is: two items, the places that they claim in the shadow, and the memory of the one process.

use crate::few::Few;

/// Source items.
pub(crate) const ITEMS: usize = 2;
/// Shadow keys that they can claim.
pub(crate) const PLACES: usize = 2;
/// Changes at most.
pub(crate) const CHANGES: usize = 4;

/// An item, or its image in the shadow: 0 where there is none, else the number of its write.
pub(crate) type Image = u8;

/// An item at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    pub(crate) image: Image,
    /// The shadow key that it claims, while there is an item.
    pub(crate) place: u8,
}

impl Item {
    /// The shadow key that it claims.
    pub(crate) fn claims(self) -> Option<u8> {
        (self.image != 0).then_some(self.place)
    }
}

/// One stream record, with old and new image. Each item's records are on a shard of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) source: u8,
    pub(crate) old: Item,
    pub(crate) new: Item,
}

/// What a shadow key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    /// 0: nothing.
    pub(crate) image: Image,
    pub(crate) owner: u8,
}

/// A put of an image, or a deletion (image 0), for a source item. `tickets`: two bits for each change, then one for each page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Op {
    pub(crate) source: u8,
    pub(crate) image: Image,
    pub(crate) tickets: u16,
}

/// An operation that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Abandoned {
    pub(crate) place: u8,
    pub(crate) op: Op,
    pub(crate) landed: bool,
}

/// Where a slot's current operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
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
pub(crate) struct Slot {
    pub(crate) stage: Stage,
    pub(crate) current: Op,
    pub(crate) behind: Few<Op, 6>,
}

/// Why an item is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// It is copied.
    Copied,
    /// It is read again, since its shadow key was freed.
    Again,
}

/// A consistent read of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Read {
    pub(crate) source: u8,
    pub(crate) why: Why,
    /// What it showed, once it was answered.
    pub(crate) found: Option<Item>,
    /// A change to the item was offered since it began.
    pub(crate) overtaken: bool,
}

/// What the process remembers; a crash forgets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// For each item's shard, the place in the log up to which changes were offered.
    pub(crate) readers: [u8; ITEMS],
    pub(crate) settled: u16,
    pub(crate) slots: [Slot; PLACES],
    /// Items to be read again, as bits.
    pub(crate) wanted: u8,
    /// Items of which the page was offered, as bits.
    pub(crate) copied: u8,
    pub(crate) read: Option<Read>,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) source: [Item; ITEMS],
    pub(crate) log: Few<Change, CHANGES>,
    pub(crate) shadow: [Held; PLACES],
    /// Collisions, durable: bits of items, by place.
    pub(crate) collisions: [u8; PLACES],
    /// Checkpoints: changes of each item's shard that are passed.
    pub(crate) passed: [u8; ITEMS],
    /// Pages that are durable, as bits.
    pub(crate) copied: u8,
    pub(crate) abandoned: Few<Abandoned, 6>,
    pub(crate) process: Option<Process>,
    pub(crate) writes_left: u8,
    pub(crate) faults_left: u8,
    pub(crate) crashes_left: u8,
}

/// Both operations of a change.
pub(crate) const fn change_tickets(change: usize) -> u16 {
    0b11 << (2 * change)
}

/// The ticket of an item's page.
pub(crate) const fn page_ticket(source: u8) -> u16 {
    1 << (2 * CHANGES + source as usize)
}

/// The bit of an item.
pub(crate) const fn bit(source: u8) -> u8 {
    1 << source
}
