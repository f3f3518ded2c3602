//! Every kind of key and every kind of stream, with writers on the source from before the copy to after it.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before};
use crate::support::context::Ctx;
use crate::support::items;
use crate::support::layout::{Keys, Kind, Layout, Projection};
use crate::support::migration::Migration;
use crate::support::table::Table;
use crate::support::writer::Plan;

pub(crate) fn a_table_keyed_by_a_string(ctx: &Ctx) {
    let migration = moves(ctx, ID, after(ID), StreamViewType::NewAndOldImages);
    let indexed = |table: &Table| table.scan_index("by-status").len();
    assert_eq!(indexed(&migration.shadow), indexed(&migration.source));
    let projected = migration.shadow.scan_index("by-status");
    assert!(projected.iter().any(|item| item.contains_key("total")), "the index holds what its new layout says");
}

pub(crate) fn a_table_keyed_by_a_number(ctx: &Ctx) {
    keyed_by(ctx, &[("serial", Kind::N)]);
}

pub(crate) fn a_table_keyed_by_a_binary(ctx: &Ctx) {
    keyed_by(ctx, &[("digest", Kind::B)]);
}

pub(crate) fn a_table_with_a_string_as_its_sort_key(ctx: &Ctx) {
    keyed_by(ctx, &[("id", Kind::S), ("part", Kind::S)]);
}

pub(crate) fn a_table_with_a_number_as_its_sort_key(ctx: &Ctx) {
    keyed_by(ctx, &[("id", Kind::B), ("line", Kind::N)]);
}

pub(crate) fn a_table_with_a_binary_as_its_sort_key(ctx: &Ctx) {
    keyed_by(ctx, &[("serial", Kind::N), ("digest", Kind::B)]);
}

pub(crate) fn a_local_index_in_the_target(ctx: &Ctx) {
    const KEYS: Keys = &[("id", Kind::S), ("line", Kind::N)];
    let target = before(KEYS).with_local("by-email", &[("id", Kind::S), ("email", Kind::S)], Projection::All);
    moves(ctx, KEYS, target, StreamViewType::NewAndOldImages);
}

pub(crate) fn a_stream_of_keys_only(ctx: &Ctx) {
    moves(ctx, ID, after(ID), StreamViewType::KeysOnly);
}

pub(crate) fn a_stream_of_new_images(ctx: &Ctx) {
    moves(ctx, ID, after(ID), StreamViewType::NewImage);
}

pub(crate) fn a_stream_of_old_images(ctx: &Ctx) {
    moves(ctx, ID, after(ID), StreamViewType::OldImage);
}

pub(crate) fn a_stream_of_new_and_old_images(ctx: &Ctx) {
    const KEYS: Keys = &[("id", Kind::S), ("line", Kind::N)];
    // The keys change places: the same attributes, another table.
    moves(ctx, KEYS, before(&[("line", Kind::N), ("id", Kind::S)]), StreamViewType::NewAndOldImages);
}

pub(crate) fn source_and_shadow_in_two_regions(ctx: &Ctx) {
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
