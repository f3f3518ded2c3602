//! Crashes, again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;

use super::{ID, after, before, ctx};
use testkit::real::items;
use testkit::real::migration::Migration;
use testkit::real::writer::Plan;

const KILLS: usize = 30;

#[test]
fn thirty_sigkills_under_live_writes_lose_nothing() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 500, ctx.seed()), StreamViewType::NewAndOldImages);
    // Too slow to end before the half of the kills.
    let mut migration = Migration::new(ctx, &source, after(ID)).slow_copy(30.0);
    let plan = Plan { keys: 500, writes_per_second: 40.0, ..Plan::default() };
    let writers = migration.writers(ctx, &plan);
    let mut rng = Rng::with_seed(ctx.seed());
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for kill in 0..KILLS {
        if kill == KILLS / 2 {
            migration.full_speed();
        }
        let mut process = migration.run();
        // One in three dies wherever it is; the others get to work first.
        if kill == KILLS / 2 {
            process.wait_for_tailing();
        } else if rng.u8(..3) > 0 {
            process.wait_until("copy or tail", |status| {
                status.holds_lease() && ["copying", "tailing"].contains(&status.phase())
            });
        }
        std::thread::sleep(Duration::from_millis(rng.u64(..500)));
        let phase = process.status().map_or("unknown".to_owned(), |status| status.phase().to_owned());
        *phases.entry(phase).or_default() += 1;
        process.sigkill();
    }
    println!("killed while: {phases:?}");
    assert!(phases.contains_key("copying") && phases.contains_key("tailing"), "spread over copy and tail: {phases:?}");
    let mut process = migration.run();
    process.wait_for_tailing();
    writers.finish();
    migration.finish(process);
}
