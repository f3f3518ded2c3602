//! One look as a screen. Pure: it draws what it is given.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, LineGauge, Paragraph, Row, Sparkline, SparklineBar, Table, Wrap};

use super::seen::Seen;
use super::text::{copy, known, pending, shards};
use crate::cli::table::span;
use crate::model::{Side, counted, grouped, tenths as tenths_of};
use crate::protocol::cutover::Gate;
use crate::protocol::phase::Standing;
use crate::runtime::{EventLine, Status};

/// Lag above which it is looked at, and above which it is bad, in seconds: the default gate, and the alert.
const LAG_SECONDS: (f64, f64) = (10.0, 300.0);
/// Headroom below which it is looked at, and below which it is bad, in seconds: the default gate, and the alert.
const HEADROOM_SECONDS: (f64, f64) = (12.0 * 3600.0, 6.0 * 3600.0);

/// How something is marked.
#[derive(Clone, Copy)]
enum Mood {
    Plain,
    Good,
    Watch,
    Bad,
}

struct Pen {
    colour: bool,
}

impl Pen {
    fn style(&self, mood: Mood) -> Style {
        match (mood, self.colour) {
            (Mood::Plain, _) | (Mood::Good, false) => Style::new(),
            (Mood::Good, true) => Style::new().fg(Color::Green),
            (Mood::Watch, true) => Style::new().fg(Color::Yellow),
            (Mood::Bad, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            (Mood::Watch, false) => Style::new().add_modifier(Modifier::BOLD),
            (Mood::Bad, false) => Style::new().add_modifier(Modifier::REVERSED),
        }
    }
}

/// The least width of the whole screen; narrower ones get lines.
const WIDE: u16 = 100;
const NO_FIGURES: &str = "no figures yet: the active process stores them once it mirrors";
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws one look. `trouble`: why the last one failed. Where there is little room, what matters most comes first.
pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, trouble: Option<&str>, colour: bool) {
    let pen = Pen { colour };
    let figures = seen.figures();
    let gates = figures.as_ref().map_or(&[][..], |status| status.gates.as_slice());
    let closed = gates.iter().filter(|gate| !gate.holds).count();
    let middle_rows = height((gates.len() + 2 * closed).max(9) + 1);
    let alarm = seen.alarm();
    let alarm_rows = if alarm.is_some() { 2 } else { 0 };
    // Head, strip, first figures, copy, a line of the trail, foot, and a blank line between each two.
    let whole = 2 + 1 + alarm_rows + 5 + 2 + middle_rows + 3 + 1 + 7;
    if frame.area().width < WIDE || frame.area().height < whole {
        return draw_narrow(frame, seen, figures.as_ref(), trouble, &pen);
    }
    let areas = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(alarm_rows),
        Constraint::Length(5),
        Constraint::Length(2),
        Constraint::Length(middle_rows),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .spacing(1);
    let [head, strip, alarm_area, first, copying, middle, trail, foot] = areas.areas(frame.area());
    draw_head(frame, head, seen, &pen);
    frame.render_widget(Paragraph::new(phases(seen.found.meta.standing(), &pen)), strip);
    if let Some(alarm) = alarm {
        frame.render_widget(Paragraph::new(alarm).style(pen.style(Mood::Bad)).wrap(Wrap { trim: true }), alarm_area);
    }
    let Some(status) = &figures else {
        frame.render_widget(Paragraph::new(NO_FIGURES), first);
        draw_foot(frame, foot, trouble, &pen);
        return;
    };
    draw_first(frame, first, seen, status, &pen);
    draw_copy(frame, copying, status, &pen);
    let [left, right] = Layout::horizontal([Constraint::Length(46), Constraint::Min(20)]).spacing(2).areas(middle);
    frame.render_widget(work(status), left);
    frame.render_widget(gates_text(gates, &pen), right);
    draw_trail(frame, trail, &status.events);
    draw_foot(frame, foot, trouble, &pen);
}

/// From the most important line to the least; what does not fit is the least.
fn draw_narrow(frame: &mut Frame<'_>, seen: &Seen, status: Option<&Status>, trouble: Option<&str>, pen: &Pen) {
    let meta = &seen.found.meta;
    let since = meta.phase_since.map(|since| format!(", for {}", span(seen.now.since(since).as_secs_f64())));
    let mood = if seen.holding.is_held() || meta.phase.is_final() { Mood::Plain } else { Mood::Bad };
    let phase = format!("{}{}", meta.phase, since.unwrap_or_default());
    let mut lines = vec![
        Line::styled(meta.migration.clone(), Style::new().add_modifier(Modifier::BOLD)),
        row("phase", phase, Mood::Plain, pen),
    ];
    let bad = |text: String| Line::styled(text, pen.style(Mood::Bad));
    lines.extend(trouble.map(|trouble| bad(format!("the state table does not answer: {trouble}"))));
    lines.extend(seen.alarm().map(bad));
    if let (Some(age), false) = (seen.age_seconds(), seen.is_fresh()) {
        lines.push(bad(format!("figures are {} old", span(age))));
    }
    if let Some(status) = status {
        lines.extend(first_rows(seen, status, pen));
        for gate in status.gates.iter().filter(|gate| !gate.holds) {
            lines.push(bad(format!("✗ {}: {}", gate.name, gate.figure)));
        }
        lines.push(row("copy", copy(status), Mood::Plain, pen));
    } else {
        lines.push(Line::raw(NO_FIGURES));
    }
    lines.push(row("run by", seen.run_by(), mood, pen));
    lines.push(row("tables", format!("{} → {}", meta.name(Side::Source), meta.name(Side::Shadow)), Mood::Plain, pen));
    if let Some(status) = status {
        lines.extend(work_rows(status).map(|(name, value)| row(name, value, Mood::Plain, pen)));
        for gate in status.gates.iter().filter(|gate| !gate.holds) {
            lines.push(Line::styled(format!("{}: {}", gate.name, gate.remedy), QUIET));
        }
    }
    frame.render_widget(Paragraph::new(lines), frame.area());
}

fn height(rows: usize) -> u16 {
    u16::try_from(rows).unwrap_or(u16::MAX)
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, seen: &Seen, pen: &Pen) {
    let meta = &seen.found.meta;
    let alive = seen.holding.is_held();
    let age = match (seen.age_seconds(), seen.is_fresh()) {
        (None, _) => Span::raw(""),
        (Some(age), true) => Span::styled(format!("  {} ago", span(age)), QUIET),
        (Some(age), false) => Span::styled(format!("  FIGURES ARE {} OLD", span(age)), pen.style(Mood::Bad)),
    };
    let title = Line::from(vec![
        Span::styled(meta.migration.clone(), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("  {} → {}", meta.name(Side::Source), meta.name(Side::Shadow))),
        age,
    ]);
    let mood = if alive || meta.phase.is_final() { Mood::Plain } else { Mood::Bad };
    let holder = Line::from(vec![Span::styled("run by ", QUIET), Span::styled(seen.run_by(), pen.style(mood))]);
    frame.render_widget(Paragraph::new(vec![title, holder]), area);
}

/// The phases in their order; one that is none of them stands behind.
fn phases(now: Standing, pen: &Pen) -> Line<'static> {
    let mut spans = Vec::new();
    for phase in now.way() {
        if phase.is_aside() {
            spans.push(Span::styled(format!("  [{phase}]"), pen.style(Mood::Bad)));
            continue;
        }
        if !spans.is_empty() {
            spans.push(Span::styled(" › ", QUIET));
        }
        let here = phase == now.phase;
        let style = if here { Style::new().add_modifier(Modifier::REVERSED) } else { QUIET };
        spans.push(Span::styled(if here { format!("[{phase}]") } else { phase.to_string() }, style));
    }
    Line::from(spans)
}

/// A name and its figure.
fn row(name: &'static str, text: String, mood: Mood, pen: &Pen) -> Line<'static> {
    Line::from(vec![Span::styled(format!("{name:<11}"), QUIET), Span::styled(text, pen.style(mood))])
}

const fn lag_mood(lag: Option<f64>) -> Mood {
    match lag {
        Some(lag) if lag > LAG_SECONDS.1 => Mood::Bad,
        Some(lag) if lag > LAG_SECONDS.0 => Mood::Watch,
        Some(_) => Mood::Good,
        None => Mood::Plain,
    }
}

/// What is looked at first.
fn first_rows(seen: &Seen, status: &Status, pen: &Pen) -> Vec<Line<'static>> {
    let headroom = match status.headroom_seconds() {
        Some(headroom) if headroom < HEADROOM_SECONDS.1 => Mood::Bad,
        Some(headroom) if headroom < HEADROOM_SECONDS.0 => Mood::Watch,
        _ => Mood::Plain,
    };
    let quarantined = if status.quarantine() > 0 { Mood::Watch } else { Mood::Plain };
    vec![
        row("lag", known(seen, status.lag_seconds()), lag_mood(status.lag_seconds()), pen),
        row("headroom", known(seen, status.headroom_seconds()), headroom, pen),
        row("quarantine", counted(status.quarantine(), "item"), quarantined, pen),
        row("last poll", known(seen, status.leg().and_then(|leg| leg.since_poll_seconds)), Mood::Plain, pen),
    ]
}

fn draw_first(frame: &mut Frame<'_>, area: Rect, seen: &Seen, status: &Status, pen: &Pen) {
    let [figures, line] = Layout::horizontal([Constraint::Length(33), Constraint::Min(10)]).spacing(2).areas(area);
    let mut rows = first_rows(seen, status, pen);
    let since = seen.found.meta.phase_since.map(|since| span(seen.now.since(since).as_secs_f64()));
    rows.push(row("phase for", since.unwrap_or_else(|| "not known".to_owned()), Mood::Plain, pen));
    frame.render_widget(Paragraph::new(rows), figures);
    let history = &status.lag_history;
    let highest = history.seconds.iter().flatten().copied().fold(0.0, f64::max);
    let [caption, chart] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(line);
    let minutes = history.step_seconds * u64::try_from(history.seconds.len()).unwrap_or(0) / 60;
    let text = format!("lag over the last {minutes} min, highest {}", span(highest));
    frame.render_widget(Paragraph::new(text).style(QUIET), caption);
    // One column a step: the newest stand at the right, and what does not fit is the oldest.
    let room = usize::from(chart.width);
    let skipped = history.seconds.len().saturating_sub(room);
    let bars = history.seconds.iter().skip(skipped).map(|lag| SparklineBar::from(lag.map(tenths)));
    let mood = lag_mood(status.lag_seconds());
    let sparkline = Sparkline::default().data(bars).max(tenths(highest).max(10)).style(pen.style(mood));
    frame.render_widget(sparkline, chart);
}

/// A sparkline takes whole numbers.
fn tenths(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis() / 100)
        .unwrap_or(u64::MAX)
}

fn draw_copy(frame: &mut Frame<'_>, area: Rect, status: &Status, pen: &Pen) {
    let gauge = LineGauge::default()
        .ratio(status.copy.ratio.clamp(0.0, 1.0))
        .label("copy")
        .filled_symbol("━")
        .unfilled_symbol("┄")
        .filled_style(pen.style(Mood::Good));
    let [bar, text] = Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(gauge, bar);
    frame.render_widget(Paragraph::new(copy(status)), text);
}

fn work(status: &Status) -> Table<'static> {
    let rows = work_rows(status).map(|(name, value)| Row::new([Cell::new(name), Cell::new(value)]));
    Table::new(rows, [Constraint::Length(12), Constraint::Min(10)])
}

fn work_rows(status: &Status) -> impl Iterator<Item = (&'static str, String)> {
    let rates = &status.rates;
    let throttled: u64 = status.totals.throttles.values().sum();
    let expiry = status.credentials.iter().filter_map(|one| Some((one.expire_in_seconds?, one)));
    let first = expiry.min_by(|(one, _), (other, _)| one.total_cmp(other));
    let credentials = first.map_or_else(
        || "do not expire".to_owned(),
        |(seconds, one)| {
            if seconds > 0.0 {
                format!("{} ({})", span(seconds), one.connection)
            } else {
                format!("EXPIRED ({})", one.connection)
            }
        },
    );
    let rows = [
        ("changes", format!("{}/s", tenths_of(rates.changes_per_second))),
        ("writes", format!("{}/s", tenths_of(rates.writes_per_second))),
        ("throttles", format!("{}/s, {} in all", tenths_of(rates.throttles_per_second), grouped(throttled))),
        ("pending", pending(status)),
        ("memory", format!("{} KiB of images", grouped(status.leg().map_or(0, |leg| leg.apply.bytes) / 1024))),
        ("shards", shards(status)),
        ("paused", status.paused.as_str().to_owned()),
        ("clock skew", format!("{} s", tenths_of(status.clock_skew_seconds))),
        ("credentials", credentials),
    ];
    rows.into_iter()
}

/// A line each, and below one that does not hold what to do about it.
fn gates_text(gates: &[Gate], pen: &Pen) -> Paragraph<'static> {
    let title = (!gates.is_empty()).then(|| Line::styled("gates of a cutover", QUIET));
    let mut lines: Vec<_> = title.into_iter().collect();
    for gate in gates {
        let (sign, mood) = if gate.holds { ("✓", Mood::Good) } else { ("✗", Mood::Bad) };
        let figure = format!(" {:<17}{}", gate.name, gate.figure);
        lines.push(Line::from(vec![Span::styled(sign, pen.style(mood)), Span::raw(figure)]));
        if !gate.holds {
            lines.push(Line::styled(format!("  {}", gate.remedy), QUIET));
        }
    }
    Paragraph::new(lines).wrap(Wrap { trim: false })
}

fn draw_trail(frame: &mut Frame<'_>, area: Rect, events: &[EventLine]) {
    let room = usize::from(area.height.saturating_sub(1));
    let mut rows = vec![Line::styled("audit trail", QUIET)];
    rows.extend(
        events.iter().rev().take(room).map(|event| {
            Line::from(vec![Span::styled(format!("{}  ", event.at), QUIET), Span::raw(event.what.clone())])
        }),
    );
    frame.render_widget(Paragraph::new(rows), area);
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, trouble: Option<&str>, pen: &Pen) {
    let foot = match trouble {
        Some(trouble) => Line::styled(format!("the state table does not answer: {trouble}"), pen.style(Mood::Bad)),
        None => Line::styled("q quits", QUIET),
    };
    frame.render_widget(Paragraph::new(foot), area);
}

#[cfg(test)]
mod tests;
