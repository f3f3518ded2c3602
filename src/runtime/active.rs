//! What the lease holder does, by phase.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::acting::Acting;
use super::agreement::{means, other_fence};
use super::cutover::give_up;
use super::history::Chronicle;
use super::mirror::Mirror;
use super::monitor::Snapshot;
use super::status::{EventLine, LeaseStatus, MirrorStatus, status};
use super::watch::{Outside, stream_is_there};
use super::{Job, Monitor};
use crate::engine::EngineError;
use crate::engine::apply::recent::Recent;
use crate::engine::cutover::unusable_programs;
use crate::engine::provision::{Source, check_source, provision_shadow, same_shadow, same_table};
use crate::engine::state::entities::{EventRecord, Live, Meta, Pin};
use crate::engine::state::entry::{EVENT, LIVE, PIN};
use crate::engine::state::journal::{Journal, Trail};
use crate::engine::state::store::Store;
use crate::engine::tail::{Pinned, pin};
use crate::model::Moment;
use crate::ports::{Clock, Ports, RecordsPage};
use crate::protocol::phase::{Event, Phase, next};
use crate::telemetry::Meters;

/// How long the tables may take to answer while the source may be fenced, or an operator's decision is waited for.
const LOOK: Duration = Duration::from_secs(20);

/// What was seen before a mirror begins.
struct Looked {
    pin: Pin,
    /// The source's item count.
    items: u64,
    outside: Outside,
}

/// A process that holds the lease.
pub(super) struct Active<P> {
    pub(super) ports: Arc<P>,
    pub(super) job: Job,
    pub(super) store: Arc<Store<P>>,
    pub(super) trail: Trail<P>,
    pub(super) meters: Arc<Meters>,
    pub(super) chronicle: Arc<Chronicle>,
    pub(super) monitor: Arc<Monitor>,
    pub(super) stop: CancellationToken,
    /// The source keys that changed last, for the next mirror: a cutover that was given up must not forget what differed.
    pub(super) recent: Mutex<Option<Recent>>,
    /// Requests of a mirror that ended may land until then: the next one waits for it.
    pub(super) landing: Mutex<Option<Moment>>,
    /// What steps of a cutover do outside, here or under a predecessor that did not end well.
    pub(super) acting: Acting<P>,
}

/// Whether an operator must be able to decide, though nothing can be mirrored: the switch is intended, and what stopped the
/// mirror is about the tables, their history, or what may be done with them.
fn leaves_a_decision(phase: Phase, error: &EngineError) -> bool {
    matches!(phase, Phase::Switching | Phase::Switched)
        && matches!(
            error,
            EngineError::Lost(_) | EngineError::Refused { .. } | EngineError::Port(_) | EngineError::Unanswered(_)
        )
}

/// A clean end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// No request of ours can still land.
    pub(super) quiet: bool,
}

impl<P: Ports> Active<P> {
    /// Carries the migration on from its durable phase. `settle`: a predecessor's abandoned requests may land for so
    /// long, and nothing is written before.
    pub(super) async fn run(mut self, settle: Duration) -> Result<Outcome, EngineError> {
        let stop = self.stop.clone();
        if !settle.is_zero() {
            self.acting.may_act_for(settle + self.job.engine.cutover.program_timeout);
        }
        // Until the mirror runs, stopping may interrupt anything: every step is safe to begin again.
        let mut journal = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Outcome { quiet: false }),
            journal = self.take_over(settle) => journal?,
        };
        for problem in unusable_programs(&*self.ports, &self.job.engine.cutover).await {
            tracing::error!(problem, "A PROGRAM CANNOT BE STARTED HERE: no cutover begins before it can");
        }
        self.refuse_other_fence(&mut journal).await?;
        let mut first_pages = HashMap::new();
        loop {
            self.show(journal.meta());
            let outcome = match journal.meta().phase {
                Phase::Planned | Phase::Provisioned => tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(Outcome { quiet: false }),
                    prepared = self.prepare(&mut journal) => prepared.map(|pinned| first_pages = pinned),
                },
                Phase::Copying
                | Phase::Tailing
                | Phase::Fencing
                | Phase::Fenced
                | Phase::Drained
                | Phase::Switching
                | Phase::Switched => {
                    match Box::pin(self.mirror(&mut journal, std::mem::take(&mut first_pages))).await {
                        Ok(Some(outcome)) => return Ok(outcome),
                        Ok(None) => Ok(()),
                        Err(error) if leaves_a_decision(journal.meta().phase, &error) => tokio::select! {
                            biased;
                            () = stop.cancelled() => return Ok(Outcome { quiet: false }),
                            decided = Box::pin(self.without_mirror(&mut journal, &error)) => match decided? {
                                Some(outcome) => return Ok(outcome),
                                None => Ok(()),
                            },
                        },
                        Err(error) => Err(error),
                    }
                }
                Phase::Unfencing => tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        tracing::error!("STOPPED WHILE THE SOURCE MAY BE FENCED: the next run undoes the fence");
                        return Ok(Outcome { quiet: false });
                    }
                    undone = self.undo_fence(&mut journal) => undone,
                },
                phase @ (Phase::NeedsReseed | Phase::Finished | Phase::Aborted) => {
                    let because =
                        journal.meta().reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                    let problem = format!("migration {} is {phase}{because}", journal.meta().migration);
                    return Err(EngineError::refused(problem, phase.advice()));
                }
            };
            if let Err(error) = outcome {
                self.stopped_by(&mut journal, &error).await?;
                return Err(error);
            }
        }
    }

    /// A fence that a predecessor was putting up in another way does not stand because this process's own does, nor because
    /// the operator vouched for another one.
    async fn refuse_other_fence(&self, journal: &mut Journal<P>) -> Result<(), EngineError> {
        match other_fence(&journal.meta().means, &means(&self.job.engine.cutover)) {
            Some(other) if journal.meta().phase == Phase::Fencing => give_up(journal, &other).await,
            _ => Ok(()),
        }
    }

    /// Requests of the mirror that ended may land until `moment`.
    pub(super) fn may_land_until(&self, moment: Moment) {
        *self.landing.lock() = Some(moment);
    }

    /// Invariant 1, from one mirror to the next: what the last one gave up can land no more.
    async fn outlast_landing(&self) {
        let until = self.landing.lock().take();
        if let Some(until) = until {
            let clock = self.ports.clock();
            clock.sleep(until.since(clock.now())).await;
        }
    }

    /// Something ends the process. Before the switch's intent the source must not stay fenced for it.
    async fn stopped_by(&self, journal: &mut Journal<P>, error: &EngineError) -> Result<(), EngineError> {
        let phase = journal.meta().phase;
        if phase.may_be_fenced() && !matches!(error, EngineError::LeaseLost) {
            tracing::error!(%phase, %error, "STOPPED BY AN ERROR WHILE THE SOURCE MAY BE FENCED");
            if next(phase, Event::CutoverGivenUp).is_ok() && phase != Phase::Switching {
                give_up(journal, &error.to_string()).await?;
                self.undo_fence(journal).await?;
            }
        }
        if let EngineError::Lost(reason) = error
            && next(journal.meta().phase, Event::HistoryLost).is_ok()
        {
            journal.transition(Event::HistoryLost, Some(reason)).await?;
        }
        self.show(journal.meta());
        Ok(())
    }

    /// Stores the figures that `status` shows elsewhere.
    pub(super) async fn refresh_live(&self) -> Result<(), EngineError> {
        let Some(status) = self.monitor.status() else { return Ok(()) };
        let at = status.at;
        let status = serde_json::to_value(status)
            .map_err(|error| EngineError::State { entry: LIVE.into(), problem: error.to_string() })?;
        self.store.replace(LIVE, &Live { at, status }).await
    }

    /// Waits for what a predecessor may still do, claims everything durable, and reads the migration's entry.
    async fn take_over(&mut self, settle: Duration) -> Result<Journal<P>, EngineError> {
        if !settle.is_zero() {
            let seconds = settle.as_secs_f64();
            tracing::info!(seconds, "waiting until requests of the previous holder can land no more");
            self.ports.clock().sleep(settle).await;
        }
        let mut journal = self.journal().await?;
        self.vouch(&mut journal).await?;
        self.remember().await;
        Ok(journal)
    }

    /// The last lines of the audit trail, for showing them: nothing depends on them.
    async fn remember(&self) {
        match self.store.load_all::<EventRecord>(EVENT).await {
            Ok(trail) => {
                let trail = trail.into_iter().map(|event| event.value);
                let mut lines: Vec<_> = trail.map(|event| EventLine { at: event.at, what: event.what }).collect();
                lines.sort_by_key(|line| line.at);
                self.chronicle.recall(lines);
            }
            Err(error) => tracing::warn!(%error, "the audit trail cannot be shown"),
        }
    }

    /// One step before the mirror: provision, or pin. The pin's first pages live in this process only.
    async fn prepare(&self, journal: &mut Journal<P>) -> Result<HashMap<String, RecordsPage>, EngineError> {
        if journal.meta().phase == Phase::Planned {
            self.provision(journal).await?;
            return Ok(HashMap::new());
        }
        self.pin(journal).await
    }

    /// Lets status and metrics see the migration before it is mirrored.
    fn show(&self, meta: &Meta) {
        let meta = meta.clone();
        self.show_by(move || (meta.clone(), MirrorStatus::default()));
    }

    /// Lets status and metrics see what `look` says at the moment when they ask.
    pub(super) fn show_by(&self, look: impl Fn() -> (Meta, MirrorStatus) + Send + Sync + 'static) {
        let (ports, lease) = (Arc::clone(&self.ports), Arc::clone(self.store.lease()));
        let chronicle = Arc::clone(&self.chronicle);
        self.monitor.active(move || {
            let (meta, mirror) = look();
            let memory = chronicle.memory(ports.clock().now());
            Snapshot {
                totals: mirror.totals,
                credentials: ports.credentials(),
                status: status(&meta, LeaseStatus::of(&lease), mirror, memory, &*ports),
            }
        });
    }

    async fn pin(&self, journal: &mut Journal<P>) -> Result<HashMap<String, RecordsPage>, EngineError> {
        let source = self.unchanged_source(journal.meta()).await?;
        let Pinned { live, .. } = pin(&*self.ports, &self.store, &source.table.table_id, &source.stream.arn).await?;
        journal.transition(Event::Pinned, None).await?;
        Ok(live)
    }

    async fn mirror(
        &self,
        journal: &mut Journal<P>,
        live: HashMap<String, RecordsPage>,
    ) -> Result<Option<Outcome>, EngineError> {
        let phase = journal.meta().phase;
        let looked = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(Some(Outcome { quiet: false })),
            looked = self.look(journal.meta()) => looked?,
            () = self.ports.clock().sleep(LOOK), if phase.may_be_fenced() => {
                let problem = format!("the tables could not be looked at within {} s", LOOK.as_secs());
                if matches!(phase, Phase::Switching | Phase::Switched) {
                    return Err(EngineError::Unanswered(problem));
                }
                give_up(journal, &problem).await?;
                return Ok(None);
            }
        };
        self.outlast_landing().await;
        Mirror::start(self, journal, looked.pin, live, (looked.items, looked.outside)).await?.run().await
    }

    /// Whether stream and tables are still those that were recorded. Waits for tables that do not answer, and for indexes
    /// that are not active.
    async fn look(&self, meta: &Meta) -> Result<Looked, EngineError> {
        stream_is_there(&*self.ports).await?;
        let source = self.unchanged_source(meta).await?;
        let pin = self.store.load::<Pin>(PIN).await?.map(|stored| stored.value).ok_or_else(|| EngineError::State {
            entry: PIN.into(),
            problem: "is missing, although the migration is past it".into(),
        })?;
        if source.stream.arn != pin.stream_arn {
            return Err(EngineError::Lost(format!(
                "the source's stream was disabled and enabled again: it is {}, pinned is {}",
                source.stream.arn, pin.stream_arn
            )));
        }
        let shadow = match &meta.shadow {
            // It is the application's now, who may change its indexes and settings.
            Some(recorded) if meta.phase == Phase::Switched => same_shadow(&*self.ports, recorded).await?,
            recorded => provision_shadow(&*self.ports, &self.claims(), &self.job.target, recorded.as_ref()).await?,
        };
        let outside = Outside::look(&*self.ports, Ok((&source.table, &shadow)), &self.job.engine.cutover).await;
        Ok(Looked { pin, items: source.table.item_count, outside })
    }

    /// The source, if it is still the one that was recorded.
    async fn unchanged_source(&self, meta: &Meta) -> Result<Source, EngineError> {
        let source = check_source(&*self.ports, self.job.transform.properties().needs_old_images).await?;
        if let Some(recorded) = &meta.source {
            same_table("source", recorded, &source.table)?;
        }
        Ok(source)
    }

    /// Adds a line to the audit trail.
    pub(super) async fn audit(&self, what: &str) -> Result<(), EngineError> {
        self.trail.add(what).await
    }
}
