//! The live table: what the application writes, and how it is read.

use std::collections::HashMap;
use std::sync::Arc;

use shadowtable::model::{AttributeValue, Item, Key, Side};
use shadowtable::ports::{PortError, ScanPage, ScanRequest, TableReader};

use super::stream::hash;
use super::{Call, Page, Process, State, Waiting, World, Written, request, source_schema, version_of};

/// Items per page when the request says nothing.
const PAGE_ITEMS: usize = 10;

/// Reads a table.
pub struct FakeReader {
    pub(super) process: Arc<Process>,
    pub(super) side: Side,
}

impl World {
    /// The application writes an item: its key attribute `id`, these attributes, and its version in `v`. Returns the
    /// version.
    pub fn put(&self, id: &str, attributes: &[(&str, &str)]) -> usize {
        let now = self.service();
        let mut state = self.state();
        let version = state.history.len();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut item: HashMap<_, _> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        item.insert("id".into(), text(id));
        item.insert("v".into(), AttributeValue::N(version.to_string()));
        let item = Item::new(item);
        let key = item.key(&source_schema(&state)).unwrap();
        let old = state.source.insert(key.clone(), item.clone());
        state.history.push(Written { key: key.clone(), image: Some(item.clone()), at: now, expired: false });
        let at = now.plus(state.stream.delay);
        state.waiting.push(Waiting { version, at, key: key.clone() });
        state.stream.append(version, key, (Some(item), old), false, now);
        version
    }

    /// The application deletes an item. One that is not there makes no record.
    pub fn delete(&self, id: &str) {
        self.remove(id, false);
    }

    /// An item expires.
    pub fn expire(&self, id: &str) {
        self.remove(id, true);
    }

    fn remove(&self, id: &str, expired: bool) {
        let now = self.service();
        let mut state = self.state();
        let key = key_of(&state, id);
        let Some(old) = state.source.remove(&key) else { return };
        let version = state.history.len();
        state.history.push(Written { key: key.clone(), image: None, at: now, expired });
        let at = now.plus(state.stream.delay);
        state.waiting.push(Waiting { version, at, key: key.clone() });
        state.stream.append(version, key, (None, Some(old)), expired, now);
    }
}

/// The key of the item with this id.
pub fn key_of(state: &State, id: &str) -> Key {
    source_schema(state).key_of(&[("id".to_owned(), AttributeValue::S(id.to_owned()))].into()).unwrap()
}

impl TableReader for FakeReader {
    async fn scan(&self, asked: &ScanRequest) -> Result<ScanPage, PortError> {
        let wanted = asked.clone();
        assert_eq!(self.side, Side::Source, "nobody scans the shadow yet");
        let process = self.process.id();
        request(&self.process, &Call::Scan, move |state, _, _| Ok(scan(state, process, &wanted))).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, PortError> {
        let (wanted, side) = (key.clone(), self.side);
        request(&self.process, &Call::Get, move |state, _, _| {
            let table = match side {
                Side::Source => &state.source,
                Side::Shadow => &state.shadow,
            };
            Ok(table.get(&wanted).cloned())
        })
        .await
    }
}

fn scan(state: &mut State, process: u32, wanted: &ScanRequest) -> ScanPage {
    let limit = wanted.limit.map_or(PAGE_ITEMS, |limit| usize::try_from(limit).unwrap());
    let mut left = state
        .source
        .iter()
        .filter(|(key, _)| hash(key) % u64::from(wanted.segments) == u64::from(wanted.segment))
        .filter(|(key, _)| wanted.start.as_ref().is_none_or(|start| *key > start));
    let page: Vec<_> = left.by_ref().take(limit).collect();
    // As in the service, a full page names its last key even when nothing follows.
    let next = (page.len() == limit).then(|| page.last().map(|(key, _)| (*key).clone())).flatten();
    let versions = page.iter().map(|(key, item)| ((*key).clone(), version_of(item))).collect();
    let items = page.iter().map(|(_, item)| (*item).clone()).collect();
    state.pages_read += 1;
    state.pages.insert((process, wanted.segment, wanted.start.clone()), Page { next: next.clone(), versions });
    ScanPage { items, next, read_units: Some(1.0) }
}
