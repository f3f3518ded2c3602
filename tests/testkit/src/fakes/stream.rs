//! The stream: shards that roll and split on demand, and how they are read.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use shadowtable::model::{
    Change, ChangeKind, Image, Item, Key, ListedShard, Position, Side, StartAt, Timestamp, ViewType,
};
use shadowtable::ports::{ChangeFeed, Fault, PortError, RecordsPage, ShardIterator, ShardsPage};

use super::{Call, Event, Process, State, World, failure, request};

/// How long records are kept.
const RETENTION: Duration = Duration::from_hours(24);
/// How long an iterator is good.
const ITERATOR_LIFE: Duration = Duration::from_mins(15);
/// The place of an iterator at the end.
const LATEST: &str = "latest";
/// Sequence numbers begin just below a power of ten: their lengths differ.
const FIRST_POSITION: u128 = 999_999_999_999_999_999_990;

/// The stream of the live table.
pub struct Stream {
    pub shards: Vec<Shard>,
    pub arn: String,
    /// Records per page.
    pub page: usize,
    /// How long after its write a record can be read.
    pub delay: Duration,
    /// How long a child is not listed yet.
    pub children_late: Duration,
    /// Every page of a listing says that it goes on behind the first shard.
    pub listing_comes_round: bool,
    /// Shards on a page of a listing.
    pub listing_page: usize,
    /// Shards that listings leave out.
    pub unlisted: BTreeSet<String>,
    /// They leave it out even where nothing that continues it is listed: then nobody can know that it is there.
    pub hides_leaves: bool,
    next_position: u128,
}

/// One shard.
pub struct Shard {
    pub id: String,
    pub parent: Option<String>,
    /// The hashes of the keys whose changes it takes: from, to (exclusive).
    range: (u128, u128),
    pub records: Vec<Record>,
    pub closed: Option<Timestamp>,
    listed_from: Timestamp,
    /// How many records it held when it was pinned: the copy shows those.
    pinned: usize,
    /// It was read from its beginning after all.
    reread: bool,
}

/// One record.
pub struct Record {
    /// The write that it tells of.
    pub version: usize,
    pub at: Timestamp,
    pub change: Change,
}

/// Where a key belongs.
pub(super) fn hash(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.as_bytes().hash(&mut hasher);
    hasher.finish()
}

impl Stream {
    pub(super) fn new(shards: u64) -> Self {
        let mut stream = Self {
            shards: Vec::new(),
            arn: "arn:stream-1".into(),
            page: 5,
            delay: Duration::ZERO,
            children_late: Duration::ZERO,
            listing_comes_round: false,
            listing_page: 100,
            unlisted: BTreeSet::new(),
            hides_leaves: true,
            next_position: FIRST_POSITION,
        };
        stream.add_children(None, (0, 1 << 64), shards, Timestamp::EPOCH);
        stream
    }

    fn add_children(&mut self, parent: Option<&str>, range: (u128, u128), count: u64, listed_from: Timestamp) {
        let (from, to) = range;
        let step = (to - from) / u128::from(count);
        for index in 0..u128::from(count) {
            let end = if index + 1 == u128::from(count) { to } else { from + step * (index + 1) };
            self.shards.push(Shard {
                id: format!("shard-{:04}", self.shards.len()),
                parent: parent.map(str::to_owned),
                range: (from + step * index, end),
                records: Vec::new(),
                closed: None,
                listed_from,
                pinned: 0,
                reread: false,
            });
        }
    }

    pub(super) fn append(
        &mut self,
        version: usize,
        key: Key,
        (new, old): (Option<Item>, Option<Item>),
        expired: bool,
        now: Timestamp,
    ) {
        let kind = match (&old, &new) {
            (_, None) if expired => ChangeKind::Expire,
            (_, None) => ChangeKind::Remove,
            (None, Some(_)) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Modify,
        };
        let change = Change {
            kind,
            new: new.map_or(Image::Deleted, Image::Item),
            old,
            position: Position::parse(&self.next_position.to_string()).unwrap(),
            created: Timestamp::from_seconds(now.millis() / 1000),
            key,
        };
        self.next_position += 1;
        self.open_shard_of(&change.key).records.push(Record { version, at: now, change });
    }

    fn open_shard_of(&mut self, key: &Key) -> &mut Shard {
        let hash = u128::from(hash(key));
        let takes = |shard: &&mut Shard| shard.closed.is_none() && (shard.range.0..shard.range.1).contains(&hash);
        self.shards.iter_mut().find(takes).unwrap()
    }

    /// The shard is read from its end. Returns where that is.
    fn pin(&mut self, id: &str, now: Timestamp) -> usize {
        let delay = self.delay;
        let shard = self.shards.iter_mut().find(|shard| shard.id == id).unwrap();
        shard.pinned = shard.shown(delay, now).len();
        shard.pinned
    }

    pub fn shard(&self, id: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    /// The shards that take records now.
    pub fn open(&self) -> Vec<String> {
        self.shards.iter().filter(|shard| shard.closed.is_none()).map(|shard| shard.id.clone()).collect()
    }

    /// The shards that continue this one.
    pub fn children(&self, id: &str) -> Vec<String> {
        let continues = |shard: &&Shard| shard.parent.as_deref() == Some(id);
        self.shards.iter().filter(continues).map(|shard| shard.id.clone()).collect()
    }
}

impl Shard {
    /// The records that must be read.
    pub(super) fn due(&self) -> &[Record] {
        &self.records[self.pinned..]
    }

    /// The records that can be read by now.
    fn shown(&self, delay: Duration, now: Timestamp) -> &[Record] {
        &self.records[..self.records.partition_point(|record| record.at.plus(delay) <= now)]
    }

    /// The records that are read.
    pub(super) fn read(&self) -> &[Record] {
        if self.reread { &self.records } else { self.due() }
    }
}

impl World {
    /// Closes a shard; so many children continue it. Returns them.
    pub fn split(&self, id: &str, children: u64) -> Vec<String> {
        let now = self.service();
        let stream = &mut self.state().stream;
        let listed_from = now.plus(stream.children_late);
        let shard = stream.shards.iter_mut().find(|shard| shard.id == id && shard.closed.is_none()).unwrap();
        shard.closed = Some(now);
        let range = shard.range;
        stream.add_children(Some(id), range, children, listed_from);
        stream.children(id)
    }

    /// Closes a shard; one child continues it.
    pub fn roll(&self, id: &str) -> String {
        self.split(id, 1).remove(0)
    }

    /// The shard that takes changes of the item with this id.
    pub fn shard_of(&self, id: &str) -> String {
        let mut state = self.state();
        let key = super::source::key_of(&state, id);
        state.stream.open_shard_of(&key).id.clone()
    }
}

/// Reads a table's stream.
pub struct FakeFeed {
    pub(super) process: Arc<Process>,
    pub(super) side: Side,
}

impl ChangeFeed for FakeFeed {
    async fn shards(&self, stream_arn: &str, after: Option<&str>) -> Result<ShardsPage, PortError> {
        assert_eq!(self.side, Side::Source, "nobody reads the stream of the shadow yet");
        let (arn, after) = (stream_arn.to_owned(), after.map(str::to_owned));
        request(&self.process, &Call::Shards, move |state, now, _| {
            let listed = listed(&state.stream, &arn, now)?;
            let behind = |shard: &&ListedShard| after.as_ref().is_none_or(|after| shard.id > *after);
            let mut shards: Vec<_> = listed.iter().filter(behind).cloned().collect();
            let more = shards.len() > state.stream.listing_page;
            shards.truncate(state.stream.listing_page);
            let mut next = shards.last().filter(|_| more).map(|last| last.id.clone());
            if state.stream.listing_comes_round {
                next = Some("shard-0000".into());
            }
            Ok(ShardsPage { shards, next })
        })
        .await
    }

    async fn children(&self, stream_arn: &str, parent: &str) -> Result<Vec<ListedShard>, PortError> {
        let (arn, parent) = (stream_arn.to_owned(), parent.to_owned());
        request(&self.process, &Call::Shards, move |state, now, _| {
            let listed = listed(&state.stream, &arn, now)?;
            let shown: Vec<_> = listed.into_iter().filter(|shard| shard.parent.as_ref() == Some(&parent)).collect();
            // All of them or none.
            let whole = shown.len() == state.stream.children(&parent).len();
            Ok(if whole { shown } else { Vec::new() })
        })
        .await
    }

    async fn iterator(&self, stream_arn: &str, shard: &str, start: &StartAt) -> Result<ShardIterator, PortError> {
        let (process, arn, id, start) = (self.process.id(), stream_arn.to_owned(), shard.to_owned(), start.clone());
        request(&self.process, &Call::Iterator, move |state, now, _| {
            if arn != state.stream.arn {
                return Err(failure(Fault::Missing));
            }
            let beginning = start == StartAt::Beginning;
            state.log.push((now, process, Event::Iterator { shard: id.clone(), beginning }));
            if start != StartAt::Latest {
                state.audit_parent(&id);
            }
            let shard = state.stream.shards.iter_mut().find(|shard| shard.id == id);
            let shard = shard.ok_or_else(|| failure(Fault::Missing))?;
            if beginning {
                shard.reread = true;
            }
            let trimmed = trimmed(shard, now);
            let index = match &start {
                StartAt::Beginning => trimmed,
                // Where that is shows when it is read first.
                StartAt::Latest => return Ok(ShardIterator(format!("{id}|{LATEST}|{}", now.millis()))),
                StartAt::After(position) => {
                    let after = shard.records.partition_point(|record| record.change.position <= *position);
                    // The record that is named must be kept itself.
                    if after <= trimmed {
                        return Err(failure(Fault::Trimmed));
                    }
                    after
                }
            };
            Ok(ShardIterator(format!("{id}|{index}|{}", now.millis())))
        })
        .await
    }

    async fn records(&self, iterator: &ShardIterator, limit: usize) -> Result<RecordsPage, PortError> {
        let process = self.process.id();
        let mut parts = iterator.0.split('|');
        let id = parts.next().unwrap().to_owned();
        let index = parts.next().and_then(|index| index.parse().ok());
        let issued = Timestamp::from_millis(parts.next().unwrap().parse().unwrap());
        request(&self.process, &Call::Records, move |state, now, fate| {
            state.log.push((now, process, Event::Records { shard: id.clone() }));
            if now.since(issued) > ITERATOR_LIFE {
                return Err(failure(Fault::IteratorExpired));
            }
            let index = index.unwrap_or_else(|| state.stream.pin(&id, now));
            let page = if fate.spares == 0 { state.stream.page.min(limit) } else { 0 };
            if page == 0 {
                state.keep_back(&id, index, now);
            }
            records(state, &id, index, page, now)
        })
        .await
    }
}

impl State {
    /// What is kept back from a reader is not in the stream yet, for all that anybody can know; nor is what continues it.
    fn keep_back(&mut self, id: &str, index: usize, now: Timestamp) {
        let stream = &self.stream;
        let mut kept: BTreeSet<usize> = stream
            .shard(id)
            .into_iter()
            .flat_map(|shard| shard.records.iter().skip(index))
            .map(|record| record.version)
            .collect();
        let mut line = stream.children(id);
        while let Some(child) = line.pop() {
            kept.extend(stream.shard(&child).into_iter().flat_map(|shard| &shard.records).map(|record| record.version));
            line.extend(stream.children(&child));
        }
        for waiting in self.waiting.iter_mut().filter(|waiting| kept.contains(&waiting.version)) {
            waiting.at = waiting.at.max(now);
        }
    }
}

/// What a listing shows, in the order of ids.
fn listed(stream: &Stream, arn: &str, now: Timestamp) -> Result<Vec<ListedShard>, PortError> {
    if arn != stream.arn {
        return Err(failure(Fault::Missing));
    }
    let kept = |shard: &&Shard| shard.closed.is_none_or(|closed| now.since(closed) < RETENTION);
    let continued: BTreeSet<_> = stream
        .shards
        .iter()
        .filter(|shard| shard.listed_from <= now)
        .filter_map(|shard| shard.parent.as_ref())
        .collect();
    let hidden =
        |shard: &Shard| stream.unlisted.contains(&shard.id) && (stream.hides_leaves || continued.contains(&shard.id));
    let listed = stream.shards.iter().filter(kept).filter(|shard| shard.listed_from <= now);
    let listed = listed.filter(|shard| !hidden(shard)).map(|shard| ListedShard {
        id: shard.id.clone(),
        parent: shard.parent.clone(),
        says_closed: shard.closed.is_some(),
    });
    Ok(listed.collect())
}

fn records(state: &State, id: &str, index: usize, page: usize, now: Timestamp) -> Result<RecordsPage, PortError> {
    let shard = state.stream.shard(id).ok_or_else(|| failure(Fault::Missing))?;
    if index < trimmed(shard, now) {
        return Err(failure(Fault::Trimmed));
    }
    let there = shard.shown(state.stream.delay, now);
    let changes: Vec<_> = there.iter().skip(index).take(page).map(|record| shown(state, &record.change)).collect();
    let after = index + changes.len();
    let ended = shard.closed.is_some() && after == shard.records.len();
    let next = (!ended).then(|| ShardIterator(format!("{id}|{after}|{}", now.millis())));
    Ok(RecordsPage { changes, next })
}

/// What the stream's view type shows of a change.
fn shown(state: &State, change: &Change) -> Change {
    let view: ViewType = state.setup.view;
    let mut change = change.clone();
    if !view.has_old_images() {
        change.old = None;
    }
    if !view.has_new_images() && change.new != Image::Deleted {
        change.new = Image::NotInStream;
    }
    change
}

/// How many records of the shard are no longer kept.
fn trimmed(shard: &Shard, now: Timestamp) -> usize {
    shard.records.partition_point(|record| now.since(record.at) > RETENTION)
}
