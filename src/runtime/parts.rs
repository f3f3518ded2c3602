//! The parts of a mirror that work, and what is seen of them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::status::{ApplyStatus, CopyStatus, LegStatus, MirrorStatus, MirrorTotals, TailStatus};
use super::watch::Outside;
use crate::engine::replicate::apply::{Applier, Quarantine};
use crate::engine::replicate::copy::Copier;
use crate::engine::replicate::tail::Tail;
use crate::ports::{Clock, Ports};
use crate::protocol::leg::Leg;
use crate::protocol::phase::{Phase, Standing};

/// How long the service keeps stream records.
const RETENTION: Duration = Duration::from_hours(24);
/// The parts that work, and that status looks at.
pub(super) struct Parts<P> {
    pub(super) leg: Leg,
    pub(super) applier: Arc<Applier<P>>,
    pub(super) quarantine: Quarantine,
    pub(super) copier: Arc<Copier<P>>,
    pub(super) tail: Arc<Tail<P>>,
    pub(super) items_expected: u64,
    /// What was seen at the last look.
    pub(super) outside: Arc<Mutex<Outside>>,
}

impl<P> Clone for Parts<P> {
    fn clone(&self) -> Self {
        Self {
            leg: self.leg,
            applier: Arc::clone(&self.applier),
            quarantine: self.quarantine.clone(),
            copier: Arc::clone(&self.copier),
            tail: Arc::clone(&self.tail),
            items_expected: self.items_expected,
            outside: Arc::clone(&self.outside),
        }
    }
}

impl<P: Ports> Parts<P> {
    pub(super) fn status(&self, standing: Standing, ports: &P) -> MirrorStatus {
        let (copy, tail, now) = (self.copier.progress(), self.tail.figures(), ports.clock().latest_service());
        let applied = self.applier.figures();
        let counts = applied.counts;
        let quiet_since = tail.last_change.unwrap_or(tail.known_through);
        let complete = standing.phase != Phase::Copying;
        let leg = LegStatus {
            lag_seconds: tail.lag.map(|lag| lag.as_secs_f64()),
            headroom_seconds: tail.lag.map(|_| RETENTION.saturating_sub(now.since(tail.known_through)).as_secs_f64()),
            since_poll_seconds: tail.since_poll.map(|since| since.as_secs_f64()),
            replay_seconds: tail.lag.map(|_| now.since(tail.stored_through).as_secs_f64()),
            quiet_seconds: if applied.is_quiet && tail.caught_up { now.since(quiet_since).as_secs_f64() } else { 0.0 },
            tail: TailStatus {
                shards_open: tail.open,
                shards_waiting: tail.waiting,
                shards_finished: tail.finished,
                caught_up: tail.caught_up,
            },
            apply: ApplyStatus {
                pending: counts.held,
                in_flight: counts.in_flight,
                bytes: counts.held_bytes + applied.reading_bytes,
            },
            quarantine: applied.quarantined,
            ..LegStatus::unknown(self.leg, standing)
        };
        MirrorStatus {
            leg: Some(leg),
            copy: CopyStatus {
                segments: copy.segments,
                segments_done: copy.segments_done,
                items: copy.items,
                items_expected: self.items_expected,
                ratio: if complete { 1.0 } else { ratio(copy.items, self.items_expected) },
                eta_seconds: None,
                eta_at_most_seconds: None,
            },
            gates: Vec::new(),
            totals: MirrorTotals {
                coalesced: counts.coalesced,
                superseded: applied.superseded,
                pages_discarded: applied.pages_discarded,
            },
        }
    }
}

/// Below 1 while the copy goes on: the service's count may be hours old.
fn ratio(items: u64, expected: u64) -> f64 {
    let thousandths = items.saturating_mul(1000).checked_div(expected).unwrap_or(0).min(999);
    u32::try_from(thousandths).map_or(0.0, |thousandths| f64::from(thousandths) / 1000.0)
}
