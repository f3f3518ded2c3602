//! What can happen, and how it is told.

use std::fmt;

use super::state::{ABSENT, Image, is_refused};
use crate::model::check;

/// A step of the application, the service, or the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The application writes an item.
    Write { key: u8, image: Image },
    /// A shard is closed; one shard continues it.
    Roll { shard: u8 },
    /// A shard is closed; one shard for each of its keys continues it.
    Split { shard: u8 },
    /// The oldest record is older than the retention.
    Trim { record: u8 },
    /// The copy notes a tick and asks for a page.
    BeginPage { page: u8 },
    /// The page is read, consistently, at this instant.
    ReadPage { page: u8 },
    /// Its item is offered, unless a change overtook it.
    OfferPage { page: u8 },
    /// A shard's next record is offered.
    Offer { shard: u8, record: u8 },
    /// The shard's next record was trimmed unread, and that is found out.
    FindLoss { shard: u8 },
    /// The request in flight for a key has a definite outcome.
    Answer { key: u8, image: Image },
    /// It is given up, and may still take effect. The same image is sent again.
    Abandon { key: u8, image: Image },
    /// An abandoned request takes effect.
    Land { index: u8, key: u8, image: Image },
    /// The abandonment bound is over for the oldest abandoned request.
    Elapse { key: u8, image: Image },
    /// A quarantine entry is set or cleared, durably.
    Record { key: u8, set: bool },
    /// A shard's checkpoint is stored.
    SaveShard { shard: u8, passed: u8, finished: bool },
    /// The segment's cursor is stored.
    SaveCursor { cursor: u8 },
    /// The process dies. What it had in flight may still take effect.
    Crash,
    /// Another one begins, after the abandonment bound.
    Restart,
}

impl check::Action for Action {
    fn is_environment(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Roll { .. }
                | Self::Split { .. }
                | Self::Trim { .. }
                | Self::Abandon { .. }
                | Self::Land { .. }
                | Self::Crash
        )
    }
}

/// A key's name.
fn key_name(key: u8) -> char {
    char::from(b'a' + key)
}

/// An image, as a story tells it.
fn told(image: Image) -> String {
    match image {
        ABSENT => "nothing".to_owned(),
        image if is_refused(image) => format!("v{} (which the shadow refuses)", image & 0x3f),
        image => format!("v{image}"),
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Write { key, image: ABSENT } => write!(out, "the application deletes {}", key_name(key)),
            Self::Write { key, image } => write!(out, "the application puts {} = {}", key_name(key), told(image)),
            Self::Roll { shard } => write!(out, "shard {shard} is closed and continued by another"),
            Self::Split { shard } => write!(out, "shard {shard} is closed and split"),
            Self::Trim { record } => write!(out, "record {record} is trimmed"),
            Self::BeginPage { page } => write!(out, "the copy begins the page of {}", key_name(page)),
            Self::ReadPage { page } => write!(out, "the page of {} is read", key_name(page)),
            Self::OfferPage { page } => write!(out, "the item of the page of {} is offered or dropped", key_name(page)),
            Self::Offer { shard, record } => write!(out, "the tail offers record {record} of shard {shard}"),
            Self::FindLoss { shard } => {
                write!(out, "the tail finds unread history of shard {shard} trimmed: needs-reseed")
            }
            Self::Answer { key, image } => write!(out, "the shadow answers {} = {}", key_name(key), told(image)),
            Self::Abandon { key, image } => {
                write!(out, "the write {} = {} is given up and sent again", key_name(key), told(image))
            }
            Self::Land { key, image, .. } => {
                write!(out, "an abandoned request takes effect late: {} = {}", key_name(key), told(image))
            }
            Self::Elapse { key, image } => {
                write!(out, "the bound of the abandoned {} = {} is over", key_name(key), told(image))
            }
            Self::Record { key, set: true } => write!(out, "{} is stored in quarantine", key_name(key)),
            Self::Record { key, set: false } => write!(out, "{} is cleared from quarantine", key_name(key)),
            Self::SaveShard { shard, passed, finished } => {
                let end = if finished { ", and its end" } else { "" };
                write!(out, "the checkpoint of shard {shard} is stored: all before record {passed}{end}")
            }
            Self::SaveCursor { cursor } => write!(out, "the cursor is stored: {cursor} pages"),
            Self::Crash => write!(out, "the process crashes"),
            Self::Restart => write!(out, "a process resumes from the checkpoints"),
        }
    }
}
