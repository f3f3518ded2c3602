//! What operators' hands do between two processes: tables that somebody else made, configurations that differ, migrations
//! that are ended while they work.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::Fence;
use shadowtable::engine::entities::CommandVerb;
use shadowtable::ports::Fault;
use shadowtable::runtime::Job;
use shadowtable::runtime::operator::{OperatorJob, command, forget};
use tokio::time::sleep;

use crate::cutover::{LONG, ask, assert_as_before, cutover, live_writes, until_phase, with_command};
use crate::fakes::{Call, FakePorts, Fate, World};
use crate::harness::{Kind, fill, job, simulate, start, until, with_pointer};

fn made_shadow(world: &World) -> bool {
    world.state().entry("META").unwrap().body["made"]["shadow"].as_bool().unwrap()
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
        world.state().entries_layout = Some(crate::harness::layout("pk", Some("sk")));
        start(&world, &job(&world)).ended().await.unwrap_err();
        assert!(!made_shadow(&world));
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
        world.state().entries_layout = Some(crate::harness::layout("pk", Some("sk")));
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
        assert!(ask(&world, CommandVerb::GiveUp { vouched: true }).await.done);
        sleep(LONG).await;
        assert!(running.is_running());
        {
            let state = world.state();
            assert_eq!((state.phase().as_str(), state.fenced), ("unfencing", true));
        }
        // An operator opens it by hand, and says so.
        world.state().fenced = false;
        assert!(ask(&world, CommandVerb::DeclareUnfenced).await.done);
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
        assert!(command(&ports, "orders", "somebody", CommandVerb::Abort).await.unwrap().done);
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
        assert!(ask(&world, CommandVerb::Abort).await.done);
        running.ended().await.unwrap();
        forget(&ports, "orders", &operator).await.unwrap();
        {
            let state = world.state();
            let left: Vec<_> = state.entries.values().filter(|entry| entry.body["schema"].is_u64()).collect();
            let claims = |entry: &&&shadowtable::ports::Entry| entry.key.partition == "TABLE";
            assert_eq!(left.iter().filter(claims).count(), left.len(), "nothing but tables is left: {left:#?}");
            assert!(left.iter().all(|entry| entry.body["shadow_of"].is_null()), "{left:#?}");
        }
        world.state().shadow_layout = None;
        world.state().shadow.clear();
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
    });
}
