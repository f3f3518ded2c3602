//! Drives a cutover: starts the step of the present phase, and turns its end into the next phase. Does what operators ask
//! meanwhile.
//!
//! Each step is written to the audit trail before and after. The phase says all that a restart needs; see
//! `protocol::cutover` for what follows on what.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::active::Active;
use super::commands::{LoopControl, compare, pause, retry};
use super::mirror::Mirror;
use super::status::MirrorStatus;
use super::watch::Outside;
use crate::engine::EngineError;
use crate::engine::cutover::{Deeds, Obstacle, Occasion, StepEnd, Steps, Subject};
use crate::engine::state::entities::{Answer, CutoverRecord, Meta, RestlessRecord};
use crate::engine::state::entry::{RESTLESS, unique_name};
use crate::engine::state::journal::Journal;
use crate::engine::{CutoverSettings, Fence, Switch};
use crate::model::{Side, Sides};
use crate::ports::{Clock, Ports, ProgramFailure, TableAdmin};
use crate::protocol::command::{Act, Activity, Paused, Refusal, Verb, decide};
use crate::protocol::cutover::{Figures, Gate, Step, gates};
use crate::protocol::leg::Intake;
use crate::protocol::phase::{Event, Phase};

pub(super) const VOUCHED_SWITCH: &str = "cutover: the operator vouches that the application uses the shadow";
pub(super) const GIVEN_UP: &str = "the cutover is given up; the fence is undone";

/// What programs are told.
pub(super) fn subject(meta: &Meta) -> Subject {
    let cutover = meta.cutover.as_ref();
    Subject {
        migration: meta.migration.clone(),
        cutover: cutover.map(|cutover| cutover.id.clone()).unwrap_or_default(),
        leader: meta.leader,
        tables: Sides::of(|side| meta.name(side).to_owned()),
        reason: cutover.and_then(|cutover| cutover.trouble.clone()).unwrap_or_default(),
    }
}

fn set_trouble(meta: &mut Meta, trouble: Option<String>) {
    if let Some(cutover) = &mut meta.cutover {
        cutover.trouble = trouble;
    }
}

/// Gives a cutover up whose fence may stand. The next phase undoes it.
pub(super) async fn give_up<P: Ports>(journal: &mut Journal<P>, reason: &str) -> Result<(), EngineError> {
    journal.transition_with(Event::CutoverGivenUp, None, |meta| set_trouble(meta, Some(reason.to_owned()))).await
}

/// After the intent nothing is undone by itself: an operator decides.
pub(super) async fn note_trouble<P: Ports>(journal: &mut Journal<P>, trouble: String) -> Result<(), EngineError> {
    tracing::error!(
        trouble,
        "THE SWITCH FAILED and the source stays fenced. Look where the application writes, then: `shadowtable cutover \
         --again`, or `--declare-switched`, or, if nothing writes to the shadow, `shadowtable unfence --vouch`"
    );
    journal.edit(|meta| set_trouble(meta, Some(trouble))).await
}

/// Forgets what kept the cutover from going on. Returns whether there was something.
pub(super) async fn clear_trouble<P: Ports>(journal: &mut Journal<P>) -> Result<bool, EngineError> {
    let troubled = journal.meta().cutover.as_ref().is_some_and(|cutover| cutover.trouble.is_some());
    if troubled {
        journal.edit(|meta| set_trouble(meta, None)).await?;
    }
    Ok(troubled)
}

/// Which gates keep a cutover from beginning, and what to do about each.
fn refusal(gates: &[Gate]) -> String {
    let closed: Vec<_> = gates.iter().filter(|gate| !gate.holds).collect();
    let count = if closed.len() == 1 { "1 gate does".to_owned() } else { format!("{} gates do", closed.len()) };
    let lines = closed.iter().map(|gate| format!("{}: {}; {}", gate.name, gate.figure, gate.remedy));
    [format!("no cutover begins: {count} not hold")].into_iter().chain(lines).collect::<Vec<_>>().join("\n  ")
}

/// Where a write may come from that the fence here does not stop in time.
fn unvouched(meta: &Meta, source: &[String]) -> impl Iterator<Item = String> {
    source.iter().filter(|_| !meta.single_writer_region).map(|region| format!("the source in {region}"))
}

impl MirrorStatus {
    /// The gates of a cutover.
    pub(super) fn gates(&self, meta: &Meta, settings: &CutoverSettings, outside: Outside) -> Vec<Gate> {
        let missing = [("cutover.fence", settings.fence.is_none()), ("cutover.switch", settings.switch.is_none())];
        let span = |seconds: Option<f64>| seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let leg = self.leg.as_ref();
        let figures = Figures {
            phase: meta.phase,
            paused: meta.paused != Paused::None,
            postponed: meta.postponed,
            segments_left: usize::try_from(self.copy.segments - self.copy.segments_done).unwrap_or(usize::MAX),
            lag: span(leg.and_then(|leg| leg.lag_seconds)),
            headroom: span(leg.and_then(|leg| leg.headroom_seconds)),
            quarantined: leg.map_or(0, |leg| leg.quarantine),
            inactive: outside.inactive,
            leader: meta.name(meta.leader).to_owned(),
            pointer: outside.pointer,
            unusable: outside.unusable,
            replicas: unvouched(meta, &outside.source_replicas).chain(outside.other_replicas).collect(),
            missing: missing.into_iter().filter_map(|(key, missing)| missing.then_some(key)).collect(),
        };
        gates(&figures, &settings.limits())
    }
}

impl<P: Ports> Active<P> {
    /// Runs the hook on-failure.
    pub(super) async fn tell_failure(&self, journal: &Journal<P>) -> Result<(), EngineError> {
        self.tell(&self.deeds(journal.meta()), Occasion::OnFailure).await
    }

    /// The application uses the shadow. `stored` is done once that is durable, and before the hook.
    pub(super) async fn switched(&self, journal: &mut Journal<P>, stored: impl FnOnce()) -> Result<(), EngineError> {
        let reason = journal.meta().reason.clone();
        journal.transition_with(Event::Switched, reason.as_deref(), |meta| set_trouble(meta, None)).await?;
        stored();
        self.tell(&self.deeds(journal.meta()), Occasion::AfterSwitch).await
    }

    /// Runs a hook whose failure changes nothing.
    pub(super) async fn tell(&self, deeds: &Deeds<P>, occasion: Occasion) -> Result<(), EngineError> {
        match deeds.hook(occasion).await {
            None => Ok(()),
            Some(ended) => self.hook_ended(occasion, ended).await,
        }
    }

    /// What a cutover of this migration does outside.
    pub(super) fn deeds(&self, meta: &Meta) -> Deeds<P> {
        let engine = &self.job.engine;
        Deeds {
            ports: Arc::clone(&self.ports),
            settings: engine.cutover.clone(),
            subject: subject(meta),
            abandon: engine.apply.abandon,
        }
    }

    async fn hook_ended(&self, occasion: Occasion, ended: Result<String, ProgramFailure>) -> Result<(), EngineError> {
        match ended {
            Ok(_) => self.audit(&format!("the hook {occasion} ended well")).await,
            Err(failure) => {
                tracing::error!(%failure, %occasion, "a hook failed");
                self.audit(&format!("the hook {occasion} failed: {failure}")).await
            }
        }
    }
}

impl<P: Ports> Mirror<'_, P> {
    /// Starts the step of the present phase, if it has one and it is not under way.
    pub(super) async fn start_step(&mut self, steps: &mut JoinSet<StepEnd>) -> Result<(), EngineError> {
        let Some(step) = Step::of(self.journal.meta().phase).filter(|_| steps.is_empty()) else { return Ok(()) };
        // What kept it from going on before is to be tried again: nobody shall take it for this attempt's end.
        if clear_trouble(self.journal).await? {
            self.show();
        }
        let work = self.steps();
        self.active.audit(&format!("cutover: the {step} begins")).await?;
        tracing::info!(%step, "a step of the cutover begins");
        let work = async move { work.run(step).await };
        if step.acts() {
            let work = self.active.acting.drive(work);
            steps.spawn(async move { StepEnd { step, outcome: work.await } });
        } else {
            steps.spawn(async move { StepEnd { step, outcome: work.await } });
        }
        Ok(())
    }

    fn steps(&self) -> Steps<P> {
        let deeds = self.active.deeds(self.journal.meta());
        let cutover = self.journal.meta().cutover.as_ref();
        let now = self.active.ports.clock().service();
        let begun = cutover.map_or(now, |cutover| cutover.begun);
        Steps {
            left: deeds.settings.fenced_limit.saturating_sub(now.since(begun)),
            deeds,
            applier: self.parts.applier.clone(),
            tail: self.parts.tail.clone(),
            fenced: cutover.and_then(|cutover| cutover.fenced),
            acting: self.active.acting.until(),
        }
    }

    /// A restart in the middle of a cutover: what was drained must be drained again.
    pub(super) async fn resume_cutover(&mut self) -> Result<(), EngineError> {
        let phase = self.journal.meta().phase;
        if phase.is_of_a_cutover() {
            tracing::warn!(%phase, "a cutover was under way: the source may be fenced; it goes on");
        }
        if phase == Phase::Drained {
            self.journal.transition(Event::Stirred, Some("the process was restarted")).await?;
        }
        Ok(())
    }

    /// A step ended. Returns whether the fence is to be undone now.
    pub(super) async fn step_ended(&mut self, StepEnd { step, outcome }: StepEnd) -> Result<bool, EngineError> {
        let active = self.active;
        let fresh = step == Step::Switch && std::mem::take(&mut self.intent_is_fresh);
        match outcome {
            Ok(seen) => {
                tracing::info!(%step, seen, "a step of the cutover ended");
                active.audit(&format!("cutover: the {step} ended: {seen}")).await?;
                match step {
                    Step::Fence => {
                        let fenced = active.ports.clock().service();
                        let note = |meta: &mut Meta| {
                            if let Some(cutover) = &mut meta.cutover {
                                cutover.fenced = Some(fenced);
                            }
                        };
                        self.journal.transition_with(step.done(), None, note).await?;
                    }
                    Step::Recheck => {
                        if let Some(obstacle) = self.intend().await? {
                            give_up(self.journal, &obstacle.to_string()).await?;
                            self.show();
                            return Ok(true);
                        }
                    }
                    Step::Switch => self.switched().await?,
                    Step::Drain | Step::Unfence => self.journal.transition(step.done(), None).await?,
                }
                self.show();
                Ok(false)
            }
            Err(failure) => {
                tracing::error!(%step, reason = %failure, "a step of the cutover failed");
                active.audit(&format!("cutover: the {step} failed: {failure}")).await?;
                if !failure.keys().is_empty() {
                    let keys = &active.job.keys()[self.journal.meta().leader];
                    let keys = failure.keys().iter().map(|key| keys.to_json(key)).collect();
                    let cutover = subject(self.journal.meta()).cutover;
                    active.store.replace(RESTLESS, &RestlessRecord { cutover, keys }).await?;
                }
                // Whoever stored the intent and never began the switch knows that the application is where it was.
                if step.failed().is_some() || (failure.not_begun && fresh) {
                    give_up(self.journal, &format!("the {step} failed: {failure}")).await?;
                    self.show();
                    return Ok(true);
                }
                note_trouble(self.journal, format!("the switch failed: {failure}")).await?;
                self.show();
                active.tell_failure(self.journal).await?;
                Ok(false)
            }
        }
    }

    /// Holds the intake, and stores the switch's intent if nothing stirred since the drain. If something did while the
    /// intake was held, that is returned: such a change is only applied by a mirror that begins anew.
    async fn intend(&mut self) -> Result<Option<Obstacle>, EngineError> {
        let steps = self.steps();
        // What is durable is saved first: a restart must not take it for late.
        self.parts.tail.save_all().await?;
        if let Err(obstacle) = steps.is_undisturbed() {
            self.journal.transition(Event::Stirred, Some(&obstacle.to_string())).await?;
            return Ok(None);
        }
        // What another thread offers between the looks is seen by the second one; on one thread, it is given the chance.
        tokio::task::yield_now().await;
        self.parts.applier.set_intake(Intake::Held);
        match steps.is_undisturbed() {
            Ok(()) => {
                self.journal.transition(Event::SwitchIntended, None).await?;
                self.intent_is_fresh = true;
                Ok(None)
            }
            Err(obstacle) => Ok(Some(obstacle)),
        }
    }

    async fn switched(&mut self) -> Result<(), EngineError> {
        // Until the phase is stored, no checkpoint may pass a late change: the switch may still be given up.
        let applier = Arc::clone(&self.parts.applier);
        self.active.switched(self.journal, || applier.set_intake(Intake::Closed)).await
    }

    /// Runs the hook on-ready when all gates hold for the first time.
    pub(super) fn tell_ready(&self, told: &mut JoinSet<Result<String, ProgramFailure>>) {
        let hook = self.active.job.engine.cutover.hooks.on_ready.as_ref();
        let ready = || {
            let gates = self.active.monitor.status().map(|status| status.gates).unwrap_or_default();
            !gates.is_empty() && gates.iter().all(|gate| gate.holds)
        };
        if hook.is_none() || self.journal.meta().told_ready || !told.is_empty() || !ready() {
            return;
        }
        tracing::info!("all gates of a cutover hold");
        let deeds = self.active.deeds(self.journal.meta());
        told.spawn(async move { deeds.hook(Occasion::OnReady).await.unwrap_or_else(|| Ok(String::new())) });
    }

    /// The hook on-ready ended. It is not run again for this shadow.
    pub(super) async fn told_ready(&mut self, ended: Result<String, ProgramFailure>) -> Result<(), EngineError> {
        self.journal.edit(|meta| meta.told_ready = true).await?;
        self.active.hook_ended(Occasion::OnReady, ended).await
    }

    /// The gates, as of now.
    async fn gates(&self) -> Result<Vec<Gate>, EngineError> {
        let (active, meta) = (self.active, &self.journal.meta());
        let settings = &active.job.engine.cutover;
        let status = self.parts.status(meta.standing(), &*active.ports);
        let (source, shadow) = (active.ports.admin(Side::Source), active.ports.admin(Side::Shadow));
        let found = (source.describe().await, shadow.describe().await);
        let tables = match &found {
            (Ok(Some(source)), Ok(Some(shadow))) => Ok((source, shadow)),
            (Ok(None), _) => Err(format!("the source {} does not exist", source.place())),
            (_, Ok(None)) => Err(format!("the shadow {} does not exist", shadow.place())),
            (Err(error), _) | (_, Err(error)) => Err(format!("not known: {error}")),
        };
        let outside = Outside::look(&*active.ports, tables, settings).await;
        Ok(status.gates(meta, settings, outside))
    }

    /// Does what an operator asks, if it may be done.
    pub(super) async fn obey_verb(
        &mut self,
        verb: &Verb,
        steps: &mut JoinSet<StepEnd>,
    ) -> Result<(LoopControl, Answer), EngineError> {
        let activity = Activity::Mirroring { step: !steps.is_empty(), leftover: !self.active.acting.is_over() };
        let phase = self.journal.meta().phase;
        let done = |message: &str| Answer::new(true, message);
        let answer = match decide(activity, phase, verb) {
            Err(refusal) => Answer::new(false, refusal.told(phase)),
            Ok(Act::Pause(paused)) => Answer::new(true, pause(self.active, self.journal, paused).await?),
            Ok(Act::Abort) => {
                self.journal.transition(Event::Abort, None).await?;
                return Ok((LoopControl::Ended, done("the migration is aborted")));
            }
            Ok(Act::Cutover { dry_run, by, fenced }) => self.begin_cutover(dry_run, by, fenced).await?,
            Ok(Act::Compare) => compare(&*self.active.ports).await,
            Ok(Act::TrySwitch) => {
                self.start_step(steps).await?;
                done("the switch is tried again")
            }
            Ok(Act::Switched) => {
                self.active.audit(VOUCHED_SWITCH).await?;
                self.switched().await?;
                done("the migration is switched")
            }
            Ok(Act::GiveUp) => {
                give_up(self.journal, "the operator gave it up").await?;
                return Ok((LoopControl::Unfences, done(GIVEN_UP)));
            }
            Ok(Act::Unfence) => self.unfence_by_hand().await?,
            Ok(Act::Postpone(postponed)) => {
                self.journal.edit(|meta| meta.postponed = postponed).await?;
                let what = if postponed { "cutovers are put off" } else { "cutovers are allowed again" };
                self.active.audit(what).await?;
                done(what)
            }
            Ok(Act::Finish) => {
                self.journal.transition(Event::Finish, None).await?;
                return Ok((LoopControl::Ended, done("the migration is finished")));
            }
            Ok(Act::Retry(ids)) => retry(self.active, &self.parts, ids).await?,
            // Nobody who mirrors undoes a fence.
            Ok(Act::Unfenced) => Answer::new(false, Refusal::NotUnfencing.told(phase)),
        };
        Ok((LoopControl::GoesOn, answer))
    }

    async fn begin_cutover(&mut self, dry_run: bool, by: &str, fenced: bool) -> Result<Answer, EngineError> {
        let gates = self.gates().await?;
        let closed = gates.iter().filter(|gate| !gate.holds).count();
        let manual = self.active.job.engine.cutover.fence == Some(Fence::Manual);
        let (done, message) = if closed > 0 {
            (false, refusal(&gates))
        } else if dry_run {
            let settings = &self.active.job.engine.cutover;
            let fence = settings.fence.as_ref().map_or("none", Fence::as_str);
            let switch = settings.switch.as_ref().map_or("none", Switch::as_str);
            (true, format!("all gates hold; the fence is {fence}, the switch {switch}"))
        } else if manual && !fenced {
            (false, "the fence is manual: stop writes to the source first, and vouch for it with --fenced".to_owned())
        } else {
            let clock = self.active.ports.clock();
            let cutover = CutoverRecord {
                id: unique_name(clock),
                by: by.to_owned(),
                begun: clock.service(),
                fenced: None,
                trouble: None,
            };
            let id = cutover.id.clone();
            self.active.audit(&format!("cutover {id}: asked for from {by}; all gates hold")).await?;
            self.journal.transition_with(Event::CutoverBegun, None, |meta| meta.cutover = Some(cutover)).await?;
            (true, format!("cutover {id} begins"))
        };
        Ok(Answer { gates, ..Answer::new(done, message) })
    }

    async fn unfence_by_hand(&self) -> Result<Answer, EngineError> {
        let deeds = self.active.deeds(self.journal.meta());
        let (done, message) = match self.active.acting.drive(deeds.unfence()).await {
            Ok(seen) => (true, seen),
            Err(failure) => (false, failure.to_string()),
        };
        self.active.audit(&format!("an operator's unfence: {message}")).await?;
        Ok(Answer::new(done, message))
    }

    /// Logs an error when changes arrived at the source after the switch's intent.
    pub(super) fn look_for_late(&mut self) {
        let late = self.parts.applier.figures().late;
        let new = late - self.late_told;
        if new > 0 {
            tracing::error!(
                new,
                "CHANGES ARRIVED AT THE SOURCE AFTER THE SWITCH: they are in quarantine, not in the shadow"
            );
            self.active.meters.late(new);
            self.late_told = late;
        }
    }
}
