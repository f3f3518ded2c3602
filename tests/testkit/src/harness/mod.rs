//! Migrations to be run in a world, and what must be true of it at the end.

pub mod cutover;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::{EngineError, EngineSettings, Fence, Switch};
use shadowtable::model::{Billing, IndexLayout, Item, Key, KeyType, Projection, TableLayout, ViewType};
use shadowtable::ports::{Entry, Program};
use shadowtable::protocol::transform::{Target, Transform};
use shadowtable::runtime::{Allowed, Job, Monitor, Status, run};
use shadowtable::telemetry::Meters;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fakes::{Call, FakePorts, Fate, Process, REFUSED, Setup, State, World, version_of};

/// How long anything may take that should happen.
const PATIENCE: Duration = Duration::from_mins(10);
/// Within this every open shard is asked for records, twice.
const TWO_POLLS: Duration = Duration::from_secs(3);
/// How often the world is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Runs a test on paused time, on one thread: the same test always goes the same way.
pub fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// A layout with these keys, all strings.
pub fn layout(partition: &str, sort: Option<&str>) -> TableLayout {
    TableLayout {
        partition_key: (partition.into(), KeyType::S),
        sort_key: sort.map(|name| (name.into(), KeyType::S)),
        global_indexes: BTreeMap::new(),
        local_indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
    }
}

/// The three kinds of migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The shadow has the source's key, and an index more.
    SameKey,
    /// The shadow's key is `place` and `id`: a change of `place` moves the item.
    Moving,
    /// The shadow's key is `email`, which two items may claim.
    Owned,
}

impl Kind {
    fn target(self) -> TableLayout {
        match self {
            Self::SameKey => {
                let index = IndexLayout {
                    partition_keys: vec![("place".into(), KeyType::S)],
                    sort_keys: Vec::new(),
                    projection: Projection::All,
                    throughput: None,
                };
                TableLayout { global_indexes: [("by-place".into(), index)].into(), ..layout("id", None) }
            }
            Self::Moving => layout("place", Some("id")),
            Self::Owned => layout("email", None),
        }
    }

    /// A world with a source that is keyed by `id` and empty.
    pub fn world(self, seed: u64) -> Arc<World> {
        self.world_with(seed, 1, ViewType::NewAndOldImages)
    }

    pub fn world_with(self, seed: u64, shards: u64, view: ViewType) -> Arc<World> {
        let (source, target) = (layout("id", None), self.target());
        let transform = Transform::compile(&[], &source.key_schema(), &target.key_schema()).unwrap();
        assert_eq!(transform.properties().injective, self != Self::Owned);
        World::new(Setup { source, target, transform, view, shards, seed })
    }
}

/// The application writes so many items.
pub fn fill(world: &World, items: u32, attributes: &[(&str, &str)]) {
    for item in 0..items {
        world.put(&format!("item-{item}"), attributes);
    }
}

/// A migration of this world, with few segments and small pages.
pub fn job(world: &World) -> Job {
    let state = world.state();
    let mut engine = EngineSettings::default();
    engine.copy.segments = Some(2);
    engine.copy.concurrency = 2;
    Job {
        migration: "orders".into(),
        target: state.setup.target.clone(),
        like_source: false,
        transform: state.setup.transform.clone(),
        source_key: state.setup.source.key_schema(),
        engine,
        // What the fakes refuse is what a test is about.
        allowed: Allowed { refused_items: true, ..Allowed::default() },
        host: "machine".into(),
        who: "somebody".into(),
    }
}

/// One of the operator's programs.
pub fn program(name: &str) -> Program {
    Program { argv: vec![name.to_owned()] }
}

/// A migration that is fenced by programs and switched by the pointer.
pub fn with_pointer(world: &World) -> Job {
    let mut job = job(world);
    job.engine.cutover.fence = Some(Fence::Command { fence: program("fence"), unfence: program("unfence") });
    job.engine.cutover.switch = Some(Switch::Pointer);
    job
}

/// A process at work.
pub struct Running {
    pub process: Arc<Process>,
    pub monitor: Arc<Monitor>,
    stop: CancellationToken,
    task: JoinSet<Result<(), EngineError>>,
}

/// Starts a process that runs the migration.
pub fn start(world: &Arc<World>, job: &Job) -> Running {
    start_as(world.process(), job)
}

/// Starts it as this process.
pub fn start_as(process: Arc<Process>, job: &Job) -> Running {
    let (monitor, stop, mut task) = (Arc::new(Monitor::default()), CancellationToken::new(), JoinSet::new());
    let ports = Arc::new(FakePorts::new(&process));
    task.spawn_local(run(ports, job.clone(), Arc::new(Meters::default()), Arc::clone(&monitor), stop.clone()));
    Running { process, monitor, stop, task }
}

impl Running {
    /// Ends it where it stands. What it sent still lands.
    pub async fn crash(mut self) {
        self.task.shutdown().await;
        // Its tasks' tasks go when the runtime looks at them next.
        sleep(Duration::from_millis(1)).await;
    }

    /// Stops it as an operator would.
    pub async fn stop(self) -> Result<(), EngineError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> Result<(), EngineError> {
        timeout(PATIENCE, self.task.join_next()).await.expect("the process should end").unwrap().unwrap()
    }

    /// How it ended, if it did.
    pub fn try_end(&mut self) -> Option<Result<(), EngineError>> {
        self.task.try_join_next().map(|ended| ended.expect("no task of it panics"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.task.try_join_next().is_none_or(|ended| panic!("the process ended: {ended:?}"))
    }

    pub fn status(&self) -> Option<Status> {
        self.monitor.status()
    }

    /// Waits until the copy is complete, all is caught up and nothing is pending.
    pub async fn caught_up(&mut self) {
        let mut left = PATIENCE;
        // What was written just now has not been polled for yet, and the status cannot know.
        sleep(TWO_POLLS).await;
        loop {
            assert!(self.is_running());
            let status = self.status();
            if status.as_ref().is_some_and(|status| {
                status.leg().is_some_and(|leg| leg.quiet_seconds > 0.0) && status.copy.ratio >= 1.0
            }) {
                return;
            }
            assert!(!left.is_zero(), "it does not catch up: {status:#?}");
            left = left.saturating_sub(POLL);
            sleep(POLL).await;
        }
    }
}

/// A number in the environment.
#[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
pub fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

/// Waits until the service shows this.
pub async fn until(world: &World, what: &str, holds: impl Fn(&State) -> bool) {
    let mut left = PATIENCE;
    while !holds(&world.state()) {
        assert!(!left.is_zero(), "it did not come to pass that {what}; broken rules: {:#?}", world.state().violations);
        left = left.saturating_sub(POLL);
        sleep(POLL).await;
    }
}

/// Demands that no rule was seen broken, and that the shadow is the transformed source exactly, but for what is in
/// quarantine; and that nothing else is in quarantine.
pub fn assert_exact(world: &World) {
    let state = world.state();
    let told = differences(&state);
    if given("TELL").is_some() && (!state.violations.is_empty() || !told.is_empty()) {
        state.tell();
    }
    assert!(state.violations.is_empty(), "{:#?}", state.violations);
    assert!(told.is_empty(), "{told:#?}");
}

fn differences(state: &State) -> Vec<String> {
    let mut claims: BTreeMap<Key, Vec<(&Key, Item)>> = BTreeMap::new();
    let (mut told, mut due) = (Vec::new(), 0);
    for (source, item) in &state.source {
        match state.setup.transform.apply(item.clone()) {
            Ok(Target::Item { key, item }) => claims.entry(key).or_default().push((source, item)),
            Ok(Target::Nothing) => {}
            Err(_) if state.is_quarantined(source) => due += 1,
            Err(_) => told.push(format!("version {}, which has no place, is not in quarantine", version_of(item))),
        }
    }
    for (key, item) in &state.shadow {
        let claimants = claims.get(key).map_or(&[][..], Vec::as_slice);
        let refused = claimants.iter().any(|(_, claimed)| claimed.get(REFUSED).is_some());
        if !refused && claimants.iter().all(|(_, claimed)| claimed != item) {
            let newest = claimants.iter().map(|(_, claimed)| version_of(claimed)).max();
            told.push(format!("the shadow holds version {} of an item, the source {newest:?}", version_of(item)));
        }
    }
    for (key, claimants) in &claims {
        let shown = state.shadow.get(key);
        // Whoever loses is kept because somebody else has the place.
        let refused = |claimed: &Item| claimed.get(REFUSED).is_some();
        if shown.is_none() && claimants.iter().any(|(_, claimed)| !refused(claimed)) {
            told.push(format!("nobody is at a place that {} items claim", claimants.len()));
        }
        for (source, claimed) in claimants {
            let (shown, kept) = (shown == Some(claimed), state.is_quarantined(source));
            if shown == kept {
                let version = version_of(claimed);
                told.push(format!("version {version} is in the shadow: {shown}, and in quarantine: {kept}"));
            }
        }
    }
    let kept = state.entries_at("QUARANTINE#").count();
    due += claims.values().flatten().filter(|(source, _)| state.is_quarantined(source)).count();
    if kept != due {
        let pair = |entry: &Entry| format!("{} at {}", entry.body["keys"]["source"], entry.body["keys"]["shadow"]);
        let pairs: Vec<_> = state.entries_at("QUARANTINE#").map(pair).collect();
        told.push(format!("{kept} entries are in quarantine, {due} should be: {pairs:?}"));
    }
    told
}

/// Writes of this shadow key come back, all others are done.
pub fn never_writes(world: &World, stuck: Key) {
    world.script(move |_, call| match call {
        Call::Write(writes) => {
            let bits = writes.iter().enumerate().filter(|(_, write)| write.key == stuck);
            Fate::sparing(bits.fold(0, |bits, (index, _)| bits | 1 << index))
        }
        _ => Fate::answered(),
    });
}
