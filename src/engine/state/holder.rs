//! Whether the lease's holder is alive, as anybody sees it who only reads.

use std::time::Duration;

use super::entities::LeaseRecord;
use crate::model::Moment;

/// Times the lease's counter, like a standby.
#[derive(Default)]
pub struct Holder {
    seen: Option<(u64, Moment)>,
    moved: bool,
    duration: Duration,
    abandon: Duration,
}

impl Holder {
    /// Whether the counter moved since the first look.
    pub fn has_moved(&self) -> bool {
        self.moved
    }

    /// Whether it was never looked at.
    pub fn is_new(&self) -> bool {
        self.seen.is_none()
    }

    /// Whether somebody holds the lease: its counter, the second of the pair, moved or has not stood still for the whole
    /// lease yet.
    pub fn is_alive(&mut self, lease: Option<(LeaseRecord, u64)>, now: Moment) -> bool {
        let Some((record, version)) = lease.filter(|(record, _)| !record.released) else { return false };
        self.duration = Duration::from_millis(record.duration_millis);
        self.abandon = Duration::from_millis(record.abandon_millis);
        match self.seen {
            Some((seen, since)) if seen == version => now.since(since) <= self.duration,
            before => {
                self.moved = before.is_some();
                self.seen = Some((version, now));
                true
            }
        }
    }

    /// The lease's span, and its holder's abandonment bound, as far as one was seen.
    pub fn spans(&self) -> (Duration, Duration) {
        (self.duration, self.abandon)
    }
}
