//! How many requests may be in flight: additive increase, multiplicative decrease.

use std::time::Duration;

use crate::model::Moment;

/// A concurrency limit that gives way when the service throttles and comes back slowly. Counted in thousandths of a
/// request, so that an increase of a fraction needs no float.
#[derive(Clone, Debug)]
pub struct Window {
    thousandths: usize,
    max: usize,
    lowered: Option<Moment>,
}

/// Throttles that come back together count once: they answer requests sent under the same window.
const ONE_SIGNAL: Duration = Duration::from_millis(100);

impl Window {
    /// Starts wide open; `max` below 1 counts as 1.
    pub fn new(max: u32) -> Self {
        let max = usize::try_from(max.max(1)).unwrap_or(usize::MAX).saturating_mul(1000);
        Self { thousandths: max, max, lowered: None }
    }

    /// Requests that may be in flight now, at least one.
    pub fn size(&self) -> usize {
        self.thousandths / 1000
    }

    /// A request succeeded without a throttle: a whole window of these adds one.
    pub fn succeeded(&mut self) {
        self.thousandths = (self.thousandths + 1_000_000 / self.thousandths).min(self.max);
    }

    /// A request, or part of one, was throttled.
    pub fn throttled(&mut self, now: Moment) {
        if self.lowered.is_none_or(|last| now.since(last) >= ONE_SIGNAL) {
            self.thousandths = (self.thousandths / 2).max(1000);
            self.lowered = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_once_per_signal_and_never_below_one() {
        let mut window = Window::new(16);
        for _ in 0..5 {
            window.throttled(Moment(Duration::ZERO));
        }
        assert_eq!(window.size(), 8);
        for second in 1..10 {
            window.throttled(Moment(Duration::from_secs(second)));
        }
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn comes_back_by_about_one_for_each_windowful() {
        let mut window = Window::new(16);
        window.throttled(Moment(Duration::ZERO));
        for _ in 0..9 {
            window.succeeded();
        }
        assert_eq!(window.size(), 9);
        for _ in 0..1_000 {
            window.succeeded();
        }
        assert_eq!(window.size(), 16);
    }
}
