//! Waiting for the lease, by a process that is fit for it.
//!
//! A process that is configured otherwise than the migration was begun would take the lease, refuse, and leave the table to
//! nobody. So it does not take it: it says what differs and is not ready. One that would only do a cutover otherwise takes the
//! lease nevertheless, since a mirror is better than none, and says so; a fence that it did not put up it does not undo.

use std::sync::Arc;
use std::time::Duration;

use super::agreement::{disagreements, means, other_means};
use super::{Differs, Job, Monitor};
use crate::engine::EngineError;
use crate::engine::retry::until_answered;
use crate::engine::state::entities::{LeaseRecord, Meta};
use crate::engine::state::entry::{LEASE, META, decode, partition_of};
use crate::engine::state::holder::Holder;
use crate::engine::state::lease::{Acquired, Claimant, Standby, acquire};
use crate::model::Sides;
use crate::ports::{Clock, Entry, Ports, StateKey, StateStore, TableAdmin};
use crate::protocol::phase::Phase;

/// How often it is looked whether the migration is still as this process is configured.
const LOOK: Duration = Duration::from_secs(5);
/// How long until a standby says again that it waits.
const SAY_AGAIN: Duration = Duration::from_hours(1);

/// How a process's configuration fits the migration, and who runs that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fit {
    /// What keeps it from running the migration.
    otherwise: Vec<String>,
    /// What it would do otherwise than the active process.
    other_means: Vec<String>,
    /// Nothing was copied yet: another configuration is another plan.
    is_open: bool,
}

impl Fit {
    /// Whether it may take the lease from a holder that dies.
    fn takes_over(&self) -> bool {
        self.otherwise.is_empty()
    }

    fn differs(&self) -> Differs {
        Differs { lines: [self.otherwise.clone(), self.other_means.clone()].concat(), takes_over: self.takes_over() }
    }
}

/// Waits until the lease is free or stale and this process is fit for it, and takes it.
pub(super) async fn stand_by<P: Ports>(
    ports: &Arc<P>,
    job: &Job,
    claimant: &Claimant,
    monitor: &Monitor,
) -> Result<Acquired<P>, EngineError> {
    let (partition, mut holder, mut told) = (partition_of(&job.migration), Holder::default(), Differs::default());
    loop {
        let lease = lease(&**ports, job).await?;
        let fit = look(&**ports, job, lease.as_ref()).await?;
        let held = holder.is_alive(lease.clone(), ports.clock().now());
        let differs = fit.differs();
        monitor.differs(differs.clone());
        if differs != told && held && !differs.lines.is_empty() {
            let (lines, takes_over) = (differs.lines.join("; "), differs.takes_over);
            tracing::error!(differs = lines, takes_over, "this process stands by and is configured otherwise");
        }
        told = differs;
        // Until something was copied, whoever finds nobody at it may plan anew.
        if fit.takes_over() || (fit.is_open && !held) {
            tokio::select! {
                biased;
                acquired = take(ports, &partition, claimant, job, monitor) => {
                    monitor.differs(Differs::default());
                    return acquired;
                }
                changed = until_changed(&**ports, job, &fit, lease.as_ref()) => changed?,
            }
        } else if held {
            if let Some((lease, _)) = lease {
                monitor.standby(&job.migration, Standby { owner: lease.owner, host: lease.host });
            }
            ports.clock().sleep(LOOK).await;
        } else {
            return Err(begun_otherwise(&job.migration, &fit.otherwise));
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

/// Waits until something else differs, or, for one that would plan anew, until somebody else is at it.
async fn until_changed<P: Ports>(
    ports: &P,
    job: &Job,
    known: &Fit,
    seen: Option<&(LeaseRecord, u64)>,
) -> Result<(), EngineError> {
    let version = |lease: Option<&(LeaseRecord, u64)>| lease.map(|(_, version)| *version);
    loop {
        ports.clock().sleep(LOOK).await;
        let lease = lease(ports, job).await?;
        // A dead holder's lease, which is waited for, stays as it is.
        let taken = !known.takes_over() && version(lease.as_ref()) != version(seen);
        if taken || look(ports, job, lease.as_ref()).await? != *known {
            return Ok(());
        }
    }
}

async fn look<P: Ports>(ports: &P, job: &Job, lease: Option<&(LeaseRecord, u64)>) -> Result<Fit, EngineError> {
    let meta: Option<Meta> = entry(ports, job, META).await?.as_ref().map(decode).transpose()?;
    let Some(meta) = meta.filter(|meta| !meta.phase.is_final()) else {
        return Ok(Fit { otherwise: Vec::new(), other_means: Vec::new(), is_open: true });
    };
    let otherwise = disagreements(&meta, job, Sides::of(|side| ports.admin(side).place()));
    let held = lease.is_some_and(|(lease, _)| !lease.released);
    let own = means(&job.engine.cutover);
    let other_means = if held { other_means(&meta.means, &own) } else { Vec::new() };
    Ok(Fit { otherwise, other_means, is_open: matches!(meta.phase, Phase::Planned | Phase::Provisioned) })
}

async fn lease<P: Ports>(ports: &P, job: &Job) -> Result<Option<(LeaseRecord, u64)>, EngineError> {
    match entry(ports, job, LEASE).await? {
        Some(entry) => Ok(Some((decode(&entry)?, entry.version))),
        None => Ok(None),
    }
}

/// An entry, however long the state table may be out of reach: a standby is there for bad times.
async fn entry<P: Ports>(ports: &P, job: &Job, sort: &str) -> Result<Option<Entry>, EngineError> {
    let key = StateKey { partition: partition_of(&job.migration), sort: sort.into() };
    Ok(until_answered(ports.clock(), "the state table could not be read", || ports.state().get(&key)).await?)
}
