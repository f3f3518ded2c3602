//! Invariant 3: a shard's checkpoint passes a record only behind what is durable. The fakes look after every write to
//! the state table; the tests bring them into trouble.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use testkit::fakes::{Death, Event, World, key_of};
use testkit::harness::{Kind, Running, assert_exact, job, never_writes, simulate, start, start_as};

#[test]
fn a_change_that_was_offered_and_is_not_durable_is_replayed_after_a_crash() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let stuck = key_of(&world.state(), "stuck");
        never_writes(&world, stuck.clone());
        world.put("stuck", &[]);
        sleep(Duration::from_secs(3)).await;
        world.put("other", &[]);
        sleep(Duration::from_secs(5)).await;
        {
            let state = world.state();
            let other = key_of(&state, "other");
            assert!(state.shadow.contains_key(&other) && !state.shadow.contains_key(&stuck));
        }
        running.crash().await;
        world.no_more_faults();
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        let state = world.state();
        let replayed = |(_, process, event): &(_, u32, Event)| {
            *process == 1 && matches!(event, Event::Shadow { key, .. } if *key == stuck)
        };
        assert!(state.log.iter().any(replayed));
    });
}

/// Puts, deletions and a split, over some seconds.
async fn workload(world: &Arc<World>) {
    for step in 0..12_u32 {
        let id = format!("item-{}", step % 5);
        if step % 4 == 3 {
            world.delete(&id);
        } else {
            let place = if step % 2 == 0 { "here" } else { "there" };
            world.put(&id, &[("place", place), ("email", "e")]);
        }
        if step == 6 {
            let shard = world.shard_of("item-1");
            world.split(&shard, 2);
        }
        sleep(Duration::from_millis(700)).await;
    }
}

async fn first_run(kind: Kind, dies: Option<(u64, Death)>) -> (Arc<World>, Running) {
    let world = kind.world(3);
    (0..7)
        .for_each(|item| _ = world.put(&format!("item-{item}"), &[("place", "here"), ("email", &format!("e-{item}"))]));
    let process = world.process();
    if let Some((call, death)) = dies {
        process.dies_at(call, death);
    }
    let mut running = start_as(process, &job(&world));
    workload(&world).await;
    if dies.is_none() {
        running.caught_up().await;
    }
    (world, running)
}

async fn a_crash_at_any_call(kind: Kind) {
    let (world, running) = first_run(kind, None).await;
    assert_exact(&world);
    let calls = running.process.calls();
    // A prime step, so that all kinds of calls come round.
    for (index, call) in (1..calls).step_by(7).enumerate() {
        let death = [Death::Before, Death::After][index % 2];
        let (world, running) = first_run(kind, Some((call, death))).await;
        running.process.died().await;
        running.crash().await;
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        println!("died {death:?} call {call} of {calls}");
        assert_exact(&world);
    }
}

#[test]
fn a_crash_at_any_call_loses_nothing() {
    simulate(a_crash_at_any_call(Kind::SameKey));
}

#[test]
fn a_crash_at_any_call_loses_nothing_where_items_move() {
    simulate(a_crash_at_any_call(Kind::Moving));
}

#[test]
fn a_crash_at_any_call_loses_nothing_where_two_items_may_claim_one_key() {
    simulate(a_crash_at_any_call(Kind::Owned));
}
