//! Items at the edges of what the service takes, by copy and by tail.

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;

use super::{ID, after, before, ctx};
use testkit::real::items;
use testkit::real::layout::{Keys, Kind};
use testkit::real::migration::Migration;

#[test]
fn the_smallest_item_and_one_of_390_kilobytes() {
    let ctx = &ctx();
    let mut rng = Rng::with_seed(ctx.seed());
    let source = ctx.table("source", before(ID));
    let mut large = |number| items::large(ID, number, 390, &mut rng);
    let stored = [items::smallest(ID, 0), items::smallest(ID, 1), large(2), large(3), large(4), large(5)];
    source.create_with(&stored, StreamViewType::NewAndOldImages);
    let mut migration = Migration::new(ctx, &source, after(ID));
    // A batch of these takes a busy machine more than the other cases' 0.4 seconds.
    migration.project.set("apply.request_timeout_seconds", 3.0);
    migration.project.set("lease.duration_seconds", 4.0);
    let mut process = migration.run();
    process.wait_for_tailing();
    source.put(&large(0));
    source.put(&items::smallest(ID, 3));
    source.delete(&items::key(ID, 4));
    source.set(&items::key(ID, 5), "status", items::s("open"));
    source.put(&large(6));
    source.put(&items::smallest(ID, 7));
    migration.finish(process);
}

#[test]
fn numbers_and_nested_values_at_the_edges() {
    const KEYS: Keys = &[("digest", Kind::B), ("serial", Kind::N)];
    let ctx = &ctx();
    let source = ctx.table("source", before(KEYS));
    // The first ten are only copied, the others go through the stream as well.
    let streamed = |number| {
        let mut item = items::odd(KEYS, number);
        if !ctx.streams_empty_maps() {
            item.remove("empty_map");
        }
        item
    };
    let odd: Vec<_> = (0..10).map(|number| items::odd(KEYS, number)).chain((10..20).map(streamed)).collect();
    source.create_with(&odd, StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, after(KEYS));
    let mut process = migration.run();
    process.wait_for_tailing();
    for number in 10..30 {
        let mut item = streamed(number);
        item.remove("deep");
        item.insert("edits".into(), items::n("0.00000000000000000000000000000000000001"));
        source.put(&item);
    }
    migration.finish(process);
}
