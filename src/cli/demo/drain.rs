//! When everything that was written has arrived, and when to give up waiting for it. Pure; time is an argument.

use std::time::Duration;

use crate::model::Moment;
use crate::protocol::phase::Phase;
use crate::runtime::Status;

/// How long nothing may move before the demo is given up.
const STALLED: Duration = Duration::from_mins(1);

/// Whether the shadow has everything: the copy is complete, nothing is pending, and the stream was polled without a
/// change for the whole span that counts as caught up, all of it after the last write. An empty poll from before the
/// last write says nothing.
pub(super) fn is_drained(status: &Status, since_last_write: Duration, caught_up: Duration) -> bool {
    let last_poll = status.since_poll_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let polled_after = last_poll.and_then(|ago| since_last_write.checked_sub(ago));
    status.phase == Some(Phase::Tailing)
        && status.tail.caught_up
        && status.quiet_seconds > 0.0
        && polled_after.is_some_and(|after| after >= caught_up)
}

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
    use crate::engine::entities::Paused;
    use crate::model::Timestamp;
    use crate::runtime::{ApplyStatus, CopyStatus, LeaseStatus, STATUS_SCHEMA, TailStatus};

    const SPAN: Duration = Duration::from_secs(1);

    fn drained() -> Status {
        Status {
            schema: STATUS_SCHEMA,
            at: Timestamp::EPOCH,
            migration: "demo".into(),
            phase: Some(Phase::Tailing),
            source_table: String::new(),
            shadow_table: String::new(),
            lease: LeaseStatus::default(),
            lag_seconds: Some(0.1),
            headroom_seconds: None,
            since_poll_seconds: Some(0.1),
            quiet_seconds: 1.2,
            paused: Paused::None,
            copy: CopyStatus::default(),
            tail: TailStatus { caught_up: true, ..TailStatus::default() },
            apply: ApplyStatus::default(),
            quarantine: 0,
        }
    }

    #[test]
    fn quiet_since_before_the_last_write_is_not_drained() {
        assert!(is_drained(&drained(), Duration::from_millis(1_100), SPAN));
        assert!(!is_drained(&drained(), Duration::from_millis(1_099), SPAN));
        let never_polled = Status { since_poll_seconds: None, ..drained() };
        assert!(!is_drained(&never_polled, Duration::from_mins(1), SPAN));
    }

    #[test]
    fn each_condition_is_needed() {
        let long_ago = Duration::from_mins(1);
        assert!(is_drained(&drained(), long_ago, SPAN));
        for lacking in [
            Status { phase: Some(Phase::Copying), ..drained() },
            Status { tail: TailStatus::default(), ..drained() },
            Status { quiet_seconds: 0.0, ..drained() },
        ] {
            assert!(!is_drained(&lacking, long_ago, SPAN), "{lacking:?}");
        }
    }

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
