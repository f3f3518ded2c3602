//! The last minutes, for rates, a line of lag and the last lines of the audit trail. Pure; time is an argument.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::status::{EventLine, Memory};
use crate::model::Moment;
use crate::telemetry::{Meters, Totals};

/// How often a sample is taken.
pub(super) const SAMPLE: Duration = Duration::from_secs(2);
/// Rates are those of so many samples: long enough to be steady, short enough to show what was changed just now.
const RATE_SAMPLES: usize = 5;
/// One value of the line of lag stands for so long.
const STEP: Duration = Duration::from_secs(10);
/// Values in the line of lag: ten minutes.
const STEPS: usize = 60;

/// Lines of the audit trail that are shown.
const EVENTS: usize = 8;

/// What an active process remembers of its own doing.
pub(super) struct Chronicle {
    meters: Arc<Meters>,
    history: Mutex<History>,
    events: Mutex<VecDeque<EventLine>>,
}

impl Chronicle {
    pub(super) fn new(meters: Arc<Meters>) -> Self {
        Self { meters, history: Mutex::default(), events: Mutex::default() }
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
        Memory { lag_history: history.lag(), rates: history.rates(now, &totals), totals, events }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<EventLine>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples of one process.
#[derive(Debug, Default)]
struct History {
    samples: VecDeque<(Moment, Totals)>,
    /// The highest lag of each step, oldest first; `None` where none was known.
    lags: VecDeque<Option<f64>>,
    step_began: Option<Moment>,
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
