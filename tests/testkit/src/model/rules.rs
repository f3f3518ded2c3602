//! The eight invariants of the protocol, and the parts of them that can be taken out of a model one by one.

use std::fmt;

/// An invariant, by its number in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Per shadow key, writes are serialised.
    One,
    /// A copied image is dropped when a change to its item was offered after its page's read began.
    Two,
    /// A checkpoint passes a change only when it, or what replaced it, is durable or in quarantine.
    Three,
    /// A child shard is read only when its parent is durable and that is stored.
    Four,
    /// A cursor passes a page only when every item on it is settled.
    Five,
    /// Only the lease holder writes; what it stores carries its epoch.
    Six,
    /// A phase changes only under the version that was read.
    Seven,
    /// Lost history is never read over.
    Eight,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::One, Self::Two, Self::Three, Self::Four, Self::Five, Self::Six, Self::Seven, Self::Eight];
}

/// What can be taken out of a model: a whole invariant, or one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Everything that an invariant says.
    Whole(Invariant),
    /// 1: a different image waits until no abandoned request is younger than the bound.
    BoundBeforeAnother,
    /// 2: at the cap of what is remembered, the page is given up and read again.
    PageGivenUpAtCap,
    /// 3: a refused image is in quarantine, durably, before its record is passed.
    QuarantineFirst,
    /// 4: the parent's final checkpoint is stored before its child is read.
    ParentStored,
    /// 6: past its deadline a holder sends nothing.
    DeadlineHeld,
    /// 6: the deadline is looked at in the instant in which a request is sent. No process can do this; see `takeover`.
    SentWhenChecked,
    /// 6: a new holder waits for the abandonment bound before its first write.
    SettledFirst,
    /// 6: a new holder claims a checkpoint before it reads it.
    ClaimedBeforeRead,
    /// 6: what is stored is conditional on the holder's epoch.
    EpochChecked,
    /// 6: a lease is given back as quiet only if no request of the holder's can land.
    QuietTold,
    /// Ownership: a put carries the condition "absent, or mine".
    PutConditional,
    /// Ownership: a deletion carries the condition "mine".
    DeleteConditional,
    /// Ownership: changes of different items to one shadow key do not coalesce.
    OwnersApart,
    /// Ownership: a freed key is offered to the items in collision on it.
    FreedReread,
    /// Ownership: a deletion that finds nothing counts as freeing.
    AbsentCountsAsFreed,
    /// Ownership: after a restart all items in collision are read again.
    CollisionsReread,
    /// Ownership: a re-read that a change overtook is not applied.
    RereadDropped,
    /// Ownership: nor is it forgotten.
    RereadKept,
    /// Cutover: the drain waits until every shard was read to its end and all is durable.
    DrainProven,
    /// Cutover: what was drained is drained again after a restart.
    DrainedAgain,
    /// Cutover: the intake is held before the intent is stored, and nothing came meanwhile.
    IntakeHeld,
    /// Cutover: while the switch may still be given up, no checkpoint passes what was not applied.
    HeldNotPassed,
    /// Cutover: after the intent, a failure does not unfence.
    IntentKept,
    /// Cutover: a switch that cannot be started unfences only where no attempt of the same intent came before it.
    FirstAttemptOnly,
    /// Cutover: a table's changes are read only once it leads.
    ReadOnceItLeads,
    /// Cutover: a switch that was given up is told to have failed only when it can act no more.
    SwitchSettled,
    /// Cutover: a fence or unfence that was given up can act no more before what comes after it.
    OwnStepsOutlasted,
    /// 6, in a cutover: a new holder waits until no step of an earlier one can act any more.
    StepsOutlasted,
    /// 6, in a cutover: a lease is given back as quiet only if no step of the holder's can act any more.
    StepsCountAsLoud,
}

impl Rule {
    /// The invariant that a rule belongs to, if it is one of the eight.
    pub const fn invariant(self) -> Option<Invariant> {
        match self {
            Self::Whole(invariant) => Some(invariant),
            Self::BoundBeforeAnother => Some(Invariant::One),
            Self::PageGivenUpAtCap => Some(Invariant::Two),
            Self::QuarantineFirst => Some(Invariant::Three),
            Self::ParentStored => Some(Invariant::Four),
            Self::DeadlineHeld
            | Self::SentWhenChecked
            | Self::SettledFirst
            | Self::ClaimedBeforeRead
            | Self::EpochChecked
            | Self::QuietTold
            | Self::StepsOutlasted
            | Self::StepsCountAsLoud => Some(Invariant::Six),
            _ => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |invariant: Invariant| invariant as u8 + 1;
        match (self, self.invariant()) {
            (Self::Whole(invariant), _) => write!(out, "invariant {}", number(*invariant)),
            (rule, Some(invariant)) => write!(out, "{}: {rule:?}", number(invariant)),
            (rule, None) => write!(out, "{rule:?}"),
        }
    }
}

/// The rules that hold in a model: all, or all but one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Guards {
    /// What was taken out.
    pub without: Option<Rule>,
}

impl Guards {
    /// Everything but this.
    pub const fn without(rule: Rule) -> Self {
        Self { without: Some(rule) }
    }

    /// Whether this rule holds: neither it nor its invariant was taken out.
    pub fn hold(self, rule: Rule) -> bool {
        let whole = rule.invariant().map(Rule::Whole);
        self.without.is_none_or(|without| without != rule && Some(without) != whole)
    }
}
