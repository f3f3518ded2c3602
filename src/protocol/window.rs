//! How many requests may be in flight: slow start, then additive increase and multiplicative decrease.

use crate::model::Moment;

/// A concurrency limit that finds out what the service bears: it starts small and doubles until the service throttles
/// for the first time, then gives way by half and comes back by one for each windowful. Counted in thousandths of a
/// request, so that an increase of a fraction needs no float.
#[derive(Clone, Debug)]
pub struct Window {
    thousandths: usize,
    max: usize,
    lowered: Option<Moment>,
}

/// What every service bears.
const START: usize = 4;

impl Window {
    /// Never more than `max`; below 1 that counts as 1.
    pub fn new(max: u32) -> Self {
        let max = usize::try_from(max.max(1)).unwrap_or(usize::MAX).saturating_mul(1000);
        Self { thousandths: max.min(START * 1000), max, lowered: None }
    }

    /// Requests that may be in flight now, at least one.
    pub fn size(&self) -> usize {
        self.thousandths / 1000
    }

    /// A request succeeded without a throttle. A whole window of these adds one; doubles it, while nothing was ever
    /// throttled.
    pub fn succeeded(&mut self) {
        let step = if self.lowered.is_some() { 1_000_000 / self.thousandths } else { 1_000 };
        self.thousandths = (self.thousandths + step).min(self.max);
    }

    /// A request that was sent at `sent` was throttled, or a part of it, or it was given up. Those that were sent
    /// before the window was last lowered tell nothing new: they met the service under the window of that time.
    pub fn throttled(&mut self, sent: Moment, now: Moment) {
        if self.lowered.is_none_or(|last| sent > last) {
            self.thousandths = (self.thousandths / 2).max(1000);
            self.lowered = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    fn grown(max: u32) -> Window {
        let mut window = Window::new(max);
        (0..1_000).for_each(|_| window.succeeded());
        window
    }

    #[test]
    fn doubles_with_each_windowful_from_a_small_start() {
        let mut window = Window::new(64);
        assert_eq!(window.size(), 4);
        for size in [8, 16, 32, 64, 64] {
            (0..window.size()).for_each(|_| window.succeeded());
            assert_eq!(window.size(), size);
        }
        assert_eq!(Window::new(2).size(), 2);
        assert_eq!(Window::new(0).size(), 1);
    }

    #[test]
    fn halves_once_for_all_requests_of_one_window_and_never_goes_below_one() {
        let mut window = grown(16);
        for second in 10..15 {
            window.throttled(at(second - 5), at(second));
        }
        assert_eq!(window.size(), 8);
        for second in 20..30 {
            window.throttled(at(second), at(second));
        }
        assert_eq!(window.size(), 1);
    }

    #[test]
    fn comes_back_by_about_one_for_each_windowful() {
        let mut window = grown(16);
        window.throttled(at(0), at(1));
        (0..9).for_each(|_| window.succeeded());
        assert_eq!(window.size(), 9);
        (0..1_000).for_each(|_| window.succeeded());
        assert_eq!(window.size(), 16);
    }
}
