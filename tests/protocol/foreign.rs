//! Entries of the state table that somebody else wrote: told by name, and nothing is done on the strength of them.

use std::time::Duration;

use serde_json::{Value, json};
use shadowtable::engine::EngineError;
use shadowtable::ports::{Entry, StateKey};
use tokio::time::sleep;

use testkit::fakes::World;
use testkit::harness::{Kind, assert_exact, job, simulate, start};

/// What no version of the program wrote, or a later one.
fn oddities() -> Vec<Value> {
    vec![
        json!({}),
        json!("text"),
        json!(null),
        json!([1, 2]),
        json!({ "schema": 1 }),
        json!({ "schema": 99 }),
        json!({ "schema": "1" }),
        json!({ "schema": -1 }),
    ]
}

/// The keys of a migration's entries that begin so.
fn keys(world: &World, prefix: &str) -> Vec<StateKey> {
    world.state().entries_at(prefix).map(|entry| entry.key.clone()).collect()
}

#[test]
fn an_entry_that_cannot_be_read_stops_a_run_by_name_before_it_writes() {
    simulate(async {
        for prefix in ["META", "LEASE", "PIN", "SHARD#", "SEGMENT#", "QUARANTINE#"] {
            for oddity in oddities() {
                let world = Kind::Moving.world(1);
                world.put("good", &[("place", "here")]);
                world.put("placeless", &[]);
                let mut running = start(&world, &job(&world));
                running.caught_up().await;
                running.stop().await.unwrap();
                let key = keys(&world, prefix).remove(0);
                let shadow = {
                    let mut state = world.state();
                    state.entries.get_mut(&key).unwrap().body = oddity.clone();
                    state.shadow.clone()
                };
                world.put("good", &[("place", "there")]);
                let ended = start(&world, &job(&world)).ended().await;
                let Err(EngineError::State { entry, .. }) = &ended else {
                    panic!("{} as {oddity}: {ended:?}", key.sort);
                };
                assert_eq!(*entry, key.sort, "{oddity}");
                assert_eq!(world.state().shadow, shadow, "{} as {oddity}: the shadow was written", key.sort);
            }
        }
    });
}

/// It would end every process that takes over, and nobody waits for its answer.
#[test]
fn a_command_that_cannot_be_read_is_put_away_and_the_migration_goes_on() {
    simulate(async {
        for oddity in oddities() {
            let world = Kind::SameKey.world(2);
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            let key = StateKey { partition: "MIGRATION#orders".into(), sort: "COMMAND#odd".into() };
            let entry = Entry { key: key.clone(), version: 1, epoch: 0, body: oddity.clone(), expires: None };
            world.state().entries.insert(key.clone(), entry);
            world.put("a", &[]);
            sleep(Duration::from_secs(10)).await;
            running.caught_up().await;
            assert!(!world.state().entries.contains_key(&key), "{oddity}");
            assert_exact(&world);
        }
    });
}
