//! What this process can say of itself at any moment, computed when it is asked.

use std::sync::Arc;

use metrics::gauge;
use parking_lot::{Mutex, MutexGuard};

use super::status::{LegStatus, MirrorTotals, Status};
use crate::engine::state::lease::Standby;
use crate::model::Side;
use crate::ports::{CredentialExpiry, Expiry};
use crate::protocol::phase::Phase;
use crate::telemetry::{Meters, names};

/// A status, and what only metrics show.
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) totals: MirrorTotals,
    /// When the credentials in use expire.
    pub(super) credentials: Vec<CredentialExpiry>,
}

/// Says what can be seen of the migration at this moment.
pub(super) trait Observer: Send + Sync {
    /// `None` before anything was shown.
    fn observe(&self) -> Option<Snapshot>;
}

/// Whether this process does what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is starting.
    Starting,
    /// It waits for the lease.
    Standby,
    /// It waits for the lease, and is configured otherwise than the migration: it does not take it.
    Unfit(Vec<String>),
    /// It holds the lease and works.
    Active,
    /// An error ended its work.
    Ended,
}

/// What this process can say of itself.
#[derive(Default)]
pub struct Monitor {
    view: Mutex<View>,
    /// How this process's configuration differs from the migration's.
    differs: Mutex<Differs>,
}

/// How a process that waits is configured otherwise than the migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// What differs, a line each.
    pub lines: Vec<String>,
    /// It takes the lease nevertheless: only a cutover would be done otherwise.
    pub takes_over: bool,
}

impl Default for Differs {
    fn default() -> Self {
        Self { lines: Vec::new(), takes_over: true }
    }
}

#[derive(Default)]
enum View {
    #[default]
    Starting,
    Standby {
        migration: String,
        standby: Standby,
    },
    Active(Arc<dyn Observer>),
    Ended {
        phase: Option<Phase>,
    },
}

impl Monitor {
    /// The process waits for the lease.
    pub(super) fn standby(&self, migration: &str, standby: Standby) {
        *self.view() = View::Standby { migration: migration.to_owned(), standby };
    }

    /// How the process, which waits, is configured otherwise than the migration.
    pub(super) fn differs(&self, differs: Differs) {
        *self.differs.lock() = differs;
    }

    /// The same, for whoever asks.
    pub fn differing(&self) -> Differs {
        self.differs.lock().clone()
    }

    /// The process works, and this one says what it sees.
    pub(super) fn active(&self, observer: Arc<dyn Observer>) {
        *self.view() = View::Active(observer);
    }

    /// The process neither waits nor works.
    pub(super) fn idle(&self) {
        *self.view() = View::Starting;
    }

    /// An error ended its work; the phase is the one that it left.
    pub(super) fn ended(&self) {
        let phase = self.status().and_then(|status| status.phase);
        *self.view() = View::Ended { phase };
    }

    /// The phase that it left, once an error ended its work.
    pub fn phase_left(&self) -> Option<Phase> {
        match *self.view() {
            View::Ended { phase } => phase,
            _ => None,
        }
    }

    /// Whether it does what it should.
    pub fn readiness(&self) -> Readiness {
        match *self.view() {
            View::Starting => Readiness::Starting,
            View::Standby { .. } => {
                let Differs { lines, takes_over } = self.differing();
                if takes_over { Readiness::Standby } else { Readiness::Unfit(lines) }
            }
            View::Active(_) => Readiness::Active,
            View::Ended { .. } => Readiness::Ended,
        }
    }

    /// The status, while this process holds the lease.
    pub fn status(&self) -> Option<Status> {
        self.snapshot().map(|snapshot| snapshot.status)
    }

    /// The holder and the migration, while this process waits.
    pub fn waiting_for(&self) -> Option<(String, Standby)> {
        match &*self.view() {
            View::Standby { migration, standby } => Some((migration.clone(), standby.clone())),
            _ => None,
        }
    }

    /// Sets the gauges. To be called whenever metrics are asked for, so that no stuck task can leave them stale.
    pub fn publish(&self, meters: &Meters) {
        meters.lost_lines();
        let Some(Snapshot { status, totals, credentials }) = self.snapshot() else {
            return publish_nothing(self.phase_left());
        };
        meters.totals(totals.coalesced, totals.superseded, totals.pages_discarded);
        gauge!(names::CLOCK_SKEW).set(status.clock_skew_seconds);
        gauge!(names::LEASE_HELD).set(if status.lease.held { 1.0 } else { 0.0 });
        for phase in Phase::ALL {
            gauge!(names::PHASE, "phase" => phase.as_str()).set(if status.phase == Some(phase) { 1.0 } else { 0.0 });
        }
        for leg in &status.legs {
            publish_leg(leg);
        }
        for CredentialExpiry { connection, expiry } in credentials {
            let seconds = match expiry {
                Expiry::Unknown => f64::NAN,
                Expiry::Never => f64::INFINITY,
                Expiry::At(at) => at.since(status.at).as_secs_f64() - status.at.since(at).as_secs_f64(),
            };
            gauge!(names::CREDENTIALS_EXPIRY, "connection" => connection).set(seconds);
        }
        gauge!(names::COPY_RATIO).set(status.copy.ratio);
        gauge!(names::QUARANTINE).set(count_f64(status.quarantine()));
    }

    fn snapshot(&self) -> Option<Snapshot> {
        match &*self.view() {
            View::Active(observer) => observer.observe(),
            _ => None,
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock()
    }
}

fn publish_leg(leg: &LegStatus) {
    let known = [
        (names::LAG, leg.lag_seconds),
        (names::HEADROOM, leg.headroom_seconds),
        (names::POLL_AGE, leg.since_poll_seconds),
        (names::REPLAY, leg.replay_seconds),
    ];
    for (name, value) in known {
        gauge!(name, "direction" => names::direction(leg.from)).set(value.unwrap_or(f64::NAN));
    }
    gauge!(names::PENDING).set(count_f64(leg.apply.pending));
    gauge!(names::HELD_BYTES).set(count_f64(leg.apply.bytes));
    let shards =
        [("open", leg.tail.shards_open), ("waiting", leg.tail.shards_waiting), ("finished", leg.tail.shards_finished)];
    for (state, count) in shards {
        gauge!(names::SHARDS, "state" => state).set(count_f64(count));
    }
}

/// A process without the lease knows nothing of the migration but the phase that it left: a figure that it knew once would
/// be a lie by now.
fn publish_nothing(phase_left: Option<Phase>) {
    gauge!(names::LEASE_HELD).set(0.0);
    for phase in Phase::ALL {
        gauge!(names::PHASE, "phase" => phase.as_str()).set(if phase_left == Some(phase) { 1.0 } else { 0.0 });
    }
    for name in [names::LAG, names::HEADROOM, names::POLL_AGE, names::REPLAY] {
        gauge!(name, "direction" => names::direction(Side::Source)).set(f64::NAN);
    }
    for connection in ["source", "shadow", "state"] {
        gauge!(names::CREDENTIALS_EXPIRY, "connection" => connection).set(f64::NAN);
    }
    let unknown = [names::COPY_RATIO, names::QUARANTINE, names::PENDING, names::HELD_BYTES, names::CLOCK_SKEW];
    for name in unknown {
        gauge!(name).set(f64::NAN);
    }
    for state in ["open", "waiting", "finished"] {
        gauge!(names::SHARDS, "state" => state).set(f64::NAN);
    }
}

/// A count as a gauge's value, exact up to 2³².
fn count_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
