//! After the switch's intent, when nothing can be mirrored any more: history was lost, or a table was replaced.
//!
//! The application may be writing to the shadow, and the source may be fenced, so ending here would leave nobody to answer
//! the operator's decision. Late changes are not noticed meanwhile, which is said again and again.

use std::time::Duration;

use super::active::{Active, Outcome};
use super::commands::pending;
use super::status::MirrorStatus;
use crate::engine::EngineError;
use crate::engine::cutover::switch;
use crate::engine::entities::{Answer, CommandRecord, CommandVerb, Meta};
use crate::engine::store::Stored;
use crate::ports::{Clock, Ports};
use crate::protocol::phase::{Event, Phase};

/// How often commands are looked for.
const POLL: Duration = Duration::from_millis(500);
/// How often it is said, and the stored figures are refreshed.
const AGAIN: Duration = Duration::from_secs(10);

impl<P: Ports> Active<P> {
    /// Serves operators until one of them ends the migration or gives the switch up; `None` in the latter case.
    pub(super) async fn without_mirror(
        &self,
        meta: &mut Stored<Meta>,
        error: &EngineError,
    ) -> Result<Option<Outcome>, EngineError> {
        let clock = self.ports.clock();
        self.audit(&format!("nothing is mirrored any more, late changes are not noticed: {error}")).await?;
        let undecided = meta.value.cutover.as_ref().is_none_or(|cutover| cutover.trouble.is_none());
        if meta.value.phase == Phase::Switching && undecided {
            self.ask(meta, &format!("nothing can be mirrored: {error}")).await?;
        }
        let mut due = clock.now();
        loop {
            if clock.now() >= due {
                let phase = meta.value.phase;
                tracing::error!(%phase, %error, "NOTHING IS MIRRORED: changes at the source would not be noticed");
                let shown = Meta { reason: Some(format!("nothing is mirrored: {error}")), ..meta.value.clone() };
                self.show_by(move || (shown.clone(), MirrorStatus::default()));
                self.refresh_live().await?;
                due = clock.now().plus(AGAIN);
            }
            for mut command in pending(&self.store, clock).await? {
                let (answer, retried) = self.decide(meta, &command.value.verb).await?;
                let answered = CommandRecord { answer: Some(answer), ..command.value.clone() };
                self.store.update(&mut command, answered).await?;
                if retried {
                    self.switch_again(meta).await?;
                }
                match meta.value.phase {
                    Phase::Finished => return Ok(Some(Outcome { quiet: true })),
                    Phase::Unfencing => return Ok(None),
                    _ => due = clock.now(),
                }
            }
            clock.sleep(POLL).await;
        }
    }

    /// Does what an operator decided. Returns whether the switch is to be tried again.
    async fn decide(&self, meta: &mut Stored<Meta>, verb: &CommandVerb) -> Result<(Answer, bool), EngineError> {
        let phase = meta.value.phase;
        let answer = match (verb, phase) {
            (CommandVerb::SwitchAgain, Phase::Switching) => {
                self.clear_trouble(meta).await?;
                return Ok((Answer::new(true, "the switch is tried again"), true));
            }
            (CommandVerb::DeclareSwitched, Phase::Switching) => {
                self.audit("cutover: the operator vouches that the application uses the shadow").await?;
                self.switched(meta).await?;
                Answer::new(true, "the migration is switched")
            }
            (CommandVerb::GiveUp { vouched: true }, Phase::Switching) => {
                self.give_up(meta, "the operator gave it up").await?;
                Answer::new(true, "the cutover is given up; the fence is undone")
            }
            (CommandVerb::Finish, Phase::Switched) => {
                self.transition(meta, Event::Finish, None).await?;
                Answer::new(true, "the migration is finished")
            }
            _ => Answer::new(
                false,
                format!("the migration is {phase}, and nothing can be mirrored; see `shadowtable audit`"),
            ),
        };
        Ok((answer, false))
    }

    async fn switch_again(&self, meta: &mut Stored<Meta>) -> Result<(), EngineError> {
        let (settings, subject) = (&self.job.engine.cutover, super::cutover::subject(&meta.value));
        self.audit("cutover: the switch begins").await?;
        match switch(&*self.ports, settings, &subject, self.job.engine.apply.abandon).await {
            Ok(seen) => {
                self.audit(&format!("cutover: the switch ended: {seen}")).await?;
                self.switched(meta).await
            }
            Err(reason) => {
                self.audit(&format!("cutover: the switch failed: {reason}")).await?;
                self.ask(meta, &reason).await
            }
        }
    }
}
