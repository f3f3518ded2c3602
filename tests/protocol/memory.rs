//! Memory is bounded whatever the number of shards, and one that does not get on takes nothing from the others.

use std::time::Duration;

use shadowtable::model::ViewType;
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, World};
use testkit::harness::{Kind, Running, assert_exact, job, simulate, start};

const SHARDS: u64 = 100;
const LIMIT: usize = 1024 * 1024;
/// As estimated, an item of the backlog.
const ITEM_BYTES: usize = 30_000;

/// Each shard's backlog is some pages, all of them together many times the memory.
fn backlog(world: &World, round: u32) {
    let text = "x".repeat(ITEM_BYTES);
    for item in 0..300 {
        world.put(&format!("item-{round}-{item}"), &[("text", &text)]);
    }
}

fn held(running: &Running) -> usize {
    running.status().and_then(|status| status.leg().map(|leg| leg.apply.bytes)).unwrap_or_default()
}

#[test]
fn a_hundred_shards_with_a_backlog_hold_no_more_than_the_limit() {
    simulate(async {
        let world = Kind::SameKey.world_with(1, SHARDS, ViewType::NewAndOldImages);
        let mut job = job(&world);
        job.engine.apply.memory_bytes = LIMIT;
        let mut running = start(&world, &job);
        running.caught_up().await;
        running.stop().await.unwrap();
        backlog(&world, 1);
        world.script(|_, call| match call {
            Call::Write(_) => Fate::throttled(),
            Call::Records => Fate::slow(Duration::from_millis(200)),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job);
        let mut most = 0;
        for _ in 0..600 {
            sleep(Duration::from_millis(20)).await;
            most = most.max(held(&running));
        }
        assert!((LIMIT / 2..=LIMIT).contains(&most), "{most} bytes");
        world.no_more_faults();
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// Nothing is written any more, so nothing makes room.
#[test]
fn a_stop_does_not_wait_for_an_item_that_waits_for_room() {
    simulate(async {
        let world = Kind::Owned.world_with(4, SHARDS, ViewType::NewAndOldImages);
        let mut job = job(&world);
        job.engine.apply.memory_bytes = LIMIT;
        for id in ["a", "b"] {
            world.put(id, &[("email", "same")]);
        }
        let mut running = start(&world, &job);
        running.caught_up().await;
        running.stop().await.unwrap();
        let text = "x".repeat(ITEM_BYTES);
        for item in 0..300 {
            let id = format!("item-{item}");
            world.put(&id, &[("email", &id), ("text", &text)]);
        }
        // The one in collision is read again only when memory is full.
        let began = world.elapsed();
        let now = std::sync::Arc::clone(&world);
        world.script(move |_, call| match call {
            Call::Write(_) => Fate::throttled(),
            Call::Get if now.elapsed() < began + Duration::from_secs(20) => Fate::throttled(),
            _ => Fate::answered(),
        });
        let running = start(&world, &job);
        sleep(Duration::from_mins(1)).await;
        assert!(held(&running) > LIMIT * 3 / 4, "{} bytes", held(&running));
        let asked = world.elapsed();
        running.stop().await.unwrap();
        assert!(world.elapsed() < asked + Duration::from_secs(10), "asked at {asked:?}, over at {:?}", world.elapsed());
    });
}

#[test]
fn a_hot_partition_delays_no_other_shards_changes() {
    simulate(async {
        let world = Kind::SameKey.world_with(2, 4, ViewType::NewAndOldImages);
        let mut job = job(&world);
        job.engine.apply.memory_bytes = LIMIT;
        let mut running = start(&world, &job);
        running.caught_up().await;
        let hot = world.shard_of("a");
        let is_hot = move |world: &World, id: &str| world.shard_of(id) == hot;
        let (mut hot_keys, mut calm) = (Vec::new(), None);
        for id in (0..250).map(|number| format!("item-{number}")) {
            let key = testkit::fakes::key_of(&world.state(), &id);
            if is_hot(&world, &id) { hot_keys.push((id, key)) } else { calm = calm.or(Some(id)) }
        }
        let (ids, keys): (Vec<_>, Vec<_>) = hot_keys.into_iter().unzip();
        world.script(move |_, call| match call {
            Call::Write(writes) if writes.iter().all(|write| keys.contains(&write.key)) => {
                Fate::fault(shadowtable::ports::Fault::PartitionThrottled)
            }
            Call::Write(writes) => {
                let bits = writes.iter().enumerate().filter(|(_, write)| keys.contains(&write.key));
                Fate::sparing(bits.fold(0, |bits, (index, _)| bits | 1 << index))
            }
            _ => Fate::answered(),
        });
        let text = "x".repeat(ITEM_BYTES);
        for id in &ids {
            world.put(id, &[("text", &text)]);
        }
        sleep(Duration::from_secs(30)).await;
        assert!(held(&running) <= LIMIT * 3 / 4, "{} bytes", held(&running));
        let calm = calm.unwrap();
        let version = world.put(&calm, &[]);
        sleep(Duration::from_millis(1_500)).await;
        let key = testkit::fakes::key_of(&world.state(), &calm);
        let shown = world.state().shadow.get(&key).map(testkit::fakes::version_of);
        assert_eq!(shown, Some(version), "it waits behind keys that are none of its business");
        world.no_more_faults();
        running.caught_up().await;
        assert_exact(&world);
    });
}

#[test]
fn items_of_which_a_page_holds_few_are_copied() {
    simulate(async {
        let world = Kind::SameKey.world(5);
        let text = "x".repeat(60_000);
        for item in 0..150 {
            world.put(&format!("item-{item}"), &[("text", &text)]);
        }
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        assert_exact(&world);
        running.stop().await.unwrap();
    });
}
