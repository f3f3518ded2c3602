//! Moving an application over while it writes: a pointer that it reads, and a fence that refuses its writes.

use std::collections::BTreeMap;
use std::fs;

use aws_sdk_dynamodb::types::StreamViewType;

use super::{ID, after, before, ctx};
use testkit::real::application::{Application, POINTER_KEYS};
use testkit::real::chaos::{Chaos, Effect, Rule};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items::{self, s};
use testkit::real::layout::{Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::process::{Finished, Process};
use testkit::real::project::CAUGHT_UP;

fn migration(ctx: &Ctx) -> (Migration, Application) {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 60, ctx.seed()), StreamViewType::NewAndOldImages);
    let mut migration = Migration::new(ctx, &source, after(ID));
    let application = Application::new(ctx, &source, &migration.shadow);
    application.configure(&mut migration);
    (migration, application)
}

fn cutover(migration: &Migration) -> Finished {
    migration.project.finish(&["cutover", "--yes"])
}

#[test]
fn a_cutover_moves_a_writing_application_and_loses_nothing() {
    let ctx = &ctx();
    let (migration, mut application) = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    application.start();
    application.wait_for(50);
    let dry = migration.project.finish(&["cutover", "--dry-run", "--wait"]);
    assert_eq!(dry.code, Some(0), "{}{}", dry.stdout, dry.stderr);
    assert!(dry.stdout.contains("quarantine empty") && !dry.stdout.contains("REFUSES"), "{}", dry.stdout);
    assert!(!application.is_fenced());
    let finished = cutover(&migration);
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    assert_eq!(application.pointed_at(), migration.shadow.name);
    assert!(application.is_fenced(), "the source stays closed");
    application.wait_for(50);
    application.stop();
    application.assert_all_in(&migration.shadow);
    let trail = migration.project.command(&["audit"]);
    for entry in
        ["the fence begins", "the fence ended", "the drain ended", "the recheck ended", "the phase is switched"]
    {
        assert!(trail.contains(entry), "{entry} is missing in\n{trail}");
    }
    assert_eq!(process.status().unwrap().phase(), "switched");

    // Somebody whom the fence does not hold.
    let before = migration.shadow.get(&items::key(ID, 1)).unwrap();
    migration.source.set(&items::key(ID, 1), "round", s("late"));
    process.wait_until("the late change in quarantine", |status| status.number("/legs/0/quarantine") > 0.5);
    assert_eq!(migration.project.quarantine()[0].reason, "late");
    assert_eq!(migration.shadow.get(&items::key(ID, 1)).unwrap(), before);
    clock::wait_for("the late change is counted", || {
        let metrics = process.get("/metrics").unwrap().body;
        let late = format!("shadowtable_late_changes_total{{migration=\"{}\"}} 1", migration.id);
        if metrics.contains(&late) { Ok(()) } else { Err(metrics) }
    });
    migration.project.command(&["finish", "--yes"]);
    assert_eq!(process.wait_exit().code, Some(0));
    migration.refused(&["finished"]);
}

/// What a program finds in its environment is no setting.
#[test]
fn a_program_may_call_shadowtable() {
    let ctx = &ctx();
    let (mut migration, application) = migration(ctx);
    let (program, config) = (ctx.program().display(), migration.project.config_file());
    let script =
        format!("set -e; {program} -c {} status --json > seen; echo \"$CUTOVER_MIGRATION\" > named", config.display());
    migration.project.set("hooks.before_fence", application.script("before-fence.sh", &script));
    migration.project.set("cutover.program_timeout_seconds", 20.0);
    let mut process = migration.run();
    process.wait_for_tailing();
    migration.project.finish(&["cutover", "--dry-run", "--wait"]);
    let finished = cutover(&migration);
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    let read = |name| fs::read_to_string(application.folder().join(name)).unwrap();
    assert!(read("seen").contains("\"phase\": \"fencing\""), "{}", read("seen"));
    assert_eq!(read("named").trim(), migration.id);
    process.stop();
}

/// Waits until exactly these gates refuse, and demands that the last says its remedy, and that no cutover begins.
fn refused(migration: &Migration, gates: &[&str], remedy: &str) {
    let mut left = String::new();
    clock::wait_for(&format!("{gates:?} to refuse"), || {
        let finished = migration.project.finish(&["cutover", "--dry-run"]);
        let closed: Vec<_> = finished.stdout.lines().filter(|line| line.contains("REFUSES")).collect();
        let as_expected = closed.len() == gates.len()
            && closed.iter().zip(gates).all(|(line, gate)| line.trim_start().starts_with(gate));
        left = closed.join("\n");
        if as_expected { Ok(()) } else { Err(format!("{}{}", finished.stdout, finished.stderr)) }
    });
    assert!(left.contains(remedy), "{remedy:?} is missing in\n{left}");
    println!("GATE {left}");
    let refused = migration.project.finish(&["cutover", "--yes", "--fenced"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("not hold"), "{}", refused.stderr);
}

/// Runs it again, under another configuration.
fn restart(migration: &Migration, process: Process) -> Process {
    process.stop();
    let mut process = migration.run();
    process.wait_for_tailing();
    process.drain(CAUGHT_UP);
    process
}

/// A cutover by hand. DynamoDB Local floors record times to the minute.
fn by_hand(migration: &mut Migration) {
    for (key, value) in [("fence", "manual"), ("switch", "command"), ("switch_command", "true")] {
        migration.project.set(&format!("cutover.{key}"), value);
    }
    migration.project.set("cutover.max_lag_seconds", 120);
}

fn all_hold(migration: &Migration) {
    let open = migration.project.finish(&["cutover", "--dry-run", "--wait"]);
    assert_eq!(open.code, Some(0), "{}{}", open.stdout, open.stderr);
}

/// Each gate closes in turn, alone (but for the copy's, which closes with the phase's), and says what opens it.
#[test]
fn each_gate_of_the_mirror_refuses_in_turn_with_its_remedy() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 200, ctx.seed()), StreamViewType::NewAndOldImages);
    let target = after(ID).with_global("by-rank", &[("rank", Kind::N)], Projection::All);
    let chaos = Chaos::before(&source.place, ctx.handle(), ctx.seed());
    let mut migration = Migration::new(ctx, &source, target).slow_copy(1.0);
    migration.project.set("shadow.endpoint_url", chaos.url());
    by_hand(&mut migration);
    let mut process = migration.run();
    process.wait_until("copying", |status| status.phase() == "copying");
    refused(&migration, &["copy complete", "tailing"], "wait until the copy is complete");
    migration.full_speed();
    process = restart(&migration, process);
    migration.project.command(&["postpone"]);
    refused(&migration, &["not postponed"], "shadowtable postpone --off");
    migration.project.command(&["postpone", "--off"]);
    migration.project.command(&["pause", "copy"]);
    refused(&migration, &["not paused"], "shadowtable resume");
    migration.project.command(&["resume"]);
    let poisoned = items::item([("id", s("poisoned")), ("rank", s("high"))]);
    source.put(&poisoned);
    refused(&migration, &["quarantine empty"], "shadowtable quarantine list");
    source.delete(&items::item([("id", s("poisoned"))]));
    process.wait_until("an empty quarantine", |status| status.number("/legs/0/quarantine") < 0.5);
    let creating = Effect::Rewrite("\"IndexStatus\":\"ACTIVE\"", "\"IndexStatus\":\"CREATING\"");
    chaos.set([Rule::on("DescribeTable", creating)]);
    refused(&migration, &["indexes active"], "all its indexes are ACTIVE");
    chaos.set([]);
    migration.project.set("cutover.max_lag_seconds", 0);
    process = restart(&migration, process);
    refused(&migration, &["lag"], "wait until the tail has caught up");
    migration.project.set("cutover.max_lag_seconds", 120);
    migration.project.set("cutover.min_headroom_seconds", 86_400);
    process = restart(&migration, process);
    refused(&migration, &["headroom"], "its history still there");
    migration.project.set("cutover.min_headroom_seconds", 0);
    process = restart(&migration, process);
    all_hold(&migration);
    migration.finish(process);
}

/// What a cutover does its work with, in the same way.
#[test]
fn each_gate_of_the_configuration_refuses_in_turn_with_its_remedy() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 20, ctx.seed()), StreamViewType::NewAndOldImages);
    let mut migration = Migration::new(ctx, &source, after(ID));
    let settings = ctx.table("settings", Layout::new(POINTER_KEYS));
    settings.create();
    by_hand(&mut migration);
    migration.project.set("cutover.switch", "pointer");
    for (key, value) in
        [("table", settings.name.as_str()), ("key", r#"{"name": {"S": "orders"}}"#), ("attribute", "table")]
    {
        migration.project.set(&format!("cutover.pointer_{key}"), value);
    }
    let mut process = migration.run();
    process.wait_for_tailing();
    refused(&migration, &["pointer"], "there is none");
    settings.put(&items::item([("name", s("orders")), ("table", s("elsewhere"))]));
    refused(&migration, &["pointer"], "names \"elsewhere\"");
    settings.remove();
    refused(&migration, &["pointer"], "GetItem");
    migration.project.forget("cutover");
    migration.project.set("cutover.max_lag_seconds", 120);
    process = restart(&migration, process);
    refused(&migration, &["configured"], "add what is missing to the configuration");
    let none = migration.project.finish(&["cutover", "--dry-run"]);
    assert!(none.stdout.contains("no cutover.fence, no cutover.switch"), "{}", none.stdout);
    by_hand(&mut migration);
    process = restart(&migration, process);
    all_hold(&migration);
    migration.finish(process);
}

#[test]
fn what_the_shadow_lacks_is_shown_before_a_cutover() {
    let ctx = &ctx();
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 20, ctx.seed()), StreamViewType::NewAndOldImages);
    source.set_expiry("expires_at");
    let migration = Migration::new(ctx, &source, Layout::new(ID));
    let mut process = migration.run();
    process.wait_for_tailing();
    let looked = migration.project.finish(&["cutover", "--dry-run"]);
    for wanted in [
        "alike     capacity: on demand",
        "LOOK      time to live: source: expires_at; shadow: none",
        "aws dynamodb update-time-to-live",
        "LOOK      indexes: source: by-status; shadow: none",
        "LOOK      stream: source: NEW_AND_OLD_IMAGES; shadow: off",
        "alike     deletion protection: off",
    ] {
        assert!(looked.stdout.contains(wanted), "{wanted:?} is missing in\n{}", looked.stdout);
    }
    assert!(looked.stderr.contains("yours to judge, and refuse nothing"), "{}", looked.stderr);
    migration.finish(process);
}

#[test]
fn a_fence_that_fails_hangs_or_lies_leaves_the_source_open() {
    let ctx = &ctx();
    for (fence, told) in [
        ("touch fenced; exit 3", "exit status: 3"),
        ("touch fenced; sleep 60", "did not end within 2 s"),
        ("true", "did not come to rest"),
    ] {
        let (mut migration, mut application) = migration(ctx);
        migration.project.set("cutover.fence_command", application.script("bad-fence.sh", fence));
        let mut process = migration.run();
        process.wait_for_tailing();
        application.start();
        application.wait_for(20);
        assert_eq!(migration.project.finish(&["cutover", "--dry-run", "--wait"]).code, Some(0));
        let failed = cutover(&migration);
        assert_eq!(failed.code, Some(1), "{fence}: {}{}", failed.stdout, failed.stderr);
        assert!(failed.stderr.contains(told), "{fence}: {}", failed.stderr);
        assert!(!application.is_fenced(), "{fence}");
        assert_eq!(application.pointed_at(), migration.source.name, "{fence}");
        application.wait_for(20);
        application.stop();
        process.wait_for_tailing();
        migration.finish(process);
    }
}

#[test]
fn a_switch_that_fails_keeps_the_source_fenced_until_the_operator_decides() {
    let ctx = &ctx();
    let (mut migration, mut application) = migration(ctx);
    migration.project.set("cutover.switch", "command");
    let switch = "if [ -e mended ]; then exit 0; fi; sleep 60";
    migration.project.set("cutover.switch_command", application.script("switch.sh", switch));
    let mut process = migration.run();
    process.wait_for_tailing();
    application.start();
    application.wait_for(20);
    assert_eq!(migration.project.finish(&["cutover", "--dry-run", "--wait"]).code, Some(0));
    let failed = cutover(&migration);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("--declare-switched"), "{}", failed.stderr);
    assert!(application.is_fenced());
    // A restart tries again, and asks again.
    process.sigkill();
    let mut process = migration.run();
    process.wait_until("the holder", |status| status.holds_lease() && status.phase() == "switching");
    assert!(application.is_fenced());
    assert_eq!(migration.project.finish(&["unfence"]).code, Some(2), "not without vouching");
    fs::write(application.folder().join("mended"), "").unwrap();
    clock::wait_for("the switch is tried again", || {
        let again = migration.project.finish(&["cutover", "--again"]);
        if again.code == Some(0) { Ok(()) } else { Err(again.stderr) }
    });
    assert_eq!(process.status().unwrap().phase(), "switched");
    application.stop();
    application.assert_all_in(&migration.shadow);
    process.stop();
}

/// The process is killed once after each entry that a cutover leaves in the audit trail.
#[test]
fn a_sigkill_after_each_audit_entry_comes_to_a_definite_end() {
    let ctx = &ctx();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for entries in 1.. {
        let (migration, mut application) = migration(ctx);
        let mut process = migration.run();
        process.wait_for_tailing();
        application.start();
        application.wait_for(20);
        assert_eq!(migration.project.finish(&["cutover", "--dry-run", "--wait"]).code, Some(0));
        let trail = || {
            migration.state.scan().into_iter().filter(|item| item["sk"].as_s().unwrap().starts_with("EVENT#")).count()
        };
        let before = trail();
        let asking = migration.project.start(&["cutover", "--yes"]);
        clock::wait_for("the cutover's next audit entry", || {
            let phase = process.status().map(|status| status.phase().to_owned()).unwrap_or_default();
            if trail() >= before + entries || phase == "switched" { Ok(()) } else { Err(phase) }
        });
        let over = process.status().is_ok_and(|status| status.phase() == "switched");
        process.sigkill();
        let mut process = migration.run();
        // Until the command is told an end, the successor may still find it, and begin.
        let told = asking.wait_exit();
        let end = process.wait_until("a definite end", |status| {
            status.holds_lease() && ["tailing", "switched"].contains(&status.phase())
        });
        let switched = end.phase() == "switched";
        *ends.entry(end.phase().to_owned()).or_default() += 1;
        assert_eq!(told.code == Some(0), switched, "after {entries} entries: {}", told.stderr);
        assert_eq!(application.is_fenced(), switched, "after {entries} entries: {}", end.phase());
        let named = if switched { &migration.shadow.name } else { &migration.source.name };
        assert_eq!(application.pointed_at(), *named, "after {entries} entries");
        application.wait_for(20);
        application.stop();
        if switched {
            application.assert_all_in(&migration.shadow);
            process.stop();
        } else {
            application.assert_all_in(&migration.source);
            migration.finish(process);
        }
        if over {
            break;
        }
        assert!(entries < 30, "the cutover has no end");
    }
    println!("ends after kills: {ends:?}");
    assert!(ends["switched"] > 5, "{ends:?}");
}
