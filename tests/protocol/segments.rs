//! Invariant 5: a segment's cursor passes a page only behind what is durable.

use std::time::Duration;

use tokio::time::sleep;

use shadowtable::model::{Billing, TableLayout, Throughput, ViewType};
use shadowtable::protocol::transform::Transform;
use testkit::fakes::{Call, Fate, Setup, World, key_of};
use testkit::harness::never_writes;
use testkit::harness::{Kind, assert_exact, fill, job, layout, simulate, start};

#[test]
fn a_page_that_is_not_durable_is_read_again_after_a_crash_and_those_before_it_are_not() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        fill(&world, 40, &[]);
        let stuck = world.state().source.keys().nth(20).unwrap().clone();
        never_writes(&world, stuck.clone());
        let mut job = job(&world);
        job.engine.copy.page_items = Some(3);
        job.engine.copy.segments = Some(1);
        let running = start(&world, &job);
        sleep(Duration::from_secs(10)).await;
        assert!(world.state().shadow.len() == 39, "all but one item is copied");
        running.crash().await;
        let before = world.state().pages_read;
        world.no_more_faults();
        let mut running = start(&world, &job);
        running.caught_up().await;
        assert_exact(&world);
        let read_again = world.state().pages_read - before;
        assert!((1..=9).contains(&read_again), "the cursor stands before the page in question: {read_again}");
        assert!(world.state().shadow.contains_key(&stuck));
    });
}

#[test]
fn a_deletion_while_the_copy_is_down_is_seen() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        fill(&world, 30, &[]);
        let stuck = key_of(&world.state(), "item-3");
        never_writes(&world, stuck);
        let mut job = job(&world);
        job.engine.copy.page_items = Some(2);
        let running = start(&world, &job);
        sleep(Duration::from_secs(5)).await;
        running.crash().await;
        (0..30).step_by(2).for_each(|item| world.delete(&format!("item-{item}")));
        world.no_more_faults();
        let mut running = start(&world, &job);
        running.caught_up().await;
        assert_exact(&world);
    });
}

/// Segments are ranges of the key space: read one after the other, they would go to one partition of the shadow at a time.
#[test]
fn segments_are_read_in_turn() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        fill(&world, 200, &[]);
        let mut job = job(&world);
        (job.engine.copy.segments, job.engine.copy.page_items, job.engine.copy.concurrency) = (Some(8), Some(2), 1);
        world.script(|_, call| match call {
            Call::Scan => Fate::slow(Duration::from_secs(1)),
            _ => Fate::answered(),
        });
        let running = start(&world, &job);
        sleep(Duration::from_secs(40)).await;
        running.stop().await.unwrap();
        let read: Vec<u64> =
            world.state().entries_at("SEGMENT#").map(|entry| entry.body["items"].as_u64().unwrap()).collect();
        assert_eq!(read.len(), 8);
        assert!(read.iter().all(|items| (4..=12).contains(items)), "{read:?}");
    });
}

/// The application keeps most of what it pays for.
#[test]
fn a_provisioned_source_is_read_within_a_quarter_of_its_capacity() {
    simulate(async {
        let mut took = Vec::new();
        for billing in [Billing::OnDemand, Billing::Provisioned(Throughput { read_units: 4, write_units: 4 })] {
            let source = TableLayout { billing, ..layout("id", None) };
            let transform = Transform::compile(&[], &source.key_schema(), &source.key_schema()).unwrap();
            let (target, view) = (layout("id", None), ViewType::NewAndOldImages);
            let world = World::new(Setup { source, target, transform, view, shards: 1, seed: 4 });
            fill(&world, 200, &[]);
            let mut job = job(&world);
            job.engine.copy.page_items = Some(5);
            let began = world.elapsed();
            let mut running = start(&world, &job);
            running.caught_up().await;
            took.push(world.elapsed().checked_sub(began).unwrap());
            running.stop().await.unwrap();
        }
        // A page costs a unit here, and there are more than 40 of them.
        assert!(took[0] < Duration::from_secs(15) && took[1] > Duration::from_secs(38), "{took:?}");
    });
}
