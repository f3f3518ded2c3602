//! Invariant 4: a shard's children are read only when its final checkpoint is stored.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shadowtable::ports::{Entry, StateKey};
use tokio::time::sleep;

use testkit::fakes::{Call, Event, Fate, State, key_of, version_of};
use testkit::harness::{Kind, assert_exact, fill, job, simulate, start, until};

fn is_final(entry: &Entry) -> bool {
    entry.body["stage"] == "finished"
}

/// When something was first seen, as a place in the log.
fn first(state: &State, seen: impl Fn(&Event) -> bool) -> Option<usize> {
    state.log.iter().position(|(_, _, event)| seen(event))
}

fn read_begins(state: &State, shard: &str) -> Option<usize> {
    first(state, |event| matches!(event, Event::Iterator { shard: read, .. } if read == shard))
}

#[test]
fn a_child_is_read_only_after_its_parents_final_checkpoint_is_stored() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::StatePut(entry) if is_final(entry) => Fate::slow(Duration::from_secs(5)),
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        let parent = world.shard_of("a");
        let child = world.roll(&parent);
        world.put("a", &[]);
        running.caught_up().await;
        assert_exact(&world);
        let state = world.state();
        let stored = first(&state, |event| matches!(event, Event::Stored(entry) if is_final(entry))).unwrap();
        assert!(stored < read_begins(&state, &child).unwrap());
    });
}

#[test]
fn a_restart_before_the_final_checkpoint_replays_nothing_of_the_parent_over_the_childs_newer_image() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::StatePut(entry) if is_final(entry) => Fate::lost(),
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        let parent = world.shard_of("a");
        let child = world.roll(&parent);
        world.put("a", &[]);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(read_begins(&world.state(), &child), None);
        running.crash().await;
        world.no_more_faults();
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn a_line_of_rolls_and_a_split_into_three_are_followed_to_their_end() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.state().stream.children_late = Duration::from_secs(3);
        for round in 0..4 {
            fill(&world, 20, &[("round", &round.to_string())]);
            let open = world.state().stream.open();
            for shard in open {
                match round {
                    1 => _ = world.split(&shard, 3),
                    _ => _ = world.roll(&shard),
                }
            }
            sleep(Duration::from_secs(2)).await;
        }
        (0..20).step_by(3).for_each(|item| world.delete(&format!("item-{item}")));
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(world.state().stream.open().len(), 3);
    });
}

#[test]
fn shards_that_came_and_went_while_nobody_ran_are_read_in_order() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.crash().await;
        for round in 0..5 {
            fill(&world, 10, &[("round", &round.to_string())]);
            let open = world.state().stream.open();
            for shard in open {
                world.split(&shard, if round == 2 { 2 } else { 1 });
            }
        }
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn a_finished_shard_that_one_listing_leaves_out_is_not_read_again() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        // a (the pin's), b and c, each continuing the one before.
        world.put("x", &[]);
        let second = world.roll(&world.shard_of("x"));
        world.put("x", &[]);
        world.roll(&second);
        world.put("x", &[]);
        running.caught_up().await;
        world.state().stream.unlisted.insert(second.clone());
        sleep(Duration::from_mins(1)).await;
        world.state().stream.unlisted.clear();
        sleep(Duration::from_mins(2)).await;
        running.caught_up().await;
        assert_exact(&world);
        let state = world.state();
        let begun = |(_, _, event): &&(_, _, Event)| matches!(event, Event::Iterator { shard, .. } if *shard == second);
        assert_eq!(state.log.iter().filter(begun).count(), 1);
    });
}

#[test]
fn a_shard_that_the_pins_listing_left_out_is_not_read_over_what_its_children_brought() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        world.put("a", &[("age", "old")]);
        let first = world.shard_of("a");
        let second = world.roll(&first);
        world.put("a", &[("age", "newer")]);
        world.roll(&second);
        world.put("a", &[("age", "newest")]);
        world.state().stream.unlisted.extend([first, second]);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.state().stream.unlisted.clear();
        sleep(Duration::from_mins(1)).await;
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn a_claim_that_lands_late_does_not_undo_the_pin_that_followed_it() {
    pin_after_a_claim_that_lands_after(Duration::from_secs(2));
}

#[test]
fn a_claim_that_lands_after_the_bound_does_not_match_an_entry_that_was_made_anew() {
    pin_after_a_claim_that_lands_after(Duration::from_secs(30));
}

/// What a first pin left is claimed, deleted and made anew; one request of the claim lands so much later.
fn pin_after_a_claim_that_lands_after(late: Duration) {
    simulate(async move {
        let world = Kind::SameKey.world(8);
        world.put("a", &[]);
        let first = world.shard_of("a");
        // The first pin is never finished.
        world.script(|_, call| match call {
            Call::StatePut(entry) if entry.body["phase"] == "copying" => Fate::lost(),
            _ => Fate::answered(),
        });
        let running = start(&world, &job(&world));
        sleep(Duration::from_secs(3)).await;
        running.crash().await;
        world.put("a", &[]);
        world.roll(&first);
        let newest = world.put("a", &[]);
        let (mut claims, sort) = (0, format!("SHARD#source#1#{first}"));
        world.script(move |_, call| match call {
            Call::StatePut(entry) if entry.key.sort == sort && claims == 0 => {
                claims += 1;
                Fate::late(late)
            }
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        sleep(Duration::from_secs(40)).await;
        let stored = world.state().entry(&format!("SHARD#source#1#{first}")).unwrap().body["stage"].clone();
        assert_eq!(stored, "before-pin", "its child is pinned");
        running.crash().await;
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        let state = world.state();
        assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), newest);
    });
}

#[test]
fn a_closed_shard_without_children_yet_is_waited_for() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.state().stream.children_late = Duration::from_mins(2);
        world.put("a", &[]);
        world.roll(&world.shard_of("a"));
        world.put("a", &[]);
        until(&world, "the parent's end is stored", |state| state.entries_at("SHARD#").any(is_final)).await;
        sleep(Duration::from_secs(30)).await;
        let status = running.status().unwrap();
        assert!(!status.leg().unwrap().tail.caught_up && status.lag_seconds().unwrap() > 20.0, "{status:#?}");
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// A process died while it pinned the stream, and what it sent lands after its successor cleared that pin away.
#[test]
fn a_record_of_an_earlier_pin_that_lands_late_is_written_over() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        world.put("a", &[("place", "old")]);
        let parent = world.shard_of("a");
        world.roll(&parent);
        world.put("a", &[("place", "new")]);
        let (landing, shard, mut listings) = (Arc::clone(&world), parent.clone(), 0);
        world.script(move |_, call| {
            if matches!(call, Call::Shards) {
                listings += 1;
                // The second one is the pin's own.
                if listings == 2 {
                    let key =
                        StateKey { partition: "MIGRATION#orders".into(), sort: format!("SHARD#source#1#{shard}") };
                    let body = json!({
                        "schema": 1, "shard": shard, "parent": null, "stage": "pinned", "position": null,
                        "known_through": landing.service(),
                    });
                    let entry = Entry { key: key.clone(), version: 1, epoch: 0, expires: None, body };
                    landing.state().entries.insert(key, entry);
                }
            }
            Fate::answered()
        });
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.no_more_faults();
        assert_exact(&world);
        let state = world.state();
        let kept = state.entry(&format!("SHARD#source#1#{parent}")).unwrap();
        assert_eq!(kept.body["stage"], "before-pin");
        assert_eq!(read_begins(&state, &parent), None, "it was closed when the stream was pinned");
    });
}

/// A shard of which nothing is stored, while something is of what continues it, would be taken for one that was closed before
/// the pin.
#[test]
fn nothing_is_stored_of_a_shard_before_its_parent_is() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        let child = world.roll(&world.shard_of("a"));
        world.put("a", &[]);
        let grandchild = world.roll(&child);
        let entry_of = |shard: &str| format!("SHARD#source#1#{shard}");
        let parents = entry_of(&child);
        world.script(move |_, call| match call {
            Call::StatePut(entry) if entry.key.sort == parents => Fate::lost(),
            _ => Fate::answered(),
        });
        let running = start(&world, &job(&world));
        sleep(Duration::from_secs(30)).await;
        assert!(world.state().entry(&entry_of(&grandchild)).is_none(), "and its parent's is not there");
        running.crash().await;
        world.no_more_faults();
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// Another shard's end is no reason to begin with one that is being stored: a predecessor may have left something else there.
#[test]
fn a_shard_is_read_only_after_it_is_stored() {
    simulate(async {
        let world = Kind::SameKey.world_with(11, 2, shadowtable::model::ViewType::NewAndOldImages);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let [one, other] = <[String; 2]>::try_from(world.state().stream.open()).unwrap();
        let child = world.roll(&one);
        let entry = format!("SHARD#source#1#{child}");
        let slow = entry.clone();
        world.script(move |_, call| match call {
            Call::StatePut(entry) if entry.key.sort == slow => Fate::slow(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        sleep(Duration::from_secs(4)).await;
        world.roll(&other);
        running.caught_up().await;
        let state = world.state();
        let stored = first(&state, |event| matches!(event, Event::Stored(stored) if stored.key.sort == entry)).unwrap();
        assert!(stored < read_begins(&state, &child).unwrap());
    });
}

/// Many shards that all move cost the state table a hundred writes a second, and lag does not wait for them.
#[test]
fn checkpoints_of_many_shards_take_turns_and_lag_does_not_wait_for_them() {
    simulate(async {
        let world = Kind::SameKey.world_with(10, 200, shadowtable::model::ViewType::NewAndOldImages);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let stored = |world: &testkit::fakes::World| {
            let is_shard =
                |event: &Event| matches!(event, Event::Stored(entry) if entry.key.sort.starts_with("SHARD#"));
            world.state().log.iter().filter(|(_, _, event)| is_shard(event)).count()
        };
        let ids = (0..).map(|number| format!("item-{number}"));
        let mut one_a_shard = std::collections::BTreeMap::new();
        for id in ids {
            one_a_shard.entry(world.shard_of(&id)).or_insert(id);
            if one_a_shard.len() == 200 {
                break;
            }
        }
        let (before, mut most_lag) = (stored(&world), 0.0_f64);
        for round in 0..5_u32 {
            for id in one_a_shard.values() {
                world.put(id, &[("round", &round.to_string())]);
            }
            sleep(Duration::from_secs(1)).await;
            let lag = running.status().and_then(|status| status.leg()?.lag_seconds);
            most_lag = most_lag.max(lag.unwrap_or(f64::INFINITY));
        }
        let during = stored(&world) - before;
        assert!((300..=520).contains(&during), "{during} checkpoints in 5 s");
        assert!(most_lag < 5.0, "{most_lag} s");
        running.caught_up().await;
        assert_exact(&world);
    });
}
