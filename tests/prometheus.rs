//! A real Prometheus scrapes the real program during a real migration: no panel, no recording rule and no selector of an
//! alert may be empty: `cargo test --test prometheus`. Needs the program `prometheus`, version 2.42
//! or later.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use serde_json::Value;

use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::layout::{Keys, Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::watched::Watched;
use testkit::real::writer::Plan;

const ID: Keys = &[("id", Kind::S)];
const BY_STATUS: Keys = &[("status", Kind::S), ("updated_at", Kind::N)];

/// How long it is scraped before anything is asked: rates need several scrapes, and `[1m]` its window.
const SCRAPED: Duration = Duration::from_secs(45);
/// Units of the dashboard by what a metric's name ends in.
const UNITS: [(&str, &[&str]); 3] =
    [("_seconds", &["s", "dtdurations"]), ("_bytes", &["bytes"]), ("_ratio", &["percentunit"])];

struct Prometheus {
    _server: Watched,
    address: SocketAddr,
}

impl Prometheus {
    /// One that scrapes `target` every second and evaluates the project's rules as often.
    fn start(target: SocketAddr, folder: &Path) -> Self {
        let rules = root().join("deploy/prometheus/rules.yml");
        // The address as the project's own file has it, and faster.
        let config = fs::read_to_string(root().join("deploy/prometheus/prometheus.yml")).unwrap();
        let config = config
            .replace("127.0.0.1:9464", &target.to_string())
            .replace("interval: 10s", "interval: 1s")
            .replace("- rules.yml", &format!("- {}", rules.display()));
        assert!(config.contains(&target.to_string()) && config.matches("interval: 1s").count() == 2, "{config}");
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let server = Watched::start("prometheus", arguments);
        clock::wait_for("Prometheus", || get(address, "/-/ready").map(drop));
        Self { _server: server, address }
    }

    /// The samples that an expression has now.
    fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let reply = get(self.address, &format!("/api/v1/query?query={}", encoded(expression)))
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        let result = reply["data"]["result"].as_array().unwrap_or_else(|| panic!("{expression}: {reply}"));
        let number = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        result.iter().map(|sample| (sample["metric"].clone(), number(sample))).collect()
    }
}

/// HTTP/1.0, so that the answer comes in one piece.
fn get(address: SocketAddr, path: &str) -> Result<Value, String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let text = ask().map_err(|error| error.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| text.clone())?;
    if !head.starts_with("HTTP/1.0 200") {
        return Err(text);
    }
    Ok(serde_json::from_str(body).unwrap_or_default())
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(root().join("deploy/grafana/shadowtable.json")).unwrap()).unwrap()
}

/// All panels, those within rows too.
fn panels(value: &Value) -> Vec<&Value> {
    let list = value["panels"].as_array().into_iter().flatten();
    list.flat_map(|panel| std::iter::once(panel).chain(panels(panel))).collect()
}

/// The selectors of an expression: names that this program or these rules make, with their matchers.
fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut rest = expression;
    while let Some(start) = rest.find(is_name) {
        let name: String = rest[start..].chars().take_while(|letter| is_name(*letter)).collect();
        rest = &rest[start + name.len()..];
        if !name.starts_with("shadowtable_") && !name.starts_with("migration:") && name != "up" {
            continue;
        }
        let matchers = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(inner, _)| inner);
        found.insert(matchers.map_or(name.clone(), |inner| format!("{name}{{{inner}}}")));
        rest = matchers.map_or(rest, |inner| &rest[inner.len() + 2..]);
    }
    found
}

#[test]
fn selectors_are_found() {
    let text =
        r#"max by (migration) (shadowtable_phase{phase=~"a|b"}) == 1 and up{job="x"} or rate(migration:y:max[5m])"#;
    let expected = ["migration:y:max", r#"shadowtable_phase{phase=~"a|b"}"#, r#"up{job="x"}"#];
    assert_eq!(selectors(text).iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn every_panel_rule_and_alert_finds_its_figures_in_a_real_migration() {
    let ctx = &Ctx::new(env!("CARGO_BIN_EXE_shadowtable"));
    let before = Layout::new(ID).with_global("by-status", BY_STATUS, Projection::KeysOnly);
    let after = Layout::new(ID).with_global("by-status", BY_STATUS, Projection::Include(&["customer"]));
    let source = ctx.table("source", before);
    source.create_with(&items::orders(ID, 3_000, ctx.seed()), StreamViewType::NewAndOldImages);
    let migration = Migration::new(ctx, &source, after).slow_copy(60.0);
    let mut process = migration.run();
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(process.admin(), folder.path());
    let writers = migration.writers(ctx, &Plan { writes_per_second: 20.0, ..Plan::default() });
    std::thread::sleep(SCRAPED);
    let problems = [panels_of(&prometheus, &migration.id), rules_of(&prometheus)].concat();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let only = |expression: &str| match prometheus.query(expression).as_slice() {
        [(_, value)] => *value,
        other => panic!("{expression}: {other:?}"),
    };
    let lag = only("migration:shadowtable_lag_seconds:max");
    assert!((0.0..60.0).contains(&lag), "lag is {lag}");
    let headroom = only("migration:shadowtable_headroom_seconds:min");
    assert!((86_000.0..86_401.0).contains(&headroom), "headroom is {headroom}");
    assert!(only("migration:shadowtable_changes:rate1m") > 1.0);
    writers.stop();
    process.stop();
}

/// What is wrong with panels and annotations.
fn panels_of(prometheus: &Prometheus, migration: &str) -> Vec<String> {
    let (dashboard, mut problems, mut asked) = (dashboard(), Vec::new(), 0);
    let values = [("$__rate_interval", "20s"), ("$__interval", "5s"), ("$__range", "1m"), ("$migration", migration)];
    let filled =
        |expression: &str| values.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap_or_default();
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            asked += 1;
            if prometheus.query(&filled(expression)).is_empty() {
                problems.push(format!("panel {title:?} is empty: {expression}"));
            }
            let plain =
                expression.starts_with("migration:") || expression.starts_with("max by (migration) (shadowtable_");
            let named = selectors(expression);
            let name = named.iter().next().map(|name| name.split('{').next().unwrap_or_default());
            let base = name.map(|name| name.split(':').find(|part| part.starts_with("shadowtable_")).unwrap_or(name));
            if let (true, 1, Some(base)) = (plain, named.len(), base) {
                for (end, units) in UNITS {
                    if base.ends_with(end) && !units.contains(&unit) {
                        problems.push(format!("panel {title:?} shows {base} in {unit:?}"));
                    }
                }
            }
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        let Some(expression) = annotation["expr"].as_str() else { continue };
        // Alerts are at rest, so nothing marks them; that the query is understood is what can be seen.
        let found = prometheus.query(&filled(expression));
        if found.is_empty() && !expression.starts_with("ALERTS") {
            problems.push(format!("annotation {} is empty", annotation["name"]));
        }
        asked += 1;
    }
    assert!(asked > 30, "only {asked} expressions were asked");
    problems
}

/// What is wrong with the rules: one that fails, a record without a sample, an alert whose selectors find nothing.
fn rules_of(prometheus: &Prometheus) -> Vec<String> {
    let reply = get(prometheus.address, "/api/v1/rules").unwrap();
    let (mut problems, mut records, mut alerts) = (Vec::new(), 0, 0);
    let groups = reply["data"]["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        if rule["health"] != "ok" {
            problems.push(format!("{name}: {}", rule["lastError"]));
        }
        if rule["type"] == "recording" {
            records += 1;
            if prometheus.query(name).is_empty() {
                problems.push(format!("nothing is recorded as {name}: {query}"));
            }
            continue;
        }
        alerts += 1;
        if rule["state"] != "inactive" {
            problems.push(format!("{name} is {} in a migration that goes well", rule["state"]));
        }
        let selectors = selectors(query);
        if selectors.is_empty() {
            problems.push(format!("{name} looks at nothing: {query}"));
        }
        let empty = selectors.into_iter().filter(|selector| prometheus.query(selector).is_empty());
        problems.extend(empty.map(|selector| format!("{name} looks at nothing: {selector}")));
    }
    assert!(records > 5 && alerts > 10, "{records} records, {alerts} alerts");
    problems
}
