//! The one applier: everything that is written to the shadow goes through it.
//!
//! Readers wait for room in memory before they ask for a page, and offer what it brings. One dispatcher takes batches from the slots and sends
//! them, as many at a time as the window allows, under the lease and within the budget; each outcome goes back to the
//! slots. Quarantine entries are stored before their place goes on, and items in collision are read again when their
//! shadow key is freed. What may be sent, and what an outcome means, is decided in [`core`] and below, without a clock.

pub mod core;
mod dispatch;
pub mod mapping;
mod quarantine;
pub mod recent;
mod reread;
mod room;
mod shares;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use self::core::{Changed, Core, Mark, OpenPage, Progress, Reader};
use self::mapping::Mapping;
pub use self::quarantine::Quarantine;
use self::recent::Recent;
pub use self::room::Grant;
pub use self::shares::Want;
use super::Replication;
use crate::engine::error::EngineError;
use crate::engine::settings::ApplySettings;
use crate::model::{Change, ChangeKind, Item, Key, Moment};
use crate::ports::{Clock, Ports};
use crate::protocol::leg::Intake;
use crate::protocol::overtaken::{Overtaken, PageRead};
use crate::protocol::slots::{Counts, Quarantined, Rules, Slots};

/// Items offered under one hold of the lock.
const CHUNK: usize = 64;

/// The applier of one migration.
pub struct Applier<P> {
    on: Replication<P>,
    settings: ApplySettings,
    mapping: Mapping,
    quarantine: Quarantine,
    core: Mutex<Core>,
    /// Something may be sent or stored.
    work: Notify,
    /// Something was settled.
    settled: Notify,
    /// Something may be wanted to be read again.
    rereads: Notify,
}

/// What the applier is built from besides its leg.
pub struct ApplyParts {
    /// How it writes.
    pub settings: ApplySettings,
    /// What an item becomes.
    pub mapping: Mapping,
    /// How quarantine is written down.
    pub quarantine: Quarantine,
    /// What is in quarantine already.
    pub quarantined: Quarantined,
    /// What changed last before it.
    pub recent: Recent,
    /// What becomes of changes at first.
    pub intake: Intake,
}

/// The figures of the applier, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyFigures {
    /// Totals.
    pub counts: Counts,
    /// Copied images dropped because a change overtook them.
    pub superseded: u64,
    /// Pages that had to be read again for lack of room.
    pub pages_discarded: u64,
    /// Bytes for which pages are being read.
    pub reading_bytes: usize,
    /// Pairs in quarantine.
    pub quarantined: usize,
    /// Changes that came after the applier was closed.
    pub late: u64,
    /// Nothing is held, wanted or still able to land.
    pub is_quiet: bool,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOutcome {
    /// All its items were offered.
    Offered,
    /// It must be read again.
    ReadAgain,
}

/// What an item takes in memory.
pub fn bytes_of(item: &Item) -> usize {
    // What cannot be measured is refused when it is offered.
    item.measure().map_or(0, |measure| measure.memory_bytes)
}

impl<P: Ports> Applier<P> {
    /// An applier that begins with this.
    pub fn new(on: Replication<P>, from: ApplyParts) -> Self {
        let ApplyParts { settings, mapping, quarantine, quarantined, recent, intake } = from;
        let rules = Rules { owned: mapping.is_owned(), abandon: settings.abandon };
        let overtaken = Overtaken::new(settings.overtaken_limit());
        let core = Core::new(Slots::new(rules, quarantined), overtaken, recent, intake, settings.memory_bytes);
        Self {
            on,
            settings,
            mapping,
            quarantine,
            core: Mutex::new(core),
            work: Notify::new(),
            settled: Notify::new(),
            rereads: Notify::new(),
        }
    }

    /// A new reader.
    pub fn add_reader(&self) -> Reader {
        self.core().add_reader()
    }

    /// A reader is done, and all it offered is settled.
    pub fn end_reader(&self, reader: Reader) {
        self.core().end_reader(reader);
    }

    /// To be called before a page's request is sent (invariant 2).
    pub fn begin_page(&self) -> PageRead {
        self.core().begin_page()
    }

    /// The page could not be read.
    pub fn drop_page(&self, page: PageRead) {
        self.core().drop_page(page);
    }

    /// Offers a page's items.
    pub fn offer_page(
        &self,
        reader: Reader,
        page: PageRead,
        mark: Mark,
        items: Vec<Item>,
    ) -> Result<PageOutcome, EngineError> {
        let Some(open) = self.core().open_page(reader, page, mark) else { return Ok(PageOutcome::ReadAgain) };
        let mut items = items.into_iter();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            for item in items.by_ref().take(CHUNK) {
                let source = self.mapping.source_key(&item)?;
                let mapped = self.mapping.item(&source, item)?;
                chunk.push((source, mapped));
            }
            if chunk.is_empty() {
                break;
            }
            if !self.offer_chunk(open, chunk)? {
                return Ok(PageOutcome::ReadAgain);
            }
        }
        self.core().close_page(open);
        self.settled.notify_waiters();
        Ok(PageOutcome::Offered)
    }

    /// Offers a change. `new` is the item after it; for streams without new images, as read back after the record had
    /// arrived.
    pub fn offer_change(&self, reader: Reader, change: Change, new: Option<Item>) -> Result<(), EngineError> {
        let mapped = self.mapping.change(&change.key, new, change.old)?;
        let mark = Mark::Record { position: change.position, created: change.created };
        let expired = change.kind == ChangeKind::Expire;
        self.core().offer_change(reader, mark, &change.key, Changed { mapped, expired }, self.now());
        self.work.notify_one();
        Ok(())
    }

    /// How far a reader is.
    pub fn progress(&self, reader: Reader) -> Progress {
        self.core().progress(reader)
    }

    /// Resolves when something was settled since the call.
    pub fn on_settled(&self) -> impl Future<Output = ()> + '_ {
        self.settled.notified()
    }

    /// Reads a source key again and offers it like a copied image.
    pub fn want(&self, source: Key) {
        self.core().want(source);
        self.rereads.notify_one();
    }

    /// From now on, this becomes of changes.
    pub fn set_intake(&self, intake: Intake) {
        self.core().set_intake(intake);
    }

    /// What becomes of changes.
    pub fn intake(&self) -> Intake {
        self.core().intake()
    }

    /// No abandoned request is younger than the bound.
    pub fn nothing_can_land(&self) -> bool {
        let now = self.now();
        self.core().nothing_can_land(now)
    }

    /// The keys that changed last.
    pub fn recent(&self) -> Recent {
        self.core().recent().clone()
    }

    /// The figures of this moment.
    pub fn figures(&self) -> ApplyFigures {
        let now = self.now();
        let core = self.core();
        let (counts, superseded) = core.counts();
        ApplyFigures {
            counts,
            superseded,
            pages_discarded: core.pages_discarded(),
            reading_bytes: core.reading_bytes(),
            quarantined: core.quarantined(),
            late: core.late(),
            is_quiet: core.is_quiet(now),
        }
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    fn offer_chunk(&self, open: OpenPage, chunk: Vec<(Key, Option<mapping::Mapped>)>) -> Result<bool, EngineError> {
        let now = self.now();
        let offered = self.core().offer_items(open, chunk, now)?;
        self.work.notify_one();
        Ok(offered)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    fn now(&self) -> Moment {
        self.on.clock().now()
    }
}
