//! Undoes the fence, and hears an operator who has done so by hand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::active::Active;
use super::agreement::{means, other_fence};
use super::commands::{CommandInProgress, pending};
use crate::engine::EngineError;
use crate::engine::cutover::{Deeds, Failure, Occasion};
use crate::engine::state::entities::Answer;
use crate::engine::state::journal::Journal;
use crate::model::Moment;
use crate::ports::{Clock, Ports};
use crate::protocol::command::{Activity, decide};
use crate::protocol::phase::Event;

/// How long to wait until a fence that could not be undone is tried again.
const UNFENCE_AGAIN: Duration = Duration::from_secs(10);

/// How often commands are looked for meanwhile.
const COMMAND_POLL: Duration = Duration::from_millis(500);

/// How undoing the fence goes.
struct Attempt {
    began: Moment,
    /// The program failed once, and the trail says so.
    failed: AtomicBool,
    /// Why the fence that may stand is not this process's to undo.
    foreign: Option<String>,
}

impl<P: Ports> Active<P> {
    /// Undoes the fence, again and again until it is undone or an operator vouches that it is.
    pub(super) async fn undo_fence(&self, journal: &mut Journal<P>) -> Result<(), EngineError> {
        let deeds = self.deeds(journal.meta());
        self.audit("cutover: the unfence begins").await?;
        self.acting.outlast().await;
        // What another program put up is not undone by this process's own: its success would prove nothing.
        let own = means(&deeds.settings);
        let foreign = other_fence(&journal.meta().means, &own);
        let attempt = Attempt { began: self.ports.clock().now(), failed: AtomicBool::new(false), foreign };
        let vouched = loop {
            // A vouch is heard at any time: the program may hang.
            tokio::select! {
                biased;
                undone = self.try_unfence(&deeds, &attempt) => {
                    if undone? {
                        break None;
                    }
                }
                doing = self.operator_unfenced(journal, &attempt) => {
                    let doing = doing?;
                    self.audit("cutover: the operator vouches that writes to the source are allowed again").await?;
                    break Some(doing);
                }
            }
        };
        let unfenced = journal.transition_with(Event::Unfenced, None, |meta| meta.means = own).await;
        match vouched {
            Some(doing) => {
                let answer = Answer::new(true, format!("the migration goes on {}", journal.meta().phase));
                self.answer(journal, doing, unfenced.map(|()| answer)).await?;
            }
            None => unfenced?,
        }
        self.tell(&deeds, Occasion::OnFailure).await
    }

    /// Runs the unfence once; waits for a while after it failed.
    async fn try_unfence(&self, deeds: &Deeds<P>, attempt: &Attempt) -> Result<bool, EngineError> {
        let undone = async {
            match &attempt.foreign {
                Some(foreign) => Err(Failure::ForeignFence(foreign.clone()).into()),
                None => deeds.unfence().await,
            }
        };
        match self.acting.drive(undone).await {
            Ok(seen) => {
                self.audit(&format!("cutover: the unfence ended: {seen}")).await?;
                Ok(true)
            }
            Err(failure) => {
                tracing::error!(reason = %failure, "THE SOURCE MAY STILL BE FENCED: undoing the fence failed; trying again");
                if !attempt.failed.swap(true, Ordering::Relaxed) {
                    self.audit(&format!("cutover: the unfence failed: {failure}")).await?;
                }
                self.ports.clock().sleep(UNFENCE_AGAIN).await;
                Ok(false)
            }
        }
    }

    /// Waits for an operator who did by hand what the program cannot, and vouches for it. That nobody can be heard is no
    /// reason to stop undoing the fence.
    async fn operator_unfenced(
        &self,
        journal: &mut Journal<P>,
        attempt: &Attempt,
    ) -> Result<CommandInProgress, EngineError> {
        let clock = self.ports.clock();
        loop {
            match self.hear_vouch(journal, attempt).await {
                Ok(Some(doing)) => return Ok(doing),
                Ok(None) => clock.sleep(COMMAND_POLL).await,
                Err(error) if matches!(error, EngineError::LeaseLost) || error.is_defect() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "operators cannot be heard while the fence is undone");
                    clock.sleep(UNFENCE_AGAIN).await;
                }
            }
        }
    }

    /// A vouch is one only once the program failed, or had time: one for the failed switch must not be taken for it when it is
    /// repeated.
    async fn hear_vouch(
        &self,
        journal: &mut Journal<P>,
        attempt: &Attempt,
    ) -> Result<Option<CommandInProgress>, EngineError> {
        for mut command in pending(self, journal.meta()).await? {
            let passed = self.ports.clock().now().since(attempt.began);
            let tried = attempt.failed.load(Ordering::Relaxed) || passed >= UNFENCE_AGAIN;
            let phase = journal.meta().phase;
            if let Err(refusal) = decide(Activity::Unfencing { tried }, phase, &command.value.verb) {
                self.reply(&mut command, Answer::new(false, refusal.told(phase))).await?;
            } else if let Some(doing) = self.begin(journal, command).await? {
                return Ok(Some(doing));
            }
        }
        Ok(None)
    }
}
