//! Whose a table is, and what a migration may do with it.

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before, ctx};
use testkit::real::application::Application;
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::layout::{Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::process::Status;
use testkit::real::table::Table;

#[test]
fn of_two_migrations_started_together_one_has_the_shadow() {
    let ctx = &ctx();
    // Empty, so that no item tells whose it is.
    let sources = [source(ctx, 0), source(ctx, 0)];
    let first = Migration::new(ctx, &sources[0], after(ID));
    let second = first.beside(ctx, &sources[1], &first.shadow);
    let mut running = [first.run(), second.run()];
    let winner = clock::wait_for("one that tails", || {
        let tails = |status: Result<Status, String>| status.is_ok_and(|status| status.phase() == "tailing");
        running.iter_mut().position(|process| tails(process.status())).ok_or_else(|| "none yet".to_owned())
    });
    let [one, other] = running;
    let (winning, losing) = if winner == 0 { (one, other) } else { (other, one) };
    let (winner, loser) = if winner == 0 { (&first, &second) } else { (&second, &first) };
    let refused = losing.wait_exit();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("migration {}", winner.id)), "{}", refused.stderr);
    // Not later either, though it is still empty.
    loser.refused(&["is the shadow of migration", &winner.id]);
    winner.source.put(&items::smallest(ID, 1));
    winner.finish(winning);
    let listed = winner.project.command(&["list"]);
    assert!(listed.contains(&winner.id) && listed.contains(&loser.id), "{listed}");
}

#[test]
fn a_shadow_is_no_source_before_its_switch() {
    let ctx = &ctx();
    let mut first = Migration::new(ctx, &source(ctx, 10), after(ID));
    let application = Application::new(ctx, &first.source, &first.shadow);
    application.configure(&mut first);
    let mut process = first.run();
    process.wait_for_tailing();
    let next = first.beside(ctx, &first.shadow, &ctx.table("shadow", before(ID)));
    // Its stream is not enabled either: that must stay off until the switch.
    let refused = next.project.finish(&["run", "--enable-stream"]);
    assert!(refused.stderr.contains(&format!("is the shadow of migration {}", first.id)), "{}", refused.stderr);
    assert!(first.shadow.describe().unwrap().latest_stream_arn.is_none());
    // Nor is a source a shadow, be it empty or not.
    let back = first.beside(ctx, &source(ctx, 5), &first.source);
    back.refused(&["is the source of migration", &first.id]);
    // Two migrations of one source are allowed, and shown.
    let twin = first.beside(ctx, &first.source, &ctx.table("shadow", after(ID)));
    let mut second = twin.run();
    second.wait_for_tailing();
    second.stop();

    first.project.finish(&["cutover", "--dry-run", "--wait"]);
    let moved = first.project.finish(&["cutover", "--yes"]);
    assert_eq!(moved.code, Some(0), "{}{}", moved.stdout, moved.stderr);
    let mut third = next.project.start(&["run", "--enable-stream"]);
    third.wait_for_tailing();
    third.stop();
    process.stop();
}

#[test]
fn an_abort_lists_what_the_migration_made_and_nothing_else() {
    let ctx = &ctx();
    let aborted = |migration: &Migration| migration.project.command(&["abort", "--yes"]);
    // A live table that was refused as the shadow.
    let live = source(ctx, 3);
    let migration = Migration::new(ctx, &source(ctx, 3), before(ID));
    let refused = migration.beside(ctx, &migration.source, &live);
    refused.refused(&["neither empty nor"]);
    let said = aborted(&refused);
    assert!(!said.contains("delete-table") && !said.contains("StreamEnabled"), "{said}");
    assert!(live.describe().is_some());

    // One that was there, empty: it is told, and no command is given.
    let adopted = migration.beside(ctx, &migration.source, &ctx.table("shadow", after(ID)));
    adopted.shadow.create();
    let mut process = adopted.run();
    process.wait_for_tailing();
    process.stop();
    let said = aborted(&adopted);
    assert!(!said.contains("delete-table") && said.contains("was there before the migration"), "{said}");

    // What it made itself, where it is.
    let closed = ctx.table("source", before(ID));
    closed.create();
    let made = migration.beside(ctx, &closed, &ctx.table("shadow", after(ID)));
    let mut process = made.project.start(&["run", "--enable-stream"]);
    process.wait_for_tailing();
    // Another one may not list it.
    let other = migration.beside(ctx, &migration.source, &made.shadow);
    other.refused(&["is the shadow of migration", &made.id]);
    let said = aborted(&other);
    assert!(!said.contains("delete-table"), "{said}");
    process.stop();
    let said = aborted(&made);
    let place = &made.shadow.place;
    let way = format!("--region {} --endpoint-url {}", place.region, place.url);
    let delete = format!("aws dynamodb delete-table --table-name {} {way}", made.shadow.name);
    assert!(said.contains(&delete), "{delete}\n{said}");
    assert!(said.contains(&format!("update-table --table-name {} {way} --stream", closed.name)), "{said}");
}

/// A reseed under another name leaves the old shadow behind; the migration knows it until its end.
#[test]
fn a_shadow_that_is_left_behind_is_not_forgotten() {
    let ctx = &ctx();
    let migration = Migration::new(ctx, &source(ctx, 5), after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    process.stop();
    let other = ctx.table("shadow", after(ID));
    let named = ["--shadow-table", other.name.as_str()];
    let refused = migration.project.finish(&[&["reseed", "--yes", "--delete-shadow"][..], &named].concat());
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for name in [&migration.shadow.name, &other.name] {
        assert!(refused.stderr.contains(name.as_str()), "{name}: {}", refused.stderr);
    }
    assert!(migration.shadow.describe().is_some(), "neither is deleted");
    migration.project.command(&[&["reseed", "--yes"][..], &named].concat());
    let mut process = migration.project.start(&[&["run"][..], &named].concat());
    process.wait_for_tailing();
    process.stop();
    let said = migration.project.command(&["abort", "--yes"]);
    for table in [&migration.shadow, &other] {
        assert!(said.contains(&format!("delete-table --table-name {} ", table.name)), "{said}");
        // DynamoDB Local gives its tables no ids.
        if let Some(id) = table.describe().unwrap().table_id {
            assert!(said.contains(&id), "{id} is missing in\n{said}");
        }
    }
    assert_eq!(said.matches("while its table id is").count(), 2, "{said}");
}

/// What was switched on before a refusal is listed, too.
#[test]
fn a_stream_of_a_migration_that_never_began_is_listed() {
    let ctx = &ctx();
    let closed = ctx.table("source", before(ID));
    closed.create();
    closed.load(&items::orders(ID, 30, ctx.seed()));
    // A rule that most items do not survive is seen before the stream is enabled.
    let mut migration = Migration::new(ctx, &closed, Layout::new(&[("place", Kind::S), ("id", Kind::S)]));
    migration.project.set_transform("[[transform]]\nset = { attribute = \"place\", template = \"{custmer}\" }");
    let refused = migration.project.finish(&["run", "--enable-stream"]);
    assert!(refused.stderr.contains("custmer"), "{}", refused.stderr);
    assert!(closed.describe().unwrap().latest_stream_arn.is_none(), "nothing was changed");
    // A shadow that is somebody's is seen after it.
    let live = migration.beside(ctx, &closed, &source(ctx, 3));
    let refused = live.project.finish(&["run", "--enable-stream"]);
    assert!(refused.stderr.contains("neither empty nor"), "{}", refused.stderr);
    let said = live.project.command(&["abort", "--yes"]);
    assert!(said.contains(&format!("update-table --table-name {} ", closed.name)), "{said}");
    assert!(!said.contains("delete-table"), "{said}");
}

#[test]
fn an_ended_migration_is_forgotten_with_its_claims() {
    let ctx = &ctx();
    let first = Migration::new(ctx, &source(ctx, 0), after(ID));
    let mut process = first.run();
    process.wait_for_tailing();
    let early = first.project.finish(&["forget", "--yes"]);
    assert_eq!(early.code, Some(1), "{}", early.stderr);
    process.stop();
    first.project.command(&["abort", "--yes"]);
    // The source of an aborted migration is somebody's.
    let back = first.beside(ctx, &source(ctx, 0), &first.source);
    back.project.set_layout(&before(ID));
    back.refused(&["is the source of migration"]);
    // Its shadow is free, if it is empty.
    let second = first.beside(ctx, &source(ctx, 0), &first.shadow);
    let mut process = second.run();
    process.wait_for_tailing();
    process.stop();
    first.project.command(&["forget", "--yes"]);
    assert!(!second.project.command(&["list"]).contains(&first.id));
    assert!(first.project.finish(&["status"]).stderr.contains("knows no migration"));
    assert_eq!(first.project.finish(&["forget", "--yes"]).code, Some(1));
}

#[test]
fn a_plan_is_changed_until_something_is_copied() {
    let ctx = &ctx();
    let rule =
        |attribute: &str| format!("[[transform]]\nset = {{ attribute = \"place\", template = \"{{{attribute}}}\" }}");
    let target = Layout::new(&[("place", Kind::S), ("id", Kind::S)]);
    let mut migration = Migration::new(ctx, &source(ctx, 30), target);
    migration.project.set_transform(&rule("custmer"));
    migration.refused(&["items that were looked at", "custmer", "rule 1"]);
    assert!(migration.shadow.describe().is_none(), "nothing was made");
    migration.project.set_transform(&rule("customer"));
    let mut process = migration.run();
    process.wait_for_tailing();
    assert_eq!(process.status().unwrap().number("/legs/0/quarantine").to_bits(), 0.0_f64.to_bits());
    process.stop();
}

#[test]
fn most_items_refused_is_seen_before_anything_is_made() {
    let ctx = &ctx();
    let target = Layout::new(ID).with_global("by-total", &[("status", Kind::N)], Projection::All);
    let mut migration = Migration::new(ctx, &source(ctx, 30), target);
    migration.refused(&["items that were looked at", "by-total", "status"]);
    assert!(migration.shadow.describe().is_none(), "nothing was made");
    migration.project.set("apply.quarantine_limit", 100);
    let mut process = migration.project.start(&["run", "--accept-refused"]);
    process.wait_for_tailing();
    process.stop();
}

#[test]
fn a_standby_that_is_configured_otherwise_is_not_ready_and_leaves_the_lease() {
    let ctx = &ctx();
    let migration = Migration::new(ctx, &source(ctx, 10), after(ID));
    let mut active = migration.run();
    active.wait_for_tailing();
    let other = Layout::new(ID).with_global("by-status", super::BY_STATUS, Projection::All);
    migration.project.set_layout(&other);
    let mut standby = migration.run();
    let seen =
        standby.wait_until("what differs", |status| status.0["differs"].as_array().is_some_and(|all| !all.is_empty()));
    assert!(seen.0["differs"][0].as_str().unwrap().contains("by-status.Projection"), "{}", seen.0);
    let ready = standby.get("/readyz").unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("by-status.Projection"), "{}", ready.body);
    // It leaves the lease to one that is fit for it.
    active.sigkill();
    let ended = standby.wait_exit();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("by-status.Projection"), "{}", ended.stderr);
    migration.project.set_layout(&after(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

/// Its cutover would be another one: it takes the lease nevertheless, and says so before.
#[test]
fn a_standby_that_would_cut_over_otherwise_is_ready_and_says_so() {
    let ctx = &ctx();
    let mut migration = Migration::new(ctx, &source(ctx, 10), after(ID));
    let mut active = migration.run();
    active.wait_for_tailing();
    migration.project.set("cutover.fence", "manual");
    let mut standby = migration.run();
    let ready = clock::wait_for("what differs", || {
        let ready = standby.get("/readyz")?;
        if ready.body.contains("cutover.fence") { Ok(ready) } else { Err(ready.body) }
    });
    assert_eq!(ready.status, 200);
    active.sigkill();
    standby.wait_for_tailing();
    migration.finish(standby);
}

/// `count` orders, with a stream.
fn source(ctx: &Ctx, count: usize) -> Table {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, count, ctx.seed()), StreamViewType::NewAndOldImages);
    source
}
