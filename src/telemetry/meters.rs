//! Handles to the metrics that the engine counts, so that a hot path pays one atomic addition.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::names::{self, Kind};
use crate::model::{ChangeKind, Side};
use crate::ports::{Fault, PortError};
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::phase::Phase;
use crate::protocol::slots::Batch;

/// The engine's counters. Made once the recorder is installed; all exist at zero from then on.
pub struct Meters {
    changes: BTreeMap<ChangeKind, Tally>,
    /// Items on durable pages.
    pub items_copied: Tally,
    puts: Tally,
    deletes: Tally,
    /// Writes that came back.
    pub writes_unprocessed: Counter,
    read_units: Fractions,
    write_units: Fractions,
    latency: Histogram,
    coalesced: Counter,
    superseded: Counter,
    pages_discarded: Counter,
    late: Tally,
    audited: Counter,
    log_lines_dropped: Counter,
    throttles: Mutex<BTreeMap<String, u64>>,
}

/// What was counted since the process began.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Items on durable pages.
    pub items_copied: u64,
    /// Stream records offered.
    pub changes: u64,
    /// Writes that the shadow took.
    pub writes: u64,
    /// Read units consumed by the copy.
    #[serde(default)]
    pub read_units: u64,
    /// Requests refused for lack of capacity, by resource.
    pub throttles: BTreeMap<String, u64>,
    /// Changes that arrived at the source after the switch's intent.
    pub late_changes: u64,
}

/// A counter that can be read here too: a recorder's cannot.
pub struct Tally {
    counter: Counter,
    total: AtomicU64,
}

impl Tally {
    fn new(counter: Counter) -> Self {
        Self { counter, total: AtomicU64::new(0) }
    }

    /// Counts.
    pub fn increment(&self, by: u64) {
        self.counter.increment(by);
        self.total.fetch_add(by, Relaxed);
    }

    fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }
}

/// Capacity units are fractions; counters are whole. The rest is carried over.
struct Fractions {
    counter: Counter,
    thousandths: AtomicU64,
}

impl Fractions {
    fn new(counter: Counter) -> Self {
        Self { counter, thousandths: AtomicU64::new(0) }
    }

    fn add(&self, units: f64) {
        // Units are small and positive; a duration's milliseconds carry them without a lossy cast.
        let added = Duration::try_from_secs_f64(units).map_or(0, |units| u64::try_from(units.as_millis()).unwrap_or(0));
        let before = self.thousandths.fetch_add(added, Relaxed);
        self.counter.increment((before + added) / 1000 - before / 1000);
    }
}

impl Default for Meters {
    fn default() -> Self {
        describe();
        for phase in Phase::ALL {
            gauge!(names::PHASE, "phase" => phase.as_str()).set(0.0);
        }
        for invariant in Invariant::ALL {
            counter!(names::VIOLATIONS, "id" => invariant.id()).increment(0);
        }
        for fault in [Fault::Throttled, Fault::PartitionThrottled, Fault::Abandoned, Fault::Credentials] {
            counter!(names::RETRIES, "fault" => fault.as_str()).increment(0);
        }
        gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(names::LEASE_HELD).set(0.0);
        let changes = ChangeKind::ALL.map(|kind| (kind, Tally::new(counter!(names::CHANGES, "kind" => kind.as_str()))));
        Self {
            changes: changes.into(),
            items_copied: Tally::new(counter!(names::ITEMS_COPIED)),
            puts: Tally::new(counter!(names::WRITES, "kind" => "put")),
            deletes: Tally::new(counter!(names::WRITES, "kind" => "delete")),
            writes_unprocessed: counter!(names::UNPROCESSED),
            read_units: Fractions::new(counter!(names::READ_UNITS)),
            write_units: Fractions::new(counter!(names::WRITE_UNITS)),
            latency: histogram!(names::APPLY_LATENCY, "direction" => names::direction(Side::Source)),
            coalesced: counter!(names::COALESCED),
            superseded: counter!(names::SUPERSEDED),
            pages_discarded: counter!(names::PAGES_REREAD),
            late: Tally::new(counter!(names::LATE)),
            audited: counter!(names::AUDIT_ENTRIES),
            log_lines_dropped: counter!(names::LOG_LINES_DROPPED),
            throttles: Mutex::default(),
        }
    }
}

impl Meters {
    /// These resources may be throttled: their counters exist from now on.
    pub fn expect_resources<'a>(&self, resources: impl IntoIterator<Item = &'a str>) {
        for resource in resources {
            counter!(names::THROTTLES, "resource" => resource.to_owned()).increment(0);
            self.throttles().entry(resource.to_owned()).or_default();
        }
    }

    /// A change is about to be offered.
    pub fn changed(&self, kind: ChangeKind) {
        if let Some(counter) = self.changes.get(&kind) {
            counter.increment(1);
        }
    }

    /// The shadow took a batch, or part of it.
    pub fn wrote(&self, batch: &Batch, units: Option<f64>) {
        let puts = batch.writes.iter().filter(|write| write.image.is_some()).count();
        self.puts.increment(u64::try_from(puts).unwrap_or(0));
        self.deletes.increment(u64::try_from(batch.writes.len() - puts).unwrap_or(0));
        self.write_units.add(units.unwrap_or(batch.estimated_units));
    }

    /// The source was read.
    pub fn read(&self, units: f64) {
        self.read_units.add(units);
    }

    /// Changes arrived after the switch's intent.
    pub fn late(&self, changes: u64) {
        self.late.increment(changes);
    }

    /// A change became durable.
    pub fn applied(&self, latency: Duration) {
        self.latency.record(latency.as_secs_f64());
    }

    /// A request failed.
    pub fn failed(&self, error: &PortError) {
        if matches!(error.fault, Fault::Throttled | Fault::PartitionThrottled) {
            counter!(names::THROTTLES, "resource" => error.resource.clone()).increment(1);
            *self.throttles().entry(error.resource.clone()).or_default() += 1;
        }
        counter!(names::RETRIES, "fault" => error.fault.as_str()).increment(1);
    }

    /// A rule was seen broken.
    pub fn violated(&self, violation: &Violation) {
        counter!(names::VIOLATIONS, "id" => violation.invariant.id()).increment(1);
    }

    /// A line was added to the audit trail.
    pub fn audited(&self) {
        self.audited.increment(1);
    }

    /// What was counted so far.
    pub fn counted(&self) -> Totals {
        Totals {
            items_copied: self.items_copied.total(),
            changes: self.changes.values().map(Tally::total).sum(),
            writes: self.puts.total() + self.deletes.total(),
            read_units: self.read_units.thousandths.load(Relaxed) / 1000,
            throttles: self.throttles().clone(),
            late_changes: self.late.total(),
        }
    }

    fn throttles(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.throttles.lock()
    }

    /// What the log lost so far.
    pub fn lost_lines(&self) {
        self.log_lines_dropped.absolute(super::stderr::dropped_lines());
    }

    /// Totals that are kept elsewhere.
    pub fn totals(&self, coalesced: u64, superseded: u64, pages_discarded: u64) {
        self.coalesced.absolute(coalesced);
        self.superseded.absolute(superseded);
        self.pages_discarded.absolute(pages_discarded);
    }
}

fn describe() {
    for metric in names::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}
