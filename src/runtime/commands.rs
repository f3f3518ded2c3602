//! Does what operators ask of the active process.

use std::time::Duration;

use super::active::Active;
use crate::engine::EngineError;
use crate::engine::apply::Applier;
use crate::engine::cutover::compare_surroundings;
use crate::engine::entities::{Answer, CommandRecord, CommandVerb, Meta, Paused, QuarantineRecord};
use crate::engine::store::{COMMAND, QUARANTINE, Stored};
use crate::ports::{Clock, Ports};
use crate::protocol::checklist::{Point, Verdict};
use crate::protocol::phase::Event;

/// Whether the process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It goes on.
    GoesOn,
    /// The migration was ended.
    Ended,
    /// The fence is to be undone, before anything else.
    Unfences,
}

/// What was asked for longer ago, beyond the time that a CLI waits for a standby, is not done: nobody waits for it, and what
/// was vouched for may be over.
const COMMAND_LIFE: Duration = Duration::from_mins(5);
/// An answer that nobody fetched is deleted after this.
const ANSWER_LIFE: Duration = Duration::from_hours(1);

/// Commands to be done, oldest first. Those that are too old are answered so; one that cannot be read is deleted: it would
/// end every process that takes over, and nobody could answer it.
pub(super) async fn pending<P: Ports>(active: &Active<P>) -> Result<Vec<Stored<CommandRecord>>, EngineError> {
    let (store, now) = (&active.store, active.ports.clock().service());
    let life = COMMAND_LIFE + active.job.engine.lease.duration;
    let mut commands = Vec::new();
    for found in store.load_readable::<CommandRecord>(COMMAND).await? {
        let mut command = match found {
            Ok(command) => command,
            Err((sort, error)) => {
                tracing::error!(%error, "a command that cannot be read is deleted");
                store.delete(&sort).await?;
                continue;
            }
        };
        let age = now.since(command.value.at);
        match command.value.answer {
            Some(_) if age > ANSWER_LIFE => store.delete(&command.sort).await?,
            Some(_) => {}
            None if age > life => {
                tracing::warn!(verb = ?command.value.verb, age_seconds = age.as_secs(), "a command that is too old is not done");
                let answer = Answer::new(false, format!("it was asked for {} s ago; ask again", age.as_secs()));
                let answered = CommandRecord { answer: Some(answer), ..command.value.clone() };
                store.update(&mut command, answered).await?;
            }
            None => commands.push(command),
        }
    }
    Ok(commands)
}

/// Does one command.
pub(super) async fn execute<P: Ports>(
    active: &Active<P>,
    meta: &mut Stored<Meta>,
    applier: &Applier<P>,
    command: &CommandRecord,
) -> Result<(Done, Answer), EngineError> {
    let answer = |message: String| Answer::new(true, message);
    match &command.verb {
        CommandVerb::Pause { paused } => {
            let value = Meta { paused: *paused, ..meta.value.clone() };
            active.store.update(meta, value).await?;
            active.audit(&format!("paused: {}", paused.as_str())).await?;
            let headroom = active.monitor.status().and_then(|status| status.headroom_seconds);
            let message = match paused {
                Paused::None => "resumed".to_owned(),
                Paused::Copy => "the copy is paused; the tail goes on".to_owned(),
                Paused::All => format!(
                    "copy and tail are paused; unread history is trimmed after about {:.1} h: resume before then",
                    headroom.unwrap_or(0.0) / 3600.0
                ),
            };
            Ok((Done::GoesOn, answer(message)))
        }
        CommandVerb::Abort => {
            active.transition(meta, Event::Abort, None).await?;
            Ok((Done::Ended, answer("the migration is aborted".to_owned())))
        }
        CommandVerb::Retry { ids } => {
            let mut wanted = 0;
            for stored in active.store.load_all::<QuarantineRecord>(QUARANTINE).await? {
                if !ids.is_empty() && !ids.contains(&stored.value.id) {
                    continue;
                }
                match active.job.source_key.from_json(&stored.value.source_key) {
                    Ok(source) => {
                        applier.want(source);
                        wanted += 1;
                    }
                    Err(error) => tracing::warn!(%error, id = stored.value.id, "a quarantine entry cannot be read"),
                }
            }
            let done = wanted > 0 || ids.is_empty();
            Ok((Done::GoesOn, Answer::new(done, format!("{wanted} items are read again from the source"))))
        }
        CommandVerb::Checklist => Ok((Done::GoesOn, compare(&*active.ports).await)),
        CommandVerb::Unknown => {
            let message = "the active process is of a version that does not know this command; update it";
            Ok((Done::GoesOn, Answer::new(false, message)))
        }
        CommandVerb::Cutover { .. }
        | CommandVerb::SwitchAgain
        | CommandVerb::DeclareSwitched
        | CommandVerb::GiveUp { .. }
        | CommandVerb::DeclareUnfenced
        | CommandVerb::Postpone { .. }
        | CommandVerb::Finish => Ok((Done::GoesOn, Answer::new(false, "not while nothing is mirrored"))),
    }
}

/// The checklist. That it cannot be made is no reason to end.
async fn compare<P: Ports>(ports: &P) -> Answer {
    let checklist = match compare_surroundings(ports).await {
        Ok(checklist) => checklist,
        Err(error) => return Answer::new(false, format!("the checklist cannot be made: {error}")),
    };
    let count = |verdict: Verdict| checklist.iter().filter(|point: &&Point| point.verdict == verdict).count();
    let message = match (count(Verdict::Look), count(Verdict::Unknown)) {
        (0, 0) => "source and shadow are alike in all that could be looked at".to_owned(),
        (look, unknown) => {
            format!("{look} points differ, {unknown} are not known: none of them keeps a cutover from beginning")
        }
    };
    Answer { checklist, ..Answer::new(true, message) }
}
