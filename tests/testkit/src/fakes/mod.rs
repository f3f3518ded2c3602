//! In-memory ports with scripted faults, on paused Tokio time.
//!
//! A [`World`] is what outlives a process: the source and its stream, the shadow, the state table, and the network in
//! between. A [`Process`] is one run of the program in it, with its own clock; it can be frozen, or die at any call. A
//! request is taken up by the network and lands whether or not its sender still waits for it: that is what an abandoned
//! request does. What becomes of each request is the script's to say ([`Fate`]).
//!
//! The world watches the rules that can be seen from outside and notes what it saw broken (`audit`).

mod admin;
mod application;
mod audit;
mod process;
mod shadow;
mod source;
mod state;
mod stream;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

pub use application::{SHADOW, SOURCE};
pub use process::{Death, FakePorts, Freeze, Process};
pub use shadow::REFUSED;
use shadowtable::model::{AttributeValue, Item, Key, KeySchema, TableLayout, Timestamp, ViewType};
use shadowtable::ports::{Entry, Fault, PortError, StateKey, Write};
use shadowtable::protocol::phase::Standing;
use shadowtable::protocol::transform::Transform;
pub use source::key_of;
pub use stream::Stream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// What a world is made of.
pub struct Setup {
    pub source: TableLayout,
    pub target: TableLayout,
    pub transform: Transform,
    pub view: ViewType,
    /// Shards that are open at the beginning.
    pub shards: u64,
    pub seed: u64,
}

/// Everything that outlives a process.
pub struct World {
    state: Mutex<State>,
    script: Mutex<Script>,
    /// Requests under way.
    network: Mutex<JoinSet<()>>,
    began: Instant,
    seed: u64,
    processes: AtomicU32,
    /// A digest of all requests, in order.
    asked: Mutex<DefaultHasher>,
}

/// What the service holds, and what was seen of it.
pub struct State {
    pub setup: Setup,
    pub source: BTreeMap<Key, Item>,
    pub source_id: String,
    /// Every write to the source, by version, which is its index: each item carries its own in `v`.
    pub history: Vec<Written>,
    pub stream: Stream,
    pub shadow: BTreeMap<Key, Item>,
    /// The shadow's layout and table id, once it is created.
    pub shadow_layout: Option<(TableLayout, String)>,
    shadows_made: u32,
    pub entries: BTreeMap<StateKey, Entry>,
    pub entries_layout: Option<TableLayout>,
    pub log: Vec<(Timestamp, u32, Event)>,
    /// Rules seen broken.
    pub violations: Vec<String>,
    /// The items of each page that was read, by process, segment and the key after which the page began.
    pages: HashMap<(u32, u32, Option<Key>), Page>,
    pub pages_read: usize,
    /// Requests to write the shadow, by process.
    pub writes_asked: HashMap<u32, usize>,
    /// The epoch under which each process took the lease.
    epochs: HashMap<u32, u64>,
    /// The highest epoch that changed anything.
    acted: u64,
    /// Shadow keys under way, by process.
    in_flight: BTreeSet<(u32, Key)>,
    /// Writes to the source are stopped.
    pub fenced: bool,
    /// Since when, or since when they were last.
    fenced_at: Option<Timestamp>,
    /// Whether a drain sees all that was written before the fence: it lasts longer than records are kept back.
    pub drains: bool,
    /// The table that the application uses.
    pub pointer: String,
    /// Changes that are not durable yet.
    waiting: Vec<Waiting>,
    /// The phase that is stored.
    standing: Option<Standing>,
    /// The regions of a table's replicas.
    pub replicas: BTreeMap<&'static str, Vec<String>>,
    /// Programs that cannot be started.
    pub missing_programs: BTreeSet<String>,
    /// The pointer may not be written.
    pub pointer_locked: bool,
    /// The operator's programs that were run, by name.
    pub programs: Vec<String>,
}

/// One write to the source.
#[derive(Clone)]
pub struct Written {
    pub key: Key,
    pub image: Option<Item>,
    pub at: Timestamp,
    /// It is a deletion that nobody asked for.
    pub expired: bool,
}

/// A change that is not durable yet.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub version: usize,
    /// Since when it can be read in the stream.
    pub at: Timestamp,
    key: Key,
}

struct Page {
    next: Option<Key>,
    versions: Vec<(Key, usize)>,
}

/// Something that happened, for tests that look at an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An iterator of this shard was asked for.
    Iterator { shard: String, beginning: bool },
    /// This shard was read.
    Records { shard: String },
    /// An entry was stored.
    Stored(Entry),
    /// The shadow was written.
    Shadow { key: Key, version: Option<usize> },
}

/// A request, as the script sees it.
pub enum Call<'a> {
    Scan,
    Get,
    Shards,
    Iterator,
    Records,
    Write(&'a [Arc<Write>]),
    StateGet(&'a StateKey),
    StateList(&'a str),
    StatePut(&'a Entry),
    StateDelete(&'a StateKey),
    Describe,
    Create,
    DeleteTable,
    Program(&'a str),
    Pointer,
    Point,
}

impl Call<'_> {
    fn note(&self, hasher: &mut DefaultHasher) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            Self::Write(batch) => batch.iter().for_each(|write| write.key.as_bytes().hash(hasher)),
            Self::StateGet(key) | Self::StateDelete(key) => key.sort.hash(hasher),
            Self::StatePut(entry) => (&entry.key.sort, entry.version, entry.epoch).hash(hasher),
            Self::StateList(text) | Self::Program(text) => text.hash(hasher),
            _ => {}
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    /// How long after it was sent it takes effect; never, if `None`.
    lands: Option<Duration>,
    /// What its sender hears: the truth, or a fault.
    hears: Result<(), Fault>,
    /// When its sender hears it: after the effect for the truth, after sending for a fault.
    after: Duration,
    /// How long the connection is being made before it is sent.
    connects: Duration,
    /// It is never answered, and takes effect so long after it is given up, or its sender stands still.
    hangs: Option<Duration>,
    /// Which operations of a batch come back, as bits; or whether a page of records is empty.
    spares: u32,
}

/// The way to the service or back.
const WAY: Duration = Duration::from_millis(5);

impl Fate {
    pub const fn answered() -> Self {
        Self { lands: Some(WAY), hears: Ok(()), after: WAY, spares: 0, connects: Duration::ZERO, hangs: None }
    }

    /// It is sent only when a connection was made, and then answered.
    pub const fn connecting(connects: Duration) -> Self {
        Self { connects, ..Self::answered() }
    }

    pub const fn throttled() -> Self {
        Self { lands: None, hears: Err(Fault::Throttled), after: WAY, ..Self::answered() }
    }

    /// It takes effect, and its sender gives it up.
    pub const fn reply_lost() -> Self {
        Self { hears: Err(Fault::Abandoned), after: Duration::from_millis(200), ..Self::answered() }
    }

    /// It is answered, or given up, so much later.
    pub const fn heard_after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// It is sent now, and answered at this moment at the earliest.
    pub fn heard_at(self, at: Instant) -> Self {
        self.heard_after(at.saturating_duration_since(tokio_now() + WAY).max(WAY))
    }

    /// It is given up after a second and takes effect `after` that.
    pub const fn late(after: Duration) -> Self {
        let given_up = Duration::from_secs(1);
        let lands = Some(given_up.saturating_add(after));
        Self { lands, hears: Err(Fault::Abandoned), after: given_up, ..Self::answered() }
    }

    /// It is never answered, and takes effect so long after its sender gave it up.
    pub const fn hung(lands: Duration) -> Self {
        Self { hangs: Some(lands), ..Self::answered() }
    }

    /// It never arrives.
    pub const fn lost() -> Self {
        Self { lands: None, hears: Err(Fault::Abandoned), after: Duration::from_secs(1), ..Self::answered() }
    }

    /// It never arrives, and is given up so much later.
    pub const fn hangs(after: Duration) -> Self {
        Self { lands: None, hears: Err(Fault::Abandoned), after, ..Self::answered() }
    }

    /// It takes effect at once and is answered so much later.
    pub const fn slow_reply(after: Duration) -> Self {
        Self { lands: Some(WAY), hears: Ok(()), after, ..Self::answered() }
    }

    /// It takes effect so much later and is answered then.
    pub const fn slow(lands: Duration) -> Self {
        Self { lands: Some(lands), hears: Ok(()), after: WAY, ..Self::answered() }
    }

    /// The batch comes back in part, or the page of records is empty.
    pub const fn sparing(bits: u32) -> Self {
        Self { lands: Some(WAY), hears: Ok(()), after: WAY, spares: bits, ..Self::answered() }
    }

    pub const fn fault(fault: Fault) -> Self {
        Self { lands: None, hears: Err(fault), after: WAY, ..Self::answered() }
    }
}

/// Decides what becomes of each request of each process.
pub type Script = Box<dyn FnMut(u32, &Call<'_>) -> Fate + Send>;

/// The service's time at the beginning, in milliseconds: not on a whole second.
const BEGINNING_MILLIS: i64 = 1_800_000_000_250;

impl World {
    pub fn new(setup: Setup) -> Arc<Self> {
        let (seed, shards) = (setup.seed, setup.shards);
        let state = State {
            source: BTreeMap::new(),
            source_id: "source-1".into(),
            history: Vec::new(),
            stream: Stream::new(shards),
            shadow: BTreeMap::new(),
            shadow_layout: None,
            shadows_made: 0,
            entries: BTreeMap::new(),
            entries_layout: None,
            log: Vec::new(),
            violations: Vec::new(),
            pages: HashMap::new(),
            pages_read: 0,
            writes_asked: HashMap::new(),
            epochs: HashMap::new(),
            acted: 0,
            in_flight: BTreeSet::new(),
            fenced: false,
            fenced_at: None,
            drains: true,
            pointer: SOURCE.to_owned(),
            waiting: Vec::new(),
            standing: None,
            replicas: BTreeMap::new(),
            missing_programs: BTreeSet::new(),
            pointer_locked: false,
            programs: Vec::new(),
            setup,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            script: Mutex::new(Box::new(|_, _| Fate::answered())),
            network: Mutex::new(JoinSet::new()),
            began: tokio_now(),
            seed,
            processes: AtomicU32::new(0),
            asked: Mutex::default(),
        })
    }

    /// A new process, with nothing in memory.
    pub fn process(self: &Arc<Self>) -> Arc<Process> {
        Process::new(Arc::clone(self), self.processes.fetch_add(1, Ordering::Relaxed))
    }

    /// What the service holds. All runs on one thread: a lock that is taken would never be free.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.try_lock().expect("the world is looked at while it is looked at")
    }

    /// Prints all that happened, unless it is being looked at.
    pub fn tell(&self) {
        match self.state.try_lock() {
            Ok(state) => state.tell(),
            Err(TryLockError::Poisoned(state)) => state.into_inner().tell(),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// What becomes of requests from now on.
    pub fn script(&self, script: impl FnMut(u32, &Call<'_>) -> Fate + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Every request is answered from now on. What is under way still lands.
    pub fn no_more_faults(&self) {
        self.script(|_, _| Fate::answered());
    }

    pub fn elapsed(&self) -> Duration {
        tokio_now() - self.began
    }

    /// The service's clock.
    pub fn service(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MILLIS).plus(self.elapsed())
    }

    /// A digest of all that was asked and all that happened, in order.
    pub fn digest(&self) -> u64 {
        let mut hasher = self.asked.lock().unwrap().clone();
        format!("{:?}", self.state().log).hash(&mut hasher);
        hasher.finish()
    }

    fn fate(&self, process: u32, call: &Call<'_>) -> Fate {
        let hasher = &mut *self.asked.lock().unwrap();
        (process, self.elapsed()).hash(hasher);
        call.note(hasher);
        (self.script.lock().unwrap())(process, call)
    }

    /// Lets the network carry a request; the receiver hears what came of it when it has landed.
    fn carry<T: Send + 'static>(
        self: &Arc<Self>,
        lands: Option<impl Future<Output = ()> + Send + 'static>,
        effect: impl FnOnce(&mut State, Timestamp) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (landed, hears) = oneshot::channel();
        let Some(lands) = lands else { return hears };
        let world = Arc::clone(self);
        let mut network = self.network.lock().unwrap();
        while network.try_join_next().is_some() {}
        network.spawn(async move {
            lands.await;
            let now = world.service();
            let outcome = effect(&mut world.state(), now);
            // Nobody may be waiting any more.
            drop(landed.send(outcome));
        });
        hears
    }
}

/// Sends a request as `process`: it lands as its fate says, whether or not this future is still polled.
async fn request<T: Send + 'static>(
    process: &Arc<Process>,
    call: &Call<'_>,
    effect: impl FnOnce(&mut State, Timestamp, Fate) -> Result<T, PortError> + Send + 'static,
) -> Result<T, PortError> {
    let world = process.world();
    let dies = process.enter().await;
    let fate = world.fate(process.id(), call);
    if dies == Some(Death::Before) {
        return process.die().await;
    }
    if !fate.connects.is_zero() {
        sleep(fate.connects).await;
        process.pass().await;
    }
    let (held, given_up) = oneshot::channel::<()>();
    let sender = Arc::clone(process);
    let lands = fate.lands.map(|lands| async move {
        let Some(after) = fate.hangs else { return sleep(lands).await };
        tokio::select! {
            _ = given_up => {}
            () = sender.stands_still() => {}
        }
        sleep(after).await;
    });
    let landed = world.carry(lands, move |state, now| effect(state, now, fate));
    if dies == Some(Death::After) {
        return process.die().await;
    }
    if fate.hangs.is_some() {
        pending::<()>().await;
    }
    drop(held);
    let heard = match fate.hears {
        Ok(()) => {
            let outcome = landed.await.unwrap();
            sleep(fate.after).await;
            outcome
        }
        Err(fault) => {
            sleep(fate.after).await;
            Err(failure(fault))
        }
    };
    process.pass().await;
    if heard.as_ref().err().is_none_or(|error| error.fault != Fault::Abandoned) {
        process.hears_the_time();
    }
    heard
}

fn failure(fault: Fault) -> PortError {
    PortError { fault, operation: "Fake", resource: "the fake service".into(), message: format!("scripted: {fault}") }
}

/// The schema of a source key.
pub fn source_schema(state: &State) -> KeySchema {
    state.setup.source.key_schema()
}

/// The version that an item of the source, or its image in the shadow, carries.
pub fn version_of(item: &Item) -> usize {
    match item.get("v") {
        Some(AttributeValue::N(text)) => text.parse().unwrap(),
        _ => 0,
    }
}

#[expect(clippy::disallowed_methods, reason = "the fakes' one look at time: Tokio's, which tests pause")]
pub fn tokio_now() -> Instant {
    Instant::now()
}
