//! Whether replies take longer than they used to: then a service is asked for more than it can do, though it refuses nothing.

use std::time::Duration;

/// How long replies take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// In seconds, the last ones counting most.
    smoothed: f64,
    /// The least that it was, rising slowly: a service that has become slower for good is taken as it is.
    least: f64,
}

/// How a reply compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// More may be asked for.
    Usual,
    /// No more should be asked for.
    Slower,
    /// Less should be asked for.
    Slow,
}

/// The share of one reply in what is smoothed: one in a hundred that takes ten times as long changes nothing.
const SHARE: f64 = 1.0 / 16.0;
/// By how much the least rises with a reply: it doubles in about 3,000.
const RISE: f64 = 1.0 / 4096.0;

impl Latency {
    /// A reply took so long.
    pub fn saw(&mut self, took: Duration) -> Speed {
        let took = took.as_secs_f64();
        if self.smoothed == 0.0 {
            (self.smoothed, self.least) = (took, took);
        }
        self.smoothed += (took - self.smoothed) * SHARE;
        self.least = self.smoothed.min(self.least * (1.0 + RISE));
        match self.smoothed / self.least {
            times if times > 4.0 => Speed::Slow,
            times if times > 2.0 => Speed::Slower,
            _ => Speed::Usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saw(latency: &mut Latency, millis: u64, times: usize) -> Speed {
        let speeds: Vec<_> = (0..times).map(|_| latency.saw(Duration::from_millis(millis))).collect();
        *speeds.last().unwrap()
    }

    #[test]
    fn replies_that_take_longer_are_told_and_a_single_one_is_not() {
        let mut latency = Latency::default();
        assert_eq!(saw(&mut latency, 10, 100), Speed::Usual);
        assert_eq!(saw(&mut latency, 100, 1), Speed::Usual);
        assert_eq!(saw(&mut latency, 10, 100), Speed::Usual);
        assert_eq!(saw(&mut latency, 30, 50), Speed::Slower);
        assert_eq!(saw(&mut latency, 60, 50), Speed::Slow);
        assert_eq!(saw(&mut latency, 10, 100), Speed::Usual);
    }

    #[test]
    fn what_stays_slow_becomes_usual_after_thousands() {
        let mut latency = Latency::default();
        saw(&mut latency, 10, 100);
        assert_eq!(saw(&mut latency, 50, 500), Speed::Slow);
        assert_eq!(saw(&mut latency, 50, 10_000), Speed::Usual);
    }
}
