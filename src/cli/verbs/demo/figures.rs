//! Figures out of this process's own `/metrics` text: what a dashboard would see is what the demo reports.

use crate::model::ChangeKind;
use crate::telemetry::names;

/// The figures of one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Figures {
    /// Stream records offered, by kind.
    pub(super) changes: Vec<(ChangeKind, u64)>,
    /// Changes merged into a later image.
    pub(super) coalesced: u64,
    /// Copied images dropped because a change overtook them.
    pub(super) superseded: u64,
    /// Upper bounds, in seconds, of what half and 99 % of the changes took from offered to durable; infinite above the
    /// highest bucket, `None` without changes.
    pub(super) latency: Option<(f64, f64)>,
}

impl Figures {
    /// Reads them out of the text.
    pub(super) fn read(metrics: &str) -> Self {
        let count = |sample: &str| value(metrics, sample).map_or(0, whole);
        let kind = |kind: ChangeKind| (kind, count(&format!("{}{{kind=\"{}\"}}", names::CHANGES, kind.as_str())));
        let buckets: Vec<_> = buckets(metrics).collect();
        let latency = quantile(&buckets, 0.5).zip(quantile(&buckets, 0.99));
        Self {
            changes: ChangeKind::ALL.map(kind).into(),
            coalesced: count(names::COALESCED),
            superseded: count(names::SUPERSEDED),
            latency,
        }
    }

    /// Stream records of all kinds.
    pub(super) fn total(&self) -> u64 {
        self.changes.iter().map(|(_, count)| count).sum()
    }
}

/// The value of one sample, given with its labels.
fn value(metrics: &str, sample: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

/// Counters are whole and far below 2⁵³.
fn whole(value: f64) -> u64 {
    format!("{value:.0}").parse().unwrap_or(0)
}

/// The latency's buckets: upper bound in seconds, and how many were at most that.
fn buckets(metrics: &str) -> impl Iterator<Item = (f64, f64)> {
    metrics.lines().filter_map(|line| {
        let labels = line.strip_prefix(names::APPLY_LATENCY)?.strip_prefix("_bucket{")?;
        let (_, bound) = labels.split_once("le=\"")?;
        let (bound, count) = bound.split_once("\"} ")?;
        Some((bound.parse().ok()?, count.parse().ok()?))
    })
}

/// The bound of the first bucket that holds this share.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let (_, total) = buckets.last().filter(|(_, total)| *total > 0.0)?;
    buckets.iter().find(|(_, count)| *count >= share * total).map(|(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Meters;

    const METRICS: &str = "\
# HELP shadowtable_changes_total Stream records offered, by kind.
# TYPE shadowtable_changes_total counter
shadowtable_changes_total{kind=\"insert\"} 12
shadowtable_changes_total{kind=\"modify\"} 30
shadowtable_changes_total{kind=\"remove\"} 5
shadowtable_changes_total{kind=\"expire\"} 0

shadowtable_changes_coalesced_total 3
shadowtable_apply_latency_seconds_bucket{direction=\"forward\",le=\"0.005\"} 40
shadowtable_apply_latency_seconds_bucket{direction=\"forward\",le=\"0.01\"} 98
shadowtable_apply_latency_seconds_bucket{direction=\"forward\",le=\"0.025\"} 99
shadowtable_apply_latency_seconds_bucket{direction=\"forward\",le=\"+Inf\"} 100
shadowtable_apply_latency_seconds_count 100
";

    #[test]
    fn figures_are_those_of_the_text() {
        let found = Figures::read(METRICS);
        assert_eq!(found.total(), 47);
        assert_eq!(found.changes.first(), Some(&(ChangeKind::Insert, 12)));
        assert_eq!((found.coalesced, found.superseded), (3, 0));
        assert_eq!(found.latency, Some((0.01, 0.025)));
    }

    #[test]
    fn beyond_the_highest_bucket_nothing_is_known() {
        let slow = METRICS.replace("} 99", "} 98");
        assert_eq!(Figures::read(&slow).latency, Some((0.01, f64::INFINITY)));
        assert_eq!(Figures::read("").latency, None);
    }

    #[test]
    fn the_recorder_writes_what_is_read_here() {
        let handle = crate::telemetry::install_recorder(None).unwrap();
        let meters = Meters::default();
        meters.changed(ChangeKind::Insert);
        meters.applied(Duration::from_millis(20));
        let found = Figures::read(&handle.render());
        assert!(found.total() > 0 && found.latency.is_some(), "{found:?}");
    }
}
