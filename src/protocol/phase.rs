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
    /// Set when a cutover begins, before the fence is asked for: from now on the source may be fenced. A restart fences
    /// again.
    Fencing,
    /// Set when the fence stands. A restart drains.
    Fenced,
    /// Set when every change is applied, as far as the drain can tell. A restart goes back to `fenced`: what was proven
    /// held for the process that proved it.
    Drained,
    /// Set before the application is pointed at the shadow: the switch's intent. The applier is closed; nothing unfences
    /// by itself any more. A restart switches again, unless the switch failed: then it waits for the operator.
    Switching,
    /// Set when the application uses the shadow. The applier stays closed; a restart watches for late changes.
    Switched,
    /// Set when a cutover is given up: the source may be fenced still. A restart unfences again.
    Unfencing,
    /// Set by `finish`. Final: a restart refuses.
    Finished,
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
    /// The operator began a cutover, and all gates held.
    CutoverBegun,
    /// Writes to the source are stopped, by the operator's word or program.
    FenceStands,
    /// Every change is applied, as far as the drain can tell.
    Drained,
    /// What the drain told is no longer certain: a change arrived, or the process was restarted.
    Stirred,
    /// The keys that changed lately are equal on both sides, and the applier is closed.
    SwitchIntended,
    /// The application uses the shadow.
    Switched,
    /// The cutover is given up before its intent, or after it by an operator who vouches that nothing was switched.
    CutoverGivenUp,
    /// Writes to the source are allowed again.
    Unfenced,
    /// The operator has no more use for the migration.
    Finish,
    /// Records were trimmed unread, or the source, its stream or the shadow was replaced.
    HistoryLost,
    /// The operator starts over with an empty shadow.
    Reseed,
    /// The operator ends the migration.
    Abort,
}

impl Event {
    /// All that can happen.
    pub const ALL: [Self; 15] = [
        Self::ShadowReady,
        Self::Pinned,
        Self::CopyComplete,
        Self::CutoverBegun,
        Self::FenceStands,
        Self::Drained,
        Self::Stirred,
        Self::SwitchIntended,
        Self::Switched,
        Self::CutoverGivenUp,
        Self::Unfenced,
        Self::Finish,
        Self::HistoryLost,
        Self::Reseed,
        Self::Abort,
    ];
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
    use Phase::{
        Aborted, Copying, Drained, Fenced, Fencing, Finished, NeedsReseed, Planned, Provisioned, Switched, Switching,
        Tailing, Unfencing,
    };
    match (phase, event) {
        (Planned, Event::ShadowReady) => Ok(Provisioned),
        (Provisioned, Event::Pinned) => Ok(Copying),
        (Copying, Event::CopyComplete) | (Unfencing, Event::Unfenced) => Ok(Tailing),
        (Tailing, Event::CutoverBegun) => Ok(Fencing),
        (Fencing, Event::FenceStands) | (Drained, Event::Stirred) => Ok(Fenced),
        (Fenced, Event::Drained) => Ok(Drained),
        (Drained, Event::SwitchIntended) => Ok(Switching),
        (Switching, Event::Switched) => Ok(Switched),
        (Fencing | Fenced | Drained | Switching, Event::CutoverGivenUp) => Ok(Unfencing),
        (Switched, Event::Finish) => Ok(Finished),
        // Before the pin too: a table that was recorded may be replaced at any time. While the source may be fenced, it
        // is unfenced first.
        (Planned | Provisioned | Copying | Tailing, Event::HistoryLost) => Ok(NeedsReseed),
        (Planned | Provisioned | Copying | Tailing | NeedsReseed, Event::Reseed) => Ok(Planned),
        (Planned | Provisioned | Copying | Tailing | NeedsReseed, Event::Abort) => Ok(Aborted),
        (phase, event) => Err(Refused { phase, event }),
    }
}

impl Phase {
    /// All phases, in the order in which a migration goes through them.
    pub const ALL: [Self; 13] = [
        Self::Planned,
        Self::Provisioned,
        Self::Copying,
        Self::Tailing,
        Self::Fencing,
        Self::Fenced,
        Self::Drained,
        Self::Switching,
        Self::Switched,
        Self::Unfencing,
        Self::Finished,
        Self::NeedsReseed,
        Self::Aborted,
    ];

    /// The word used in the state table, in metrics and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Provisioned => "provisioned",
            Self::Copying => "copying",
            Self::Tailing => "tailing",
            Self::Fencing => "fencing",
            Self::Fenced => "fenced",
            Self::Drained => "drained",
            Self::Switching => "switching",
            Self::Switched => "switched",
            Self::Unfencing => "unfencing",
            Self::Finished => "finished",
            Self::NeedsReseed => "needs-reseed",
            Self::Aborted => "aborted",
        }
    }

    /// Whether the source may be fenced.
    pub const fn may_be_fenced(self) -> bool {
        matches!(
            self,
            Self::Fencing | Self::Fenced | Self::Drained | Self::Switching | Self::Switched | Self::Unfencing
        )
    }

    /// What to do about a migration that nobody runs.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Finished => "nothing is left to run; `shadowtable forget` removes it from the state table",
            Self::Aborted => "nothing is left to run; begin another migration under another id",
            Self::NeedsReseed => {
                "start over with an empty shadow: `shadowtable reseed`; or end it: `shadowtable abort`"
            }
            _ => "start `shadowtable run`",
        }
    }

    /// Whether nothing follows.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Aborted)
    }

    /// Whether the applier takes no more changes: the application may be writing to the shadow.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Switching | Self::Switched | Self::Finished)
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

    /// The phases from which `event` leads to `to`.
    fn ways_into(to: Phase) -> Vec<(Phase, Event)> {
        let all = Phase::ALL.into_iter().flat_map(|phase| Event::ALL.map(|event| (phase, event)));
        all.filter(|&(phase, event)| next(phase, event) == Ok(to)).collect()
    }

    #[test]
    fn a_migration_goes_through_its_phases_in_order() {
        let happy = [
            Event::ShadowReady,
            Event::Pinned,
            Event::CopyComplete,
            Event::CutoverBegun,
            Event::FenceStands,
            Event::Drained,
            Event::SwitchIntended,
            Event::Switched,
            Event::Finish,
        ];
        let end = happy.into_iter().try_fold(Phase::Planned, next);
        assert_eq!(end, Ok(Phase::Finished));
    }

    #[test]
    fn a_switch_is_intended_only_after_the_drain_and_a_restart_drains_again() {
        assert_eq!(ways_into(Phase::Switching), [(Phase::Drained, Event::SwitchIntended)]);
        assert_eq!(ways_into(Phase::Drained), [(Phase::Fenced, Event::Drained)]);
        assert_eq!(next(Phase::Drained, Event::Stirred), Ok(Phase::Fenced));
    }

    #[test]
    fn a_phase_in_which_the_source_may_be_fenced_is_left_only_through_unfencing_or_the_switch() {
        for phase in Phase::ALL.into_iter().filter(|phase| phase.may_be_fenced()) {
            for event in Event::ALL {
                let Ok(to) = next(phase, event) else { continue };
                let undone = (phase, to) == (Phase::Unfencing, Phase::Tailing);
                let finished = (phase, to) == (Phase::Switched, Phase::Finished);
                assert!(to.may_be_fenced() || undone || finished, "{phase} {event:?} {to}");
            }
        }
    }

    #[test]
    fn a_closed_applier_is_opened_only_by_an_operator_who_gives_up() {
        for phase in Phase::ALL.into_iter().filter(|phase| phase.is_closed()) {
            for event in Event::ALL {
                let Ok(to) = next(phase, event) else { continue };
                assert!(to.is_closed() || event == Event::CutoverGivenUp, "{phase} {event:?} {to}");
            }
        }
    }

    #[test]
    fn nothing_leaves_the_final_phases() {
        for phase in [Phase::Aborted, Phase::Finished] {
            assert!(Event::ALL.into_iter().all(|event| next(phase, event).is_err()));
        }
    }

    #[test]
    fn lost_history_is_left_only_by_reseed_or_abort() {
        let ways: Vec<_> = Event::ALL.into_iter().filter_map(|event| next(Phase::NeedsReseed, event).ok()).collect();
        assert_eq!(ways, [Phase::Planned, Phase::Aborted]);
    }

    #[test]
    fn reseed_and_abort_lead_out_of_every_phase_in_which_nothing_is_fenced() {
        for phase in Phase::ALL {
            let allowed = !phase.may_be_fenced() && !phase.is_final();
            assert_eq!(next(phase, Event::Reseed).is_ok(), allowed, "{phase}");
            assert_eq!(next(phase, Event::Abort).is_ok(), allowed, "{phase}");
        }
    }

    #[test]
    fn copying_is_entered_only_through_the_pin() {
        assert_eq!(ways_into(Phase::Copying), [(Phase::Provisioned, Event::Pinned)]);
    }

    #[test]
    fn the_stored_word_is_the_shown_word() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
    }
}
