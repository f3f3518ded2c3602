//! How entities are written: typed, conditional, and to a definite outcome.
//!
//! Every write of a migration is sent only under the lease, carries its epoch, and is guarded by the version last read, so that a
//! request that lands late changes nothing. A write that was given up is sent again until the store says yes or no; a
//! "no" after that may be our own first attempt, so what lies there decides.
//!
//! Versions protect only while they are not used again: an entry's first is the time at which it was made.

use std::sync::Arc;
use std::time::Duration;

use super::entities::{DirectoryRecord, ENTITIES};
use super::entry::{DIRECTORY, Entity, Written, decode, encode};
use super::lease::{Lease, Sent};
use crate::engine::EngineError;
use crate::engine::parallel::for_each;
use crate::ports::{Clock, Entry, Fault, Guard, StateKey, StatePorts, StateStore};

/// What is said while the state table does not take a request.
pub(in crate::engine) const FAILED: &str = "a request to the state table failed";

/// An entity and the version under which it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The entity.
    pub value: T,
    /// Where it lies.
    pub sort: String,
    /// Its version.
    pub version: u64,
}

/// The state of one migration, written under a lease.
pub struct Store<P> {
    ports: Arc<P>,
    lease: Arc<Lease<P>>,
    partition: String,
    abandon: Duration,
}

impl<P: StatePorts> Store<P> {
    /// The state under `partition`. `abandon` is the abandonment bound.
    pub fn new(ports: Arc<P>, lease: Arc<Lease<P>>, partition: String, abandon: Duration) -> Self {
        Self { ports, lease, partition, abandon }
    }

    /// The lease under which everything is written.
    pub fn lease(&self) -> &Arc<Lease<P>> {
        &self.lease
    }

    /// The clock.
    pub fn clock(&self) -> &P::Clock {
        self.ports.clock()
    }

    /// One entity.
    pub async fn load<T: Entity>(&self, sort: &str) -> Result<Option<Stored<T>>, EngineError> {
        match self.fetch(sort).await? {
            Some(entry) => Ok(Some(stored(&entry)?)),
            None => Ok(None),
        }
    }

    /// All entities whose sort key begins with `prefix`.
    pub async fn load_all<T: Entity>(&self, prefix: &str) -> Result<Vec<Stored<T>>, EngineError> {
        self.list(prefix).await?.iter().map(stored).collect()
    }

    /// The same, where one that cannot be read shall not keep the others from being read: its sort key, and why.
    pub async fn load_readable<T: Entity>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Result<Stored<T>, (String, EngineError)>>, EngineError> {
        let read = |entry: &Entry| stored(entry).map_err(|error| (entry.key.sort.clone(), error));
        Ok(self.list(prefix).await?.iter().map(read).collect())
    }

    /// Rewrites all that holders write with this one's epoch, so that what an earlier one wrote late fails. To be done before
    /// any of it is read.
    pub async fn claim_all(&self) -> Result<(), EngineError> {
        for kind in ENTITIES.iter().filter(|kind| kind.written == Written::ByHolder) {
            self.claim(kind.sort).await?;
        }
        Ok(())
    }

    /// Enters a migration into the directory, if it is not there.
    pub async fn enter_directory(&self, migration: &str) -> Result<(), EngineError> {
        let key = StateKey { partition: DIRECTORY.into(), sort: migration.into() };
        let entry = encode(&key, 1, 0, &DirectoryRecord { migration: migration.into() })?;
        match self.lease.until_answered(FAILED, || self.ports.state().put(&entry, Guard::Absent)).await {
            Err(EngineError::Port(error)) if error.fault == Fault::Conflict => Ok(()),
            entered => entered,
        }
    }

    /// Deletes all that belongs to a generation: progress, then what was refused, then where the tail began. Interrupted, the
    /// copy begins anew, or nothing does; progress without its quarantine would look complete.
    pub async fn delete_generation(&self) -> Result<(), EngineError> {
        for kind in ENTITIES.iter().rev().filter(|kind| kind.of_generation) {
            for entry in self.list(kind.sort).await? {
                self.delete(&entry.key.sort).await?;
            }
        }
        Ok(())
    }

    async fn claim(&self, prefix: &str) -> Result<(), EngineError> {
        let entries = self.list(prefix).await?;
        for_each(entries, |entry| self.claim_one(entry)).await.map(drop)
    }

    async fn claim_one(&self, mut entry: Entry) -> Result<(), EngineError> {
        while entry.epoch < self.lease.epoch() {
            let guard = self.unchanged(entry.version);
            let claimed = Entry { version: entry.version + 1, epoch: self.lease.epoch(), ..entry.clone() };
            match self.send(&claimed, guard).await {
                Ok(()) => break,
                Err(EngineError::Port(error)) if error.fault == Fault::Conflict => {
                    let Some(found) = self.fetch(&entry.key.sort).await? else { break };
                    entry = found;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Creates an entity, or takes over what an earlier holder left there: that is returned instead.
    pub async fn create<T: Entity>(&self, sort: &str, value: &T) -> Result<Stored<T>, EngineError> {
        const { assert!(matches!(T::KIND.written, Written::ByHolder), "a successor must claim it") };
        let version = self.first_version();
        let entry = encode(&self.key(sort), version, self.lease.epoch(), value)?;
        match self.send(&entry, Guard::Absent).await {
            Ok(()) => Ok(Stored { value: value.clone(), sort: sort.to_owned(), version }),
            Err(EngineError::Port(error)) if error.fault == Fault::Conflict => {
                self.claim(sort).await?;
                self.load(sort).await?.ok_or(EngineError::Port(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a new value over the one that was read.
    pub async fn update<T: Entity>(&self, stored: &mut Stored<T>, value: T) -> Result<(), EngineError> {
        const { assert!(matches!(T::KIND.written, Written::ByHolder), "a successor must claim it") };
        self.overwrite(stored, value).await
    }

    /// Writes a new value over one that was not claimed: somebody without a lease may have deleted it meanwhile, or an
    /// earlier holder may have written it. Returns whether it was as it was read.
    pub async fn rewrite<T: Entity>(&self, stored: &mut Stored<T>, value: T) -> Result<bool, EngineError> {
        const { assert!(matches!(T::KIND.written, Written::ByAnybody)) };
        match self.overwrite(stored, value).await {
            Err(EngineError::LeaseLost) => match self.fetch(&stored.sort).await? {
                Some(found) if found.epoch > self.lease.epoch() => Err(EngineError::LeaseLost),
                _ => Ok(false),
            },
            other => other.map(|()| true),
        }
    }

    async fn overwrite<T: Entity>(&self, stored: &mut Stored<T>, value: T) -> Result<(), EngineError> {
        let version = stored.version + 1;
        let entry = encode(&self.key(&stored.sort), version, self.lease.epoch(), &value)?;
        // Only a later holder writes over what this one has read.
        self.send(&entry, self.unchanged(stored.version)).await.map_err(|error| match error {
            EngineError::Port(port) if port.fault == Fault::Conflict => EngineError::LeaseLost,
            other => other,
        })?;
        stored.version = version;
        stored.value = value;
        Ok(())
    }

    /// Writes a value whatever lies there, unless a later holder wrote it.
    pub async fn replace<T: Entity>(&self, sort: &str, value: &T) -> Result<(), EngineError> {
        const { assert!(matches!(T::KIND.written, Written::ByHolder), "a successor must claim it") };
        let version = self.fetch(sort).await?.map_or_else(|| self.first_version(), |entry| entry.version + 1);
        let entry = encode(&self.key(sort), version, self.lease.epoch(), value)?;
        self.send(&entry, Guard::Epoch(self.lease.epoch())).await
    }

    /// Writes an entry that expires at `expires`, in seconds since the epoch.
    pub async fn append<T: Entity>(&self, sort: &str, value: &T, expires: i64) -> Result<(), EngineError> {
        const { assert!(matches!(T::KIND.written, Written::Once)) };
        let entry = Entry { expires: Some(expires), ..encode(&self.key(sort), 1, self.lease.epoch(), value)? };
        self.send(&entry, Guard::Absent).await
    }

    /// Deletes what lies there, unless a later holder wrote it.
    pub async fn delete(&self, sort: &str) -> Result<(), EngineError> {
        let key = self.key(sort);
        let guard = Guard::Epoch(self.lease.epoch());
        let Sent { outcome, given_up } =
            self.lease.until_definite(FAILED, || self.ports.state().delete(&key, guard)).await?;
        outcome.map_err(|error| match error.fault {
            Fault::Conflict => EngineError::LeaseLost,
            _ => error.into(),
        })?;
        self.wait_out(given_up).await;
        Ok(())
    }

    /// Sends a write until its outcome is definite.
    async fn send(&self, entry: &Entry, guard: Guard) -> Result<(), EngineError> {
        let Sent { outcome, given_up } =
            self.lease.until_definite(FAILED, || self.ports.state().put(entry, guard)).await?;
        match outcome {
            // Our own earlier request may have done it.
            Err(error) if error.fault == Fault::Conflict && given_up => {
                if self.fetch(&entry.key.sort).await?.is_none_or(|found| found != *entry) {
                    return Err(error.into());
                }
            }
            outcome => outcome?,
        }
        self.wait_out(given_up && !matches!(guard, Guard::Unchanged { .. })).await;
        Ok(())
    }

    /// A request that no version guards was given up: nothing different may be written there before it can land no more.
    async fn wait_out(&self, abandoned: bool) {
        if abandoned {
            self.ports.clock().sleep(self.abandon).await;
        }
    }

    async fn fetch(&self, sort: &str) -> Result<Option<Entry>, EngineError> {
        let key = self.key(sort);
        self.lease.until_answered(FAILED, || self.ports.state().get(&key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, EngineError> {
        self.lease.until_answered(FAILED, || self.ports.state().list(&self.partition, prefix)).await
    }

    /// The version of an entry that is made: the time in milliseconds, so that it is none of one that lay there before.
    fn first_version(&self) -> u64 {
        u64::try_from(self.ports.clock().service().millis()).unwrap_or(1)
    }

    fn unchanged(&self, version: u64) -> Guard {
        Guard::Unchanged { version, epoch: self.lease.epoch() }
    }

    fn key(&self, sort: &str) -> StateKey {
        StateKey { partition: self.partition.clone(), sort: sort.to_owned() }
    }
}

fn stored<T: Entity>(entry: &Entry) -> Result<Stored<T>, EngineError> {
    Ok(Stored { value: decode(entry)?, sort: entry.key.sort.clone(), version: entry.version })
}
