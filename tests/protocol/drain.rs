//! The drain sees what was written before the fence: however late its records come, and whatever listings leave out.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::runtime::Job;
use tokio::time::sleep;

use testkit::fakes::{Call, Fate, World};
use testkit::harness::cutover::{assert_switched, cutover, until_phase};
use testkit::harness::{Kind, simulate, start, until, with_pointer};

/// A migration whose cutover does not ask for the lag, which counts what is not listed.
fn unconcerned(world: &World) -> Job {
    let mut job = with_pointer(world);
    job.engine.cutover.max_lag = Duration::from_hours(1);
    job
}

/// An item that is written and can be seen in no record yet: nobody compares it before the switch.
fn unseen(world: &Arc<World>, child: &str) -> usize {
    let mut ids = (0..).map(|number| format!("new-{number}"));
    let id = ids.find(|id| world.shard_of(id) == child).unwrap();
    world.put(&id, &[])
}

#[test]
fn a_record_that_comes_after_the_fence_is_waited_for() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        world.state().stream.delay = Duration::from_secs(4);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        sleep(Duration::from_mins(2)).await;
        world.put("new", &[]);
        assert!(cutover(&world).await.done);
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}

#[test]
fn what_continues_a_shard_is_waited_for() {
    simulate(async {
        let world = Kind::SameKey.world_with(2, 2, shadowtable::model::ViewType::NewAndOldImages);
        world.state().stream.children_late = Duration::from_secs(40);
        let mut running = start(&world, &unconcerned(&world));
        running.caught_up().await;
        let child = world.roll(&world.shard_of("a"));
        unseen(&world, &child);
        assert!(cutover(&world).await.done);
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}

/// The shard that was split has a child that is known, and its end was seen by a process that is gone.
#[test]
fn what_others_continue_is_waited_for() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut first = start(&world, &unconcerned(&world));
        first.caught_up().await;
        let children = world.split(&world.shard_of("a"), 2);
        world.state().stream.unlisted.insert(children[1].clone());
        unseen(&world, &children[1]);
        world.roll(&children[1]);
        until(&world, "one child is known", |state| state.entry(&format!("SHARD#source#1#{}", children[0])).is_some())
            .await;
        first.stop().await.unwrap();
        let _second = start(&world, &unconcerned(&world));
        sleep(Duration::from_secs(5)).await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        sleep(Duration::from_secs(25)).await;
        assert_eq!(world.state().phase(), "fenced", "it waits");
        world.state().stream.unlisted.clear();
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}

/// All that the drain's first listing shows is read.
#[test]
fn one_listing_is_not_believed() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut job = unconcerned(&world);
        job.engine.tail.discover = Duration::from_mins(10);
        let mut running = start(&world, &job);
        running.caught_up().await;
        let children = world.split(&world.shard_of("a"), 2);
        world.state().stream.unlisted.insert(children[1].clone());
        unseen(&world, &children[1]);
        until(&world, "one child is known", |state| state.entry(&format!("SHARD#source#1#{}", children[0])).is_some())
            .await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.state().phase(), "fenced", "it waits");
        world.state().stream.unlisted.clear();
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}

/// A large table's shards roll all the time, one after the other.
#[test]
fn shards_that_roll_during_the_drain_do_not_begin_it_anew() {
    simulate(async {
        let world = Kind::SameKey.world_with(5, 4, shadowtable::model::ViewType::NewAndOldImages);
        let mut running = start(&world, &unconcerned(&world));
        running.caught_up().await;
        assert!(cutover(&world).await.done);
        until_phase(&world, "fenced").await;
        let mut rolls = 0;
        while world.state().phase() == "fenced" {
            let open = world.state().stream.open();
            world.roll(&open[rolls % open.len()]);
            rolls += 1;
            sleep(Duration::from_secs(8)).await;
        }
        assert!((2..=4).contains(&rolls), "{rolls} rolls");
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}

#[test]
fn single_polls_that_fail_do_not_begin_the_drain_anew() {
    simulate(async {
        let world = Kind::SameKey.world_with(6, 4, shadowtable::model::ViewType::NewAndOldImages);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        let mut polls = 0;
        world.script(move |_, call| match call {
            Call::Records => {
                polls += 1;
                if polls % 5 == 0 { Fate::throttled() } else { Fate::answered() }
            }
            _ => Fate::answered(),
        });
        sleep(Duration::from_secs(30)).await;
        assert!(running.status().unwrap().leg().unwrap().tail.caught_up);
        assert!(cutover(&world).await.done);
        until_phase(&world, "switched").await;
        assert_switched(&world);
    });
}
