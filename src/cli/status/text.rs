//! A look as lines for people.

use super::seen::{FRESH_SECONDS, Seen};
use crate::cli::table::span;
use crate::protocol::phase::Phase;
use crate::runtime::Status;

/// `status` without flags: a figure a line.
pub(super) fn lines(seen: &Seen) -> String {
    let meta = &seen.found.meta;
    let mut rows = vec![
        ("migration", meta.migration.clone()),
        ("phase", meta.reason.as_ref().map_or_else(|| meta.phase.to_string(), |why| format!("{} ({why})", meta.phase))),
        ("source", meta.source_table.clone()),
        ("shadow", meta.shadow_table.clone()),
        ("paused", meta.paused.as_str().to_owned()),
        ("run by", seen.holding.text()),
    ];
    if let Some(since) = meta.phase_since {
        rows.insert(2, ("since", format!("{since}, for {}", span(seen.now.since(since).as_secs_f64()))));
    }
    if let Some(cutover) = &meta.cutover {
        let trouble = cutover.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
        rows.push(("cutover", format!("{}, asked for from {}{trouble}", cutover.begun, cutover.by)));
    }
    if meta.phase.may_be_fenced() && meta.phase != Phase::Switched {
        rows.push(("source", "MAY BE FENCED".to_owned()));
    }
    if meta.postponed {
        rows.push(("postponed", "no cutover begins until `shadowtable postpone --off`".to_owned()));
    }
    if let (Some(status), Some(age)) = (seen.figures(), seen.age_seconds()) {
        let old = if age > FRESH_SECONDS { ": nobody refreshes them" } else { "" };
        rows.push(("figures", format!("{} old{old}", span(age))));
        rows.extend(figures(status));
    }
    rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<11}{value}\n"))
}

/// A span that may not be known.
pub(super) fn known(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "not known".to_owned(), span)
}

/// How far the copy is.
pub(super) fn copy(status: &Status) -> String {
    let copy = &status.copy;
    let done = format!(
        "{:.1} %, {} items, {} of {} segments",
        copy.ratio * 100.0,
        copy.items,
        copy.segments_done,
        copy.segments
    );
    if copy.ratio >= 1.0 {
        return done;
    }
    let left = copy.eta_seconds.map_or_else(String::new, |left| format!(", about {} left", span(left)));
    format!("{done}, {:.0} items/s{left}", status.rates.items_copied_per_second)
}

/// The shards by state.
pub(super) fn shards(status: &Status) -> String {
    let tail = &status.tail;
    format!("{} open, {} waiting, {} finished", tail.shards_open, tail.shards_waiting, tail.shards_finished)
}

fn figures(status: &Status) -> Vec<(&'static str, String)> {
    let rates = &status.rates;
    let mut rows = vec![
        ("lag", known(status.lag_seconds)),
        ("headroom", known(status.headroom_seconds)),
        ("last poll", known(status.since_poll_seconds)),
        ("copy", copy(status)),
        ("rates", format!("{:.0} changes/s, {:.0} writes/s", rates.changes_per_second, rates.writes_per_second)),
        ("throttled", format!("{:.1} requests/s", rates.throttles_per_second)),
        ("shards", shards(status)),
        ("pending", format!("{} writes, {} in flight", status.apply.pending, status.apply.in_flight)),
        ("quarantine", format!("{} items", status.quarantine)),
    ];
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
    let Some(status) = seen.fresh() else {
        return format!("{}  {}  run by {}{alarm}\n", seen.now, meta.phase, seen.holding.text());
    };
    format!(
        "{}  {}  lag {}  headroom {}  copy {:.1} %  {:.0} changes/s  {:.0} writes/s  {:.1} throttles/s  {} in quarantine{alarm}\n",
        seen.now,
        meta.phase,
        known(status.lag_seconds),
        known(status.headroom_seconds),
        status.copy.ratio * 100.0,
        status.rates.changes_per_second,
        status.rates.writes_per_second,
        status.rates.throttles_per_second,
        status.quarantine,
    )
}
