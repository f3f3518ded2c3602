//! Owns the tasks: decides what runs in which phase, and brings everything to a clean stop.
//!
//! [`run`] is a reconciler. It takes the lease (or stands by until it can), reads the durable phase and carries on from
//! there; killed at any moment, it does the same again. Operators' commands are entries of the state table that only
//! wake it.
//!
//! | file | does |
//! |---|---|
//! | `standby` | waits for the lease, with the same configuration or not at all (`agreement`) |
//! | `active` | the process that holds the lease: what it has, and what it shows |
//! | `phases` | what it does, by phase: a new one has its arm here |
//! | `planning` | before the mirror: the plan, the claims, the shadow |
//! | `mirror`, `parts` | copy and tail at the same time, and what works for it |
//! | `cutover`, `unfence`, `unmirrored` | a cutover's steps, undoing a fence, and waiting for a decision |
//! | `commands` | which commands are to be done, and that each is done once; `cutover` and `unmirrored` do them, some by functions of `commands` |
//! | `acting` | until when something that was begun may still act outside |
//! | `watch` | whether tables and stream are still those that were recorded, and what gates see outside |
//! | `observed`, `monitor`, `status`, `history`, `progress` | what is shown of all this: the status document, gauges, the log's progress |
//! | `state_table` | makes the state table where there is none |
//!
//! What must hold: a process may be killed anywhere, so every task can be begun again from what is stored; nothing is written but
//! under the lease; and what ends the process is told.

mod acting;
mod active;
mod agreement;
mod commands;
mod cutover;
mod history;
mod mirror;
mod monitor;
mod observed;
mod parts;
mod phases;
mod planning;
mod progress;
mod standby;
mod state_table;
mod status;
mod unfence;
mod unmirrored;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::active::{Active, Outcome};
use self::history::SAMPLE;
pub use self::history::{EventLine, LagHistory, Rates};
pub use self::monitor::{Differs, Monitor, Readiness};
pub use self::planning::{planned, replace_plan, replanned};
use self::standby::stand_by;
pub use self::state_table::prepare_state_table;
pub use self::status::{
    ApplyStatus, CopyStatus, CredentialStatus, LeaseStatus, LegStatus, PhaseStatus, STATUS_SCHEMA, Status, TailStatus,
    phases,
};
use crate::engine::state::entry::{partition_of, unique_name};
use crate::engine::state::lease::{Acquired, Claimant, Lease};
use crate::engine::state::store::Store;
use crate::engine::{EngineError, EngineSettings};
use crate::model::{KeySchema, Side, Sides, TableLayout};
use crate::ports::{Clock, Ports, TableAdmin};
use crate::protocol::transform::Transform;
use crate::telemetry::Meters;

const NOT_GIVEN_BACK: &str = "the lease could not be given back; it runs out by itself";

/// One migration to be run: everything that an operator decided.
#[derive(Clone, Debug)]
pub struct Job {
    /// The migration's id.
    pub migration: String,
    /// The layout that the shadow gets.
    pub target: TableLayout,
    /// No target was configured: it is the source's own layout, as this process found it.
    pub like_source: bool,
    /// How items are mapped.
    pub transform: Transform,
    /// The source's primary key.
    pub source_key: KeySchema,
    /// What is tuned.
    pub engine: EngineSettings,
    /// What an operator allowed or vouched for at the start.
    pub allowed: Allowed,
    /// This machine's name, for people.
    pub host: String,
    /// Whose credentials these are, or who started this process, for the audit trail.
    pub who: String,
}

/// What an operator allowed or vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Allowed {
    /// The source's stream may be enabled where it is off.
    pub enable_stream: bool,
    /// Nothing writes to the source's replicas in other regions.
    pub single_writer_region: bool,
    /// Most items may be refused by the shadow.
    pub refused_items: bool,
}

impl Job {
    /// The primary keys of both tables.
    pub fn keys(&self) -> Sides<KeySchema> {
        Sides { source: self.source_key.clone(), shadow: self.target.key_schema() }
    }

    /// Who asks for the lease, in this process.
    pub fn claimant(&self, clock: &impl Clock) -> Claimant {
        Claimant {
            owner: unique_name(clock),
            host: self.host.clone(),
            duration: self.engine.lease.duration,
            abandon: self.engine.apply.abandon,
        }
    }
}

/// Runs a migration until it is stopped, aborted, or cannot go on. Stands by while another process holds the lease, and
/// again when the lease is lost.
pub async fn run<P: Ports>(
    ports: Arc<P>,
    job: Job,
    meters: Arc<Meters>,
    monitor: Arc<Monitor>,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let admins = [ports.admin(Side::Source), ports.admin(Side::Shadow), ports.state_admin()];
    meters.expect_resources(admins.map(TableAdmin::name));
    prepare_state_table(&*ports).await?;
    let claimant = job.claimant(ports.clock());
    let partition = partition_of(&job.migration);
    loop {
        let Acquired { lease, settle } = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            acquired = stand_by(&ports, &job, &claimant, &monitor) => acquired?,
        };
        tracing::info!(owner = lease.owner(), epoch = lease.epoch(), "the lease is held");
        let store = Store::new(Arc::clone(&ports), Arc::clone(&lease), partition.clone(), job.engine.apply.abandon);
        let store = Arc::new(store);
        let active = Active::new(&ports, &store, &meters, &monitor, job.clone(), stop.clone());
        let outcome = hold(active, &lease, settle).await;
        if outcome.is_err() {
            monitor.ended();
        } else {
            monitor.idle();
        }
        match outcome {
            Err(EngineError::LeaseLost) => tracing::warn!("the lease was lost; standing by"),
            Ok(Outcome { quiet }) => {
                return match lease.release(quiet).await {
                    // Another holder before its time is a defect. Otherwise what was to be stopped has stopped.
                    Err(error) if !error.is_defect() => {
                        tracing::warn!(%error, "{NOT_GIVEN_BACK}");
                        Ok(())
                    }
                    released => released,
                };
            }
            Err(error) => {
                if let EngineError::Violation(violation) = &error {
                    meters.violated(violation);
                }
                match lease.release(false).await {
                    // Replaced without knowing: what was found wrong may be the successor's work.
                    Err(EngineError::LeaseLost) if !error.is_defect() => {
                        tracing::warn!(%error, "the lease was lost before this; standing by");
                        continue;
                    }
                    Err(release) => tracing::warn!(error = %release, "{NOT_GIVEN_BACK}"),
                    Ok(()) => {}
                }
                return Err(error);
            }
        }
    }
}

/// Works under the lease until there is nothing more to do, the lease is lost, or a stop takes too long.
async fn hold<P: Ports>(active: Active<P>, lease: &Lease<P>, settle: Duration) -> Result<Outcome, EngineError> {
    let (ports, stop) = (Arc::clone(&active.ports), active.stop.clone());
    let grace = active.job.engine.lease.grace;
    let (chronicle, monitor) = (Arc::clone(&active.chronicle), Arc::clone(&active.monitor));
    let sampling = async {
        loop {
            let lag = monitor.status().and_then(|status| status.lag_seconds());
            chronicle.sample(ports.clock().now(), lag);
            ports.clock().sleep(SAMPLE).await;
        }
    };
    let telling = progress::tell(ports.clock(), &monitor);
    let keeping = lease.keep();
    let working = Box::pin(active.run(settle));
    // What a stop waits for, the step in hand and then winding down, may itself wait for a table that does not answer.
    // Ending there is like a crash.
    let overdue = async {
        stop.cancelled().await;
        ports.clock().sleep(grace * 2).await;
    };
    tokio::select! {
        biased;
        error = keeping => Err(error),
        outcome = working => outcome,
        () = sampling => Ok(Outcome { quiet: false }),
        () = telling => Ok(Outcome { quiet: false }),
        () = overdue => {
            tracing::warn!("stopped without an answer from the tables; the next run resumes from the last checkpoints");
            Ok(Outcome { quiet: false })
        }
    }
}
