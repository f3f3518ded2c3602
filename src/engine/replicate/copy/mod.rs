//! Reads the source by parallel segments and offers its pages.
//!
//! Each segment is read page by page with consistent reads. A page notes the applier's tick before its request is sent
//! (invariant 2); its segment's cursor passes it only when all its items are settled (invariant 5). Reads give way when
//! the source throttles, stay within the read budget, and wait while the copy is paused.

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
use crate::engine::retry::Retry;
use crate::engine::settings::{CopySettings, LeaseSettings};
use crate::engine::state::entities::SegmentRecord;
use crate::engine::state::entry::{SEGMENT, segment_sort};
use crate::engine::state::store::Stored;
use crate::engine::watched::Watched;
use crate::model::{Key, KeySchema, Timestamp};
use crate::ports::{Clock, Ports, Reaction, ScanRequest, TableReader};
use crate::protocol::command::Paused;
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::room::{Ask, Footprint};
use crate::protocol::slots::Lane;

/// With less room no page is asked for: each is a request.
const LEAST_ITEMS: usize = 25;

/// The copy of one migration.
pub struct Copier<P> {
    on: Replication<P>,
    applier: Arc<Applier<P>>,
    settings: CopySettings,
    lease: LeaseSettings,
    source: KeySchema,
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
        let mut segments = Vec::new();
        for segment in 0..from.segments {
            let stored = if let Some(stored) = known.next_if(|stored| stored.value.segment == segment) {
                stored
            } else {
                let fresh = SegmentRecord { segment, segments: from.segments, cursor: None, done: false, items: 0 };
                on.store.create(&segment_sort(segment), &fresh).await?
            };
            if stored.value.segments != from.segments {
                return Err(EngineError::State {
                    entry: stored.sort,
                    problem: "belongs to another number of segments".into(),
                });
            }
            segments.push(Segment { reader: applier.add_reader(), stored });
        }
        let pace = Pace::new(&from.settings, on.clock().now());
        let CopyParts { source, settings, lease, paused, .. } = from;
        let (segments, footprint) = (Mutex::new(segments), Mutex::default());
        Ok(Self { on, applier, settings, lease, source, segments, footprint, pace, paused })
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
        let open = self.segments().iter().filter(|one| !one.stored.value.done).cloned().collect();
        let queue: Arc<Mutex<VecDeque<Segment>>> = Arc::new(Mutex::new(open));
        let mut readers = JoinSet::new();
        for _ in 0..self.settings.concurrency {
            let (copier, queue, stop) = (Arc::clone(&self), Arc::clone(&queue), stop.clone());
            readers.spawn(async move {
                loop {
                    let next = queue.lock().pop_front();
                    let Some(segment) = next else { return Ok::<(), EngineError>(()) };
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        read = copier.read(&segment) => read?,
                    }
                }
            });
        }
        loop {
            let settled = self.applier.on_settled();
            self.save().await?;
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
    pub async fn save(&self) -> Result<(), EngineError> {
        let all: Vec<_> = self.segments().clone();
        for mut segment in all {
            let known = segment.stored.value.clone();
            let Some(Mark::Page { next, items }) = self.applier.progress(segment.reader).settled else { continue };
            let cursor = next.as_ref().map(|key| self.source.to_json(key));
            let record = SegmentRecord { done: next.is_none(), cursor, items, ..known.clone() };
            if record == known {
                continue;
            }
            if known.done || record.items < known.items {
                return Err(Violation::new(Invariant::DurableCursors, "a segment's cursor went back").into());
            }
            self.on.store.update(&mut segment.stored, record).await?;
            self.on.meters.items_copied.increment(items - known.items);
            let index = usize::try_from(known.segment).unwrap_or(usize::MAX);
            if let Some(slot) = self.segments().get_mut(index) {
                slot.stored = segment.stored;
            }
        }
        Ok(())
    }

    /// Reads one segment to its end.
    async fn read(&self, segment: &Segment) -> Result<(), EngineError> {
        let record = &segment.stored.value;
        let broken = |problem: String| EngineError::State { entry: segment.stored.sort.clone(), problem };
        let mut start: Option<Key> = match &record.cursor {
            Some(cursor) => Some(self.source.from_json(cursor).map_err(|error| broken(error.to_string()))?),
            None => None,
        };
        let (mut items, mut retry) = (record.items, Retry::default());
        loop {
            let room = self.room(segment.reader).await;
            let turn = self.pace.admit(self.on.clock()).await;
            // No request waits its turn past a pause.
            if self.paused.get() != Paused::None {
                self.pace.withdraw(turn, self.on.clock().now());
                continue;
            }
            let request = ScanRequest {
                segment: record.segment,
                segments: record.segments,
                start: start.clone(),
                limit: self.items_within(room.bytes),
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
                    retry.wait(self.on.clock()).await;
                    continue;
                }
            };
            retry.reset();
            if let Some(units) = reply.read_units {
                self.on.meters.read(units);
            }
            let read = items + u64::try_from(reply.items.len()).unwrap_or(0);
            self.footprint.lock().saw(reply.items.len(), reply.items.iter().map(bytes_of).sum());
            let mark = Mark::Page { next: reply.next.clone(), items: read };
            if self.applier.offer_page(segment.reader, page, mark, reply.items)? == PageOutcome::ReadAgain {
                continue;
            }
            items = read;
            start = match reply.next {
                Some(next) => Some(next),
                None => return Ok(()),
            };
        }
    }

    /// Waits until a page may be asked for: while the copy is paused, and until there is room.
    async fn room(&self, reader: Reader) -> Grant<'_, P> {
        let all = self.settings.page_items.and_then(|items| usize::try_from(items).ok()).unwrap_or(usize::MAX);
        loop {
            self.paused.until(|paused| paused == Paused::None).await;
            let (least, most) = {
                let footprint = self.footprint.lock();
                (footprint.of(LEAST_ITEMS.min(all)), footprint.of(all))
            };
            let ask = Ask { lane: Lane::Copy, least, most };
            // Segments take turns.
            let grant = self.applier.room(reader, Want { ask, read_through: Timestamp::EPOCH }).await;
            if self.paused.get() == Paused::None {
                return grant;
            }
        }
    }

    /// How many items may be asked for within so many bytes: a whole page, where there is room for it.
    fn items_within(&self, bytes: usize) -> Option<u32> {
        let fit = u32::try_from(self.footprint.lock().fit(bytes)).unwrap_or(u32::MAX);
        let limit = (bytes < Footprint::PAGE).then_some(fit);
        limit.into_iter().chain(self.settings.page_items).min()
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock()
    }
}
