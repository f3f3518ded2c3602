//! What the shadow refuses for good.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, ctx};
use testkit::real::checker::Expected;
use testkit::real::items::{self, n, s};
use testkit::real::layout::{Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::normal;
use testkit::real::project::CAUGHT_UP;
use testkit::real::table::Item;

#[test]
fn what_the_new_index_refuses_is_quarantined_until_it_is_fixed_or_deleted() {
    let ctx = &ctx();
    let ranked = |number: usize, rank| {
        let mut item = items::order(ID, number, &mut fastrand::Rng::with_seed(ctx.seed()));
        item.insert("rank".into(), rank);
        item
    };
    let source = ctx.table("source", Layout::new(ID));
    let mut stored: Vec<_> = (0..40).map(|number| ranked(number, n(number))).collect();
    stored.extend((40..44).map(|number| ranked(number, s("high"))));
    source.create_with(&stored, StreamViewType::NewAndOldImages);
    let target = Layout::new(ID).with_global("by-rank", &[("rank", Kind::N)], Projection::All);
    let migration = Migration::new(ctx, &source, target).expecting(|item: &Item| match item.get("rank") {
        Some(rank) if rank.is_n() => Expected::Item(item.clone()),
        _ => Expected::Quarantined("refused"),
    });

    // By the copy: one bad item does not hold up the others of its batch.
    let mut process = migration.run();
    process.drain(CAUGHT_UP);
    migration.check();

    // By the tail: one is fixed, one is deleted, a good one turns bad, a new one is bad.
    let key = |number| items::key(ID, number);
    source.set(&key(40), "rank", n(1));
    source.delete(&key(41));
    source.set(&key(0), "rank", s("low"));
    source.put(&ranked(50, s("new")));
    process.drain(CAUGHT_UP);
    migration.check();
    assert_eq!(migration.project.quarantine().len(), 4);

    // Trying again does not help while they are as they are; the rest survives it, and a restart too.
    migration.project.finish(&["quarantine", "retry", "--all"]);
    process.drain(CAUGHT_UP);
    migration.check();
    process.sigterm();
    let log = process.wait_exit().stderr;
    for entry in migration.project.quarantine() {
        let told = format!("shadowtable quarantine show {}", entry.id);
        let line = log.lines().find(|line| line.contains(&told)).unwrap_or_else(|| panic!("{told}: {log}"));
        assert!(line.contains(r#""table":"source""#) && line.contains(r#""key":"#), "{line}");
    }
    let mut process = migration.run();
    process.drain(CAUGHT_UP);
    migration.check();
    let listed = migration.project.quarantine();
    let one = listed.iter().find(|entry| entry.source_key == normal::image(&key(42))).expect("it is still there");
    assert!(!one.message.is_empty());
    migration.project.finish(&["quarantine", "retry", &one.id]);

    source.set(&key(0), "rank", n(0));
    source.set(&key(42), "rank", n(0));
    source.delete(&key(43));
    source.delete(&key(50));
    process.drain(CAUGHT_UP);
    assert_eq!(migration.project.quarantine(), []);
    migration.finish(process);
}
