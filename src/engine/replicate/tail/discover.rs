//! Finds shards and starts their readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::pin;
use tokio::task::JoinSet;

use super::Tail;
use super::listing::Listing;
use crate::engine::error::EngineError;
use crate::engine::parallel::for_each;
use crate::engine::state::entry::shard_sort;
use crate::ports::{Clock, Fault, PortError, Ports};
use crate::protocol::lineage::{ShardRecord, ShardStage, generations};

/// How often it is asked what continues a finished shard, until that is known: it may appear a moment later.
const CHILD_POLL: Duration = Duration::from_secs(1);

/// Shards of which it is asked in a round as long as nothing was listed.
const ASKED_AT_FIRST: usize = 10;

/// Listings that nobody waits for take a tenth of the time at most.
const SELDOM: u32 = 10;

impl<P: Ports> Tail<P> {
    /// Lists shards, follows finished ones to their children, and reads those that may be read. Readers end with this future.
    pub(super) async fn discover(self: Arc<Self>) -> Result<(), EngineError> {
        let mut readers = JoinSet::new();
        let pages = AtomicUsize::new(ASKED_AT_FIRST);
        let (listing, following) = (self.keep_listing(&pages), self.follow(&pages));
        pin!(listing, following);
        loop {
            let found = self.found.notified();
            self.start_readers(&mut readers)?;
            tokio::select! {
                biased;
                Some(ended) = readers.join_next(), if !readers.is_empty() => {
                    ended.map_err(|error| EngineError::Task(error.to_string()))??;
                }
                ended = &mut listing => return ended,
                ended = &mut following => return ended,
                () = found => {}
            }
        }
    }

    fn start_readers(self: &Arc<Self>, readers: &mut JoinSet<Result<(), EngineError>>) -> Result<(), EngineError> {
        let startable = self.board().startable();
        for shard in startable {
            let (margin, now) = (self.settings.retention_margin, self.on.clock().service());
            let loss = self.board().lineage.lost(margin, now);
            if let Some(loss) = loss {
                return Err(loss.into());
            }
            let start = self.board().lineage.start(&shard, margin, now)?;
            let reader = self.applier.add_reader();
            self.board().begin(&shard, reader);
            readers.spawn(Arc::clone(self).read_shard(shard, reader, start));
        }
        Ok(())
    }

    /// Lists all shards now and then. `pages`: how many that takes.
    async fn keep_listing(&self, pages: &AtomicUsize) -> Result<(), EngineError> {
        loop {
            let soon = self.list_soon.notified();
            let begun = self.on.clock().now();
            let listing = self.lister.all().await.map_err(|error| self.not_listed(error))?;
            pages.store(listing.pages, Ordering::Relaxed);
            self.take_listing(listing).await?;
            let took = self.on.clock().now().since(begun);
            let pause = self.settings.discover.max(took.saturating_mul(SELDOM));
            tokio::select! {
                biased;
                () = soon => {}
                () = self.on.clock().sleep(pause) => {}
            }
        }
    }

    /// Asks what continues finished shards, as long as that is not known, and lists all meanwhile. No more is asked than a
    /// listing takes.
    async fn follow(&self, pages: &AtomicUsize) -> Result<(), EngineError> {
        loop {
            let finished = self.finished.notified();
            // What waited for a shard may be read.
            self.found.notify_one();
            let unsure: Vec<ShardRecord> = self.board().leaves().cloned().collect();
            if !unsure.is_empty() {
                self.list_soon.notify_one();
            }
            // What continues one from before the pin may be from before it, too: a listing shows the whole line.
            let finished_here = unsure.iter().filter(|record| record.stage == ShardStage::Finished);
            for record in finished_here.take(pages.load(Ordering::Relaxed)) {
                self.take_children(&record.shard).await?;
            }
            tokio::select! {
                biased;
                () = finished => {}
                () = self.on.clock().sleep(self.settings.discover.min(CHILD_POLL)), if !unsure.is_empty() => {}
            }
        }
    }

    async fn take_children(&self, parent: &str) -> Result<(), EngineError> {
        let asked = self.on.clock().service();
        let children = match self.lister.children(parent).await {
            // The shard, or the stream: a listing tells.
            Err(error) if error.fault == Fault::Missing => {
                self.list_soon.notify_one();
                return Ok(());
            }
            listed => listed?,
        };
        let _alone = self.taking.lock().await;
        let found = self.board().follow(parent, &children, asked);
        self.take_in(found).await
    }

    async fn take_listing(&self, Listing { shards, asked, pages }: Listing) -> Result<(), EngineError> {
        let _alone = self.taking.lock().await;
        let found = self.board().observe(&shards, asked, pages);
        self.take_in(found).await?;
        let forgettable = self.board().lineage.forgettable(&shards, self.on.clock().service());
        let forget = |record: ShardRecord| async move {
            self.on.store.delete(&self.sort_of(&record.shard)).await?;
            self.board().forget(&record.shard);
            Ok::<_, EngineError>(())
        };
        for generation in generations(forgettable) {
            for_each(generation, forget).await?;
        }
        Ok(())
    }

    /// New shards are stored, and claimed from whoever stored them before, before they are read.
    async fn take_in(&self, found: Vec<ShardRecord>) -> Result<(), EngineError> {
        let store = |record: ShardRecord| async move {
            tracing::info!(shard = record.shard, parent = record.parent, "a new shard");
            let stored = self.on.store.create(&self.sort_of(&record.shard), &record).await?;
            self.board().saved(stored, self.settings.caught_up);
            Ok::<_, EngineError>(())
        };
        for generation in generations(found) {
            for_each(generation, store).await?;
        }
        self.found.notify_one();
        Ok(())
    }

    fn sort_of(&self, shard: &str) -> String {
        shard_sort(self.on.leg, shard)
    }

    fn not_listed(&self, error: PortError) -> EngineError {
        match error.fault {
            Fault::Missing => EngineError::Lost(format!(
                "the stream {} is gone: it was disabled, or the {} was deleted",
                self.pin.stream_arn, self.on.leg.from
            )),
            _ => error.into(),
        }
    }
}
