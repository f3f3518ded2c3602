//! Where a migration stands, and what may follow.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a migration stands. Durable in the migration's `META` entry; only [`next`] changes it (invariant 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Set when a migration is first run, and by `reseed`. Target and transform are recorded, nothing else exists.
    /// A restart checks the source and provisions the shadow.
    Planned,
    /// Set when the shadow and all its indexes are active and its table id is recorded. A restart pins the stream;
    /// a pin that was not stored is made anew, since nothing was copied before it.
    Provisioned,
    /// Set when the pin is stored. Copy and tail both run; a restart resumes each from its checkpoints.
    Copying,
    /// Set when every segment's last page is durable. The tail goes on; a restart resumes it from its checkpoints.
    Tailing,
    /// Set when history was lost, or a table was replaced. Nothing runs; only `reseed` or `abort` lead on.
    NeedsReseed,
    /// Set by `abort`. Final: a restart refuses.
    Aborted,
}

/// What can happen to a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The shadow is active, empty and recorded.
    ShadowReady,
    /// Every open shard has a position, and it is stored.
    Pinned,
    /// Every segment's last page is durable.
    CopyComplete,
    /// Records were trimmed unread, or the source, its stream or the shadow was replaced.
    HistoryLost,
    /// The operator starts over with an empty shadow.
    Reseed,
    /// The operator ends the migration.
    Abort,
}

/// An event that a phase does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a migration that is {phase} does not allow {event:?}")]
pub struct Refused {
    /// The phase it is in.
    pub phase: Phase,
    /// What was asked.
    pub event: Event,
}

/// The phase after `event`. The one place where phases change.
pub fn next(phase: Phase, event: Event) -> Result<Phase, Refused> {
    match (phase, event) {
        (Phase::Planned, Event::ShadowReady) => Ok(Phase::Provisioned),
        (Phase::Provisioned, Event::Pinned) => Ok(Phase::Copying),
        (Phase::Copying, Event::CopyComplete) => Ok(Phase::Tailing),
        // Before the pin too: a table that was recorded may be replaced at any time.
        (Phase::Planned | Phase::Provisioned | Phase::Copying | Phase::Tailing, Event::HistoryLost) => {
            Ok(Phase::NeedsReseed)
        }
        (Phase::Aborted, _) => Err(Refused { phase, event }),
        (_, Event::Reseed) => Ok(Phase::Planned),
        (_, Event::Abort) => Ok(Phase::Aborted),
        (phase, event) => Err(Refused { phase, event }),
    }
}

impl Phase {
    /// All phases, in the order in which a migration goes through them.
    pub const ALL: [Self; 6] =
        [Self::Planned, Self::Provisioned, Self::Copying, Self::Tailing, Self::NeedsReseed, Self::Aborted];

    /// The word used in the state table, in metrics and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Provisioned => "provisioned",
            Self::Copying => "copying",
            Self::Tailing => "tailing",
            Self::NeedsReseed => "needs-reseed",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 6] =
        [Event::ShadowReady, Event::Pinned, Event::CopyComplete, Event::HistoryLost, Event::Reseed, Event::Abort];

    #[test]
    fn a_migration_goes_through_its_phases_in_order() {
        let happy = [Event::ShadowReady, Event::Pinned, Event::CopyComplete];
        let end = happy.into_iter().try_fold(Phase::Planned, next);
        assert_eq!(end, Ok(Phase::Tailing));
    }

    #[test]
    fn nothing_leaves_aborted() {
        assert!(EVENTS.into_iter().all(|event| next(Phase::Aborted, event).is_err()));
    }

    #[test]
    fn lost_history_is_left_only_by_reseed_or_abort() {
        let ways: Vec<_> = EVENTS.into_iter().filter_map(|event| next(Phase::NeedsReseed, event).ok()).collect();
        assert_eq!(ways, [Phase::Planned, Phase::Aborted]);
    }

    #[test]
    fn every_phase_but_the_last_can_be_left_by_reseed() {
        let ways = Phase::ALL.map(|phase| next(phase, Event::Reseed).ok());
        assert_eq!(
            ways,
            [
                Some(Phase::Planned),
                Some(Phase::Planned),
                Some(Phase::Planned),
                Some(Phase::Planned),
                Some(Phase::Planned),
                None
            ]
        );
    }

    #[test]
    fn copying_is_entered_only_through_the_pin() {
        let ways: Vec<_> = Phase::ALL
            .into_iter()
            .flat_map(|phase| EVENTS.map(|event| (phase, event)))
            .filter(|&(phase, event)| next(phase, event) == Ok(Phase::Copying))
            .collect();
        assert_eq!(ways, [(Phase::Provisioned, Event::Pinned)]);
    }

    #[test]
    fn the_stored_word_is_the_shown_word() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
    }
}
