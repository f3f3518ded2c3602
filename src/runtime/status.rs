//! The status document: what the admin port serves at `/status`, `LIVE` holds, and `status --json` prints.

use serde::{Deserialize, Serialize};

use super::history::{EventLine, LagHistory, Memory, Rates};
use crate::engine::state::entities::{CutoverRecord, Meta};
use crate::engine::state::lease::Lease;
use crate::model::{Side, Timestamp};
use crate::ports::{Clock, CredentialExpiry, Expiry, Ports};
use crate::protocol::command::Paused;
use crate::protocol::cutover::Gate;
use crate::protocol::leg::{Intake, Leg};
use crate::protocol::phase::{Phase, Standing};
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
    /// The phases that it goes through, in their order; the present one is among them.
    pub phases: Vec<PhaseStatus>,
    /// The directions in which changes are replicated, or watched for late ones: that which is mirrored first.
    pub legs: Vec<LegStatus>,
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

/// A phase of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStatus {
    /// Which.
    pub phase: Phase,
    /// What it means, for people; commands stand between backticks.
    pub meaning: String,
    /// Whether a cutover is under way in it, or being given up.
    pub cutover: bool,
    /// Whether no cutover is to come.
    pub past_cutovers: bool,
    /// Whether it belongs to no migration that goes well.
    pub aside: bool,
}

/// One direction of replication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegStatus {
    /// The table whose changes are read.
    pub from: Side,
    /// The table that is written.
    pub to: Side,
    /// Which leg of the migration it is, from 1.
    pub round: u32,
    /// What becomes of its changes.
    pub intake: Intake,
    /// Age of the oldest change that may not be durable in the other table, in seconds; `None` before the tail runs.
    pub lag_seconds: Option<f64>,
    /// Until unread history may be trimmed, in seconds.
    pub headroom_seconds: Option<f64>,
    /// Since the last successful poll, of the shard that waits longest, in seconds.
    pub since_poll_seconds: Option<f64>,
    /// How far back a restart would begin to read, in seconds: checkpoints are stored now and then.
    pub replay_seconds: Option<f64>,
    /// For how long every shard has been caught up with nothing pending, in seconds; 0 otherwise.
    pub quiet_seconds: f64,
    /// The tail.
    pub tail: TailStatus,
    /// The applier.
    pub apply: ApplyStatus,
    /// Items that the other table refuses for good.
    pub quarantine: usize,
}

/// The parts that only a mirroring process knows.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct MirrorStatus {
    /// The leg that is mirrored; `None` where nothing is.
    pub leg: Option<LegStatus>,
    /// The copy.
    pub copy: CopyStatus,
    /// See [`Status::gates`].
    pub gates: Vec<Gate>,
    /// Totals for metrics.
    pub totals: MirrorTotals,
}

/// What a mirror counted since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct MirrorTotals {
    /// Changes that a later one replaced before they were written.
    pub coalesced: u64,
    /// Copied images dropped because a change overtook them.
    pub superseded: u64,
    /// Pages that had to be read again for lack of room.
    pub pages_discarded: u64,
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

impl LegStatus {
    /// A leg of which nothing is known.
    pub fn unknown(leg: Leg, standing: Standing) -> Self {
        Self {
            from: leg.from,
            to: leg.to(),
            round: leg.round,
            intake: Intake::of(leg, standing),
            lag_seconds: None,
            headroom_seconds: None,
            since_poll_seconds: None,
            replay_seconds: None,
            quiet_seconds: 0.0,
            tail: TailStatus::default(),
            apply: ApplyStatus::default(),
            quarantine: 0,
        }
    }

    fn aged(&self, seconds: f64) -> Self {
        let older = |figure: Option<f64>| figure.map(|figure| figure + seconds);
        Self {
            lag_seconds: older(self.lag_seconds),
            headroom_seconds: self.headroom_seconds.map(|headroom| (headroom - seconds).max(0.0)),
            since_poll_seconds: older(self.since_poll_seconds),
            replay_seconds: older(self.replay_seconds),
            quiet_seconds: 0.0,
            tail: TailStatus { caught_up: false, ..self.tail.clone() },
            apply: ApplyStatus { in_flight: 0, ..self.apply.clone() },
            ..self.clone()
        }
    }
}

impl Status {
    /// The leg that is mirrored.
    pub fn leg(&self) -> Option<&LegStatus> {
        self.legs.first()
    }

    /// Age of the oldest change of the leg that is mirrored that may not be durable, in seconds.
    pub fn lag_seconds(&self) -> Option<f64> {
        self.leg().and_then(|leg| leg.lag_seconds)
    }

    /// Until unread history of the leg that is mirrored may be trimmed, in seconds.
    pub fn headroom_seconds(&self) -> Option<f64> {
        self.leg().and_then(|leg| leg.headroom_seconds)
    }

    /// Items that either table refuses for good.
    pub fn quarantine(&self) -> usize {
        self.legs.iter().map(|leg| leg.quarantine).sum()
    }

    /// What is certain of it now, so many seconds later, if nobody has worked since: what lags or is left moves with time, and
    /// nothing is done.
    #[must_use]
    pub fn aged(&self, seconds: f64) -> Self {
        Self {
            legs: self.legs.iter().map(|leg| leg.aged(seconds)).collect(),
            rates: Rates::default(),
            gates: Vec::new(),
            copy: CopyStatus { eta_seconds: None, eta_at_most_seconds: None, ..self.copy.clone() },
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
        source_table: meta.name(Side::Source).to_owned(),
        shadow_table: meta.name(Side::Shadow).to_owned(),
        lease,
        phases: phases(meta.standing()),
        legs: vec![mirror.leg.unwrap_or_else(|| LegStatus::unknown(meta.leg(), meta.standing()))],
        clock_skew_seconds: service.since(wall).as_secs_f64() - wall.since(service).as_secs_f64(),
        lag_history: memory.lag_history,
        rates: memory.rates,
        totals: memory.totals,
        paused: meta.paused,
        postponed: meta.postponed,
        cutover: meta.cutover.clone(),
        gates: mirror.gates,
        copy: CopyStatus { eta_seconds, eta_at_most_seconds, ..mirror.copy },
        credentials: ports.credentials().iter().map(|credentials| expiry(credentials, service)).collect(),
        events: memory.events,
    }
}

/// The phases that a migration goes through, with what they mean.
pub fn phases(standing: Standing) -> Vec<PhaseStatus> {
    let of = |phase: Phase| PhaseStatus {
        phase,
        meaning: phase.meaning(standing.leader),
        cutover: phase.is_of_a_cutover(),
        past_cutovers: phase.is_past_cutovers(),
        aside: phase.is_aside(),
    };
    standing.way().into_iter().map(of).collect()
}

fn expiry(credentials: &CredentialExpiry, now: Timestamp) -> CredentialStatus {
    let expire_in_seconds = match credentials.expiry {
        Expiry::At(at) => Some(at.since(now).as_secs_f64() - now.since(at).as_secs_f64()),
        Expiry::Never | Expiry::Unknown => None,
    };
    CredentialStatus { connection: credentials.connection.to_owned(), expire_in_seconds }
}
