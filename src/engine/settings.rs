//! What an operator may tune. Each field says its unit, its range and why the default is what it is.

use std::time::Duration;

/// All of the engine's settings.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct EngineSettings {
    /// The copy.
    pub copy: CopySettings,
    /// The applier.
    pub apply: ApplySettings,
    /// The tail.
    pub tail: TailSettings,
    /// The lease.
    pub lease: LeaseSettings,
}

/// The copy.
#[derive(Clone, Debug, PartialEq)]
pub struct CopySettings {
    /// Parallel Scan segments, 1 to 1,000,000 (the service's range). Fixed when the migration is planned: a cursor is
    /// valid only with the same total.
    pub segments: u32,
    /// Scan requests in flight at most, 1 to 256; throttling lowers it for a while.
    pub concurrency: u32,
    /// Items per page at most, 1 or more; `None` leaves the service's own limit of 1 MB.
    pub page_items: Option<u32>,
    /// Read capacity units per second, above 0; `None` is unlimited. A consistent read of 4 KB costs one.
    pub read_units_per_second: Option<f64>,
}

impl Default for CopySettings {
    fn default() -> Self {
        Self { segments: 16, concurrency: 4, page_items: None, read_units_per_second: None }
    }
}

/// The applier.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplySettings {
    /// Write requests in flight at most, 1 to 1,024: it starts with few, and throttling lowers it for a while.
    pub concurrency: u32,
    /// Write capacity units per second, above 0; `None` is unlimited. Tail goes before copy.
    pub write_units_per_second: Option<f64>,
    /// Bytes of images held at most, 1 MiB to 64 GiB. Readers wait when it is reached.
    pub memory_bytes: usize,
    /// How long after a request was given up it may still take effect, 0 s to 15 min. An assumption about the service;
    /// 0 is for showing in a test that the rule matters.
    pub abandon: Duration,
    /// How long one write request may take, 50 ms or more and less than the lease.
    pub request_timeout: Duration,
    /// Stop when more items than this are in quarantine, 0 or more: then the layout is wrong rather than the items.
    pub quarantine_limit: u64,
    /// Source keys remembered for the benefit of pages being read, 1,000 or more. At this cap the oldest page is read again.
    pub overtaken_limit: usize,
}

impl Default for ApplySettings {
    fn default() -> Self {
        Self {
            concurrency: 64,
            write_units_per_second: None,
            memory_bytes: 48 * 1024 * 1024,
            abandon: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            quarantine_limit: 1_000,
            overtaken_limit: 100_000,
        }
    }
}

/// The tail.
#[derive(Clone, Debug, PartialEq)]
pub struct TailSettings {
    /// The pause after an empty page, 0.05 to 60 s: an idle shard costs one call in this time.
    pub idle_poll: Duration,
    /// The least time between two calls to one shard, 0 to 60 s; the service allows about five a second.
    pub busy_poll: Duration,
    /// How long all polls must have been empty until a shard counts as caught up, 0.1 s to 10 min.
    pub caught_up: Duration,
    /// Time between two listings of the stream's shards, 0.1 s to 10 min.
    pub discover: Duration,
    /// Shards read at the same time at most, 1 to 10,000.
    pub readers: u32,
    /// How old a shard's known-through time may grow before the migration stops as `needs-reseed`; the service keeps
    /// records for 24 h.
    pub retention_margin: Duration,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            idle_poll: Duration::from_secs(1),
            busy_poll: Duration::from_millis(200),
            caught_up: Duration::from_secs(5),
            discover: Duration::from_secs(30),
            readers: 1_000,
            retention_margin: Duration::from_hours(23),
        }
    }
}

/// The lease and what is saved under it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseSettings {
    /// How long a holder may go without renewing, 0.5 s to 10 min.
    pub duration: Duration,
    /// Time between two saves of checkpoints, 0.05 to 60 s.
    pub checkpoint: Duration,
    /// How long a stop may take to let writes finish and to save checkpoints, 0.1 s to 10 min.
    pub grace: Duration,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), checkpoint: Duration::from_secs(1), grace: Duration::from_secs(20) }
    }
}
