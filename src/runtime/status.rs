//! The status document: what the admin port serves at `/status`, `LIVE` holds, and `status --json` prints.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::entities::{Meta, Paused};
use crate::engine::lease::Lease;
use crate::model::Timestamp;
use crate::ports::{Clock, Ports};
use crate::protocol::phase::Phase;

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
    /// What an operator paused.
    pub paused: Paused,
    /// The copy.
    pub copy: CopyStatus,
    /// The tail.
    pub tail: TailStatus,
    /// The applier.
    pub apply: ApplyStatus,
    /// Items that the shadow refuses for good.
    pub quarantine: usize,
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

impl LeaseStatus {
    /// A lease held by this process.
    pub(super) fn of<P: Ports>(lease: &Lease<P>) -> Self {
        Self {
            held: lease.may_write(Duration::ZERO),
            owner: lease.owner().to_owned(),
            host: lease.host().to_owned(),
            epoch: lease.epoch(),
        }
    }
}

/// The document, from what is durable and what the process knows.
pub(super) fn status(meta: &Meta, lease: LeaseStatus, mirror: MirrorStatus, clock: &impl Clock) -> Status {
    Status {
        schema: STATUS_SCHEMA,
        at: clock.service(),
        migration: meta.migration.clone(),
        phase: Some(meta.phase),
        source_table: meta.source_table.clone(),
        shadow_table: meta.shadow_table.clone(),
        lease,
        lag_seconds: mirror.lag_seconds,
        headroom_seconds: mirror.headroom_seconds,
        since_poll_seconds: mirror.since_poll_seconds,
        quiet_seconds: mirror.quiet_seconds,
        paused: meta.paused,
        copy: mirror.copy,
        tail: mirror.tail,
        apply: mirror.apply,
        quarantine: mirror.quarantine,
    }
}
