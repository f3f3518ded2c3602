//! Plays a scenario.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::{EngineError, EngineSettings};
use shadowtable::model::{IndexLayout, KeyType, Projection, TableLayout};
use shadowtable::protocol::transform::Transform;
use shadowtable::runtime::{Allowed, Job, Monitor, Status, run};
use shadowtable::telemetry::Meters;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::capacity::ideal;
use super::ports::ScalePorts;
use super::report::Report;
use super::scenario::{DOUBLES, Hot, Scenario, Then};
use super::world::{Seen, World};
use crate::harness::{layout, simulate};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_hours(3);
/// How long a process goes on before another one takes over, and that one after it.
const AROUND_TAKEOVER: Duration = Duration::from_mins(1);

/// Plays it to its end.
pub fn play(scenario: &Scenario) -> Report {
    simulate(played(scenario.clone()))
}

async fn played(scenario: Scenario) -> Report {
    let source = layout("id", None);
    let target = TableLayout { global_indexes: indexes(&scenario), ..source.clone() };
    let transform = Transform::compile(&[], &source.key_schema(), &target.key_schema()).unwrap();
    let world = World::new(scenario, source.key_schema());
    let job = Job {
        migration: "orders".into(),
        target,
        like_source: false,
        transform,
        source_key: source.key_schema(),
        engine: EngineSettings::default(),
        allowed: Allowed::default(),
        host: "machine".into(),
        who: "somebody".into(),
    };
    let mut life = JoinSet::new();
    life.spawn_local(Arc::clone(&world).live());
    let mut play = Play { process: Process::start(&world, &job), world, job, memory: 0, report: Report::default() };
    play.copy().await;
    play.then().await;
    play.finish().await
}

fn indexes(scenario: &Scenario) -> BTreeMap<String, IndexLayout> {
    let index = |number: usize| IndexLayout {
        partition_keys: vec![(format!("attribute{number}"), KeyType::S)],
        sort_keys: Vec::new(),
        projection: Projection::All,
        throughput: None,
    };
    (0..scenario.indexes).map(|number| (format!("index{number}"), index(number))).collect()
}

struct Process {
    monitor: Arc<Monitor>,
    stop: CancellationToken,
    task: JoinSet<Result<(), EngineError>>,
}

impl Process {
    fn start(world: &Arc<World>, job: &Job) -> Self {
        let (monitor, stop, mut task) = (Arc::new(Monitor::default()), CancellationToken::new(), JoinSet::new());
        let ports = Arc::new(ScalePorts::new(world));
        task.spawn_local(run(ports, job.clone(), Arc::new(Meters::default()), Arc::clone(&monitor), stop.clone()));
        Self { monitor, stop, task }
    }
}

struct Play {
    world: Arc<World>,
    job: Job,
    process: Process,
    /// The most that the engine held.
    memory: usize,
    report: Report,
}

impl Play {
    /// Waits until this holds, and says how long that took.
    async fn until(&mut self, holds: impl Fn(&World, &Status) -> bool) -> Duration {
        let began = self.world.elapsed();
        loop {
            sleep(LOOK).await;
            if let Some(ended) = self.process.task.try_join_next() {
                panic!("the process ended: {ended:?}");
            }
            let status = self.process.monitor.status();
            if let Some(leg) = status.as_ref().and_then(Status::leg) {
                self.memory = self.memory.max(leg.apply.bytes);
                if let Some(lag) = leg.lag_seconds {
                    self.world.state().seen.told.push(lag as f32);
                }
            }
            let took = self.world.elapsed() - began;
            if status.as_ref().is_some_and(|status| holds(&self.world, status)) {
                return took;
            }
            assert!(took < PATIENCE, "it does not end: {status:#?}");
        }
    }

    async fn copy(&mut self) {
        self.report.until_copy = self.until(|_, status| status.copy.segments > 0).await;
        self.looked_at();
        self.world.state().copying = Some(self.world.elapsed());
        let took = self.until(|_, status| status.copy.segments == status.copy.segments_done);
        self.report.copy = took.await;
        let Scenario { items, writes, hot, hot_is, partitions: (first, most), .. } = self.world.scenario;
        let capacity = ideal(f64::from(items), writes + hot, first, most, DOUBLES);
        let budget = self
            .world
            .scenario
            .provisioned
            .map(|(units, used)| Duration::from_secs_f64(f64::from(items) / 4.0 / (units - used).max(1.0)));
        self.report.ideal = capacity.max(budget.unwrap_or_default());
        let index_key = hot_is == Hot::IndexKey && hot > 0.0;
        self.report.ideal_is = if index_key { "without the hot value" } else { "by capacity" };
        self.report.during_copy = self.looked_at();
    }

    /// What was seen since it was looked at last.
    fn looked_at(&mut self) -> (Duration, Seen) {
        let now = self.world.elapsed();
        let seen = std::mem::take(&mut self.world.state().seen);
        let span = now - std::mem::replace(&mut self.report.looked, now);
        (span, seen)
    }

    async fn then(&mut self) {
        match self.world.scenario.then {
            Then::Steady(span) => {
                let end = self.world.elapsed() + span;
                self.until(move |world, _| world.elapsed() >= end).await;
            }
            Then::Away(span) => {
                self.process.stop.cancel();
                let ended = self.process.task.join_next().await;
                assert!(matches!(ended, Some(Ok(Ok(())))), "{ended:?}");
                sleep(span).await;
                self.looked_at();
                self.report.backlog = self.world.state().behind();
                self.process = Process::start(&self.world, &self.job);
                self.report.recovered = Some(self.until(|world, _| world.state().behind() < 2_000).await);
            }
            Then::Takeover => {
                let end = self.world.elapsed() + AROUND_TAKEOVER;
                self.until(move |world, _| world.elapsed() >= end).await;
                self.process.task.shutdown().await;
                sleep(Duration::from_millis(1)).await;
                self.looked_at();
                self.report.entries = self.world.state().entries.len();
                self.process = Process::start(&self.world, &self.job);
                let shards = self.world.state().stream.open_shards();
                let polled = move |_: &World, status: &Status| {
                    status.leg().is_some_and(|leg| {
                        leg.since_poll_seconds.is_some_and(|age| age < 5.0) && leg.tail.shards_open >= shards
                    })
                };
                self.report.recovered = Some(self.until(polled).await);
                let end = self.world.elapsed() + AROUND_TAKEOVER;
                self.until(move |world, _| world.elapsed() >= end).await;
            }
        }
        self.report.after_copy = self.looked_at();
    }

    async fn finish(mut self) -> Report {
        let now = self.world.elapsed();
        {
            let state = &mut *self.world.state();
            self.report.others = state.stream.others(now);
            self.report.application = state.reads.iter_mut().fold((0.0, 0.0), |(asked, lost), bucket| {
                bucket.has(now);
                (asked + bucket.asked, lost + bucket.lost)
            });
            self.report.capacity = state.writes[0].capacity();
        }
        self.report.segments = self.process.monitor.status().map_or(0, |status| status.copy.segments);
        self.process.stop.cancel();
        let ended = self.process.task.join_next().await;
        assert!(matches!(ended, Some(Ok(Ok(())))), "{ended:?}");
        let state = self.world.state();
        // The application goes on to the last moment: what is not there yet is known to be under way.
        let (differ, behind) = (state.differences(), state.behind());
        assert!(differ <= behind, "{differ} items differ, and {behind} changes are under way");
        drop(state);
        self.report.memory = self.memory;
        self.report.scenario = Some(self.world.scenario.clone());
        self.report
    }
}
