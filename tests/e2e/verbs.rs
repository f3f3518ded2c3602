//! What an operator can ask of a migration while it runs.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use shadowtable::telemetry::names;

use super::{ID, after, before, ctx};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items::{self, s};
use testkit::real::migration::Migration;
use testkit::real::process::Status;
use testkit::real::project::CAUGHT_UP;

/// Long enough for a command to have been missed, had it been ignored.
const A_WHILE: Duration = Duration::from_secs(2);

#[test]
fn the_status_says_everything_it_promises() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    let status = process.drain(CAUGHT_UP);
    assert_whole(&status, &migration.id);
    // What others see is stored every two seconds.
    let offline = clock::wait_for("figures as new as those", || {
        let offline = migration.project.status();
        if offline.number("/at") >= status.number("/at") { Ok(offline) } else { Err("they are older".into()) }
    });
    assert_whole(&offline, &migration.id);
    assert_eq!(offline.text("/lease/owner"), status.text("/lease/owner"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(process.get(path).unwrap().status, 200, "{path}");
    }
    let metrics = process.get("/metrics").unwrap();
    assert_eq!(metrics.status, 200);
    assert_all_metrics(&metrics.body);
    assert!(migration.project.command(&["list", "--json"]).contains(&migration.id));
    assert!(migration.project.command(&["list"]).contains(&migration.id));
    assert!(migration.project.command(&["status"]).contains(&migration.id));
    migration.finish(process);
}

/// Each metric of the page is served with its type, and nothing else.
fn assert_all_metrics(scraped: &str) {
    let types = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let served: BTreeSet<(String, String)> = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let known = names::ALL.iter().map(|metric| (metric.name.to_owned(), format!("{:?}", metric.kind).to_lowercase()));
    assert_eq!(served, known.collect::<BTreeSet<_>>());
    for name in names::ALL.iter().map(|metric| metric.name) {
        let samples = scraped.lines().filter(|line| line.starts_with(name));
        assert!(samples.clone().count() > 0, "{name} has no sample");
        assert!(samples.clone().all(|line| !line.ends_with("NaN")), "{name} is not known by the holder");
    }
}

fn assert_whole(status: &Status, id: &str) {
    assert_eq!((status.text("/migration"), status.phase(), status.text("/paused")), (id, "tailing", "none"));
    assert!((status.number("/schema") - 1.0).abs() < 0.5);
    for pointer in [
        "/legs/0/lag_seconds",
        "/legs/0/headroom_seconds",
        "/legs/0/since_poll_seconds",
        "/lease/epoch",
        "/legs/0/apply/bytes",
    ] {
        status.number(pointer);
    }
    assert!((status.number("/copy/items") - 60.0).abs() < 0.5);
    assert!((status.number("/copy/ratio") - 1.0).abs() < 1e-6);
    assert!((status.number("/copy/segments_done") - status.number("/copy/segments")).abs() < 0.5);
    assert!((status.number("/legs/0/tail/shards_open") + status.number("/legs/0/tail/shards_finished")) > 0.5);
    assert!(status.truth("/legs/0/tail/caught_up"));
    assert!(
        status.number("/legs/0/apply/pending")
            + status.number("/legs/0/apply/in_flight")
            + status.number("/legs/0/quarantine")
            < 0.5
    );
}

#[test]
fn a_paused_copy_lets_the_tail_go_on() {
    let ctx = &ctx();
    let mut migration = migration(ctx).slow_copy(5.0);
    let mut process = migration.run();
    process.wait_for_lease();
    migration.project.command(&["pause", "copy"]);
    process.wait_until("pause", |status| status.text("/paused") == "copy");
    migration.source.put(&items::smallest(ID, 500));
    clock::wait_for("a change through the tail", || {
        migration.shadow.get(&items::key(ID, 500)).map(drop).ok_or_else(|| "it is not there".into())
    });
    let copied = |status: &Status| status.number("/copy/items");
    let before = process.status().unwrap();
    assert_eq!(before.phase(), "copying");
    std::thread::sleep(A_WHILE);
    let after = process.status().unwrap();
    assert!((copied(&after) - copied(&before)).abs() < 0.5, "the copy stands still");

    // A pause outlives the process.
    process.stop();
    migration.full_speed();
    let mut process = migration.run();
    process.wait_for_lease();
    std::thread::sleep(A_WHILE);
    assert_eq!(process.status().unwrap().phase(), "copying");
    migration.project.command(&["resume"]);
    process.wait_for_tailing();
    migration.finish(process);
}

#[test]
fn a_full_pause_writes_nothing() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.project.command(&["pause", "all"]);
    process.wait_until("pause", |status| status.text("/paused") == "all");
    migration.source.put(&items::smallest(ID, 500));
    std::thread::sleep(A_WHILE);
    assert_eq!(migration.shadow.get(&items::key(ID, 500)), None);
    migration.project.command(&["resume"]);
    process.wait_until("resumption", |status| status.text("/paused") == "none");
    migration.finish(process);
}

#[test]
fn an_aborted_migration_writes_no_more() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    let unsure = migration.project.finish(&["abort"]);
    assert_eq!(unsure.code, Some(1), "it wants --yes where nobody can be asked");
    migration.project.command(&["abort", "--yes"]);
    clock::wait_for("the abort", || match migration.project.status() {
        status if status.phase() == "aborted" => Ok(()),
        status => Err(format!("{status:?}")),
    });
    let key = items::key(ID, 3);
    migration.source.set(&key, "status", s("after the abort"));
    std::thread::sleep(A_WHILE);
    if let Some(left) = migration.shadow.describe().and_then(|_| migration.shadow.get(&key)) {
        assert_ne!(left["status"], s("after the abort"));
    }
    assert_eq!(migration.source.scan().len(), 60, "the source is not touched");
    drop(process);
    migration.refused(&["abort"]);
}

#[test]
fn a_reseed_starts_again_on_an_empty_shadow() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.source.disable_stream();
    process.wait_for_reseed(&["stream"]);
    // Lost to every record: one gone, one changed.
    migration.source.delete(&items::key(ID, 1));
    migration.source.set(&items::key(ID, 2), "status", s("open"));
    migration.source.enable_stream(StreamViewType::NewAndOldImages);

    let unsure = migration.project.finish(&["reseed"]);
    assert_eq!(unsure.code, Some(1), "it wants --yes where nobody can be asked");
    migration.project.command(&["reseed", "--yes", "--delete-shadow"]);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

/// 60 orders to move.
fn migration(ctx: &Ctx) -> Migration {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 60, ctx.seed()), StreamViewType::NewAndOldImages);
    Migration::new(ctx, &source, after(ID))
}
