//! The tables, the stream, and what was seen of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use shadowtable::model::{AttributeValue, Item, Key, KeySchema, Position, TableLayout, Timestamp};
use shadowtable::ports::{Entry, StateKey};
use tokio::time::{Instant, sleep};

use super::capacity::{Bucket, Partitions};
use super::scenario::{DOUBLES, Hot, Scenario};
use super::stream::{Record, Stream};
use crate::fakes::tokio_now;

/// What an item takes, by the service's rules: one write unit, and a quarter of a read unit.
pub const ITEM_BYTES: usize = 1_000;
/// The items that are hot: so many, in the middle of the key space.
const HOT_ITEMS: u32 = 100;
/// How often the application writes.
const TICK: Duration = Duration::from_millis(50);
/// The service's time at the beginning.
const BEGINNING_MILLIS: i64 = 1_800_000_000_000;

/// Everything that outlives a process.
pub struct World {
    pub scenario: Scenario,
    pub schema: KeySchema,
    state: Mutex<State>,
    began: Instant,
}

/// What the service holds, and what was seen of it.
pub struct State {
    /// The version of each item.
    pub source: Vec<u32>,
    /// The version of each item, and one more; 0 where it is not there.
    pub shadow: Vec<u32>,
    pub stream: Stream,
    pub shadow_layout: Option<TableLayout>,
    pub entries: BTreeMap<StateKey, Entry>,
    pub state_exists: bool,
    /// Read capacity of the source, as one where it is provisioned, or by partition.
    pub reads: Vec<Bucket>,
    /// The shadow's table and its indexes.
    pub writes: Vec<Partitions>,
    pub state_writes: Bucket,
    pub chance: fastrand::Rng,
    pub seen: Seen,
    /// Since when the source is copied.
    pub copying: Option<Duration>,
    /// Versions that are not in the shadow yet, by item.
    waiting: HashMap<u32, VecDeque<(u32, Duration)>>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Requests, by operation.
    pub calls: BTreeMap<&'static str, u64>,
    /// Requests and writes that were refused, by what lacked capacity.
    pub throttles: BTreeMap<&'static str, u64>,
    pub read_units: f64,
    pub write_units: f64,
    /// How long changes took into the shadow: those of other items, and those of hot ones.
    pub lags: [Vec<f32>; 2],
    /// The lag that was told.
    pub told: Vec<f32>,
}

impl Seen {
    pub fn call(&mut self, operation: &'static str) {
        *self.calls.entry(operation).or_default() += 1;
    }

    pub fn throttle(&mut self, what: &'static str) {
        *self.throttles.entry(what).or_default() += 1;
    }
}

impl World {
    pub fn new(scenario: Scenario, schema: KeySchema) -> Arc<Self> {
        let zero = Duration::ZERO;
        let reads = match scenario.provisioned {
            Some((units, used)) => vec![Bucket::new(units, used, zero)],
            None => vec![Bucket::new(3_000.0, 0.0, zero); scenario.shards],
        };
        let (first, most) = scenario.partitions;
        let state = State {
            source: vec![0; scenario.items as usize],
            shadow: vec![0; scenario.items as usize],
            stream: Stream::new(&scenario),
            shadow_layout: None,
            entries: BTreeMap::new(),
            state_exists: false,
            reads,
            writes: vec![Partitions::new(first, most); 1 + scenario.indexes],
            state_writes: Bucket::new(4_000.0, 0.0, zero),
            chance: fastrand::Rng::with_seed(1),
            seen: Seen::default(),
            copying: None,
            waiting: HashMap::new(),
        };
        Arc::new(Self { scenario, schema, state: Mutex::new(state), began: tokio_now() })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn elapsed(&self) -> Duration {
        tokio_now() - self.began
    }

    pub fn service(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MILLIS).plus(self.elapsed())
    }

    /// When a record of this time was made, as the service says it: without the part of a second.
    pub fn stamp(at: Duration) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MILLIS + (at.as_secs() * 1_000) as i64)
    }

    /// A way to the service and back.
    pub async fn way(&self, millis: f64) {
        let slow = {
            let chance = &mut self.state().chance;
            // One in a hundred takes long.
            if chance.u8(..) < 3 { 5.0 } else { 0.8 + 0.4 * chance.f64() }
        };
        sleep(Duration::from_secs_f64(millis * slow / 1_000.0)).await;
    }

    /// The item as it is in this version.
    pub fn item(&self, item: u32, version: u32) -> Item {
        let attributes = [
            ("id", AttributeValue::S(format!("item-{item:09}"))),
            ("v", AttributeValue::N(version.to_string())),
            ("text", AttributeValue::S("x".repeat(ITEM_BYTES - 30))),
        ];
        Item::new(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub fn key(&self, item: u32) -> Key {
        let id = AttributeValue::S(format!("item-{item:09}"));
        self.schema.key_of(&[("id".to_owned(), id)].into()).unwrap()
    }

    /// The item that has this key.
    pub fn item_of(&self, key: &Key) -> u32 {
        match self.schema.attributes_of(key).get("id") {
            Some(AttributeValue::S(text)) => text["item-".len()..].parse().unwrap(),
            other => panic!("{other:?} is no key"),
        }
    }

    /// Where an item lies in the key space, from 0 to 1: its keys are in the order of their hashes.
    pub fn place(&self, item: u32) -> f64 {
        f64::from(item) / f64::from(self.scenario.items)
    }

    pub fn is_hot(&self, item: u32) -> bool {
        let first = self.scenario.items / 2;
        self.scenario.hot > 0.0 && (first..first + HOT_ITEMS).contains(&item)
    }

    /// Where an item lies in an index.
    pub fn place_in_index(&self, item: u32, index: usize) -> f64 {
        if index == 0 && self.scenario.hot_is == Hot::IndexKey && self.is_hot(item) {
            return 0.5;
        }
        let mixed = (u64::from(item) + 1 + ((index as u64 + 1) << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The application at work, and the service's own: shards roll, partitions split.
    pub async fn live(self: Arc<Self>) {
        let (mut due, mut hot_due, mut looked) = (0.0, 0.0, self.elapsed());
        let mut last = self.elapsed();
        loop {
            // Where little is written, seldom.
            sleep(if self.scenario.writes < 100.0 { Duration::from_secs(1) } else { TICK }).await;
            let now = self.elapsed();
            let span = (now - last).as_secs_f64();
            last = now;
            (due, hot_due) = (due + self.scenario.writes * span, hot_due + self.scenario.hot * span);
            let state = &mut *self.state();
            state.stream.roll(now);
            while due >= 1.0 {
                let item = state.chance.u32(..self.scenario.items);
                self.write(state, item, now);
                due -= 1.0;
            }
            while hot_due >= 1.0 {
                let item = self.scenario.items / 2 + state.chance.u32(..HOT_ITEMS);
                self.write(state, item, now);
                hot_due -= 1.0;
            }
            if now - looked >= DOUBLES {
                state.writes.iter_mut().for_each(|table| table.look(now - looked));
                looked = now;
            }
        }
    }

    fn write(&self, state: &mut State, item: u32, now: Duration) {
        let version = &mut state.source[item as usize];
        *version += 1;
        state.waiting.entry(item).or_default().push_back((*version, now));
        state.stream.append(Record { item, version: *version, at: now, number: 0 }, self.place(item));
    }

    /// The shadow holds an item in this version.
    pub fn arrived(&self, state: &mut State, item: u32, version: u32, now: Duration) {
        state.shadow[item as usize] = version + 1;
        let Some(waiting) = state.waiting.get_mut(&item) else { return };
        while let Some((_, at)) = waiting.front().filter(|(waits, _)| *waits <= version) {
            // What was written before the copy began is in the copy.
            if state.copying.is_some_and(|since| *at >= since) {
                state.seen.lags[usize::from(self.is_hot(item))].push((now - *at).as_secs_f32());
            }
            waiting.pop_front();
        }
        if waiting.is_empty() {
            state.waiting.remove(&item);
        }
    }
}

impl State {
    /// Changes that are not in the shadow yet.
    pub fn behind(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Items that differ.
    pub fn differences(&self) -> usize {
        self.source.iter().zip(&self.shadow).filter(|(source, shadow)| **source + 1 != **shadow).count()
    }
}

/// A number in the stream, as the service writes it.
pub fn position(number: u64) -> Position {
    Position::parse(&format!("{}", 100_000_000_000_000_000_000_u128 + u128::from(number))).unwrap()
}
