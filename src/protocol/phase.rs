//! Where a migration stands, and what may follow.
//!
//! A cutover is a walk: the table that leads is fenced, drained, and left for the other one. The walk does not depend on which
//! table that is: giving it up leads back to where the leader rests, finishing it to where the other one does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Side;

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
    /// Set when a cutover begins, before the fence is asked for: from now on the leader may be fenced. A restart fences
    /// again.
    Fencing,
    /// Set when the fence stands. A restart drains.
    Fenced,
    /// Set when every change is applied, as far as the drain can tell. A restart goes back to `fenced`: what was proven
    /// held for the process that proved it.
    Drained,
    /// Set before the application is pointed at the other table: the switch's intent. The applier is closed; nothing unfences
    /// by itself any more. A restart switches again, unless the switch failed: then it waits for the operator.
    Switching,
    /// Set when the application uses the shadow. The applier stays closed; a restart watches for late changes.
    Switched,
    /// Set when a cutover is given up: the leader may be fenced still. A restart unfences again.
    Unfencing,
    /// Set by `finish`. Final: a restart refuses.
    Finished,
    /// Set when history was lost, or a table was replaced. Nothing runs; only `reseed` or `abort` lead on.
    NeedsReseed,
    /// Set by `abort`. Final: a restart refuses.
    Aborted,
}

/// Where a migration stands, and where its application writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Its phase.
    pub phase: Phase,
    /// The table that the application writes to, and writes to again if a cutover is given up.
    pub leader: Side,
}

impl Standing {
    /// No cutover is under way, and the application writes there.
    pub const fn at_rest(leader: Side) -> Self {
        let phase = match leader {
            Side::Source => Phase::Tailing,
            Side::Shadow => Phase::Switched,
        };
        Self { phase, leader }
    }

    /// The phases that it goes through, in their order. The present one is among them: last, where it is off the way.
    pub fn way(self) -> Vec<Phase> {
        let aside = Some(self.phase).filter(|phase| phase.is_aside());
        Phase::ALL.into_iter().filter(|phase| !phase.is_aside()).chain(aside).collect()
    }

    /// Whether this may happen to it.
    pub fn allows(self, event: Event) -> bool {
        next(self, event).is_ok()
    }
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
    /// Writes to the leader are stopped, by the operator's word or program.
    FenceStands,
    /// Every change is applied, as far as the drain can tell.
    Drained,
    /// What the drain told is no longer certain: a change arrived, or the process was restarted.
    Stirred,
    /// The keys that changed lately are equal on both sides, and the applier is closed.
    SwitchIntended,
    /// The application uses the other table, which leads from now on.
    Switched,
    /// The cutover is given up before its intent, or after it by an operator who vouches that nothing was switched.
    CutoverGivenUp,
    /// Writes to the leader are allowed again.
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

/// Where a migration stands after `event`. The one place where phases change, and the leader.
pub fn next(standing: Standing, event: Event) -> Result<Standing, Refused> {
    use Phase::{
        Aborted, Copying, Drained, Fenced, Fencing, Finished, NeedsReseed, Planned, Provisioned, Switched, Switching,
        Tailing, Unfencing,
    };
    let Standing { phase, leader } = standing;
    let phase = match (phase, event) {
        (Planned, Event::ShadowReady) => Provisioned,
        (Provisioned, Event::Pinned) => Copying,
        (Copying, Event::CopyComplete) => Tailing,
        (Tailing, Event::CutoverBegun) => Fencing,
        (Fencing, Event::FenceStands) | (Drained, Event::Stirred) => Fenced,
        (Fenced, Event::Drained) => Drained,
        (Drained, Event::SwitchIntended) => Switching,
        (Switching, Event::Switched) => return Ok(Standing::at_rest(leader.other())),
        (Fencing | Fenced | Drained | Switching, Event::CutoverGivenUp) => Unfencing,
        (Unfencing, Event::Unfenced) => return Ok(Standing::at_rest(leader)),
        (Switched, Event::Finish) => Finished,
        // Before the pin too: a table that was recorded may be replaced at any time. While the source may be fenced, it
        // is unfenced first.
        (Planned | Provisioned | Copying | Tailing, Event::HistoryLost) => NeedsReseed,
        (Planned | Provisioned | Copying | Tailing | NeedsReseed, Event::Reseed) => Planned,
        (Planned | Provisioned | Copying | Tailing | NeedsReseed, Event::Abort) => Aborted,
        (phase, event) => return Err(Refused { phase, event }),
    };
    Ok(Standing { phase, leader })
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
        self.is_of_a_cutover() || matches!(self, Self::Switched)
    }

    /// Whether a cutover is under way, or being given up: the table that leads may be fenced.
    pub const fn is_of_a_cutover(self) -> bool {
        matches!(self, Self::Fencing | Self::Fenced | Self::Drained | Self::Switching | Self::Unfencing)
    }

    /// Whether it belongs to no migration that goes well.
    pub const fn is_aside(self) -> bool {
        matches!(self, Self::Unfencing | Self::NeedsReseed | Self::Aborted)
    }

    /// Whether no cutover is to come.
    pub const fn is_past_cutovers(self) -> bool {
        matches!(self, Self::Switched | Self::Finished | Self::Aborted | Self::NeedsReseed)
    }

    /// What it means to whoever looks, while this table leads.
    pub fn meaning(self, leader: Side) -> String {
        let other = leader.other();
        match self {
            Self::Planned => "the shadow is created next".into(),
            Self::Provisioned => "the shadow is there; the stream is pinned next".into(),
            Self::Copying => "items are copied, and changes are applied as they come".into(),
            Self::Tailing => "the copy is complete, and changes are applied as they come".into(),
            Self::Fencing => format!("writes to the {leader} are being stopped"),
            Self::Fenced => format!("writes to the {leader} are stopped; the last changes are awaited"),
            Self::Drained => "every change is applied; the keys that changed last are compared".into(),
            Self::Switching => format!("the application is pointed at the {other}"),
            Self::Switched => "the application uses the shadow; `shadowtable finish` ends the migration".into(),
            Self::Unfencing => format!("the cutover was given up; writes to the {leader} are being allowed again"),
            Self::Finished => "the migration has ended".into(),
            Self::NeedsReseed => "history was lost: nothing is mirrored".into(),
            Self::Aborted => "the migration was given up".into(),
        }
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
}

impl fmt::Display for Phase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
impl Standing {
    /// Every phase, with each table that may lead in it.
    pub(crate) fn all() -> Vec<Self> {
        let leaders = |phase| match phase {
            Phase::Fencing | Phase::Fenced | Phase::Drained | Phase::Switching | Phase::Unfencing => &Side::BOTH[..],
            Phase::Switched | Phase::Finished => &[Side::Shadow],
            _ => &[Side::Source],
        };
        let all = Phase::ALL.into_iter();
        all.flat_map(|phase| leaders(phase).iter().map(move |leader| Self { phase, leader: *leader })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The phase after `event`, while the source leads.
    fn after(phase: Phase, event: Event) -> Option<Phase> {
        next(Standing { phase, leader: Side::Source }, event).ok().map(|to| to.phase)
    }

    /// The phases from which `event` leads to `to`.
    fn ways_into(to: Phase) -> Vec<(Phase, Event)> {
        let all = Standing::all().into_iter().flat_map(|standing| Event::ALL.map(|event| (standing, event)));
        let ways = all.filter(|&(from, event)| next(from, event).is_ok_and(|found| found.phase == to));
        let mut ways: Vec<_> = ways.map(|(from, event)| (from.phase, event)).collect();
        ways.dedup();
        ways
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
        let end = happy.into_iter().try_fold(Standing { phase: Phase::Planned, leader: Side::Source }, next);
        assert_eq!(end, Ok(Standing { phase: Phase::Finished, leader: Side::Shadow }));
    }

    /// Whichever table leads: the walk ends with the other one, or where it began.
    #[test]
    fn a_walk_is_the_same_with_the_sides_exchanged() {
        for leader in Side::BOTH {
            let fencing = Standing { phase: Phase::Fencing, leader };
            let walk = [Event::FenceStands, Event::Drained, Event::SwitchIntended, Event::Switched];
            assert_eq!(walk.into_iter().try_fold(fencing, next), Ok(Standing::at_rest(leader.other())));
            for given_up_after in 0..walk.len() {
                let mut events = walk.into_iter().take(given_up_after).chain([Event::CutoverGivenUp, Event::Unfenced]);
                assert_eq!(events.try_fold(fencing, next), Ok(Standing::at_rest(leader)));
            }
        }
    }

    #[test]
    fn the_leader_changes_only_with_the_switch() {
        for standing in Standing::all() {
            for event in Event::ALL {
                let Ok(to) = next(standing, event) else { continue };
                assert_eq!(to.leader != standing.leader, event == Event::Switched, "{standing:?} {event:?}");
                assert!(Standing::all().contains(&to), "{standing:?} {event:?} {to:?}");
            }
        }
    }

    #[test]
    fn a_switch_is_intended_only_after_the_drain_and_a_restart_drains_again() {
        assert_eq!(ways_into(Phase::Switching), [(Phase::Drained, Event::SwitchIntended)]);
        assert_eq!(ways_into(Phase::Drained), [(Phase::Fenced, Event::Drained)]);
        assert_eq!(after(Phase::Drained, Event::Stirred), Some(Phase::Fenced));
    }

    #[test]
    fn a_phase_in_which_the_source_may_be_fenced_is_left_only_through_unfencing_or_the_switch() {
        for standing in Standing::all().into_iter().filter(|standing| standing.phase.may_be_fenced()) {
            for event in Event::ALL {
                let Ok(to) = next(standing, event) else { continue };
                // The source is opened by an unfence of its own, or by a switch back to it.
                let opened = to == Standing::at_rest(Side::Source)
                    && matches!(standing.phase, Phase::Unfencing | Phase::Switching);
                let finished = (standing.phase, to.phase) == (Phase::Switched, Phase::Finished);
                assert!(to.phase.may_be_fenced() || opened || finished, "{standing:?} {event:?} {to:?}");
            }
        }
    }

    #[test]
    fn nothing_leaves_the_final_phases() {
        for standing in Standing::all().into_iter().filter(|standing| standing.phase.is_final()) {
            assert!(Event::ALL.into_iter().all(|event| !standing.allows(event)));
        }
    }

    #[test]
    fn lost_history_is_left_only_by_reseed_or_abort() {
        let ways: Vec<_> = Event::ALL.into_iter().filter_map(|event| after(Phase::NeedsReseed, event)).collect();
        assert_eq!(ways, [Phase::Planned, Phase::Aborted]);
    }

    #[test]
    fn reseed_and_abort_lead_out_of_every_phase_in_which_nothing_is_fenced() {
        for standing in Standing::all() {
            let allowed = !standing.phase.may_be_fenced() && !standing.phase.is_final();
            assert_eq!(standing.allows(Event::Reseed), allowed, "{standing:?}");
            assert_eq!(standing.allows(Event::Abort), allowed, "{standing:?}");
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
