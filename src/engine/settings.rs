//! What an operator may tune. Each field says its unit, its range and why the default is what it is.

use std::time::Duration;

use crate::model::Billing;
use crate::ports::Program;
use crate::protocol::cutover::Limits;
use crate::protocol::polling::Bounds;

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
    /// The cutover.
    pub cutover: CutoverSettings,
}

/// The copy.
#[derive(Clone, Debug, PartialEq)]
pub struct CopySettings {
    /// Parallel Scan segments, 1 to 1,000,000 (the service's range); `None`: one for each GiB of the source, 64 to 4,096.
    /// Fixed when the shadow is made: a cursor is valid only with the same total.
    pub segments: Option<u32>,
    /// Scan requests in flight at most, 1 to 256: it starts with few, and throttling and slow replies lower it for a while.
    pub concurrency: u32,
    /// Items per page at most, 1 or more; `None`: as many as half a MiB of memory holds.
    pub page_items: Option<u32>,
    /// Read capacity units per second, above 0; `None`: a quarter of what a provisioned source has, and unlimited for one on
    /// demand. A consistent read of 4 KB costs one.
    pub read_units_per_second: Option<f64>,
}

/// One segment for so many bytes of the source: few enough cursors to store, and enough of them to reach every partition.
const SEGMENT_BYTES: u64 = 1 << 30;
/// With fewer, a shadow of 40 partitions would not be written everywhere at once.
const FEWEST_SEGMENTS: u32 = 64;
const MOST_SEGMENTS: u32 = 4_096;
/// The application keeps the rest of a provisioned source's read capacity.
const SHARE_OF_CAPACITY: f64 = 0.25;

impl CopySettings {
    /// Segments for a source of so many bytes.
    pub fn segments_of(&self, bytes: u64) -> u32 {
        let by_size = u32::try_from(bytes.div_ceil(SEGMENT_BYTES)).unwrap_or(MOST_SEGMENTS);
        self.segments.unwrap_or(by_size.clamp(FEWEST_SEGMENTS, MOST_SEGMENTS))
    }

    /// Read units a second from a source that is billed so.
    pub fn read_budget(&self, source: Billing) -> Option<f64> {
        let share = match source {
            Billing::OnDemand => None,
            #[expect(clippy::cast_precision_loss, reason = "capacities are far below 2^52")]
            Billing::Provisioned(capacity) => Some((capacity.read_units as f64 * SHARE_OF_CAPACITY).max(1.0)),
        };
        self.read_units_per_second.or(share)
    }
}

impl Default for CopySettings {
    fn default() -> Self {
        Self { segments: None, concurrency: 64, page_items: None, read_units_per_second: None }
    }
}

/// The applier.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplySettings {
    /// Write requests in flight at most, 1 to 1,024, of each kind (changes, copied images, what is sent again): it starts with
    /// few, and throttling lowers it for a while.
    pub concurrency: u32,
    /// Write capacity units per second, above 0; `None` is unlimited. Tail goes before copy.
    pub write_units_per_second: Option<f64>,
    /// Bytes held by images, and by pages being read, at most, 1 MiB to 64 GiB. Readers take their share of it before
    /// they read, and wait while there is none.
    pub memory_bytes: usize,
    /// How long after a request was given up it may still take effect, 0 s to 15 min. An assumption about the service;
    /// 0 is for showing in a test that the rule matters.
    pub abandon: Duration,
    /// How long one write request may take, 50 ms or more and less than the lease.
    pub request_timeout: Duration,
    /// Stop when more items than this are in quarantine, 0 or more: then the layout is wrong rather than the items.
    pub quarantine_limit: u64,
    /// Source keys remembered for the benefit of pages being read, 1,000 or more; `None`: as many as a tenth of
    /// `memory_bytes` holds. At this cap the oldest page is read again.
    pub overtaken_limit: Option<usize>,
    /// Source keys remembered that changed last, 0 or more: a cutover compares them on both sides.
    pub recent_keys: usize,
}

/// What a remembered key takes, ten times over.
const REMEMBERED_KEY_BYTES: usize = 2 * 1024;

impl ApplySettings {
    /// Source keys remembered for the benefit of pages being read.
    pub fn overtaken_limit(&self) -> usize {
        self.overtaken_limit.unwrap_or((self.memory_bytes / REMEMBERED_KEY_BYTES).max(1_000))
    }
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
            overtaken_limit: None,
            recent_keys: 1_000,
        }
    }
}

/// The tail.
#[derive(Clone, Debug, PartialEq)]
pub struct TailSettings {
    /// The longest time between two calls to one shard, 0.05 to 60 s: a shard at rest costs one call in this time, and a
    /// change may be noticed so late.
    pub idle_poll: Duration,
    /// The least time between two calls to one shard, 0 to 60 s. The service allows about five a second, and two readers;
    /// Lambda, which often is the other one, asks four times.
    pub busy_poll: Duration,
    /// How long all polls must have been empty until a shard counts as caught up, 0.1 s to 10 min.
    pub caught_up: Duration,
    /// Time between two listings of the stream's shards, 0.1 s to 10 min; or ten times as long as a listing takes, if that is
    /// longer.
    pub discover: Duration,
    /// How old a shard's known-through time may grow before the migration stops as `needs-reseed`; the service keeps
    /// records for 24 h.
    pub retention_margin: Duration,
}

impl TailSettings {
    /// The bounds of the pace at which a shard is asked.
    pub fn polling(&self) -> Bounds {
        Bounds { busy: self.busy_poll, idle: self.idle_poll }
    }
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            idle_poll: Duration::from_secs(1),
            busy_poll: Duration::from_millis(250),
            caught_up: Duration::from_secs(5),
            discover: Duration::from_secs(30),
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

/// The cutover.
#[derive(Clone, Debug, PartialEq)]
pub struct CutoverSettings {
    /// The highest lag with which one begins, 0 s to 1 h.
    pub max_lag: Duration,
    /// The least headroom with which one begins, 0 to 24 h: one that fails must find its history still there.
    pub min_headroom: Duration,
    /// For how long after the fence no change may arrive, 0.1 s to 10 min.
    pub quiet: Duration,
    /// How long the drain may take, 1 s to 1 h. Then the fence is undone.
    pub drain_timeout: Duration,
    /// How long one of the operator's programs may take, 0.1 s to 1 h. Then it is killed.
    pub program_timeout: Duration,
    /// How long the source may stay fenced before the switch's intent, 1 s to 24 h, a restart included. Then the fence
    /// is undone.
    pub fenced_limit: Duration,
    /// How writes to the source are stopped; without it there is no cutover.
    pub fence: Option<Fence>,
    /// How the application is pointed at the shadow; without it there is no cutover.
    pub switch: Option<Switch>,
    /// Programs that are told of what happens.
    pub hooks: Hooks,
}

impl CutoverSettings {
    /// What the gates compare with.
    pub fn limits(&self) -> Limits {
        Limits { max_lag: self.max_lag, min_headroom: self.min_headroom }
    }

    /// The operator's programs, by their keys in the configuration.
    pub fn programs(&self) -> Vec<(&'static str, &Program)> {
        let mut programs = Vec::new();
        if let Some(Fence::Command { fence, unfence }) = &self.fence {
            programs.extend([("cutover.fence_command", fence), ("cutover.unfence_command", unfence)]);
        }
        if let Some(Switch::Command(program)) = &self.switch {
            programs.push(("cutover.switch_command", program));
        }
        let Hooks { on_ready, before_fence, after_switch, on_failure } = &self.hooks;
        let hooks = [
            ("hooks.on_ready", on_ready),
            ("hooks.before_fence", before_fence),
            ("hooks.after_switch", after_switch),
            ("hooks.on_failure", on_failure),
        ];
        programs.extend(hooks.into_iter().filter_map(|(key, hook)| Some((key, hook.as_ref()?))));
        programs
    }
}

impl Default for CutoverSettings {
    fn default() -> Self {
        Self {
            max_lag: Duration::from_secs(10),
            min_headroom: Duration::from_hours(12),
            quiet: Duration::from_secs(10),
            drain_timeout: Duration::from_mins(2),
            program_timeout: Duration::from_mins(1),
            fenced_limit: Duration::from_mins(5),
            fence: None,
            switch: None,
            hooks: Hooks::default(),
        }
    }
}

/// How writes to the source are stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// The operator stops them, and says so.
    Manual,
    /// Programs stop them and allow them again. Both may be run more than once.
    Command {
        /// Stops them.
        fence: Program,
        /// Allows them again.
        unfence: Program,
    },
}

impl Fence {
    /// The word for people.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Command { .. } => "command",
        }
    }
}

/// How the application is pointed at the shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// A program does it. It may be run more than once.
    Command(Program),
    /// An item that the application reads names the table.
    Pointer,
    /// A parameter of Systems Manager names the table.
    SsmParameter,
}

impl Switch {
    /// The word for people.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Pointer => "pointer",
            Self::SsmParameter => "ssm-parameter",
        }
    }
}

/// Programs that are told of what happens.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hooks {
    /// When all gates of a cutover hold for the first time. Its failure is logged.
    pub on_ready: Option<Program>,
    /// Before the fence. Its failure ends the cutover.
    pub before_fence: Option<Program>,
    /// After the switch. Its failure is logged.
    pub after_switch: Option<Program>,
    /// When a step of a cutover failed. Its failure is logged.
    pub on_failure: Option<Program>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Throughput;

    #[test]
    fn segments_follow_the_size_of_the_source_unless_they_are_given() {
        let of = |gibibytes: u64| CopySettings::default().segments_of(gibibytes << 30);
        assert_eq!([of(0), of(64), of(65), of(1_024), of(100_000)], [64, 64, 65, 1_024, 4_096]);
        assert_eq!(CopySettings { segments: Some(3), ..CopySettings::default() }.segments_of(1 << 40), 3);
    }

    #[test]
    fn a_quarter_of_provisioned_capacity_is_used_unless_a_budget_is_given() {
        let provisioned = Billing::Provisioned(Throughput { read_units: 400, write_units: 1 });
        let default = CopySettings::default();
        assert_eq!((default.read_budget(provisioned), default.read_budget(Billing::OnDemand)), (Some(100.0), None));
        let given = CopySettings { read_units_per_second: Some(300.0), ..default };
        assert_eq!((given.read_budget(provisioned), given.read_budget(Billing::OnDemand)), (Some(300.0), Some(300.0)));
    }
}
