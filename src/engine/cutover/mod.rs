//! The steps of a cutover: each does one thing and says what it saw, or why it failed. The table that leads is an argument.
//!
//! | file | does |
//! |---|---|
//! | this | the steps, over a running mirror: the drain among them |
//! | `deeds` | what is done outside: fence, unfence, switch, hooks; and what programs are told |
//! | `recheck` | compares the keys that changed lately |
//! | `surroundings` | the pointer and the programs as gates want them, and the checklist |
//! | `error` | why a step failed |
//!
//! Nothing here decides what follows or stores anything: that is the phase's business (`protocol::cutover`) and the
//! runtime's. Every step may be run more than once, since a process that is killed in a step begins it again.

mod deeds;
mod error;
mod recheck;
mod surroundings;

use std::sync::Arc;
use std::time::Duration;

pub use self::deeds::{Deeds, Occasion, Subject};
pub use self::error::{Failure, Obstacle, StepFailure};
pub use self::surroundings::{compare_surroundings, movable_pointer, pointer, unusable_programs};
use super::replicate::apply::Applier;
use super::replicate::tail::Tail;
use crate::model::{Moment, Timestamp};
use crate::ports::{Clock, Ports};
use crate::protocol::cutover::Step;

/// How often the drain looks.
const DRAIN_POLL: Duration = Duration::from_millis(100);
/// Keys named of those that still changed.
const KEYS_NAMED: usize = 10;

/// How a step ended: with what was seen, or why not.
pub struct StepEnd {
    /// The step.
    pub step: Step,
    /// What came of it.
    pub outcome: Result<String, StepFailure>,
}

/// The steps of one cutover, over a running mirror.
pub struct Steps<P> {
    /// What is done outside.
    pub deeds: Deeds<P>,
    /// What it writes with.
    pub applier: Arc<Applier<P>>,
    /// What it reads with.
    pub tail: Arc<Tail<P>>,
    /// When the fence stood.
    pub fenced: Option<Timestamp>,
    /// How long the leader may stay fenced from now on.
    pub left: Duration,
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
            () = self.clock().sleep(self.left) => {
                if step.acts() {
                    self.clock().sleep(self.deeds.abandon).await;
                }
                Err(Failure::TooLong(self.deeds.settings.fenced_limit).into())
            }
        }
    }

    async fn act(&self, step: Step) -> Result<String, StepFailure> {
        if let Some(until) = self.acting.filter(|_| step.acts()) {
            let clock = self.clock();
            clock.sleep(until.since(clock.now())).await;
        }
        match step {
            Step::Fence => self.deeds.fence().await,
            Step::Drain => self.drain().await,
            Step::Recheck => Ok(self.recheck().await?),
            Step::Switch => self.deeds.switch().await,
            Step::Unfence => self.deeds.unfence().await,
        }
    }

    /// Waits until no change arrived for long enough since the fence, and everything that arrived is durable.
    async fn drain(&self) -> Result<String, StepFailure> {
        let (clock, settings) = (self.clock(), &self.deeds.settings);
        let (since, needed) = (self.fenced.ok_or(Failure::NoFence)?, settings.quiet);
        let began = clock.now();
        let changes = self.applier.recent().changes();
        self.tail.list_soon();
        // One listing may be inconsistent: another one is asked for when the span is reached.
        let mut listed_again = None::<Timestamp>;
        loop {
            let applied = self.applier.figures();
            let obstacle = match self.tail.undisturbed(since).map_err(Obstacle::from) {
                Err(obstacle) => obstacle,
                Ok(_) if !applied.is_quiet => Obstacle::Writes(applied.counts.held),
                Ok(quiet) if quiet < needed => Obstacle::TooSoon { quiet, needed },
                Ok(_) if listed_again.is_none() => {
                    listed_again = Some(clock.service());
                    self.tail.list_soon();
                    Obstacle::OneListing
                }
                Ok(_) if self.tail.listed() < listed_again => Obstacle::OneListing,
                Ok(quiet) => {
                    return Ok(format!("no change arrived for {:.1} s, and all are durable", quiet.as_secs_f64()));
                }
            };
            if clock.now().since(began) >= settings.drain_timeout {
                let keys = self.applier.recent().since(changes, KEYS_NAMED);
                let (leader, limit) = (self.deeds.subject.leader, settings.drain_timeout);
                return Err(Failure::NoRest { leader, limit, obstacle, keys }.into());
            }
            clock.sleep(DRAIN_POLL).await;
        }
    }

    /// Whether what the drain told still holds.
    pub fn is_undisturbed(&self) -> Result<(), Obstacle> {
        let quiet = self.tail.undisturbed(self.fenced.ok_or(Obstacle::NoFence)?)?;
        if quiet >= self.deeds.settings.quiet && self.applier.figures().is_quiet {
            Ok(())
        } else {
            Err(Obstacle::Changed)
        }
    }

    fn clock(&self) -> &P::Clock {
        self.deeds.ports.clock()
    }
}
