//! What there is: tables, stream, requests on their way, and the memory of the one process.

use crate::few::Few;

/// Items at most.
pub(crate) const KEYS: usize = 3;
/// Shards at most: the pinned one and what continues it.
pub(crate) const SHARDS: usize = 5;
/// Records at most.
pub(crate) const RECORDS: usize = 8;
/// No shard.
pub(crate) const NONE: u8 = u8::MAX;

/// An item's image: 0 where there is none, else the number of its write; each write has another.
pub(crate) type Image = u8;
/// There is no item.
pub(crate) const ABSENT: Image = 0;
/// Added to an image that the shadow refuses for good.
pub(crate) const REFUSED: Image = 0x40;

/// Whether the shadow refuses an image for good.
pub(crate) const fn is_refused(image: Image) -> bool {
    image & REFUSED != 0
}

/// One stream record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) shard: u8,
    pub(crate) key: u8,
    pub(crate) image: Image,
}

/// A shard, and what is durable about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    /// The shard that it continues.
    pub(crate) parent: u8,
    /// The keys whose records it carries, as bits.
    pub(crate) keys: u8,
    /// It has children, and takes no more records.
    pub(crate) closed: bool,
    /// Its checkpoint: all its records before this one in the log are passed.
    pub(crate) passed: u8,
    /// Its final checkpoint is stored.
    pub(crate) finished: bool,
}

impl Default for Shard {
    fn default() -> Self {
        Self { parent: NONE, keys: 0, closed: false, passed: 0, finished: false }
    }
}

/// A write to the shadow that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Abandoned {
    pub(crate) key: u8,
    pub(crate) image: Image,
    /// It took effect. It can do so once; the process that gave it up does not know.
    pub(crate) landed: bool,
}

/// What waits in a slot, or was sent. `tickets` are the records (low bits) and pages (from [`RECORDS`] on) that it settles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Op {
    pub(crate) image: Image,
    pub(crate) tickets: u16,
}

/// Where a slot's current operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// The slot is empty.
    #[default]
    Free,
    /// A different image waits until no abandoned request is younger than the bound.
    Fenced,
    /// It is in a request, or about to be in one.
    Sent,
    /// Its quarantine entry is being set.
    Setting,
    /// It took effect; an earlier quarantine entry is being cleared.
    Clearing,
}

/// The queue of one shadow key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) stage: Stage,
    pub(crate) current: Op,
    pub(crate) pending: Option<Op>,
}

/// The page that the copy reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Page {
    /// None.
    #[default]
    Idle,
    /// Its tick is noted and its request under way.
    Begun,
    /// Its request was answered with this image.
    Read(Image),
}

/// What the process remembers; a crash forgets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// It made the pin, and holds the iterator at the pinned shard's end of then.
    pub(crate) pinned: bool,
    /// For each shard, the place in the log up to which its records were offered.
    pub(crate) readers: [u8; SHARDS],
    /// Records and pages that are durable, superseded by durable ones, dropped, or in quarantine.
    pub(crate) settled: u16,
    pub(crate) slots: [Slot; KEYS],
    pub(crate) page: Page,
    /// The page that is read, or is next.
    pub(crate) next_page: u8,
    /// Keys of which a change was offered since the page began.
    pub(crate) overtaken: u8,
    /// Only without the rule that quarantine comes first: entries that are still to be stored.
    pub(crate) unrecorded: u8,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) source: [Image; KEYS],
    pub(crate) log: Few<Record, RECORDS>,
    pub(crate) shards: Few<Shard, SHARDS>,
    /// So many of the oldest records are gone.
    pub(crate) trimmed: u8,
    pub(crate) shadow: [Image; KEYS],
    /// Keys in quarantine, as bits.
    pub(crate) quarantine: u8,
    /// Pages that the segment's cursor passed.
    pub(crate) cursor: u8,
    /// The migration stopped as needs-reseed.
    pub(crate) lost: bool,
    pub(crate) abandoned: Few<Abandoned, 8>,
    pub(crate) process: Option<Process>,
    /// What was ever durable, to judge checkpoints by; nobody in the model reads it.
    pub(crate) ever_settled: u16,
    pub(crate) writes_left: u8,
    pub(crate) refusals_left: u8,
    pub(crate) rolls_left: u8,
    pub(crate) faults_left: u8,
    pub(crate) crashes_left: u8,
    pub(crate) trims_left: u8,
}

/// The ticket of a record.
pub(crate) const fn record_ticket(record: usize) -> u16 {
    1 << record
}

/// The ticket of a page.
pub(crate) const fn page_ticket(page: u8) -> u16 {
    1 << (RECORDS + page as usize)
}

/// The bit of a key.
pub(crate) const fn bit(key: u8) -> u8 {
    1 << key
}
