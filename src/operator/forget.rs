//! Removes an ended migration from the state table: its entries, its audit trail, its claims.

use std::sync::Arc;

use super::retry::patiently;
use super::{OperatorJob, alone, lease_of, list, overview, unknown};
use crate::engine::EngineError;
use crate::engine::state::entities::{LeaseRecord, Meta};
use crate::engine::state::entry::{DIRECTORY, LEASE, META, decode, partition_of};
use crate::engine::tables::claims::Claims;
use crate::ports::{Fault, Guard, StateKey, StatePorts, StateStore};

/// Forgets a migration. One that has not ended is refused; one whose entries are gone in part is forgotten whole.
pub async fn forget<P: StatePorts>(ports: &Arc<P>, migration: &str, job: &OperatorJob) -> Result<(), EngineError> {
    let directory = StateKey { partition: DIRECTORY.to_owned(), sort: migration.to_owned() };
    let delete = async |key: &StateKey, guard| patiently(ports.clock(), || ports.state().delete(key, guard)).await;
    if let Some(found) = overview(&**ports, migration).await? {
        has_ended(&found.meta)?;
        alone(ports, migration, job, async |journal| {
            has_ended(journal.meta())?;
            let store = journal.store();
            Claims::new(Arc::clone(ports), Arc::clone(store.lease()), migration).give_back_all(None).await?;
            // The migration itself goes last: until then this can be done again.
            let entries = list(&**ports, migration, "").await?;
            for entry in entries.iter().filter(|entry| entry.key.sort != LEASE && entry.key.sort != META) {
                store.delete(&entry.key.sort).await?;
            }
            delete(&directory, Guard::Epoch(u64::MAX)).await?;
            store.delete(META).await
        })
        .await?;
    } else if patiently(ports.clock(), || ports.state().get(&directory)).await?.is_some() {
        // It was entered, and nothing else of it was ever stored.
        delete(&directory, Guard::Epoch(u64::MAX)).await?;
    } else if lease_of(&**ports, migration).await?.is_none() {
        return Err(unknown(migration));
    }
    // A lease that somebody took meanwhile is his: a migration of the same id begins anew.
    let lease = StateKey { partition: partition_of(migration), sort: LEASE.to_owned() };
    match patiently(ports.clock(), || ports.state().get(&lease)).await? {
        Some(entry) if decode::<LeaseRecord>(&entry)?.released => {
            let guard = Guard::Unchanged { version: entry.version, epoch: entry.epoch };
            match delete(&lease, guard).await {
                Err(error) if error.fault != Fault::Conflict => Err(error.into()),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn has_ended(meta: &Meta) -> Result<(), EngineError> {
    if meta.phase.is_final() {
        return Ok(());
    }
    Err(EngineError::refused(
        format!("migration {} is {}: only an ended one is forgotten", meta.migration, meta.phase),
        "end it first: `shadowtable finish` after its switch, `shadowtable abort` otherwise",
    ))
}
