//! The shadow: batches and conditional writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use shadowtable::model::{Key, Side, Write};
use shadowtable::ports::{BatchReply, Fault, OwnedReply, PortError, TableWriter};

use super::{Call, Event, Fate, Process, State, failure, request, version_of};

/// An item with this attribute is refused by the shadow for good.
pub const REFUSED: &str = "bad";

/// Writes a table.
pub struct FakeWriter {
    pub(super) process: Arc<Process>,
    pub(super) side: Side,
}

impl TableWriter for FakeWriter {
    async fn write_batch(&self, writes: &[Arc<Write>]) -> Result<BatchReply, PortError> {
        assert_eq!(self.side, Side::Shadow, "nobody writes the source yet");
        let (process, batch) = (self.process.id(), writes.to_vec());
        let _flight = Flight::begin(&self.process, writes.iter().map(|write| write.key.clone()).collect());
        request(&self.process, &Call::Write(writes), move |state, now, fate: Fate| {
            state.audit_writer(process);
            if batch.is_empty() || batch.len() > 25 {
                state.violations.push(format!("a batch of {} writes", batch.len()));
            }
            if batch.iter().any(|write| is_refused(write)) {
                return Err(failure(Fault::Rejected));
            }
            let mut unprocessed = Vec::new();
            for (index, write) in batch.iter().enumerate() {
                if fate.spares >> (index % 32) & 1 == 1 {
                    unprocessed.push(write.key.clone());
                } else {
                    apply(state, write);
                    log(state, process, write, now);
                }
            }
            Ok(BatchReply { unprocessed, write_units: Some(1.0) })
        })
        .await
    }

    async fn write_owned(&self, write: &Write) -> Result<OwnedReply, PortError> {
        assert_eq!(self.side, Side::Shadow, "nobody writes the source yet");
        let (process, wanted) = (self.process.id(), Arc::new(write.clone()));
        let _flight = Flight::begin(&self.process, BTreeSet::from([write.key.clone()]));
        request(&self.process, &Call::Write(&[Arc::clone(&wanted)]), move |state, now, _| {
            state.audit_writer(process);
            if is_refused(&wanted) {
                return Err(failure(Fault::Rejected));
            }
            let owner = wanted.owner.clone().unwrap();
            let mine = state
                .shadow
                .get(&wanted.key)
                .is_none_or(|item| owner.iter().all(|(name, value)| item.get(name) == Some(value)));
            if mine {
                apply(state, &wanted);
                log(state, process, &wanted, now);
            }
            Ok(OwnedReply { done: mine, write_units: Some(1.0) })
        })
        .await
    }
}

fn is_refused(write: &Write) -> bool {
    write.image.as_ref().is_some_and(|image| image.get(REFUSED).is_some())
}

fn apply(state: &mut State, write: &Write) {
    match &write.image {
        Some(image) => state.shadow.insert(write.key.clone(), image.clone()),
        None => state.shadow.remove(&write.key),
    };
}

fn log(state: &mut State, process: u32, write: &Write, now: shadowtable::model::Timestamp) {
    let version = write.image.as_ref().map(version_of);
    state.log.push((now, process, Event::Shadow { key: write.key.clone(), version }));
    state.settle();
}

/// Shadow keys in a request that its sender still waits for (invariant 1: no other request may carry them).
struct Flight<'a> {
    process: &'a Process,
    keys: BTreeSet<Key>,
}

impl<'a> Flight<'a> {
    fn begin(process: &'a Process, keys: BTreeSet<Key>) -> Self {
        let mut state = process.world().state();
        *state.writes_asked.entry(process.id()).or_default() += 1;
        for key in &keys {
            if !state.in_flight.insert((process.id(), key.clone())) {
                state.violations.push(format!("two writes in flight to one shadow key {key:?}"));
            }
        }
        Self { process, keys }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.process.world().state();
        for key in &self.keys {
            state.in_flight.remove(&(self.process.id(), key.clone()));
        }
    }
}
