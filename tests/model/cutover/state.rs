//! What there is: both tables, the fence, the pointer, the migration's entry, and the process that holds the lease.

use crate::few::Few;

/// Where the migration stands; see `protocol::phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Copied; the tail goes on.
    #[default]
    Tailing,
    /// The source may be fenced from now on.
    Fencing,
    /// The fence stands.
    Fenced,
    /// Every change is applied, as far as the drain can tell.
    Drained,
    /// The intent: nothing unfences by itself any more.
    Switching,
    /// The application uses the shadow.
    Switched,
    /// The cutover is given up; the fence is being undone.
    Unfencing,
}

/// The migration's entry in the state table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Meta {
    pub(crate) phase: Phase,
    /// The switch failed, and waits for the operator.
    pub(crate) trouble: bool,
}

/// An entry and what guards it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) meta: Meta,
    pub(crate) version: u8,
    pub(crate) epoch: u8,
}

/// A write of the migration's entry, on its way. It may arrive at any time, also when its sender is long gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) meta: Meta,
    /// The version that it must find.
    pub(crate) version: u8,
    pub(crate) epoch: u8,
}

/// What is done to the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    /// Writes to the source are stopped.
    #[default]
    Fence,
    /// They are allowed again.
    Unfence,
    /// The application is pointed at the shadow.
    Switch,
}

impl Deed {
    /// That of a phase.
    pub(crate) const fn of(phase: Phase) -> Option<Self> {
        match phase {
            Phase::Fencing => Some(Self::Fence),
            Phase::Unfencing => Some(Self::Unfence),
            Phase::Switching => Some(Self::Switch),
            _ => None,
        }
    }
}

/// A deed that nobody waits for any more, and that may still be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Abandoned {
    pub(crate) epoch: u8,
    pub(crate) deed: Deed,
    /// It was done.
    pub(crate) landed: bool,
}

/// What becomes of changes; see `engine::apply::core::Intake`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Intake {
    /// They are applied.
    #[default]
    Open,
    /// They are late, and no checkpoint passes them.
    Held,
    /// They are late for good.
    Closed,
}

/// What a new holder has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// It waits until the requests of earlier holders can land no more.
    Settling,
    /// It is about to claim the entry.
    Claiming,
    /// It is about to read it.
    Reading,
    /// It works.
    Working,
}

/// How far the step of the present phase is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// It is to be begun.
    #[default]
    Due,
    /// Its request or program is under way.
    Running,
    /// That of the switch was given up, and may still act.
    Lost,
    /// The switch's program says that it failed, whatever it did.
    Failed,
    /// It is done, and that is to be stored.
    Done,
}

/// The memory of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) epoch: u8,
    pub(crate) stage: Stage,
    /// The entry, as far as it knows.
    pub(crate) meta: Meta,
    pub(crate) version: u8,
    /// What it asks the state table to store.
    pub(crate) asking: Option<Meta>,
    /// Changes offered.
    pub(crate) read: u8,
    pub(crate) intake: Intake,
    pub(crate) step: Step,
    /// No change came since it drained.
    pub(crate) undisturbed: bool,
    /// It stored the switch's intent itself, and began no switch since.
    pub(crate) fresh: bool,
}

/// Everything.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Changes of the source so far; each is a new image of the one item.
    pub(crate) written: u8,
    /// The last of them that the fence would have held: the application was told that it is done.
    pub(crate) acknowledged: u8,
    pub(crate) fenced: bool,
    /// The pointer names the shadow.
    pub(crate) moved: bool,
    /// The image in the shadow that came from the source.
    pub(crate) shadow: u8,
    /// A change was applied to the shadow although the application may use it.
    pub(crate) overwritten: bool,
    /// The item is in quarantine as late.
    pub(crate) late: bool,
    /// The checkpoint.
    pub(crate) passed: u8,
    pub(crate) entry: Entry,
    /// The epoch of the last holder.
    pub(crate) epoch: u8,
    /// It gave the lease back as quiet.
    pub(crate) quiet: bool,
    pub(crate) messages: Few<Message, 5>,
    pub(crate) abandoned: Few<Abandoned, 6>,
    pub(crate) holder: Option<Holder>,
    pub(crate) writes_left: u8,
    pub(crate) stragglers_left: u8,
    pub(crate) cutovers_left: u8,
    pub(crate) faults_left: u8,
    pub(crate) ends_left: u8,
}
