//! The one applier: everything that is written to the shadow goes through it.
//!
//! Readers offer pages and changes and wait when memory is full. One dispatcher takes batches from the slots and sends
//! them, as many at a time as the window allows, under the lease and within the budget; each outcome goes back to the
//! slots. Quarantine entries are stored before their place goes on, and items in collision are read again when their
//! shadow key is freed. What may be sent, and what an outcome means, is decided in [`core`] and below, without a clock.

pub mod core;
mod dispatch;
pub mod mapping;
mod quarantine;
pub mod recent;
mod reread;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use self::core::{Core, Mark, OpenPage, Progress, Reader};
use self::mapping::Mapping;
pub use self::quarantine::Quarantine;
use self::recent::Recent;
use super::error::EngineError;
use super::settings::ApplySettings;
use super::state::store::Store;
use crate::model::{Change, ChangeKind, Item, Key, Moment};
use crate::ports::{Clock, Ports};
use crate::protocol::overtaken::{Overtaken, PageRead};
use crate::protocol::slots::{Lane, Quarantined, Rules, Slots};
use crate::telemetry::Meters;

/// Items offered under one hold of the lock.
const CHUNK: usize = 64;

/// The applier of one migration.
pub struct Applier<P> {
    ports: Arc<P>,
    store: Arc<Store<P>>,
    settings: ApplySettings,
    mapping: Mapping,
    quarantine: Quarantine,
    core: Mutex<Core>,
    /// Something may be sent or stored.
    work: Notify,
    /// Memory was freed.
    room: Notify,
    /// Something was settled.
    settled: Notify,
    /// Something may be wanted to be read again.
    rereads: Notify,
    meters: Arc<Meters>,
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOutcome {
    /// All its items were offered.
    Offered,
    /// It must be read again.
    ReadAgain,
}

impl<P: Ports> Applier<P> {
    /// An applier over what is in quarantine already, and over what changed last before it.
    pub fn new(
        ports: Arc<P>,
        store: Arc<Store<P>>,
        settings: ApplySettings,
        mapping: Mapping,
        quarantine: Quarantine,
        (quarantined, recent): (Quarantined, Recent),
        meters: Arc<Meters>,
    ) -> Self {
        let rules = Rules { owned: mapping.is_owned(), abandon: settings.abandon };
        let core = Core::new(Slots::new(rules, quarantined), Overtaken::new(settings.overtaken_limit), recent);
        Self {
            ports,
            store,
            settings,
            mapping,
            quarantine,
            core: Mutex::new(core),
            work: Notify::new(),
            room: Notify::new(),
            settled: Notify::new(),
            rereads: Notify::new(),
            meters,
        }
    }

    /// A new reader.
    pub fn add_reader(&self) -> Reader {
        self.core().add_reader()
    }

    /// To be called before a page's request is sent (invariant 2).
    pub fn begin_page(&self) -> PageRead {
        self.core().begin_page()
    }

    /// The page could not be read.
    pub fn drop_page(&self, page: PageRead) {
        self.core().drop_page(page);
    }

    /// Offers a page's items, waiting for room as needed.
    pub async fn offer_page(
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
            self.wait_for_room(Lane::Copy).await;
            if !self.offer_chunk(open, chunk)? {
                return Ok(PageOutcome::ReadAgain);
            }
        }
        self.core().close_page(open);
        self.settled.notify_waiters();
        Ok(PageOutcome::Offered)
    }

    /// Offers a change, waiting for room as needed. `new` is the item after it; for streams without new images, as read
    /// back after the record had arrived.
    pub async fn offer_change(&self, reader: Reader, change: Change, new: Option<Item>) -> Result<(), EngineError> {
        let mapped = self.mapping.change(&change.key, new, change.old)?;
        self.wait_for_room(Lane::Tail).await;
        let mark = Mark::Record { position: change.position, created: change.created };
        let expired = change.kind == ChangeKind::Expire;
        self.core().offer_change(reader, mark, &change.key, (mapped, expired), self.now());
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

    /// Nothing is held, wanted or still able to land.
    pub fn is_quiet(&self) -> bool {
        let now = self.now();
        self.core().is_quiet(now)
    }

    /// A look at the state, for figures.
    pub fn inspect<T>(&self, look: impl FnOnce(&mut Core) -> T) -> T {
        look(&mut self.core())
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

    /// Copied images may hold half of the memory, so that changes always find room.
    async fn wait_for_room(&self, lane: Lane) {
        let limit = match lane {
            Lane::Tail => self.settings.memory_bytes,
            Lane::Copy => self.settings.memory_bytes / 2,
        };
        loop {
            let room = self.room.notified();
            if self.core().counts().0.held_bytes < limit {
                return;
            }
            room.await;
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock()
    }

    fn now(&self) -> Moment {
        self.ports.clock().now()
    }
}
