//! Two migrations that want one shadow, started at the same time, killed and started again: never both have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::runtime::Job;
use tokio::time::sleep;

use testkit::fakes::{Event, State, World};
use testkit::harness::{Kind, Running, given, job, simulate, start};
use testkit::histories::faults::{self, Class};

const SEEDS: u64 = 1_000;
/// Longer than it takes to find out, when nothing fails any more: a lease runs out, and what was given up lands.
const FOUND_OUT: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_secs(2);
const A_WHILE: Duration = Duration::from_secs(10);

const FAULTS: [Class; 8] = [
    Class::LateEntry,
    Class::VeryLateEntry,
    Class::LostEntryReply,
    Class::ThrottledEntry,
    Class::SlowEntry,
    Class::StateRead,
    Class::ThrottledRead,
    Class::SlowRead,
];

struct Contender {
    job: Job,
    running: Option<Running>,
    refused: Option<EngineError>,
}

impl Contender {
    fn new(world: &World, migration: &str) -> Self {
        Self { job: Job { migration: migration.to_owned(), ..job(world) }, running: None, refused: None }
    }

    fn start(&mut self, world: &Arc<World>, processes: &mut BTreeMap<u32, String>) {
        let running = start(world, &self.job);
        processes.insert(running.process.id(), self.job.migration.clone());
        (self.running, self.refused) = (Some(running), None);
    }

    /// Notices that it ended.
    fn look(&mut self) {
        if let Some(Err(error)) = self.running.as_mut().and_then(Running::try_end) {
            self.running = None;
            self.refused = Some(error);
        }
    }
}

/// The migrations that ever recorded a shadow.
fn owners(state: &State) -> BTreeSet<String> {
    let stored = state.log.iter().filter_map(|(_, _, event)| match event {
        Event::Stored(entry) if entry.key.sort == "META" && !entry.body["tables"]["shadow"]["identity"].is_null() => {
            Some(entry)
        }
        _ => None,
    });
    stored.map(|entry| entry.body["migration"].as_str().unwrap().to_owned()).collect()
}

async fn race(seed: u64) {
    let world = Kind::SameKey.world(seed);
    for item in 0..6 {
        world.put(&format!("item-{item}"), &[("place", "here")]);
    }
    let mut chance = fastrand::Rng::with_seed(seed);
    if !seed.is_multiple_of(4) {
        faults::allow(&world, seed, FAULTS.into_iter().filter(|_| chance.bool()).collect());
    }
    let mut contenders = [Contender::new(&world, "orders"), Contender::new(&world, "others")];
    let mut processes = BTreeMap::new();
    if chance.bool() {
        contenders.swap(0, 1);
    }
    for contender in &mut contenders {
        contender.start(&world, &mut processes);
        sleep(Duration::from_millis(chance.u64(0..30))).await;
    }
    for _ in 0..chance.u32(0..6) {
        sleep(Duration::from_millis(chance.u64(0..2_000))).await;
        let contender = &mut contenders[chance.usize(0..2)];
        contender.look();
        if let Some(running) = contender.running.take() {
            running.crash().await;
            sleep(Duration::from_millis(chance.u64(0..500))).await;
        }
        contender.start(&world, &mut processes);
    }
    world.no_more_faults();
    let mut left = FOUND_OUT;
    let decided = |contenders: &[Contender]| {
        let refused = contenders.iter().any(|contender| contender.refused.is_some());
        refused && !owners(&world.state()).is_empty()
    };
    while !decided(&contenders) && !left.is_zero() {
        sleep(LOOK).await;
        left = left.saturating_sub(LOOK);
        contenders.iter_mut().for_each(Contender::look);
    }
    // The other one may be about to.
    sleep(A_WHILE).await;
    contenders.iter_mut().for_each(Contender::look);
    let owners = owners(&world.state());
    assert_eq!(owners.len(), 1, "seed {seed}: the shadow's owners are {owners:?}");
    let owner = owners.first().unwrap();
    for contender in &contenders {
        if contender.job.migration == *owner {
            assert!(contender.running.is_some(), "seed {seed}: {:?}", contender.refused);
        } else {
            let refused = contender.refused.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(refused.contains(&format!("migration {owner}")), "seed {seed}: {refused}");
        }
    }
    for (_, process, event) in &world.state().log {
        if matches!(event, Event::Shadow { .. }) {
            assert_eq!(processes.get(process), Some(owner), "seed {seed}: somebody else wrote the shadow");
        }
    }
}

#[test]
fn two_migrations_never_have_one_shadow() {
    let first = given("SEED").unwrap_or(0);
    for seed in first..first + given("SEEDS").unwrap_or(SEEDS) {
        simulate(race(seed));
    }
}
