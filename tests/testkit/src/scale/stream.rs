//! The stream: thousands of shards that roll.

use std::time::Duration;

use shadowtable::model::{Change, ChangeKind, Image, ListedShard, StartAt};
use shadowtable::ports::{ChangeFeed, Fault, PortError, RecordsPage, ShardIterator, ShardsPage};

use super::capacity::Bucket;
use super::ports::{Process, failure};
use super::scenario::{ROLLS, Scenario};
use super::world::{ITEM_BYTES, World, position};

/// Shards on a page of a listing.
const LISTED: usize = 100;
/// How long a closed shard is listed, and its records are kept.
const RETENTION: Duration = Duration::from_hours(24);
/// Calls a second to a shard.
const CALLS: f64 = 5.0;
/// Calls a second to `DescribeStream`, in an account.
const LISTINGS: f64 = 10.0;
/// Old and new image on a page of 1 MB.
const PAGE: usize = 1_000_000 / (2 * ITEM_BYTES);

pub struct Stream {
    shards: Vec<Shard>,
    /// The open shard of each partition, and when it rolls.
    open: Vec<(usize, Duration)>,
    pub listings: Bucket,
    other_readers: f64,
    next: u64,
}

struct Shard {
    parent: Option<usize>,
    records: Vec<Record>,
    /// When it was closed; before the beginning, so long ago.
    closed: Option<Closed>,
    calls: Bucket,
}

#[derive(Clone, Copy)]
enum Closed {
    Before(Duration),
    At(Duration),
}

/// One change.
#[derive(Clone, Copy)]
pub struct Record {
    pub item: u32,
    pub version: u32,
    pub at: Duration,
    pub number: u64,
}

impl Stream {
    pub fn new(scenario: &Scenario) -> Self {
        let mut stream = Self {
            shards: Vec::new(),
            open: Vec::new(),
            listings: Bucket::new(LISTINGS, scenario.other_listings, Duration::ZERO),
            other_readers: scenario.other_readers,
            next: 0,
        };
        for generation in (0..=scenario.generations).rev() {
            for partition in 0..scenario.shards {
                let ago = ROLLS.saturating_mul(u32::try_from(generation).unwrap_or(0).saturating_sub(1));
                // They roll one after the other.
                let into = ROLLS.mul_f64(partition as f64 / scenario.shards as f64);
                let closed = (generation > 0).then(|| Closed::Before(ago + (ROLLS - into)));
                let parent = (generation < scenario.generations).then(|| stream.shards.len() - scenario.shards);
                let shard = stream.add(parent, closed, Duration::ZERO);
                if generation == 0 {
                    stream.open.push((shard, into));
                }
            }
        }
        stream
    }

    fn add(&mut self, parent: Option<usize>, closed: Option<Closed>, now: Duration) -> usize {
        let calls = Bucket::new(CALLS, self.other_readers, now);
        self.shards.push(Shard { parent, records: Vec::new(), closed, calls });
        self.shards.len() - 1
    }

    /// Closes those whose time has come.
    pub fn roll(&mut self, now: Duration) {
        for partition in 0..self.open.len() {
            let (shard, due) = self.open[partition];
            if due <= now {
                self.shards[shard].closed = Some(Closed::At(now));
                let child = self.add(Some(shard), None, now);
                self.open[partition] = (child, due + ROLLS);
            }
        }
    }

    pub fn append(&mut self, record: Record, place: f64) {
        let partition = (place * self.open.len() as f64) as usize;
        self.next += 1;
        let (shard, _) = self.open[partition];
        self.shards[shard].records.push(Record { number: self.next, ..record });
    }

    /// What other readers of the shards asked for, and what they did not get.
    pub fn others(&mut self, now: Duration) -> (f64, f64) {
        self.shards.iter_mut().fold((0.0, 0.0), |(asked, lost), shard| {
            shard.calls.has(now);
            (asked + shard.calls.asked, lost + shard.calls.lost)
        })
    }

    pub fn open_shards(&self) -> usize {
        self.open.len()
    }

    fn is_listed(&self, shard: usize, now: Duration) -> bool {
        self.shards[shard].closed.is_none_or(|closed| match closed {
            Closed::Before(ago) => ago + now < RETENTION,
            Closed::At(at) => now - at < RETENTION,
        })
    }

    fn listed(&self, shard: usize) -> ListedShard {
        let Shard { parent, closed, .. } = &self.shards[shard];
        ListedShard { id: id(shard), parent: parent.map(id), says_closed: closed.is_some() }
    }
}

fn id(shard: usize) -> String {
    format!("shardId-{shard:020}-a1b2c3d4")
}

fn number(id: &str) -> usize {
    id.split('-').nth(1).and_then(|text| text.parse().ok()).expect("the id of a shard")
}

/// Reads the stream.
pub struct Feed(pub Process);

impl Feed {
    async fn listing(&self) -> Result<(), PortError> {
        let world = self.0.world();
        world.way(10.0).await;
        let (now, state) = (world.elapsed(), &mut *world.state());
        state.seen.call("DescribeStream");
        let chance = state.chance.f64();
        if !state.stream.listings.call(CALLS, chance, now) {
            state.seen.throttle("DescribeStream, 10 calls a second");
            return Err(failure(Fault::Throttled, "DescribeStream"));
        }
        Ok(())
    }
}

impl ChangeFeed for Feed {
    async fn shards(&self, _: &str, after: Option<&str>) -> Result<ShardsPage, PortError> {
        self.listing().await?;
        let (now, stream) = (self.0.world().elapsed(), &self.0.world().state().stream);
        let first = after.map_or(0, |after| number(after) + 1);
        let mut found = (first..stream.shards.len()).filter(|shard| stream.is_listed(*shard, now));
        let shards: Vec<_> = found.by_ref().take(LISTED).map(|shard| stream.listed(shard)).collect();
        let next = found.next().and_then(|_| shards.last().map(|shard| shard.id.clone()));
        Ok(ShardsPage { shards, next })
    }

    async fn children(&self, _: &str, parent: &str) -> Result<Vec<ListedShard>, PortError> {
        self.listing().await?;
        let stream = &self.0.world().state().stream;
        let parent = Some(number(parent));
        let children = stream.shards.iter().enumerate().filter(|(_, shard)| shard.parent == parent);
        Ok(children.map(|(shard, _)| stream.listed(shard)).collect())
    }

    async fn iterator(&self, _: &str, shard: &str, start: &StartAt) -> Result<ShardIterator, PortError> {
        let world = self.0.world();
        world.way(8.0).await;
        let state = &mut *world.state();
        state.seen.call("GetShardIterator");
        let records = &state.stream.shards[number(shard)].records;
        let index = match start {
            StartAt::Beginning => 0,
            StartAt::Latest => records.len(),
            StartAt::After(after) => records.partition_point(|record| position(record.number) <= *after),
        };
        Ok(ShardIterator(format!("{}|{index}", number(shard))))
    }

    async fn records(&self, iterator: &ShardIterator, limit: usize) -> Result<RecordsPage, PortError> {
        let world = self.0.world();
        world.way(8.0).await;
        let (now, state) = (world.elapsed(), &mut *world.state());
        let mut parts = iterator.0.split('|').map(|part| part.parse::<usize>().expect("a number"));
        let (Some(shard), Some(index)) = (parts.next(), parts.next()) else { panic!("no iterator") };
        state.seen.call("GetRecords");
        let chance = state.chance.f64();
        let shard = &mut state.stream.shards[shard];
        if !shard.calls.call(4.0, chance, now) {
            state.seen.throttle("GetRecords, 5 calls a second and shard");
            return Err(failure(Fault::Throttled, "GetRecords"));
        }
        let records = &shard.records[index..];
        let changes: Vec<_> = records.iter().take(limit.min(PAGE)).map(|record| change(world, record)).collect();
        let after = index + changes.len();
        let ended = shard.closed.is_some() && after == shard.records.len();
        let next = (!ended).then(|| ShardIterator(iterator_at(&iterator.0, after)));
        Ok(RecordsPage { changes, next })
    }
}

fn iterator_at(before: &str, index: usize) -> String {
    let shard = before.split('|').next().unwrap_or_default();
    format!("{shard}|{index}")
}

fn change(world: &World, record: &Record) -> Change {
    Change {
        kind: ChangeKind::Modify,
        key: world.key(record.item),
        new: Image::Item(world.item(record.item, record.version)),
        old: Some(world.item(record.item, record.version - 1)),
        position: position(record.number),
        created: World::stamp(record.at),
    }
}
