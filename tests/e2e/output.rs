//! What a process says may find nobody who takes it. That must not matter.

use std::fs::OpenOptions;
use std::io::{PipeReader, pipe};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

use aws_sdk_dynamodb::types::StreamViewType;
use rustix::process::Signal;
use serde_json::Value;

use super::{ID, after, before, ctx};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::migration::Migration;
use testkit::real::process::Process;

/// A file that is always full.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A pipe whose reader reads nothing.
fn unread() -> (Stdio, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    (writer.into(), reader)
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[test]
fn a_log_that_nobody_takes_ends_nothing() {
    let ctx = &ctx();
    let (stuck, _reader) = unread();
    for (log, is_stuck) in [(full(), false), (closed(), false), (stuck, true)] {
        let mut migration = migration(ctx);
        let address = free_address();
        migration.project.set("admin.listen", address.to_string());
        // A pipe takes 64 KiB before it is full.
        migration.project.set("log.level", if is_stuck { "trace" } else { "info" });
        let mut command = migration.project.prepared(&["run"]);
        let mut process = Process::spawn_unheard(&mut command, (full(), log), Some(address));
        clock::wait_for("the admin port", || process.get("/healthz"));
        process.wait_for_tailing();
        migration.source.put(&items::smallest(ID, 500));
        clock::wait_for("lines that were dropped, and counted", || {
            let metrics = process.get("/metrics")?.body;
            let dropped = metrics.lines().find_map(|line| line.strip_prefix("shadowtable_log_lines_dropped_total{"));
            match dropped.and_then(|line| line.rsplit_once(' ')) {
                Some((_, count)) if count != "0" => Ok(()),
                _ => Err(format!("{dropped:?}")),
            }
        });
        // It stops well, too.
        migration.finish(process);
    }
}

#[test]
fn no_verb_panics_when_nobody_reads_it() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    let verbs: [&[&str]; 16] = [
        &["list"],
        &["status"],
        &["status", "--json"],
        &["audit"],
        &["quarantine", "list"],
        &["quarantine", "show", "none"],
        &["cutover", "--dry-run"],
        &["pause", "copy"],
        &["resume"],
        &["config", "check"],
        &["config", "example"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["no-such-verb"],
        &["finish", "--yes"],
    ];
    for verb in verbs {
        for way in [full, closed] {
            let mut command = migration.project.prepared(verb);
            let ended = Process::spawn_unheard(&mut command, (way(), way()), None).wait_exit();
            assert!(matches!(ended.code, Some(0..=2)), "{verb:?} ended with {:?}", ended.code);
        }
    }
    migration.finish(process);
}

#[test]
fn every_line_of_a_log_in_json_is_json_and_names_the_migration() {
    let ctx = &ctx();
    let migration = migration(ctx);
    // Whoever runs the tests may ignore the signal, and what is ignored stays so in a child.
    let heeds = ["env", "--default-signal=HUP"];
    let mut process = Process::spawn(&mut through(&heeds, &migration.project.prepared(&["run"])));
    process.wait_for_tailing();
    // The terminal was closed.
    process.signal(Signal::HUP);
    let finished = process.wait_exit();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("SIGHUP"), "{}", finished.stderr);
    migration.source.remove();
    let refused = migration.refused(&["does not exist", "hint"]);
    for line in finished.stderr.lines().chain(refused.stderr.lines()) {
        let said: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(said["migration"], migration.id.as_str(), "{line}");
        assert!(said["fields"]["message"].is_string(), "{line}");
    }
}

#[test]
fn a_process_under_nohup_outlives_its_terminal() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = Process::spawn(&mut through(&["nohup"], &migration.project.prepared(&["run"])));
    process.wait_for_tailing();
    process.signal(Signal::HUP);
    migration.source.put(&items::smallest(ID, 500));
    migration.finish(process);
}

/// The same command, run by another one.
fn through(by: &[&str], run: &Command) -> Command {
    let mut command = Command::new(by[0]);
    command.args(&by[1..]).arg(run.get_program()).args(run.get_args());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = run.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// 30 orders to move.
fn migration(ctx: &Ctx) -> Migration {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 30, ctx.seed()), StreamViewType::NewAndOldImages);
    Migration::new(ctx, &source, after(ID))
}
