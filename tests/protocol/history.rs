//! Invariant 8: trimmed history is never skipped.

use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::ports::Fault;
use tokio::time::{advance, sleep};

use testkit::fakes::{Call, Fate, Freeze, World};
use testkit::harness::{Kind, Running, assert_exact, job, simulate, start};

/// What the migration says that it has lost.
async fn lost(world: &World, running: Running) -> String {
    let ended = running.ended().await;
    assert_eq!(world.state().phase(), "needs-reseed", "{ended:?}");
    let Err(EngineError::Lost(lost)) = ended else { panic!("{ended:?}") };
    lost
}

#[test]
fn a_shard_that_is_known_through_a_time_long_ago_stops_the_migration_when_it_is_resumed() {
    for (down, is_lost) in [(Duration::from_hours(22), false), (Duration::from_mins(23 * 60 + 5), true)] {
        simulate(async {
            let world = Kind::SameKey.world(1);
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            world.put("before", &[]);
            running.caught_up().await;
            running.stop().await.unwrap();
            advance(down).await;
            world.put("a", &[]);
            let mut running = start(&world, &job(&world));
            if is_lost {
                let lost = lost(&world, running).await;
                assert!(lost.contains("may have been trimmed"), "{lost}");
            } else {
                running.caught_up().await;
                assert_exact(&world);
            }
        });
    }
}

#[test]
fn a_shard_that_cannot_be_read_for_too_long_stops_the_migration_in_flight() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut job = job(&world);
        job.engine.tail.retention_margin = Duration::from_mins(3);
        let mut running = start(&world, &job);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Records => Fate::throttled(),
            _ => Fate::answered(),
        });
        sleep(Duration::from_mins(2)).await;
        assert!(running.is_running());
        sleep(Duration::from_mins(2)).await;
        let lost = lost(&world, running).await;
        assert!(lost.contains("may have been trimmed"), "{lost}");
    });
}

/// It had nothing new for so long that the place up to which it was read is no longer kept. Nothing was missed.
#[test]
fn a_shard_at_rest_for_more_than_a_day_is_resumed_from_its_beginning() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let job = job(&world);
        let mut running = start(&world, &job);
        running.caught_up().await;
        world.put("before", &[]);
        for down in [22, 3] {
            running.caught_up().await;
            running.stop().await.unwrap();
            advance(Duration::from_hours(down)).await;
            running = start(&world, &job);
        }
        running.caught_up().await;
        running.stop().await.unwrap();
        world.put("meanwhile", &[]);
        running = start(&world, &job);
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn the_services_own_word_that_records_were_trimmed_stops_the_migration() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Records => Fate::fault(Fault::Trimmed),
            _ => Fate::answered(),
        });
        let lost = lost(&world, running).await;
        assert!(lost.contains("were trimmed"), "{lost}");
    });
}

#[test]
fn a_checkpoint_behind_which_records_were_trimmed_stops_the_migration() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut job = job(&world);
        // So that only the service can tell.
        job.engine.tail.retention_margin = Duration::from_hours(1_000);
        let mut running = start(&world, &job);
        world.put("a", &[]);
        running.caught_up().await;
        world.put("a", &[]);
        running.caught_up().await;
        running.stop().await.unwrap();
        world.put("b", &[]);
        advance(Duration::from_hours(25)).await;
        world.put("c", &[]);
        let running = start(&world, &job);
        let lost = lost(&world, running).await;
        assert!(lost.contains("were trimmed"), "{lost}");
    });
}

#[test]
fn a_shard_whose_parent_was_never_seen_stops_the_migration() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("a", &[]);
        let child = world.roll(&world.shard_of("a"));
        world.state().stream.unlisted.insert(child.clone());
        world.put("a", &[]);
        world.roll(&child);
        let lost = lost(&world, running).await;
        assert!(lost.contains("was never read"), "{lost}");
    });
}

#[test]
fn a_parent_that_is_listed_late_is_no_loss() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("a", &[]);
        let child = world.roll(&world.shard_of("a"));
        world.state().stream.unlisted.insert(child.clone());
        world.put("a", &[]);
        world.roll(&child);
        world.put("a", &[]);
        sleep(Duration::from_secs(30)).await;
        world.state().stream.unlisted.clear();
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// One child is known, so the shard that was split does not look as if a child were missing.
#[test]
fn what_a_parent_that_is_listed_late_may_hold_counts_as_lag() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.split(&world.shard_of("a"), 2);
        let child = world.shard_of("a");
        world.state().stream.unlisted.insert(child.clone());
        world.put("a", &[]);
        world.roll(&child);
        sleep(Duration::from_secs(30)).await;
        let lag = running.status().unwrap().lag_seconds().unwrap();
        assert!(lag >= 30.0, "{lag}");
        world.state().stream.unlisted.clear();
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// Nothing was ever read from the shard, so there is no position behind which the service could miss records.
async fn a_long_freeze(freeze: Freeze, offset: Duration) {
    let world = Kind::SameKey.world(7);
    let mut job = job(&world);
    // So that reading often goes on before checkpoints do.
    job.engine.lease.checkpoint = Duration::from_secs(5);
    let mut running = start(&world, &job);
    running.caught_up().await;
    sleep(offset).await;
    running.process.freeze();
    advance(Duration::from_mins(10)).await;
    world.put("lost", &[]);
    advance(Duration::from_hours(3)).await;
    world.put("kept", &[]);
    advance(Duration::from_hours(22)).await;
    running.process.thaw(freeze);
    let lost = lost(&world, running).await;
    assert!(lost.contains("may have been trimmed"), "{lost}");
}

#[test]
fn a_process_that_was_frozen_for_more_than_a_day_does_not_read_over_what_was_trimmed() {
    for freeze in [Freeze::Stopped, Freeze::Suspended] {
        for offset in (0..5_000).step_by(190) {
            simulate(a_long_freeze(freeze, Duration::from_millis(offset)));
        }
    }
}

#[test]
fn a_process_that_was_frozen_overnight_goes_on() {
    for freeze in [Freeze::Stopped, Freeze::Suspended, Freeze::SuspendedWithoutBootClock] {
        simulate(async {
            let world = Kind::SameKey.world(8);
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            running.process.freeze();
            world.put("a", &[]);
            advance(Duration::from_hours(9)).await;
            running.process.thaw(freeze);
            running.caught_up().await;
            assert_exact(&world);
        });
    }
}
