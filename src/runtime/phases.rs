//! What the lease holder does, by phase.

use std::collections::HashMap;
use std::time::Duration;

use super::active::{Active, Outcome};
use super::agreement::{means, other_fence};
use super::cutover::give_up;
use super::history::EventLine;
use super::mirror::{Looked, Mirror};
use super::watch::{Outside, stream_is_there};
use crate::engine::EngineError;
use crate::engine::cutover::unusable_programs;
use crate::engine::replicate::tail::{Pinned, pin};
use crate::engine::state::entities::{EventRecord, Meta, Pin};
use crate::engine::state::entry::{EVENT, pin_sort};
use crate::engine::state::journal::Journal;
use crate::engine::tables::provision::{Source, check_source, provision_shadow, same_shadow, same_table};
use crate::model::Side;
use crate::ports::{Clock, Ports, RecordsPage};
use crate::protocol::phase::{Event, Phase};

/// How long the tables may take to answer while the source may be fenced, or an operator's decision is waited for.
const LOOK: Duration = Duration::from_secs(20);

/// Whether an operator must be able to decide, though nothing can be mirrored: the switch is intended, and what stopped the
/// mirror is about the tables, their history, or what may be done with them.
fn leaves_a_decision(phase: Phase, error: &EngineError) -> bool {
    matches!(phase, Phase::Switching | Phase::Switched)
        && matches!(
            error,
            EngineError::Lost(_) | EngineError::Refused { .. } | EngineError::Port(_) | EngineError::Unanswered(_)
        )
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
            self.show(journal.meta(), None);
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
            if journal.meta().standing().allows(Event::CutoverGivenUp) && phase != Phase::Switching {
                give_up(journal, &error.to_string()).await?;
                self.undo_fence(journal).await?;
            }
        }
        if let EngineError::Lost(reason) = error
            && journal.meta().standing().allows(Event::HistoryLost)
        {
            journal.transition(Event::HistoryLost, Some(reason)).await?;
        }
        self.show(journal.meta(), None);
        Ok(())
    }

    /// Waits for what a predecessor may still do, claims everything durable, and reads the migration's entry.
    async fn take_over(&mut self, settle: Duration) -> Result<Journal<P>, EngineError> {
        if !settle.is_zero() {
            let seconds = settle.as_secs_f64();
            tracing::info!(seconds, "waiting until requests of the previous holder can land no more");
            self.ports.clock().sleep(settle).await;
        }
        let mut journal = self.open_journal().await?;
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

    async fn pin(&self, journal: &mut Journal<P>) -> Result<HashMap<String, RecordsPage>, EngineError> {
        let source = self.unchanged_source(journal.meta()).await?;
        let on = self.replication(journal.meta().leg());
        let Pinned { live, .. } = pin(&on, &source.table.table_id, &source.stream.arn).await?;
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
        Mirror::start(self, journal, live, looked).await?.run().await
    }

    /// Whether stream and tables are still those that were recorded. Waits for tables that do not answer, and for indexes
    /// that are not active.
    async fn look(&self, meta: &Meta) -> Result<Looked, EngineError> {
        let pin_sort = pin_sort(meta.leg());
        stream_is_there(&*self.ports, meta.leg().from).await?;
        let source = self.unchanged_source(meta).await?;
        let pin = self.store.load::<Pin>(&pin_sort).await?.map(|stored| stored.value).ok_or_else(|| {
            EngineError::State { entry: pin_sort, problem: "is missing, although the migration is past it".into() }
        })?;
        if source.stream.arn != pin.stream_arn {
            return Err(EngineError::Lost(format!(
                "the source's stream was disabled and enabled again: it is {}, pinned is {}",
                source.stream.arn, pin.stream_arn
            )));
        }
        let shadow = match &meta.tables.shadow.identity {
            // It is the application's now, who may change its indexes and settings.
            Some(recorded) if meta.phase == Phase::Switched => same_shadow(&*self.ports, recorded).await?,
            recorded => provision_shadow(&*self.ports, &self.claims(), &self.job.target, recorded.as_ref()).await?,
        };
        let outside = Outside::look(&*self.ports, Ok((&source.table, &shadow)), &self.job.engine.cutover).await;
        Ok(Looked { pin, view: source.stream.view, source: source.table, outside })
    }

    /// The source, if it is still the one that was recorded.
    async fn unchanged_source(&self, meta: &Meta) -> Result<Source, EngineError> {
        let source = check_source(&*self.ports, self.job.transform.properties().needs_old_images).await?;
        if let Some(recorded) = &meta.tables.source.identity {
            same_table(Side::Source, recorded, &source.table)?;
        }
        Ok(source)
    }
}
