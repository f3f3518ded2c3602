//! After the switch's intent, when nothing can be mirrored: history was lost, a table was replaced, a permission taken away.
//!
//! The application may be writing to the shadow, and the source may be fenced, so ending here would leave nobody to answer
//! the operator's decision. Late changes are not noticed meanwhile; that is stored as the phase's reason, which
//! `status`, the page and an alert show. After a decision, and now and then where the reason may pass, the mirror is tried anew.

use std::time::Duration;

use tokio::task::JoinSet;

use super::active::{Active, Outcome};
use super::commands::pending;
use super::cutover::{GIVEN_UP, VOUCHED_SWITCH, clear_trouble, give_up, note_trouble};
use crate::engine::EngineError;
use crate::engine::cutover::StepFailure;
use crate::engine::state::entities::Answer;
use crate::engine::state::journal::Journal;
use crate::ports::{Clock, Ports};
use crate::protocol::command::{Act, Activity, Refusal, Verb, decide};
use crate::protocol::phase::{Event, Phase};

/// How often commands are looked for.
const POLL: Duration = Duration::from_millis(500);
/// How often the stored figures are refreshed.
const REFRESH: Duration = Duration::from_secs(2);
/// How long it lasts until the mirror is tried anew.
const ANEW: Duration = Duration::from_mins(1);

/// How a retried switch ended.
type SwitchEnd = Result<String, StepFailure>;

impl<P: Ports> Active<P> {
    /// Serves operators. `None`: the mirror, or undoing the fence, is next.
    pub(super) async fn without_mirror(
        &self,
        journal: &mut Journal<P>,
        error: &EngineError,
    ) -> Result<Option<Outcome>, EngineError> {
        let clock = self.ports.clock();
        let phase = journal.meta().phase;
        tracing::error!(%phase, %error, "NOTHING IS MIRRORED: changes at the source are not noticed");
        self.say_unmirrored(journal, error).await?;
        // What is lost stays lost; what is refused may be granted, or answered, later.
        let may_pass = !matches!(error, EngineError::Lost(_));
        let (began, mut due) = (clock.now(), clock.now());
        let mut switching = JoinSet::new();
        loop {
            if clock.now() >= due {
                self.show(journal.meta(), None);
                self.refresh_live().await?;
                due = clock.now().plus(REFRESH);
            }
            tokio::select! {
                biased;
                Some(ended) = switching.join_next(), if !switching.is_empty() => {
                    let ended = ended.map_err(|error| EngineError::Task(error.to_string()))?;
                    self.switch_ended(journal, ended).await?;
                }
                () = clock.sleep(POLL) => {
                    // One at a time: what it changed may change what the next one may do.
                    if let Some(command) = pending(self, journal.meta()).await?.into_iter().next()
                        && let Some(doing) = self.begin(journal, command).await?
                    {
                        let answer = self.obey_verb(journal, &doing.command().verb, &mut switching).await;
                        self.answer(journal, doing, answer).await?;
                    }
                }
            }
            match journal.meta().phase {
                Phase::Finished => return Ok(Some(Outcome { quiet: true })),
                Phase::Unfencing => return Ok(None),
                Phase::Switched if phase != Phase::Switched => return Ok(None),
                _ if may_pass && switching.is_empty() && clock.now().since(began) >= ANEW => return Ok(None),
                _ => {}
            }
        }
    }

    /// Stores why nothing is mirrored, once for each reason. A switch that was interrupted is to be decided about: what it
    /// had sent may land until the bound is over.
    async fn say_unmirrored(&self, journal: &mut Journal<P>, error: &EngineError) -> Result<(), EngineError> {
        let reason = format!("nothing is mirrored, late changes are not noticed: {error}");
        if journal.meta().reason.as_ref() != Some(&reason) {
            journal.edit(|meta| meta.reason = Some(reason.clone())).await?;
            self.audit(&reason).await?;
        }
        let undecided = journal.meta().cutover.as_ref().is_none_or(|cutover| cutover.trouble.is_none());
        if journal.meta().phase == Phase::Switching && undecided {
            self.acting.outlast().await;
            if matches!(error, EngineError::Unanswered(_)) {
                // It passes, and the switch goes on by itself, unless an operator decides before.
                return Ok(());
            }
            note_trouble(journal, format!("the switch was interrupted: {error}")).await?;
            self.tell_failure(journal).await?;
        }
        Ok(())
    }

    /// Does what an operator decided.
    async fn obey_verb(
        &self,
        journal: &mut Journal<P>,
        verb: &Verb,
        switching: &mut JoinSet<SwitchEnd>,
    ) -> Result<Answer, EngineError> {
        let phase = journal.meta().phase;
        Ok(match decide(Activity::Waiting { step: !switching.is_empty() }, phase, verb) {
            Err(refusal) => Answer::new(false, refusal.told(phase)),
            Ok(Act::TrySwitch) => {
                clear_trouble(journal).await?;
                self.audit("cutover: the switch begins").await?;
                let deeds = self.deeds(journal.meta());
                switching.spawn(self.acting.drive(async move { deeds.switch().await }));
                Answer::new(true, "the switch is tried again")
            }
            Ok(Act::Switched) => {
                self.audit(VOUCHED_SWITCH).await?;
                self.switched(journal, || {}).await?;
                Answer::new(true, "the migration is switched")
            }
            Ok(Act::GiveUp) => {
                give_up(journal, "the operator gave it up").await?;
                Answer::new(true, GIVEN_UP)
            }
            Ok(Act::Finish) => {
                journal.transition(Event::Finish, None).await?;
                Answer::new(true, "the migration is finished")
            }
            // All others need a mirror.
            Ok(_) => Answer::new(false, Refusal::NotMirrored.told(phase)),
        })
    }

    async fn switch_ended(&self, journal: &mut Journal<P>, ended: SwitchEnd) -> Result<(), EngineError> {
        match ended {
            Ok(seen) => {
                self.audit(&format!("cutover: the switch ended: {seen}")).await?;
                self.switched(journal, || {}).await
            }
            // The intent is not this attempt's own: an earlier one may have done something.
            Err(failure) => {
                self.audit(&format!("cutover: the switch failed: {failure}")).await?;
                note_trouble(journal, format!("the switch failed: {failure}")).await?;
                self.tell_failure(journal).await
            }
        }
    }
}
