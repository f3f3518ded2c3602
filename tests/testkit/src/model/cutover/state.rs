//! What there is: both tables, the pointer, the migration's entry, and the process that holds the lease.

use std::ops::{Index, IndexMut};

use crate::model::few::Few;

/// One of the two tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Side {
    /// Where the application writes at first.
    #[default]
    Source,
    /// Where it writes once it was switched.
    Shadow,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Source, Self::Shadow];

    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Shadow,
            Self::Shadow => Self::Source,
        }
    }

    /// The phase in which the application writes here, and nobody is about to change that.
    pub const fn rest(self) -> Phase {
        match self {
            Self::Source => Phase::Tailing,
            Self::Shadow => Phase::Switched,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Shadow => "shadow",
        }
    }
}

/// One value for each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sides<T>(pub [T; 2]);

impl<T> Index<Side> for Sides<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        &self.0[side as usize]
    }
}

impl<T> IndexMut<Side> for Sides<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        &mut self.0[side as usize]
    }
}

/// Where the migration stands; see `protocol::phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Copied; the tail goes on. The application writes to the source.
    #[default]
    Tailing,
    /// The leader may be fenced from now on.
    Fencing,
    /// The fence stands.
    Fenced,
    /// Every change is applied, as far as the drain can tell.
    Drained,
    /// The intent: nothing unfences by itself any more.
    Switching,
    /// The application writes to the shadow.
    Switched,
    /// The cutover is given up; the fence is being undone.
    Unfencing,
}

/// The migration's entry in the state table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta {
    pub phase: Phase,
    /// Where the application writes, and writes again if a walk is given up.
    pub leader: Side,
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
    /// Writes to the leader are stopped.
    #[default]
    Fence,
    /// They are allowed again.
    Unfence,
    /// The other table is opened, and the application pointed at it.
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
    /// The leader at the time.
    pub leader: Side,
    /// It was done.
    pub landed: bool,
}

/// What becomes of changes of the leader; see `protocol::leg::Intake`. Those of the other table are late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Intake {
    /// They are applied.
    #[default]
    Open,
    /// They are late, and no checkpoint passes them.
    Held,
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
    /// Changes of each table that were offered.
    pub read: Sides<u8>,
    pub intake: Intake,
    pub step: Step,
    /// No change came since it drained.
    pub undisturbed: bool,
    /// It stored the switch's intent itself, and began no switch since.
    pub fresh: bool,
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Changes that somebody made at each table so far; each is a new image of the one item.
    pub written: Sides<u8>,
    /// The last of them that the fence would have held: the application was told that it is done.
    pub acknowledged: Sides<u8>,
    /// Nobody may write there: it is fenced, or was not opened yet.
    pub closed: Sides<bool>,
    /// What the pointer names.
    pub pointer: Side,
    /// The last change of each table that was applied to the other one.
    pub applied: Sides<u8>,
    /// A change was applied to a table although the application may use it.
    pub overwritten: bool,
    /// A change of this table is in quarantine as late.
    pub late: Sides<bool>,
    /// The checkpoints of each table's stream.
    pub passed: Sides<u8>,
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
    pub rollbacks_left: u8,
    pub faults_left: u8,
    pub ends_left: u8,
}
