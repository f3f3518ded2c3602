//! Items that change on the way, and keys that change with them.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;

use super::{BY_STATUS, ID, before, ctx};
use testkit::real::checker::Expected;
use testkit::real::context::Ctx;
use testkit::real::items::{self, item, n, s, text};
use testkit::real::layout::{Keys, Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::process::Process;
use testkit::real::project::CAUGHT_UP;
use testkit::real::table::{Item, Table};
use testkit::real::tenants;
use testkit::real::writer::Plan;

#[test]
fn a_new_key_built_from_the_old_one() {
    let ctx = &ctx();
    let rules = r#"
        [[transform]]
        set = { attribute = "pk", template = "ORDER#{id}" }
    "#;
    let migration = Migration::new(ctx, &orders(ctx), Layout::new(&[("pk", Kind::S)])).slow_copy(200.0).transformed(
        rules,
        |item| {
            let mut item = item.clone();
            let key = format!("ORDER#{}", text(&item, "id"));
            item.insert("pk".into(), s(key));
            Expected::Item(item)
        },
    );
    migration.finish(under_live_writes(ctx, &migration));
}

#[test]
fn an_item_that_moves_to_another_key_leaves_nothing_behind() {
    let ctx = &ctx();
    // No rule is needed: the new key is made of attributes that items have, and one of them changes often.
    let migration =
        Migration::new(ctx, &orders(ctx), Layout::new(&[("customer", Kind::S), ("id", Kind::S)])).slow_copy(200.0);
    migration.finish(under_live_writes(ctx, &migration));
}

#[test]
fn every_rule_does_what_it_says() {
    let ctx = &ctx();
    let rules = r#"
        [[transform]]
        set = { attribute = "label", template = "{{{status}}} of {customer}, {note}" }

        [[transform]]
        set = { attribute = "first", template = "{coupon_code}" }

        [[transform]]
        rename = { from = "total", to = "amount" }

        [[transform]]
        copy = { from = "lines", to = "positions" }

        [[transform]]
        remove = "signature"

        [[transform]]
        remove = "note"
        when = { attribute = "status", equals = "lost" }

        [[transform]]
        set = { attribute = "kind", template = "edited" }
        when = { exists = "edits" }

        [[transform]]
        set = { attribute = "kind", template = "untouched" }
        when = { missing = "edits" }

        [[transform]]
        drop = true
        when = { attribute = "edits", one_of = [1, 2.0] }
    "#;
    let expect = |before: &Item| {
        if [Some(n(1)), Some(n(2))].contains(&before.get("edits").cloned()) {
            return Expected::Nothing;
        }
        let mut item = before.clone();
        if let (Some(note), status, customer) = (before.get("note"), text(before, "status"), text(before, "customer")) {
            item.insert("label".into(), s(format!("{{{status}}} of {customer}, {}", note.as_s().unwrap())));
        }
        if let Some(total) = item.remove("total") {
            item.insert("amount".into(), total);
        }
        if let Some(lines) = item.get("lines").cloned() {
            item.insert("positions".into(), lines);
        }
        item.remove("signature");
        if text(before, "status") == "lost" {
            item.remove("note");
        }
        let kind = if before.contains_key("edits") { "edited" } else { "untouched" };
        item.insert("kind".into(), s(kind));
        Expected::Item(item)
    };
    let target = before(ID).with_global("by-kind", &[("kind", Kind::S)], Projection::KeysOnly);
    let migration = Migration::new(ctx, &orders(ctx), target).transformed(rules, expect);
    migration.finish(under_live_writes(ctx, &migration));
}

#[test]
fn an_item_changed_into_a_dropped_one_is_deleted() {
    let ctx = &ctx();
    let rules = r#"
        [[transform]]
        drop = true
        when = { attribute = "status", one_of = ["lost", "shipped"] }
    "#;
    let source = orders(ctx);
    let target = Layout::new(ID).with_global("by-status", BY_STATUS, Projection::All);
    let migration = Migration::new(ctx, &source, target).transformed(rules, |item| match text(item, "status") {
        "lost" | "shipped" => Expected::Nothing,
        _ => Expected::Item(item.clone()),
    });
    let mut process = under_live_writes(ctx, &migration);
    let key = items::key(ID, 7);
    for (status, held) in [("open", true), ("lost", false), ("shipped", false), ("paid", true)] {
        source.set(&key, "status", s(status));
        process.drain(CAUGHT_UP);
        assert_eq!(migration.shadow.get(&key).is_some(), held, "while {status}");
    }
    migration.finish(process);
}

#[test]
fn a_sparse_index_holds_only_what_belongs_in_it() {
    let ctx = &ctx();
    let rules = r#"
        [[transform]]
        set = { attribute = "GSI1PK", template = "STATUS#{status}" }
        when = { attribute = "status", equals = "open" }
    "#;
    let target = before(ID).with_global("open-orders", &[("GSI1PK", Kind::S)], Projection::KeysOnly);
    let source = orders(ctx);
    let migration = Migration::new(ctx, &source, target).transformed(rules, |item| {
        let mut item = item.clone();
        if text(&item, "status") == "open" {
            item.insert("GSI1PK".into(), s("STATUS#open"));
        }
        Expected::Item(item)
    });
    migration.finish(under_live_writes(ctx, &migration));
    let open = source.scan().iter().filter(|item| text(item, "status") == "open").count();
    assert_eq!(migration.shadow.scan_index("open-orders").len(), open);
}

#[test]
fn an_item_without_a_place_in_the_shadow_is_quarantined() {
    let ctx = &ctx();
    let source = orders(ctx);
    let nameless = [items::smallest(ID, 900), items::smallest(ID, 901)];
    source.put(&nameless[0]);
    let target = Layout::new(&[("customer", Kind::S), ("id", Kind::S)]);
    let migration = Migration::new(ctx, &source, target).expecting(|item| match item.get("customer") {
        Some(_) => Expected::Item(item.clone()),
        None => Expected::Quarantined("transform"),
    });
    let mut process = migration.run();
    process.wait_for_tailing();
    source.put(&nameless[1]);
    process.drain(CAUGHT_UP);
    migration.check();
    // One gets a place, the other goes.
    source.set(&nameless[0], "customer", s("CUST-0001"));
    source.delete(&nameless[1]);
    process.drain(CAUGHT_UP);
    assert_eq!(migration.project.quarantine(), []);
    migration.finish(process);
}

const BY_EMAIL: Keys = &[("email", Kind::S)];

#[test]
fn items_that_collide_for_good_are_all_shown() {
    let ctx = &ctx();
    let account = |id: &str, email: &str| item([("id", s(id)), ("email", s(email)), ("since", n(2020))]);
    let source = ctx.table("source", Layout::new(ID));
    let accounts = [account("a", "x@a"), account("b", "x@a"), account("c", "x@a"), account("d", "d@d")];
    source.create_with(&accounts, StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, Layout::new(BY_EMAIL));
    let mut process = migration.run();
    process.drain(CAUGHT_UP);
    migration.check();
    assert_eq!(migration.project.quarantine().len(), 2);
    assert!((process.status().unwrap().number("/legs/0/quarantine") - 2.0).abs() < 0.5);

    // The one that holds the key goes: another gets it. That one moves away: the last gets it.
    let holder = || {
        let held = migration.shadow.get(&item([("email", s("x@a"))])).expect("somebody holds the key");
        item([("id", held["id"].clone())])
    };
    source.delete(&holder());
    process.drain(CAUGHT_UP);
    migration.check();
    source.set(&holder(), "email", s("y@a"));
    process.drain(CAUGHT_UP);
    assert_eq!(migration.project.quarantine(), []);

    // A newcomer collides through the tail.
    source.put(&account("e", "d@d"));
    process.drain(CAUGHT_UP);
    assert_eq!(migration.project.quarantine().len(), 1);
    migration.finish(process);
}

#[test]
fn swaps_of_shadow_keys_survive_sigkills() {
    const SWAPS: usize = 1000;
    let ctx = &ctx();
    let source = ctx.table("source", Layout::new(tenants::BY_ID));
    source.create_with(&tenants::tenants(), StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, Layout::new(tenants::BY_SLOT));

    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| tenants::swap(&source, SWAPS, Duration::from_millis(10), ctx.seed()));
        let mut rng = Rng::with_seed(!ctx.seed());
        while !swapping.is_finished() {
            let mut process = migration.run();
            process.wait_for_lease();
            std::thread::sleep(Duration::from_millis(rng.u64(200..2000)));
            process.sigkill();
        }
    });
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.finish(process);
}

/// 150 orders, with a stream.
fn orders(ctx: &Ctx) -> Table {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 150, ctx.seed()), StreamViewType::NewAndOldImages);
    source
}

/// Copies and tails while writers are at work; they have stopped when this returns.
fn under_live_writes(ctx: &Ctx, migration: &Migration) -> Process {
    let writers = migration.writers(ctx, &Plan::default());
    let mut process = migration.run();
    process.wait_for_tailing();
    writers.wait_for(60);
    writers.finish();
    process
}
