//! What `run` refuses to start on, and what it says then.

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};

use super::{ID, after, before, ctx};
use testkit::real::checker::Expected;
use testkit::real::context::Ctx;
use testkit::real::items::{self, n, s};
use testkit::real::layout::{Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::table::Table;

#[test]
fn an_empty_table_is_tailed() {
    let ctx = &ctx();
    let source = source(ctx, 0);
    let migration = Migration::new(ctx, &source, after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    source.put(&items::smallest(ID, 1));
    migration.finish(process);
    assert_eq!(migration.shadow.scan().len(), 1);
}

#[test]
fn a_missing_source_is_named() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    let migration = Migration::new(ctx, &source, after(ID));
    migration.refused(&[&source.name]);
    assert!(migration.shadow.describe().is_none(), "nothing is created for a source that is not there");
}

#[test]
fn a_source_without_a_stream_is_refused_with_the_command_that_helps() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create();
    source.load(&items::orders(ID, 30, ctx.seed()));
    let migration = Migration::new(ctx, &source, after(ID));
    migration.refused(&[&source.name, "run --enable-stream"]);
    assert!(source.describe().unwrap().latest_stream_arn.is_none(), "it is not enabled unasked");

    let mut process = migration.project.start(&["run", "--enable-stream"]);
    process.wait_for_tailing();
    source.put(&items::smallest(ID, 100));
    migration.finish(process);
}

#[test]
fn a_shadow_that_drifted_is_refused_field_by_field() {
    let ctx = &ctx();
    let source = source(ctx, 10);
    let migration = Migration::new(ctx, &source, after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    let shadow = &migration.shadow;

    shadow.set_provisioned(true);
    migration.refused(&[&shadow.name, "billing"]);
    // All of it at once, not the first.
    shadow.drop_index("by-status");
    migration.refused(&[&shadow.name, "by-status", "billing"]);
    shadow.set_provisioned(false);
    shadow.add_index(&Layout::new(ID).with_global("stray-index", &[("customer", Kind::S)], Projection::All));
    migration.refused(&[&shadow.name, "by-status", "stray-index"]);
    shadow.drop_index("stray-index");
    shadow.add_index(&after(ID));

    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

#[test]
fn a_shadow_that_is_neither_empty_nor_ours_is_refused() {
    let ctx = &ctx();
    let source = source(ctx, 10);
    let migration = Migration::new(ctx, &source, after(ID));
    let kept = items::smallest(ID, 77);
    migration.shadow.create();
    migration.shadow.put(&kept);
    migration.refused(&[&migration.shadow.name]);
    assert_eq!(migration.shadow.scan(), [kept], "what was there is left alone");
}

#[test]
fn a_changed_target_is_refused_with_what_differs() {
    let ctx = &ctx();
    let migration = Migration::new(ctx, &source(ctx, 10), after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    let other = Layout::new(ID).with_global("by-status", super::BY_STATUS, Projection::All);
    migration.project.set_layout(&other);
    let differs =
        "target GlobalSecondaryIndexes.by-status.Projection: recorded INCLUDE(customer, total), configured ALL";
    migration.refused(&[differs]);

    migration.project.set_layout(&after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

#[test]
fn a_changed_transform_is_refused_with_the_rule() {
    let ctx = &ctx();
    let rule = |attribute: &str| format!("[[transform]]\nremove = \"{attribute}\"\n");
    let migration = Migration::new(ctx, &source(ctx, 10), after(ID)).transformed(&rule("note"), |item| {
        let mut item = item.clone();
        item.remove("note");
        Expected::Item(item)
    });
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    let mut migration = migration;
    migration.project.set_transform(&rule("email"));
    migration.refused(&["transform rule 1: recorded `remove note`, configured `remove email`"]);

    migration.project.set_transform(&rule("note"));
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

#[test]
fn a_state_written_by_a_newer_version_is_refused() {
    let ctx = &ctx();
    let source = source(ctx, 10);
    let migration = Migration::new(ctx, &source, after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();

    let mut meta = migration.state_item("META").expect("a migration has a META entry");
    let Some(AttributeValue::M(body)) = meta.get_mut("body") else { panic!("{meta:?} has no body") };
    assert!(body.insert("schema".into(), n(999)).is_some(), "every entry says its schema");
    migration.state.put(&meta);
    migration.refused(&["999", "newer"]);
    let listed = migration.project.finish(&["list"]);
    let told = listed.stderr.contains("999") && listed.stderr.contains("newer");
    assert!(listed.code == Some(0) && told, "it does not keep others from being listed: {}", listed.stderr);
    source.set(&items::key(ID, 3), "status", s("after the refusal"));
    let stored = migration.shadow.get(&items::key(ID, 3)).unwrap();
    assert_ne!(stored["status"], s("after the refusal"), "what cannot be read is not acted upon");
}

/// `count` orders, with a stream.
fn source(ctx: &Ctx, count: usize) -> Table {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, count, ctx.seed()), StreamViewType::NewAndOldImages);
    source
}
