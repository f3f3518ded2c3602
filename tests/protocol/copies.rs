//! Invariant 2: a copied image never goes over a change that was offered after its page's read began.

use std::time::Duration;

use tokio::time::sleep;

use testkit::fakes::{Call, Fate, key_of, version_of};
use testkit::harness::{Kind, assert_exact, fill, job, simulate, start};

/// Pages are answered so long after they were read.
const SLOW_PAGE: Duration = Duration::from_secs(10);

#[test]
fn an_item_deleted_between_its_pages_read_and_its_offering_stays_deleted() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        world.put("deleted", &[]);
        world.put("changed", &[]);
        world.script(|_, call| match call {
            Call::Scan => Fate::slow_reply(SLOW_PAGE),
            _ => Fate::answered(),
        });
        let mut running = start(&world, &job(&world));
        sleep(SLOW_PAGE / 2).await;
        for id in ["deleted", "changed"] {
            let state = world.state();
            assert!(state.was_read(&key_of(&state, id)), "the page of {id} should be on its way");
        }
        world.delete("deleted");
        let newest = world.put("changed", &[]);
        running.caught_up().await;
        assert_exact(&world);
        let state = world.state();
        assert!(!state.shadow.contains_key(&key_of(&state, "deleted")), "it is not resurrected");
        assert_eq!(version_of(&state.shadow[&key_of(&state, "changed")]), newest);
    });
}

#[test]
fn a_page_that_was_overtaken_by_more_changes_than_are_remembered_is_read_again() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        fill(&world, 8, &[]);
        let mut pages = 0;
        world.script(move |_, call| match call {
            Call::Scan if pages < 2 => {
                pages += 1;
                Fate::slow_reply(SLOW_PAGE)
            }
            _ => Fate::answered(),
        });
        let mut job = job(&world);
        job.engine.apply.overtaken_limit = Some(3);
        let mut running = start(&world, &job);
        sleep(SLOW_PAGE / 2).await;
        for item in 0..8 {
            if item % 2 == 0 {
                world.delete(&format!("item-{item}"));
            } else {
                world.put(&format!("item-{item}"), &[]);
            }
        }
        running.caught_up().await;
        assert_exact(&world);
    });
}
