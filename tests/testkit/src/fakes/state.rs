//! The state table's contents.

use std::sync::Arc;

use shadowtable::ports::{Entry, Fault, Guard, PortError, StateKey, StateStore};

use super::{Call, Event, Process, State, failure, request};

/// Entries per page of a listing: what lies on later pages may change meanwhile.
const LIST_PAGE: usize = 4;

/// The state table's contents.
pub struct FakeStateStore(pub(super) Arc<Process>);

impl State {
    /// All entries whose sort key begins with `prefix`.
    pub fn entries_at<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.values().filter(move |entry| entry.key.sort.starts_with(prefix))
    }

    /// The one entry with this sort key.
    pub fn entry(&self, sort: &str) -> Option<&Entry> {
        self.entries.values().find(|entry| entry.key.sort == sort)
    }

    /// The migration's phase.
    pub fn phase(&self) -> String {
        self.entry("META").map_or_else(String::new, |meta| meta.body["phase"].as_str().unwrap().to_owned())
    }
}

impl StateStore for FakeStateStore {
    async fn get(&self, key: &StateKey) -> Result<Option<Entry>, PortError> {
        let wanted = key.clone();
        request(&self.0, &Call::StateGet(key), move |state, _, _| Ok(state.entries.get(&wanted).cloned())).await
    }

    async fn list(&self, partition: &str, prefix: &str) -> Result<Vec<Entry>, PortError> {
        let mut found: Vec<Entry> = Vec::new();
        loop {
            let (partition, wanted) = (partition.to_owned(), prefix.to_owned());
            let after = found.last().map(|entry| entry.key.sort.clone());
            let call = Call::StateList(prefix);
            let page = request(&self.0, &call, move |state, _, _| {
                let entries = state.entries_at(&wanted).filter(|entry| entry.key.partition == partition);
                let entries = entries.filter(|entry| after.as_ref().is_none_or(|after| entry.key.sort > *after));
                Ok(entries.take(LIST_PAGE).cloned().collect::<Vec<_>>())
            });
            let page = page.await?;
            let full = page.len() == LIST_PAGE;
            found.extend(page);
            if !full {
                return Ok(found);
            }
        }
    }

    async fn put(&self, entry: &Entry, guard: Guard) -> Result<(), PortError> {
        let (process, wanted) = (self.0.id(), entry.clone());
        request(&self.0, &Call::StatePut(entry), move |state, now, _| {
            let holds = match (state.entries.get(&wanted.key), guard) {
                (None, Guard::Absent | Guard::Epoch(_)) => true,
                (Some(found), Guard::Unchanged { version, epoch }) => found.version == version && found.epoch <= epoch,
                (Some(found), Guard::Epoch(epoch)) => found.epoch <= epoch,
                (None, Guard::Unchanged { .. }) | (Some(_), Guard::Absent) => false,
            };
            if !holds {
                return Err(failure(Fault::Conflict));
            }
            let found = state.entries.insert(wanted.key.clone(), wanted.clone());
            state.audit_holder(process, found.as_ref(), (&wanted.key, Some(&wanted)), guard);
            state.audit_entry(process, found.as_ref(), &wanted);
            state.log.push((now, process, Event::Stored(wanted)));
            Ok(())
        })
        .await
    }

    async fn delete(&self, key: &StateKey, guard: Guard) -> Result<(), PortError> {
        let (process, wanted) = (self.0.id(), key.clone());
        request(&self.0, &Call::StateDelete(key), move |state, _, _| {
            let holds = state.entries.get(&wanted).is_none_or(|found| match guard {
                Guard::Absent => false,
                Guard::Unchanged { version, epoch } => found.version == version && found.epoch <= epoch,
                Guard::Epoch(epoch) => found.epoch <= epoch,
            });
            if !holds {
                return Err(failure(Fault::Conflict));
            }
            let found = state.entries.remove(&wanted);
            state.audit_holder(process, found.as_ref(), (&wanted, None), guard);
            Ok(())
        })
        .await
    }
}
