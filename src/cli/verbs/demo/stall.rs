//! When to give up waiting. Pure; time is an argument.

use std::time::Duration;

use crate::model::Moment;
use crate::protocol::phase::Phase;

/// How long nothing may move before the demo is given up.
const STALLED: Duration = Duration::from_mins(1);

/// Sees when nothing moves any more.
#[derive(Debug)]
pub(super) struct Stall {
    last: Option<(Option<Phase>, u64, u64)>,
    since: Moment,
}

impl Stall {
    /// To be asked from `now` on.
    pub(super) fn new(now: Moment) -> Self {
        Self { last: None, since: now }
    }

    /// Whether phase, copied items and changes have stood still for too long.
    pub(super) fn is_over(&mut self, phase: Option<Phase>, copied: u64, changes: u64, now: Moment) -> bool {
        let seen = Some((phase, copied, changes));
        if self.last != seen {
            *self = Self { last: seen, since: now };
        }
        now.since(self.since) >= STALLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_not_stalled() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let mut stall = Stall::new(at(0));
        assert!(!stall.is_over(Some(Phase::Copying), 1, 0, at(50)));
        assert!(!stall.is_over(Some(Phase::Copying), 2, 0, at(100)));
        assert!(!stall.is_over(Some(Phase::Copying), 2, 0, at(159)));
        assert!(stall.is_over(Some(Phase::Copying), 2, 0, at(160)));
    }
}
