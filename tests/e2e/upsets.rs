//! What others do to the tables meanwhile. Going on would lose writes or keep deleted ones: it must stop and say so.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before, ctx};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::migration::Migration;

#[test]
fn a_source_recreated_under_its_name_is_noticed() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    migration.source.remove();
    migration.source.create();
    migration.source.enable_stream(StreamViewType::NewAndOldImages);
    let held = migration.shadow.scan().len();
    migration.project.start(&["run"]).wait_for_reseed(&[&migration.source.name]);
    assert_eq!(migration.shadow.scan().len(), held, "the shadow is left as it was");
}

#[test]
fn a_shadow_deleted_under_us_is_noticed() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.shadow.remove();
    migration.source.put(&items::smallest(ID, 500));
    process.wait_for_reseed(&[&migration.shadow.name]);
    // Nor is it made again by itself: what was deleted meanwhile would be missing in the records.
    migration.project.start(&["run"]).wait_for_reseed(&[&migration.shadow.name]);
    assert!(migration.shadow.describe().is_none());
}

#[test]
fn a_stream_disabled_by_somebody_is_noticed() {
    let ctx = &ctx();
    let mut migration = migration(ctx);
    migration.project.set("admin.linger_seconds", 60.0);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.source.disable_stream();
    // Long enough for an alert to see why it ended.
    clock::wait_for("the phase in the metrics", || {
        let metrics = process.get("/metrics")?.body;
        let series = format!("shadowtable_phase{{migration=\"{}\",phase=\"needs-reseed\"}} 1", migration.id);
        if metrics.contains(&series) { Ok(()) } else { Err(metrics) }
    });
    assert_eq!(process.get("/readyz").unwrap().status, 503);
    process.sigterm();
    let finished = process.wait_exit();
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("stream") && finished.stderr.contains("shadowtable reseed"),
        "{}",
        finished.stderr
    );
    migration.project.set("admin.linger_seconds", 0.0);
    // Another stream does not make up for what happened in between.
    migration.source.put(&items::smallest(ID, 500));
    migration.source.enable_stream(StreamViewType::NewAndOldImages);
    migration.project.start(&["run"]).wait_for_reseed(&["stream"]);
    assert_eq!(migration.project.status().phase(), "needs-reseed");
}

#[test]
fn a_stream_disabled_while_nobody_ran_is_noticed() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    migration.source.disable_stream();
    migration.source.put(&items::smallest(ID, 500));
    // Another stream would not make up for what was written without one.
    migration.project.start(&["run", "--enable-stream"]).wait_for_reseed(&["stream", "was disabled"]);
    assert_eq!(migration.project.status().phase(), "needs-reseed");
    assert!(migration.source.describe().unwrap().stream_specification.is_none());
}

/// 60 orders to move.
fn migration(ctx: &Ctx) -> Migration {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 60, ctx.seed()), StreamViewType::NewAndOldImages);
    Migration::new(ctx, &source, after(ID))
}
