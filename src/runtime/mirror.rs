//! Copy and tail at the same time, through one applier, until something ends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::active::{Active, Outcome};
use super::commands::{LoopControl, pending};
use super::parts::Parts;
use super::progress;
use super::watch::{Outside, TableWatch};
use crate::engine::CopySettings;
use crate::engine::EngineError;
use crate::engine::cutover::StepEnd;
use crate::engine::replicate::apply::mapping::Mapping;
use crate::engine::replicate::apply::recent::Recent;
use crate::engine::replicate::apply::{Applier, ApplyParts, Quarantine};
use crate::engine::replicate::copy::{Copier, CopyParts};
use crate::engine::replicate::tail::{Tail, TailParts};
use crate::engine::state::entities::Pin;
use crate::engine::state::journal::Journal;
use crate::engine::watched::Watched;
use crate::model::{TableDescription, ViewType};
use crate::ports::{Clock, Ports, RecordsPage};
use crate::protocol::command::Paused;
use crate::protocol::cutover::Step;
use crate::protocol::leg::Intake;
use crate::protocol::phase::{Event, Phase};

/// How often commands are looked for.
const COMMAND_POLL: Duration = Duration::from_millis(500);
/// How often `LIVE` is refreshed.
const LIVE_REFRESH: Duration = Duration::from_secs(2);
/// How soon a pause takes hold at most between two looks at the tables.
const WATCH: Duration = Duration::from_secs(30);

/// A running migration.
pub(super) struct Mirror<'a, P> {
    pub(super) active: &'a Active<P>,
    pub(super) journal: &'a mut Journal<P>,
    pin: Pin,
    pub(super) parts: Parts<P>,
    paused: Arc<Watched<Paused>>,
    /// This mirror stored the switch's intent, and no switch ended since.
    pub(super) intent_is_fresh: bool,
    /// Changes after the switch's intent that were logged.
    pub(super) late_told: u64,
}

/// What was seen before a mirror begins.
pub(super) struct Looked {
    pub(super) pin: Pin,
    /// What the records of the source's stream carry.
    pub(super) view: ViewType,
    pub(super) source: TableDescription,
    pub(super) outside: Outside,
}

/// What ended by itself.
enum Ended {
    CopyComplete,
    Stopped,
}

impl<'a, P: Ports> Mirror<'a, P> {
    /// Resumes applier, copy and tail from what is durable.
    pub(super) async fn start(
        active: &'a Active<P>,
        journal: &'a mut Journal<P>,
        live: HashMap<String, RecordsPage>,
        looked: Looked,
    ) -> Result<Self, EngineError> {
        let Looked { pin, view, source, outside } = looked;
        let (job, leg) = (&active.job, journal.meta().leg());
        let on = active.replication(leg);
        let quarantine = Quarantine::new(leg, job.keys());
        let quarantined = quarantine.load(&active.store).await?;
        let recent = active.recent.lock().take();
        let paused = Arc::new(Watched::new(journal.meta().paused));
        let apply = ApplyParts {
            settings: job.engine.apply.clone(),
            mapping: Mapping::new(job.transform.clone(), job.source_key.clone()),
            quarantined,
            quarantine: quarantine.clone(),
            recent: recent.unwrap_or_else(|| Recent::new(job.engine.apply.recent_keys)),
            intake: Intake::of(leg, journal.meta().standing()),
        };
        let applier = Arc::new(Applier::new(on.clone(), apply));
        let tail = TailParts {
            pin: pin.clone(),
            view,
            live,
            settings: job.engine.tail.clone(),
            lease: job.engine.lease.clone(),
            paused: Arc::clone(&paused),
        };
        let tail = Arc::new(Tail::resume(on.clone(), Arc::clone(&applier), tail).await?);
        let read_budget = job.engine.copy.read_budget(source.layout.billing);
        if let Some(units) = read_budget.filter(|_| job.engine.copy.read_units_per_second.is_none()) {
            tracing::info!(
                "the copy reads {units} units a second, a share of the source's capacity: copy.read_units_per_second sets another"
            );
        }
        active.chronicle.bound(read_budget);
        let copy = CopyParts {
            segments: journal.meta().segments,
            source: job.source_key.clone(),
            settings: CopySettings { read_units_per_second: read_budget, ..job.engine.copy.clone() },
            lease: job.engine.lease.clone(),
            paused: Arc::clone(&paused),
        };
        let copier = Arc::new(Copier::resume(on, Arc::clone(&applier), copy).await?);
        Ok(Self {
            active,
            journal,
            pin,
            parts: Parts {
                leg,
                applier,
                quarantine,
                copier,
                tail,
                items_expected: source.item_count,
                outside: Arc::new(Mutex::new(outside)),
            },
            paused,
            intent_is_fresh: false,
            late_told: 0,
        })
    }

    /// Runs until it is stopped, ended, or cannot go on; then lets writes finish and saves checkpoints, within the grace.
    /// `None`: the phase is another one, in which nothing is mirrored.
    pub(super) async fn run(mut self) -> Result<Option<Outcome>, EngineError> {
        self.resume_cutover().await?;
        if self.journal.meta().reason.is_some() {
            // It was about not being mirrored.
            self.journal.edit(|meta| meta.reason = None).await?;
        }
        self.show();
        if let Some(status) = self.active.monitor.status() {
            tracing::info!("mirroring from what is durable: {}", progress::line(&status));
        }
        let (readers, writer) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        self.start_tasks(&mut tasks, &readers, &writer);
        let mut steps = JoinSet::new();
        let ended = self.work(&mut tasks, &mut steps).await;
        // A step that is cut short is begun again by the next run.
        steps.shutdown().await;
        // Without the lease nothing may be saved; after a defect nothing should be: what a panic left half done may look durable.
        if ended.as_ref().is_err_and(|error| matches!(error, EngineError::LeaseLost) || error.is_defect()) {
            return ended.map(|_| None);
        }
        let clock = self.active.ports.clock();
        let wound_down = tokio::select! {
            biased;
            wound_down = self.wind_down(&mut tasks, &readers, &writer) => wound_down.map(|()| true),
            () = clock.sleep(self.active.job.engine.lease.grace) => Ok(false),
        };
        let ended = ended?;
        let in_time = match wound_down {
            // Opening the source comes before everything else.
            Err(error) if ended == LoopControl::Unfences => {
                tracing::error!(%error, "winding down failed; the fence is undone nevertheless");
                false
            }
            wound_down => wound_down?,
        };
        if !in_time {
            tracing::warn!("writes did not finish within the grace; what is not durable is read again by the next run");
        }
        let landed = in_time && self.parts.applier.nothing_can_land();
        if ended == LoopControl::Unfences {
            if !landed {
                self.active.may_land_until(clock.now().plus(self.active.job.engine.apply.abandon));
            }
            *self.active.recent.lock() = Some(self.parts.applier.recent());
            return Ok(None);
        }
        Ok(Some(Outcome { quiet: landed && self.active.acting.is_over() }))
    }

    fn start_tasks(
        &self,
        tasks: &mut JoinSet<Result<Ended, EngineError>>,
        readers: &CancellationToken,
        writer: &CancellationToken,
    ) {
        let Parts { applier, copier, tail, .. } = self.parts.clone();
        let run = Arc::clone(&applier).run(writer.clone());
        tasks.spawn(async move { run.await.map(|()| Ended::Stopped) });
        let run = applier.reread(readers.clone());
        tasks.spawn(async move { run.await.map(|()| Ended::Stopped) });
        let run = tail.run(readers.clone());
        tasks.spawn(async move { run.await.map(|()| Ended::Stopped) });
        if self.journal.meta().phase == Phase::Copying {
            let run = copier.run(readers.clone());
            tasks.spawn(async move {
                run.await.map(|complete| if complete { Ended::CopyComplete } else { Ended::Stopped })
            });
        }
        let (engine, stop) = (&self.active.job.engine, readers.clone());
        let watch = TableWatch {
            ports: Arc::clone(&self.active.ports),
            meta: self.journal.meta().clone(),
            pin: self.pin.clone(),
            settings: engine.cutover.clone(),
            interval: WATCH.min(engine.tail.discover),
            outside: Arc::clone(&self.parts.outside),
        };
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(Ended::Stopped),
                watched = watch.run() => watched.map(|()| Ended::Stopped),
            }
        });
    }

    /// Until the operator, an error or the lease ends it.
    async fn work(
        &mut self,
        tasks: &mut JoinSet<Result<Ended, EngineError>>,
        steps: &mut JoinSet<StepEnd>,
    ) -> Result<LoopControl, EngineError> {
        let clock = self.active.ports.clock();
        let (stop, lost) = (self.active.stop.clone(), self.active.store.lease().lost().clone());
        let mut live_due = clock.now();
        let mut told = JoinSet::new();
        self.go_on(steps).await?;
        loop {
            // The lease first, since nothing may be written without it; then stopping, then what failed, then the cutover,
            // then commands.
            tokio::select! {
                biased;
                () = lost.cancelled() => return Err(EngineError::LeaseLost),
                () = stop.cancelled() => {
                    if Step::of(self.journal.meta().phase).is_some() {
                        let phase = self.journal.meta().phase;
                        tracing::error!(%phase, "STOPPED WHILE THE SOURCE MAY BE FENCED: the next run carries on or undoes it");
                    }
                    return Ok(LoopControl::GoesOn);
                }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    match ended.map_err(|error| EngineError::Task(error.to_string()))?? {
                        Ended::CopyComplete => {
                            self.journal.transition(Event::CopyComplete, None).await?;
                            self.show();
                        }
                        Ended::Stopped => {}
                    }
                }
                Some(ended) = steps.join_next(), if !steps.is_empty() => {
                    let ended = ended.map_err(|error| EngineError::Task(error.to_string()))?;
                    if self.step_ended(ended).await? {
                        return Ok(LoopControl::Unfences);
                    }
                    self.go_on(steps).await?;
                }
                Some(ended) = told.join_next(), if !told.is_empty() => {
                    let ended = ended.map_err(|error| EngineError::Task(error.to_string()))?;
                    self.told_ready(ended).await?;
                }
                () = clock.sleep(COMMAND_POLL) => {
                    let live = clock.now() >= live_due;
                    // Both wait for a state table that is out of reach; stopping does not wait with them.
                    let done = tokio::select! {
                        biased;
                        () = stop.cancelled() => continue,
                        done = self.attend(live, steps) => done?,
                    };
                    if done != LoopControl::GoesOn {
                        return Ok(done);
                    }
                    if live {
                        self.tell_ready(&mut told);
                        live_due = clock.now().plus(LIVE_REFRESH);
                    }
                }
            }
        }
    }

    /// Looks after the state table.
    async fn attend(&mut self, live: bool, steps: &mut JoinSet<StepEnd>) -> Result<LoopControl, EngineError> {
        self.look_for_late();
        let done = self.obey(steps).await?;
        if live && done == LoopControl::GoesOn {
            self.active.refresh_live().await?;
        }
        Ok(done)
    }

    /// Does what operators asked.
    async fn obey(&mut self, steps: &mut JoinSet<StepEnd>) -> Result<LoopControl, EngineError> {
        // One at a time: what it changed may change what the next one may do, and how old that is by then.
        while let Some(command) = pending(self.active, self.journal.meta()).await?.into_iter().next() {
            let Some(doing) = self.active.begin(self.journal, command).await? else { continue };
            let end = self.obey_verb(&doing.command().verb, steps).await;
            self.paused.set(self.journal.meta().paused);
            self.show();
            let done = end.as_ref().map_or(LoopControl::GoesOn, |(done, _)| *done);
            self.active.answer(self.journal, doing, end.map(|(_, answer)| answer)).await?;
            if done != LoopControl::GoesOn {
                return Ok(done);
            }
            self.go_on(steps).await?;
        }
        Ok(LoopControl::GoesOn)
    }

    /// Starts what the present phase asks for, unless a failed switch waits for the operator's word.
    async fn go_on(&mut self, steps: &mut JoinSet<StepEnd>) -> Result<(), EngineError> {
        let asks = self.journal.meta().cutover.as_ref().is_some_and(|cutover| cutover.trouble.is_some());
        if self.journal.meta().phase == Phase::Switching && asks { Ok(()) } else { self.start_step(steps).await }
    }

    /// Readers first, then the writer, so that what was offered may still finish; then checkpoints.
    async fn wind_down(
        &self,
        tasks: &mut JoinSet<Result<Ended, EngineError>>,
        readers: &CancellationToken,
        writer: &CancellationToken,
    ) -> Result<(), EngineError> {
        readers.cancel();
        writer.cancel();
        let mut failed = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(error) => failed = failed.or(Some(EngineError::Task(error.to_string()))),
            }
        }
        self.parts.tail.save_all().await?;
        self.parts.copier.save_all().await?;
        self.active.refresh_live().await?;
        failed.map_or(Ok(()), Err)
    }

    /// Lets status and metrics see the present state.
    pub(super) fn show(&self) {
        self.active.show(self.journal.meta(), Some(&self.parts));
    }
}
