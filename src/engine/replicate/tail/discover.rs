//! Finds shards and starts their readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Asked, Tail};
use crate::engine::error::EngineError;
use crate::engine::parallel::for_each;
use crate::engine::retry::until_answered;
use crate::engine::state::entry::shard_sort;
use crate::model::{ListedShard, Timestamp};
use crate::ports::{ChangeFeed, Clock, Fault, Ports};
use crate::protocol::lineage::{ShardRecord, generations};

/// How often shards are listed while children of a finished one are not all known: they may appear a moment later.
const CHILD_POLL: Duration = Duration::from_secs(1);

impl<P: Ports> Tail<P> {
    /// Lists shards now and then, and at once when one is finished; reads those that may be read. Readers end with this
    /// future.
    pub(super) async fn discover(self: Arc<Self>) -> Result<(), EngineError> {
        let mut readers = JoinSet::new();
        let mut list = true;
        loop {
            let finished = self.finished.notified();
            if list {
                self.take_listing().await?;
            }
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
                readers.spawn(Arc::clone(&self).read_shard(shard, reader, start));
            }
            let unsure = self.board().leaves().next().is_some();
            let pause = if unsure { self.settings.discover.min(CHILD_POLL) } else { self.settings.discover };
            tokio::select! {
                biased;
                Some(ended) = readers.join_next(), if !readers.is_empty() => {
                    ended.map_err(|error| EngineError::Task(error.to_string()))??;
                    list = false;
                }
                () = finished => list = true,
                () = self.on.clock().sleep(pause) => list = true,
            }
        }
    }

    /// Takes a listing in: new shards are stored, and claimed from whoever stored them before, before they are read.
    async fn take_listing(&self) -> Result<(), EngineError> {
        let (listing, asked) = self.list_shards().await?;
        let found = self.board().observe(&listing, asked);
        let store = |record: ShardRecord| async move {
            tracing::info!(shard = record.shard, parent = record.parent, "a new shard");
            let stored = self.on.store.create(&self.sort_of(&record.shard), &record).await?;
            self.board().saved(stored, self.settings.caught_up);
            Ok::<_, EngineError>(())
        };
        for generation in generations(found) {
            for_each(generation, store).await?;
        }
        let forgettable = self.board().lineage.forgettable(&listing, self.on.clock().service());
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

    fn sort_of(&self, shard: &str) -> String {
        shard_sort(self.on.leg, shard)
    }

    /// A listing, and when it was asked for: what appeared since need not be in it.
    async fn list_shards(&self) -> Result<(Vec<ListedShard>, Timestamp), EngineError> {
        let listed = until_answered(self.on.clock(), "the stream's shards could not be listed", || async {
            let asked = Asked::now(self.on.clock());
            let listing = self.on.feed().shards(&self.pin.stream_arn).await;
            let listing = listing.inspect_err(|error| self.on.meters.failed(error))?;
            Ok((listing, asked.at(self.on.clock())))
        });
        listed.await.map_err(|error| match error.fault {
            Fault::Missing => EngineError::Lost(format!(
                "the stream {} is gone: it was disabled, or the {} was deleted",
                self.pin.stream_arn, self.on.leg.from
            )),
            _ => error.into(),
        })
    }
}
