//! Capacity budgets: a token bucket that knows debt.
//!
//! A request's true cost is known only from its reply, so a request is charged an estimate, which is corrected afterwards.
//! What is urgent is admitted while the bucket is not in debt; what is not waits until its units are saved up, so that it
//! leaves no debt for others. Over time the rate holds exactly.

use std::time::Duration;

use crate::model::Moment;

/// Capacity units per second, or no limit.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: Option<f64>,
    units: f64,
    /// No more than this is saved up.
    most: f64,
    filled: Moment,
}

impl Budget {
    /// At most this many units a second (`None`: no limit); one second's worth is saved up, or what somebody waits for.
    pub fn new(units_per_second: Option<f64>, now: Moment) -> Self {
        let units = units_per_second.unwrap_or(f64::INFINITY);
        Self { rate: units_per_second, units, most: units, filled: now }
    }

    /// The units that are left: below zero in debt, infinite without a limit.
    pub fn left(&mut self, now: Moment) -> f64 {
        self.fill(now);
        self.units
    }

    /// How long to wait until so many units are left; zero when they are. They are saved up even where that is more than a
    /// second's worth.
    pub fn wait(&mut self, units: f64, now: Moment) -> Duration {
        self.fill(now);
        match self.rate {
            Some(rate) if self.units < units => {
                self.most = rate.max(units);
                // A little more, so that rounding leaves nothing to be waited for once more.
                let seconds = (units - self.units) / rate + 1e-6;
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            _ => Duration::ZERO,
        }
    }

    /// Charges an admitted request: an estimate when it is sent, or the difference when its cost is known.
    pub fn charge(&mut self, units: f64, now: Moment) {
        self.fill(now);
        if self.rate.is_some() {
            self.units -= units;
        }
    }

    fn fill(&mut self, now: Moment) {
        if let Some(rate) = self.rate {
            self.units = self.most.min(self.units + rate * now.since(self.filled).as_secs_f64());
            self.filled = self.filled.max(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_debt_is_waited_for_at_the_rate() {
        let mut budget = Budget::new(Some(10.0), at(0.0));
        budget.charge(30.0, at(0.0));
        assert_eq!(budget.wait(0.0, at(0.0)).as_secs(), 2);
        assert_eq!(budget.wait(0.0, at(2.0)), Duration::ZERO);
    }

    #[test]
    fn no_more_than_a_second_is_saved_up_unless_somebody_waits_for_more() {
        let mut budget = Budget::new(Some(10.0), at(0.0));
        assert!((budget.left(at(100.0)) - 10.0).abs() < 1e-9);
        assert_eq!(budget.wait(98.0, at(100.0)).as_millis(), 8_800);
        assert_eq!(budget.wait(98.0, at(108.9)), Duration::ZERO);
        budget.charge(98.0, at(108.9));
        assert!(budget.left(at(108.9)) >= 0.0, "nobody else waits for what was saved up");
    }

    #[test]
    fn the_rate_holds_over_time_whatever_the_estimates_were() {
        let mut budget = Budget::new(Some(100.0), at(0.0));
        let (mut now, mut sent) = (0.0, 0.0);
        while now < 60.0 {
            budget.charge(1.0, at(now));
            budget.charge(24.0, at(now));
            sent += 25.0;
            now += budget.wait(0.0, at(now)).as_secs_f64();
        }
        assert!((5_900.0..6_200.0).contains(&sent), "{sent}");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut budget = Budget::new(None, at(0.0));
        budget.charge(1e9, at(0.0));
        assert_eq!(budget.wait(1e9, at(0.0)), Duration::ZERO);
    }
}
