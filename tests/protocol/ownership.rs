//! Two source items may claim one shadow key: one has it, the other is in quarantine until it is free.

use std::time::Duration;

use tokio::time::sleep;

use testkit::fakes::{Call, Fate, World, key_of, version_of};
use testkit::harness::{Kind, assert_exact, job, simulate, start, until};

const TAKEN: &[(&str, &str)] = &[("email", "taken")];

/// The version that the shadow shows under the claimed key.
fn shown(world: &World) -> Option<usize> {
    world.state().shadow.values().next().map(version_of)
}

#[test]
fn of_two_items_that_claim_one_key_one_has_it_and_the_other_waits_in_quarantine() {
    simulate(async {
        let world = Kind::Owned.world(1);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let first = world.put("first", TAKEN);
        sleep(Duration::from_secs(2)).await;
        let second = world.put("second", TAKEN);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(shown(&world), Some(first));
        let reasons: Vec<_> =
            world.state().entries_at("QUARANTINE#").map(|entry| entry.body["reason"].clone()).collect();
        assert_eq!(reasons, ["collision"]);
        world.delete("first");
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(shown(&world), Some(second));
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 0);
    });
}

#[test]
fn an_owner_that_moves_away_frees_its_key_too() {
    simulate(async {
        let world = Kind::Owned.world(2);
        world.put("first", TAKEN);
        world.put("second", TAKEN);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        let loses = |id: &str| {
            let state = world.state();
            state.is_quarantined(&key_of(&state, id))
        };
        let owner = if loses("first") { "second" } else { "first" };
        world.put(owner, &[("email", "another")]);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().shadow.len(), 2);
    });
}

#[test]
fn two_items_that_exchange_their_keys_end_with_each_others() {
    simulate(async {
        let world = Kind::Owned.world_with(3, 4, shadowtable::model::ViewType::NewAndOldImages);
        world.put("first", &[("email", "one")]);
        world.put("second", &[("email", "two")]);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        for _ in 0..3 {
            world.put("first", &[("email", "two")]);
            world.put("second", &[("email", "one")]);
            sleep(Duration::from_millis(300)).await;
            world.put("first", &[("email", "one")]);
            world.put("second", &[("email", "two")]);
        }
        world.put("first", &[("email", "two")]);
        world.put("second", &[("email", "one")]);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 0);
    });
}

#[test]
fn after_a_crash_between_freeing_a_key_and_reading_the_other_item_again_it_is_read() {
    simulate(async {
        let world = Kind::Owned.world(4);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("first", TAKEN);
        sleep(Duration::from_secs(2)).await;
        let second = world.put("second", TAKEN);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Get => Fate::lost(),
            _ => Fate::answered(),
        });
        world.delete("first");
        until(&world, "the key is free", |state| state.shadow.is_empty()).await;
        // The deletion is durable and behind the checkpoint: nothing will free the key again.
        sleep(Duration::from_secs(5)).await;
        running.crash().await;
        world.no_more_faults();
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(shown(&world), Some(second));
    });
}

#[test]
fn an_item_that_changes_while_it_is_read_again_is_not_forgotten() {
    simulate(async {
        let world = Kind::Owned.world(5);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("first", TAKEN);
        sleep(Duration::from_secs(2)).await;
        world.put("second", TAKEN);
        running.caught_up().await;
        let mut slow = true;
        world.script(move |_, call| match call {
            Call::Get if std::mem::take(&mut slow) => Fate::slow_reply(Duration::from_secs(4)),
            _ => Fate::answered(),
        });
        world.delete("first");
        until(&world, "the key is free", |state| state.shadow.is_empty()).await;
        let newest = world.put("second", TAKEN);
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(shown(&world), Some(newest));
    });
}

#[test]
fn a_reply_lost_while_a_key_is_freed_and_taken_does_not_confuse_its_owners() {
    simulate(async {
        let world = Kind::Owned.world(6);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let mut calls = 0_u32;
        world.script(move |_, call| match call {
            Call::Write(_) => {
                calls += 1;
                if calls.is_multiple_of(2) { Fate::answered() } else { Fate::reply_lost() }
            }
            _ => Fate::answered(),
        });
        for _ in 0..4 {
            world.put("first", TAKEN);
            world.put("second", TAKEN);
            world.delete("first");
            sleep(Duration::from_secs(1)).await;
            world.put("first", TAKEN);
            world.delete("second");
        }
        running.caught_up().await;
        assert_exact(&world);
    });
}
