//! The model behind the program's ports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::model::{
    Aspect, Billing, Key, Moment, Place, Side, StreamDescription, TableDescription, TableLayout, TableSettings,
    TableStatus, Throughput, Timestamp, ViewType, Write,
};
use shadowtable::ports::{
    Application, BatchReply, Clock, CreateOptions, Entry, Fault, Guard, OwnedReply, PortError, Ports, Program,
    ProgramFailure, ScanPage, ScanRequest, StateKey, StatePorts, StateStore, TableAdmin, TableReader, TableWriter,
};

use super::stream::Feed;
use super::world::{ITEM_BYTES, State, World};
use crate::harness::layout;

/// Items on a page of 1 MB.
const PAGE: usize = 1_000_000 / ITEM_BYTES;
/// Entries on a page of the state table.
const ENTRIES: usize = 2_000;

/// One run of the program.
#[derive(Clone)]
pub struct Process(Arc<World>);

impl Process {
    pub fn world(&self) -> &World {
        &self.0
    }
}

pub fn failure(fault: Fault, operation: &'static str) -> PortError {
    PortError { fault, operation, resource: "the model".into(), message: "it lacks capacity".into() }
}

/// All ports of one process.
pub struct ScalePorts {
    reader: Reader,
    feed: Feed,
    writer: Writer,
    admins: [Admin; 3],
    state: Entries,
    application: Nobody,
    clock: WorldClock,
}

impl ScalePorts {
    pub fn new(world: &Arc<World>) -> Self {
        let process = Process(Arc::clone(world));
        let admin = |role: Role| {
            let place = Place { table: role.name().to_owned(), ..Place::default() };
            Admin { process: process.clone(), role, place }
        };
        Self {
            reader: Reader(process.clone()),
            feed: Feed(process.clone()),
            writer: Writer(process.clone()),
            admins: [admin(Role::Source), admin(Role::Shadow), admin(Role::State)],
            state: Entries(process.clone()),
            application: Nobody,
            clock: WorldClock { process, chance: Mutex::new(fastrand::Rng::with_seed(7)) },
        }
    }
}

impl StatePorts for ScalePorts {
    type State = Entries;
    type Clock = WorldClock;

    fn state(&self) -> &Entries {
        &self.state
    }

    fn clock(&self) -> &WorldClock {
        &self.clock
    }
}

impl Ports for ScalePorts {
    type Reader = Reader;
    type Feed = Feed;
    type Writer = Writer;
    type Admin = Admin;
    type Application = Nobody;

    fn reader(&self, _: Side) -> &Reader {
        &self.reader
    }

    fn feed(&self, _: Side) -> &Feed {
        &self.feed
    }

    fn writer(&self, _: Side) -> &Writer {
        &self.writer
    }

    fn admin(&self, side: Side) -> &Admin {
        &self.admins[usize::from(side == Side::Shadow)]
    }

    fn state_admin(&self) -> &Admin {
        &self.admins[2]
    }

    fn application(&self) -> &Nobody {
        &self.application
    }
}

/// Reads the source.
pub struct Reader(Process);

impl TableReader for Reader {
    async fn scan(&self, request: &ScanRequest) -> Result<ScanPage, PortError> {
        let world = self.0.world();
        let items = u64::from(world.scenario.items);
        let edge = |segment: u32| (items * u64::from(segment) / u64::from(request.segments)) as u32;
        let (begin, end) = (edge(request.segment), edge(request.segment + 1));
        let first = request.start.as_ref().map_or(begin, |key| world.item_of(key) + 1);
        let most = request.limit.map_or(PAGE, |limit| (limit as usize).min(PAGE));
        let last = end.min(first + most as u32);
        world.way(8.0 + 40.0 * f64::from(last - first) / PAGE as f64).await;
        let (now, state) = (world.elapsed(), &mut *world.state());
        state.seen.call("Scan");
        let partition = (world.place(first.min(end - 1)) * state.reads.len() as f64) as usize;
        if !state.reads[partition].has(now) {
            state.seen.throttle("source's read capacity");
            let fault = if state.reads.len() == 1 { Fault::Throttled } else { Fault::PartitionThrottled };
            return Err(failure(fault, "Scan"));
        }
        let units = (f64::from(last - first) * ITEM_BYTES as f64 / 4_096.0).ceil().max(1.0);
        state.reads[partition].take(units, now);
        state.seen.read_units += units;
        let items = (first..last).map(|item| world.item(item, state.source[item as usize])).collect();
        // As in the service, a full page names its last key even when nothing follows.
        let full = last - first == most as u32;
        let next = full.then(|| world.key(last - 1));
        Ok(ScanPage { items, next, read_units: Some(units) })
    }

    async fn get(&self, key: &Key) -> Result<Option<shadowtable::model::Item>, PortError> {
        let world = self.0.world();
        world.way(4.0).await;
        let state = &mut *world.state();
        state.seen.call("GetItem");
        let item = world.item_of(key);
        Ok(Some(world.item(item, state.source[item as usize])))
    }
}

/// Writes the shadow.
pub struct Writer(Process);

impl TableWriter for Writer {
    async fn write_batch(&self, writes: &[Arc<Write>]) -> Result<BatchReply, PortError> {
        let world = self.0.world();
        world.way(8.0).await;
        let (now, state) = (world.elapsed(), &mut *world.state());
        state.seen.call("BatchWriteItem");
        let mut unprocessed = Vec::new();
        for write in writes {
            if !write_one(world, state, write, now) {
                unprocessed.push(write.key.clone());
            }
        }
        let done = writes.len() - unprocessed.len();
        if done == 0 {
            return Err(failure(Fault::PartitionThrottled, "BatchWriteItem"));
        }
        let units = (done * state.writes.len()) as f64;
        state.seen.write_units += units;
        Ok(BatchReply { unprocessed, write_units: Some(units) })
    }

    async fn write_owned(&self, _: &Write) -> Result<OwnedReply, PortError> {
        panic!("every item has a place of its own")
    }
}

/// A write is done where its partitions of the table and of each index have something left.
fn write_one(world: &World, state: &mut State, write: &Write, now: Duration) -> bool {
    let item = world.item_of(&write.key);
    let place = |table: usize| match table {
        0 => world.place(item),
        index => world.place_in_index(item, index - 1),
    };
    for table in 0..state.writes.len() {
        if !state.writes[table].has(place(table), now) {
            state.seen.throttle(if table == 0 { "a partition of the shadow" } else { "a partition of an index" });
            return false;
        }
    }
    for table in 0..state.writes.len() {
        state.writes[table].take(place(table), 1.0, now);
    }
    let version = write.image.as_ref().and_then(|image| match image.get("v") {
        Some(shadowtable::model::AttributeValue::N(text)) => text.parse().ok(),
        _ => None,
    });
    world.arrived(state, item, version.expect("an item of the model"), now);
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Source,
    Shadow,
    State,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Source => "orders",
            Self::Shadow => "orders-new",
            Self::State => "state",
        }
    }
}

/// Describes one table.
pub struct Admin {
    process: Process,
    role: Role,
    place: Place,
}

impl TableAdmin for Admin {
    fn place(&self) -> &Place {
        &self.place
    }

    async fn describe(&self) -> Result<Option<TableDescription>, PortError> {
        let world = self.process.world();
        world.way(8.0).await;
        let state = &mut *world.state();
        state.seen.call("DescribeTable");
        let layout = match self.role {
            Role::Source => Some(source_layout(world)),
            Role::Shadow => state.shadow_layout.clone(),
            Role::State => state.state_exists.then(|| layout("pk", Some("sk"))),
        };
        let is_source = self.role == Role::Source;
        Ok(layout.map(|layout| TableDescription {
            table_id: self.role.name().into(),
            arn: format!("arn:table/{}", self.role.name()),
            status: TableStatus::Active,
            layout,
            index_status: BTreeMap::new(),
            stream: is_source.then(|| StreamDescription { arn: "arn:stream".into(), view: ViewType::NewAndOldImages }),
            item_count: if is_source { world.scenario.says_bytes / ITEM_BYTES as u64 } else { 0 },
            size_bytes: if is_source { world.scenario.says_bytes } else { 0 },
            settings: TableSettings::default(),
            replicas: Vec::new(),
        }))
    }

    async fn aspect(&self, _: &str, _: Aspect) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    async fn create(&self, layout: &TableLayout, _: &CreateOptions) -> Result<(), PortError> {
        let state = &mut *self.process.world().state();
        match self.role {
            Role::Source => panic!("nobody creates the source"),
            Role::Shadow => state.shadow_layout = Some(layout.clone()),
            Role::State => state.state_exists = true,
        }
        Ok(())
    }

    async fn configure(&self, _: &CreateOptions) -> Result<Vec<&'static str>, PortError> {
        Ok(Vec::new())
    }

    async fn enable_stream(&self, _: ViewType) -> Result<(), PortError> {
        Err(failure(Fault::Busy, "UpdateTable"))
    }

    async fn is_empty(&self) -> Result<bool, PortError> {
        Ok(self.process.world().state().shadow.iter().all(|version| *version == 0))
    }

    async fn delete(&self) -> Result<(), PortError> {
        panic!("nobody deletes a table")
    }
}

fn source_layout(world: &World) -> TableLayout {
    let billing = match world.scenario.provisioned {
        Some((units, _)) => Billing::Provisioned(Throughput { read_units: units as i64, write_units: 40_000 }),
        None => Billing::OnDemand,
    };
    TableLayout { billing, ..layout("id", None) }
}

/// The state table's contents.
pub struct Entries(Process);

impl Entries {
    async fn way(&self, operation: &'static str) -> Result<(), PortError> {
        let world = self.0.world();
        world.way(5.0).await;
        let (now, state) = (world.elapsed(), &mut *world.state());
        state.seen.call(operation);
        if operation == "state PutItem" && !state.state_writes.has(now) {
            state.seen.throttle("state table's write capacity");
            return Err(failure(Fault::Throttled, operation));
        }
        state.state_writes.take(1.0, now);
        Ok(())
    }
}

impl StateStore for Entries {
    async fn get(&self, key: &StateKey) -> Result<Option<Entry>, PortError> {
        self.way("state GetItem").await?;
        Ok(self.0.world().state().entries.get(key).cloned())
    }

    async fn list(&self, partition: &str, prefix: &str) -> Result<Vec<Entry>, PortError> {
        let mut found: Vec<Entry> = Vec::new();
        loop {
            self.way("state Query").await?;
            let from = StateKey { partition: partition.into(), sort: prefix.into() };
            let state = self.0.world().state();
            let belongs = |key: &StateKey| key.partition == partition && key.sort.starts_with(prefix);
            let entries = state.entries.range(from..).take_while(|(key, _)| belongs(key)).skip(found.len());
            let page: Vec<_> = entries.take(ENTRIES).map(|(_, entry)| entry.clone()).collect();
            let full = page.len() == ENTRIES;
            found.extend(page);
            if !full {
                return Ok(found);
            }
        }
    }

    async fn put(&self, entry: &Entry, guard: Guard) -> Result<(), PortError> {
        self.way("state PutItem").await?;
        let state = &mut *self.0.world().state();
        if !holds(state.entries.get(&entry.key), guard) {
            return Err(failure(Fault::Conflict, "PutItem"));
        }
        state.entries.insert(entry.key.clone(), entry.clone());
        Ok(())
    }

    async fn delete(&self, key: &StateKey, guard: Guard) -> Result<(), PortError> {
        self.way("state DeleteItem").await?;
        let state = &mut *self.0.world().state();
        if state.entries.contains_key(key) && !holds(state.entries.get(key), guard) {
            return Err(failure(Fault::Conflict, "DeleteItem"));
        }
        state.entries.remove(key);
        Ok(())
    }
}

fn holds(found: Option<&Entry>, guard: Guard) -> bool {
    match (found, guard) {
        (None, Guard::Absent | Guard::Epoch(_)) => true,
        (Some(found), Guard::Unchanged { version, epoch }) => found.version == version && found.epoch <= epoch,
        (Some(found), Guard::Epoch(epoch)) => found.epoch <= epoch,
        (None, Guard::Unchanged { .. }) | (Some(_), Guard::Absent) => false,
    }
}

/// No application is moved here.
pub struct Nobody;

impl Application for Nobody {
    async fn run(&self, _: &Program, _: &[(&'static str, String)], _: Duration) -> Result<String, ProgramFailure> {
        Ok(String::new())
    }

    async fn check(&self, _: &Program) -> Result<(), String> {
        Ok(())
    }

    async fn may_point(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn pointer(&self) -> Result<Option<String>, PortError> {
        Ok(None)
    }

    async fn point(&self, _: &str, _: &str) -> Result<(), PortError> {
        Ok(())
    }
}

/// The clock, on Tokio's time.
pub struct WorldClock {
    process: Process,
    chance: Mutex<fastrand::Rng>,
}

impl Clock for WorldClock {
    fn now(&self) -> Moment {
        Moment(self.process.world().elapsed())
    }

    fn wall(&self) -> Timestamp {
        self.process.world().service()
    }

    fn service(&self) -> Timestamp {
        self.process.world().service()
    }

    fn random(&self) -> f64 {
        self.chance.lock().unwrap().f64()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
