//! How long to wait between two attempts. The only place that knows the retry library.

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff as _;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};

use crate::ports::Clock;

/// The first wait, before jitter.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait, before jitter.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that grow from 50 ms to 5 s, each drawn from the upper half of its span. There is no last attempt: what ends
/// trying is a definite answer, the lease, or the operator.
#[derive(Debug)]
pub struct Retry(ExponentialBackoff<SystemClock>);

impl Default for Retry {
    fn default() -> Self {
        // The library's own jitter is unseeded: it is switched off here and drawn from the clock port.
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(FIRST)
                .with_max_interval(LONGEST)
                .with_randomization_factor(0.0)
                .with_multiplier(2.0)
                .with_max_elapsed_time(None)
                .build(),
        )
    }
}

impl Retry {
    /// The next wait.
    pub fn next(&mut self, clock: &impl Clock) -> Duration {
        let span = self.0.next_backoff().unwrap_or(LONGEST);
        span.mul_f64(0.5 + clock.random() / 2.0)
    }

    /// An attempt succeeded: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Waits.
    pub async fn wait(&mut self, clock: &impl Clock) {
        clock.sleep(self.next(clock)).await;
    }
}
