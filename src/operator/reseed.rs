//! Starting over with an empty shadow.
//!
//! It is the one thing here that can delete a table, so it asks first whether anybody may need it: the phase, the source, and
//! the pointer of the application; and it deletes by table id, under the lease.

use std::sync::Arc;
use std::time::Duration;

use super::retry::{Outage, patiently};
use super::{OperatorJob, POLL, alone, is_held, require};
use crate::engine::EngineError;
use crate::engine::cutover::pointer;
use crate::engine::state::entities::{Meta, TableIdentity};
use crate::engine::state::store::Store;
use crate::engine::tables::claims::Claims;
use crate::model::{Side, TableStatus};
use crate::ports::{Clock, Fault, Ports, TableAdmin};
use crate::protocol::cutover::Pointer;
use crate::protocol::phase::{Event, Phase};
use crate::runtime::{Job, planned, replace_plan, replanned};

/// Starts over with an empty shadow: forgets pin, checkpoints and quarantine. Nobody may hold the lease. `delete_shadow`
/// deletes the old shadow, where it is the one that this migration made and nobody may need it.
pub async fn reseed<P: Ports>(ports: &Arc<P>, job: &Job, delete_shadow: bool) -> Result<(), EngineError> {
    require(&**ports, &job.migration).await?;
    if is_held(&**ports, &job.migration).await? {
        return Err(EngineError::refused(
            format!("migration {} is being run by another process", job.migration),
            "stop it first: its writes would land in the new shadow",
        ));
    }
    alone(ports, &job.migration, &OperatorJob::of(job), async |journal| {
        // Before anything is deleted.
        let (store, meta) = (Arc::clone(journal.store()), journal.meta());
        may_begin_anew(meta)?;
        if delete_shadow {
            is_its_own(&**ports, meta)?;
            is_dispensable(&**ports, job, meta).await?;
        }
        clear_shadow(&**ports, &store, meta.tables.shadow.identity.as_ref(), delete_shadow, job.engine.apply.abandon)
            .await?;
        store.delete_generation().await?;
        let mut new = replanned(meta, planned(&**ports, job));
        // What had the configured name is gone, whoever deleted it. One that may have been made is not known yet.
        let place = ports.admin(Side::Shadow).place();
        new.made.retain(|made| made.table_id.is_none() || !made.is_shadow_at(place));
        new.generation += 1;
        journal.transition_with(Event::Reseed, None, |meta| replace_plan(meta, new)).await?;
        // Only now: what it no longer has anything to do with may be another's from here on.
        let claims = Claims::new(Arc::clone(ports), Arc::clone(store.lease()), &job.migration);
        claims.give_back_all(Some(ports.admin(Side::Source).name())).await
    })
    .await
}

/// After a switch the shadow is the application's table.
fn may_begin_anew(meta: &Meta) -> Result<(), EngineError> {
    let phase = meta.phase;
    if meta.standing().allows(Event::Reseed) {
        return Ok(());
    }
    let hint = match phase {
        Phase::Switched | Phase::Finished => {
            "its shadow is the application's table now; begin a migration with another id"
        }
        Phase::Aborted => "begin a migration with another id",
        _ => "a cutover is under way: `shadowtable run` and `shadowtable unfence` give it up first",
    };
    Err(EngineError::refused(format!("migration {} is {phase}: it is not begun again", meta.migration), hint))
}

/// Whether the configured shadow is one that this migration made.
fn is_its_own<P: Ports>(ports: &P, meta: &Meta) -> Result<(), EngineError> {
    let (Some(recorded), place) = (&meta.tables.shadow.identity, ports.admin(Side::Shadow).place()) else {
        return Ok(());
    };
    if !recorded.place.is_same(place) {
        return Err(EngineError::refused(
            format!("the migration's shadow is {}, and {place} is configured: neither is deleted", recorded.place),
            "reseed without --delete-shadow: the old shadow is kept; or configure the old one, to have it deleted",
        ));
    }
    if !meta.has_made(recorded) {
        return Err(EngineError::refused(
            format!("the shadow table {place} was there before this migration, which does not delete it"),
            "choose another shadow.table; or delete it yourself, if nobody needs it, and reseed then",
        ));
    }
    Ok(())
}

/// Whether the old shadow is certainly not the only copy, nor in use.
async fn is_dispensable<P: Ports>(ports: &P, job: &Job, meta: &Meta) -> Result<(), EngineError> {
    let (source, shadow) = (ports.admin(Side::Source), ports.admin(Side::Shadow).name());
    let keep = "keep it, and choose another shadow.table; delete it yourself once nobody needs it";
    if let Some(recorded) = &meta.tables.source.identity {
        let found = patiently(ports.clock(), || source.describe()).await?;
        if found.is_none_or(|found| found.table_id != recorded.table_id) {
            let problem = format!(
                "the source table {} is not the one that was copied: the shadow {shadow} may be the only copy of its items",
                source.name()
            );
            return Err(EngineError::refused(problem, keep));
        }
    }
    match pointer(ports, job.engine.cutover.switch.as_ref()).await {
        Pointer::Names(named) | Pointer::Locked(named, _) if named == shadow => {
            Err(EngineError::refused(format!("the application's pointer names the shadow {shadow}"), keep))
        }
        Pointer::Unknown(reason) => {
            Err(EngineError::refused(format!("the application's pointer may name the shadow {shadow}: {reason}"), keep))
        }
        Pointer::Names(_) | Pointer::Locked(..) | Pointer::Unused | Pointer::Missing => Ok(()),
    }
}

/// The old shadow must be gone, or another name must be configured.
async fn clear_shadow<P: Ports>(
    ports: &P,
    store: &Store<P>,
    recorded: Option<&TableIdentity>,
    delete: bool,
    abandon: Duration,
) -> Result<(), EngineError> {
    let (admin, clock) = (ports.admin(Side::Shadow), ports.clock());
    let name = admin.name();
    let (mut outage, mut given_up) = (Outage::default(), false);
    // By id: another table of this name is none of ours.
    while let Some(found) = patiently(clock, || admin.describe()).await?
        && recorded.is_some_and(|recorded| recorded.table_id == found.table_id)
    {
        if !delete {
            return Err(EngineError::refused(
                format!(
                    "the shadow table {name} still holds what was copied; items deleted meanwhile would stay in it"
                ),
                "choose another shadow.table, or let it be deleted: `shadowtable reseed --delete-shadow`",
            ));
        }
        if found.status != TableStatus::Deleting {
            tracing::info!(table = name, "deleting the old shadow");
            match store.lease().during(admin.delete()).await.ok_or(EngineError::LeaseLost)? {
                Ok(()) => outage = Outage::default(),
                Err(error) if error.fault == Fault::Missing => {}
                Err(error) if error.fault == Fault::Busy => tracing::info!(%error, "trying again"),
                Err(error) => {
                    given_up |= error.fault == Fault::Abandoned;
                    outage.outlast(clock, error).await?;
                }
            }
        }
        clock.sleep(POLL).await;
    }
    // A request that was given up must not delete the next one.
    clock.sleep(if given_up { abandon } else { Duration::ZERO }).await;
    Ok(())
}
