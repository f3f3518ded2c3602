//! The last minutes, for rates, a line of lag and the last lines of the audit trail. Pure; time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::model::{Moment, Timestamp};
use crate::telemetry::{Meters, Totals};

/// How often a sample is taken.
pub(super) const SAMPLE: Duration = Duration::from_secs(2);
/// Rates are those of so many samples: long enough to be steady, short enough to show what was changed just now.
const RATE_SAMPLES: usize = 5;
/// One value of the line of lag stands for so long.
const STEP: Duration = Duration::from_secs(10);
/// Values in the line of lag: ten minutes.
const STEPS: usize = 60;

/// The pace of the copy is looked at over these spans: what is so now, and what is so on the whole.
const PACES: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(10)];
/// Pages become durable in bursts: a shorter span says nothing of their pace.
const LEAST_PACE: Duration = Duration::from_secs(20);

/// Lines of the audit trail that are shown.
const EVENTS: usize = 8;

/// A line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When, on the service's clock.
    pub at: Timestamp,
    /// What happened.
    pub what: String,
}

/// What the process remembers of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) lag_history: LagHistory,
    pub(super) rates: Rates,
    pub(super) copy_pace: Pace,
    pub(super) totals: Totals,
    pub(super) events: Vec<EventLine>,
}

/// What an active process remembers of its own doing.
pub(super) struct Chronicle {
    meters: Arc<Meters>,
    /// The copy's budget, in read units per second.
    budget: Mutex<Option<f64>>,
    history: Mutex<History>,
    events: Mutex<VecDeque<EventLine>>,
}

impl Chronicle {
    pub(super) fn new(meters: Arc<Meters>) -> Self {
        Self { meters, budget: Mutex::default(), history: Mutex::default(), events: Mutex::default() }
    }

    /// The copy has this budget.
    pub(super) fn bound(&self, budget: Option<f64>) {
        *self.budget.lock() = budget;
    }

    /// A sample, as of now.
    pub(super) fn sample(&self, now: Moment, lag: Option<f64>) {
        self.history().note(now, lag, self.meters.counted());
    }

    /// The trail as it is stored, oldest first.
    pub(super) fn recall(&self, lines: impl IntoIterator<Item = EventLine>) {
        self.events().clear();
        self.tell(lines);
    }

    /// Lines that were added, oldest first.
    pub(super) fn tell(&self, lines: impl IntoIterator<Item = EventLine>) {
        let mut events = self.events();
        events.extend(lines);
        let surplus = events.len().saturating_sub(EVENTS);
        events.drain(..surplus);
    }

    /// What is remembered now.
    pub(super) fn memory(&self, now: Moment) -> Memory {
        let (totals, history) = (self.meters.counted(), self.history());
        let events = self.events().iter().cloned().collect();
        Memory {
            lag_history: history.lag(),
            rates: history.rates(now, &totals),
            copy_pace: history.pace(now, &totals, *self.budget.lock()),
            totals,
            events,
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock()
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<EventLine>> {
        self.events.lock()
    }
}

/// Samples of one process.
#[derive(Debug, Default)]
struct History {
    samples: VecDeque<(Moment, Totals)>,
    /// Items copied, over the last ten minutes.
    copied: VecDeque<(Moment, u64)>,
    /// The highest lag of each step, oldest first; `None` where none was known.
    lags: VecDeque<Option<f64>>,
    step_began: Option<Moment>,
}

/// How fast the copy is, in items per second; `None` where nothing tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// The better of what is so now and on the whole, within the budget.
    pub(super) best: Option<f64>,
    /// The worse of the two; none while nothing is copied.
    pub(super) worst: Option<f64>,
}

/// What was done per second lately.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Items copied.
    pub items_copied_per_second: f64,
    /// Stream records offered.
    pub changes_per_second: f64,
    /// Writes that the shadow took.
    pub writes_per_second: f64,
    /// Requests refused for lack of capacity, over all resources.
    pub throttles_per_second: f64,
}

/// The lag of the last minutes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct LagHistory {
    /// What one value stands for, in seconds.
    pub step_seconds: u64,
    /// The highest lag of each step in seconds, oldest first; `null` where none was known.
    pub seconds: Vec<Option<f64>>,
}

impl History {
    /// A sample.
    fn note(&mut self, now: Moment, lag: Option<f64>, totals: Totals) {
        // What came before the copy says nothing of its pace.
        if totals.items_copied == 0 {
            self.copied.clear();
        }
        self.copied.push_back((now, totals.items_copied));
        let [_, longest] = PACES;
        while self.copied.front().is_some_and(|(then, _)| now.since(*then) > longest) {
            self.copied.pop_front();
        }
        self.samples.push_back((now, totals));
        if self.samples.len() > RATE_SAMPLES {
            self.samples.pop_front();
        }
        if self.step_began.is_none_or(|began| now.since(began) >= STEP) {
            self.step_began = Some(now);
            self.lags.push_back(None);
            if self.lags.len() > STEPS {
                self.lags.pop_front();
            }
        }
        if let (Some(last), Some(lag)) = (self.lags.back_mut(), lag) {
            // A tenth is enough for a line, and short.
            let lag = (lag * 10.0).round() / 10.0;
            *last = Some(last.map_or(lag, |highest| highest.max(lag)));
        }
    }

    /// What happened per second from the oldest sample until now. Where samples stopped, the span is longer and the rate
    /// still true.
    fn rates(&self, now: Moment, totals: &Totals) -> Rates {
        let Some((then, before)) = self.samples.front() else { return Rates::default() };
        let span = now.since(*then).as_secs_f64();
        let per_second = |now: u64, before: u64| {
            let done = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
            if span > 0.0 { (f64::from(done) / span * 10.0).round() / 10.0 } else { 0.0 }
        };
        let throttled = |totals: &Totals| totals.throttles.values().sum();
        Rates {
            items_copied_per_second: per_second(totals.items_copied, before.items_copied),
            changes_per_second: per_second(totals.changes, before.changes),
            writes_per_second: per_second(totals.writes, before.writes),
            throttles_per_second: per_second(throttled(totals), throttled(before)),
        }
    }

    /// How fast the copy is. A budget bounds it from above: what was saved up is spent in a moment.
    fn pace(&self, now: Moment, totals: &Totals, budget: Option<f64>) -> Pace {
        let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let per_item = count(totals.read_units) / count(totals.items_copied.max(1));
        let bound = budget.filter(|_| per_item > 0.0).map_or(f64::INFINITY, |budget| budget / per_item);
        let over = |span: Duration| {
            let (then, copied) = self.copied.iter().find(|(then, _)| now.since(*then) <= span)?;
            let passed = now.since(*then);
            let copied = count(totals.items_copied.saturating_sub(*copied));
            (passed >= LEAST_PACE).then(|| (copied / passed.as_secs_f64()).min(bound))
        };
        let [Some(lately), Some(whole)] = PACES.map(over) else { return Pace::default() };
        let some = |rate: f64| Some(rate).filter(|rate| *rate > 0.0);
        Pace { best: some(lately.max(whole)), worst: some(lately.min(whole)) }
    }

    /// The line of lag.
    fn lag(&self) -> LagHistory {
        LagHistory { step_seconds: STEP.as_secs(), seconds: self.lags.iter().copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn copied(items_copied: u64) -> Totals {
        Totals { items_copied, ..Totals::default() }
    }

    #[test]
    fn rates_are_those_of_the_last_samples() {
        let mut history = History::default();
        assert_eq!(history.rates(at(0), &copied(5)), Rates::default());
        for second in [0, 2, 4, 6, 8, 10] {
            history.note(at(second), None, copied(if second > 2 { second * 100 } else { 0 }));
        }
        // From second 2 on.
        assert!((history.rates(at(12), &copied(1_200)).items_copied_per_second - 120.0).abs() < 0.1);
        // Samples stopped: what was done since is spread over the whole span.
        assert!((history.rates(at(102), &copied(1_200)).items_copied_per_second - 12.0).abs() < 0.1);
    }

    #[test]
    fn the_pace_of_the_copy_is_a_range_within_its_budget() {
        let mut history = History::default();
        let done = |items_copied, read_units| Totals { items_copied, read_units, ..Totals::default() };
        // 100 items at once, then 10 a second; one unit an item.
        for second in (0..=40).step_by(2) {
            let items = 100 + second * 10;
            history.note(at(second), None, done(items, items));
        }
        assert_eq!(History::default().pace(at(40), &done(500, 500), None), Pace::default());
        let pace = history.pace(at(40), &done(500, 500), None);
        assert_eq!((pace.best, pace.worst), (Some(10.0), Some(10.0)));
        // A bucket that was full at the beginning does not make it faster than its budget.
        assert_eq!(history.pace(at(40), &done(500, 500), Some(8.0)).best, Some(8.0));
        // Nothing for five minutes: how long it may take is not known, and the least still is.
        for second in (42..=340).step_by(2) {
            history.note(at(second), None, done(500, 500));
        }
        let pace = history.pace(at(340), &done(500, 500), None);
        assert!(pace.best.is_some_and(|best| (1.0..1.3).contains(&best)) && pace.worst.is_none(), "{pace:?}");
    }

    #[test]
    fn a_step_keeps_its_highest_lag() {
        let mut history = History::default();
        for (second, lag) in [(0, Some(1.0)), (2, Some(7.04)), (4, Some(2.0)), (10, None), (12, None), (20, Some(3.0))]
        {
            history.note(at(second), lag, Totals::default());
        }
        assert_eq!(history.lag().seconds, [Some(7.0), None, Some(3.0)]);
        for second in 0..1_000 {
            history.note(at(30 + second * 10), Some(0.0), Totals::default());
        }
        assert_eq!(history.lag().seconds.len(), STEPS);
    }
}
