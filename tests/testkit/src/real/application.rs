//! An application that writes to whichever table a pointer names, under a key of its own, and the folder of its
//! operators. The fence is a policy that refuses its writes to the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tempfile::TempDir;

use super::chaos::{Chaos, Deny};
use super::clock;
use super::context::Ctx;
use super::endpoint::Place;
use super::items::{self, n, s};
use super::layout::{Keys, Kind, Layout};
use super::migration::Migration;
use super::table::Table;

/// The keys of the table that holds the pointer.
pub const POINTER_KEYS: Keys = &[("name", Kind::S)];
/// The items that the application writes.
const ITEMS: usize = 20;
/// What it signs with.
const ACCESS_KEY: &str = "application";

pub struct Application {
    folder: TempDir,
    source: Table,
    shadow: Table,
    settings: Table,
    stopping: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<usize, u64>>>,
    writer: Option<JoinHandle<()>>,
    _policy: Chaos,
}

impl Application {
    /// Pointed at the source. Its tables have a string `id` for their key.
    pub fn new(ctx: &Ctx, source: &Table, shadow: &Table) -> Self {
        let settings = ctx.table("settings", Layout::new(POINTER_KEYS));
        settings.create();
        settings.put(&items::item([("name", s("orders")), ("table", s(source.name.as_str()))]));
        let folder = TempDir::new().unwrap();
        let policy = Chaos::before(&source.place, ctx.handle(), ctx.seed());
        policy.deny([Deny {
            access_key: ACCESS_KEY.to_owned(),
            operations: &["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"],
            table: Some(source.name.clone()),
            file: Some(folder.path().join("fenced")),
        }]);
        let own = Place { url: policy.url(), region: source.place.region, access_key: ACCESS_KEY.to_owned() };
        Self {
            source: source.reached_by(own.clone()),
            shadow: shadow.reached_by(own),
            folder,
            settings,
            stopping: Arc::default(),
            acknowledged: Arc::default(),
            writer: None,
            _policy: policy,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A script in its folder.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.folder().join(name);
        fs::write(&path, format!("cd {}\n{text}\n", self.folder().display())).unwrap();
        format!("sh {}", path.display())
    }

    /// Fenced by the policy, switched by the pointer.
    pub fn configure(&self, migration: &mut Migration) {
        let project = &mut migration.project;
        project.set("cutover.fence", "command");
        project.set("cutover.fence_command", self.script("fence.sh", "echo $CUTOVER_OCCASION >> said; touch fenced"));
        project
            .set("cutover.unfence_command", self.script("unfence.sh", "echo $CUTOVER_OCCASION >> said; rm -f fenced"));
        project.set("cutover.switch", "pointer");
        project.set("cutover.pointer_table", self.settings.name.as_str());
        project.set("cutover.pointer_key", r#"{"name": {"S": "orders"}}"#);
        project.set("cutover.pointer_attribute", "table");
        // DynamoDB Local floors records' times to the minute: with live writes the lag is up to that much.
        project.set("cutover.max_lag_seconds", 120.0);
        project.set("cutover.quiet_seconds", 0.4);
        project.set("cutover.program_timeout_seconds", 2.0);
        project.set("cutover.drain_timeout_seconds", 3.0);
    }

    pub fn is_fenced(&self) -> bool {
        self.folder().join("fenced").exists()
    }

    pub fn pointed_at(&self) -> String {
        pointer(&self.settings)
    }

    /// Writes one item after the other, each to the table that the pointer names at that moment.
    pub fn start(&mut self) {
        let (source, shadow, settings) = (self.source.clone(), self.shadow.clone(), self.settings.clone());
        let (stopping, acknowledged) = (Arc::clone(&self.stopping), Arc::clone(&self.acknowledged));
        self.writer = Some(std::thread::spawn(move || {
            let mut done = 0_u64;
            while !stopping.load(Ordering::Relaxed) {
                let table = if pointer(&settings) == shadow.name { &shadow } else { &source };
                let round = done + 1;
                let which = usize::try_from(round).unwrap() % ITEMS;
                let mut item = items::smallest(table.layout.keys, which);
                item.insert("round".into(), n(round));
                if table.put_if_allowed(&item) {
                    acknowledged.lock().unwrap().insert(which, round);
                    done = round;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }));
    }

    /// Waits until so many more writes were acknowledged.
    pub fn wait_for(&self, more: u64) {
        let written = || self.acknowledged.lock().unwrap().values().max().copied().unwrap_or(0);
        let from = written();
        clock::wait_for("the application writes", || {
            if written() >= from + more { Ok(()) } else { Err(format!("{} of {more}", written() - from)) }
        });
    }

    pub fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.writer.take().unwrap().join().unwrap();
    }

    /// The last acknowledged write of each item is in this table.
    pub fn assert_all_in(&self, table: &Table) {
        for (which, round) in self.acknowledged.lock().unwrap().iter() {
            let key = items::key(table.layout.keys, *which);
            let found = table.get(&key).unwrap_or_else(|| panic!("item {which} is missing"));
            assert_eq!(found["round"], AttributeValue::N(round.to_string()), "item {which}");
        }
    }
}

fn pointer(settings: &Table) -> String {
    let item = settings.get(&items::item([("name", s("orders"))])).unwrap();
    item["table"].as_s().unwrap().clone()
}
