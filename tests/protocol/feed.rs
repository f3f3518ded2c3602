//! Reading shards: where it begins, and what happens on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use shadowtable::model::ViewType;
use shadowtable::operator::command;
use shadowtable::ports::Fault;
use shadowtable::protocol::command::{Paused, Verb};
use tokio::time::sleep;

use testkit::fakes::{Call, Event, FakePorts, Fate, World, key_of, version_of};
use testkit::harness::{Kind, assert_exact, fill, job, simulate, start, until};

/// How often the shadow was written under this id.
fn writes(world: &World, id: &str) -> usize {
    let state = world.state();
    let wanted = key_of(&state, id);
    let of = |(_, _, event): &&(_, _, Event)| matches!(event, Event::Shadow { key, .. } if *key == wanted);
    state.log.iter().filter(of).count()
}

fn begun_at_the_beginning(world: &World) -> usize {
    let state = world.state();
    state.log.iter().filter(|(_, _, event)| matches!(event, Event::Iterator { beginning: true, .. })).count()
}

#[test]
fn a_pinned_shard_restarted_before_any_record_is_read_from_its_beginning_over_what_the_copy_shows() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        world.put("old", &[]);
        world.delete("old");
        sleep(Duration::from_mins(20)).await;
        world.put("recent", &[]);
        sleep(Duration::from_mins(1)).await;
        let running = start(&world, &job(&world));
        until(&world, "the stream is pinned", |state| state.phase() == "copying").await;
        running.crash().await;
        world.put("meanwhile", &[]);
        world.delete("recent");
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(begun_at_the_beginning(&world), 1);
        assert!(writes(&world, "meanwhile") > 0);
        assert_eq!(writes(&world, "old"), 0, "its records are read over");
    });
}

#[test]
fn a_pinned_shard_whose_iterator_expires_before_any_record_is_read_from_its_beginning() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Records => Fate::throttled(),
            _ => Fate::answered(),
        });
        world.put("a", &[]);
        sleep(Duration::from_mins(16)).await;
        world.no_more_faults();
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(begun_at_the_beginning(&world), 1);
    });
}

#[test]
fn an_iterator_that_expires_while_the_stream_is_pinned_is_asked_for_anew() {
    simulate(async {
        let world = Kind::SameKey.world(8);
        world.put("before", &[]);
        let mut first = true;
        world.script(move |_, call| match call {
            Call::Records if std::mem::take(&mut first) => Fate::fault(Fault::IteratorExpired),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        world.put("after", &[]);
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn an_iterator_that_expires_on_the_way_is_replaced_behind_the_last_change() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        world.put("a", &[]);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Records => Fate::throttled(),
            _ => Fate::answered(),
        });
        let before = writes(&world, "a");
        world.put("b", &[]);
        sleep(Duration::from_mins(16)).await;
        world.no_more_faults();
        running.caught_up().await;
        assert_exact(&world);
        assert_eq!(begun_at_the_beginning(&world), 0);
        assert_eq!(writes(&world, "a"), before, "nothing is replayed");
    });
}

#[test]
fn empty_pages_end_nothing() {
    simulate(async {
        let world = Kind::SameKey.world_with(4, 3, ViewType::NewAndOldImages);
        let mut calls = 0_u32;
        world.script(move |_, call| match call {
            Call::Records => {
                calls += 1;
                Fate::sparing(u32::from(!calls.is_multiple_of(4)))
            }
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        for item in 0..60 {
            world.put(&format!("item-{}", item % 20), &[]);
            sleep(Duration::from_millis(200)).await;
        }
        let open = world.state().stream.open();
        for shard in open {
            world.roll(&shard);
        }
        (0..20).step_by(2).for_each(|item| world.delete(&format!("item-{item}")));
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn the_first_empty_page_after_a_pause_does_not_make_a_shard_caught_up() {
    simulate(async {
        let world = Kind::SameKey.world(7);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        pause(&world, Paused::All).await;
        sleep(Duration::from_secs(30)).await;
        world.put("a", &[]);
        sleep(Duration::from_secs(30)).await;
        world.script(|_, call| match call {
            Call::Records => Fate::sparing(1),
            _ => Fate::answered(),
        });
        pause(&world, Paused::None).await;
        sleep(Duration::from_secs(3)).await;
        let status = running.status().unwrap();
        assert!(!status.leg().unwrap().tail.caught_up && status.lag_seconds().unwrap() > 30.0, "{status:#?}");
        world.no_more_faults();
        running.caught_up().await;
        assert_exact(&world);
    });
}

async fn pause(world: &Arc<World>, paused: Paused) {
    let operator = FakePorts::new(&world.process());
    let answer = command(&operator, "orders", "somebody", Verb::Pause { paused }).await.unwrap();
    assert!(answer.done, "{answer:?}");
}

#[test]
fn items_of_a_stream_of_keys_are_read_back_and_offered_in_order() {
    simulate(async {
        let world = Kind::SameKey.world_with(5, 2, ViewType::KeysOnly);
        fill(&world, 10, &[]);
        let mut calls = 0_u64;
        world.script(move |_, call| match call {
            Call::Get => {
                calls += 1;
                Fate::slow_reply(Duration::from_millis(calls * 7919 % 900))
            }
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        for round in 0..40 {
            let id = format!("item-{}", round % 10);
            if round % 3 == 0 {
                world.delete(&id);
            } else {
                world.put(&id, &[]);
            }
            sleep(Duration::from_millis(150)).await;
        }
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn two_changes_within_one_second_keep_their_order() {
    simulate(async {
        let world = Kind::SameKey.world(6);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        for _ in 0..30 {
            world.put("a", &[]);
            world.delete("a");
            world.put("b", &[]);
        }
        world.put("a", &[]);
        world.delete("b");
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// Seventy pages, of which every other request is throttled: no page is asked for twice because of another one.
#[test]
fn a_long_listing_under_throttling_ends() {
    simulate(async {
        let world = Kind::SameKey.world_with(11, 210, ViewType::NewAndOldImages);
        world.state().stream.listing_page = 3;
        let asked = Arc::new(AtomicU32::new(0));
        let requests = Arc::clone(&asked);
        world.script(move |_, call| match call {
            Call::Shards if requests.fetch_add(1, Ordering::Relaxed) % 2 == 1 => Fate::throttled(),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        until(&world, "it is pinned", |state| state.phase() == "copying" || state.phase() == "tailing").await;
        let requests = asked.load(Ordering::Relaxed);
        assert!((140..=150).contains(&requests), "{requests} requests for 70 pages");
        assert!(world.elapsed() > Duration::from_millis(200) * 70, "five a second at most");
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// A listing of sixty pages takes twelve seconds. What continues a shard is asked for by itself meanwhile.
#[test]
fn what_continues_a_shard_is_read_before_a_long_listing_ends() {
    simulate(async {
        let world = Kind::SameKey.world_with(12, 60, ViewType::NewAndOldImages);
        world.state().stream.listing_page = 1;
        let mut job = job(&world);
        job.engine.tail.discover = Duration::from_mins(10);
        let mut running = start(&world, &job);
        running.caught_up().await;
        world.roll(&world.shard_of("a"));
        let version = world.put("a", &[]);
        sleep(Duration::from_secs(5)).await;
        let key = key_of(&world.state(), "a");
        assert_eq!(world.state().shadow.get(&key).map(version_of), Some(version));
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn a_listing_that_comes_round_stops_the_process() {
    simulate(async {
        let world = Kind::SameKey.world_with(13, 3, ViewType::NewAndOldImages);
        world.state().stream.listing_comes_round = true;
        let error = start(&world, &job(&world)).ended().await.unwrap_err().to_string();
        assert!(error.contains("the listing came round after 2 pages"), "{error}");
    });
}

/// Other readers of a shard leave it one call in ten, and never wait.
#[test]
fn a_reader_among_others_does_not_fall_behind() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let mut calls = 0;
        world.script(move |_, call| match call {
            Call::Records => {
                calls += 1;
                if calls % 10 == 0 { Fate::answered() } else { Fate::throttled() }
            }
            _ => Fate::answered(),
        });
        sleep(Duration::from_mins(1)).await;
        for item in 0..10 {
            world.put(&format!("item-{item}"), &[]);
            sleep(Duration::from_secs(12)).await;
            assert_eq!(world.state().shadow.len(), item + 1);
        }
        running.stop().await.unwrap();
    });
}

/// Each request holds a connection.
#[test]
fn only_so_many_shards_are_asked_at_the_same_time() {
    simulate(async {
        let world = Kind::SameKey.world_with(6, 400, ViewType::NewAndOldImages);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        world.script(move |_, call| match call {
            Call::Iterator => {
                counted.fetch_add(1, Ordering::Relaxed);
                Fate::slow(Duration::from_secs(1))
            }
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        let mut most = 0;
        for _ in 0..60 {
            let before = calls.load(Ordering::Relaxed);
            sleep(Duration::from_millis(900)).await;
            most = most.max(calls.load(Ordering::Relaxed) - before);
        }
        assert_eq!((most, calls.load(Ordering::Relaxed)), (256, 400));
        running.caught_up().await;
        running.stop().await.unwrap();
    });
}
