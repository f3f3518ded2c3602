//! From the switch's intent on nothing is written to the shadow, and nothing is undone by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::ports::Fault;
use shadowtable::protocol::command::{Paused, Verb};
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, SHADOW, World, key_of, version_of};
use testkit::harness::cutover::{
    LONG, ask, assert_as_before, assert_switched, cutover, leave, live_writes, until_phase, with_command,
};
use testkit::harness::{Kind, Running, simulate, start, until, with_pointer};

/// A migration whose switch is intended, and whose program meets this fate.
async fn switching(world: &Arc<World>, fate: Fate) -> Running {
    let mut running = start(world, &with_command(world));
    running.caught_up().await;
    world.script(move |_, call| match call {
        Call::Program("switch") => fate,
        _ => Fate::answered(),
    });
    assert!(cutover(world).await.done);
    until_phase(world, "switching").await;
    running
}

async fn until_asked(world: &World) {
    until(world, "an operator is asked", |state| {
        state.phase() == "switching" && !state.entry("META").unwrap().body["cutover"]["trouble"].is_null()
    })
    .await;
}

#[test]
fn a_change_that_comes_after_the_switch_is_quarantined_and_not_applied() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let mut running = start(&world, &with_pointer(&world));
        let before = world.put("a", &[]);
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "switched").await;
        world.put("a", &[]);
        sleep(Duration::from_secs(10)).await;
        for round in 0..3 {
            {
                let state = world.state();
                assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), before, "round {round}");
                let kept: Vec<_> = state.entries_at("QUARANTINE#").map(|entry| entry.body["reason"].clone()).collect();
                assert_eq!(kept, ["late"], "round {round}");
            }
            // Neither that the item expires nor a restart changes anything.
            world.expire("a");
            sleep(Duration::from_secs(10)).await;
            running.crash().await;
            running = start(&world, &with_pointer(&world));
            sleep(Duration::from_mins(1)).await;
        }
        assert!(running.is_running());
    });
}

#[test]
fn a_switch_that_half_succeeds_and_hangs_leads_to_no_two_open_tables() {
    simulate(async {
        for (fate, moved) in [(Fate::reply_lost(), true), (Fate::lost(), false)] {
            let world = Kind::SameKey.world(8);
            let mut running = switching(&world, fate).await;
            until_asked(&world).await;
            sleep(LONG).await;
            assert!(running.is_running(), "it waits for a decision");
            {
                let state = world.state();
                assert_eq!((state.phase().as_str(), state.fenced), ("switching", true));
            }
            let unvouched = ask(&world, Verb::GiveUp { vouched: false }).await;
            assert!(!unvouched.done, "{unvouched:?}");
            if moved {
                assert!(ask(&world, Verb::DeclareSwitched).await.done);
                until_phase(&world, "switched").await;
                assert_switched(&world);
            } else {
                assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
                until_phase(&world, "tailing").await;
                live_writes(&world, 20).await;
                running.caught_up().await;
                assert_as_before(&world);
            }
        }
    });
}

#[test]
fn a_restart_in_the_middle_of_a_switch_applies_nothing_and_forgets_nothing() {
    simulate(async {
        let world = Kind::SameKey.world(16);
        let before = world.put("a", &[]);
        let running = switching(&world, Fate::throttled()).await;
        until_asked(&world).await;
        running.crash().await;
        // What was seen to fail is not tried again by itself, even if it would succeed.
        world.no_more_faults();
        world.put("a", &[]);
        let mut running = start(&world, &with_command(&world));
        sleep(LONG).await;
        assert!(running.is_running());
        {
            let state = world.state();
            assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), before);
            let reasons: Vec<_> = state.entries_at("QUARANTINE#").map(|entry| entry.body["reason"].clone()).collect();
            assert_eq!((reasons, state.phase().as_str()), (vec!["late".into()], "switching"));
        }
        // Nor did it forget what it did not apply.
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

#[test]
fn a_switch_that_is_tried_again_goes_on() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        let mut running = switching(&world, Fate::throttled()).await;
        sleep(LONG).await;
        assert_eq!(world.state().phase(), "switching");
        world.script(|_, call| match call {
            Call::Program("switch") => Fate::slow(Duration::from_secs(20)),
            _ => Fate::answered(),
        });
        assert!(ask(&world, Verb::SwitchAgain).await.done);
        let trouble = world.state().entry("META").unwrap().body["cutover"]["trouble"].clone();
        assert!(trouble.is_null(), "what went wrong before is not how this attempt ends: {trouble}");
        until_phase(&world, "switched").await;
        assert_switched(&world);
        assert!(running.is_running());
    });
}

#[test]
fn what_arrived_during_a_switch_that_was_given_up_is_applied() {
    simulate(async {
        let world = Kind::SameKey.world(10);
        let before = world.put("a", &[]);
        let mut running = switching(&world, Fate::throttled()).await;
        sleep(Duration::from_secs(10)).await;
        // Somebody whom the fence does not hold.
        world.put("a", &[]);
        world.delete("a");
        world.put("b", &[]);
        let shard = world.shard_of("a");
        world.split(&shard, 2);
        sleep(Duration::from_secs(30)).await;
        {
            // The application may be writing to the shadow by now.
            let state = world.state();
            assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), before);
            assert!(!state.shadow.contains_key(&key_of(&state, "b")));
            assert!(state.entries_at("QUARANTINE#").all(|entry| entry.body["reason"] == "late"));
            assert_eq!(state.entries_at("QUARANTINE#").count(), 2);
        }
        world.no_more_faults();
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
        assert_eq!(world.state().entries_at("QUARANTINE#").count(), 0, "it is late no more");
    });
}

#[test]
fn a_pointer_whose_move_was_answered_by_nobody_is_looked_at() {
    simulate(async {
        for lost in [Fate::reply_lost(), Fate::lost(), Fate::fault(Fault::Throttled)] {
            let world = Kind::SameKey.world(11);
            let mut running = start(&world, &with_pointer(&world));
            running.caught_up().await;
            let mut first = true;
            world.script(move |_, call| match call {
                Call::Point if std::mem::take(&mut first) => lost,
                _ => Fate::answered(),
            });
            assert!(cutover(&world).await.done);
            until_phase(&world, "switched").await;
            assert_switched(&world);
            assert!(running.is_running());
        }
    });
}

/// History was lost, or a table replaced, after the switch's intent: nobody can mirror, and the decision must still be heard.
#[test]
fn an_operator_decides_though_nothing_can_be_mirrored_any_more() {
    simulate(async {
        for decision in [Verb::DeclareSwitched, Verb::SwitchAgain] {
            let world = Kind::SameKey.world(9);
            let running = switching(&world, Fate::lost()).await;
            until_asked(&world).await;
            running.crash().await;
            world.no_more_faults();
            // Longer than the stream keeps its records.
            sleep(Duration::from_hours(25)).await;
            let mut running = start(&world, &with_command(&world));
            sleep(Duration::from_mins(20)).await;
            assert!(running.is_running(), "it waits for a decision");
            let said =
                world.state().entries_at("EVENT#").filter(|entry| entry.body.to_string().contains("mirrored")).count();
            assert_eq!(said, 1, "the trail says it once");
            let status = running.status().unwrap();
            assert!(status.reason.unwrap().contains("nothing is mirrored"));
            assert!(!ask(&world, Verb::Finish).await.done, "it is not switched yet");
            assert!(!ask(&world, Verb::GiveUp { vouched: false }).await.done);
            assert!(ask(&world, decision.clone()).await.done);
            until_phase(&world, "switched").await;
            // Nor does a restart end it.
            running.crash().await;
            running = start(&world, &with_command(&world));
            sleep(Duration::from_mins(2)).await;
            assert!(running.is_running());
            assert!(ask(&world, Verb::Finish).await.done);
            until_phase(&world, "finished").await;
        }
    });
}

#[test]
fn a_switch_that_is_given_up_without_a_mirror_opens_the_source_and_needs_a_reseed() {
    simulate(async {
        let world = Kind::SameKey.world(10);
        let running = switching(&world, Fate::lost()).await;
        running.crash().await;
        world.no_more_faults();
        sleep(Duration::from_hours(25)).await;
        let running = start(&world, &with_command(&world));
        sleep(Duration::from_mins(2)).await;
        assert_eq!(world.state().phase(), "switching", "it asks first");
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        until_phase(&world, "needs-reseed").await;
        assert!(!world.state().fenced, "the source is open again");
        drop(running);
    });
}

/// Whoever decides while a retried switch is under way does not know its end.
#[test]
fn no_decision_is_taken_while_a_retried_switch_is_under_way() {
    simulate(async {
        let world = Kind::SameKey.world(11);
        let running = switching(&world, Fate::hangs(Duration::from_secs(30))).await;
        running.crash().await;
        sleep(Duration::from_hours(25)).await;
        let mut running = start(&world, &with_command(&world));
        sleep(Duration::from_mins(2)).await;
        assert!(ask(&world, Verb::SwitchAgain).await.done);
        sleep(Duration::from_secs(2)).await;
        let meanwhile = ask(&world, Verb::GiveUp { vouched: true }).await;
        assert!(!meanwhile.done && meanwhile.message.contains("under way"), "{meanwhile:?}");
        sleep(LONG).await;
        {
            let state = world.state();
            assert_eq!((state.phase().as_str(), state.fenced), ("switching", true), "it asks again");
        }
        assert!(running.is_running());
    });
}

/// A vouch of long ago is none.
#[test]
fn a_command_that_nobody_was_there_to_do_is_not_done_much_later() {
    simulate(async {
        let world = Kind::SameKey.world(12);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        // Its lease has not run out yet, so that the command is left where it is.
        running.crash().await;
        leave(&world, Verb::Pause { paused: Paused::All }, Duration::from_secs(1)).await;
        sleep(Duration::from_mins(10)).await;
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.put("later", &[]);
        running.caught_up().await;
        {
            let state = world.state();
            let answers: Vec<_> =
                state.entries_at("COMMAND#").map(|entry| entry.body["answer"]["done"].clone()).collect();
            assert_eq!(answers, [false], "it is answered, and refused");
        }
        assert!(running.is_running());
    });
}

/// Until `switched` is stored the switch may still be given up, so no checkpoint passes a late change before.
#[test]
fn no_checkpoint_passes_a_late_change_while_the_switched_phase_cannot_be_stored() {
    simulate(async {
        let world = Kind::SameKey.world(13);
        let running = switching(&world, Fate::lost()).await;
        until_asked(&world).await;
        world.script(|_, call| match call {
            Call::StatePut(entry) if entry.body["phase"] == "switched" => Fate::throttled(),
            _ => Fate::answered(),
        });
        let positions = || -> Vec<String> {
            world.state().entries_at("SHARD#").map(|entry| entry.body["position"].to_string()).collect()
        };
        let before = positions();
        let asking = leave(&world, Verb::DeclareSwitched, LONG);
        let meanwhile = async {
            sleep(Duration::from_secs(2)).await;
            world.put("late", &[]);
            sleep(Duration::from_secs(20)).await;
            running.crash().await;
        };
        tokio::join!(asking, meanwhile);
        world.no_more_faults();
        {
            let state = world.state();
            let commands = state.entries_at("COMMAND#").count();
            assert_eq!((state.phase().as_str(), commands), ("switching", 0), "it was taken back");
            assert_eq!(state.entries_at("QUARANTINE#").count(), 1, "the change arrived");
        }
        assert_eq!(positions(), before);
        let mut running = start(&world, &with_command(&world));
        sleep(Duration::from_mins(1)).await;
        assert!(ask(&world, Verb::GiveUp { vouched: true }).await.done);
        until_phase(&world, "tailing").await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

/// The program of a process that was killed goes on without it.
#[test]
fn a_switch_that_a_dead_process_began_is_over_before_an_operator_is_asked() {
    simulate(async {
        for (begun, dies) in [(40, 2), (60, 1)] {
            let world = Kind::SameKey.world(22);
            let running = switching(&world, Fate::slow(Duration::from_secs(begun))).await;
            sleep(Duration::from_secs(dies)).await;
            running.crash().await;
            world.script(|_, call| match call {
                Call::Program("switch") => Fate::throttled(),
                _ => Fate::answered(),
            });
            let mut running = start(&world, &with_command(&world));
            until_asked(&world).await;
            let moved = world.state().pointer == SHADOW;
            let decision = if moved { Verb::DeclareSwitched } else { Verb::GiveUp { vouched: true } };
            assert!(ask(&world, decision).await.done);
            sleep(LONG).await;
            assert!(running.is_running());
            assert_switched(&world);
        }
    });
}

#[test]
fn a_fence_that_a_dead_process_began_is_over_before_the_source_is_opened() {
    simulate(async {
        let world = Kind::SameKey.world(23);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("fence") => Fate::slow(Duration::from_secs(50)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "fencing").await;
        sleep(Duration::from_secs(1)).await;
        running.crash().await;
        world.no_more_faults();
        let mut running = start(&world, &with_command(&world));
        sleep(Duration::from_secs(20)).await;
        assert!(ask(&world, Verb::GiveUp { vouched: false }).await.done);
        until_phase(&world, "tailing").await;
        sleep(LONG).await;
        running.caught_up().await;
        assert_as_before(&world);
    });
}

#[test]
fn a_fence_that_was_cut_short_is_over_before_the_source_is_opened() {
    simulate(async {
        let world = Kind::SameKey.world(24);
        let mut running = start(&world, &with_command(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Program("fence") => Fate::late(Duration::from_secs(6)),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        sleep(LONG).await;
        assert_eq!(world.state().phase(), "tailing");
        running.caught_up().await;
        assert_as_before(&world);
    });
}

#[test]
fn a_process_that_is_stopped_during_a_switch_is_not_quiet() {
    simulate(async {
        let world = Kind::SameKey.world(25);
        let running = switching(&world, Fate::slow(Duration::from_secs(8))).await;
        sleep(Duration::from_secs(1)).await;
        running.stop().await.unwrap();
        let lease = world.state().entry("LEASE").unwrap().body.clone();
        assert_eq!((&lease["released"], &lease["quiet"]), (&true.into(), &false.into()));
        let mut running = start(&world, &with_command(&world));
        until_phase(&world, "switched").await;
        assert_eq!(world.state().programs, ["fence", "switch", "switch"], "the second one waits for the first");
        sleep(LONG).await;
        assert!(running.is_running());
        assert_switched(&world);
    });
}

/// Whoever takes over waits for what was begun, not for what goes on being begun.
#[test]
fn a_process_that_is_cut_off_from_the_state_table_ends_its_switch_with_its_lease() {
    simulate(async {
        let world = Kind::SameKey.world(26);
        let running = start(&world, &with_pointer(&world));
        sleep(Duration::from_secs(10)).await;
        let process = running.process.id();
        let (asked, seen) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&world));
        let noted = Arc::clone(&asked);
        world.script(move |caller, call| match call {
            Call::Point if caller == process => {
                noted.lock().unwrap().push(seen.elapsed());
                Fate::throttled()
            }
            Call::StateGet(_) | Call::StateList(_) | Call::StatePut(_) | Call::StateDelete(_)
                if caller == process && !noted.lock().unwrap().is_empty() =>
            {
                Fate::lost()
            }
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        sleep(LONG).await;
        let asked = asked.lock().unwrap();
        let span = asked.last().unwrap().saturating_sub(asked[0]);
        assert!(asked.len() > 5 && span < Duration::from_secs(20), "{} times in {span:?}", asked.len());
    });
}
