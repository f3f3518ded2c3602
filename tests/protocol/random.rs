//! Random histories under random faults, crashes and restarts. At the end the faults stop, and the shadow must become
//! the transformed source exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::model::ViewType;
use shadowtable::ports::Fault;
use shadowtable::runtime::{Job, Readiness};
use tokio::time::sleep;

use crate::fakes::{Call, Fate, Freeze, REFUSED, World};
use crate::harness::{Kind, Running, assert_exact, given, job, simulate, start};

/// Seeds of each kind of migration, unless the environment says `SEEDS`; `SEED` chooses one.
const SEEDS: u64 = 12;

type Chance = Arc<Mutex<fastrand::Rng>>;

/// Faults within what the protocol assumes: nothing lands later than the abandonment bound.
fn faults(world: &World, chance: Chance) {
    world.script(move |_, call| {
        let mut chance = chance.lock().unwrap();
        let lands = Duration::from_millis(chance.u64(0..8_500));
        let slow = Fate::slow_reply(Duration::from_millis(chance.u64(0..3_000)));
        match (call, chance.u32(0..100)) {
            (Call::Write(_), 0..8) | (Call::StatePut(_) | Call::StateDelete(_), 0..3) => Fate::late(lands),
            (Call::Write(_), 8..14) | (Call::StatePut(_) | Call::StateDelete(_), 3..6) => Fate::reply_lost(),
            (Call::Write(_), 14..20)
            | (Call::StatePut(_) | Call::StateDelete(_), 6..9)
            | (Call::Records | Call::Iterator | Call::Shards | Call::Scan | Call::Get, 20..25) => Fate::throttled(),
            (Call::Write(_), 20..30) => Fate::sparing(chance.u32(..)),
            (Call::Write(_), 30..33) => Fate::lost(),
            (Call::Records, 0..20) => Fate::sparing(1),
            (Call::Records, 40..42) => Fate::fault(Fault::IteratorExpired),
            (Call::Scan | Call::Get | Call::Records, 25..40) => slow,
            _ => Fate::answered(),
        }
    });
}

fn one_write(world: &World, chance: &mut fastrand::Rng) {
    let id = format!("item-{}", chance.u32(0..14));
    if chance.u32(0..10) < 3 {
        return world.delete(&id);
    }
    let (place, email) = (format!("place-{}", chance.u32(0..3)), format!("email-{}", chance.u32(0..8)));
    let mut attributes = vec![("place", place.as_str()), ("email", email.as_str())];
    if chance.u32(0..12) == 0 {
        // Without the new key the transform refuses it.
        attributes.remove(chance.usize(0..2));
    }
    if chance.u32(0..15) == 0 {
        attributes.push((REFUSED, "yes"));
    }
    world.put(&id, &attributes);
}

/// Shards split and roll, and listings leave closed ones out for a while.
fn stream_event(world: &World, chance: &mut fastrand::Rng) {
    let open = world.state().stream.open();
    match chance.u32(0..50) {
        0 | 1 => {
            let shard = chance.choice(&open).unwrap().clone();
            world.split(&shard, chance.u64(1..4));
        }
        2 => {
            let stream = &mut world.state().stream;
            let closed = stream.shards.iter().map(|shard| shard.id.clone()).filter(|id| !open.contains(id));
            stream.unlisted = closed.filter(|_| chance.bool()).collect();
        }
        3..10 => world.state().stream.unlisted.clear(),
        _ => {}
    }
}

/// The processes that run the migration: one, or two of which one stands by.
struct Processes {
    running: Vec<Running>,
    frozen: Option<(Running, u32)>,
    job: Job,
}

impl Processes {
    async fn event(&mut self, world: &Arc<World>, chance: &mut fastrand::Rng) {
        if let Some((_, steps)) = &mut self.frozen {
            *steps -= 1;
        }
        if let Some((thawed, _)) = self.frozen.take_if(|(_, steps)| *steps == 0) {
            let how = [Freeze::Stopped, Freeze::Suspended, Freeze::SuspendedWithoutBootClock];
            thawed.process.thaw(*chance.choice(&how).unwrap());
            self.running.push(thawed);
        }
        let one = chance.usize(0..self.running.len());
        match chance.u32(0..160) {
            0..4 => self.running.remove(one).crash().await,
            // Under faults it may fail to give the lease back, or to save; the next one does not depend on it.
            4..6 => drop(self.running.remove(one).stop().await),
            6..8 if self.frozen.is_none() => {
                let freezing = self.running.remove(one);
                freezing.process.freeze();
                self.frozen = Some((freezing, chance.u32(1..50)));
            }
            8..10 if self.running.len() < 2 => self.running.push(start(world, &self.job)),
            _ => {}
        }
        if self.running.is_empty() {
            self.running.push(start(world, &self.job));
        }
        assert!(self.running.iter_mut().all(Running::is_running));
    }

    /// The one that holds the lease, once one does.
    async fn active(&mut self) -> &mut Running {
        let mut left = 600_u32;
        loop {
            let active = self.running.iter().position(|one| one.monitor.readiness() == Readiness::Active);
            if let Some(index) = active {
                return &mut self.running[index];
            }
            assert!(left > 0, "nobody takes the lease");
            left -= 1;
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn history(kind: Kind, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let view =
        if kind == Kind::SameKey && chance.u32(0..3) == 0 { ViewType::KeysOnly } else { ViewType::NewAndOldImages };
    let world = kind.world_with(seed, chance.u64(1..4), view);
    (0..chance.u32(0..30)).for_each(|_| one_write(&world, &mut chance));
    world.state().stream.children_late = Duration::from_millis(chance.u64(0..4_000));
    let mut job = job(&world);
    job.engine.copy.page_items = Some(chance.u32(1..5));
    // Every limit is met.
    job.engine.apply.concurrency = chance.u32(1..5);
    job.engine.apply.memory_bytes = chance.usize(1_000..20_000);
    job.engine.apply.overtaken_limit = chance.usize(1..10);
    faults(&world, Arc::new(Mutex::new(chance.fork())));
    let mut processes = Processes { running: vec![start(&world, &job)], frozen: None, job };
    for _ in 0..chance.u32(60..200) {
        one_write(&world, &mut chance);
        stream_event(&world, &mut chance);
        processes.event(&world, &mut chance).await;
        sleep(Duration::from_millis(chance.u64(0..1_500))).await;
    }
    if let Some((thawed, _)) = processes.frozen.take() {
        thawed.process.thaw(Freeze::Suspended);
        processes.running.push(thawed);
    }
    world.no_more_faults();
    world.state().stream.unlisted.clear();
    // What was abandoned under way may still land; only then is the end the end.
    sleep(Duration::from_mins(1)).await;
    processes.active().await.caught_up().await;
    sleep(Duration::from_secs(20)).await;
    assert_exact(&world);
}

fn histories(kind: Kind) {
    let seeds = match (given("SEED"), given("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(SEEDS),
    };
    for seed in seeds {
        println!("SEED={seed}");
        simulate(history(kind, seed));
    }
}

#[test]
fn random_histories_end_equal() {
    histories(Kind::SameKey);
}

#[test]
fn random_histories_of_items_that_move_end_equal() {
    histories(Kind::Moving);
}

#[test]
fn random_histories_of_items_that_claim_one_key_end_equal() {
    histories(Kind::Owned);
}
