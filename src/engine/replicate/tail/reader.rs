//! Reads one shard.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Arrived, Asked, Tail};
use crate::engine::error::EngineError;
use crate::engine::replicate::apply::core::Reader;
use crate::engine::retry::{Retry, until_answered};
use crate::model::{Change, ChangeKind, Image, Item, Key, StartAt, Timestamp};
use crate::ports::{ChangeFeed, Clock, Fault, PortError, Ports, Reaction, RecordsPage, ShardIterator, TableReader};
use crate::protocol::command::Paused;
use crate::protocol::lineage::{Lost, Start};

/// Items read back at the same time at most.
const READ_BACKS: usize = 16;

/// A page, and when it was asked for.
struct Page {
    page: RecordsPage,
    asked: Timestamp,
}

impl<P: Ports> Tail<P> {
    /// Offers the shard's changes in order until its end, which only a null iterator proves.
    pub(super) async fn read_shard(
        self: Arc<Self>,
        shard: String,
        reader: Reader,
        start: Start,
    ) -> Result<(), EngineError> {
        let live = self.live().remove(&shard);
        let (mut at, mut skip_before) = (start.at, start.skip_before);
        let mut iterator = match live {
            // The pin's own iterator: nothing before it is wanted.
            Some(page) if at == StartAt::Beginning => {
                let next = page.next.clone();
                self.offer(&shard, reader, Page { page, asked: self.pin.at }, None, &mut at).await?;
                next
            }
            _ => Some(self.iterator(&shard, &at).await?),
        };
        let (mut retry, mut begun_again) = (Retry::default(), false);
        while let Some(place) = iterator {
            self.unpaused(&shard).await;
            let asked = Asked::now(self.on.clock());
            iterator = match self.on.feed().records(&place).await {
                Ok(page) => {
                    retry.reset();
                    let (next, empty) = (page.next.clone(), page.changes.is_empty());
                    let asked_at = asked.at(self.on.clock());
                    self.offer(&shard, reader, Page { page, asked: asked_at }, skip_before, &mut at).await?;
                    if next.is_some() {
                        self.pause(empty, asked.moment).await;
                    }
                    next
                }
                Err(error) if error.fault == Fault::IteratorExpired => {
                    tracing::info!(shard, "an iterator expired; reading goes on behind the last change");
                    Some(self.iterator(&shard, &at).await?)
                }
                // Nothing was offered yet, and unread records are younger than the retention (invariant 8's time rule):
                // none of them can be gone, and reading from the beginning finds them all. DynamoDB Local says trimmed of
                // an iterator that was issued while the shard was empty.
                Err(error) if error.fault == Fault::Trimmed && !begun_again && !matches!(at, StartAt::After(_)) => {
                    tracing::warn!(%error, shard, "nothing was offered of this shard yet; it is read from its beginning");
                    begun_again = true;
                    at = StartAt::Beginning;
                    Some(self.iterator(&shard, &at).await?)
                }
                Err(error) => {
                    self.failed(&shard, error, &mut retry).await?;
                    Some(place)
                }
            };
            if matches!(at, StartAt::After(_)) {
                skip_before = None;
            }
        }
        tracing::info!(shard, "a shard was read to its end");
        let now = self.on.clock().service();
        self.board().ended(&shard, now);
        self.turned.notify_one();
        Ok(())
    }

    /// Offers one page. `at` follows the last change offered.
    async fn offer(
        &self,
        shard: &str,
        reader: Reader,
        Page { page, asked }: Page,
        skip_before: Option<Timestamp>,
        at: &mut StartAt,
    ) -> Result<(), EngineError> {
        let by_requests = page.changes.iter().filter(|change| change.kind != ChangeKind::Expire).count();
        let (seen, now) = (Arrived { records: page.changes.len(), by_requests }, self.on.clock().service());
        match page.next {
            Some(_) => self.board().polled(shard, seen, asked, now),
            None => self.board().last_page(shard, seen, now),
        }
        let read_back = self.read_back(&page.changes).await?;
        for mut change in page.changes {
            if skip_before.is_some_and(|before| change.created < before) {
                continue;
            }
            let position = change.position.clone();
            self.on.meters.changed(change.kind);
            let new = match std::mem::replace(&mut change.new, Image::Deleted) {
                Image::Item(item) => Some(item),
                Image::Deleted => None,
                Image::NotInStream => read_back.get(&change.key).cloned().flatten(),
            };
            self.applier.offer_change(reader, change, new).await?;
            *at = StartAt::After(position);
        }
        Ok(())
    }

    /// For streams without new images: the items as they are now, read after all of the page's records had arrived.
    async fn read_back(&self, changes: &[Change]) -> Result<HashMap<Key, Option<Item>>, EngineError> {
        let wanted: BTreeSet<Key> =
            changes.iter().filter(|change| change.new == Image::NotInStream).map(|change| change.key.clone()).collect();
        let (mut wanted, mut reads, mut found) = (wanted.into_iter(), JoinSet::new(), HashMap::new());
        loop {
            while reads.len() < READ_BACKS {
                let Some(key) = wanted.next() else { break };
                let on = self.on.clone();
                reads.spawn(async move {
                    let read = until_answered(on.clock(), "an item could not be read back", || on.reader().get(&key));
                    read.await.map(|item| (key, item))
                });
            }
            match reads.join_next().await {
                Some(read) => {
                    let (key, item) = read.map_err(|error| EngineError::Task(error.to_string()))??;
                    found.insert(key, item);
                }
                None => return Ok(found),
            }
        }
    }

    async fn iterator(&self, shard: &str, at: &StartAt) -> Result<ShardIterator, EngineError> {
        let mut retry = Retry::default();
        loop {
            if *at == StartAt::Beginning {
                self.check_history(shard)?;
            }
            match self.on.feed().iterator(&self.pin.stream_arn, shard, at).await {
                Ok(iterator) => return Ok(iterator),
                Err(error) => self.failed(shard, error, &mut retry).await?,
            }
        }
    }

    /// Invariant 8: asked for the beginning, the service reads over what was trimmed and says nothing. After a machine was
    /// suspended that may happen before checkpoints are looked at again, and the first record that is left would hide it.
    fn check_history(&self, shard: &str) -> Result<(), EngineError> {
        let known_through = self.board().known_through(shard);
        let age = self.on.clock().service().since(known_through);
        if age > self.settings.retention_margin {
            return Err(Lost::Overdue { shard: shard.to_owned(), known_through }.into());
        }
        Ok(())
    }

    /// What a failed request means for a shard that is not finished: wait, or lost history.
    async fn failed(&self, shard: &str, error: PortError, retry: &mut Retry) -> Result<(), EngineError> {
        self.on.meters.failed(&error);
        self.board().broken_off(shard);
        let known_through = self.board().known_through(shard);
        if matches!(error.fault, Fault::Trimmed | Fault::Missing) {
            tracing::error!(%error, shard, "a shard can no longer be read");
        }
        match error.fault {
            Fault::Trimmed => Err(Lost::Trimmed { shard: shard.to_owned(), known_through }.into()),
            Fault::Missing => Err(Lost::Vanished { shard: shard.to_owned(), known_through }.into()),
            fault if fault.reaction() == Reaction::BackOff || fault == Fault::Busy => {
                retry.outlast(self.on.clock(), &error, &format!("{shard} could not be read")).await;
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    /// An idle shard costs one call per `idle_poll`; a busy one is read as fast as `busy_poll` allows.
    async fn pause(&self, empty: bool, asked: crate::model::Moment) {
        let clock = self.on.clock();
        let least = if empty { self.settings.idle_poll } else { self.settings.busy_poll };
        clock.sleep(least.saturating_sub(clock.now().since(asked))).await;
    }

    /// Waits while everything is paused.
    async fn unpaused(&self, shard: &str) {
        if self.paused.get() == Paused::All {
            self.board().broken_off(shard);
        }
        self.paused.until(|paused| paused != Paused::All).await;
    }
}
