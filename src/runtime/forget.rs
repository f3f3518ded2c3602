//! Removes an ended migration from the state table: its entries, its audit trail, its claims.

use std::sync::Arc;

use super::operator::{OperatorJob, alone, list, overview, unknown};
use super::patient::patiently;
use crate::engine::EngineError;
use crate::engine::claims::Claims;
use crate::engine::entities::Meta;
use crate::engine::store::{DIRECTORY, LEASE, META, partition_of};
use crate::ports::{Guard, Ports, StateKey, StateStore};

/// Forgets a migration. One that has not ended is refused; one whose entries are gone in part is forgotten whole.
pub async fn forget<P: Ports>(ports: &Arc<P>, migration: &str, job: &OperatorJob) -> Result<(), EngineError> {
    if let Some(found) = overview(&**ports, migration).await? {
        has_ended(&found.meta)?;
        alone(ports, migration, job, async |store, meta| {
            has_ended(&meta.value)?;
            Claims::new(Arc::clone(ports), Arc::clone(store.lease()), migration).give_back_all().await?;
            // The migration itself goes last: until then this can be done again.
            let entries = list(&**ports, migration, "").await?;
            for entry in entries.iter().filter(|entry| entry.key.sort != LEASE && entry.key.sort != META) {
                store.delete(&entry.key.sort).await?;
            }
            store.delete(META).await
        })
        .await?;
    } else {
        let known = patiently(ports.clock(), || ports.state().list(DIRECTORY, migration)).await?;
        if !known.iter().any(|entry| entry.key.sort == migration) {
            return Err(unknown(migration));
        }
    }
    let partition = partition_of(migration);
    for (partition, sort) in [(partition.as_str(), LEASE), (DIRECTORY, migration)] {
        let key = StateKey { partition: partition.to_owned(), sort: sort.to_owned() };
        patiently(ports.clock(), || ports.state().delete(&key, Guard::Epoch(u64::MAX))).await?;
    }
    Ok(())
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
