//! Invariant 1: writes to one shadow key are serialised, late ones included.

use std::time::Duration;

use tokio::time::sleep;

use testkit::fakes::{Call, Fate, key_of, version_of};
use testkit::harness::{Kind, assert_exact, job, simulate, start};

/// A batch is given up after a second and lands 8 s later; a newer image comes in between. Returns the versions at the
/// source and in the shadow at the end.
async fn late_landing(bound: Duration) -> (usize, usize) {
    let world = Kind::SameKey.world(1);
    let mut job = job(&world);
    job.engine.apply.abandon = bound;
    let mut running = start(&world, &job);
    running.caught_up().await;
    let mut first = true;
    world.script(move |_, call| match call {
        Call::Write(_) if std::mem::take(&mut first) => Fate::late(Duration::from_secs(8)),
        _ => Fate::answered(),
    });
    world.put("a", &[("place", "old")]);
    sleep(Duration::from_secs(4)).await;
    let newest = world.put("a", &[("place", "new")]);
    sleep(Duration::from_secs(20)).await;
    running.caught_up().await;
    let state = world.state();
    let shown = version_of(&state.shadow[&key_of(&state, "a")]);
    (newest, shown)
}

#[test]
fn a_batch_that_lands_late_does_not_undo_a_newer_image() {
    simulate(async {
        let (newest, shown) = late_landing(Duration::from_secs(10)).await;
        assert_eq!(newest, shown);
    });
}

#[test]
fn without_the_abandonment_bound_a_late_landing_would_lose_the_newer_image() {
    simulate(async {
        let (newest, shown) = late_landing(Duration::ZERO).await;
        assert!(shown < newest, "the bound is what protects: without it this test must see the loss");
    });
}

#[test]
fn what_comes_back_unprocessed_or_throttled_goes_again_before_anything_newer() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let mut calls = 0_u32;
        world.script(move |_, call| match call {
            Call::Write(_) => {
                calls += 1;
                match calls % 3 {
                    0 => Fate::answered(),
                    1 => Fate::sparing(0b1010_1010_1010),
                    _ => Fate::throttled(),
                }
            }
            _ => Fate::answered(),
        });
        for round in 0..5 {
            for item in 0..12 {
                world.put(&format!("item-{item}"), &[("round", &round.to_string())]);
            }
            sleep(Duration::from_millis(300)).await;
        }
        running.caught_up().await;
        assert_exact(&world);
    });
}
