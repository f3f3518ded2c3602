//! The steps of a cutover: each does one thing and says what it saw, or why it failed. The table that leads is an argument.
//!
//! Nothing here decides what follows or stores anything: that is the phase's business (`protocol::cutover`) and the
//! runtime's. Every step may be run more than once, since a process that is killed in a step begins it again.

mod programs;
mod recheck;
mod surroundings;

use std::sync::Arc;
use std::time::Duration;

use self::programs::run_program;
pub use self::programs::{Occasion, Subject, run_hook, unfence};
pub use self::surroundings::{compare_surroundings, movable_pointer, pointer, unusable_programs};
use super::settings::{CutoverSettings, Fence, Switch};
use crate::engine::replicate::apply::Applier;
use crate::engine::replicate::tail::Tail;
use crate::model::{Key, Moment, Side, Timestamp};
use crate::ports::{Application, Clock, Fault, Ports, ProgramFailure, Reaction, TableAdmin};
use crate::protocol::cutover::Step;

/// How often the drain looks.
const DRAIN_POLL: Duration = Duration::from_millis(100);
/// Keys named of those that still changed.
const KEYS_NAMED: usize = 10;
/// How often a pointer that could not be reached is tried again.
const POINTER_POLL: Duration = Duration::from_secs(1);

/// How a step ended: with what was seen, or why not.
pub type StepEnd = (Step, Result<String, StepFailure>);

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StepFailure {
    /// The reason, for people.
    pub reason: String,
    /// It was never begun: for certain nothing was done, by this attempt.
    pub not_begun: bool,
    /// Source keys that changed though they should not have, the newest first.
    pub keys: Vec<Key>,
}

impl StepFailure {
    fn not_begun(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), not_begun: true, keys: Vec::new() }
    }
}

impl From<String> for StepFailure {
    fn from(reason: String) -> Self {
        Self { reason, not_begun: false, keys: Vec::new() }
    }
}

impl From<&str> for StepFailure {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// The steps of one cutover, over a running mirror.
pub struct Steps<P> {
    /// The ports.
    pub ports: Arc<P>,
    /// What it writes with.
    pub applier: Arc<Applier<P>>,
    /// What it reads with.
    pub tail: Arc<Tail<P>>,
    /// How it is done.
    pub settings: CutoverSettings,
    /// What programs are told.
    pub subject: Subject,
    /// When the fence stood.
    pub fenced: Option<Timestamp>,
    /// How long the leader may stay fenced from now on.
    pub left: Duration,
    /// How long after a request was given up it may still take effect.
    pub abandon: Duration,
    /// What a step that was cut short has set off may act until then.
    pub acting: Option<Moment>,
}

impl<P: Ports> Steps<P> {
    /// Does one step. Before the switch's intent, it ends when the source was fenced for too long.
    pub async fn run(&self, step: Step) -> Result<String, StepFailure> {
        if matches!(step, Step::Switch | Step::Unfence) {
            return self.act(step).await;
        }
        tokio::select! {
            biased;
            done = self.act(step) => done,
            () = self.ports.clock().sleep(self.left) => {
                if step.acts() {
                    self.ports.clock().sleep(self.abandon).await;
                }
                let limit = self.settings.fenced_limit.as_secs_f64();
                Err(format!("the cutover took longer than cutover.fenced_limit_seconds ({limit} s)").into())
            }
        }
    }

    async fn act(&self, step: Step) -> Result<String, StepFailure> {
        if let Some(until) = self.acting.filter(|_| step.acts()) {
            let clock = self.ports.clock();
            clock.sleep(until.since(clock.now())).await;
        }
        Ok(match step {
            Step::Fence => self.fence().await?,
            Step::Drain => self.drain().await?,
            Step::Recheck => self.recheck().await?,
            Step::Switch => switch(&*self.ports, &self.settings, &self.subject, self.abandon).await?,
            Step::Unfence => unfence(&*self.ports, &self.settings, &self.subject, self.abandon).await?,
        })
    }

    async fn fence(&self) -> Result<String, String> {
        let hook = self.settings.hooks.before_fence.as_ref();
        if let Some(said) = run_hook(&*self.ports, &self.settings, &self.subject, Occasion::BeforeFence, hook).await {
            said.map_err(|error| format!("the hook before-fence failed: {error}"))?;
        }
        match &self.settings.fence {
            None => Err("no [cutover] fence is configured".into()),
            Some(Fence::Manual) => {
                Ok(format!("the operator vouches that writes to the {} are stopped", self.subject.leader))
            }
            Some(Fence::Command { fence, .. }) => {
                let environment = self.subject.environment(Occasion::Fence);
                let limits = (self.settings.program_timeout, self.abandon);
                match run_program(&*self.ports, limits, fence, &environment).await {
                    Ok(output) => Ok(format!("the fence's program ended well{}", programs::quoted(&output))),
                    Err(failure) => Err(format!("the fence's program {fence}: {failure}")),
                }
            }
        }
    }

    /// Waits until no change arrived for long enough since the fence, and everything that arrived is durable.
    async fn drain(&self) -> Result<String, StepFailure> {
        let (clock, quiet) = (self.ports.clock(), self.settings.quiet);
        let since = self.fenced.ok_or("the fence's time is not known")?;
        let began = clock.now();
        let changes = self.applier.recent().changes();
        self.tail.list_soon();
        // One listing may be inconsistent: another one is asked for when the span is reached.
        let mut listed_again = None::<Timestamp>;
        loop {
            let applied = self.applier.figures();
            let last: String = match self.tail.undisturbed(since) {
                Err(obstacle) => obstacle,
                Ok(_) if !applied.is_quiet => {
                    format!("{} writes are not durable yet, or a request may still land", applied.counts.held)
                }
                Ok(span) if span < quiet => {
                    format!("no change arrived for {:.1} of {:.1} s", span.as_secs_f64(), quiet.as_secs_f64())
                }
                Ok(_) if listed_again.is_none() => {
                    listed_again = Some(clock.service());
                    self.tail.list_soon();
                    "the shards are listed once more".into()
                }
                Ok(_) if self.tail.listed() < listed_again => "the shards are listed once more".into(),
                Ok(span) => {
                    return Ok(format!("no change arrived for {:.1} s, and all are durable", span.as_secs_f64()));
                }
            };
            if clock.now().since(began) >= self.settings.drain_timeout {
                let limit = self.settings.drain_timeout.as_secs_f64();
                let keys = self.applier.recent().since(changes, KEYS_NAMED);
                let reason = format!("the {} did not come to rest within {limit} s: {last}", self.subject.leader);
                return Err(StepFailure { keys, ..reason.into() });
            }
            clock.sleep(DRAIN_POLL).await;
        }
    }

    /// Whether what the drain told still holds.
    pub fn is_undisturbed(&self) -> Result<(), String> {
        let since = self.fenced.ok_or("the fence's time is not known")?;
        let span = self.tail.undisturbed(since)?;
        if span >= self.settings.quiet && self.applier.figures().is_quiet {
            Ok(())
        } else {
            Err("a change arrived after the drain".into())
        }
    }
}

/// Points the application at the other table than the leader. `abandon`: how long after a request was given up it may still
/// take effect.
pub async fn switch<P: Ports>(
    ports: &P,
    settings: &CutoverSettings,
    subject: &Subject,
    abandon: Duration,
) -> Result<String, StepFailure> {
    match &settings.switch {
        None => Err(StepFailure::not_begun("no [cutover] switch is configured")),
        Some(Switch::Command(program)) => {
            let environment = subject.environment(Occasion::Switch);
            match run_program(ports, (settings.program_timeout, abandon), program, &environment).await {
                Ok(output) => Ok(format!("the switch's program ended well{}", programs::quoted(&output))),
                Err(failure) => {
                    let not_begun = matches!(failure, ProgramFailure::NotStarted(_));
                    let reason = format!("the switch's program {program}: {failure}");
                    Err(StepFailure { not_begun, ..reason.into() })
                }
            }
        }
        Some(Switch::Pointer | Switch::SsmParameter) => {
            point(ports, settings.program_timeout, subject.leader, abandon).await
        }
    }
}

/// Lets the pointer name the other table than `leader`. A reply that was lost is looked after, so that the outcome is definite.
async fn point<P: Ports>(ports: &P, limit: Duration, leader: Side, abandon: Duration) -> Result<String, StepFailure> {
    let (application, clock) = (ports.application(), ports.clock());
    let (from, to) = (ports.admin(leader).name(), ports.admin(leader.other()).name());
    let (began, mut abandoned) = (clock.now(), false);
    loop {
        let moved = application.point(from, to).await;
        abandoned |= moved.as_ref().is_err_and(|error| error.fault == Fault::Abandoned);
        let problem = match moved {
            Ok(()) => return Ok(format!("the pointer names {to}")),
            Err(error) if error.fault == Fault::Conflict => match application.pointer().await {
                Ok(Some(named)) if named == to => return Ok(format!("the pointer names {to}")),
                Ok(Some(named)) => {
                    let reason = format!("the pointer names {named:?}, which is not {from}");
                    return Err(StepFailure { not_begun: !abandoned, ..reason.into() });
                }
                Ok(None) => {
                    return Err(StepFailure { not_begun: !abandoned, ..StepFailure::from("there is no pointer") });
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        let over = clock.now().since(began) >= limit || problem.fault.reaction() == Reaction::Stop;
        if over {
            if abandoned {
                // What was given up may still move it: whoever decides must know the end.
                clock.sleep(abandon).await;
                if application.pointer().await.is_ok_and(|named| named.is_some_and(|named| named == to)) {
                    return Ok(format!("the pointer names {to}"));
                }
            }
            let not_begun = !abandoned && problem.fault == Fault::Denied;
            return Err(StepFailure { not_begun, ..format!("the pointer cannot be moved: {problem}").into() });
        }
        clock.sleep(POINTER_POLL).await;
    }
}
