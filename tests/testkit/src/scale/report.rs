//! What a scenario came to.

use std::fmt;
use std::time::Duration;

use super::scenario::Scenario;
use super::world::{ITEM_BYTES, Seen};

/// Dollars for a million, on demand, in us-east-1 at the end of 2026.
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;
const GET_RECORDS: f64 = 0.2;
const DAY: f64 = 86_400.0;

/// What a scenario came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub scenario: Option<Scenario>,
    /// From the start to the first page.
    pub until_copy: Duration,
    pub copy: Duration,
    /// What the copy takes at least.
    pub ideal: Duration,
    pub ideal_is: &'static str,
    pub segments: u32,
    /// For how long it was looked at, and what was seen.
    pub during_copy: (Duration, Seen),
    pub after_copy: (Duration, Seen),
    /// When it was looked at last.
    pub looked: Duration,
    /// The most that the engine held, by its own account.
    pub memory: usize,
    /// What other readers of the stream asked for, and did not get.
    pub others: (f64, f64),
    /// Read units that the application asked for, and did not get.
    pub application: (f64, f64),
    /// The shadow's write units a second at the end.
    pub capacity: f64,
    /// Changes that waited when a process began again.
    pub backlog: usize,
    /// Entries in the state table when another process took over.
    pub entries: usize,
    /// From the start of the next process until all is caught up, or until all shards are read.
    pub recovered: Option<Duration>,
}

/// Median, 99th percentile and maximum.
fn spread(lags: &[f32]) -> Option<[f32; 3]> {
    let mut lags = lags.to_vec();
    lags.sort_unstable_by(f32::total_cmp);
    let at = |part: f64| lags.get(((lags.len() as f64 * part) as usize).min(lags.len().saturating_sub(1))).copied();
    Some([at(0.5)?, at(0.99)?, at(1.0)?])
}

fn lag(out: &mut fmt::Formatter<'_>, name: &str, lags: &[f32]) -> fmt::Result {
    match spread(lags) {
        None => Ok(()),
        Some([median, high, most]) => {
            writeln!(out, "  lag {name}: p50 {median:.1} s, p99 {high:.1} s, most {most:.1} s, of {}", lags.len())
        }
    }
}

fn part(out: &mut fmt::Formatter<'_>, name: &str, (span, seen): &(Duration, Seen)) -> fmt::Result {
    let seconds = span.as_secs_f64().max(0.001);
    let [others, hot] = &seen.lags;
    lag(out, name, others)?;
    lag(out, &format!("{name}, hot keys"), hot)?;
    lag(out, &format!("{name}, as told"), &seen.told)?;
    let rates: Vec<_> =
        seen.calls.iter().map(|(operation, count)| format!("{operation} {:.1}", *count as f64 / seconds)).collect();
    writeln!(out, "  calls a second {name}: {}", rates.join(", "))?;
    writeln!(
        out,
        "  units a second {name}: {:.0} read, {:.0} written",
        seen.read_units / seconds,
        seen.write_units / seconds
    )?;
    let refused: Vec<_> = seen.throttles.iter().map(|(what, count)| format!("{what} {count}")).collect();
    writeln!(out, "  refused {name}: {}", if refused.is_empty() { "nothing".into() } else { refused.join(", ") })
}

impl Report {
    /// What bound the copy.
    fn limit(&self) -> &'static str {
        let (span, seen) = &self.during_copy;
        let tables = 1.0 + self.scenario.as_ref().map_or(0, |scenario| scenario.indexes) as f64;
        let used = seen.write_units / tables / span.as_secs_f64().max(0.001);
        if used > 0.8 * self.capacity {
            return "the shadow's write capacity";
        }
        seen.throttles.iter().max_by_key(|(_, count)| **count).map_or("the program itself", |(what, _)| what)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(scenario) = &self.scenario else { return Ok(()) };
        writeln!(out, "{}: {}", scenario.name, scenario.about)?;
        let (copy, ideal) = (self.copy.as_secs_f64(), self.ideal.as_secs_f64());
        writeln!(
            out,
            "  copy: {copy:.1} s, {:.2} of the least ({ideal:.1} s, {}), {} segments, begun after {:.1} s; bound by {}",
            copy / ideal,
            self.ideal_is,
            self.segments,
            self.until_copy.as_secs_f64(),
            self.limit()
        )?;
        part(out, "during the copy", &self.during_copy)?;
        part(out, "afterwards", &self.after_copy)?;
        writeln!(out, "  memory: {:.1} MB held at most", self.memory as f64 / 1e6)?;
        if let Some(recovered) = self.recovered {
            let what = if self.entries > 0 {
                format!("all shards read again, of {} entries", self.entries)
            } else {
                format!("{} changes caught up", self.backlog)
            };
            writeln!(out, "  after a restart: {what} within {:.1} s", recovered.as_secs_f64())?;
        }
        let ((asked, lost), (read, missed)) = (self.others, self.application);
        if asked > 0.0 {
            writeln!(out, "  other readers of the stream lost {:.1} % of their calls", 100.0 * lost / asked)?;
        }
        if read > 0.0 {
            writeln!(out, "  the application lost {:.2} % of its reads", 100.0 * missed / read)?;
        }
        let (span, seen) = &self.after_copy;
        let calls = seen.calls.get("GetRecords").map_or(0.0, |count| *count as f64 / span.as_secs_f64() * DAY);
        let state = seen.calls.get("state PutItem").map_or(0.0, |count| *count as f64 / span.as_secs_f64() * DAY);
        let whole = scenario.says_bytes as f64 / ITEM_BYTES as f64;
        let tables = 1.0 + scenario.indexes as f64;
        writeln!(
            out,
            "  money: the whole copy {:.0} $, a day afterwards {:.0} $ for reading the stream ({:.1} M calls) and {:.0} $ for the state table",
            (whole * tables * WRITE_UNITS + whole / 4.0 * READ_UNITS) / 1e6,
            calls * GET_RECORDS / 1e6,
            calls / 1e6,
            state * WRITE_UNITS / 1e6,
        )
    }
}
