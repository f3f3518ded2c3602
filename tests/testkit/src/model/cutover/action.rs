//! What can happen, and how it is told.

use std::fmt;

use super::state::{Deed, Meta, Phase, Side};
use crate::model::check;

/// A step of the application, the operator, the service, or the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The application writes to the table that it uses.
    Write { to: Side },
    /// It writes to the source although that is closed.
    Straggle,
    /// A process takes the lease.
    Take { epoch: u8 },
    /// It has waited for what earlier holders may still do.
    Settle,
    /// It claims the migration's entry.
    Claim,
    /// It reads it.
    Read { phase: Phase },
    /// It offers the next change of a table.
    Poll { from: Side, change: u8 },
    /// It stores the checkpoint of a table's stream.
    Save { from: Side, passed: u8 },
    /// The operator begins a cutover.
    Cutover,
    /// The operator begins a walk back.
    Rollback,
    /// Its request or program is sent or started.
    Begin { deed: Deed },
    /// It ends well.
    End { deed: Deed },
    /// It is given up, and may still act.
    Lose { deed: Deed },
    /// The switch cannot be started, or is refused: for certain it did nothing.
    NotBegun,
    /// The switch fails, having done nothing.
    Refuse,
    /// The switch's program moves the pointer, and says that it failed.
    HalfSwitch,
    /// The drain sees that all is applied.
    Drain,
    /// The recheck is done; the intake is held, if nothing came since the drain.
    Intend,
    /// Something came since the drain, or the process was restarted.
    Stir,
    /// A deed that was given up is done.
    Land { index: u8, deed: Deed },
    /// The bound is over for the oldest deed that was given up.
    Elapse { deed: Deed },
    /// The switch's failure is found to be definite, or no failure.
    EndSwitch { moved: bool },
    /// A step before the intent fails: the cutover is given up.
    Fail { phase: Phase },
    /// The operator lets the switch be tried again.
    Again,
    /// The operator vouches that the application uses the other table.
    Declare,
    /// The operator vouches that nothing uses the other table, and gives the walk up.
    GiveUp,
    /// What was done is asked to be stored.
    Ask { meta: Meta },
    /// A write of the entry is given up and sent again.
    Resend { meta: Meta },
    /// A write of the entry arrives at the state table.
    Arrive { index: u8, meta: Meta },
    /// A write of the entry that nobody waits for gets lost.
    Vanish { index: u8 },
    /// The process dies.
    Crash,
    /// It stops, and gives the lease back.
    Stop { quiet: bool },
}

impl check::Action for Action {
    fn is_environment(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Straggle
                | Self::Cutover
                | Self::Rollback
                | Self::Lose { .. }
                | Self::NotBegun
                | Self::Refuse
                | Self::HalfSwitch
                | Self::Land { .. }
                | Self::Fail { .. }
                | Self::Resend { .. }
                | Self::Vanish { .. }
                | Self::Crash
                | Self::Stop { .. }
        )
    }
}

const fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Fence => "fence",
        Deed::Unfence => "unfence",
        Deed::Switch => "switch",
    }
}

const fn effect(deed: Deed) -> &'static str {
    match deed {
        Deed::Fence => "the leader is closed",
        Deed::Unfence => "the leader is open",
        Deed::Switch => "the pointer names the other table",
    }
}

fn told(meta: Meta) -> String {
    let trouble = if meta.trouble { ", with trouble" } else { "" };
    format!("{:?}{trouble}, led by the {}", meta.phase, meta.leader.word())
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Write { to } => return write!(out, "the application writes to the {}", to.word()),
            Self::Straggle => "somebody writes to the source whom the fence does not hold",
            Self::Take { epoch } => return write!(out, "a process takes the lease: epoch {epoch}"),
            Self::Settle => "it has waited for what earlier holders gave up",
            Self::Claim => "it claims the migration's entry",
            Self::Read { phase } => return write!(out, "it reads the phase: {phase:?}"),
            Self::Poll { from, change } => return write!(out, "it offers change {change} of the {}", from.word()),
            Self::Save { from, passed } => {
                return write!(out, "it stores the checkpoint of the {}: {passed} changes", from.word());
            }
            Self::Cutover => "the operator begins a cutover",
            Self::Rollback => "the operator begins a walk back",
            Self::Drain => "the drain sees that all is applied",
            Self::Intend => "the intake is held: the switch is intended",
            Self::Stir => "what was drained is to be drained again",
            Self::Begin { deed } => return write!(out, "the {} begins", word(deed)),
            Self::End { deed } => return write!(out, "the {} is done: {}", word(deed), effect(deed)),
            Self::Lose { deed } => return write!(out, "the {} is given up, and may still act", word(deed)),
            Self::NotBegun => "the switch cannot be started",
            Self::Refuse => "the switch fails, and did nothing",
            Self::Land { deed, .. } => {
                return write!(out, "the {} that was given up acts late: {}", word(deed), effect(deed));
            }
            Self::Elapse { deed } => return write!(out, "the {} that was given up can act no more", word(deed)),
            Self::HalfSwitch => "the switch's program moves the pointer, and says that it failed",
            Self::EndSwitch { moved: true } => "the pointer is found to name the other table",
            Self::EndSwitch { moved: false } => "the switch is found to have failed",
            Self::Fail { phase } => return write!(out, "the step of {phase:?} fails: the cutover is given up"),
            Self::Again => "the operator lets the switch be tried again",
            Self::Declare => "the operator vouches that the application uses the other table",
            Self::GiveUp => "the operator vouches that nothing uses the other table, and gives the walk up",
            Self::Ask { meta } => return write!(out, "it sends the phase: {}", told(meta)),
            Self::Resend { meta } => return write!(out, "that is given up and sent again: {}", told(meta)),
            Self::Arrive { meta, .. } => return write!(out, "a phase arrives at the state table: {}", told(meta)),
            Self::Vanish { .. } => "a phase that nobody waits for gets lost",
            Self::Crash => "the process crashes",
            Self::Stop { quiet: true } => "the process stops and gives the lease back as quiet",
            Self::Stop { quiet: false } => "the process stops and gives the lease back while requests may still land",
        };
        out.write_str(text)
    }
}
