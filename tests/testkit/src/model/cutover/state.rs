//! What there is: both tables, the fence, the pointer, the migration's entry, and the process that holds the lease.

use crate::model::few::Few;

/// Where the migration stands; see `protocol::phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
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
pub struct Meta {
    pub phase: Phase,
    /// The switch failed, and waits for the operator.
    pub trouble: bool,
}

/// An entry and what guards it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    pub meta: Meta,
    pub version: u8,
    pub epoch: u8,
}

/// A write of the migration's entry, on its way. It may arrive at any time, also when its sender is long gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    pub meta: Meta,
    /// The version that it must find.
    pub version: u8,
    pub epoch: u8,
}

/// What is done to the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deed {
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
    pub const fn of(phase: Phase) -> Option<Self> {
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
pub struct Abandoned {
    pub epoch: u8,
    pub deed: Deed,
    /// It was done.
    pub landed: bool,
}

/// What becomes of changes; see `engine::apply::core::Intake`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Intake {
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
pub enum Stage {
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
pub enum Step {
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
pub struct Holder {
    pub epoch: u8,
    pub stage: Stage,
    /// The entry, as far as it knows.
    pub meta: Meta,
    pub version: u8,
    /// What it asks the state table to store.
    pub asking: Option<Meta>,
    /// Changes offered.
    pub read: u8,
    pub intake: Intake,
    pub step: Step,
    /// No change came since it drained.
    pub undisturbed: bool,
    /// It stored the switch's intent itself, and began no switch since.
    pub fresh: bool,
}

/// Everything.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Changes of the source so far; each is a new image of the one item.
    pub written: u8,
    /// The last of them that the fence would have held: the application was told that it is done.
    pub acknowledged: u8,
    pub fenced: bool,
    /// The pointer names the shadow.
    pub moved: bool,
    /// The image in the shadow that came from the source.
    pub shadow: u8,
    /// A change was applied to the shadow although the application may use it.
    pub overwritten: bool,
    /// The item is in quarantine as late.
    pub late: bool,
    /// The checkpoint.
    pub passed: u8,
    pub entry: Entry,
    /// The epoch of the last holder.
    pub epoch: u8,
    /// It gave the lease back as quiet.
    pub quiet: bool,
    pub messages: Few<Message, 5>,
    pub abandoned: Few<Abandoned, 6>,
    pub holder: Option<Holder>,
    pub writes_left: u8,
    pub stragglers_left: u8,
    pub cutovers_left: u8,
    pub faults_left: u8,
    pub ends_left: u8,
}
