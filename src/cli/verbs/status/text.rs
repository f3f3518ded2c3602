//! A look as lines for people.

use super::seen::Seen;
use crate::cli::table::span;
use crate::model::{Side, counted, grouped, tenths};
use crate::runtime::Status;

/// `status` without flags: a figure a line.
pub(super) fn lines(seen: &Seen) -> String {
    let meta = &seen.found.meta;
    let mut rows = vec![
        ("migration", meta.migration.clone()),
        ("phase", meta.reason.as_ref().map_or_else(|| meta.phase.to_string(), |why| format!("{} ({why})", meta.phase))),
        ("source", meta.name(Side::Source).to_owned()),
        ("shadow", meta.name(Side::Shadow).to_owned()),
        ("paused", meta.paused.as_str().to_owned()),
        ("run by", seen.run_by()),
    ];
    if let Some(since) = meta.phase_since {
        rows.insert(2, ("since", format!("{since}, for {}", span(seen.now.since(since).as_secs_f64()))));
    }
    if let Some(cutover) = &meta.cutover {
        let trouble = cutover.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
        rows.push(("cutover", format!("{}, asked for by {}{trouble}", cutover.begun, cutover.by)));
    }
    if meta.phase.is_of_a_cutover() {
        rows.push(("source", "MAY BE FENCED".to_owned()));
    }
    if meta.postponed {
        rows.push(("postponed", "no cutover begins until `shadowtable postpone --off`".to_owned()));
    }
    if let (Some(status), Some(age)) = (seen.figures(), seen.age_seconds()) {
        let old = if seen.is_fresh() {
            ""
        } else {
            ": THEY ARE NOT REFRESHED; lag and headroom are the least that is certain now"
        };
        rows.push(("figures", format!("{} old{old}", span(age))));
        rows.extend(figures(seen, &status));
    }
    rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<11}{value}\n"))
}

/// A span that may not be known. Where nobody refreshes the figures, it is the least that is certain now.
pub(super) fn known(seen: &Seen, seconds: Option<f64>) -> String {
    let least = if seen.is_fresh() { "" } else { "at least " };
    seconds.map_or_else(|| "not known".to_owned(), |seconds| format!("{least}{}", span(seconds)))
}

/// How far the copy is.
pub(super) fn copy(status: &Status) -> String {
    let copy = &status.copy;
    let done = format!(
        "{} %, {}, {} of {}",
        tenths(copy.ratio * 100.0),
        counted(copy.items, "item"),
        grouped(copy.segments_done),
        counted(copy.segments, "segment")
    );
    if copy.ratio >= 1.0 {
        return done;
    }
    format!("{done}, {} items/s{}", rate(status.rates.items_copied_per_second), left(status))
}

/// How long the copy may take, as a range where its rate varies.
fn left(status: &Status) -> String {
    match (status.copy.eta_seconds, status.copy.eta_at_most_seconds) {
        (None, _) => String::new(),
        (Some(least), None) => format!(", at least {} left", span(least)),
        (Some(least), Some(most)) if most <= least * 1.1 => format!(", about {} left", span(most)),
        (Some(least), Some(most)) => format!(", {} to {} left", span(least), span(most)),
    }
}

/// A rate without decimals.
fn rate(per_second: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(per_second.round()).unwrap_or_default().as_secs();
    grouped(whole)
}

/// The shards by state.
pub(super) fn shards(status: &Status) -> String {
    let tail = status.leg().map(|leg| leg.tail.clone()).unwrap_or_default();
    let [open, waiting, finished] = [tail.shards_open, tail.shards_waiting, tail.shards_finished].map(grouped);
    format!("{open} open, {waiting} waiting, {finished} finished")
}

/// What is offered and not durable.
pub(super) fn pending(status: &Status) -> String {
    let apply = status.leg().map(|leg| leg.apply.clone()).unwrap_or_default();
    format!("{}, {} in flight", counted(apply.pending, "write"), grouped(apply.in_flight))
}

fn figures(seen: &Seen, status: &Status) -> Vec<(&'static str, String)> {
    let rates = &status.rates;
    let mut rows = vec![
        ("lag", known(seen, status.lag_seconds())),
        ("headroom", known(seen, status.headroom_seconds())),
        ("last poll", known(seen, status.leg().and_then(|leg| leg.since_poll_seconds))),
        ("copy", copy(status)),
    ];
    if seen.is_fresh() {
        let [changes, writes] = [rates.changes_per_second, rates.writes_per_second].map(rate);
        rows.push(("rates", format!("{changes} changes/s, {writes} writes/s")));
        rows.push(("throttled", format!("{} requests/s", tenths(rates.throttles_per_second))));
    }
    rows.extend([
        ("shards", shards(status)),
        ("pending", pending(status)),
        ("quarantine", counted(status.quarantine(), "item")),
    ]);
    if !status.gates.is_empty() {
        let closed: Vec<_> = status.gates.iter().filter(|gate| !gate.holds).map(|gate| gate.name.as_str()).collect();
        rows.push((
            "gates",
            if closed.is_empty() { "all hold".into() } else { format!("closed: {}", closed.join(", ")) },
        ));
    }
    rows
}

/// `status --watch` where there is no terminal: everything that moves, in one line.
pub(super) fn one_line(seen: &Seen) -> String {
    let meta = &seen.found.meta;
    let alarm = seen.alarm().map_or_else(String::new, |alarm| format!("  {alarm}"));
    let known = |seconds| known(seen, seconds);
    let Some(status) = seen.figures() else {
        return format!("{}  {}  run by {}{alarm}\n", seen.now, meta.phase, seen.run_by());
    };
    let (lag, headroom) = (known(status.lag_seconds()), known(status.headroom_seconds()));
    if !seen.is_fresh() {
        let (now, phase, run_by) = (seen.now, meta.phase, seen.run_by());
        return format!("{now}  {phase}  lag {lag}  headroom {headroom}  run by {run_by}{alarm}\n");
    }
    let [changes, writes] = [status.rates.changes_per_second, status.rates.writes_per_second].map(rate);
    format!(
        "{}  {}  lag {lag}  headroom {headroom}  copy {} %  {changes} changes/s  {writes} writes/s  {} throttles/s  {} in \
         quarantine{alarm}\n",
        seen.now,
        meta.phase,
        tenths(status.copy.ratio * 100.0),
        tenths(status.rates.throttles_per_second),
        grouped(status.quarantine()),
    )
}
