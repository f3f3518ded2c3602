//! The status document: what the admin port serves at `/status`, `LIVE` holds, and `status --json` prints.

use serde::{Deserialize, Serialize};

use super::history::{EventLine, LagHistory, Memory, Rates};
use crate::engine::state::entities::{CutoverRecord, Meta};
use crate::engine::state::lease::Lease;
use crate::model::Timestamp;
use crate::ports::{Clock, CredentialExpiry, Expiry, Ports};
use crate::protocol::command::Paused;
use crate::protocol::cutover::Gate;
use crate::protocol::phase::Phase;
use crate::telemetry::Totals;

/// The version of the document's form. It goes up when a field changes its meaning or goes; new fields do not count.
pub const STATUS_SCHEMA: u32 = 1;

/// A migration, seen at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`STATUS_SCHEMA`].
    pub schema: u32,
    /// When it was taken, on the service's clock.
    pub at: Timestamp,
    /// The migration's id.
    pub migration: String,
    /// Where it stands; `None` while it is not known to this process.
    pub phase: Option<Phase>,
    /// Since when, on the service's clock.
    #[serde(default)]
    pub phase_since: Option<Timestamp>,
    /// Why, where the phase has a reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// The source's name.
    pub source_table: String,
    /// The shadow's name.
    pub shadow_table: String,
    /// Who is active.
    pub lease: LeaseStatus,
    /// Age of the oldest change that may not be durable in the shadow, in seconds; `None` before the tail runs.
    pub lag_seconds: Option<f64>,
    /// Until unread history may be trimmed, in seconds.
    pub headroom_seconds: Option<f64>,
    /// Since the last successful poll, of the shard that waits longest, in seconds.
    pub since_poll_seconds: Option<f64>,
    /// For how long every shard has been caught up with nothing pending, in seconds; 0 otherwise.
    pub quiet_seconds: f64,
    /// The service's clock less this machine's, in seconds.
    #[serde(default)]
    pub clock_skew_seconds: f64,
    /// The lag of the last minutes.
    #[serde(default)]
    pub lag_history: LagHistory,
    /// What is done per second, over about the last ten seconds.
    #[serde(default)]
    pub rates: Rates,
    /// What was counted since the process began.
    #[serde(default)]
    pub totals: Totals,
    /// What an operator paused.
    pub paused: Paused,
    /// An operator put cutovers off.
    #[serde(default)]
    pub postponed: bool,
    /// The cutover under way, or the last one.
    #[serde(default)]
    pub cutover: Option<CutoverRecord>,
    /// The conditions of a cutover, in the order in which to see to them; none before the tail runs. Whether the shadow's
    /// indexes are active was looked up within the last half minute.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The copy.
    pub copy: CopyStatus,
    /// The tail.
    pub tail: TailStatus,
    /// The applier.
    pub apply: ApplyStatus,
    /// Items that the shadow refuses for good.
    pub quarantine: usize,
    /// When the credentials in use expire, by connection.
    #[serde(default)]
    pub credentials: Vec<CredentialStatus>,
    /// The last lines of the audit trail, oldest first.
    #[serde(default)]
    pub events: Vec<EventLine>,
}

/// The credentials of one connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialStatus {
    /// `source`, `shadow` or `state`.
    pub connection: String,
    /// Until they expire, in seconds, below 0 once they have; `null` where they never do, or are not known yet.
    pub expire_in_seconds: Option<f64>,
}

/// The parts that only a mirroring process knows.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MirrorStatus {
    /// See [`Status::lag_seconds`].
    pub lag_seconds: Option<f64>,
    /// See [`Status::headroom_seconds`].
    pub headroom_seconds: Option<f64>,
    /// See [`Status::since_poll_seconds`].
    pub since_poll_seconds: Option<f64>,
    /// See [`Status::quiet_seconds`].
    pub quiet_seconds: f64,
    /// The copy.
    pub copy: CopyStatus,
    /// The tail.
    pub tail: TailStatus,
    /// The applier.
    pub apply: ApplyStatus,
    /// Items that the shadow refuses for good.
    pub quarantine: usize,
    /// See [`Status::gates`].
    pub gates: Vec<Gate>,
    /// Totals for metrics: changes coalesced, copies superseded, pages discarded.
    pub totals: (u64, u64, u64),
}

/// Who is active.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// Whether the process that wrote this holds the lease.
    pub held: bool,
    /// The holder.
    pub owner: String,
    /// Its machine.
    pub host: String,
    /// The epoch, which goes up at every takeover.
    pub epoch: u64,
    /// Since when it is held, on the holder's wall clock.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// How far the copy is.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct CopyStatus {
    /// Segments in all.
    pub segments: u32,
    /// Segments whose last page is durable.
    pub segments_done: u32,
    /// Items on durable pages.
    pub items: u64,
    /// The table's item count, which the service refreshes about every six hours.
    pub items_expected: u64,
    /// Between 0 and 1; 1 only when the copy is complete.
    pub ratio: f64,
    /// Until the copy is complete at the best rate of the last ten minutes, in seconds; `None` where nothing tells.
    #[serde(default)]
    pub eta_seconds: Option<f64>,
    /// The same at the worst rate.
    #[serde(default)]
    pub eta_at_most_seconds: Option<f64>,
}

/// How the tail is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TailStatus {
    /// Shards being read.
    pub shards_open: usize,
    /// Shards that wait for their parent or for a reader.
    pub shards_waiting: usize,
    /// Shards read to their end, or closed before the pin.
    pub shards_finished: usize,
    /// Whether every shard is caught up and nothing is pending.
    pub caught_up: bool,
}

/// How the applier is.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplyStatus {
    /// Writes offered and not yet durable.
    pub pending: usize,
    /// Writes in a request.
    pub in_flight: usize,
    /// Bytes held by images, estimated.
    pub bytes: usize,
}

impl Status {
    /// What is certain of it now, so many seconds later, if nobody has worked since: what lags or is left moves with time, and
    /// nothing is done.
    #[must_use]
    pub fn aged(&self, seconds: f64) -> Self {
        let older = |figure: Option<f64>| figure.map(|figure| figure + seconds);
        Self {
            lag_seconds: older(self.lag_seconds),
            headroom_seconds: self.headroom_seconds.map(|headroom| (headroom - seconds).max(0.0)),
            since_poll_seconds: older(self.since_poll_seconds),
            quiet_seconds: 0.0,
            rates: Rates::default(),
            gates: Vec::new(),
            copy: CopyStatus { eta_seconds: None, eta_at_most_seconds: None, ..self.copy.clone() },
            apply: ApplyStatus { in_flight: 0, ..self.apply.clone() },
            tail: TailStatus { caught_up: false, ..self.tail.clone() },
            credentials: self.credentials.iter().map(|one| one.aged(seconds)).collect(),
            ..self.clone()
        }
    }
}

impl CredentialStatus {
    fn aged(&self, seconds: f64) -> Self {
        Self { expire_in_seconds: self.expire_in_seconds.map(|left| left - seconds), ..self.clone() }
    }
}

impl LeaseStatus {
    /// A lease held by this process.
    pub(super) fn of<P: Ports>(lease: &Lease<P>) -> Self {
        Self {
            held: lease.may_write(),
            owner: lease.owner().to_owned(),
            host: lease.host().to_owned(),
            epoch: lease.epoch(),
            since: Some(lease.since()),
        }
    }
}

/// The document, from what is durable and what the process knows.
pub(super) fn status<P: Ports>(
    meta: &Meta,
    lease: LeaseStatus,
    mirror: MirrorStatus,
    memory: Memory,
    ports: &P,
) -> Status {
    let (service, wall) = (ports.clock().service(), ports.clock().wall());
    let left = mirror.copy.items_expected.checked_sub(mirror.copy.items).filter(|_| mirror.copy.ratio < 1.0);
    let left = left.and_then(|left| u32::try_from(left).ok()).map(f64::from);
    let at = |rate: Option<f64>| left.zip(rate).map(|(left, rate)| (left / rate).round());
    let (eta_seconds, eta_at_most_seconds) = (at(memory.copy_pace.best), at(memory.copy_pace.worst));
    Status {
        schema: STATUS_SCHEMA,
        at: service,
        migration: meta.migration.clone(),
        phase: Some(meta.phase),
        phase_since: meta.phase_since,
        reason: meta.reason.clone(),
        source_table: meta.source_table.clone(),
        shadow_table: meta.shadow_table.clone(),
        lease,
        lag_seconds: mirror.lag_seconds,
        headroom_seconds: mirror.headroom_seconds,
        since_poll_seconds: mirror.since_poll_seconds,
        quiet_seconds: mirror.quiet_seconds,
        clock_skew_seconds: service.since(wall).as_secs_f64() - wall.since(service).as_secs_f64(),
        lag_history: memory.lag_history,
        rates: memory.rates,
        totals: memory.totals,
        paused: meta.paused,
        postponed: meta.postponed,
        cutover: meta.cutover.clone(),
        gates: mirror.gates,
        copy: CopyStatus { eta_seconds, eta_at_most_seconds, ..mirror.copy },
        tail: mirror.tail,
        apply: mirror.apply,
        quarantine: mirror.quarantine,
        credentials: ports.credentials().iter().map(|credentials| expiry(credentials, service)).collect(),
        events: memory.events,
    }
}

fn expiry(credentials: &CredentialExpiry, now: Timestamp) -> CredentialStatus {
    let expire_in_seconds = match credentials.expiry {
        Expiry::At(at) => Some(at.since(now).as_secs_f64() - now.since(at).as_secs_f64()),
        Expiry::Never | Expiry::Unknown => None,
    };
    CredentialStatus { connection: credentials.connection.to_owned(), expire_in_seconds }
}
