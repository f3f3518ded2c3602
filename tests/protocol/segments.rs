//! Invariant 5: a segment's cursor passes a page only behind what is durable.

use std::time::Duration;

use tokio::time::sleep;

use testkit::fakes::key_of;
use testkit::harness::never_writes;
use testkit::harness::{Kind, assert_exact, fill, job, simulate, start};

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
