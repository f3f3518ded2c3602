//! The tests' own tools: endpoints keep what they are given, writers know what they did, and the checker fails when it
//! must.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use fastrand::Rng;

use super::{ID, after, before, ctx};
use testkit::real::checker::{Entry, Expected, Finding, Snapshot, compare};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items::{self, item, n, s};
use testkit::real::layout::{Keys, Kind, Layout, Projection};
use testkit::real::migration::Migration;
use testkit::real::normal;
use testkit::real::quarantine;
use testkit::real::table::Item;
use testkit::real::writer::{Plan, Writers};

#[test]
fn every_value_comes_back_as_it_was() {
    let ctx = &ctx();
    let mut rng = Rng::with_seed(ctx.seed());
    for keys in [ID, &[("p", Kind::N), ("s", Kind::B)], &[("p", Kind::B), ("s", Kind::N)]] as [Keys; 3] {
        let table = ctx.table("values", before(keys));
        let mut items = items::orders(keys, 60, ctx.seed());
        items.extend([items::odd(keys, 100), items::smallest(keys, 101), items::large(keys, 102, 390, &mut rng)]);
        table.create_with(&items, StreamViewType::NewAndOldImages);
        let same = Snapshot {
            source: items,
            source_keys: keys,
            shadow: table.scan(),
            shadow_keys: keys,
            quarantine: Vec::new(),
        };
        assert_eq!(compare(&same, as_is), []);
    }
}

#[test]
fn two_places_share_no_table() {
    let ctx = &ctx();
    let (home, mut abroad) = (ctx.table("home", before(ID)), ctx.table_abroad("home", before(ID)));
    abroad.name.clone_from(&home.name);
    home.create_with(&items::orders(ID, 3, ctx.seed()), StreamViewType::KeysOnly);
    assert!(abroad.describe().is_none());
    abroad.create();
    assert_eq!((home.scan().len(), abroad.scan().len()), (3, 0));
    home.remove();
    assert!(abroad.describe().is_some());
}

#[test]
fn a_stream_carries_what_its_view_says() {
    let ctx = &ctx();
    for view in
        [StreamViewType::KeysOnly, StreamViewType::NewImage, StreamViewType::OldImage, StreamViewType::NewAndOldImages]
    {
        let table = ctx.table("stream", after(ID));
        table.create_with(&items::orders(ID, 1, ctx.seed()), view.clone());
        let stream = table.describe().unwrap().stream_specification.unwrap();
        assert_eq!((stream.stream_enabled, stream.stream_view_type), (true, Some(view)));
        table.disable_stream();
        let stream = table.describe().unwrap().stream_specification;
        assert!(stream.is_none_or(|stream| !stream.stream_enabled));
    }
}

#[test]
fn an_index_refuses_a_key_of_another_type() {
    let ctx = &ctx();
    let table = ctx.table("typed", Layout::new(ID).with_global("by-rank", &[("rank", Kind::N)], Projection::All));
    table.create();
    table.put(&item([("id", s("a")), ("rank", n(1))]));
    let wrong = item([("id", s("b")), ("rank", s("first"))]);
    let request = table.client.put_item().table_name(&table.name).set_item(Some(wrong));
    let error = ctx.handle().block_on(request.send()).unwrap_err();
    assert_eq!(error.as_service_error().and_then(|error| error.meta().code()), Some("ValidationException"));
}

#[test]
fn the_checker_takes_two_notations_of_one_value_for_equal() {
    let numbers = |texts: [&str; 2]| AttributeValue::Ns(texts.map(str::to_owned).into());
    let source = item([
        ("id", s("a")),
        ("number", n("-0.0150E2")),
        ("zero", n("-0.0")),
        ("set", numbers(["1", "2.50"])),
        ("map", AttributeValue::M(item([("big", n("1E+40"))]))),
    ]);
    let shadow = item([
        ("id", s("a")),
        ("number", n("-1.5")),
        ("zero", n("0")),
        ("set", numbers(["25E-1", "1.0"])),
        ("map", AttributeValue::M(item([("big", n(format!("1{}", "0".repeat(40))))]))),
    ]);
    assert_eq!(compare(&snapshot([source], [shadow]), as_is), []);
}

#[test]
fn the_checker_finds_a_missing_item() {
    let ctx = &ctx();
    let orders = items::orders(ID, 3, ctx.seed());
    let snapshot = snapshot(orders.clone(), orders[1..].to_vec());
    assert_eq!(compare(&snapshot, as_is), [Finding::Missing { shadow_key: key(&orders[0]) }]);
}

#[test]
fn the_checker_finds_an_extra_item() {
    let ctx = &ctx();
    let orders = items::orders(ID, 3, ctx.seed());
    let snapshot = snapshot(orders[..2].to_vec(), orders.clone());
    assert_eq!(compare(&snapshot, as_is), [Finding::Extra { shadow_key: key(&orders[2]) }]);
    // Nor may a dropped item stay.
    let findings = compare(&self::snapshot(orders[..1].to_vec(), orders[..1].to_vec()), |_| Expected::Nothing);
    assert_eq!(findings, [Finding::Extra { shadow_key: key(&orders[0]) }]);
}

#[test]
fn the_checker_finds_a_changed_nested_number() {
    let with = |number: &str| {
        let inner = AttributeValue::M(item([("price", n(number))]));
        item([("id", s("a")), ("lines", AttributeValue::L(vec![AttributeValue::Bool(true), inner]))])
    };
    let (source, shadow) = (
        with("12345678901234567890123456789012345678"),
        // The last of 38 digits: a float in between would not show it.
        with("12345678901234567890123456789012345679"),
    );
    let findings = compare(&snapshot([source.clone()], [shadow]), as_is);
    assert_eq!(findings, [Finding::Different { shadow_key: key(&source), attributes: vec!["lines".into()] }]);
}

#[test]
fn the_checker_finds_a_changed_type() {
    let with = |value| item([("id", s("a")), ("value", value)]);
    let pairs = [
        (n(1), s("1")),
        (s(""), AttributeValue::Null(true)),
        (AttributeValue::Bool(true), AttributeValue::Bool(false)),
        (AttributeValue::L(vec![s("1"), s("2")]), AttributeValue::L(vec![s("2"), s("1")])),
        (AttributeValue::Ss(vec!["1".into()]), AttributeValue::Ns(vec!["1".into()])),
        (items::b("x"), s("x")),
    ];
    for (was, is) in pairs {
        let findings = compare(&snapshot([with(was.clone())], [with(is)]), as_is);
        let [Finding::Different { attributes, .. }] = findings.as_slice() else { panic!("{was:?}: {findings:?}") };
        assert_eq!(attributes, &["value"]);
    }
}

#[test]
fn the_checker_wants_one_claimant_and_the_others_in_quarantine() {
    let claimants: Vec<_> = ["a", "b", "c"].map(|id| item([("id", s(id)), ("slot", s("one"))])).into();
    let quarantined = |ids: &[&str]| colliding(ids, "one");
    let mut snapshot = snapshot(claimants.clone(), [claimants[1].clone()]);
    snapshot.shadow_keys = SLOT;

    snapshot.quarantine = quarantined(&["a", "c"]);
    assert_eq!(compare(&snapshot, as_is), []);
    snapshot.quarantine = quarantined(&["a"]);
    assert_eq!(compare(&snapshot, as_is), [Finding::NotQuarantined(collision("c", "one"))]);
    snapshot.quarantine = quarantined(&["a", "b", "c"]);
    assert_eq!(compare(&snapshot, as_is), [Finding::WronglyQuarantined(collision("b", "one"))]);
    snapshot.quarantine = quarantined(&["a", "c", "c"]);
    assert_eq!(compare(&snapshot, as_is), [Finding::WronglyQuarantined(collision("c", "one"))]);

    // A mixture of two claimants is neither.
    let mut mixture = claimants[1].clone();
    mixture.insert("note".into(), s("from elsewhere"));
    snapshot.quarantine = quarantined(&["a", "c"]);
    snapshot.shadow = vec![mixture];
    assert!(matches!(compare(&snapshot, as_is)[0], Finding::Different { .. }));
}

#[test]
fn the_checker_finds_a_wrong_quarantine() {
    let alone = item([("id", s("a")), ("slot", s("one"))]);
    let mut snapshot = snapshot([alone.clone()], [alone]);
    snapshot.shadow_keys = SLOT;
    snapshot.quarantine = colliding(&["a"], "one");
    assert_eq!(compare(&snapshot, as_is), [Finding::WronglyQuarantined(collision("a", "one"))]);
    // The right item, but under a shadow key that it left long ago.
    let other = item([("id", s("b")), ("slot", s("one"))]);
    snapshot.source.push(other);
    snapshot.quarantine = colliding(&["b"], "two");
    let findings = compare(&snapshot, as_is);
    let (wrong, right) = (collision("b", "two"), collision("b", "one"));
    assert_eq!(findings, [Finding::WronglyQuarantined(wrong), Finding::NotQuarantined(right)]);
}

#[test]
fn the_checker_lets_a_quarantined_item_keep_its_earlier_image() {
    let (now, earlier) = (item([("id", s("a")), ("rank", s("high"))]), item([("id", s("a")), ("rank", n(1))]));
    let refuse = |_: &Item| Expected::Quarantined("refused");
    let mut snapshot = snapshot([now], [earlier]);
    let missing =
        Entry { reason: "refused".into(), source_key: normal::image(&item([("id", s("a"))])), shadow_key: None };
    assert_eq!(compare(&snapshot, refuse), [Finding::NotQuarantined(missing)]);
    snapshot.quarantine = quarantine::parse(
        r#"[{"id":"1","source_key":{"id":{"S":"a"}},"shadow_key":{"id":{"S":"a"}},"reason":"refused","message":"m","since":"s"}]"#,
    );
    assert_eq!(compare(&snapshot, refuse), []);
}

#[test]
fn the_writers_know_what_the_source_holds() {
    let ctx = &ctx();
    let table = ctx.table("written", before(ID));
    table.create_with(&items::orders(ID, 60, ctx.seed()), StreamViewType::NewAndOldImages);
    let plan = Plan { keys: 60, writes_per_second: 200.0, ..Plan::default() };
    let writers = Writers::start(&table, &plan, ctx.seed(), ctx.handle());
    writers.wait_for(150);
    let tally = writers.stop();
    assert!(tally.acknowledged >= 150);
    assert_eq!(tally.disagreements(), [""; 0]);
    for number in 0..plan.keys {
        table.delete(&items::key(ID, number));
    }
    table.put(&items::smallest(ID, 0));
    assert!(!tally.disagreements().is_empty(), "writes behind the writers' back must show");
}

#[test]
fn a_process_is_followed_from_its_log_to_its_end() {
    let ctx = &ctx();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut migration = stand_in(ctx, &listener);
    let mut process = migration.run();
    let server = std::thread::spawn(move || {
        serve(&listener, &[("planned", 0.0, None), ("copying", 0.0, None), ("tailing", 0.0, None)]);
    });
    let status = process.wait_until("tailing", |status| status.phase() == "tailing");
    assert!(status.holds_lease());
    server.join().unwrap();
    process.stop();

    let killed = migration.run();
    killed.sigkill();
    let killed = migration.run();
    drop(killed);
    let finished = migration.project.finish(&["list"]);
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(2), "list\n", ""));
    migration.project.set_program(Path::new("false"));
    assert_eq!(migration.refused(&[]).stderr, "");
}

#[test]
fn a_drain_is_not_believed_before_its_time() {
    let ctx = &ctx();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let migration = stand_in(ctx, &listener);
    let mut process = migration.run();
    // Still copying, not quiet yet, quiet but never polled, quiet but polled long ago, and then the one that will do.
    let answers = [
        ("copying", 3.0, Some(0.0)),
        ("tailing", 0.0, Some(0.0)),
        ("tailing", 5.0, None),
        ("tailing", 5.0, Some(60.0)),
        ("tailing", 0.2, Some(0.0)),
    ];
    let server = std::thread::spawn(move || serve(&listener, &answers));
    let (begun, patience) = (clock::now(), Duration::from_millis(500));
    let status = process.drain(patience);
    assert!((status.number("/legs/0/quiet_seconds") - 0.2).abs() < 1e-9, "the last of them");
    assert!(begun.elapsed() > patience + Duration::from_secs(1), "and nothing was asked for earlier");
    server.join().unwrap();
}

/// A migration whose program only says that `listener` is its admin port.
fn stand_in(ctx: &Ctx, listener: &TcpListener) -> Migration {
    let source = ctx.table("source", before(ID));
    let mut migration = Migration::new(ctx, &source, after(ID));
    migration.project.set("admin.listen", listener.local_addr().unwrap().to_string());
    migration.project.set_program(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testkit/stand-in")));
    migration
}

/// Answers one request with each status: the phase, how long it has been quiet, and when it was last polled.
fn serve(listener: &TcpListener, statuses: &[(&str, f64, Option<f64>)]) {
    for (phase, quiet, polled) in statuses {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /status HTTP/1.1\r\n"));
        let lease = serde_json::json!({ "held": true });
        let body = serde_json::json!({
            "phase": phase, "legs": [{ "quiet_seconds": quiet, "since_poll_seconds": polled }], "lease": lease,
        });
        let body = body.to_string();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}

const SLOT: Keys = &[("slot", Kind::S)];

fn as_is(item: &Item) -> Expected {
    Expected::Item(item.clone())
}

fn snapshot(source: impl Into<Vec<Item>>, shadow: impl Into<Vec<Item>>) -> Snapshot {
    Snapshot { source: source.into(), source_keys: ID, shadow: shadow.into(), shadow_keys: ID, quarantine: Vec::new() }
}

fn key(item: &Item) -> normal::Image {
    normal::key(&normal::image(item), ID)
}

fn collision(id: &str, slot: &str) -> Entry {
    Entry {
        reason: "collision".into(),
        source_key: normal::image(&item([("id", s(id))])),
        shadow_key: Some(normal::image(&item([("slot", s(slot))]))),
    }
}

/// As the binary lists them.
fn colliding(ids: &[&str], slot: &str) -> Vec<quarantine::Quarantined> {
    let entry = |id: &&str| {
        serde_json::json!({
            "id": format!("q-{id}"), "reason": "collision", "message": "taken", "since": "2026-01-01T00:00:00Z",
            "source_key": { "id": { "S": id } }, "shadow_key": { "slot": { "S": slot } },
        })
    };
    quarantine::parse(&ids.iter().map(entry).collect::<serde_json::Value>().to_string())
}
