//! Waiting for the lease, by a process that is fit for it.
//!
//! A process that is configured otherwise than the migration was begun would take the lease, refuse, and leave the table to
//! nobody. So it does not take it: it says what differs and is not ready. One that would only do a cutover otherwise takes the
//! lease nevertheless, since a mirror is better than none, and is not ready until then.

use std::sync::Arc;
use std::time::Duration;

use super::agreement::{disagreements, means, other_means};
use super::operator::{is_held, lease_of};
use super::{Job, Monitor};
use crate::engine::EngineError;
use crate::engine::entities::Meta;
use crate::engine::lease::{Acquired, Claimant, Standby, acquire};
use crate::engine::retry::Retry;
use crate::engine::store::{META, decode, partition_of};
use crate::ports::{Clock, Ports, Reaction, StateKey, StateStore, TableAdmin};
use crate::protocol::phase::Phase;

/// How often it is looked whether the migration is still as this process is configured.
const LOOK: Duration = Duration::from_secs(5);
/// How long until a standby says again that it waits.
const SAY_AGAIN: Duration = Duration::from_hours(1);

/// How a process's configuration fits the migration.
struct Fit {
    phase: Option<Phase>,
    /// What keeps it from running the migration.
    otherwise: Vec<String>,
    /// What it would do otherwise than the active process.
    other_means: Vec<String>,
}

/// Waits until the lease is free or stale and this process is fit for it, and takes it.
pub(super) async fn stand_by<P: Ports>(
    ports: &Arc<P>,
    job: &Job,
    claimant: &Claimant,
    monitor: &Monitor,
) -> Result<Acquired<P>, EngineError> {
    let (clock, partition) = (ports.clock(), partition_of(&job.migration));
    let mut told = Vec::new();
    loop {
        let fit = look(&**ports, job).await?;
        if !fit.otherwise.is_empty() && !is_held(&**ports, &job.migration).await? {
            let before_copy = matches!(fit.phase, Some(Phase::Planned | Phase::Provisioned));
            if !before_copy {
                return Err(begun_otherwise(&job.migration, &fit.otherwise));
            }
            return take(ports, &partition, claimant, job, monitor).await;
        }
        monitor.differs([fit.otherwise.clone(), fit.other_means.clone()].concat());
        if told != [fit.otherwise.clone(), fit.other_means.clone()].concat() {
            told = [fit.otherwise.clone(), fit.other_means.clone()].concat();
            let (differs, takes_over) = (told.join("; "), fit.otherwise.is_empty());
            if !told.is_empty() {
                tracing::error!(differs, takes_over, "NOT READY to stand by: this process is configured otherwise");
            }
        }
        if fit.otherwise.is_empty() {
            tokio::select! {
                biased;
                acquired = take(ports, &partition, claimant, job, monitor) => {
                    monitor.differs(Vec::new());
                    return acquired;
                }
                changed = until_changed(&**ports, job, &told) => changed?,
            }
        } else {
            if let Some((lease, _)) = lease_of(&**ports, &job.migration).await? {
                monitor.standby(&job.migration, Standby { owner: lease.owner, host: lease.host });
            }
            clock.sleep(LOOK).await;
        }
    }
}

/// What a refusal says.
pub(super) fn begun_otherwise(migration: &str, differs: &[String]) -> EngineError {
    let lines = differs.join("\n  ");
    EngineError::refused(
        format!("migration {migration} was begun with another configuration:\n  {lines}"),
        "restore the configuration, choose another migration.id, or start over with `shadowtable reseed`",
    )
}

async fn take<P: Ports>(
    ports: &Arc<P>,
    partition: &str,
    claimant: &Claimant,
    job: &Job,
    monitor: &Monitor,
) -> Result<Acquired<P>, EngineError> {
    let mut said = None;
    let waiting = |standby: Standby| {
        let now = ports.clock().now();
        if said.as_ref().is_none_or(|(to, at)| *to != standby || now.since(*at) > SAY_AGAIN) {
            tracing::info!(holder = standby.owner, host = standby.host, "standing by: another process holds the lease");
            said = Some((standby.clone(), now));
        }
        monitor.standby(&job.migration, standby);
    };
    acquire(ports, partition, claimant, waiting).await
}

/// Waits until something else differs.
async fn until_changed<P: Ports>(ports: &P, job: &Job, known: &[String]) -> Result<(), EngineError> {
    loop {
        ports.clock().sleep(LOOK).await;
        let fit = look(ports, job).await?;
        if [fit.otherwise, fit.other_means].concat() != known {
            return Ok(());
        }
    }
}

async fn look<P: Ports>(ports: &P, job: &Job) -> Result<Fit, EngineError> {
    let key = StateKey { partition: partition_of(&job.migration), sort: META.into() };
    let mut retry = Retry::default();
    let entry = loop {
        match ports.state().get(&key).await {
            Err(error) if error.fault.reaction() == Reaction::BackOff => retry.wait(ports.clock()).await,
            other => break other?,
        }
    };
    let meta: Option<Meta> = entry.as_ref().map(decode).transpose()?;
    let Some(meta) = meta.filter(|meta| !meta.phase.is_final()) else {
        return Ok(Fit { phase: None, otherwise: Vec::new(), other_means: Vec::new() });
    };
    let otherwise = disagreements(&meta, job, ports.source_admin().place(), ports.shadow_admin().place());
    let held = lease_of(ports, &job.migration).await?.is_some_and(|(lease, _)| !lease.released);
    let other_means = if held { other_means(&meta.means, &means(&job.engine.cutover)) } else { Vec::new() };
    Ok(Fit { phase: Some(meta.phase), otherwise, other_means })
}
