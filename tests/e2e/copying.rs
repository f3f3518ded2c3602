//! Copy and tail at the same time: what the copy reads late must not undo what the tail has brought.

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;

use super::{ID, after, before, ctx};
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::migration::Migration;
use testkit::real::project::CAUGHT_UP;
use testkit::real::writer::Plan;

#[test]
fn a_delete_during_the_copy_is_not_resurrected() {
    let ctx = &ctx();
    let plan = Plan { keys: 300, hot: 0, writes_per_second: 120.0, mix: [0, 0, 1, 0], ..Plan::default() };
    during_the_copy(ctx, &plan, 300);
}

#[test]
fn an_item_deleted_and_inserted_again_is_the_new_one() {
    let ctx = &ctx();
    let plan = Plan { keys: 120, hot: 0, writes_per_second: 120.0, mix: [0, 0, 1, 4], ..Plan::default() };
    during_the_copy(ctx, &plan, 300);
}

#[test]
fn a_hot_key_ends_at_its_last_update() {
    let ctx = &ctx();
    let plan = Plan { keys: 6, hot: 2, writes_per_second: 200.0, mix: [1, 20, 0, 0], ..Plan::default() };
    during_the_copy(ctx, &plan, 500);
}

fn during_the_copy(ctx: &Ctx, plan: &Plan, enough: u64) {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 300, ctx.seed()), StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, after(ID)).slow_copy(120.0);
    let mut process = migration.run();
    process.wait_until("first copied items", |status| status.number("/copy/items") > 0.0);
    let writers = migration.writers(ctx, plan);
    writers.wait_for(enough);
    writers.finish();
    migration.finish(process);
}

#[test]
fn an_insert_and_a_delete_in_the_same_second_leave_nothing() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 100, ctx.seed()), StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, after(ID)).slow_copy(80.0);
    let mut process = migration.run();
    process.wait_until("first copied items", |status| status.number("/copy/items") > 0.0);
    let mut rng = Rng::with_seed(ctx.seed());
    let mut come_and_go = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let key = items::key(ID, number);
            source.put(&items::order(ID, number, &mut rng));
            source.delete(&key);
            if number % 3 == 0 {
                source.put(&items::order(ID, number, &mut rng));
            }
            if number % 6 == 0 {
                source.delete(&key);
            }
        }
    };
    // Some that the copy will meet, and some that it will not.
    come_and_go(80..130);
    process.wait_for_tailing();
    come_and_go(90..140);
    process.drain(CAUGHT_UP);
    for number in (90..140).filter(|number| number % 3 != 0 || number % 6 == 0) {
        assert_eq!(migration.shadow.get(&items::key(ID, number)), None, "item {number} was deleted last");
    }
    migration.finish(process);
}
