//! The ports on the SDK, against the embedded endpoint over HTTP.
#![cfg(feature = "embedded")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::json;
use shadowtable::aws::{
    AwsAccess, AwsChangeFeed, AwsState, AwsStateStore, AwsTable, AwsTableAdmin, AwsTableReader, AwsTableWriter,
    Connection, IdentityCheck, ServiceSkew, SystemClock, Timeouts, check_identity,
};
use shadowtable::model::{
    AttributeValue, Billing, Blob, ChangeKind, Image, IndexLayout, IndexStatus, Item, Key, KeySchema, KeyType,
    Projection, Side, Sides, TableLayout, TableStatus, Throughput, ViewType,
};
use shadowtable::ports::{
    ChangeFeed, CreateOptions, Entry, Fault, Guard, Ports, ScanRequest, ShardIterator, StartAt, StateKey, StateStore,
    TableAdmin, TableReader, TableWriter, Write,
};
use tokio::task::JoinSet;

/// An embedded DynamoDB on loopback; it ends when dropped.
struct Endpoint {
    connection: Connection,
    _server: JoinSet<()>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID", "secret", None, None, "test",
            )))
            .build();
        let timeouts = Timeouts {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
        };
        Self { connection: Connection::from_config(&config, &timeouts, Arc::default()), _server: server }
    }

    /// An active table of this layout.
    async fn table(&self, name: &str, layout: &TableLayout) -> AwsTableAdmin {
        let admin = AwsTableAdmin::new(&self.connection, name);
        admin.create(layout, &CreateOptions::default()).await.unwrap();
        while admin.describe().await.unwrap().unwrap().status != TableStatus::Active {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        admin
    }

    /// A table of orders, and the ways to reach it.
    async fn orders(&self, layout: &TableLayout) -> (AwsTableAdmin, AwsTableReader, AwsTableWriter) {
        let admin = self.table("orders-of-test", layout).await;
        let schema = layout.key_schema();
        (
            admin,
            AwsTableReader::new(&self.connection, "orders-of-test", schema.clone()),
            AwsTableWriter::new(&self.connection, "orders-of-test", schema),
        )
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn item(values: &[(&str, AttributeValue)]) -> Item {
    Item::new(values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// Key `pk` (S), `sk` (N).
fn plain() -> TableLayout {
    TableLayout {
        partition_key: ("pk".into(), KeyType::S),
        sort_key: Some(("sk".into(), KeyType::N)),
        global_indexes: BTreeMap::new(),
        local_indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
    }
}

/// A layout that uses everything: provisioned, a global index, a local one.
fn rich() -> TableLayout {
    let units = Throughput { read_units: 5, write_units: 7 };
    let global = IndexLayout {
        partition_keys: vec![("customer".into(), KeyType::S)],
        sort_keys: vec![("at".into(), KeyType::N)],
        projection: Projection::Include(vec!["total".into()]),
        throughput: Some(units),
    };
    let local = IndexLayout {
        partition_keys: vec![("pk".into(), KeyType::S)],
        sort_keys: vec![("at".into(), KeyType::N)],
        projection: Projection::KeysOnly,
        throughput: None,
    };
    TableLayout {
        global_indexes: [("by-customer".to_owned(), global)].into(),
        local_indexes: [("by-time".to_owned(), local)].into(),
        billing: Billing::Provisioned(units),
        ..plain()
    }
}

fn order(pk: &str, sk: i64) -> Item {
    item(&[("pk", text(pk)), ("sk", number(sk)), ("total", number(sk * 10))])
}

fn put(schema: &KeySchema, image: Item) -> Arc<Write> {
    Arc::new(Write { key: image.key(schema).unwrap(), image: Some(image), owner: None })
}

fn deletion(key: Key) -> Arc<Write> {
    Arc::new(Write { key, image: None, owner: None })
}

#[tokio::test]
async fn a_created_table_describes_as_it_was_asked_for() {
    let endpoint = Endpoint::start().await;
    let admin = endpoint.table("rich-table-of-test", &rich()).await;
    let described = admin.describe().await.unwrap().unwrap();
    assert_eq!(described.layout, rich());
    assert_eq!(described.index_status, [("by-customer".to_owned(), IndexStatus::Active)].into());
    assert_eq!((described.stream, described.item_count), (None, 0));
    assert!(!described.table_id.is_empty() && described.arn.ends_with("rich-table-of-test"));
    assert_eq!(admin.create(&rich(), &CreateOptions::default()).await.unwrap_err().fault, Fault::Busy);

    admin.delete().await.unwrap();
    assert_eq!(admin.describe().await, Ok(None));
    assert_eq!(admin.delete().await.unwrap_err().fault, Fault::Missing);
}

#[tokio::test]
async fn a_protected_table_is_not_deleted() {
    let endpoint = Endpoint::start().await;
    let admin = AwsTableAdmin::new(&endpoint.connection, "protected-table");
    let options = CreateOptions { deletion_protection: true, ..CreateOptions::default() };
    admin.create(&plain(), &options).await.unwrap();
    assert_eq!(admin.delete().await.unwrap_err().fault, Fault::Rejected);
}

#[tokio::test]
async fn what_the_endpoint_does_not_offer_is_reported() {
    let endpoint = Endpoint::start().await;
    let admin = endpoint.table("configured-table", &plain()).await;
    let options =
        CreateOptions { ttl_attribute: Some("until".into()), point_in_time_recovery: true, deletion_protection: false };
    assert_eq!(admin.configure(&options).await, Ok(vec!["point-in-time recovery"]));
    let again = CreateOptions { point_in_time_recovery: false, ..options };
    assert_eq!(admin.configure(&again).await, Ok(vec![]));
}

#[tokio::test]
async fn segments_and_pages_together_show_every_item_once() {
    let endpoint = Endpoint::start().await;
    let (_, reader, writer) = endpoint.orders(&plain()).await;
    let schema = plain().key_schema();
    let wanted: BTreeSet<_> = (0..60).map(|index| (format!("p{}", index % 17), index)).collect();
    for chunk in wanted.iter().collect::<Vec<_>>().chunks(25) {
        let batch: Vec<_> = chunk.iter().map(|(pk, sk)| put(&schema, order(pk, *sk))).collect();
        let reply = writer.write_batch(&batch).await.unwrap();
        assert_eq!(reply.unprocessed, []);
        assert!(reply.write_units.unwrap() >= 1.0);
    }
    let mut seen = Vec::new();
    for segment in 0..4 {
        let mut request = ScanRequest { segment, segments: 4, start: None, limit: Some(7) };
        loop {
            let page = reader.scan(&request).await.unwrap();
            assert!(page.items.len() <= 7 && page.read_units.is_some());
            seen.extend(page.items);
            request.start = page.next;
            if request.start.is_none() {
                break;
            }
        }
    }
    assert_eq!(seen.len(), wanted.len());
    for (pk, sk) in wanted {
        assert!(seen.iter().any(|item| item.same_as(&order(&pk, sk))));
    }
}

#[tokio::test]
async fn a_batch_puts_and_deletes() {
    let endpoint = Endpoint::start().await;
    let (_, reader, writer) = endpoint.orders(&plain()).await;
    let schema = plain().key_schema();
    let full = item(&[
        ("pk", text("a")),
        ("sk", number(1)),
        ("empty", text("")),
        ("set", AttributeValue::Bs(vec![Blob::new(b"x"), Blob::new(b"y")])),
        ("deep", AttributeValue::M(HashMap::from([("l".to_owned(), AttributeValue::L(vec![number(1)]))]))),
    ]);
    writer.write_batch(&[put(&schema, full.clone()), put(&schema, order("b", 2))]).await.unwrap();
    let (first, second) = (full.key(&schema).unwrap(), order("b", 2).key(&schema).unwrap());
    assert!(reader.get(&first).await.unwrap().unwrap().same_as(&full));

    writer.write_batch(&[deletion(second.clone()), deletion(order("c", 3).key(&schema).unwrap())]).await.unwrap();
    assert_eq!(reader.get(&second).await, Ok(None));
    assert!(reader.get(&first).await.unwrap().is_some());
    assert_eq!(writer.write_batch(&[]).await.unwrap().unprocessed, []);
}

#[tokio::test]
async fn an_owned_write_takes_what_is_free_or_mine_and_nothing_else() {
    let endpoint = Endpoint::start().await;
    let (_, reader, writer) = endpoint.orders(&plain()).await;
    let schema = plain().key_schema();
    let write = |owner: &str, image: Option<i64>| {
        let named = |total| {
            let mut image = order("shared", 1);
            image.set("total", number(total));
            image.set("id", text(owner));
            image.set("name", text("reserved"));
            image
        };
        let owner = HashMap::from([("id".to_owned(), text(owner)), ("name".to_owned(), text("reserved"))]);
        Write { key: order("shared", 1).key(&schema).unwrap(), image: image.map(named), owner: Some(Arc::new(owner)) }
    };
    let done = async |write: &Write| writer.write_owned(write).await.unwrap().done;

    assert!(done(&write("mine", None)).await, "deleting what is absent");
    assert!(done(&write("mine", Some(1))).await, "a free key");
    assert!(done(&write("mine", Some(2))).await, "my own");
    assert!(!done(&write("theirs", Some(3))).await, "another's");
    assert!(!done(&write("theirs", None)).await, "another's");
    let held = reader.get(&write("mine", None).key).await.unwrap().unwrap();
    assert_eq!((held.get("id"), held.get("total")), (Some(&text("mine")), Some(&number(2))));
    assert!(done(&write("mine", None)).await, "my own");
    assert!(done(&write("theirs", Some(4))).await, "free again");

    let ownerless = Write { owner: None, ..write("mine", None) };
    assert_eq!(writer.write_owned(&ownerless).await.unwrap_err().fault, Fault::Unknown);
}

#[tokio::test]
async fn a_wrong_typed_index_key_is_rejected_with_the_whole_batch() {
    let endpoint = Endpoint::start().await;
    let (_, reader, writer) = endpoint.orders(&rich()).await;
    let schema = rich().key_schema();
    let mut odd = order("a", 1);
    odd.set("customer", number(5));
    let error = writer.write_batch(&[put(&schema, odd), put(&schema, order("b", 2))]).await.unwrap_err();
    assert_eq!((error.fault, error.operation), (Fault::Rejected, "BatchWriteItem"), "{error}");
    assert_eq!(reader.get(&order("b", 2).key(&schema).unwrap()).await, Ok(None));
}

#[tokio::test]
async fn a_missing_table_is_missing() {
    let endpoint = Endpoint::start().await;
    let schema = plain().key_schema();
    let reader = AwsTableReader::new(&endpoint.connection, "no-such-table", schema.clone());
    let writer = AwsTableWriter::new(&endpoint.connection, "no-such-table", schema.clone());
    let feed = AwsChangeFeed::new(&endpoint.connection, "no-such-table", schema.clone());
    let scan = ScanRequest { segment: 0, segments: 1, start: None, limit: None };
    let stream = "arn:aws:dynamodb:eu-west-1:000000000000:table/no-such-table/stream/2026-01-01T00:00:00.000";
    assert_eq!(reader.scan(&scan).await.unwrap_err().fault, Fault::Missing);
    assert_eq!(writer.write_batch(&[put(&schema, order("a", 1))]).await.unwrap_err().fault, Fault::Missing);
    assert_eq!(feed.shards(stream, None).await.unwrap_err().fault, Fault::Missing);
    assert_eq!(AwsTableAdmin::new(&endpoint.connection, "no-such-table").describe().await, Ok(None));
}

/// All records from `iterator` on, until a page is empty.
async fn drain(feed: &AwsChangeFeed, mut iterator: ShardIterator) -> Vec<shadowtable::model::Change> {
    let mut changes = Vec::new();
    loop {
        let page = feed.records(&iterator, 1_000).await.unwrap();
        let empty = page.changes.is_empty();
        changes.extend(page.changes);
        match page.next {
            Some(next) if !empty => iterator = next,
            _ => return changes,
        }
    }
}

#[tokio::test]
async fn a_stream_tells_changes_in_order_with_both_images() {
    let endpoint = Endpoint::start().await;
    let (admin, _, writer) = endpoint.orders(&plain()).await;
    admin.enable_stream(ViewType::NewAndOldImages).await.unwrap();
    let stream = admin.describe().await.unwrap().unwrap().stream.unwrap();
    assert_eq!(stream.view, ViewType::NewAndOldImages);

    let schema = plain().key_schema();
    let mut second = order("a", 1);
    second.set("total", number(99));
    let key = second.key(&schema).unwrap();
    for write in [put(&schema, order("a", 1)), put(&schema, second.clone()), deletion(key.clone())] {
        writer.write_batch(&[write]).await.unwrap();
    }
    let feed = AwsChangeFeed::new(&endpoint.connection, "orders-of-test", schema);
    let shards = feed.shards(&stream.arn, None).await.unwrap().shards;
    assert_eq!(shards.len(), 1);
    let beginning = feed.iterator(&stream.arn, &shards[0].id, &StartAt::Beginning).await.unwrap();
    let changes = drain(&feed, beginning).await;
    let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Insert, ChangeKind::Modify, ChangeKind::Remove]);
    assert!(changes.iter().all(|change| change.key == key));
    assert!(changes.windows(2).all(|pair| pair[0].position < pair[1].position && pair[0].created <= pair[1].created));
    assert_eq!(changes[0].old, None);
    assert!(matches!(&changes[1].new, Image::Item(new) if new.same_as(&second)));
    assert!(changes[1].old.as_ref().unwrap().same_as(&order("a", 1)));
    assert_eq!(changes[2].new, Image::Deleted);
    assert!(changes[2].old.as_ref().unwrap().same_as(&second));

    let after = StartAt::After(changes[0].position.clone());
    let later = feed.iterator(&stream.arn, &shards[0].id, &after).await.unwrap();
    assert_eq!(drain(&feed, later).await, changes[1..]);
    let latest = feed.iterator(&stream.arn, &shards[0].id, &StartAt::Latest).await.unwrap();
    assert_eq!(drain(&feed, latest).await, []);
}

#[tokio::test]
async fn a_keys_only_stream_leaves_the_image_to_be_read_back() {
    let endpoint = Endpoint::start().await;
    let (admin, _, writer) = endpoint.orders(&plain()).await;
    admin.enable_stream(ViewType::KeysOnly).await.unwrap();
    let stream = admin.describe().await.unwrap().unwrap().stream.unwrap();
    let schema = plain().key_schema();
    writer.write_batch(&[put(&schema, order("a", 1))]).await.unwrap();
    writer.write_batch(&[deletion(order("a", 1).key(&schema).unwrap())]).await.unwrap();
    let feed = AwsChangeFeed::new(&endpoint.connection, "orders-of-test", schema);
    let shard = feed.shards(&stream.arn, None).await.unwrap().shards.remove(0);
    let changes = drain(&feed, feed.iterator(&stream.arn, &shard.id, &StartAt::Beginning).await.unwrap()).await;
    let images: Vec<_> = changes.into_iter().map(|change| change.new).collect();
    assert_eq!(images, [Image::NotInStream, Image::Deleted]);
}

/// The state table's layout.
fn state_layout() -> TableLayout {
    TableLayout { sort_key: Some(("sk".into(), KeyType::S)), ..plain() }
}

fn entry(sort: &str, version: u64, epoch: u64) -> Entry {
    let key = StateKey { partition: "MIGRATION#m".into(), sort: sort.into() };
    Entry { key, version, epoch, expires: None, body: json!({"version_written": version, "list": [null, true, "x"]}) }
}

#[tokio::test]
async fn state_guards_hold_and_fail_as_they_say() {
    let endpoint = Endpoint::start().await;
    endpoint.table("state-of-test", &state_layout()).await;
    let state = AwsStateStore::new(&endpoint.connection, "state-of-test");
    let put = async |version, epoch, guard| state.put(&entry("META", version, epoch), guard).await.map_err(|e| e.fault);
    let held = async || state.get(&entry("META", 0, 0).key).await.unwrap().map(|entry| (entry.version, entry.epoch));
    let unchanged = |version, epoch| Guard::Unchanged { version, epoch };

    assert_eq!(put(2, 5, unchanged(1, 5)).await, Err(Fault::Conflict), "nothing there");
    assert_eq!(put(1, 5, Guard::Absent).await, Ok(()));
    assert_eq!(put(1, 5, Guard::Absent).await, Err(Fault::Conflict));
    assert_eq!(put(2, 5, unchanged(9, 5)).await, Err(Fault::Conflict), "another version");
    assert_eq!(put(2, 4, unchanged(1, 4)).await, Err(Fault::Conflict), "a later epoch wrote it");
    assert_eq!(put(2, 5, unchanged(1, 5)).await, Ok(()));
    assert_eq!(put(3, 4, Guard::Epoch(4)).await, Err(Fault::Conflict), "a later epoch wrote it");
    assert_eq!(put(3, 6, Guard::Epoch(6)).await, Ok(()));
    assert_eq!(held().await, Some((3, 6)));

    let key = entry("META", 0, 0).key;
    let delete = async |guard| state.delete(&key, guard).await.map_err(|error| error.fault);
    assert_eq!(delete(Guard::Absent).await, Err(Fault::Conflict));
    assert_eq!(delete(unchanged(2, 6)).await, Err(Fault::Conflict));
    assert_eq!(delete(Guard::Epoch(5)).await, Err(Fault::Conflict));
    assert_eq!(delete(unchanged(3, 6)).await, Ok(()));
    assert_eq!(held().await, None);
    for guard in [unchanged(3, 6), Guard::Epoch(1), Guard::Absent] {
        assert_eq!(delete(guard).await, Ok(()), "nothing there");
    }
    assert_eq!(put(1, 1, Guard::Epoch(1)).await, Ok(()), "nothing there");
}

#[tokio::test]
async fn state_is_listed_by_prefix_in_order() {
    let endpoint = Endpoint::start().await;
    endpoint.table("state-of-test", &state_layout()).await;
    let state = AwsStateStore::new(&endpoint.connection, "state-of-test");
    let mut other = entry("SEGMENT#1", 1, 1);
    other.key.partition = "MIGRATION#other".into();
    state.put(&other, Guard::Absent).await.unwrap();
    let mut expiring = entry("EVENT#1", 1, 0);
    expiring.expires = Some(1_900_000_000);
    state.put(&expiring, Guard::Absent).await.unwrap();
    // More than a page of 1 MB.
    let mut segments: Vec<_> = (0..6).map(|index| entry(&format!("SEGMENT#{index}"), 1, 1)).collect();
    for segment in &mut segments {
        segment.body = json!({"padding": "x".repeat(300_000)});
        state.put(segment, Guard::Absent).await.unwrap();
    }
    assert_eq!(state.list("MIGRATION#m", "SEGMENT#").await.unwrap(), segments);
    assert_eq!(state.list("MIGRATION#m", "NOTHING").await.unwrap(), []);
    let all = state.list("MIGRATION#m", "").await.unwrap();
    assert_eq!((all.len(), &all[0]), (7, &expiring));
}

#[tokio::test]
async fn an_endpoint_without_sts_is_a_warning() {
    let endpoint = Endpoint::start().await;
    let outcome = check_identity(&endpoint.connection).await;
    assert!(matches!(outcome, IdentityCheck::Unreachable(_)), "{outcome:?}");
}

#[tokio::test]
async fn access_becomes_ports_once_the_keys_are_known() {
    let endpoint = Endpoint::start().await;
    let table = |side: &str| AwsTable::new(endpoint.connection.clone(), &format!("{side}-of-test"));
    let clock = SystemClock::new(Arc::<ServiceSkew>::default(), 1);
    let tables = Sides::of(|side| table(side.as_str()));
    let access = AwsAccess::new(tables, AwsState::new(table("state"), clock));
    for side in Side::BOTH {
        endpoint.table(access.tables[side].admin().name(), &plain()).await;
    }
    let schema = access.tables.source.admin().describe().await.unwrap().unwrap().layout.key_schema();
    let ports = access.into_ports(Sides::of(|_| schema.clone()));
    for (written, other) in [(Side::Shadow, Side::Source), (Side::Source, Side::Shadow)] {
        let item = order(written.as_str(), 1);
        ports.writer(written).write_batch(&[put(&schema, item.clone())]).await.unwrap();
        let key = item.key(&schema).unwrap();
        assert!(ports.reader(written).get(&key).await.unwrap().is_some());
        assert_eq!(ports.reader(other).get(&key).await, Ok(None));
    }
}
