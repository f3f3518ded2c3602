//! One active process, whoever it is.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before, ctx};
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::migration::Migration;
use testkit::real::process::Status;
use testkit::real::writer::Plan;

#[test]
fn a_second_runner_stands_by_and_takes_over() {
    let ctx = &ctx();
    let migration = migration(ctx).slow_copy(60.0);
    takes_over(ctx, &migration);
}

#[test]
fn a_takeover_at_the_default_lease() {
    let ctx = &ctx();
    let mut migration = migration(ctx);
    migration.project.forget("lease");
    takes_over(ctx, &migration);
}

fn takes_over(ctx: &Ctx, migration: &Migration) {
    let mut first = migration.run();
    first.wait_for_lease();
    let mut second = migration.run();
    let standby = second.wait_until("standby", |status| !status.text("/lease/owner").is_empty());
    assert!(!standby.holds_lease(), "one at a time");
    let before = first.wait_until("a lease of its own", Status::holds_lease);
    assert_eq!(standby.text("/lease/owner"), before.text("/lease/owner"), "the standby knows whom it waits for");

    let writers = migration.writers(ctx, &Plan::default());
    writers.wait_for(40);
    first.sigkill();
    second.wait_for_lease();
    let after = second.status().unwrap();
    assert!(after.number("/lease/epoch") > before.number("/lease/epoch"));
    assert_ne!(after.text("/lease/owner"), before.text("/lease/owner"));
    writers.wait_for(40);
    writers.finish();
    second.wait_for_tailing();
    migration.finish(second);
}

#[test]
fn a_clean_stop_resumes_where_it_was() {
    let ctx = &ctx();
    let mut migration = migration(ctx).slow_copy(60.0);
    let writers = migration.writers(ctx, &Plan::default());
    let mut process = migration.run();
    let seen = process.wait_until("part of the copy", |status| status.number("/copy/items") >= 40.0);
    process.stop();

    migration.full_speed();
    let mut process = migration.run();
    process.wait_for_lease();
    let resumed = process.wait_until("figures of the copy", |status| status.number("/copy/items") > 0.0);
    assert!(
        resumed.number("/copy/items") >= seen.number("/copy/items"),
        "a clean stop keeps all it has: {} copied before, {} after",
        seen.number("/copy/items"),
        resumed.number("/copy/items"),
    );
    process.wait_for_tailing();
    process.stop();

    // Written while nobody ran.
    writers.wait_for(40);
    let mut process = migration.run();
    process.wait_for_tailing();
    writers.finish();
    migration.finish(process);
}

/// 150 orders to move.
fn migration(ctx: &Ctx) -> Migration {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 150, ctx.seed()), StreamViewType::NewAndOldImages);
    Migration::new(ctx, &source, after(ID))
}
