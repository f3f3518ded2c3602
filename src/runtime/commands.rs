//! Operators' commands: which are to be done, that each is done once, and what is told of it. Whether one is done is
//! `protocol::command`'s.

use std::time::Duration;

use super::active::Active;
use super::parts::Parts;
use crate::engine::EngineError;
use crate::engine::cutover::compare_surroundings;
use crate::engine::state::entities::{Answer, CommandRecord, Meta, QuarantineRecord};
use crate::engine::state::entry::{COMMAND, quarantine_of};
use crate::engine::state::journal::{Journal, Named};
use crate::engine::state::store::Stored;
use crate::model::{counted, tenths};
use crate::ports::{Clock, Ports};
use crate::protocol::checklist::{Point, Verdict};
use crate::protocol::command::Paused;

/// Whether the process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopControl {
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

/// A command that is being done.
pub(super) struct CommandInProgress {
    command: Stored<CommandRecord>,
    named: Named,
}

impl CommandInProgress {
    /// What is asked.
    pub(super) fn command(&self) -> &CommandRecord {
        &self.command.value
    }
}

impl<P: Ports> Active<P> {
    /// Takes a command on: from now on whoever asked cannot take it back, and the next write of the migration says that it
    /// is done. `None`: it was taken back.
    pub(super) async fn begin(
        &self,
        journal: &mut Journal<P>,
        mut command: Stored<CommandRecord>,
    ) -> Result<Option<CommandInProgress>, EngineError> {
        let begun = CommandRecord { begun: true, ..command.value.clone() };
        if !self.store.rewrite(&mut command, begun).await? {
            return Ok(None);
        }
        if let Some(change) = command.value.verb.change() {
            self.audit(&format!("`{change}` was asked for by {}", command.value.by)).await?;
        }
        let named = journal.name_command(&command.sort);
        Ok(Some(CommandInProgress { command, named }))
    }

    /// Answers a command that was done, or refused. One whose doing failed is left to a successor, which knows what was
    /// stored.
    pub(super) async fn answer(
        &self,
        journal: &mut Journal<P>,
        doing: CommandInProgress,
        done: Result<Answer, EngineError>,
    ) -> Result<(), EngineError> {
        let CommandInProgress { mut command, named } = doing;
        journal.settle(named);
        self.reply(&mut command, done?).await
    }

    /// Stores an answer. Whoever asked may have gone.
    pub(super) async fn reply(&self, command: &mut Stored<CommandRecord>, answer: Answer) -> Result<(), EngineError> {
        let answered = CommandRecord { answer: Some(answer), ..command.value.clone() };
        self.store.rewrite(command, answered).await.map(drop)
    }
}

/// Commands to be done, oldest first. What a predecessor did without answering is answered and not done again, and so is
/// what is too old. One that cannot be read is deleted: it would end every process that takes over, and nobody could
/// answer it.
pub(super) async fn pending<P: Ports>(
    active: &Active<P>,
    meta: &Meta,
) -> Result<Vec<Stored<CommandRecord>>, EngineError> {
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
            None if meta.last_command.as_ref() == Some(&command.sort) => {
                active.reply(&mut command, Answer::unheard()).await?;
            }
            None if age > life => {
                tracing::warn!(verb = ?command.value.verb, age_seconds = age.as_secs(), "a command that is too old is not done");
                let answer = Answer::new(false, format!("it was asked for {} s ago; ask again", age.as_secs()));
                active.reply(&mut command, answer).await?;
            }
            None => commands.push(command),
        }
    }
    Ok(commands)
}

/// Stores what is paused. Returns what to tell.
pub(super) async fn pause<P: Ports>(
    active: &Active<P>,
    journal: &mut Journal<P>,
    paused: Paused,
) -> Result<String, EngineError> {
    journal.edit(|meta| meta.paused = paused).await?;
    active.audit(&format!("paused: {}", paused.as_str())).await?;
    let headroom = active.monitor.status().and_then(|status| status.headroom_seconds());
    Ok(match paused {
        Paused::None => "resumed".to_owned(),
        Paused::Copy => "the copy is paused; the tail goes on".to_owned(),
        Paused::All => {
            let left = headroom.map_or_else(|| "less than 24".to_owned(), |left| tenths(left / 3600.0));
            format!("copy and tail are paused; unread history is trimmed after about {left} h: resume before then")
        }
    })
}

/// Reads quarantined items again.
pub(super) async fn retry<P: Ports>(
    active: &Active<P>,
    parts: &Parts<P>,
    ids: &[String],
) -> Result<Answer, EngineError> {
    let (mut wanted, leg) = (0_u64, parts.leg);
    for stored in active.store.load_all::<QuarantineRecord>(&quarantine_of(leg)).await? {
        if !ids.is_empty() && !ids.contains(&stored.value.id) {
            continue;
        }
        if let Some(key) = parts.quarantine.key_read(&stored.value) {
            parts.applier.want(key);
            wanted += 1;
        } else {
            tracing::warn!(id = stored.value.id, "a quarantine entry cannot be read");
        }
    }
    let done = wanted > 0 || ids.is_empty();
    Ok(Answer::new(done, format!("to be read again from the {}: {}", leg.from, counted(wanted, "item"))))
}

/// The checklist. That it cannot be made is no reason to end.
pub(super) async fn compare<P: Ports>(ports: &P) -> Answer {
    let checklist = match compare_surroundings(ports).await {
        Ok(checklist) => checklist,
        Err(error) => return Answer::new(false, format!("the checklist cannot be made: {error}")),
    };
    let count = |verdict: Verdict| checklist.iter().filter(|point: &&Point| point.verdict == verdict).count();
    let message = match (count(Verdict::Look), count(Verdict::Unknown)) {
        (0, 0) => "source and shadow are alike in all that could be looked at".to_owned(),
        (look, unknown) => {
            let looked = counted(look, "point");
            let others =
                if unknown == 0 { String::new() } else { format!(", {} not known", counted(unknown, "point")) };
            format!("the checklist: {looked} to look at{others}; these are yours to judge, and refuse nothing")
        }
    };
    Answer { checklist, ..Answer::new(true, message) }
}
