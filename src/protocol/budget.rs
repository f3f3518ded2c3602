//! Capacity budgets: a token bucket that knows debt.
//!
//! A request's true cost is known only from its reply, so a request is admitted while the bucket is not in debt, is
//! charged an estimate, and is corrected afterwards. Over time the rate holds exactly.

use std::time::Duration;

use crate::model::Moment;

/// Capacity units per second, or no limit.
#[derive(Clone, Debug)]
pub struct Budget {
    rate: Option<f64>,
    units: f64,
    filled: Moment,
}

impl Budget {
    /// At most this many units a second (`None`: no limit); at most one second's worth is saved up.
    pub fn new(units_per_second: Option<f64>, now: Moment) -> Self {
        Self { rate: units_per_second, units: units_per_second.unwrap_or(0.0), filled: now }
    }

    /// How long to wait until the next request is admitted; zero when it is admitted now.
    pub fn wait(&mut self, now: Moment) -> Duration {
        self.fill(now);
        match self.rate {
            Some(rate) if self.units < 0.0 => Duration::try_from_secs_f64(-self.units / rate).unwrap_or(Duration::MAX),
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
            self.units = rate.min(self.units + rate * now.since(self.filled).as_secs_f64());
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
        assert_eq!(budget.wait(at(0.0)), Duration::from_secs(2));
        assert_eq!(budget.wait(at(2.0)), Duration::ZERO);
    }

    #[test]
    fn no_more_than_a_second_is_saved_up() {
        let mut budget = Budget::new(Some(10.0), at(0.0));
        assert_eq!(budget.wait(at(100.0)), Duration::ZERO);
        budget.charge(20.0, at(100.0));
        assert_eq!(budget.wait(at(100.0)), Duration::from_secs(1));
    }

    #[test]
    fn the_rate_holds_over_time_whatever_the_estimates_were() {
        let mut budget = Budget::new(Some(100.0), at(0.0));
        let (mut now, mut sent) = (0.0, 0.0);
        while now < 60.0 {
            budget.charge(1.0, at(now));
            budget.charge(24.0, at(now));
            sent += 25.0;
            now += budget.wait(at(now)).as_secs_f64();
        }
        assert!((5_900.0..6_200.0).contains(&sent), "{sent}");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut budget = Budget::new(None, at(0.0));
        budget.charge(1e9, at(0.0));
        assert_eq!(budget.wait(at(0.0)), Duration::ZERO);
    }
}
