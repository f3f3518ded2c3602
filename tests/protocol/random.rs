//! Random histories under random faults, crashes and restarts. At the end the faults stop, and the shadow must become
//! the transformed source exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::model::ViewType;
use tokio::time::sleep;

use crate::fakes::{Call, Fate, World};
use crate::harness::{Kind, assert_exact, job, simulate, start};

/// Seeds of each kind of migration, unless the environment says `SEEDS`; `SEED` chooses one.
const SEEDS: u64 = 12;

type Chance = Arc<Mutex<fastrand::Rng>>;

/// Faults within what the protocol assumes: nothing lands later than the abandonment bound.
#[expect(clippy::match_same_arms, reason = "a table of odds by call")]
fn faults(world: &World, chance: Chance) {
    world.script(move |_, call| {
        let mut chance = chance.lock().unwrap();
        let lands = Duration::from_millis(chance.u64(0..8_500));
        let slow = Fate::slow_reply(Duration::from_millis(chance.u64(0..3_000)));
        match (call, chance.u32(0..100)) {
            (Call::Write(_), 0..8) => Fate::late(lands),
            (Call::Write(_), 8..14) => Fate::reply_lost(),
            (Call::Write(_), 14..20) => Fate::throttled(),
            (Call::Write(_), 20..30) => Fate::sparing(chance.u32(..)),
            (Call::Write(_), 30..33) => Fate::lost(),
            (Call::StatePut(_) | Call::StateDelete(_), 0..3) => Fate::late(lands),
            (Call::StatePut(_) | Call::StateDelete(_), 3..6) => Fate::reply_lost(),
            (Call::StatePut(_) | Call::StateDelete(_), 6..9) => Fate::throttled(),
            (Call::Records { .. }, 0..20) => Fate::sparing(1),
            (Call::Records { .. } | Call::Iterator { .. } | Call::Shards | Call::Scan(_) | Call::Get(_), 20..25) => {
                Fate::throttled()
            }
            (Call::Scan(_) | Call::Get(_) | Call::Records { .. }, 25..40) => slow,
            _ => Fate::answered(),
        }
    });
}

fn one_write(world: &World, chance: &mut fastrand::Rng) {
    let id = format!("item-{}", chance.u32(0..14));
    if chance.u32(0..10) < 3 {
        world.delete(&id);
    } else {
        let (place, email) = (format!("place-{}", chance.u32(0..3)), format!("email-{}", chance.u32(0..8)));
        world.put(&id, &[("place", &place), ("email", &email)]);
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
    faults(&world, Arc::new(Mutex::new(chance.fork())));
    let mut running = start(&world, &job);
    for _ in 0..chance.u32(60..160) {
        one_write(&world, &mut chance);
        if chance.u32(0..25) == 0 {
            let open = world.state().stream.open();
            let shard = chance.choice(&open).unwrap().clone();
            world.split(&shard, chance.u64(1..4));
        }
        if chance.u32(0..40) == 0 {
            running.crash().await;
            running = start(&world, &job);
        } else {
            running.is_running();
        }
        sleep(Duration::from_millis(chance.u64(0..1_500))).await;
    }
    world.no_more_faults();
    // What was abandoned under way may still land; only then is the end the end.
    sleep(Duration::from_secs(10)).await;
    running.caught_up().await;
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

#[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
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
