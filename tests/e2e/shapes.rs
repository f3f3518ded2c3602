//! Every kind of key and every kind of stream, with writers on the source from before the copy to after it.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before, ctx};
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::layout::{Keys, Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::table::Table;
use testkit::real::writer::Plan;

#[test]
fn a_table_keyed_by_a_string() {
    let ctx = &ctx();
    let migration = moves(ctx, ID, after(ID), StreamViewType::NewAndOldImages);
    let indexed = |table: &Table| table.scan_index("by-status").len();
    assert_eq!(indexed(&migration.shadow), indexed(&migration.source));
    let projected = migration.shadow.scan_index("by-status");
    assert!(projected.iter().any(|item| item.contains_key("total")), "the index holds what its new layout says");
}

#[test]
fn a_table_keyed_by_a_number() {
    let ctx = &ctx();
    keyed_by(ctx, &[("serial", Kind::N)]);
}

#[test]
fn a_table_keyed_by_a_binary() {
    let ctx = &ctx();
    keyed_by(ctx, &[("digest", Kind::B)]);
}

#[test]
fn a_table_with_a_string_as_its_sort_key() {
    let ctx = &ctx();
    keyed_by(ctx, &[("id", Kind::S), ("part", Kind::S)]);
}

#[test]
fn a_table_with_a_number_as_its_sort_key() {
    let ctx = &ctx();
    keyed_by(ctx, &[("id", Kind::B), ("line", Kind::N)]);
}

#[test]
fn a_table_with_a_binary_as_its_sort_key() {
    let ctx = &ctx();
    keyed_by(ctx, &[("serial", Kind::N), ("digest", Kind::B)]);
}

#[test]
fn a_local_index_in_the_target() {
    const KEYS: Keys = &[("id", Kind::S), ("line", Kind::N)];
    let ctx = &ctx();
    let target = before(KEYS).with_local("by-email", &[("id", Kind::S), ("email", Kind::S)], Projection::All);
    moves(ctx, KEYS, target, StreamViewType::NewAndOldImages);
}

#[test]
fn a_stream_of_keys_only() {
    let ctx = &ctx();
    moves(ctx, ID, after(ID), StreamViewType::KeysOnly);
}

#[test]
fn a_stream_of_new_images() {
    let ctx = &ctx();
    moves(ctx, ID, after(ID), StreamViewType::NewImage);
}

#[test]
fn a_stream_of_old_images() {
    let ctx = &ctx();
    moves(ctx, ID, after(ID), StreamViewType::OldImage);
}

#[test]
fn a_stream_of_new_and_old_images() {
    const KEYS: Keys = &[("id", Kind::S), ("line", Kind::N)];
    let ctx = &ctx();
    // The keys change places: the same attributes, another table.
    moves(ctx, KEYS, before(&[("line", Kind::N), ("id", Kind::S)]), StreamViewType::NewAndOldImages);
}

#[test]
fn source_and_shadow_in_two_regions() {
    let ctx = &ctx();
    let source = source(ctx, ID, StreamViewType::NewAndOldImages);
    let shadow = ctx.table_abroad("shadow", after(ID));
    let migration = Migration::between(ctx, &source, shadow);
    under_live_writes(ctx, migration);
}

fn keyed_by(ctx: &Ctx, keys: Keys) {
    moves(ctx, keys, after(keys), StreamViewType::NewAndOldImages);
}

fn moves(ctx: &Ctx, keys: Keys, target: Layout, view: StreamViewType) -> Migration {
    let source = source(ctx, keys, view);
    under_live_writes(ctx, Migration::new(ctx, &source, target))
}

fn source(ctx: &Ctx, keys: Keys, view: StreamViewType) -> Table {
    let source = ctx.table("source", before(keys));
    source.create_with(&items::orders(keys, 150, ctx.seed()), view);
    source
}

/// Takes a migration from nothing to the end under writes, and checks it.
fn under_live_writes(ctx: &Ctx, migration: Migration) -> Migration {
    let migration = migration.slow_copy(200.0);
    let writers = migration.writers(ctx, &Plan::default());
    let mut process = migration.run();
    process.wait_for_tailing();
    writers.wait_for(20);
    writers.finish();
    migration.finish(process);
    migration
}
