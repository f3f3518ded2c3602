//! Which models are looked at, within which bounds, and which rules they lose one at a time.

use crate::model::check::{self, Outcome};
use crate::model::cutover::{self, Cutover};
use crate::model::ownership::{self, Begin, Ownership};
use crate::model::replication::{self, Replication};
use crate::model::rules::{Guards, Invariant, Rule};
use crate::model::takeover::{self, Takeover};

/// A model within its bounds.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    /// Copy beside tail.
    Replication(replication::Bounds),
    /// Two processes and one lease.
    Takeover(takeover::Bounds),
    /// Shadow keys that two items can claim.
    Ownership(ownership::Bounds),
    /// Fence, drain, switch and the way back.
    Cutover(cutover::Bounds),
}

impl Case {
    /// Looks at all states.
    pub fn explore(self, guards: Guards) -> Outcome {
        self.explore_for(guards, None)
    }

    /// Looks at all states, and stops only where this property is violated.
    pub fn explore_for(self, guards: Guards, wanted: Option<&'static str>) -> Outcome {
        match self {
            Self::Replication(bounds) => check::explore(&Replication { bounds, guards }, wanted),
            Self::Takeover(bounds) => check::explore(&Takeover { bounds, guards }, wanted),
            Self::Ownership(bounds) => check::explore(&Ownership { bounds, guards }, wanted),
            Self::Cutover(bounds) => check::explore(&Cutover { bounds, guards }, wanted),
        }
    }

    /// Looks for a cycle; returns how many states there are.
    pub fn cycle(self) -> Result<usize, Vec<String>> {
        let guards = Guards::default();
        match self {
            Self::Replication(bounds) => check::cycle(&Replication { bounds, guards }),
            Self::Takeover(bounds) => check::cycle(&Takeover { bounds, guards }),
            Self::Ownership(bounds) => check::cycle(&Ownership { bounds, guards }),
            Self::Cutover(bounds) => check::cycle(&Cutover { bounds, guards }),
        }
    }
}

/// One item, and a little of everything.
pub const REPLICATION: replication::Bounds = replication::Bounds {
    keys: 1,
    writes: 2,
    refusals: 1,
    rolls: 1,
    faults: 1,
    crashes: 1,
    trims: 1,
    overtaken: 1,
    history: 0,
};
/// Two items, whose shard splits.
pub const TWO_KEYS: replication::Bounds =
    replication::Bounds { keys: 2, writes: 1, refusals: 0, faults: 0, trims: 0, ..REPLICATION };
/// Two items, of which one crowds the other out of what is remembered while a page is read.
pub const CROWDED: replication::Bounds =
    replication::Bounds { keys: 2, refusals: 0, rolls: 0, faults: 0, crashes: 0, trims: 0, ..REPLICATION };
/// A pinned shard with records from before the pin.
pub const HISTORY: replication::Bounds =
    replication::Bounds { writes: 1, refusals: 0, history: 2, trims: 2, ..REPLICATION };
/// Two processes.
pub const TAKEOVER: takeover::Bounds = takeover::Bounds { writes: 2, faults: 1, ends: 2 };
/// Two items on one place, and a crash.
pub const OWNERSHIP: ownership::Bounds =
    ownership::Bounds { writes: 2, faults: 0, crashes: 1, begin: Begin::Collision };
/// Two items on one place, and an abandoned request.
pub const OWNED_FAULTS: ownership::Bounds = ownership::Bounds { faults: 1, crashes: 0, ..OWNERSHIP };
/// A cutover, and a little of everything.
pub const CUTOVER: cutover::Bounds =
    cutover::Bounds { writes: 1, stragglers: 1, cutovers: 1, rollbacks: 0, faults: 1, ends: 1 };
/// Two of them.
pub const TWO_CUTOVERS: cutover::Bounds = cutover::Bounds { stragglers: 0, cutovers: 2, ..CUTOVER };
/// A cutover and a walk back.
pub const THERE_AND_BACK: cutover::Bounds = cutover::Bounds { writes: 2, stragglers: 0, rollbacks: 1, ..CUTOVER };

/// What a test run looks at, with all rules in place.
pub const CASES: [Case; 11] = [
    Case::Replication(REPLICATION),
    Case::Replication(TWO_KEYS),
    Case::Replication(CROWDED),
    Case::Replication(HISTORY),
    Case::Takeover(TAKEOVER),
    Case::Ownership(OWNERSHIP),
    Case::Ownership(OWNED_FAULTS),
    Case::Ownership(ownership::Bounds { writes: 1, begin: Begin::Copy, ..OWNERSHIP }),
    Case::Cutover(CUTOVER),
    Case::Cutover(TWO_CUTOVERS),
    Case::Cutover(THERE_AND_BACK),
];

/// Each rule, and a model that goes wrong without it.
pub const REMOVALS: [(Rule, Case); 37] = [
    (Rule::Whole(Invariant::One), Case::Replication(REPLICATION)),
    (Rule::Whole(Invariant::Two), Case::Replication(REPLICATION)),
    (Rule::Whole(Invariant::Three), Case::Replication(REPLICATION)),
    (Rule::Whole(Invariant::Four), Case::Replication(REPLICATION)),
    (Rule::Whole(Invariant::Five), Case::Replication(REPLICATION)),
    (Rule::Whole(Invariant::Six), Case::Takeover(TAKEOVER)),
    (Rule::Whole(Invariant::Seven), Case::Cutover(CUTOVER)),
    (Rule::Whole(Invariant::Eight), Case::Replication(REPLICATION)),
    (Rule::BoundBeforeAnother, Case::Replication(REPLICATION)),
    (Rule::PageGivenUpAtCap, Case::Replication(CROWDED)),
    (Rule::QuarantineFirst, Case::Replication(REPLICATION)),
    (Rule::ParentStored, Case::Replication(REPLICATION)),
    (Rule::DeadlineHeld, Case::Takeover(TAKEOVER)),
    (Rule::SentWhenChecked, Case::Takeover(TAKEOVER)),
    (Rule::SettledFirst, Case::Takeover(TAKEOVER)),
    (Rule::ClaimedBeforeRead, Case::Takeover(TAKEOVER)),
    (Rule::EpochChecked, Case::Takeover(TAKEOVER)),
    (Rule::QuietTold, Case::Takeover(TAKEOVER)),
    (Rule::PutConditional, Case::Ownership(OWNERSHIP)),
    (Rule::DeleteConditional, Case::Ownership(OWNERSHIP)),
    (Rule::OwnersApart, Case::Ownership(OWNERSHIP)),
    (Rule::FreedReread, Case::Ownership(OWNERSHIP)),
    (Rule::AbsentCountsAsFreed, Case::Ownership(OWNED_FAULTS)),
    (Rule::CollisionsReread, Case::Ownership(OWNERSHIP)),
    (Rule::RereadDropped, Case::Ownership(OWNERSHIP)),
    (Rule::RereadKept, Case::Ownership(OWNERSHIP)),
    (Rule::StepsOutlasted, Case::Cutover(CUTOVER)),
    (Rule::StepsCountAsLoud, Case::Cutover(CUTOVER)),
    (Rule::OwnStepsOutlasted, Case::Cutover(CUTOVER)),
    (Rule::DrainProven, Case::Cutover(CUTOVER)),
    (Rule::DrainedAgain, Case::Cutover(CUTOVER)),
    (Rule::IntakeHeld, Case::Cutover(CUTOVER)),
    (Rule::HeldNotPassed, Case::Cutover(CUTOVER)),
    (Rule::IntentKept, Case::Cutover(CUTOVER)),
    (Rule::FirstAttemptOnly, Case::Cutover(CUTOVER)),
    (Rule::SwitchSettled, Case::Cutover(CUTOVER)),
    (Rule::ReadOnceItLeads, Case::Cutover(THERE_AND_BACK)),
];
