//! What fences, opens or switches is done under the lease, and waits for what another process may still be doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shadowtable::ports::Fault;
use shadowtable::protocol::command::Verb;
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, Freeze, World};
use testkit::harness::cutover::{LONG, ask, assert_as_before, assert_switched, cutover, until_phase, with_command};
use testkit::harness::{Kind, simulate, start, until, with_pointer};

/// Whether the lease was given back by somebody of whom nothing can land any more.
fn is_quiet(world: &World) -> bool {
    let state = world.state();
    let lease = &state.entry("LEASE").unwrap().body;
    assert_eq!(lease["released"], true);
    lease["quiet"] == true
}

#[test]
fn a_machine_that_slept_over_its_lease_moves_no_pointer() {
    for freeze in [Freeze::Stopped, Freeze::Suspended, Freeze::SuspendedWithoutBootClock] {
        simulate(async {
            let world = Kind::SameKey.world(1);
            let mut old = start(&world, &with_pointer(&world));
            old.caught_up().await;
            world.script(|_, call| match call {
                Call::Point => Fate::throttled(),
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            until_phase(&world, "switching").await;
            sleep(Duration::from_secs(3)).await;
            old.process.freeze();
            let new = start(&world, &with_pointer(&world));
            until(&world, "the successor asks for a decision", |state| {
                !state.entry("META").unwrap().body["cutover"]["trouble"].is_null()
            })
            .await;
            assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
            until_phase(&world, "tailing").await;
            let moves = Arc::new(AtomicUsize::new(0));
            let (counted, sleeper) = (Arc::clone(&moves), old.process.id());
            world.script(move |process, call| {
                let moves = matches!(call, Call::Point) && process == sleeper;
                counted.fetch_add(usize::from(moves), Ordering::Relaxed);
                Fate::answered()
            });
            old.process.thaw(freeze);
            sleep(LONG).await;
            assert_eq!(moves.load(Ordering::Relaxed), 0, "{freeze:?}");
            assert_as_before(&world);
            drop(new);
        });
    }
}

#[test]
fn a_stop_in_the_middle_of_an_unfence_is_not_quiet() {
    simulate(async {
        for (hangs, quiet) in [(false, true), (true, false)] {
            let world = Kind::SameKey.world(2);
            let mut running = start(&world, &with_command(&world));
            running.caught_up().await;
            world.script(move |_, call| match call {
                Call::Program("fence") => Fate::throttled(),
                Call::Program("unfence") if hangs => Fate::hangs(Duration::from_secs(50)),
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            let phase = if hangs { "unfencing" } else { "tailing" };
            until(&world, "the fence failed", |state| {
                state.programs.iter().all(|name| name != "fence") && state.phase() == phase
            })
            .await;
            sleep(Duration::from_secs(2)).await;
            running.stop().await.unwrap();
            assert_eq!(is_quiet(&world), quiet);
        }
    });
}

#[test]
fn an_unfence_is_refused_where_nothing_may_be_fenced() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        let answer = ask(&world, Verb::GiveUp { vouched: false }).await;
        assert!(!answer.done && answer.message.contains("nothing is fenced"), "{}", answer.message);
        assert!(world.state().programs.is_empty(), "no program was run");
        // What a dead process left behind may fence yet.
        running.crash().await;
        let mut next = start(&world, &with_command(&world));
        next.caught_up().await;
        let answer = ask(&world, Verb::GiveUp { vouched: false }).await;
        assert!(answer.done, "{}", answer.message);
        assert_eq!(world.state().programs, ["unfence"]);
    });
}

/// A program that a dead process left behind outlives a successor that is stopped soon.
#[test]
fn a_process_that_stops_soon_after_a_takeover_from_a_dead_one_is_not_quiet() {
    simulate(async {
        for (stays, quiet) in [(Duration::from_secs(15), false), (Duration::from_secs(90), true)] {
            let world = Kind::SameKey.world(3);
            let mut dead = start(&world, &with_command(&world));
            dead.caught_up().await;
            dead.crash().await;
            let mut next = start(&world, &with_command(&world));
            next.caught_up().await;
            sleep(stays).await;
            next.stop().await.unwrap();
            assert_eq!(is_quiet(&world), quiet, "{stays:?}");
        }
    });
}

#[test]
fn a_vouch_is_heard_while_the_unfence_hangs() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("switch") => Fate::throttled(),
            // As long as a program may take.
            Call::Program("unfence") => Fate::hangs(Duration::from_mins(1)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        assert!(ask(&world, Verb::GiveUp { vouched: false }).await.done);
        until_phase(&world, "unfencing").await;
        let early = ask(&world, Verb::DeclareUnfenced).await;
        assert!(!early.done, "it may be a repeated vouch for the failed switch: {early:?}");
        sleep(Duration::from_secs(15)).await;
        let refused = ask(&world, Verb::Postpone { postponed: true }).await;
        assert!(!refused.done && refused.message.contains("is being undone"), "{refused:?}");
        world.state().fenced = false;
        let asked = world.service();
        assert!(ask(&world, Verb::DeclareUnfenced).await.done);
        let waited = world.service().since(asked);
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

/// That is no reason to stop opening the source.
#[test]
fn an_unfence_goes_on_though_no_operator_can_be_heard() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        world.script(|_, call| match call {
            Call::StateList(_) => Fate::fault(Fault::Denied),
            Call::Program("unfence") => Fate::slow(Duration::from_secs(20)),
            _ => Fate::answered(),
        });
        assert!(running.ended().await.is_err(), "a permission was taken away");
        assert!(!world.state().fenced, "the source is open again");
    });
}

/// It passes, and nobody has to decide.
#[test]
fn a_switch_goes_on_by_itself_when_a_successor_sees_the_tables_again() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut first = start(&world, &with_pointer(&world));
        first.caught_up().await;
        world.script(|_, call| match call {
            Call::Point => Fate::throttled(),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "switching").await;
        first.crash().await;
        let mut second = start(&world, &with_pointer(&world));
        until(&world, "the lease is taken", |state| state.entry("LEASE").unwrap().epoch == 2).await;
        world.script(|_, call| match call {
            Call::Describe => Fate::throttled(),
            _ => Fate::answered(),
        });
        sleep(Duration::from_mins(5)).await;
        assert_eq!(world.state().phase(), "switching");
        world.no_more_faults();
        until_phase(&world, "switched").await;
        assert_switched(&world);
        assert!(second.is_running());
    });
}
