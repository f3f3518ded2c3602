//! What a cutover depends on is looked at before the source is fenced; and a switch that never began leaves no fence.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::ports::Fault;
use shadowtable::protocol::command::Verb;
use shadowtable::protocol::cutover::Gate;
use shadowtable::runtime::{Allowed, Job};
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, SHADOW, SOURCE, World};
use testkit::harness::cutover::{LONG, ask, assert_as_before, cutover, live_writes, until_phase, with_command};
use testkit::harness::{Kind, simulate, start, until, with_pointer};

/// The gates that refuse, as an operator sees them.
async fn closed(world: &Arc<World>) -> Vec<Gate> {
    let looked = ask(world, Verb::Cutover { dry_run: true, by: "somebody".into(), fenced: false }).await;
    looked.gates.into_iter().filter(|gate| !gate.holds).collect()
}

fn names(gates: &[Gate]) -> Vec<&str> {
    gates.iter().map(|gate| gate.name.as_str()).collect()
}

#[test]
fn a_program_that_cannot_be_started_closes_a_gate() {
    simulate(async {
        for program in ["fence", "unfence", "switch"] {
            let world = Kind::SameKey.world(1);
            let mut running = start(&world, &with_command(&world));
            running.caught_up().await;
            assert!(closed(&world).await.is_empty());
            world.state().missing_programs.insert(program.to_owned());
            let gates = closed(&world).await;
            assert_eq!(names(&gates), ["programs"]);
            assert_eq!(gates[0].figure, format!("cutover.{program}_command: {program} is not there"));
            assert!(!cutover(&world).await.done);
            assert!(world.state().programs.is_empty(), "nothing was fenced");
        }
    });
}

#[test]
fn a_pointer_that_may_not_be_written_closes_a_gate() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        assert!(closed(&world).await.is_empty());
        world.state().pointer_locked = true;
        let gates = closed(&world).await;
        assert_eq!(names(&gates), ["pointer"]);
        assert!(gates[0].figure.contains("may not be written"), "{}", gates[0].figure);
    });
}

/// A write in another region may arrive after the fence.
#[test]
fn a_global_table_is_refused_unless_somebody_vouches() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        world.state().replicas.insert(SOURCE, vec!["us-east-1".into()]);
        let job = with_pointer(&world);
        match start(&world, &job).ended().await {
            Err(EngineError::Refused { problem, hint }) => {
                assert!(problem.contains("us-east-1"), "{problem}");
                assert!(hint.contains("--single-writer-region"), "{hint}");
            }
            other => panic!("{other:?}"),
        }
        assert!(world.state().shadow_layout.is_none(), "nothing was made");
        let vouched = Job { allowed: Allowed { single_writer_region: true, ..job.allowed }, ..job.clone() };
        let mut running = start(&world, &vouched);
        running.caught_up().await;
        assert!(closed(&world).await.is_empty());
        running.stop().await.unwrap();
        let entries = world
            .state()
            .entries_at("EVENT#")
            .filter(|event| event.body["what"].to_string().contains("vouches"))
            .count();
        assert_eq!(entries, 1, "it is in the audit trail");
        // The word is kept.
        let mut running = start(&world, &job);
        running.caught_up().await;
        assert!(closed(&world).await.is_empty());
    });
}

#[test]
fn replicas_that_come_later_close_a_gate() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let job = with_pointer(&world);
        let mut running = start(&world, &job);
        running.caught_up().await;
        for table in [SOURCE, SHADOW] {
            world.state().replicas = [(table, vec!["us-east-1".to_owned()])].into();
            let gates = closed(&world).await;
            assert_eq!(names(&gates), ["one region"]);
            assert!(gates[0].figure.contains("us-east-1"), "{}", gates[0].figure);
        }
        // Mirroring goes on: nothing is lost by that.
        running.stop().await.unwrap();
        world.state().replicas = [(SOURCE, vec!["us-east-1".to_owned()])].into();
        let mut running = start(&world, &job);
        running.caught_up().await;
        // The operator's word opens it, at any time.
        running.stop().await.unwrap();
        let mut running = start(&world, &Job { allowed: Allowed { single_writer_region: true, ..job.allowed }, ..job });
        running.caught_up().await;
        assert!(closed(&world).await.is_empty());
    });
}

#[test]
fn a_switch_that_never_began_opens_the_source_by_itself() {
    simulate(async {
        for by_program in [true, false] {
            let world = Kind::SameKey.world(5);
            let job = if by_program { with_command(&world) } else { with_pointer(&world) };
            let mut running = start(&world, &job);
            running.caught_up().await;
            assert!(cutover(&world).await.done);
            until(&world, "the source is fenced", |state| state.fenced).await;
            {
                let mut state = world.state();
                state.missing_programs.insert("switch".into());
                state.pointer_locked = true;
            }
            until(&world, "the source is open", |state| !state.fenced).await;
            until_phase(&world, "tailing").await;
            assert_eq!(world.state().pointer, SOURCE);
            live_writes(&world, 20).await;
            running.caught_up().await;
            assert_as_before(&world);
        }
    });
}

/// That one attempt never began says nothing of those before it.
#[test]
fn a_successor_whose_switch_cannot_begin_leaves_the_decision_to_an_operator() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        // The program moves the pointer, and its process dies before it hears so.
        world.script(|_, call| match call {
            Call::Program("switch") => Fate::slow_reply(Duration::from_hours(1)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until(&world, "the switch was begun", |state| state.pointer == SHADOW).await;
        running.crash().await;
        world.no_more_faults();
        world.state().missing_programs.insert("switch".into());
        let mut running = start(&world, &with_command(&world));
        until(&world, "an operator is asked", |state| {
            !state.entry("META").unwrap().body["cutover"]["trouble"].is_null()
        })
        .await;
        sleep(LONG).await;
        assert!(running.is_running());
        let state = world.state();
        assert_eq!((state.phase().as_str(), state.fenced), ("switching", true));
        assert!(state.violations.is_empty(), "{:?}", state.violations);
    });
}

/// It was the second attempt: the first one moved the application.
#[test]
fn a_switch_that_does_not_begin_again_leaves_the_decision_to_an_operator() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("switch") => Fate::reply_lost(),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        let troubled =
            |state: &testkit::fakes::State| !state.entry("META").unwrap().body["cutover"]["trouble"].is_null();
        until(&world, "an operator is asked", troubled).await;
        assert_eq!(world.state().pointer, SHADOW);
        world.no_more_faults();
        world.state().missing_programs.insert("switch".into());
        assert!(ask(&world, Verb::SwitchAgain).await.done);
        sleep(LONG).await;
        assert!(running.is_running());
        let state = world.state();
        assert_eq!((state.phase().as_str(), state.fenced), ("switching", true));
        assert!(state.violations.is_empty(), "{:?}", state.violations);
    });
}

/// What was given up may have been done, whatever is answered later.
#[test]
fn a_pointer_whose_first_write_was_given_up_is_not_taken_for_unmoved() {
    simulate(async {
        for later in [Fate::fault(Fault::Denied), Fate::fault(Fault::Conflict)] {
            let world = Kind::SameKey.world(8);
            let mut running = start(&world, &with_pointer(&world));
            running.caught_up().await;
            let mut points = 0;
            let there = Arc::clone(&world);
            world.script(move |_, call| match call {
                Call::Point => {
                    points += 1;
                    if points == 1 { Fate::reply_lost() } else { later }
                }
                // Nobody can look, or it shows a third name.
                Call::Pointer if points > 0 && there.state().pointer == SHADOW => Fate::fault(Fault::Denied),
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            let troubled =
                |state: &testkit::fakes::State| !state.entry("META").unwrap().body["cutover"]["trouble"].is_null();
            until(&world, "an operator is asked", troubled).await;
            sleep(LONG).await;
            assert!(running.is_running());
            let state = world.state();
            assert_eq!((state.phase().as_str(), state.fenced, state.pointer.as_str()), ("switching", true, SHADOW));
            assert!(state.violations.is_empty(), "{:?}", state.violations);
        }
    });
}

/// What is not known does not hold, and is not told as if it did.
#[test]
fn a_gate_that_cannot_look_at_the_tables_is_closed() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Describe => Fate::throttled(),
            _ => Fate::answered(),
        });
        let gates = closed(&world).await;
        assert_eq!(names(&gates), ["one region", "indexes active"]);
        assert!(gates.iter().all(|gate| gate.figure.contains("not known")), "{gates:?}");
    });
}
