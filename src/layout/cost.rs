//! What the copy will cost and how long it will take: an estimate from the table's own figures.
//!
//! Units are given and prices are not, since prices change and differ by region.

use std::fmt;
use std::time::Duration;

use crate::model::{Billing, IndexLayout, Projection, TableLayout, Throughput, counted, grouped};

/// A consistent read of so many bytes costs one read unit; a Scan page is charged by its summed size.
const READ_UNIT_BYTES: u64 = 4096;
/// A write of each started so many bytes of an item costs one write unit, in the table and in each index.
const WRITE_UNIT_BYTES: u64 = 1024;
/// What a new on-demand table serves from the start, in write units a second, unless it was created warmer.
const NEW_TABLE_WRITE_UNITS_PER_SECOND: u32 = 4_000;
/// How long a stream keeps its records.
const RETENTION: Duration = Duration::from_hours(24);

/// What is to be copied, and how fast it may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyVolume {
    /// Items, as `DescribeTable` counts them about every six hours.
    pub item_count: u64,
    /// Bytes, as `DescribeTable` counts them about every six hours.
    pub size_bytes: u64,
    /// The copy's read budget, in read units a second, above 0; `None` is unlimited.
    pub read_units_per_second: Option<f64>,
    /// The shadow's write budget, in write units a second, above 0; `None` is unlimited.
    pub write_units_per_second: Option<f64>,
}

/// What the copy will cost and how long it will take.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyEstimate {
    /// Items to copy.
    pub items: u64,
    /// Bytes of an average item.
    pub average_item_bytes: u64,
    /// Read units for one full, consistent scan of the source.
    pub read_units: u64,
    /// Write units for the shadow table itself.
    pub table_write_units: u64,
    /// Write units for the shadow's indexes, if every item enters each index and every listed attribute is there: the
    /// most that average items can cost.
    pub index_write_units: u64,
    /// How many indexes that is for.
    pub indexes: usize,
    /// How long the copy takes at least, with the whole budget to itself; `None` when it would not end in any useful
    /// time.
    pub duration: Option<Duration>,
    /// What bounds the duration.
    pub bound: Bound,
}

/// What bounds the copy's duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The read budget.
    ReadBudget,
    /// The write budget.
    WriteBudget,
    /// The provisioned write capacity of the shadow or of one of its indexes.
    ProvisionedWrites,
    /// No budget is set: what a new on-demand table serves is assumed.
    NewTable,
}

impl CopyEstimate {
    /// The estimate for copying `volume` into a shadow of this layout.
    pub fn new(volume: &CopyVolume, shadow: &TableLayout) -> Self {
        let average_item_bytes = match volume.item_count {
            0 => 0,
            count => volume.size_bytes.div_ceil(count),
        };
        let units_per_item = average_item_bytes.div_ceil(WRITE_UNIT_BYTES).max(1);
        let table_write_units = volume.item_count.saturating_mul(units_per_item);
        let indexes = || shadow.global_indexes.values().chain(shadow.local_indexes.values());
        let index_write_units =
            indexes().map(|index| units_of(index, volume.item_count, table_write_units)).fold(0, u64::saturating_add);
        let read_units = volume.size_bytes.div_ceil(READ_UNIT_BYTES);
        let (bound, seconds) = slowest(volume, shadow, read_units, table_write_units, index_write_units);
        Self {
            items: volume.item_count,
            average_item_bytes,
            read_units,
            table_write_units,
            index_write_units,
            indexes: indexes().count(),
            duration: Duration::try_from_secs_f64(seconds.ceil()).ok(),
            bound,
        }
    }

    /// The copy outlasts the stream's retention. That loses nothing, since the tail runs beside the copy.
    pub fn outlasts_retention(&self) -> bool {
        self.duration.is_none_or(|duration| duration > RETENTION)
    }
}

/// Write units for one index, if every item enters it.
fn units_of(index: &IndexLayout, items: u64, table_write_units: u64) -> u64 {
    match index.projection {
        // Keys are short; listed attributes may be as large as the item.
        Projection::KeysOnly => items,
        Projection::Include(_) | Projection::All => table_write_units,
    }
}

/// What takes longest, and how many seconds.
fn slowest(
    volume: &CopyVolume,
    shadow: &TableLayout,
    read_units: u64,
    table_write_units: u64,
    index_write_units: u64,
) -> (Bound, f64) {
    let mut bounds = Vec::new();
    match (volume.write_units_per_second, shadow.billing) {
        (_, Billing::Provisioned(throughput)) => {
            // Each global index has its own capacity; local ones use the table's.
            let units = |index| units_of(index, volume.item_count, table_write_units);
            let local = shadow.local_indexes.values().map(units).fold(0, u64::saturating_add);
            let globals = shadow.global_indexes.values().filter_map(|index| Some((units(index), index.throughput?)));
            let own = (table_write_units.saturating_add(local), throughput);
            let seconds = globals.chain([own]).map(|(units, throughput)| float(units) / rate(throughput));
            bounds.push((Bound::ProvisionedWrites, seconds.fold(0.0, f64::max)));
        }
        (None, Billing::OnDemand) => {
            bounds.push((Bound::NewTable, float(table_write_units) / f64::from(NEW_TABLE_WRITE_UNITS_PER_SECOND)));
        }
        (Some(_), Billing::OnDemand) => {}
    }
    if let Some(rate) = volume.write_units_per_second {
        // The budget counts what replies report: the table's units and its indexes' together.
        bounds.push((Bound::WriteBudget, float(table_write_units.saturating_add(index_write_units)) / rate));
    }
    if let Some(rate) = volume.read_units_per_second {
        bounds.push((Bound::ReadBudget, float(read_units) / rate));
    }
    bounds.into_iter().max_by(|left, right| left.1.total_cmp(&right.1)).unwrap_or((Bound::NewTable, 0.0))
}

fn rate(throughput: Throughput) -> f64 {
    f64::from(u32::try_from(throughput.write_units).unwrap_or(u32::MAX))
}

/// Near enough for an estimate.
fn float(number: u64) -> f64 {
    const HALF: f64 = 4_294_967_296.0;
    let half = |bits: u64| f64::from(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(u32::MAX));
    half(number >> 32) * HALF + half(number)
}

/// A few lines for an operator.
impl fmt::Display for CopyEstimate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "copy (an estimate from figures up to six hours old): {} of {} on average",
            counted(self.items, "item"),
            counted(self.average_item_bytes, "byte")
        )?;
        writeln!(out, "source reads: {} for one consistent scan", counted(self.read_units, "unit"))?;
        write!(out, "shadow writes: about {}", counted(self.table_write_units, "unit"))?;
        if self.indexes > 0 {
            let indexes = if self.indexes == 1 { "index" } else { "indexes" };
            let most = grouped(self.index_write_units);
            write!(out, ", and up to {most} for {} {indexes} (less where items lack index keys)", self.indexes)?;
        }
        writeln!(out)?;
        let bound = match self.bound {
            Bound::ReadBudget => "by the read budget",
            Bound::WriteBudget => "by the write budget",
            Bound::ProvisionedWrites => "by the provisioned write capacity of the shadow or its indexes",
            Bound::NewTable => "by the 4,000 write units a second that a new on-demand table serves (an assumption)",
        };
        match self.duration {
            Some(duration) => writeln!(
                out,
                "duration: at least {}, bounded {bound}; live changes go first and lengthen it",
                humantime::format_duration(rounded(duration))
            )?,
            None => writeln!(out, "duration: it would not end, bounded {bound}; raise it")?,
        }
        if self.outlasts_retention() {
            writeln!(
                out,
                "retention: the copy outlasts the 24 h that the stream keeps changes; that loses nothing, since \
                 changes are read beside it"
            )?;
        }
        write!(
            out,
            "what must fit into 24 h is each change's way to the shadow, stops included: the shadow must take more \
             writes than the source makes, and no stop may last that long"
        )
    }
}

/// Two units of precision are enough for an estimate: whole minutes above an hour, whole hours above two days.
fn rounded(duration: Duration) -> Duration {
    const HOUR: u64 = 3600;
    let seconds = duration.as_secs();
    let step = match seconds {
        0..HOUR => 1,
        HOUR..172_800 => 60,
        _ => HOUR,
    };
    Duration::from_secs(seconds.div_ceil(step).saturating_mul(step))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::KeyType;

    const VOLUME: CopyVolume = CopyVolume {
        item_count: 1_000_000,
        size_bytes: 1_500_000_000,
        read_units_per_second: None,
        write_units_per_second: None,
    };

    fn layout(projections: &[Projection]) -> TableLayout {
        let index = |projection: &Projection| IndexLayout {
            partition_keys: vec![("a".into(), KeyType::S)],
            sort_keys: vec![],
            projection: projection.clone(),
            throughput: None,
        };
        TableLayout {
            partition_key: ("p".into(), KeyType::S),
            sort_key: None,
            global_indexes: (0..)
                .zip(projections)
                .map(|(i, projection)| (format!("i{i}"), index(projection)))
                .collect(),
            local_indexes: BTreeMap::new(),
            billing: Billing::OnDemand,
        }
    }

    #[test]
    fn each_index_costs_by_its_projection() {
        let estimate = CopyEstimate::new(&VOLUME, &layout(&[Projection::KeysOnly, Projection::All]));
        assert_eq!((estimate.table_write_units, estimate.index_write_units), (2_000_000, 3_000_000));
        assert_eq!(estimate.read_units, 366_211);
    }

    #[test]
    fn the_tightest_budget_bounds_the_duration() {
        let volume = CopyVolume { read_units_per_second: Some(100.0), write_units_per_second: Some(1000.0), ..VOLUME };
        let estimate = CopyEstimate::new(&volume, &layout(&[Projection::All]));
        assert_eq!((estimate.bound, estimate.duration), (Bound::WriteBudget, Some(Duration::from_secs(4000))));
        let slow = CopyVolume { read_units_per_second: Some(1.0), ..volume };
        let estimate = CopyEstimate::new(&slow, &layout(&[]));
        assert_eq!((estimate.bound, estimate.duration), (Bound::ReadBudget, Some(Duration::from_secs(366_211))));
        assert!(estimate.outlasts_retention());
    }

    #[test]
    fn the_shadows_own_capacity_bounds_the_copy() {
        let estimate = CopyEstimate::new(&VOLUME, &layout(&[Projection::All]));
        assert_eq!((estimate.bound, estimate.duration), (Bound::NewTable, Some(Duration::from_secs(500))));
        let mut provisioned = layout(&[]);
        provisioned.billing = Billing::Provisioned(Throughput { read_units: 1, write_units: 100 });
        let estimate = CopyEstimate::new(&VOLUME, &provisioned);
        assert_eq!((estimate.bound, estimate.duration), (Bound::ProvisionedWrites, Some(Duration::from_secs(20_000))));
        let mut index = layout(&[Projection::KeysOnly]).global_indexes.remove("i0").unwrap();
        index.throughput = Some(Throughput { read_units: 1, write_units: 10 });
        provisioned.global_indexes.insert("slow".into(), index);
        let estimate = CopyEstimate::new(&VOLUME, &provisioned);
        assert_eq!(estimate.duration, Some(Duration::from_secs(100_000)), "the slow index holds back the table");
    }

    #[test]
    fn an_empty_table_and_absurd_figures_are_estimated_too() {
        let empty = CopyVolume { item_count: 0, size_bytes: 0, ..VOLUME };
        assert_eq!(CopyEstimate::new(&empty, &layout(&[])).duration, Some(Duration::ZERO));
        let absurd = CopyVolume { item_count: u64::MAX, size_bytes: u64::MAX, ..VOLUME };
        let estimate = CopyEstimate::new(
            &CopyVolume { write_units_per_second: Some(1e-9), ..absurd },
            &layout(&[Projection::All]),
        );
        assert_eq!(estimate.duration, None);
        assert!(estimate.to_string().contains("raise it"));
    }

    #[test]
    fn the_estimate_reads_well() {
        insta::assert_snapshot!(CopyEstimate::new(&VOLUME, &layout(&[Projection::KeysOnly])), @r#"
        copy (an estimate from figures up to six hours old): 1,000,000 items of 1,500 bytes on average
        source reads: 366,211 units for one consistent scan
        shadow writes: about 2,000,000 units, and up to 1,000,000 for 1 index (less where items lack index keys)
        duration: at least 8m 20s, bounded by the 4,000 write units a second that a new on-demand table serves (an assumption); live changes go first and lengthen it
        what must fit into 24 h is each change's way to the shadow, stops included: the shadow must take more writes than the source makes, and no stop may last that long
        "#);
        let slow = CopyVolume { write_units_per_second: Some(15.0), ..VOLUME };
        insta::assert_snapshot!(CopyEstimate::new(&slow, &layout(&[])), @r#"
        copy (an estimate from figures up to six hours old): 1,000,000 items of 1,500 bytes on average
        source reads: 366,211 units for one consistent scan
        shadow writes: about 2,000,000 units
        duration: at least 1day 13h 3m, bounded by the write budget; live changes go first and lengthen it
        retention: the copy outlasts the 24 h that the stream keeps changes; that loses nothing, since changes are read beside it
        what must fit into 24 h is each change's way to the shadow, stops included: the shadow must take more writes than the source makes, and no stop may last that long
        "#);
    }
}
