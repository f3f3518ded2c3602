//! Invariant 7: the migration's own entry changes in one place, under the version that was read, and the audit trail says so.

use std::sync::Arc;

use super::entities::{EVENT_SECONDS, EventRecord, Meta};
use super::entry::{EVENT, META, unique_name};
use super::store::{Store, Stored};
use crate::engine::EngineError;
use crate::ports::{Clock, StatePorts};
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::phase::{Event, Standing, next};

/// Hears of each line that was added to the trail.
pub type Listener = Arc<dyn Fn(&EventRecord) + Send + Sync>;

/// The audit trail. Several may add to it at the same time.
pub struct Trail<P> {
    store: Arc<Store<P>>,
    listener: Listener,
}

impl<P> Clone for Trail<P> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), listener: Arc::clone(&self.listener) }
    }
}

impl<P: StatePorts> Trail<P> {
    /// The trail of the migration in `store`.
    pub fn new(store: Arc<Store<P>>, listener: Listener) -> Self {
        Self { store, listener }
    }

    /// Adds a line. It is kept for a year.
    pub async fn add(&self, what: &str) -> Result<(), EngineError> {
        let (clock, at) = (self.store.clock(), self.store.clock().service());
        let line = EventRecord { at, owner: self.store.lease().owner().to_owned(), what: what.to_owned() };
        let sort = format!("{EVENT}{}", unique_name(clock));
        self.store.append(&sort, &line, at.millis() / 1000 + EVENT_SECONDS).await?;
        (self.listener)(&line);
        Ok(())
    }
}

/// The migration, as its lease holder reads and writes it.
pub struct Journal<P> {
    trail: Trail<P>,
    meta: Stored<Meta>,
    /// The operator who writes; none where the migration's own process does.
    who: Option<String>,
}

/// A command that what is written next is said to have done.
#[must_use]
pub struct Named {
    version: u64,
    before: Option<String>,
}

impl<P: StatePorts> Journal<P> {
    /// Claims everything that holders write, and reads the migration. `None`: there is none yet.
    pub async fn open(trail: Trail<P>, who: Option<String>) -> Result<Option<Self>, EngineError> {
        trail.store.claim_all().await?;
        let found = trail.store.load::<Meta>(META).await?;
        Ok(found.map(|meta| Self { trail, meta, who }))
    }

    /// Begins a migration, and enters it into the directory.
    pub async fn begin(trail: Trail<P>, meta: &Meta) -> Result<Self, EngineError> {
        trail.store.enter_directory(&meta.migration).await?;
        let meta = trail.store.create(META, meta).await?;
        trail.add("the migration was planned").await?;
        Ok(Self { trail, meta, who: None })
    }

    /// The migration, as it is stored; while a command is named, with its name.
    pub fn meta(&self) -> &Meta {
        &self.meta.value
    }

    /// What else is stored of it.
    pub fn store(&self) -> &Arc<Store<P>> {
        &self.trail.store
    }

    /// Changes anything but the phase.
    pub async fn edit(&mut self, edit: impl FnOnce(&mut Meta)) -> Result<(), EngineError> {
        let mut value = self.meta.value.clone();
        edit(&mut value);
        self.trail.store.update(&mut self.meta, value).await
    }

    /// The one way in which a phase changes. `reason` replaces the one that was stored.
    pub async fn transition(&mut self, event: Event, reason: Option<&str>) -> Result<(), EngineError> {
        self.transition_with(event, reason, |_| {}).await
    }

    /// A transition, and what else changes with it in the same write.
    pub async fn transition_with(
        &mut self,
        event: Event,
        reason: Option<&str>,
        edit: impl FnOnce(&mut Meta),
    ) -> Result<(), EngineError> {
        let Standing { phase, leader } = match (next(self.meta.value.standing(), event), &self.who) {
            (Ok(standing), _) => standing,
            (Err(refused), None) => return Err(Violation::new(Invariant::PhaseTransitions, refused).into()),
            // An operator may ask for anything.
            (Err(refused), Some(_)) => return Err(refused.into()),
        };
        let since = self.trail.store.clock().service();
        self.edit(|meta| {
            (meta.phase, meta.leader) = (phase, leader);
            (meta.phase_since, meta.reason) = (Some(since), reason.map(str::to_owned));
            edit(meta);
        })
        .await?;
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let by = match &self.who {
            Some(who) => format!("{event:?}, by {who}: "),
            None => String::new(),
        };
        if self.who.is_none() {
            tracing::info!(%phase, reason, "the phase changed");
        }
        self.trail.add(&format!("{by}the phase is {phase}{because}")).await
    }

    /// From now on, what is written says that this command is done.
    pub fn name_command(&mut self, command: &str) -> Named {
        Named::put(&mut self.meta, command)
    }

    /// The command is over. If it wrote nothing, what is written next has nothing to do with it.
    pub fn settle(&mut self, named: Named) {
        named.settle(&mut self.meta);
    }
}

impl Named {
    fn put(meta: &mut Stored<Meta>, command: &str) -> Self {
        Self { version: meta.version, before: meta.value.last_command.replace(command.to_owned()) }
    }

    fn settle(self, meta: &mut Stored<Meta>) {
        if meta.version == self.version {
            meta.value.last_command = self.before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(written: bool) -> Option<String> {
        let value = Meta { last_command: Some("COMMAND#1".into()), ..Meta::example() };
        let mut meta = Stored { value, sort: META.into(), version: 7 };
        let named = Named::put(&mut meta, "COMMAND#2");
        assert_eq!(meta.value.last_command.as_deref(), Some("COMMAND#2"));
        meta.version += u64::from(written);
        named.settle(&mut meta);
        meta.value.last_command
    }

    #[test]
    fn a_command_that_wrote_nothing_is_not_named_by_what_is_written_next() {
        assert_eq!(settled(false).as_deref(), Some("COMMAND#1"));
        assert_eq!(settled(true).as_deref(), Some("COMMAND#2"));
    }
}
