//! A cutover ends with the application on the shadow and nothing lost, or with the source open again; never with both
//! tables open, and never with a source that stays fenced in silence.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::Fence;
use shadowtable::operator::command;
use shadowtable::ports::Fault;
use shadowtable::protocol::command::Verb;
use tokio::time::sleep;

use testkit::fakes::{Call, Death, FakePorts, Fate, REFUSED, key_of, version_of};
use testkit::harness::cutover::{LONG, ask, assert_as_before, assert_switched, cutover, live_writes, until_phase};
use testkit::harness::{Kind, program, simulate, start, start_as, until, with_pointer};

#[test]
fn a_cutover_under_live_writes_loses_nothing() {
    simulate(async {
        for kind in [Kind::SameKey, Kind::Owned] {
            let world = kind.world(1);
            let mut running = start(&world, &with_pointer(&world));
            if kind == Kind::SameKey {
                live_writes(&world, 40).await;
            }
            running.caught_up().await;
            let answer = cutover(&world).await;
            assert!(answer.done, "{answer:?}");
            until_phase(&world, "switched").await;
            assert!(running.is_running());
            assert_switched(&world);
            assert_eq!(world.state().programs, ["fence"]);
            assert!(ask(&world, Verb::Finish).await.done);
            running.ended().await.unwrap();
            assert_eq!(world.state().phase(), "finished");
        }
    });
}

#[test]
fn every_gate_refuses_and_nothing_is_touched() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        assert!(ask(&world, Verb::Postpone { postponed: true }).await.done);
        let answer = cutover(&world).await;
        assert!(!answer.done);
        let closed: Vec<_> = answer.gates.iter().filter(|gate| !gate.holds).map(|gate| gate.name.as_str()).collect();
        assert_eq!(closed, ["not postponed"]);
        assert_eq!(world.state().phase(), "tailing");
        assert!(world.state().programs.is_empty());
        assert!(ask(&world, Verb::Postpone { postponed: false }).await.done);
        let look = ask(&world, Verb::Checklist).await;
        assert!(look.done && look.checklist.iter().any(|point| point.name == "stream"), "{look:?}");
        assert!(!ask(&world, Verb::Unknown).await.done, "a later version's command is answered");
        let dry = Verb::Cutover { dry_run: true, by: "laptop".into(), fenced: false };
        let answer = ask(&world, dry).await;
        assert!(answer.done && answer.gates.iter().all(|gate| gate.holds), "{answer:?}");
        sleep(LONG).await;
        assert_eq!(world.state().phase(), "tailing", "a dry run begins nothing");
        assert!(running.is_running());
    });
}

/// The gates held when nothing was in quarantine; the fence stops writes only later.
#[test]
fn what_goes_to_quarantine_after_the_gates_ends_a_cutover() {
    simulate(async {
        let world = Kind::SameKey.world(21);
        let mut job = with_pointer(&world);
        // The comparison knows the last key only.
        job.engine.apply.recent_keys = 1;
        let mut running = start(&world, &job);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("fence") => Fate::slow(Duration::from_secs(2)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        world.put("poison", &[(REFUSED, "yes")]);
        world.put("last", &[]);
        until_phase(&world, "fenced").await;
        until(&world, "it is over", |state| ["tailing", "switched"].contains(&state.phase().as_str())).await;
        assert_as_before(&world);
        running.caught_up().await;
        let trail = world.state().entries_at("EVENT#").map(|entry| entry.body.to_string()).collect::<String>();
        assert!(trail.contains("1 changes went to quarantine since the cutover began"), "{trail}");
    });
}

#[test]
fn a_fence_that_fails_or_hangs_is_undone() {
    simulate(async {
        for fate in [Fate::throttled(), Fate::reply_lost(), Fate::lost()] {
            let world = Kind::SameKey.world(3);
            let mut running = start(&world, &with_pointer(&world));
            running.caught_up().await;
            world.script(move |_, call| match call {
                Call::Program("fence") => fate,
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            until(&world, "the fence was undone", |state| state.programs.contains(&"unfence".to_owned())).await;
            until_phase(&world, "tailing").await;
            live_writes(&world, 20).await;
            running.caught_up().await;
            assert_as_before(&world);
        }
    });
}

#[test]
fn a_fence_that_lies_is_found_out_by_the_drain() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut job = with_pointer(&world);
        job.engine.cutover.fence = Some(Fence::Command { fence: program("lie"), unfence: program("unfence") });
        let mut running = start(&world, &job);
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        live_writes(&world, 1_000).await;
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
        let state = world.state();
        let trouble = state.entry("META").unwrap().body["cutover"]["trouble"].as_str().unwrap().to_owned();
        assert!(trouble.contains("did not come to rest"), "{trouble}");
    });
}

#[test]
fn a_fence_that_cannot_be_undone_is_tried_again_until_it_is_or_an_operator_did_it() {
    simulate(async {
        for by_hand in [false, true] {
            let world = Kind::SameKey.world(5);
            let mut running = start(&world, &with_pointer(&world));
            running.caught_up().await;
            world.script(move |_, call| match call {
                Call::Program("fence" | "unfence") => Fate::throttled(),
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            until_phase(&world, "unfencing").await;
            sleep(Duration::from_mins(5)).await;
            assert_eq!(world.state().phase(), "unfencing", "it says so for as long as it is so");
            if by_hand {
                // Meant for something else.
                assert!(!ask(&world, Verb::GiveUp { vouched: true }).await.done);
                assert_eq!(world.state().phase(), "unfencing");
                assert!(ask(&world, Verb::DeclareUnfenced).await.done);
            } else {
                world.no_more_faults();
            }
            until_phase(&world, "tailing").await;
            world.no_more_faults();
            running.caught_up().await;
            assert_as_before(&world);
        }
    });
}

#[test]
fn a_change_that_comes_after_the_fence_and_before_the_intent_is_applied() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        // The comparison takes so long that there is time for it.
        world.put("a", &[]);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Get => Fate::slow_reply(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "drained").await;
        let late = world.put("b", &[]);
        until_phase(&world, "switched").await;
        assert_switched(&world);
        let state = world.state();
        assert_eq!(version_of(&state.shadow[&key_of(&state, "b")]), late);
        drop(state);
        assert!(running.is_running());
    });
}

#[test]
fn what_was_asked_for_before_the_fence_proves_nothing_about_it() {
    simulate(async {
        let world = Kind::SameKey.world(18);
        let mut job = with_pointer(&world);
        job.engine.cutover.max_lag = Duration::from_mins(1);
        let mut running = start(&world, &job);
        running.caught_up().await;
        // Each answer is as old as its question, and comes long after it.
        world.script(|_, call| match call {
            Call::Records => Fate::slow_reply(Duration::from_secs(25)),
            Call::Program("fence") => Fate::slow(Duration::from_secs(3)),
            _ => Fate::answered(),
        });
        sleep(Duration::from_secs(28)).await;
        let answer = cutover(&world).await;
        assert!(answer.done, "{answer:?}");
        until_phase(&world, "fencing").await;
        let last = world.put("a", &[]);
        until_phase(&world, "switched").await;
        world.no_more_faults();
        sleep(Duration::from_mins(1)).await;
        let state = world.state();
        assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), last);
        assert_eq!(state.entries_at("QUARANTINE#").count(), 0);
        drop(state);
        assert!(running.is_running());
    });
}

#[test]
fn a_write_that_was_given_up_before_the_unfence_does_not_land_over_a_newer_one() {
    simulate(async {
        let world = Kind::SameKey.world(19);
        let mut running = start(&world, &with_pointer(&world));
        world.put("a", &[]);
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        let mut first = true;
        world.script(move |_, call| match call {
            Call::Write(_) if std::mem::take(&mut first) => Fate::late(Duration::from_secs(8)),
            Call::Write(_) => Fate::throttled(),
            _ => Fate::answered(),
        });
        // The fence lets one through.
        world.put("a", &[]);
        sleep(Duration::from_millis(2_500)).await;
        assert!(ask(&world, Verb::GiveUp { vouched: false }).await.done);
        world.no_more_faults();
        until_phase(&world, "tailing").await;
        world.put("a", &[]);
        running.caught_up().await;
        sleep(Duration::from_secs(20)).await;
        assert_as_before(&world);
    });
}

#[test]
fn a_key_that_differs_ends_the_cutover() {
    simulate(async {
        let world = Kind::SameKey.world(17);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        world.put("missing", &[]);
        running.caught_up().await;
        // Somebody else writes to the shadow.
        let lost = {
            let mut state = world.state();
            let key = key_of(&state, "missing");
            state.shadow.remove(&key).unwrap()
        };
        assert!(cutover(&world).await.done);
        until(&world, "the cutover is given up", |state| {
            state.phase() == "tailing" && state.programs.contains(&"unfence".to_owned())
        })
        .await;
        assert!(!world.state().fenced);
        // It is not forgotten.
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until(&world, "the cutover is given up again", |state| {
            state.phase() == "tailing" && state.programs.iter().filter(|program| *program == "unfence").count() == 2
        })
        .await;
        {
            let mut state = world.state();
            let trouble = state.entry("META").unwrap().body["cutover"]["trouble"].as_str().unwrap().to_owned();
            assert!(trouble.contains("an item is missing in the shadow"), "{trouble}");
            let key = key_of(&state, "missing");
            state.shadow.insert(key, lost);
            // What the world saw of it is the tamperer's doing.
            state.violations.clear();
        }
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "switched").await;
        assert_switched(&world);
        assert!(running.is_running());
    });
}

#[test]
fn a_source_that_was_fenced_for_too_long_is_opened_again_even_by_a_successor() {
    simulate(async {
        let world = Kind::SameKey.world(12);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        running.crash().await;
        assert!(world.state().fenced);
        sleep(LONG).await;
        let mut running = start(&world, &with_pointer(&world));
        until_phase(&world, "tailing").await;
        live_writes(&world, 10).await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

#[test]
fn history_that_is_lost_while_the_source_is_fenced_opens_it_first() {
    simulate(async {
        let world = Kind::SameKey.world(13);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Records => Fate::fault(Fault::Trimmed),
            _ => Fate::answered(),
        });
        world.state().fenced = false;
        // Trimmed is believed at once only where something was offered before.
        assert!(cutover(&world).await.done || world.state().phase() == "needs-reseed");
        let ended = running.ended().await;
        assert!(ended.is_err(), "{ended:?}");
        let state = world.state();
        assert!(!state.fenced, "nothing is left fenced");
        assert_eq!(state.phase(), "needs-reseed");
    });
}

/// A whole cutover, killed at each of its calls: before the call, and after it took effect.
#[test]
fn a_crash_at_any_call_of_a_cutover_comes_to_a_definite_end() {
    simulate(async {
        let calls = {
            let world = Kind::SameKey.world(14);
            let process = world.process();
            let mut running = start_as(Arc::clone(&process), &with_pointer(&world));
            world.put("a", &[]);
            running.caught_up().await;
            let before = process.calls();
            assert!(cutover(&world).await.done);
            until_phase(&world, "switched").await;
            before + 1..process.calls() + 1
        };
        assert!(calls.end - calls.start > 50, "{calls:?}");
        for at in calls {
            for death in [Death::Before, Death::After] {
                crash_in_cutover(at, death).await;
            }
        }
    });
}

async fn crash_in_cutover(at: u64, death: Death) {
    let world = Kind::SameKey.world(14);
    let process = world.process();
    process.dies_at(at, death);
    let mut running = start_as(Arc::clone(&process), &with_pointer(&world));
    world.put("a", &[]);
    running.caught_up().await;
    let asking = {
        let world = Arc::clone(&world);
        async move {
            let ports = FakePorts::new(&world.process());
            let verb = Verb::Cutover { dry_run: false, by: "laptop".into(), fenced: false };
            // Whoever asks may find that nobody answers any more.
            drop(command(&ports, "orders", "somebody", verb).await);
        }
    };
    tokio::join!(asking, sleep(Duration::from_mins(1)));
    let mut successor = start(&world, &with_pointer(&world));
    sleep(Duration::from_mins(8)).await;
    assert!(successor.is_running());
    drop(running);
    let phase = world.state().phase();
    match phase.as_str() {
        "switched" => assert_switched(&world),
        "tailing" => assert_as_before(&world),
        other => panic!("call {at}, {death:?}: it ended as {other}"),
    }
}

/// Whoever takes over cannot look at the tables.
#[test]
fn a_takeover_that_does_not_see_the_tables_leaves_nobody_waiting() {
    simulate(async {
        let blind = |_: u32, call: &Call<'_>| match call {
            Call::Describe => Fate::throttled(),
            _ => Fate::answered(),
        };
        let world = Kind::SameKey.world(30);
        let mut first = start(&world, &with_pointer(&world));
        first.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        first.crash().await;
        let mut second = start(&world, &with_pointer(&world));
        until(&world, "the lease is taken", |state| state.entry("LEASE").unwrap().epoch == 2).await;
        world.script(blind);
        until(&world, "the source is open again", |state| !state.fenced && state.phase() == "tailing").await;
        world.no_more_faults();
        second.caught_up().await;
        assert_as_before(&world);

        world.script(|_, call| match call {
            Call::Point => Fate::throttled(),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "switching").await;
        second.crash().await;
        let mut third = start(&world, &with_pointer(&world));
        until(&world, "the lease is taken", |state| state.entry("LEASE").unwrap().epoch == 3).await;
        world.script(blind);
        sleep(LONG).await;
        assert_eq!(world.state().phase(), "switching", "it asks first");
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        until(&world, "the source is open again", |state| !state.fenced).await;
        world.no_more_faults();
        third.caught_up().await;
        assert_as_before(&world);
    });
}
