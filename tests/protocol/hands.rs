//! What operators' hands do between two processes: tables that somebody else made, configurations that differ, migrations
//! that are ended while they work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use shadowtable::engine::Fence;
use shadowtable::model::Item;
use shadowtable::operator::{OperatorJob, command, forget, reseed, restless};
use shadowtable::ports::Fault;
use shadowtable::protocol::command::Verb;
use shadowtable::runtime::Job;
use tokio::time::sleep;

use testkit::fakes::{Call, FakePorts, Fate, SHADOW, SOURCE, World, key_of};
use testkit::harness::cutover::{LONG, ask, assert_as_before, cutover, live_writes, until_phase, with_command};
use testkit::harness::{Kind, assert_exact, fill, job, program, simulate, start, until, with_pointer};

/// Whether the migration holds the present shadow for its own making.
fn made_shadow(world: &World) -> bool {
    let state = world.state();
    let made = state.entry("META").unwrap().body["made"].as_array().unwrap().clone();
    let present = &state.shadow_layout.as_ref().unwrap().1;
    made.iter().any(|made| made["what"] == "shadow" && made["table_id"] == *present)
}

/// The claims on the table that has this name.
fn claims(world: &World, table: &str) -> Vec<Value> {
    let state = world.state();
    let all = state.entries.values().filter(|entry| entry.key.partition == "TABLE");
    let of = |entry: &&shadowtable::ports::Entry| entry.body["arn"].as_str().unwrap().ends_with(&format!("/{table}"));
    all.filter(of).map(|entry| entry.body.clone()).collect()
}

/// A refusal says that it was not made here, whatever was noted before.
#[test]
fn a_table_that_somebody_made_after_our_request_was_refused_is_not_ours() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        world.script(|_, call| match call {
            Call::Create => Fate::fault(Fault::Denied),
            _ => Fate::answered(),
        });
        // The state table is there already.
        world.state().entries_layout = Some(testkit::harness::layout("pk", Some("sk")));
        start(&world, &job(&world)).ended().await.unwrap_err();
        assert!(world.state().entry("META").unwrap().body["made"].as_array().unwrap().is_empty());
        world.no_more_faults();
        let target = world.state().setup.target.clone();
        world.state().shadow_layout = Some((target, "theirs".into()));
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert!(!made_shadow(&world), "it was there before");
    });
}

#[test]
fn a_table_whose_request_may_have_been_done_is_ours() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        world.state().entries_layout = Some(testkit::harness::layout("pk", Some("sk")));
        let mut first = true;
        world.script(move |_, call| match call {
            Call::Create if std::mem::take(&mut first) => Fate::reply_lost(),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert!(made_shadow(&world));
    });
}

/// Its own unfence would prove nothing about a fence that it did not put up.
#[test]
fn a_successor_with_another_fence_does_not_call_the_source_open() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("switch") => Fate::throttled(),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until(&world, "the source is fenced", |state| state.fenced).await;
        running.crash().await;
        let mut other = with_command(&world);
        other.engine.cutover.fence = Some(Fence::Manual);
        let mut running = start(&world, &other);
        until_phase(&world, "switching").await;
        sleep(LONG).await;
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        sleep(LONG).await;
        assert!(running.is_running());
        {
            let state = world.state();
            assert_eq!((state.phase().as_str(), state.fenced), ("unfencing", true));
        }
        // An operator opens it by hand, and says so.
        world.state().fenced = false;
        assert!(ask(&world, Verb::DeclareUnfenced).await.done);
        until_phase(&world, "tailing").await;
        live_writes(&world, 10).await;
        running.caught_up().await;
        assert_as_before(&world);
        // From here on its own way holds.
        let means = world.state().entry("META").unwrap().body["means"]["cutover.fence"].clone();
        assert_eq!(means, "manual");
    });
}

/// What an ended migration still has on the way must have landed before another one has its shadow.
#[test]
fn a_shadow_is_had_only_when_its_former_migration_can_write_no_more() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let first = start(&world, &job(&world));
        until(&world, "it tails", |state| state.phase() == "tailing").await;
        let writer = first.process.id();
        // From now on what it writes lands seconds after it was given up.
        world.script(move |process, call| match call {
            Call::Write(_) if process == writer => Fate::late(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        world.put("item-0", &[("place", "here")]);
        sleep(Duration::from_secs(2)).await;
        let ports = FakePorts::new(&world.process());
        assert!(command(&ports, "orders", "somebody", Verb::Abort).await.unwrap().done);
        world.delete("item-0");
        let others = Job { migration: "others".into(), ..job(&world) };
        let mut second = start(&world, &others);
        sleep(Duration::from_mins(3)).await;
        // Either it was refused, since what landed was there, or nothing landed behind its back.
        let refused = second.try_end().is_some();
        assert!(refused || world.state().shadow.is_empty(), "what was deleted came back in another's shadow");
    });
}

#[test]
fn what_is_forgotten_begins_anew_and_what_runs_is_not_forgotten() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        fill(&world, 5, &[("place", "here")]);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        let ports = Arc::new(FakePorts::new(&world.process()));
        let operator = OperatorJob::of(&job(&world));
        let refused = forget(&ports, "orders", &operator).await.unwrap_err().to_string();
        assert!(refused.contains("only an ended one"), "{refused}");
        assert!(ask(&world, Verb::Abort).await.done);
        running.ended().await.unwrap();
        forget(&ports, "orders", &operator).await.unwrap();
        {
            let state = world.state();
            let left: Vec<_> = state.entries.values().filter(|entry| entry.body["schema"].is_u64()).collect();
            let claims = |entry: &&&shadowtable::ports::Entry| entry.key.partition == "TABLE";
            assert_eq!(left.iter().filter(claims).count(), left.len(), "nothing but tables is left: {left:#?}");
            let is_free = |entry: &&shadowtable::ports::Entry| {
                entry.body["shadow_of"].is_null() && entry.body["sources_of"].as_array().unwrap().is_empty()
            };
            assert!(left.iter().all(is_free), "{left:#?}");
        }
        world.state().shadow_layout = None;
        world.state().shadow.clear();
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
    });
}

/// The fence that was begun may not stand, whatever this process's own would say; nor did anybody vouch for it.
#[test]
fn a_successor_does_not_take_another_fence_for_the_one_that_was_begun() {
    simulate(async {
        let by = |name: &str| Fence::Command { fence: program(name), unfence: program("unfence") };
        for fence in [Fence::Manual, by("another fence")] {
            let world = Kind::SameKey.world(6);
            let mut running = start(&world, &with_pointer(&world));
            running.caught_up().await;
            world.script(|_, call| match call {
                Call::Program("fence") => Fate::hangs(Duration::from_hours(1)),
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            until_phase(&world, "fencing").await;
            sleep(Duration::from_secs(1)).await;
            running.crash().await;
            let mut other = with_pointer(&world);
            other.engine.cutover.fence = Some(fence);
            let mut running = start(&world, &other);
            until_phase(&world, "unfencing").await;
            // The source is open all the time.
            for _ in 0..20 {
                live_writes(&world, 10).await;
                sleep(Duration::from_secs(30)).await;
            }
            {
                let state = world.state();
                assert_eq!((state.phase().as_str(), state.pointer.as_str()), ("unfencing", SOURCE));
                assert!(state.programs.is_empty(), "{:?}", state.programs);
            }
            assert!(ask(&world, Verb::DeclareUnfenced).await.done);
            until_phase(&world, "tailing").await;
            running.caught_up().await;
            assert_as_before(&world);
        }
    });
}

/// What keeps the source fenced is corrected, and the process started again.
#[test]
fn a_corrected_unfence_is_run() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Point | Call::Program("unfence") => Fate::fault(Fault::Denied),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "unfencing").await;
        sleep(LONG).await;
        assert!(world.state().fenced);
        running.crash().await;
        world.no_more_faults();
        let mut corrected = with_pointer(&world);
        let unfence = shadowtable::ports::Program { argv: vec!["unfence".into(), "--corrected".into()] };
        corrected.engine.cutover.fence = Some(Fence::Command { fence: program("fence"), unfence });
        let mut running = start(&world, &corrected);
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

/// A holder that died keeps the lease for a while, and nobody else; a plan that was corrected meanwhile must not wait for ever.
#[test]
fn a_corrected_plan_is_had_when_its_first_holder_died() {
    simulate(async {
        let world = Kind::SameKey.world(8);
        fill(&world, 3, &[("place", "here")]);
        world.script(|_, call| match call {
            Call::Create => Fate::hangs(Duration::from_hours(1)),
            _ => Fate::answered(),
        });
        world.state().entries_layout = Some(testkit::harness::layout("pk", Some("sk")));
        let running = start(&world, &job(&world));
        until_phase(&world, "planned").await;
        sleep(Duration::from_secs(2)).await;
        running.crash().await;
        world.no_more_faults();
        let mut corrected = job(&world);
        corrected.target.global_indexes.clear();
        let mut running = start(&world, &corrected);
        running.caught_up().await;
        assert_exact(&world);
        assert!(world.state().shadow_layout.as_ref().unwrap().0.global_indexes.is_empty());
    });
}

/// Its old shadow is anybody's; its source is still the application's table.
#[test]
fn a_reseed_gives_the_old_shadow_back_and_keeps_the_source() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        assert_eq!(claims(&world, SHADOW)[0]["shadow_of"], "orders");
        // It was replaced: what has its name now is somebody's, and empty.
        let target = world.state().setup.target.clone();
        world.state().shadow_layout = Some((target, "theirs".into()));
        world.state().shadow.clear();
        reseed(&Arc::new(FakePorts::new(&world.process())), &job(&world), false).await.unwrap();
        assert!(claims(&world, SHADOW)[0]["shadow_of"].is_null());
        assert_eq!(claims(&world, SOURCE)[0]["sources_of"][0], "orders");
        let made = world.state().entry("META").unwrap().body["made"].clone();
        assert_eq!(made.as_array().unwrap().len(), 0, "what it made is gone: {made}");
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert!(!made_shadow(&world), "it was made by somebody else");
        running.stop().await.unwrap();
        let refused = reseed(&Arc::new(FakePorts::new(&world.process())), &job(&world), true).await.unwrap_err();
        assert!(refused.to_string().contains("was there before this migration"), "{refused}");
        assert!(world.state().shadow_layout.is_some());
    });
}

#[test]
fn a_table_that_is_filled_while_it_is_claimed_stays_nobodys() {
    simulate(async {
        let world = Kind::SameKey.world(10);
        let target = world.state().setup.target.clone();
        world.state().shadow_layout = Some((target, "theirs".into()));
        let there = Arc::clone(&world);
        world.script(move |_, call| {
            if let Call::StatePut(entry) = call
                && entry.key.partition == "TABLE"
                && entry.body["shadow_of"] == "orders"
            {
                let mut state = there.state();
                let key = key_of(&state, "theirs");
                state.shadow.insert(key, Item::new(HashMap::new()));
            }
            Fate::answered()
        });
        let refused = start(&world, &job(&world)).ended().await.unwrap_err().to_string();
        assert!(refused.contains("neither empty nor"), "{refused}");
        assert!(claims(&world, SHADOW)[0]["shadow_of"].is_null());
        assert_eq!(world.state().shadow.len(), 1, "nothing was written");
    });
}

/// They lead to whoever does not respect the fence.
#[test]
fn a_drain_that_fails_names_the_keys_that_changed() {
    simulate(async {
        let world = Kind::SameKey.world(11);
        let mut job = with_pointer(&world);
        job.engine.cutover.fence = Some(Fence::Command { fence: program("lie"), unfence: program("unfence") });
        let mut running = start(&world, &job);
        world.put("quiet", &[]);
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        sleep(Duration::from_secs(2)).await;
        for _ in 0..1_000 {
            world.put("loud", &[]);
            sleep(Duration::from_millis(150)).await;
        }
        until_phase(&world, "tailing").await;
        let id = world.state().entry("META").unwrap().body["cutover"]["id"].as_str().unwrap().to_owned();
        let ports = FakePorts::new(&world.process());
        let named = restless(&ports, "orders", &id).await.unwrap();
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(named[0].to_string().contains("loud"), "{named:?}");
        assert!(restless(&ports, "orders", "another cutover").await.unwrap().is_empty());
    });
}
