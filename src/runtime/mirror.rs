//! Copy and tail at the same time, through one applier, until something ends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::active::{Active, Outcome};
use super::commands::{LoopControl, pending};
use super::progress;
use super::status::{ApplyStatus, CopyStatus, MirrorStatus, TailStatus};
use super::watch::{Outside, watch_tables};
use crate::engine::EngineError;
use crate::engine::apply::core::Intake;
use crate::engine::apply::mapping::Mapping;
use crate::engine::apply::recent::Recent;
use crate::engine::apply::{Applier, Quarantine};
use crate::engine::copy::{Copier, CopyParts};
use crate::engine::cutover::StepEnd;
use crate::engine::state::entities::{Meta, Pin};
use crate::engine::state::journal::Journal;
use crate::engine::tail::{Tail, TailParts};
use crate::engine::watched::Watched;
use crate::ports::{Clock, Ports, RecordsPage};
use crate::protocol::command::Paused;
use crate::protocol::cutover::Step;
use crate::protocol::phase::{Event, Phase};

/// How long the service keeps stream records.
const RETENTION: Duration = Duration::from_hours(24);
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
    /// What status and metrics see of the migration.
    shown: Arc<Mutex<Meta>>,
    pin: Pin,
    pub(super) parts: Parts<P>,
    paused: Arc<Watched<Paused>>,
    /// This mirror stored the switch's intent, and no switch ended since.
    pub(super) intent_is_fresh: bool,
    /// Changes after the switch's intent that were logged.
    pub(super) late_told: u64,
}

/// The parts that work, and that status looks at.
pub(super) struct Parts<P> {
    pub(super) applier: Arc<Applier<P>>,
    copier: Arc<Copier<P>>,
    pub(super) tail: Arc<Tail<P>>,
    items_expected: u64,
    /// What was seen at the last look.
    outside: Arc<Mutex<Outside>>,
}

impl<P> Clone for Parts<P> {
    fn clone(&self) -> Self {
        Self {
            applier: Arc::clone(&self.applier),
            copier: Arc::clone(&self.copier),
            tail: Arc::clone(&self.tail),
            items_expected: self.items_expected,
            outside: Arc::clone(&self.outside),
        }
    }
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
        pin: Pin,
        live: HashMap<String, RecordsPage>,
        (items_expected, outside): (u64, Outside),
    ) -> Result<Self, EngineError> {
        let (ports, store, meters, job) = (&active.ports, &active.store, &active.meters, &active.job);
        let mapping = Mapping::new(job.transform.clone(), job.source_key.clone());
        let quarantine = Quarantine::new(job.source_key.clone(), job.target.key_schema());
        let quarantined = quarantine.load(store).await?;
        let recent = active.recent.lock().take();
        let recent = recent.unwrap_or_else(|| Recent::new(job.engine.apply.recent_keys));
        let paused = Arc::new(Watched::new(journal.meta().paused));
        let applier = Arc::new(Applier::new(
            Arc::clone(ports),
            Arc::clone(store),
            job.engine.apply.clone(),
            mapping,
            quarantine,
            (quarantined, recent),
            Arc::clone(meters),
        ));
        let tail = TailParts {
            pin: pin.clone(),
            live,
            settings: job.engine.tail.clone(),
            lease: job.engine.lease.clone(),
            paused: Arc::clone(&paused),
            closed: journal.meta().phase.is_closed(),
        };
        applier.inspect(|core| {
            core.set_intake(match journal.meta().phase {
                Phase::Switching => Intake::Held,
                phase if phase.is_closed() => Intake::Closed,
                _ => Intake::Open,
            });
        });
        let tail = Tail::resume(Arc::clone(ports), Arc::clone(&applier), Arc::clone(store), Arc::clone(meters), tail);
        let tail = Arc::new(tail.await?);
        let copy = CopyParts {
            segments: journal.meta().segments,
            source: job.source_key.clone(),
            settings: job.engine.copy.clone(),
            lease: job.engine.lease.clone(),
            paused: Arc::clone(&paused),
        };
        let copier =
            Copier::resume(Arc::clone(ports), Arc::clone(&applier), Arc::clone(store), Arc::clone(meters), copy);
        let copier = Arc::new(copier.await?);
        let shown = Arc::new(Mutex::new(journal.meta().clone()));
        Ok(Self {
            active,
            journal,
            shown,
            pin,
            parts: Parts { applier, copier, tail, items_expected, outside: Arc::new(Mutex::new(outside)) },
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
        let landed = in_time && self.parts.applier.inspect(|core| core.nothing_can_land(clock.now()));
        if ended == LoopControl::Unfences {
            if !landed {
                self.active.may_land_until(clock.now().plus(self.active.job.engine.apply.abandon));
            }
            let recent = self.parts.applier.inspect(|core| core.recent().clone());
            *self.active.recent.lock() = Some(recent);
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
        let (ports, meta, pin) = (Arc::clone(&self.active.ports), self.journal.meta().clone(), self.pin.clone());
        let (interval, stop) = (WATCH.min(self.active.job.engine.tail.discover), readers.clone());
        let (outside, settings) = (Arc::clone(&self.parts.outside), self.active.job.engine.cutover.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(Ended::Stopped),
                watched = watch_tables(&*ports, &meta, &pin, (interval, &settings), &outside) => {
                    watched.map(|()| Ended::Stopped)
                }
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
        self.parts.tail.save().await?;
        self.parts.copier.save().await?;
        self.active.refresh_live().await?;
        failed.map_or(Ok(()), Err)
    }

    /// Lets status and metrics see the present state.
    pub(super) fn show(&self) {
        *self.shown.lock() = self.journal.meta().clone();
        let (working, shown, ports) = (self.parts.clone(), Arc::clone(&self.shown), Arc::clone(&self.active.ports));
        let settings = self.active.job.engine.cutover.clone();
        self.active.show_by(move || {
            let meta = shown.lock().clone();
            let mirror = working.status(meta.phase, &*ports);
            let outside = working.outside.lock().clone();
            // After the switch there is no cutover to come.
            let to_come = meta.phase != Phase::Switched;
            let mut gates = if to_come { mirror.gates(&meta, &settings, outside) } else { Vec::new() };
            for gate in gates.iter_mut().filter(|gate| gate.holds) {
                gate.remedy.clear();
            }
            (meta, MirrorStatus { gates, ..mirror })
        });
    }
}

impl<P: Ports> Parts<P> {
    pub(super) fn status(&self, phase: Phase, ports: &P) -> MirrorStatus {
        let (copy, tail, now) = (self.copier.progress(), self.tail.figures(), ports.clock().latest_service());
        let (counts, superseded, quarantine, discarded, quiet) = self.applier.inspect(|core| {
            let (counts, superseded) = core.counts();
            (counts, superseded, core.quarantined(), core.pages_discarded(), core.is_quiet(ports.clock().now()))
        });
        let quiet_since = tail.last_change.unwrap_or(tail.known_through);
        let complete = phase != Phase::Copying;
        MirrorStatus {
            lag_seconds: tail.lag.map(|lag| lag.as_secs_f64()),
            headroom_seconds: tail.lag.map(|_| RETENTION.saturating_sub(now.since(tail.known_through)).as_secs_f64()),
            since_poll_seconds: tail.since_poll.map(|since| since.as_secs_f64()),
            quiet_seconds: if quiet && tail.caught_up { now.since(quiet_since).as_secs_f64() } else { 0.0 },
            copy: CopyStatus {
                segments: copy.segments,
                segments_done: copy.segments_done,
                items: copy.items,
                items_expected: self.items_expected,
                ratio: if complete { 1.0 } else { ratio(copy.items, self.items_expected) },
                eta_seconds: None,
                eta_at_most_seconds: None,
            },
            tail: TailStatus {
                shards_open: tail.open,
                shards_waiting: tail.waiting,
                shards_finished: tail.finished,
                caught_up: tail.caught_up,
            },
            apply: ApplyStatus { pending: counts.held, in_flight: counts.in_flight, bytes: counts.held_bytes },
            quarantine,
            gates: Vec::new(),
            totals: (counts.coalesced, superseded, discarded),
        }
    }
}

/// Below 1 while the copy goes on: the service's count may be hours old.
fn ratio(items: u64, expected: u64) -> f64 {
    let thousandths = items.saturating_mul(1000).checked_div(expected).unwrap_or(0).min(999);
    u32::try_from(thousandths).map_or(0.0, |thousandths| f64::from(thousandths) / 1000.0)
}
