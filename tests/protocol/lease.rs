//! Invariant 6: one active process, which stops writing before its lease can be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use shadowtable::engine::EngineError;
use shadowtable::engine::state::entities::ENTITIES;
use shadowtable::engine::state::entry::{Written, partition_of};
use shadowtable::engine::state::journal::{Journal, Trail};
use shadowtable::engine::state::lease::{Acquired, acquire};
use shadowtable::engine::state::store::Store;
use shadowtable::model::Timestamp;
use shadowtable::operator::release_lease;
use shadowtable::ports::{Entry, Guard, StateKey, StatePorts as _, StateStore as _};
use shadowtable::protocol::invariant::Invariant;
use shadowtable::runtime::Readiness;
use tokio::time::sleep;

use testkit::fakes::{Call, Event, FakePorts, Fate, Freeze, State, key_of, version_of};
use testkit::harness::{Kind, Running, assert_exact, job, simulate, start, until};

/// The defaults that these tests count with.
const LEASE: Duration = Duration::from_secs(15);
const BOUND: Duration = Duration::from_secs(10);

/// When each write to the shadow of one process landed.
fn writes_of(state: &State, process: u32) -> Vec<Timestamp> {
    let of = |(at, by, event): &(Timestamp, u32, Event)| {
        (*by == process && matches!(event, Event::Shadow { .. })).then_some(*at)
    };
    state.log.iter().filter_map(of).collect()
}

/// When the lease went to this process.
fn taken_at(state: &State, process: u32) -> Timestamp {
    let of = |(_, by, event): &&(Timestamp, u32, Event)| {
        *by == process && matches!(event, Event::Stored(entry) if entry.key.sort == "LEASE")
    };
    state.log.iter().find(of).map(|(at, ..)| *at).unwrap()
}

async fn until_active(running: &Running) {
    while running.monitor.readiness() != Readiness::Active {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn a_frozen_holder(freeze: Freeze) {
    let world = Kind::SameKey.world(1);
    let mut old = start(&world, &job(&world));
    old.caught_up().await;
    // It holds a change that it wants to write.
    world.script(|process, call| match call {
        Call::Write(_) if process == 0 => Fate::throttled(),
        _ => Fate::answered(),
    });
    world.put("a", &[]);
    sleep(Duration::from_secs(3)).await;
    old.process.freeze();
    let mut new = start(&world, &job(&world));
    until_active(&new).await;
    new.caught_up().await;
    let newest = world.put("a", &[]);
    new.caught_up().await;
    world.no_more_faults();
    let thawed = world.service();
    old.process.thaw(freeze);
    sleep(LEASE * 2).await;
    assert!(old.is_running() && new.is_running());
    assert_eq!(old.monitor.readiness(), Readiness::Standby);
    assert_exact(&world);
    let state = world.state();
    assert_eq!(writes_of(&state, 0).iter().filter(|at| **at > thawed).count(), 0);
    assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), newest);
}

#[test]
fn a_stopped_holder_writes_nothing_once_it_was_replaced() {
    simulate(a_frozen_holder(Freeze::Stopped));
}

#[test]
fn a_holder_on_a_suspended_machine_writes_nothing_once_it_was_replaced() {
    simulate(a_frozen_holder(Freeze::Suspended));
}

#[test]
fn a_holder_whose_only_clock_stood_still_writes_nothing_once_it_was_replaced() {
    simulate(a_frozen_holder(Freeze::SuspendedWithoutBootClock));
}

/// The lease was looked at, the connection is being made, and then the process stands still until it was replaced.
#[test]
fn a_write_whose_connection_was_being_made_is_not_sent_when_its_process_goes_on() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        let asked = Arc::new(AtomicBool::new(false));
        let (note, mut first) = (Arc::clone(&asked), true);
        world.script(move |process, call| match call {
            Call::Write(_) if process == 0 && std::mem::take(&mut first) => {
                note.store(true, Ordering::Relaxed);
                Fate::connecting(Duration::from_millis(500))
            }
            _ => Fate::answered(),
        });
        world.put("a", &[("who", "old")]);
        until(&world, "the write is on its way", |_| asked.load(Ordering::Relaxed)).await;
        old.process.freeze();
        let mut new = start(&world, &job(&world));
        until_active(&new).await;
        world.put("a", &[("who", "new")]);
        new.caught_up().await;
        old.process.thaw(Freeze::Stopped);
        sleep(LEASE).await;
        assert_exact(&world);
        assert_eq!(writes_of(&world.state(), 0), []);
    });
}

#[test]
fn a_holder_that_cannot_renew_stops_writing_before_its_lease_can_be_taken() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        world.script(|process, call| match call {
            Call::StatePut(_) if process == 0 => Fate::lost(),
            // It writes again and again.
            Call::Write(_) if process == 0 => Fate::sparing(u32::MAX),
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        let new = start(&world, &job(&world));
        until_active(&new).await;
        let asked = world.state().writes_asked.get(&0).copied().unwrap_or(0);
        sleep(LEASE * 2).await;
        assert_eq!(world.state().writes_asked.get(&0).copied().unwrap_or(0), asked);
        assert!(asked > 0);
    });
}

#[test]
fn a_successor_waits_for_the_abandonment_bound_before_its_first_write() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        let mut first = true;
        world.script(move |_, call| match call {
            Call::Write(_) if std::mem::take(&mut first) => Fate::late(LEASE + Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        world.put("a", &[("who", "old")]);
        sleep(Duration::from_millis(1_200)).await;
        // What it sent lands 8 s after the lease can be taken.
        old.crash().await;
        let newest = world.put("a", &[("who", "new")]);
        let mut new = start(&world, &job(&world));
        new.caught_up().await;
        sleep(LEASE).await;
        assert_exact(&world);
        let state = world.state();
        let (taken, wrote) = (taken_at(&state, 1), writes_of(&state, 1));
        assert!(wrote.iter().min().unwrap().since(taken) >= BOUND);
        assert_eq!(version_of(&state.shadow[&key_of(&state, "a")]), newest);
    });
}

#[test]
fn a_successor_claims_every_checkpoint_so_that_a_late_one_of_its_predecessor_fails() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        world.script(|process, call| match call {
            Call::StatePut(entry) if process == 0 && entry.key.sort.starts_with("SHARD#") => {
                Fate::late(Duration::from_mins(1))
            }
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        sleep(Duration::from_secs(3)).await;
        old.crash().await;
        let mut new = start(&world, &job(&world));
        new.caught_up().await;
        let claimed = world.service();
        {
            let state = world.state();
            let mut claimed = state.entries_at("SHARD#").chain(state.entries_at("SEGMENT#"));
            assert!(claimed.all(|entry| entry.epoch == 2));
        }
        sleep(Duration::from_mins(2)).await;
        let state = world.state();
        let late =
            |(at, by, event): &&(Timestamp, u32, Event)| *by == 0 && *at > claimed && matches!(event, Event::Stored(_));
        assert_eq!(state.log.iter().find(late), None);
    });
}

#[test]
fn a_holder_that_was_replaced_during_a_state_write_stands_by() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        world.script(|process, call| match call {
            Call::StatePut(entry) if process == 0 && entry.key.sort.starts_with("SHARD#") => {
                Fate::slow(Duration::from_secs(50))
            }
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        sleep(Duration::from_secs(2)).await;
        old.process.freeze();
        let mut new = start(&world, &job(&world));
        sleep(Duration::from_mins(1)).await;
        new.caught_up().await;
        old.process.thaw(Freeze::Stopped);
        sleep(Duration::from_mins(1)).await;
        assert!(old.is_running(), "being replaced is no failure");
        assert_eq!(old.monitor.readiness(), Readiness::Standby);
        assert_exact(&world);
    });
}

#[test]
fn a_standby_leaves_the_lease_to_a_holder_that_renews_it() {
    simulate(async {
        let world = Kind::SameKey.world(9);
        let (mut holder, mut standby) = (start(&world, &job(&world)), start(&world, &job(&world)));
        sleep(LEASE * 40).await;
        assert!(holder.is_running() && standby.is_running());
        let readiness = [holder.monitor.readiness(), standby.monitor.readiness()];
        assert!(readiness.contains(&Readiness::Active) && readiness.contains(&Readiness::Standby), "{readiness:?}");
        assert_eq!(world.state().entry("LEASE").unwrap().epoch, 1, "it never changed hands");
    });
}

#[test]
fn a_lease_that_was_taken_before_it_ran_out_is_a_broken_rule() {
    simulate(async {
        let world = Kind::SameKey.world(8);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        {
            let mut state = world.state();
            let lease = state.entries.values_mut().find(|entry| entry.key.sort == "LEASE").unwrap();
            lease.version += 1;
            lease.epoch += 1;
            lease.body["owner"] = "another".into();
        }
        match running.ended().await {
            Err(EngineError::Violation(violation)) => assert_eq!(violation.invariant, Invariant::OneWriter),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_holder_that_was_replaced_while_it_made_the_shadow_stands_by() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        world.put("a", &[]);
        let mut tables = 0;
        world.script(move |process, call| match call {
            // The state table is made first.
            Call::Create if process == 0 => {
                tables += 1;
                if tables == 2 { Fate::slow_reply(Duration::from_secs(5)) } else { Fate::answered() }
            }
            _ => Fate::answered(),
        });
        let mut old = start(&world, &job(&world));
        sleep(Duration::from_secs(2)).await;
        old.process.freeze();
        let mut new = start(&world, &job(&world));
        until_active(&new).await;
        new.caught_up().await;
        old.process.thaw(Freeze::Suspended);
        sleep(LEASE).await;
        assert!(old.is_running(), "what it finds then is its successor's work");
        assert_eq!(old.monitor.readiness(), Readiness::Standby);
        assert_exact(&world);
    });
}

#[test]
fn an_operator_takes_the_lease_from_a_dead_holder_and_not_from_a_living_one() {
    simulate(async {
        let world = Kind::SameKey.world(10);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let ports = FakePorts::new(&world.process());
        let refused = release_lease(&ports, "orders", "somebody").await.unwrap_err().to_string();
        assert!(refused.contains("is alive"), "{refused}");
        assert!(running.is_running());
        running.crash().await;
        let mut number = 0;
        world.script(move |_, call| match call {
            Call::StateGet(_) | Call::StatePut(_) => {
                number += 1;
                [Fate::throttled(), Fate::reply_lost(), Fate::answered()][number % 3]
            }
            _ => Fate::answered(),
        });
        release_lease(&ports, "orders", "somebody").await.unwrap();
        world.no_more_faults();
        let mut successor = start(&world, &job(&world));
        let asked = world.elapsed();
        until_active(&successor).await;
        // Not the lease and the bound on what the dead one sent, but that alone.
        assert!(world.elapsed().saturating_sub(asked) < BOUND + LEASE / 2);
        successor.caught_up().await;
        let first = writes_of(&world.state(), 2).first().copied();
        assert!(first.is_none_or(|first| first.since(taken_at(&world.state(), 2)) >= BOUND), "{first:?}");
        assert_exact(&world);
        let nobody = release_lease(&ports, "unknown", "somebody").await.unwrap_err().to_string();
        assert!(nobody.contains("nobody holds"), "{nobody}");
    });
}

#[test]
fn a_lease_given_back_with_nothing_under_way_is_taken_at_once() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut old = start(&world, &job(&world));
        old.caught_up().await;
        old.stop().await.unwrap();
        let new = start(&world, &job(&world));
        let before = world.service();
        world.put("a", &[]);
        let mut running = new;
        running.caught_up().await;
        let wrote = writes_of(&world.state(), 1);
        assert!(wrote.first().unwrap().since(before) < Duration::from_secs(3));
    });
}

#[test]
fn a_lease_that_somebody_took_while_the_reply_to_giving_it_back_was_missing_was_given_back() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let mut holder = start(&world, &job(&world));
        holder.caught_up().await;
        let mut standby = start(&world, &job(&world));
        let mut lost = false;
        world.script(move |_, call| match call {
            Call::StatePut(entry) if entry.body["released"] == true && !std::mem::replace(&mut lost, true) => {
                Fate::reply_lost().heard_after(LEASE / 3)
            }
            _ => Fate::answered(),
        });
        holder.stop().await.unwrap();
        standby.caught_up().await;
        assert_eq!(world.state().entry("LEASE").unwrap().epoch, 2);
    });
}

#[test]
fn a_write_that_is_not_answered_is_given_up_when_the_lease_runs_out() {
    simulate(async {
        let world = Kind::SameKey.world(11);
        let mut holder = start(&world, &job(&world));
        holder.caught_up().await;
        let mut standby = start(&world, &job(&world));
        world.script(|process, call| match call {
            Call::StatePut(entry) if process == 0 && entry.key.sort == "LEASE" => Fate::throttled(),
            Call::Write(_) if process == 0 => Fate::hung(BOUND.mul_f64(0.99)),
            _ => Fate::answered(),
        });
        for _ in 0..100 {
            world.put("a", &[]);
            sleep(Duration::from_millis(500)).await;
        }
        standby.caught_up().await;
        assert!(!writes_of(&world.state(), 0).is_empty() && !writes_of(&world.state(), 1).is_empty());
        assert_exact(&world);
    });
}

#[test]
fn a_lease_that_is_found_given_back_by_a_request_whose_reply_was_lost_is_not_given_back_again() {
    simulate(async {
        let world = Kind::SameKey.world(12);
        let mut holder = start(&world, &job(&world));
        holder.caught_up().await;
        let mut standby = start(&world, &job(&world));
        let mut lost = false;
        world.script(move |process, call| match call {
            Call::StatePut(entry) if entry.body["released"] == true && !std::mem::replace(&mut lost, true) => {
                Fate::reply_lost().heard_after(Duration::from_millis(10))
            }
            // While it hears what lies there, the standby takes it.
            Call::StateGet(key) if process == 0 && key.sort == "LEASE" => Fate::slow_reply(LEASE / 3),
            _ => Fate::answered(),
        });
        holder.stop().await.unwrap();
        standby.caught_up().await;
        assert_eq!(world.state().entry("LEASE").unwrap().epoch, 2);
    });
}

/// Each kind in the list of entities, so one that is added is asked for too.
#[test]
fn a_new_holder_claims_all_that_holders_write_before_it_reads_any() {
    simulate(async {
        let world = Kind::SameKey.world(13);
        let (ports, job) = (FakePorts::new(&world.process()), job(&world));
        let written = ENTITIES.iter().filter(|kind| kind.written == Written::ByHolder);
        for kind in written.clone() {
            let key = StateKey { partition: partition_of("orders"), sort: kind.sort.to_owned() };
            let entry = Entry { key, version: 5, epoch: 0, expires: None, body: json!({ "schema": kind.form }) };
            ports.state().put(&entry, Guard::Absent).await.unwrap();
        }
        let ports = Arc::new(ports);
        let claimant = job.claimant(ports.clock());
        let Acquired { lease, .. } = acquire(&ports, &partition_of("orders"), &claimant, |_| {}).await.unwrap();
        let store = Arc::new(Store::new(Arc::clone(&ports), lease, partition_of("orders"), BOUND));
        // What lies there is no migration, which is noticed only when all is claimed.
        let opened = Journal::open(Trail::new(store, Arc::new(|_| {})), None).await;
        assert!(matches!(opened, Err(EngineError::State { .. })));
        let state = world.state();
        for kind in written {
            assert_eq!(state.entry(kind.sort).unwrap().epoch, 1, "{} is not claimed", kind.name);
        }
    });
}
