//! Starting over deletes a table only where nobody may need it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::operator::{OperatorJob, abort, reseed};
use shadowtable::ports::Fault;
use shadowtable::protocol::command::Verb;
use tokio::time::{sleep, timeout};

use testkit::fakes::{Call, FakePorts, Fate, Freeze, REFUSED, SHADOW, World};
use testkit::harness::cutover::{ask, cutover, until_phase};
use testkit::harness::{Kind, assert_exact, job, simulate, start, with_pointer};

/// Longer than the abandonment bound.
const LATE: Duration = Duration::from_secs(30);

/// An operator's machine.
fn laptop(world: &Arc<World>) -> Arc<FakePorts> {
    Arc::new(FakePorts::new(&world.process()))
}

/// The shadow's table id, and what is durable of the migration's progress.
fn kept(world: &World) -> (Option<String>, Vec<String>) {
    let state = world.state();
    let progress = ["SHARD#", "SEGMENT#", "PIN", "QUARANTINE#"].map(|prefix| {
        state.entries_at(prefix).map(|entry| format!("{} {}", entry.key.sort, entry.body)).collect::<Vec<_>>()
    });
    (state.shadow_layout.as_ref().map(|(_, id)| id.clone()), progress.concat())
}

#[test]
fn what_an_application_uses_is_never_deleted() {
    simulate(async {
        for end in ["switched", "finished", "aborted", "fenced"] {
            let world = Kind::SameKey.world(1);
            let mut running = start(&world, &with_pointer(&world));
            world.put("a", &[]);
            running.caught_up().await;
            match end {
                "aborted" => {
                    running.crash().await;
                    abort(&laptop(&world), "orders", &OperatorJob::of(&job(&world))).await.unwrap();
                }
                "fenced" => {
                    assert!(cutover(&world).await.done);
                    until_phase(&world, end).await;
                    running.crash().await;
                }
                _ => {
                    assert!(cutover(&world).await.done);
                    until_phase(&world, "switched").await;
                    if end == "finished" {
                        assert!(ask(&world, Verb::Finish).await.done);
                    }
                    running.crash().await;
                }
            }
            sleep(LATE).await;
            let before = kept(&world);
            for delete in [false, true] {
                let error = reseed(&laptop(&world), &with_pointer(&world), delete).await.unwrap_err().to_string();
                assert!(error.contains(&format!("is {end}: it is not begun again")), "{error}");
                assert_eq!(kept(&world), before, "{end}");
            }
            if end == "switched" {
                let running = start(&world, &with_pointer(&world));
                sleep(Duration::from_secs(1)).await;
                assert!(ask(&world, Verb::Finish).await.done);
                running.ended().await.unwrap();
            }
        }
    });
}

#[test]
fn a_shadow_that_may_be_the_only_copy_or_in_use_is_kept() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        let before = kept(&world);
        let refused = async |why: &str| {
            let error = reseed(&laptop(&world), &with_pointer(&world), true).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert_eq!(kept(&world), before);
        };
        let source = std::mem::replace(&mut world.state().source_id, "created again".into());
        refused("may be the only copy").await;
        world.state().source_id = source;
        let pointed = std::mem::replace(&mut world.state().pointer, SHADOW.into());
        refused("pointer names the shadow").await;
        world.state().pointer = pointed;
        world.script(|_, call| match call {
            Call::Pointer => Fate::throttled(),
            _ => Fate::answered(),
        });
        refused("pointer may name the shadow").await;
        world.no_more_faults();
        reseed(&laptop(&world), &with_pointer(&world), true).await.unwrap();
        assert_eq!(kept(&world), (None, Vec::new()));
    });
}

/// While the table is being deleted, somebody makes another one under its name.
#[test]
fn another_table_of_the_shadows_name_is_left_alone() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        let there = Arc::clone(&world);
        world.script(move |_, call| {
            if matches!(call, Call::DeleteTable) {
                there.state().shadow_layout.as_mut().unwrap().1 = "somebody else's".into();
                return Fate::fault(Fault::Busy);
            }
            Fate::answered()
        });
        let (ports, job) = (laptop(&world), job(&world));
        let done = timeout(Duration::from_mins(10), reseed(&ports, &job, true)).await;
        assert!(matches!(done, Ok(Ok(()))), "{done:?}");
        assert_eq!(kept(&world).0.as_deref(), Some("somebody else's"));
    });
}

/// It saw the old shadow, and wakes up when another operator has started over and the new shadow is in place.
#[test]
fn a_laptop_that_slept_deletes_nothing() {
    for freeze in [Freeze::Stopped, Freeze::Suspended, Freeze::SuspendedWithoutBootClock] {
        simulate(async {
            let world = Kind::SameKey.world(4);
            let mut running = start(&world, &job(&world));
            running.caught_up().await;
            running.stop().await.unwrap();
            let process = world.process();
            let (sleeper, mut deletions) = (process.id(), 0);
            world.script(move |process, call| match call {
                Call::DeleteTable if process == sleeper => {
                    deletions += 1;
                    Fate::fault(Fault::Busy)
                }
                // The reply that shows the old shadow is on its way when the machine falls asleep.
                Call::Describe if process == sleeper && deletions == 2 => Fate::slow_reply(Duration::from_secs(3)),
                _ => Fate::answered(),
            });
            let (ports, job) = (Arc::new(FakePorts::new(&process)), job(&world));
            let sleeping = async {
                sleep(Duration::from_secs(2)).await;
                process.freeze();
                reseed(&laptop(&world), &job, true).await.unwrap();
                let mut again = start(&world, &job);
                again.caught_up().await;
                world.no_more_faults();
                process.thaw(freeze);
                sleep(LATE).await;
                assert_eq!(kept(&world).0.as_deref(), Some("shadow-2"), "{freeze:?}");
                assert_exact(&world);
            };
            let (slept, ()) = tokio::join!(timeout(Duration::from_mins(10), reseed(&ports, &job, true)), sleeping);
            assert!(matches!(slept.unwrap(), Err(EngineError::LeaseLost)), "{freeze:?}");
        });
    }
}

#[test]
fn a_reseed_outlasts_faults_that_pass_and_tells_one_that_lasts() {
    simulate(async {
        let world = Kind::SameKey.world(12);
        let mut stopped = start(&world, &job(&world));
        world.put("a", &[]);
        stopped.caught_up().await;
        stopped.stop().await.unwrap();
        let ports = Arc::new(FakePorts::new(&world.process()));
        world.script(|_, call| match call {
            Call::Describe => Fate::throttled(),
            _ => Fate::answered(),
        });
        let began = world.service();
        let error = reseed(&ports, &job(&world), true).await.unwrap_err();
        assert!(error.to_string().contains("throttled"), "{error}");
        assert!((5..60).contains(&world.service().since(began).as_secs()), "patient, and not for ever");
        let (mut looks, mut deletions) = (0, 0);
        world.script(move |_, call| match call {
            Call::Describe => {
                looks += 1;
                [Fate::answered(), Fate::throttled(), Fate::reply_lost()][looks % 3]
            }
            Call::DeleteTable => {
                deletions += 1;
                [Fate::fault(Fault::Busy), Fate::late(Duration::from_secs(8)), Fate::answered()][deletions - 1]
            }
            _ => Fate::answered(),
        });
        reseed(&ports, &job(&world), true).await.unwrap();
        world.no_more_faults();
        assert!(world.state().shadow.is_empty());
        let mut again = start(&world, &job(&world));
        again.caught_up().await;
        sleep(LATE).await;
        assert_exact(&world);
    });
}

/// Interrupted, it must not leave progress without what was refused on the way: that would look complete.
#[test]
fn progress_is_forgotten_before_what_was_refused_and_the_pin_last() {
    simulate(async {
        let world = Kind::SameKey.world(8);
        world.put("a", &[]);
        world.put("poison", &[(REFUSED, "yes")]);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.crash().await;
        sleep(LATE).await;
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&deleted);
        world.script(move |_, call| {
            if let Call::StateDelete(key) = call {
                noted.lock().unwrap().push(key.sort.split('#').next().unwrap().to_owned());
            }
            Fate::answered()
        });
        reseed(&laptop(&world), &job(&world), true).await.unwrap();
        let mut deleted = deleted.lock().unwrap().clone();
        deleted.retain(|kind| ["SHARD", "SEGMENT", "QUARANTINE", "PIN"].contains(&kind.as_str()));
        deleted.dedup();
        assert_eq!(deleted, ["SHARD", "SEGMENT", "QUARANTINE", "PIN"]);
    });
}
