//! What can happen, and how it is told.

use std::fmt;

use super::state::{Image, Op, Why};
use crate::model::check;

/// A step of the application, the service, or the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The application puts an item that claims a place.
    Put { source: u8, place: u8, image: Image },
    /// The application deletes an item.
    Delete { source: u8 },
    /// An item's next change is offered.
    Offer { source: u8, change: u8 },
    /// A consistent read of an item begins.
    Begin { source: u8, why: Why },
    /// It is answered.
    Answered { source: u8 },
    /// What it showed is offered, dropped, or to be read once more.
    Use { source: u8 },
    /// The request in flight for a place has an outcome.
    Answer { place: u8, op: Op },
    /// It is given up, and sent again.
    Abandon { place: u8, op: Op },
    /// An abandoned request takes effect, if its condition holds.
    Land { index: u8, place: u8, op: Op },
    /// The abandonment bound is over for the oldest abandoned request.
    Elapse { place: u8, op: Op },
    /// A collision is stored or cleared.
    Record { place: u8, source: u8, set: bool },
    /// A shard's checkpoint is stored.
    Save { source: u8, passed: u8 },
    /// A page's cursor is stored.
    SavePage { source: u8 },
    /// The process dies.
    Crash,
    /// Another one begins, after the abandonment bound.
    Restart,
}

impl check::Action for Action {
    fn is_environment(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. } | Self::Abandon { .. } | Self::Land { .. } | Self::Crash)
    }
}

fn item(source: u8) -> char {
    char::from(b'A' + source)
}

fn place_name(place: u8) -> char {
    char::from(b'p' + place)
}

fn told(place: u8, op: Op) -> String {
    let (source, place) = (item(op.source), place_name(place));
    if op.image == 0 {
        format!("{source}'s deletion of {place}")
    } else {
        format!("{source}'s {place} = v{}", op.image)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Put { source, place, image } => {
                write!(out, "the application puts {} = v{image}, which claims {}", item(source), place_name(place))
            }
            Self::Delete { source } => write!(out, "the application deletes {}", item(source)),
            Self::Offer { source, change } => write!(out, "the tail offers change {change}, of {}", item(source)),
            Self::Begin { source, why: Why::Copied } => write!(out, "the copy begins the page of {}", item(source)),
            Self::Begin { source, why: Why::Again } => write!(out, "a re-read of {} begins", item(source)),
            Self::Answered { source } => write!(out, "{} is read", item(source)),
            Self::Use { source } => {
                write!(out, "what was read of {} is offered, dropped, or wanted again", item(source))
            }
            Self::Answer { place, op } => write!(out, "the shadow answers {}", told(place, op)),
            Self::Abandon { place, op } => write!(out, "{} is given up and sent again", told(place, op)),
            Self::Land { place, op, .. } => write!(out, "an abandoned request arrives late: {}", told(place, op)),
            Self::Elapse { place, op } => write!(out, "the bound of the abandoned {} is over", told(place, op)),
            Self::Record { place, source, set } => {
                let what = if set { "stored in quarantine" } else { "cleared from quarantine" };
                write!(out, "the collision of {} on {} is {what}", item(source), place_name(place))
            }
            Self::Save { source, passed } => {
                write!(out, "the checkpoint of {}'s shard is stored: all before change {passed}", item(source))
            }
            Self::SavePage { source } => write!(out, "the cursor behind {}'s page is stored", item(source)),
            Self::Crash => write!(out, "the process crashes"),
            Self::Restart => write!(out, "a process resumes from the checkpoints"),
        }
    }
}
