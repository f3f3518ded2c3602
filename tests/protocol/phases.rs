//! Invariant 7: a phase changes only through the transition function, conditionally on the version read.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::model::{TableLayout, ViewType};
use shadowtable::operator::reseed;
use shadowtable::runtime::Job;
use tokio::time::sleep;

use testkit::fakes::{Call, Event, FakePorts, Fate};
use testkit::harness::{Kind, assert_exact, job, simulate, start, until};

#[test]
fn a_phase_is_not_written_over_a_version_that_was_not_read() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        world.put("a", &[]);
        world.script(|_, call| match call {
            Call::Scan => Fate::throttled(),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        until(&world, "the copy runs", |state| state.phase() == "copying").await;
        let tampered = {
            let mut state = world.state();
            let meta = state.entries.values_mut().find(|entry| entry.key.sort == "META").unwrap();
            meta.version += 1;
            meta.body["reason"] = "written by somebody else".into();
            meta.version
        };
        world.no_more_faults();
        running.caught_up().await;
        // The write over the version read before was refused. The process took that for the loss of its lease, and read
        // everything again under a new one before it went on.
        let state = world.state();
        let meta = state.entry("META").unwrap();
        assert_eq!(meta.epoch, 2);
        assert!(meta.version > tampered);
        assert_eq!(state.phase(), "tailing");
    });
}

#[test]
fn a_shadow_replaced_before_the_pin_needs_a_reseed_and_says_why() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        world.script(|_, call| match call {
            Call::StatePut(entry) if entry.body["phase"] == "provisioned" => Fate::lost(),
            _ => Fate::answered(),
        });
        let running = start(&world, &job(&world));
        until(&world, "the shadow is recorded", |state| {
            state.entry("META").is_some_and(|meta| !meta.body["tables"]["shadow"]["identity"].is_null())
        })
        .await;
        running.crash().await;
        world.no_more_faults();
        world.state().shadow_layout.as_mut().unwrap().1 = "another table".into();
        match start(&world, &job(&world)).ended().await {
            Err(EngineError::Lost(reason)) => assert!(reason.contains("another table"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.state().phase(), "needs-reseed");
    });
}

#[test]
fn items_that_move_are_not_replayed_from_a_stream_without_old_images() {
    simulate(async {
        for view in [ViewType::KeysOnly, ViewType::NewImage] {
            let world = Kind::Moving.world_with(4, 1, view);
            match start(&world, &job(&world)).ended().await {
                Err(EngineError::Refused { problem, .. }) => assert!(problem.contains("old image"), "{problem}"),
                other => panic!("{other:?}"),
            }
            assert!(world.state().shadow_layout.is_none(), "nothing was made");
        }
    });
}

#[test]
fn the_phases_are_gone_through_in_order_one_version_at_a_time() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        sleep(Duration::from_secs(5)).await;
        let state = world.state();
        let metas = state.log.iter().filter_map(|(_, _, event)| match event {
            Event::Stored(entry) if entry.key.sort == "META" => Some(entry),
            _ => None,
        });
        let metas: Vec<_> = metas.collect();
        let mut phases: Vec<_> = metas.iter().map(|entry| entry.body["phase"].as_str().unwrap()).collect();
        phases.dedup();
        assert_eq!(phases, ["planned", "provisioned", "copying", "tailing"]);
        assert!(metas.windows(2).all(|pair| pair[1].version == pair[0].version + 1));
    });
}

/// Where no target is configured it is the source's own layout, whose indexes and capacity somebody else may change.
#[test]
fn a_target_that_was_taken_from_the_source_stays_as_it_was() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let before = world.state().setup.source.clone();
        let after = world.state().setup.target.clone();
        assert_ne!(before, after);
        let like_source = |target: &TableLayout| Job { target: target.clone(), like_source: true, ..job(&world) };
        let mut running = start(&world, &like_source(&before));
        running.caught_up().await;
        running.stop().await.unwrap();
        let mut running = start(&world, &like_source(&after));
        world.put("a", &[]);
        running.caught_up().await;
        assert_exact(&world);
        running.stop().await.unwrap();
        assert_eq!(world.state().shadow_layout.as_ref().unwrap().0, before);
        // One that is configured is another decision.
        match start(&world, &Job { like_source: false, ..like_source(&after) }).ended().await {
            Err(EngineError::Refused { problem, .. }) => {
                assert!(problem.contains("target GlobalSecondaryIndexes.by-place"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        let ports = Arc::new(FakePorts::new(&world.process()));
        reseed(&ports, &like_source(&after), true).await.unwrap();
        let mut running = start(&world, &like_source(&before));
        running.caught_up().await;
        assert_eq!(world.state().shadow_layout.as_ref().unwrap().0, after, "what was found when it began anew");
    });
}
