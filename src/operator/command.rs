//! Commands of operators: done once or not at all, and told as it is.
//!
//! A command is an entry that the active process looks for. Before it does one it marks it as begun, and what it stores of
//! the migration names the command: so it is not done again by a successor, and it can be taken back only while nobody has
//! begun it. What cannot be known is said.

use std::time::Duration;

use super::retry::{patiently, put_new};
use super::{POLL, lease_of, overview, require};
use crate::engine::state::entities::{Answer, CommandRecord};
use crate::engine::state::entry::{COMMAND, decode, encode, partition_of, unique_name};
use crate::engine::state::holder::Holder;
use crate::engine::{ApplySettings, EngineError};
use crate::model::Moment;
use crate::ports::{Clock, Fault, Guard, PortError, StateKey, StatePorts, StateStore};
use crate::protocol::command::Verb;
use crate::protocol::phase::Phase;

/// How long an active process may take to begin, beyond its lease.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command on its way.
struct Asking<'a, P> {
    ports: &'a P,
    migration: &'a str,
    phase: Phase,
    key: StateKey,
    /// When a request to store it was last given up.
    given_up: Option<Moment>,
    holder: Holder,
}

/// Asks the active process, as `by`, and waits for its answer. Fails when nobody holds the lease.
pub async fn command<P: StatePorts>(ports: &P, migration: &str, by: &str, verb: Verb) -> Result<Answer, EngineError> {
    let phase = require(ports, migration).await?.meta.phase;
    if phase.is_final() {
        return Err(EngineError::refused(format!("migration {migration} is {phase}"), phase.advice()));
    }
    let clock = ports.clock();
    let key = StateKey { partition: partition_of(migration), sort: format!("{COMMAND}{}", unique_name(clock)) };
    let asked = CommandRecord { verb, by: by.to_owned(), at: clock.service(), begun: false, answer: None };
    let (entry, mut given_up) = (encode(&key, 1, 0, &asked)?, None);
    let put = put_new(clock, ports.state(), &entry, &mut given_up).await;
    put.map_err(|error| if given_up.is_some() { unsure(&error) } else { error.into() })?;
    let mut asking = Asking { ports, migration, phase, key, given_up, holder: Holder::default() };
    asking.wait().await.map_err(|error| match error {
        EngineError::Port(error) => unsure(&error),
        other => other,
    })
}

impl<P: StatePorts> Asking<'_, P> {
    async fn wait(&mut self) -> Result<Answer, EngineError> {
        let (clock, state) = (self.ports.clock(), self.ports.state());
        let (asked, mut silent_since) = (clock.now(), None);
        loop {
            let Some(entry) = patiently(clock, || state.get(&self.key)).await? else {
                return self.outcome("the command is gone from the state table").await;
            };
            let command: CommandRecord = decode(&entry)?;
            if let Some(answer) = command.answer {
                self.clean_up(&answer).await?;
                return Ok(answer);
            }
            let now = clock.now();
            let alive = self.holder.is_alive(lease_of(self.ports, self.migration).await?, now);
            let (lease, _) = self.holder.spans();
            silent_since = if alive { None } else { silent_since.or(Some(now)) };
            // A standby that waits for the lease has it by then.
            let dead = silent_since.is_some_and(|since| now.since(since) >= lease / 2);
            let overdue = !command.begun && now.since(asked) > lease + PATIENCE;
            if dead || overdue {
                self.outlast(self.given_up).await;
                // Under the version that was seen: if it is begun or answered right now, that wins.
                let guard = Guard::Unchanged { version: entry.version, epoch: u64::MAX };
                match patiently(clock, || state.delete(&self.key, guard)).await {
                    Ok(()) if command.begun => {
                        // What the process stored last may still land.
                        self.outlast(Some(clock.now())).await;
                        return self
                            .outcome("the process that began the command fell silent before it told what came of it")
                            .await;
                    }
                    Ok(()) => return Err(nobody(self.migration, !dead, self.phase)),
                    Err(error) if error.fault == Fault::Conflict => {}
                    Err(error) => return Err(error.into()),
                }
            }
            clock.sleep(POLL).await;
        }
    }

    /// Deletes what was answered. Where a request to store it was given up, it stays: one that lands late finds the place
    /// taken, and whoever is active deletes it later. That it may not be deleted is told: nothing could be taken back.
    async fn clean_up(&self, answer: &Answer) -> Result<(), EngineError> {
        if self.given_up.is_some() {
            return Ok(());
        }
        let delete = || self.ports.state().delete(&self.key, Guard::Epoch(u64::MAX));
        match patiently(self.ports.clock(), delete).await {
            Err(error) if error.fault == Fault::Denied => Err(EngineError::refused(
                format!("the command was answered ({}), and its entry cannot be deleted: {error}", answer.message),
                error.hint().unwrap_or_default(),
            )),
            Err(error) => {
                tracing::debug!(%error, "an answered command is left where it lies");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// What came of a command whose entry tells no more.
    async fn outcome(&self, problem: &str) -> Result<Answer, EngineError> {
        let done = overview(self.ports, self.migration).await?.and_then(|found| found.meta.last_command);
        if done.as_ref() == Some(&self.key.sort) {
            return Ok(Answer::unheard());
        }
        Err(EngineError::refused(problem, LOOK))
    }

    /// Waits until a request that was given up then can land no more.
    async fn outlast(&self, given_up: Option<Moment>) {
        let (clock, (_, abandon)) = (self.ports.clock(), self.holder.spans());
        if let Some(at) = given_up {
            let bound = abandon.max(ApplySettings::default().abandon);
            clock.sleep(bound.saturating_sub(clock.now().since(at))).await;
        }
    }
}

const LOOK: &str = "look at `shadowtable status` and `shadowtable audit` before you ask again";

/// The connection broke when the command may have been taken.
fn unsure(error: &PortError) -> EngineError {
    EngineError::refused(format!("nobody knows whether the command was done: {error}"), LOOK)
}

fn nobody(migration: &str, alive: bool, phase: Phase) -> EngineError {
    if alive {
        EngineError::refused(
            format!("the process that runs migration {migration} did not answer"),
            "look at its log; the command was taken back",
        )
    } else {
        EngineError::refused(
            format!("nobody holds the lease of migration {migration}: the command was taken back"),
            phase.advice(),
        )
    }
}
