//! Reads one shard.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Arrived, Asked, Tail};
use crate::engine::error::EngineError;
use crate::engine::replicate::apply::core::Reader;
use crate::engine::replicate::apply::{Grant, Want, bytes_of};
use crate::engine::retry::{Retry, until_answered};
use crate::model::{Change, ChangeKind, Image, Item, Key, StartAt, Timestamp};
use crate::ports::{ChangeFeed, Clock, Fault, PortError, Ports, Reaction, RecordsPage, ShardIterator, TableReader};
use crate::protocol::command::Paused;
use crate::protocol::lineage::{Lost, Start};
use crate::protocol::polling::{PAGE_RECORDS, Polling};
use crate::protocol::room::{Ask, Footprint};
use crate::protocol::slots::Lane;

/// Items read back at the same time at most.
const READ_BACKS: usize = 16;

/// With less room no page is asked for: each call is paid for.
const LEAST_RECORDS: usize = 25;

/// What a change takes besides its images: its key, position and headers.
const RECORD_BYTES: usize = 400;

/// A page, and when it was asked for.
struct Page {
    page: RecordsPage,
    asked: Timestamp,
}

/// How far a shard was read.
struct Place {
    /// Behind the last change that was offered.
    at: StartAt,
    /// When that change was made.
    created: Option<Timestamp>,
    /// It may be trimmed by now, so the beginning was asked for, and changes up to it are read over.
    overlaps: bool,
    /// Until one was offered, changes made before this are read over.
    skip_before: Option<Timestamp>,
    /// Its beginning was asked for, since what its start named was trimmed.
    begun_again: bool,
}

impl Place {
    fn of(Start { at, created, skip_before }: Start) -> Self {
        Self { at, created, overlaps: false, skip_before, begun_again: false }
    }

    /// What to ask for. A record that is older than `margin` may be trimmed, and the service would refuse to go on behind it;
    /// but nothing that was not read is so old (invariant 8's time rule), so all of that is found from the beginning.
    fn start(&mut self, margin: Duration, now: Timestamp) -> StartAt {
        self.overlaps = self.created.is_some_and(|created| now.since(created) > margin);
        if self.overlaps { StartAt::Beginning } else { self.at.clone() }
    }

    /// Whether a change is read over.
    fn passes_over(&self, change: &Change) -> bool {
        match &self.at {
            StartAt::After(last) => self.overlaps && change.position <= *last,
            StartAt::Beginning | StartAt::Latest => self.skip_before.is_some_and(|before| change.created < before),
        }
    }

    /// Whether reading goes on with another iterator behind the last change offered.
    fn begins_again(&mut self, shard: &str, error: &PortError) -> bool {
        match error.fault {
            Fault::IteratorExpired => {
                tracing::info!(shard, "an iterator expired; reading goes on behind the last change");
                true
            }
            // Nothing was offered yet, and unread records are younger than the retention (invariant 8's time rule): none of
            // them can be gone, and reading from the beginning finds them all. DynamoDB Local says trimmed of an iterator
            // that was issued while the shard was empty.
            Fault::Trimmed if !self.begun_again && !matches!(self.at, StartAt::After(_)) => {
                tracing::warn!(%error, shard, "nothing was offered of this shard yet; it is read from its beginning");
                (self.begun_again, self.at) = (true, StartAt::Beginning);
                true
            }
            _ => false,
        }
    }
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
        let mut place = Place::of(start);
        let mut iterator = match live {
            // The pin's own iterator: nothing before it is wanted.
            Some(page) if place.at == StartAt::Beginning => {
                let _room = self.room(&shard, reader, &Polling::default()).await;
                let (next, after_pin) = (page.next.clone(), place.skip_before.take());
                self.offer(&shard, reader, Page { page, asked: self.pin.at }, &mut place).await?;
                place.skip_before = after_pin;
                next
            }
            _ => Some(self.iterator(&shard, &mut place).await?),
        };
        let (mut retry, mut polling) = (Retry::default(), Polling::default());
        while let Some(from) = iterator {
            let room = self.room(&shard, reader, &polling).await;
            let turn = self.requests.acquire().await;
            let (asked, limit) = (Asked::now(self.on.clock()), self.records_within(&polling, room.bytes));
            // On the heap, so that a shard that is not being asked takes little memory.
            let reply = Box::pin(self.on.feed().records(&from, limit)).await;
            drop(turn);
            iterator = match reply {
                Ok(page) => {
                    retry.reset();
                    polling.answered(page.changes.len(), limit);
                    let next = page.next.clone();
                    let page = Page { page, asked: asked.at(self.on.clock()) };
                    self.offer(&shard, reader, page, &mut place).await?;
                    drop(room);
                    if next.is_some() {
                        let clock = self.on.clock();
                        let pause = polling.pause(self.settings.polling());
                        clock.sleep(pause.saturating_sub(clock.now().since(asked.moment))).await;
                    }
                    next
                }
                Err(error) => {
                    drop(room);
                    if place.begins_again(&shard, &error) {
                        polling.begun_again();
                        self.board().broken_off(&shard);
                        Some(self.iterator(&shard, &mut place).await?)
                    } else {
                        self.failed(&shard, error, &mut retry).await?;
                        Some(from)
                    }
                }
            };
        }
        tracing::info!(shard, "a shard was read to its end");
        let now = self.on.clock().service();
        self.board().ended(&shard, now);
        self.turned.notify_one();
        Ok(())
    }

    /// Offers one page.
    async fn offer(
        &self,
        shard: &str,
        reader: Reader,
        Page { mut page, asked }: Page,
        place: &mut Place,
    ) -> Result<(), EngineError> {
        let by_requests = page.changes.iter().filter(|change| change.kind != ChangeKind::Expire).count();
        let (seen, now) = (Arrived { records: page.changes.len(), by_requests }, self.on.clock().service());
        match page.next {
            Some(_) => self.board().polled(shard, seen, asked, now),
            None => self.board().last_page(shard, seen, now),
        }
        page.changes.retain(|change| !place.passes_over(change));
        let (read_back, offered) = (self.read_back(&page.changes).await?, page.changes.len());
        let mut bytes = 0;
        for mut change in page.changes {
            let (position, created) = (change.position.clone(), change.created);
            self.on.meters.changed(change.kind);
            let new = match std::mem::replace(&mut change.new, Image::Deleted) {
                Image::Item(item) => Some(item),
                Image::Deleted => None,
                Image::NotInStream => read_back.get(&change.key).cloned().flatten(),
            };
            bytes += RECORD_BYTES + [&new, &change.old].into_iter().flatten().map(bytes_of).sum::<usize>();
            self.applier.offer_change(reader, change, new)?;
            (place.at, place.created) = (StartAt::After(position), Some(created));
        }
        self.footprint().saw(offered, bytes);
        Ok(())
    }

    /// Waits until a page may be asked for: while everything is paused, and until there is room.
    async fn room(&self, shard: &str, reader: Reader, polling: &Polling) -> Grant<'_, P> {
        loop {
            self.unpaused(shard).await;
            let (least, most) = {
                let footprint = self.footprint();
                (footprint.of(LEAST_RECORDS), footprint.of(polling.records()))
            };
            let ask = Ask { lane: Lane::Tail, least: least.min(most), most };
            let read_through = self.board().known_through(shard);
            let grant = self.applier.room(reader, Want { ask, read_through }).await;
            if self.paused.get() != Paused::All {
                return grant;
            }
        }
    }

    /// How many records may be asked for within so many bytes. Where the stream carries the images, no page is larger than
    /// the service allows.
    fn records_within(&self, polling: &Polling, bytes: usize) -> usize {
        let fit = self.footprint().fit(bytes);
        let all = bytes >= Footprint::PAGE && self.view.has_new_images();
        if all { PAGE_RECORDS } else { fit.min(polling.records()) }
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

    async fn iterator(&self, shard: &str, place: &mut Place) -> Result<ShardIterator, EngineError> {
        let mut retry = Retry::default();
        loop {
            let start = place.start(self.settings.retention_margin, self.on.clock().service());
            if start == StartAt::Beginning {
                self.check_history(shard)?;
            }
            let turn = self.requests.acquire().await;
            let reply = self.on.feed().iterator(&self.pin.stream_arn, shard, &start).await;
            drop(turn);
            match reply {
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
        self.board().poll_failed(shard);
        let known_through = self.board().known_through(shard);
        if matches!(error.fault, Fault::Trimmed | Fault::Missing) {
            tracing::error!(%error, shard, "a shard can no longer be read");
        }
        match error.fault {
            Fault::Trimmed => Err(Lost::Trimmed { shard: shard.to_owned(), known_through }.into()),
            Fault::Missing => Err(Lost::Vanished { shard: shard.to_owned(), known_through }.into()),
            // Other readers of the shard ask as often as before: who backs off further than its turn, falls behind.
            Fault::Throttled => {
                let what = format!("{shard} could not be read");
                retry.outlast_within(self.settings.idle_poll, self.on.clock(), &error, &what).await;
                Ok(())
            }
            fault if fault.reaction() == Reaction::BackOff || fault == Fault::Busy => {
                retry.outlast(self.on.clock(), &error, &format!("{shard} could not be read")).await;
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    /// Waits while everything is paused.
    async fn unpaused(&self, shard: &str) {
        if self.paused.get() == Paused::All {
            self.board().broken_off(shard);
        }
        self.paused.until(|paused| paused != Paused::All).await;
    }
}
