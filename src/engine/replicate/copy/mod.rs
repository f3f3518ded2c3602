//! Reads the source by parallel segments and offers its pages.
//!
//! Pages are read with consistent reads, one segment's after the other's: a segment is a range of the key space, so that
//! pages of neighbouring segments go to the same partitions of the shadow, and those of distant ones spread over all. A page
//! notes the applier's tick before its request is sent (invariant 2); its segment's cursor passes it only when all its items
//! are settled (invariant 5). Reads give way when the source throttles or slows down, stay within the read budget, and
//! wait while the copy is paused.

mod pace;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::pace::Pace;
use super::Replication;
use super::apply::core::{Mark, Reader};
use super::apply::{Applier, Grant, PageOutcome, Want, bytes_of};
use crate::engine::error::EngineError;
use crate::engine::parallel::for_each;
use crate::engine::retry::Retry;
use crate::engine::settings::{CopySettings, LeaseSettings};
use crate::engine::state::entities::SegmentRecord;
use crate::engine::state::entry::{SEGMENT, segment_sort};
use crate::engine::state::store::Stored;
use crate::engine::watched::Watched;
use crate::model::{Key, KeySchema, Moment, Timestamp};
use crate::ports::{Clock, Ports, Reaction, ScanRequest, TableReader};
use crate::protocol::command::Paused;
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::room::{Ask, Footprint};
use crate::protocol::slots::Lane;

/// With less room no page is asked for: each is a request.
const LEAST_ITEMS: usize = 25;
/// A page takes so much memory at most, less than half of what the service would send: more pages of distant segments fit,
/// and none takes a tenth of a second of its partition.
const PAGE_BYTES: usize = 512 * 1024;
/// Cursors stored in a second at most, the last ones of their segments aside: each is a write unit. What was read since is
/// read again after a restart.
const STORED_PER_SECOND: f64 = 100.0;

/// The copy of one migration.
pub struct Copier<P> {
    on: Replication<P>,
    applier: Arc<Applier<P>>,
    settings: CopySettings,
    lease: LeaseSettings,
    source: KeySchema,
    /// How many segments there are.
    count: u32,
    /// They, by number.
    segments: Mutex<Vec<Segment>>,
    /// What an item takes in memory.
    footprint: Mutex<Footprint>,
    pace: Pace,
    paused: Arc<Watched<Paused>>,
}

/// One segment.
#[derive(Clone)]
struct Segment {
    reader: Reader,
    stored: Stored<SegmentRecord>,
    /// When it was stored last by this process.
    saved: Moment,
}

/// Where a segment's next page begins.
struct Walk {
    segment: u32,
    reader: Reader,
    start: Option<Key>,
    /// Items read so far.
    items: u64,
    retry: Retry,
}

/// How far the copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CopyProgress {
    /// Segments in all.
    pub segments: u32,
    /// Segments whose last page is durable.
    pub segments_done: u32,
    /// Items on durable pages.
    pub items: u64,
}

/// What the copy is built from besides its ports.
pub struct CopyParts {
    /// Segments in all, as recorded when the migration was planned.
    pub segments: u32,
    /// The source's primary key.
    pub source: KeySchema,
    /// How it reads.
    pub settings: CopySettings,
    /// How often it saves.
    pub lease: LeaseSettings,
    /// What an operator paused.
    pub paused: Arc<Watched<Paused>>,
}

impl<P: Ports> Copier<P> {
    /// Resumes every segment from its stored cursor.
    pub async fn resume(on: Replication<P>, applier: Arc<Applier<P>>, from: CopyParts) -> Result<Self, EngineError> {
        let mut known = on.store.load_all::<SegmentRecord>(SEGMENT).await?.into_iter().peekable();
        let found = (0..from.segments).map(|segment| (segment, known.next_if(|known| known.value.segment == segment)));
        let stored = for_each(found, |(segment, found)| {
            let (store, segments) = (&on.store, from.segments);
            async move {
                if let Some(stored) = found {
                    return Ok(stored);
                }
                let fresh = SegmentRecord { segment, segments, cursor: None, done: false, items: 0 };
                store.create(&segment_sort(segment), &fresh).await
            }
        });
        let mut stored = stored.await?;
        stored.sort_unstable_by_key(|stored| stored.value.segment);
        let saved = on.clock().now();
        let mut segments = Vec::new();
        for stored in stored {
            if stored.value.segments != from.segments {
                return Err(EngineError::State {
                    entry: stored.sort,
                    problem: "belongs to another number of segments".into(),
                });
            }
            segments.push(Segment { reader: applier.add_reader(), stored, saved });
        }
        let pace = Pace::new(&from.settings, on.clock().now());
        let CopyParts { segments: count, source, settings, lease, paused } = from;
        let (segments, footprint) = (Mutex::new(segments), Mutex::default());
        Ok(Self { on, applier, settings, lease, source, count, segments, footprint, pace, paused })
    }

    /// How far the copy is.
    pub fn progress(&self) -> CopyProgress {
        let segments = self.segments();
        let count = |done: bool| u32::try_from(segments.iter().filter(|one| !done || one.stored.value.done).count());
        CopyProgress {
            segments: count(false).unwrap_or(u32::MAX),
            segments_done: count(true).unwrap_or(u32::MAX),
            items: segments.iter().map(|segment| segment.stored.value.items).sum(),
        }
    }

    /// Copies until every segment's last page is durable and that is stored, or until cancelled. Returns whether the
    /// copy is complete.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<bool, EngineError> {
        let walks = self.walks()?;
        let at_once = walks.len().min(usize::try_from(self.settings.concurrency).unwrap_or(usize::MAX));
        let (queue, mut readers) = (Arc::new(Mutex::new(walks)), JoinSet::new());
        for _ in 0..at_once {
            let (copier, queue, stop) = (Arc::clone(&self), Arc::clone(&queue), stop.clone());
            readers.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Ok(()),
                    ended = copier.read(&queue) => ended,
                }
            });
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 100 to 6,000")]
        let most = (self.lease.checkpoint.as_secs_f64().max(1.0) * STORED_PER_SECOND) as usize;
        loop {
            let settled = self.applier.on_settled();
            self.save(most).await?;
            if self.segments().iter().all(|segment| segment.stored.value.done) {
                return Ok(true);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(false),
                Some(ended) = readers.join_next(), if !readers.is_empty() => {
                    ended.map_err(|error| EngineError::Task(error.to_string()))??;
                }
                () = async { settled.await; self.on.clock().sleep(self.lease.checkpoint).await } => {}
            }
        }
    }

    /// Saves every cursor that moved.
    pub async fn save_all(&self) -> Result<(), EngineError> {
        self.save(usize::MAX).await
    }

    /// Saves so many cursors that moved, those first that were not saved for longest, and all that are their segment's last.
    async fn save(&self, most: usize) -> Result<(), EngineError> {
        let mut moved = self.moved()?;
        moved.sort_by_key(|(segment, record)| (!record.done, segment.saved));
        let last = moved.partition_point(|(_, record)| record.done);
        moved.truncate(last.max(most));
        let store = |(mut segment, record): (Segment, SegmentRecord)| async move {
            let more = record.items - segment.stored.value.items;
            self.on.store.update(&mut segment.stored, record).await?;
            segment.saved = self.on.clock().now();
            self.on.meters.items_copied.increment(more);
            let index = usize::try_from(segment.stored.value.segment).unwrap_or(usize::MAX);
            if let Some(slot) = self.segments().get_mut(index) {
                *slot = segment;
            }
            Ok::<_, EngineError>(())
        };
        for_each(moved, store).await.map(drop)
    }

    /// The segments whose cursors moved, with what is to be stored.
    fn moved(&self) -> Result<Vec<(Segment, SegmentRecord)>, Violation> {
        let mut moved = Vec::new();
        for segment in &*self.segments() {
            let known = &segment.stored.value;
            let Some(Mark::Page { next, items }) = self.applier.progress(segment.reader).settled else { continue };
            let cursor = next.as_ref().map(|key| self.source.to_json(key));
            let record = SegmentRecord { done: next.is_none(), cursor, items, ..known.clone() };
            if record == *known {
                continue;
            }
            if known.done || record.items < known.items {
                return Err(Violation::new(Invariant::DurableCursors, "a segment's cursor went back"));
            }
            moved.push((segment.clone(), record));
        }
        Ok(moved)
    }

    /// The segments that have pages left, such that neighbours are far apart.
    fn walks(&self) -> Result<VecDeque<Walk>, EngineError> {
        let mut open: Vec<_> = self.segments().iter().filter(|one| !one.stored.value.done).cloned().collect();
        open.sort_by_key(|segment| segment.stored.value.segment.reverse_bits());
        let walk = |segment: Segment| {
            let SegmentRecord { segment: number, cursor, items, .. } = &segment.stored.value;
            let start = cursor.as_ref().map(|cursor| self.source.from_json(cursor)).transpose();
            let broken = |problem: String| EngineError::State { entry: segment.stored.sort.clone(), problem };
            let start = start.map_err(|error| broken(error.to_string()))?;
            Ok(Walk { segment: *number, reader: segment.reader, start, items: *items, retry: Retry::default() })
        };
        open.into_iter().map(walk).collect()
    }

    /// Reads pages, the next one of each segment in turn, until none is left that nobody else reads.
    async fn read(&self, queue: &Mutex<VecDeque<Walk>>) -> Result<(), EngineError> {
        loop {
            let next = queue.lock().pop_front();
            let Some(mut walk) = next else { return Ok(()) };
            if self.read_page(&mut walk).await? {
                queue.lock().push_back(walk);
            }
        }
    }

    /// Asks for the segment's next page, once. Returns whether there is more to ask for.
    async fn read_page(&self, walk: &mut Walk) -> Result<bool, EngineError> {
        let room = self.room(walk.reader).await;
        let turn = self.pace.admit(self.on.clock()).await;
        // No request waits its turn past a pause.
        if self.paused.get() != Paused::None {
            self.pace.withdraw(turn, self.on.clock().now());
            return Ok(true);
        }
        let request = ScanRequest {
            segment: walk.segment,
            segments: self.count,
            start: walk.start.clone(),
            limit: Some(self.items_within(room.bytes)),
        };
        let page = self.applier.begin_page();
        let reply = self.on.reader().scan(&request).await;
        self.pace.answered(turn, &reply, self.on.clock().now());
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                drop(room);
                self.applier.drop_page(page);
                self.on.meters.failed(&error);
                if error.fault.reaction() != Reaction::BackOff {
                    return Err(error.into());
                }
                tracing::debug!(%error, "a page could not be read; trying again");
                walk.retry.wait(self.on.clock()).await;
                return Ok(true);
            }
        };
        walk.retry.reset();
        if let Some(units) = reply.read_units {
            self.on.meters.read(units);
        }
        let items = walk.items + u64::try_from(reply.items.len()).unwrap_or(0);
        self.footprint.lock().saw(reply.items.len(), reply.items.iter().map(bytes_of).sum());
        let mark = Mark::Page { next: reply.next.clone(), items };
        if self.applier.offer_page(walk.reader, page, mark, reply.items)? == PageOutcome::ReadAgain {
            return Ok(true);
        }
        (walk.items, walk.start) = (items, reply.next);
        Ok(walk.start.is_some())
    }

    /// Waits until a page may be asked for: while the copy is paused, and until there is room.
    async fn room(&self, reader: Reader) -> Grant<'_, P> {
        let all = self.settings.page_items.and_then(|items| usize::try_from(items).ok()).unwrap_or(usize::MAX);
        loop {
            self.paused.until(|paused| paused == Paused::None).await;
            let (least, most) = {
                let footprint = self.footprint.lock();
                (footprint.of(LEAST_ITEMS.min(all)).min(PAGE_BYTES), footprint.of(all).min(PAGE_BYTES))
            };
            let ask = Ask { lane: Lane::Copy, least, most };
            // Segments take turns.
            let grant = self.applier.room(reader, Want { ask, read_through: Timestamp::EPOCH }).await;
            if self.paused.get() == Paused::None {
                return grant;
            }
        }
    }

    /// How many items may be asked for within so many bytes.
    fn items_within(&self, bytes: usize) -> u32 {
        let fit = u32::try_from(self.footprint.lock().fit(bytes)).unwrap_or(u32::MAX);
        self.settings.page_items.map_or(fit, |most| most.min(fit))
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock()
    }
}
