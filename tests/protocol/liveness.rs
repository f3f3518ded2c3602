//! What should happen does happen: nothing waits for a wake-up that never comes, and a stop is clean.

use std::collections::BTreeSet;
use std::time::Duration;

use shadowtable::engine::EngineError;
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, REFUSED};
use testkit::harness::{Kind, assert_exact, fill, job, simulate, start};

#[test]
fn a_copy_whose_last_items_are_refused_is_completed() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        fill(&world, 3, &[(REFUSED, "yes")]);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 3);
    });
}

#[test]
fn a_page_of_items_that_the_transform_refuses_does_not_wait_for_memory_that_only_it_holds() {
    simulate(async {
        let world = Kind::Moving.world(2);
        fill(&world, 300, &[]);
        let mut job = job(&world);
        job.engine.copy.page_items = Some(300);
        job.engine.apply.memory_bytes = 50_000;
        let mut running = start(&world, &job);
        running.caught_up().await;
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 300);
    });
}

#[test]
fn an_item_refused_and_mended_leaves_quarantine() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("a", &[]);
        world.put("a", &[(REFUSED, "yes")]);
        fill(&world, 30, &[]);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 1);
        world.put("a", &[]);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 0);
    });
}

#[test]
fn more_items_in_quarantine_than_the_limit_stop_the_migration() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        fill(&world, 3, &[(REFUSED, "yes")]);
        let mut job = job(&world);
        job.engine.apply.quarantine_limit = 3;
        let mut running = start(&world, &job);
        running.caught_up().await;
        world.put("one-too-many", &[(REFUSED, "yes")]);
        match running.ended().await {
            Err(EngineError::Refused { problem, .. }) => {
                assert!(problem.contains("4 items are in quarantine"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 4, "what was refused last is kept too");
    });
}

#[test]
fn a_stop_is_clean_at_any_moment() {
    simulate(async {
        for millis in (0..2_500).step_by(53) {
            let world = Kind::SameKey.world(4);
            fill(&world, 5, &[]);
            world.script(|_, call| match call {
                Call::StatePut(_) => Fate::slow(Duration::from_millis(150)),
                _ => Fate::answered(),
            });
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            world.put("a", &[]);
            sleep(Duration::from_millis(millis)).await;
            let stopped = running.stop().await;
            assert!(stopped.is_ok(), "stopped {millis} ms after a change: {stopped:?}");
            assert_eq!(world.state().entry("LEASE").unwrap().body["released"], true);
        }
    });
}

#[test]
fn any_call_may_fail_when_it_is_made_first() {
    simulate(async {
        for fate in [Fate::throttled(), Fate::lost(), Fate::reply_lost()] {
            let world = Kind::SameKey.world(5);
            fill(&world, 5, &[]);
            let mut seen = BTreeSet::new();
            world.script(move |_, call| {
                let what = match call {
                    Call::StateGet(key) | Call::StateDelete(key) => format!("state {}", key.sort),
                    Call::StateList(prefix) => format!("list {prefix}"),
                    // The audit trail's lines have names of their own.
                    Call::StatePut(entry) => format!("put {}", entry.key.sort.split('#').next().unwrap()),
                    other => format!("{:?}", std::mem::discriminant(other)),
                };
                if seen.insert(what) { fate } else { Fate::answered() }
            });
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            world.roll(&world.shard_of("a"));
            world.put("a", &[]);
            running.caught_up().await;
            assert_exact(&world);
            running.stop().await.unwrap();
        }
    });
}

#[test]
fn a_stop_ends_well_even_while_the_state_table_or_the_tables_do_not_answer() {
    simulate(async {
        for after in [Duration::from_millis(200), Duration::from_secs(20)] {
            let world = Kind::SameKey.world(6);
            fill(&world, 5, &[]);
            let running = start(&world, &job(&world));
            sleep(after).await;
            world.script(|_, call| match call {
                Call::Write(_) | Call::Records | Call::Scan => Fate::answered(),
                _ => Fate::lost(),
            });
            sleep(Duration::from_secs(3)).await;
            let asked = world.elapsed();
            running.stop().await.unwrap();
            let took = world.elapsed().saturating_sub(asked);
            assert!(took < Duration::from_mins(2), "it took {took:?}");
        }
    });
}
