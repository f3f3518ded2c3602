//! What there is: tables, stream, requests on their way, and the memory of the one process.

use crate::model::few::Few;

/// Items at most.
pub(super) const KEYS: usize = 3;
/// Shards at most: the pinned one and what continues it.
pub(super) const SHARDS: usize = 5;
/// Records at most.
pub(super) const RECORDS: usize = 8;
/// No shard.
pub(super) const NONE: u8 = u8::MAX;

/// An item's image: 0 where there is none, else the number of its write; each write has another.
pub(super) type Image = u8;
/// There is no item.
pub(super) const ABSENT: Image = 0;
/// Added to an image that the shadow refuses for good.
pub(super) const REFUSED: Image = 0x40;

/// Whether the shadow refuses an image for good.
pub(super) const fn is_refused(image: Image) -> bool {
    image & REFUSED != 0
}

/// One stream record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    pub shard: u8,
    pub key: u8,
    pub image: Image,
}

/// A shard, and what is durable about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The shard that it continues.
    pub parent: u8,
    /// The keys whose records it carries, as bits.
    pub keys: u8,
    /// It has children, and takes no more records.
    pub closed: bool,
    /// Its checkpoint: all its records before this one in the log are passed.
    pub passed: u8,
    /// Its final checkpoint is stored.
    pub finished: bool,
}

impl Default for Shard {
    fn default() -> Self {
        Self { parent: NONE, keys: 0, closed: false, passed: 0, finished: false }
    }
}

/// A write to the shadow that was given up and may still take effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Abandoned {
    pub key: u8,
    pub image: Image,
    /// It took effect. It can do so once; the process that gave it up does not know.
    pub landed: bool,
}

/// What waits in a slot, or was sent. `tickets` are the records (low bits) and pages (from [`RECORDS`] on) that it settles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Op {
    pub image: Image,
    pub tickets: u16,
}

/// Where a slot's current operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
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
pub struct Slot {
    pub stage: Stage,
    pub current: Op,
    pub pending: Option<Op>,
}

/// The page that the copy reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Page {
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
pub struct Process {
    /// It made the pin, and holds the iterator at the pinned shard's end of then.
    pub pinned: bool,
    /// For each shard, the place in the log up to which its records were offered.
    pub readers: [u8; SHARDS],
    /// Records and pages that are durable, superseded by durable ones, dropped, or in quarantine.
    pub settled: u16,
    pub slots: [Slot; KEYS],
    pub page: Page,
    /// The page that is read, or is next.
    pub next_page: u8,
    /// Keys of which a change was offered since the page began.
    pub overtaken: u8,
    /// Only without the rule that quarantine comes first: entries that are still to be stored.
    pub unrecorded: u8,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub source: [Image; KEYS],
    pub log: Few<Record, RECORDS>,
    pub shards: Few<Shard, SHARDS>,
    /// So many of the oldest records are gone.
    pub trimmed: u8,
    pub shadow: [Image; KEYS],
    /// Keys in quarantine, as bits.
    pub quarantine: u8,
    /// Pages that the segment's cursor passed.
    pub cursor: u8,
    /// The migration stopped as needs-reseed.
    pub lost: bool,
    pub abandoned: Few<Abandoned, 8>,
    pub process: Option<Process>,
    /// What was ever durable, to judge checkpoints by; nobody in the model reads it.
    pub ever_settled: u16,
    pub writes_left: u8,
    pub refusals_left: u8,
    pub rolls_left: u8,
    pub faults_left: u8,
    pub crashes_left: u8,
    pub trims_left: u8,
}

/// The ticket of a record.
pub(super) const fn record_ticket(record: usize) -> u16 {
    1 << record
}

/// The ticket of a page.
pub(super) const fn page_ticket(page: u8) -> u16 {
    1 << (RECORDS + page as usize)
}

/// The bit of a key.
pub(super) const fn bit(key: u8) -> u8 {
    1 << key
}
