//! Every metric: its name, kind, unit and meaning. Base units; counters end in `_total`; labels are few and bounded.

use metrics::Unit;

use crate::model::Side;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in explicit buckets.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics_table {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $kind:ident, $unit:ident, $help:literal;)*) => {
        $($(#[$doc])* pub const $id: &str = $name;)*
        /// All metrics.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, unit: Unit::$unit, help: $help },)*
        ];
    };
}

metrics_table! {
    /// Build.
    BUILD_INFO = "shadowtable_build_info", Gauge, Count, "Always 1; the label says which version runs.";
    /// Lag.
    LAG = "shadowtable_lag_seconds", Gauge, Seconds, "Age of the oldest change that may not be durable in the shadow. Computed when asked.";
    /// Stored progress.
    REPLAY = "shadowtable_replay_seconds", Gauge, Seconds, "How far back a restart would begin to read: checkpoints are stored now and then.";
    /// Poll age.
    POLL_AGE = "shadowtable_last_poll_age_seconds", Gauge, Seconds, "Since the last successful poll, of the shard that waits longest.";
    /// Headroom.
    HEADROOM = "shadowtable_headroom_seconds", Gauge, Seconds, "Until unread history may be trimmed: 24 h less the age of the oldest known-through time.";
    /// Apply latency.
    APPLY_LATENCY = "shadowtable_apply_latency_seconds", Histogram, Seconds, "From a change being offered to the applier until it is durable in the shadow.";
    /// Changes.
    CHANGES = "shadowtable_changes_total", Counter, Count, "Stream records offered, by kind.";
    /// Copied.
    ITEMS_COPIED = "shadowtable_items_copied_total", Counter, Count, "Items on pages whose every item is durable, superseded or quarantined.";
    /// Ratio.
    COPY_RATIO = "shadowtable_copy_progress_ratio", Gauge, Count, "Copied items to the table's item count (which the service refreshes about every six hours); 1 when the copy is complete.";
    /// Writes.
    WRITES = "shadowtable_writes_total", Counter, Count, "Writes that the shadow took, by kind.";
    /// Coalesced.
    COALESCED = "shadowtable_changes_coalesced_total", Counter, Count, "Changes merged into a later image of the same shadow key before they were sent.";
    /// Superseded.
    SUPERSEDED = "shadowtable_copies_superseded_total", Counter, Count, "Copied images dropped because a change overtook them.";
    /// Unprocessed.
    UNPROCESSED = "shadowtable_writes_unprocessed_total", Counter, Count, "Writes that came back unprocessed and were sent again.";
    /// Throttles.
    THROTTLES = "shadowtable_throttles_total", Counter, Count, "Requests refused for lack of capacity, by resource.";
    /// Retries.
    RETRIES = "shadowtable_retries_total", Counter, Count, "Requests that failed and are tried again, by what the failure means.";
    /// Read units.
    READ_UNITS = "shadowtable_consumed_read_units_total", Counter, Count, "Read capacity units consumed at the source by the copy.";
    /// Write units.
    WRITE_UNITS = "shadowtable_consumed_write_units_total", Counter, Count, "Write capacity units consumed at the shadow; estimated where the endpoint does not say.";
    /// Pages read again.
    PAGES_REREAD = "shadowtable_pages_discarded_total", Counter, Count, "Pages read again because too many changes overtook them.";
    /// Late changes.
    LATE = "shadowtable_late_changes_total", Counter, Count, "Changes that arrived at the source after the switch's intent; they are in quarantine.";
    /// Quarantine.
    QUARANTINE = "shadowtable_quarantine_items", Gauge, Count, "Items that the shadow refuses for good.";
    /// Shards.
    SHARDS = "shadowtable_shards", Gauge, Count, "Stream shards, by state.";
    /// Pending.
    PENDING = "shadowtable_pending_writes", Gauge, Count, "Writes offered and not yet durable.";
    /// Held.
    HELD_BYTES = "shadowtable_held_bytes", Gauge, Bytes, "Memory held by images that wait for the shadow and by pages being read, estimated.";
    /// Phase.
    PHASE = "shadowtable_phase", Gauge, Count, "1 for the phase that the migration is in, 0 for the others.";
    /// Lease.
    LEASE_HELD = "shadowtable_lease_held", Gauge, Count, "1 while this process holds the lease.";
    /// Violations.
    VIOLATIONS = "shadowtable_invariant_violations_total", Counter, Count, "Rules of the protocol seen broken, by number. Anything but 0 is a defect.";
    /// Credentials.
    CREDENTIALS_EXPIRY = "shadowtable_credentials_expiry_seconds", Gauge, Seconds, "Until the credentials of a connection expire; +Inf where they never do.";
    /// Audit trail.
    AUDIT_ENTRIES = "shadowtable_audit_entries_total", Counter, Count, "Entries that this process wrote to the audit trail.";
    /// Log lines.
    LOG_LINES_DROPPED = "shadowtable_log_lines_dropped_total", Counter, Count, "Log lines that could not be written to stderr, or found its reader too slow.";
    /// Skew.
    CLOCK_SKEW = "shadowtable_clock_skew_seconds", Gauge, Seconds, "The service's clock less this machine's, as of the last reply.";
}

/// The label `direction` of what is replicated from this table to the other.
pub const fn direction(from: Side) -> &'static str {
    match from {
        Side::Source => "forward",
        Side::Shadow => "reverse",
    }
}
