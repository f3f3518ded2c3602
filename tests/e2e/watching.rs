//! How a migration is looked at: the status document, `status --watch`, and what the admin port answers to whom.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::Value;

use super::{ID, after, before, ctx};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::migration::Migration;
use testkit::real::project::CAUGHT_UP;

/// What may stand where a value is of this type in the page; what is not known is `null`.
fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "number" => value.is_number() || value.is_null(),
        "time" => value.is_null() || value.as_i64() > Some(1_700_000_000_000),
        "text" => value.is_string() || value.is_null(),
        "bool" => value.is_boolean(),
        other => panic!("the page says {other}"),
    }
}

/// Each field of the page is in the document, with its type, and nothing else is.
#[test]
fn the_status_document_is_what_its_page_says() {
    let ctx = &ctx();
    let mut migration = migration(ctx);
    migration.project.set("cutover.fence", "command");
    migration.project.set("cutover.fence_command", "false");
    migration.project.set("cutover.unfence_command", "true");
    migration.project.set("cutover.switch", "command");
    migration.project.set("cutover.switch_command", "true");
    // DynamoDB Local floors record times to the minute.
    migration.project.set("cutover.max_lag_seconds", 120);
    let mut process = migration.run();
    process.wait_for_tailing();
    process.drain(CAUGHT_UP);
    // A cutover that fails leaves a trace of itself in the document.
    let failed = migration.project.finish(&["cutover", "--yes"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    clock::wait_for("the cutover's trouble in the stored figures", || {
        let document = migration.project.status().0;
        let whole = !document["cutover"]["trouble"].is_null() && document["age_seconds"].as_f64() < Some(5.0);
        if whole { Ok(()) } else { Err(document.to_string()) }
    });
    let document = migration.project.status().0;
    let mut found = BTreeSet::new();
    flatten(&document, "", &mut found);
    let page = include_str!("../../docs/operations/status.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.to_owned()))
    });
    let documented: BTreeSet<(String, String)> = rows.collect();
    let names =
        |fields: &BTreeSet<(String, String)>| fields.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&found), names(&documented));
    for (name, kind) in &documented {
        for (_, value) in found.iter().filter(|(found, _)| found == name) {
            let value: Value = serde_json::from_str(value).unwrap();
            assert!(fits(&value, kind), "{name} is no {kind}: {value}");
        }
    }
    // The port says the same but for what only a look from outside can tell.
    let mut served = BTreeSet::new();
    flatten(&process.status().unwrap().0, "", &mut served);
    let outside = |name: &String| name.starts_with("holder.") || name == "age_seconds" || name == "fresh";
    assert_eq!(names(&served), names(&documented).into_iter().filter(|name| !outside(name)).collect());
    migration.finish(process);
}

/// Every leaf, as its path and its value.
fn flatten(value: &Value, path: &str, into: &mut BTreeSet<(String, String)>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if path == "totals.throttles" { "*" } else { name };
                flatten(value, &inner(name), into);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                flatten(element, &format!("{path}[]"), into);
            }
        }
        leaf => {
            into.insert((path.to_owned(), leaf.to_string()));
        }
    }
}

/// Where there is no terminal, a line now and then; and it says when nobody works any more.
#[test]
fn a_status_is_watched_from_outside_until_nobody_works() {
    let ctx = &ctx();
    let migration = migration(ctx);
    let mut process = migration.run();
    process.wait_for_tailing();
    process.drain(CAUGHT_UP);
    let watching = migration.project.start(&["status", "--watch"]);
    std::thread::sleep(Duration::from_secs(2));
    process.sigkill();
    // The lease of these tests runs out within two seconds; the line after that says so.
    std::thread::sleep(Duration::from_secs(14));
    watching.sigterm();
    let finished = watching.wait_exit();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines.len() >= 3, "{lines:?}");
    assert!(lines[0].contains("tailing  lag ") && lines[0].contains("headroom 23 h"), "{}", lines[0]);
    assert!(
        lines.last().unwrap().contains("being silent for") && lines.last().unwrap().contains("lag at least"),
        "{lines:?}"
    );
    assert!(migration.project.command(&["status", "--json"]).contains("\"holder\""));
}

/// The hook is told once, though the process is started again.
#[test]
fn the_hook_on_ready_is_told_once() {
    let ctx = &ctx();
    let mut migration = migration(ctx);
    for (key, value) in [("fence", "manual"), ("switch", "command"), ("switch_command", "true")] {
        migration.project.set(&format!("cutover.{key}"), value);
    }
    migration.project.set("cutover.max_lag_seconds", 120);
    migration.project.set("hooks.on_ready", "true");
    for _ in 0..2 {
        let mut process = migration.run();
        process.wait_for_tailing();
        process.drain(CAUGHT_UP);
        clock::wait_for("the hook in the audit trail", || {
            let trail = migration.project.command(&["audit"]);
            if trail.contains("the hook on-ready ended well") { Ok(()) } else { Err(trail) }
        });
        process.wait_until("all gates to hold", |status| {
            let gates = status.0["gates"].as_array().unwrap();
            !gates.is_empty() && gates.iter().all(|gate| gate["holds"] == true)
        });
        // Figures are looked at every two seconds.
        std::thread::sleep(Duration::from_secs(5));
        process.stop();
    }
    let trail = migration.project.command(&["audit"]);
    assert_eq!(trail.matches("the hook on-ready ended well").count(), 1, "{trail}");
}

/// DNS rebinding: a page from elsewhere lets its own name point to this port.
#[test]
fn the_admin_port_answers_to_known_names_and_within_bounds() {
    let ctx = &ctx();
    let mut migration = migration(ctx);
    migration.project.set("admin.allowed_hosts", "shadowtable, metrics.example.com");
    let mut process = migration.run();
    process.wait_for_tailing();
    let address = process.admin();
    let ask = |host: &str, path: &str| {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    for host in ["127.0.0.1", "localhost:9464", "[::1]:1", "shadowtable:9464", "METRICS.example.com"] {
        assert!(ask(host, "/status").starts_with("HTTP/1.1 200 "), "{host}");
    }
    for path in ["/", "/status", "/metrics", "/healthz", "/readyz"] {
        for host in ["evil.example", "127.0.0.1.evil.example", "shadowtable.evil.example"] {
            let reply = ask(host, path);
            assert!(reply.starts_with("HTTP/1.1 421 ") && !reply.contains(&migration.id), "{host}{path}: {reply}");
        }
        let reply = ask("localhost", path).to_lowercase();
        for header in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(reply.contains(header), "{path} lacks {header}");
        }
        assert!(!reply.contains("access-control-allow"), "{path}");
    }
    let no_host = self::ask(address, "GET /status HTTP/1.0\r\n\r\n");
    assert!(no_host.starts_with("HTTP/1.0 421 "), "{no_host}");
    let elsewhere =
        self::ask(address, "GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(elsewhere.starts_with("HTTP/1.1 421 "), "{elsewhere}");
    let post = self::ask(
        address,
        "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\nConnection: close\r\n\r\n", "x".repeat(100_000));
    assert!(self::ask(address, &long).starts_with("HTTP/1.1 431 "));
    // Connections that say nothing take no answer away from others: there is room for more than these.
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(ask("localhost", "/healthz").starts_with("HTTP/1.1 200 "));
    drop(idle);
    // Prometheus 3 refuses a scrape without a content type that it knows.
    let scrape = ask("localhost", "/metrics").to_lowercase();
    assert!(scrape.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{scrape}");
    let page = ask("localhost", "/");
    assert!(page.contains("text/html") && page.contains("script-src 'sha256-"), "{page}");
    migration.finish(process);
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A server that has seen enough may close before all of it is sent.
    let _ = stream.write_all(request.as_bytes());
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

fn migration(ctx: &Ctx) -> Migration {
    let source = ctx.table("source", before(ID));
    source.create_with(&items::orders(ID, 60, ctx.seed()), StreamViewType::NewAndOldImages);
    Migration::new(ctx, &source, after(ID))
}
