//! One run of the program: its clock, its end, and its way to the service.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::engine::watched::Watched;
use shadowtable::model::{Moment, Side, Sides, Timestamp};
use shadowtable::ports::{Clock, Ports, StatePorts};

use super::World;
use super::admin::{FakeAdmin, Role};
use super::application::FakeApplication;
use super::shadow::FakeWriter;
use super::source::FakeReader;
use super::state::FakeStateStore;
use super::stream::FakeFeed;

/// One run of the program.
pub struct Process {
    world: Arc<World>,
    id: u32,
    condition: Watched<Condition>,
    stood_still: Mutex<StoodStill>,
    chance: Mutex<fastrand::Rng>,
    calls: AtomicU64,
    dies: Mutex<Option<(u64, Death)>>,
    /// How far its wall clock jumped, in milliseconds.
    jumped: AtomicI64,
    /// It knows the service's time: a reply told it.
    heard_time: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Running,
    /// Since this time of the world.
    Frozen(Duration),
    Dead,
}

/// For how long each of its clocks stood still.
#[derive(Clone, Copy, Default)]
struct StoodStill {
    boot: Duration,
    timers: Duration,
}

/// What kept a process from moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// The process was stopped (`SIGSTOP`): its clocks went on.
    Stopped,
    /// The machine was suspended: timers stood still, the boot clock went on.
    Suspended,
    /// The same, on a machine without a boot clock.
    SuspendedWithoutBootClock,
}

/// When, around a call, a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The request was not sent.
    Before,
    /// The request was sent, and its reply is not heard.
    After,
}

impl Process {
    pub(super) fn new(world: Arc<World>, id: u32) -> Arc<Self> {
        let chance = fastrand::Rng::with_seed(world.seed.wrapping_mul(1_000).wrapping_add(u64::from(id)));
        Arc::new(Self {
            world,
            id,
            condition: Watched::new(Condition::Running),
            stood_still: Mutex::new(StoodStill::default()),
            chance: Mutex::new(chance),
            calls: AtomicU64::new(0),
            dies: Mutex::new(None),
            jumped: AtomicI64::new(0),
            heard_time: AtomicBool::new(false),
        })
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// How many requests it has sent.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// It dies around its call of this number, counted from 1.
    pub fn dies_at(&self, call: u64, death: Death) {
        *self.dies.lock().unwrap() = Some((call, death));
    }

    /// Its wall clock is set to another time.
    pub fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Waits until it stands still, or dies.
    pub(super) async fn stands_still(&self) {
        self.condition.until(|now| now != Condition::Running).await;
    }

    /// Whether it has died by itself.
    pub fn is_dead(&self) -> bool {
        self.condition.get() == Condition::Dead
    }

    /// Resolves when it has died by itself.
    pub async fn died(&self) {
        self.condition.until(|now| now == Condition::Dead).await;
    }

    /// Nothing in it moves until it is thawed; the world goes on. One that is dead stays so.
    pub fn freeze(&self) {
        if self.condition.get() == Condition::Running {
            self.condition.set(Condition::Frozen(self.world.elapsed()));
        }
    }

    /// It moves again.
    pub fn thaw(&self, freeze: Freeze) {
        let Condition::Frozen(since) = self.condition.get() else { return };
        self.condition.set(Condition::Running);
        let frozen = self.world.elapsed().saturating_sub(since);
        let mut stood_still = self.stood_still.lock().unwrap();
        if freeze != Freeze::Stopped {
            stood_still.timers += frozen;
        }
        if freeze == Freeze::SuspendedWithoutBootClock {
            stood_still.boot += frozen;
        }
    }

    /// Waits while it is frozen; a dead one waits forever.
    pub(super) async fn pass(&self) {
        self.condition.until(|now| now == Condition::Running).await;
    }

    /// A request is about to be sent. Says whether the process dies at it.
    pub(super) async fn enter(&self) -> Option<Death> {
        self.pass().await;
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.dies.lock().unwrap().and_then(|(at, death)| (at == call).then_some(death))
    }

    /// A reply says what time it is.
    pub(super) fn hears_the_time(&self) {
        self.heard_time.store(true, Ordering::Relaxed);
    }

    pub(super) async fn die<T>(&self) -> T {
        self.condition.set(Condition::Dead);
        pending().await
    }
}

/// All ports of one process.
pub struct FakePorts {
    tables: Sides<FakeTable>,
    state_admin: FakeAdmin,
    state: FakeStateStore,
    application: FakeApplication,
    clock: FakeClock,
}

struct FakeTable {
    reader: FakeReader,
    feed: FakeFeed,
    writer: FakeWriter,
    admin: FakeAdmin,
}

impl FakeTable {
    fn new(process: &Arc<Process>, side: Side) -> Self {
        Self {
            reader: FakeReader { process: Arc::clone(process), side },
            feed: FakeFeed { process: Arc::clone(process), side },
            writer: FakeWriter { process: Arc::clone(process), side },
            admin: FakeAdmin::new(process, Role::Table(side)),
        }
    }
}

impl FakePorts {
    pub fn new(process: &Arc<Process>) -> Self {
        Self {
            tables: Sides::of(|side| FakeTable::new(process, side)),
            state_admin: FakeAdmin::new(process, Role::State),
            state: FakeStateStore(Arc::clone(process)),
            application: FakeApplication(Arc::clone(process)),
            clock: FakeClock(Arc::clone(process)),
        }
    }
}

impl StatePorts for FakePorts {
    type State = FakeStateStore;
    type Clock = FakeClock;

    fn state(&self) -> &FakeStateStore {
        &self.state
    }

    fn clock(&self) -> &FakeClock {
        &self.clock
    }
}

impl Ports for FakePorts {
    type Reader = FakeReader;
    type Feed = FakeFeed;
    type Writer = FakeWriter;
    type Admin = FakeAdmin;
    type Application = FakeApplication;

    fn reader(&self, side: Side) -> &FakeReader {
        &self.tables[side].reader
    }

    fn feed(&self, side: Side) -> &FakeFeed {
        &self.tables[side].feed
    }

    fn writer(&self, side: Side) -> &FakeWriter {
        &self.tables[side].writer
    }

    fn admin(&self, side: Side) -> &FakeAdmin {
        &self.tables[side].admin
    }

    fn state_admin(&self) -> &FakeAdmin {
        &self.state_admin
    }

    fn application(&self) -> &FakeApplication {
        &self.application
    }
}

/// A process's clock, on Tokio's time.
pub struct FakeClock(Arc<Process>);

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        Moment(self.0.world.elapsed().saturating_sub(self.0.stood_still.lock().unwrap().boot))
    }

    fn wall(&self) -> Timestamp {
        // A machine whose clock is off by a little.
        let off = self.0.world.service().plus(Duration::from_secs(3));
        Timestamp::from_millis(off.millis() + self.0.jumped.load(Ordering::Relaxed))
    }

    fn service(&self) -> Timestamp {
        if self.0.heard_time.load(Ordering::Relaxed) { self.0.world.service() } else { self.wall() }
    }

    fn random(&self) -> f64 {
        self.0.chance.lock().unwrap().f64()
    }

    async fn sleep(&self, span: Duration) {
        let timers = || self.0.world.elapsed().saturating_sub(self.0.stood_still.lock().unwrap().timers);
        let due = timers().saturating_add(span);
        loop {
            let left = due.saturating_sub(timers());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
            self.0.pass().await;
        }
    }
}
