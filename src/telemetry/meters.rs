//! Handles to the metrics that the engine counts, so that a hot path pays one atomic addition.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::names::{self, Kind};
use crate::model::ChangeKind;
use crate::ports::{Fault, PortError};
use crate::protocol::invariant::{Invariant, Violation};
use crate::protocol::phase::Phase;
use crate::protocol::slots::Batch;

/// The engine's counters. Made once the recorder is installed; all exist at zero from then on.
pub struct Meters {
    changes: BTreeMap<ChangeKind, Counter>,
    /// Items on durable pages.
    pub items_copied: Counter,
    puts: Counter,
    deletes: Counter,
    /// Writes that came back.
    pub writes_unprocessed: Counter,
    read_units: Fractions,
    write_units: Fractions,
    latency: Histogram,
    coalesced: Counter,
    superseded: Counter,
    pages_discarded: Counter,
    late: Counter,
}

/// Capacity units are fractions; counters are whole. The rest is carried over.
struct Fractions {
    counter: Counter,
    thousandths: std::sync::atomic::AtomicU64,
}

impl Fractions {
    fn new(counter: Counter) -> Self {
        Self { counter, thousandths: std::sync::atomic::AtomicU64::new(0) }
    }

    fn add(&self, units: f64) {
        use std::sync::atomic::Ordering::Relaxed;
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
        for fault in [Fault::Throttled, Fault::Abandoned, Fault::Credentials] {
            counter!(names::RETRIES, "fault" => fault.as_str()).increment(0);
        }
        gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(names::LEASE_HELD).set(0.0);
        let changes = ChangeKind::ALL.map(|kind| (kind, counter!(names::CHANGES, "kind" => kind.as_str())));
        Self {
            changes: changes.into(),
            items_copied: counter!(names::ITEMS_COPIED),
            puts: counter!(names::WRITES, "kind" => "put"),
            deletes: counter!(names::WRITES, "kind" => "delete"),
            writes_unprocessed: counter!(names::UNPROCESSED),
            read_units: Fractions::new(counter!(names::READ_UNITS)),
            write_units: Fractions::new(counter!(names::WRITE_UNITS)),
            latency: histogram!(names::APPLY_LATENCY),
            coalesced: counter!(names::COALESCED),
            superseded: counter!(names::SUPERSEDED),
            pages_discarded: counter!(names::PAGES_REREAD),
            late: counter!(names::LATE),
        }
    }
}

impl Meters {
    /// These resources may be throttled: their counters exist from now on.
    pub fn expect_resources<'a>(&self, resources: impl IntoIterator<Item = &'a str>) {
        for resource in resources {
            counter!(names::THROTTLES, "resource" => resource.to_owned()).increment(0);
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
        if error.fault == Fault::Throttled {
            counter!(names::THROTTLES, "resource" => error.resource.clone()).increment(1);
        }
        counter!(names::RETRIES, "fault" => error.fault.as_str()).increment(1);
    }

    /// A rule was seen broken.
    pub fn violated(&self, violation: &Violation) {
        counter!(names::VIOLATIONS, "id" => violation.invariant.id()).increment(1);
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
