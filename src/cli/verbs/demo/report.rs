//! The demo's outcome, for stdout.

use std::fmt;
use std::time::Duration;

use indicatif::HumanCount;

use super::application::Log;
use super::approvals::{INDEX, LACKING, SHADOW, SOURCE};
use super::compare::{Comparison, Differences};
use super::figures::Figures;
use super::progress::per_second;
use crate::cli::table::span;
use crate::model::{AttributeValue, Item};

/// Everything that the demo found.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Source against shadow.
    pub(super) comparison: Comparison,
    /// What both indexes answer.
    pub(super) answer: IndexAnswer,
    /// What the application did.
    pub(super) log: Log,
    /// The migration's metrics.
    pub(super) figures: Figures,
    /// Items copied.
    pub(super) copied: u64,
    /// The longest lag seen, in seconds.
    pub(super) longest_lag: f64,
    /// How long everything took.
    pub(super) spans: Spans,
}

/// How long everything took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spans {
    /// Filling the table.
    pub(super) load: Duration,
    /// From the pin until the copy was complete.
    pub(super) copy: Duration,
    /// The application's writing.
    pub(super) writing: Duration,
    /// Comparing.
    pub(super) compare: Duration,
    /// All of it.
    pub(super) total: Duration,
}

/// What the index answers for one user, in both tables.
#[derive(Clone, Debug)]
pub(super) struct IndexAnswer {
    /// The user.
    pub(super) user: String,
    /// Entries of the source's index.
    pub(super) source: Vec<Item>,
    /// Entries of the shadow's index.
    pub(super) shadow: Vec<Item>,
}

impl IndexAnswer {
    /// Whether the shadow's entries, and only they, have the attribute that the migration was for.
    fn is_as_planned(&self) -> bool {
        let has = |item: &Item| item.get(LACKING).is_some();
        !self.shadow.is_empty()
            && self.shadow.len() == self.source.len()
            && self.shadow.iter().all(has)
            && !self.source.iter().any(has)
    }
}

impl Report {
    /// Whether the shadow is what it should be.
    pub(super) fn is_equal(&self) -> bool {
        self.comparison.is_equal() && self.answer.is_as_planned() && !self.log.after_switch.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figures, spans) = (&self.figures, &self.spans);
        let seconds = |duration: Duration| span(duration.as_secs_f64());
        let count = HumanCount;
        verdict(&self.comparison, out)?;
        let rate = count(per_second(self.copied, spans.copy));
        writeln!(out, "copied       {} items in {} ({rate} a second)", count(self.copied), seconds(spans.copy))?;
        writeln!(
            out,
            "meanwhile    {} writes by the application in {}: {} inserts, {} updates, {} deletions",
            count(self.log.written.total()),
            seconds(spans.writing),
            count(self.log.written.inserts),
            count(self.log.written.updates),
            count(self.log.written.deletes)
        )?;
        let kinds = figures.changes.iter().filter(|(_, changes)| *changes > 0);
        let kinds: Vec<_> = kinds.map(|(kind, changes)| format!("{} {}", kind.as_str(), count(*changes))).collect();
        writeln!(
            out,
            "applied      {} changes from the stream ({}), {} of them coalesced into a later one",
            count(figures.total()),
            if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") },
            count(figures.coalesced)
        )?;
        writeln!(out, "superseded   {} copied images, overtaken by a change", count(figures.superseded))?;
        writeln!(out, "longest lag  {} (the stream tells whole seconds only)", span(self.longest_lag))?;
        if let Some((half, most)) = figures.latency {
            writeln!(out, "latency      p50 {}, p99 {}, from offered to durable", bound(half), bound(most))?;
        }
        let since = u64::try_from(self.log.after_switch.len()).unwrap_or(u64::MAX);
        writeln!(
            out,
            "cutover      the application paused for {} at most, then wrote {} times to the shadow",
            seconds(self.log.longest_pause),
            count(since)
        )?;
        answer(&self.answer, out)?;
        writeln!(
            out,
            "took         {}: {} to fill the table, {} to compare",
            seconds(spans.total),
            seconds(spans.load),
            seconds(spans.compare)
        )
    }
}

/// The line that everything is for, and the differences if there are any.
fn verdict(found: &Comparison, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let same = HumanCount(found.same);
    if found.is_equal() {
        return writeln!(
            out,
            "equal        {same} items, each the same in {SOURCE} and {SHADOW}, or as written since the switch"
        );
    }
    writeln!(out, "NOT EQUAL    {same} items of {SHADOW} are as they should be")?;
    for (kind, Differences { count, first }) in
        [("missing", &found.missing), ("extra", &found.extra), ("different", &found.different)]
    {
        writeln!(out, "{kind:<13}{}", HumanCount(*count))?;
        for key in first {
            writeln!(out, "  {key}")?;
        }
    }
    Ok(())
}

/// A bucket's bound, for people.
fn bound(seconds: f64) -> String {
    if seconds.is_finite() { format!("at most {} ms", seconds * 1000.0) } else { "off the scale".to_owned() }
}

fn answer(found: &IndexAnswer, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let IndexAnswer { user, source, shadow } = found;
    let (before, after) = (source.len(), shadow.len());
    writeln!(out, "index        {INDEX}, entries of {user}: {before} in the source, {after} in the shadow; the first")?;
    for (role, entries) in [("source", source), ("shadow", shadow)] {
        match entries.first() {
            Some(entry) => writeln!(out, "  {role}     {}", entry_line(entry))?,
            None => writeln!(out, "  {role}     no entry")?,
        }
    }
    if found.is_as_planned() { Ok(()) } else { writeln!(out, "NOT EQUAL    the indexes do not answer as planned") }
}

fn entry_line(entry: &Item) -> String {
    let text = |name: &str| entry.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
    let rules = match entry.get(LACKING) {
        Some(AttributeValue::Ss(rules)) => rules.join(", "),
        Some(_) => "of another type".to_owned(),
        None => "not in this index".to_owned(),
    };
    format!("{} {} {}, {LACKING}: {rules}", text("task_id"), text("approval_id"), text("status"))
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde_json::json;

    use super::*;
    use crate::cli::verbs::demo::approvals::{ApprovalKey, approval};
    use crate::cli::verbs::demo::book::Deed;

    fn entry(projected: bool) -> Item {
        let mut entry = approval(&ApprovalKey::numbered(4), &mut Rng::with_seed(1));
        if !projected {
            entry.remove(LACKING);
        }
        entry
    }

    fn report() -> Report {
        let answer = IndexAnswer { user: "user-0001".into(), source: vec![entry(false)], shadow: vec![entry(true)] };
        Report {
            comparison: Comparison { same: 12_345, ..Comparison::default() },
            answer,
            log: Log { after_switch: vec![Deed::Delete(ApprovalKey::numbered(1))], ..Log::default() },
            figures: Figures { latency: Some((0.005, f64::INFINITY)), ..Figures::default() },
            copied: 12_000,
            longest_lag: 1.25,
            spans: Spans { copy: Duration::from_secs(3), ..Spans::default() },
        }
    }

    #[test]
    fn what_is_equal_is_said_first() {
        let report = report();
        assert!(report.is_equal());
        let text = report.to_string();
        assert!(text.starts_with("equal        12,345 items, each the same in TaskApprovals and"), "{text}");
        assert!(text.contains("12,000 items in 3.0 s (4,000 a second)"), "{text}");
        assert!(text.contains("p50 at most 5 ms, p99 off the scale"), "{text}");
        assert!(text.contains("matching_rule_ids: not in this index") && text.contains("matching_rule_ids: rule-17"));
        assert!(!text.contains("NOT EQUAL"));
    }

    #[test]
    fn differences_are_shown_and_never_called_equal() {
        let key = json!({ "task_id": { "S": "task-1" } });
        let mut report = report();
        report.comparison.missing = Differences { count: 1_001, first: vec![key] };
        assert!(!report.is_equal());
        let text = report.to_string();
        assert!(text.starts_with("NOT EQUAL"), "{text}");
        assert!(text.contains("missing      1,001\n  {\"task_id\":{\"S\":\"task-1\"}}\n"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("equal")), "{text}");
    }

    #[test]
    fn an_index_that_answers_otherwise_is_a_difference() {
        for (source, shadow) in [(false, false), (true, true), (true, false)] {
            let mut report = report();
            report.answer.source = vec![entry(source)];
            report.answer.shadow = vec![entry(shadow)];
            assert!(!report.is_equal());
            assert!(report.to_string().contains("NOT EQUAL    the indexes"));
        }
        let mut silent = report();
        silent.answer.shadow.clear();
        assert!(!silent.is_equal());
    }
}
