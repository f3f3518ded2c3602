//! What can happen, and how it is told.

use std::fmt;

use crate::model::check;

/// A step of the application, the service, or a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The application writes the item.
    Write { image: u8 },
    /// A standby takes the free lease.
    Take { process: u8, epoch: u8 },
    /// The holder has waited for what earlier ones may still do.
    Settle { process: u8 },
    /// The checkpoint is rewritten with the holder's epoch.
    Claim { process: u8 },
    /// The checkpoint is read.
    Read { process: u8, passed: u8 },
    /// The next record is offered.
    Offer { process: u8, record: u8 },
    /// The slot's image is sent.
    Send { process: u8, image: u8 },
    /// The shadow answers.
    Answer { process: u8, image: u8 },
    /// The request is given up; the same image is sent again.
    Abandon { process: u8, image: u8 },
    /// An abandoned request takes effect.
    Land { index: u8, epoch: u8, image: u8 },
    /// The abandonment bound is over for the oldest abandoned request.
    Elapse { epoch: u8, image: u8 },
    /// A checkpoint is sent.
    Save { process: u8, passed: u8 },
    /// A checkpoint arrives at the state table.
    Arrive { index: u8, epoch: u8, passed: u8 },
    /// A checkpoint of a holder that is gone gets lost.
    Vanish { index: u8, epoch: u8 },
    /// The process dies.
    Crash { process: u8 },
    /// The process is paused, or cut off, until its lease has run out.
    Pause { process: u8 },
    /// The lease of a dead holder runs out.
    RunOut,
    /// A holder whose lease was taken, or ran out, finds that out and stands by.
    Notice { process: u8 },
    /// The holder stops and gives the lease back.
    Stop { process: u8, quiet: bool },
}

impl check::Action for Action {
    fn is_environment(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Abandon { .. }
                | Self::Land { .. }
                | Self::Vanish { .. }
                | Self::Crash { .. }
                | Self::Pause { .. }
                | Self::Stop { .. }
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |process: u8| ["P", "Q"][usize::from(process)];
        match *self {
            Self::Write { image } => write!(out, "the application writes v{image}"),
            Self::Take { process, epoch } => write!(out, "{} takes the lease: epoch {epoch}", name(process)),
            Self::Settle { process } => write!(out, "{} has waited for what earlier holders gave up", name(process)),
            Self::Claim { process } => write!(out, "{} claims the checkpoint with its epoch", name(process)),
            Self::Read { process, passed } => write!(out, "{} reads the checkpoint: {passed} records", name(process)),
            Self::Offer { process, record } => write!(out, "{} offers v{record}", name(process)),
            Self::Send { process, image } => write!(out, "{} sends v{image} to the shadow", name(process)),
            Self::Answer { process, image } => write!(out, "the shadow answers {}: v{image}", name(process)),
            Self::Abandon { process, image } => {
                write!(out, "{} gives its v{image} up and sends it again", name(process))
            }
            Self::Land { epoch, image, .. } => {
                write!(out, "an abandoned request of epoch {epoch} takes effect late: v{image}")
            }
            Self::Elapse { epoch, image } => write!(out, "the bound of epoch {epoch}'s abandoned v{image} is over"),
            Self::Save { process, passed } => write!(out, "{} sends a checkpoint: {passed} records", name(process)),
            Self::Arrive { epoch, passed, .. } => {
                write!(out, "the checkpoint of epoch {epoch} arrives at the state table: {passed} records")
            }
            Self::Vanish { epoch, .. } => write!(out, "the checkpoint of epoch {epoch} gets lost"),
            Self::Crash { process } => write!(out, "{} crashes", name(process)),
            Self::Pause { process } => write!(out, "{} is paused until its lease has run out", name(process)),
            Self::RunOut => write!(out, "the dead holder's lease runs out"),
            Self::Notice { process } => write!(out, "{} finds that its lease is over, and stands by", name(process)),
            Self::Stop { process, quiet } => {
                let how = if quiet { "as quiet" } else { "while requests may still land" };
                write!(out, "{} stops and gives the lease back {how}", name(process))
            }
        }
    }
}
