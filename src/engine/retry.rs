//! How long to wait between two attempts. The only place that knows the retry library.

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff as _;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};

use crate::ports::{Clock, PortError, Reaction};

/// The first wait, before jitter.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait, before jitter.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that grow from 50 ms to 5 s, each drawn from the upper half of its span. There is no last attempt: what ends
/// trying is a definite answer, the lease, or the operator.
#[derive(Debug)]
pub struct Retry {
    waits: ExponentialBackoff<SystemClock>,
    failures: u32,
}

/// A fault that passes at once is not worth a line; one that lasts is told at this failure, and again when there were
/// [`TOLD_AGAIN`] times as many.
const TOLD: u32 = 3;
const TOLD_AGAIN: u32 = 4;

impl Default for Retry {
    fn default() -> Self {
        // The library's own jitter is unseeded: it is switched off here and drawn from the clock port.
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST)
            .with_max_interval(LONGEST)
            .with_randomization_factor(0.0)
            .with_multiplier(2.0)
            .with_max_elapsed_time(None)
            .build();
        Self { waits, failures: 0 }
    }
}

impl Retry {
    /// The next wait.
    pub fn next(&mut self, clock: &impl Clock) -> Duration {
        let span = self.waits.next_backoff().unwrap_or(LONGEST);
        span.mul_f64(0.5 + clock.random() / 2.0)
    }

    /// An attempt succeeded: the next failure waits shortly again.
    pub fn reset(&mut self) {
        self.waits.reset();
        self.failures = 0;
    }

    /// Waits.
    pub async fn wait(&mut self, clock: &impl Clock) {
        clock.sleep(self.next(clock)).await;
    }

    /// Says what failed, if it has failed for long enough to be told, and waits.
    pub async fn outlast(&mut self, clock: &impl Clock, error: &PortError, what: &str) {
        self.outlast_within(LONGEST, clock, error, what).await;
    }

    /// The same, and waits so long at most.
    pub async fn outlast_within(&mut self, longest: Duration, clock: &impl Clock, error: &PortError, what: &str) {
        if self.is_to_be_told() {
            let (failures, hint) = (self.failures, error.hint());
            tracing::warn!(%error, hint, failures, "{what}; trying again");
        }
        clock.sleep(self.next(clock).min(longest)).await;
    }

    /// Counts a failure.
    fn is_to_be_told(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        let mut told = TOLD;
        while told < self.failures {
            told = told.saturating_mul(TOLD_AGAIN);
        }
        told == self.failures
    }
}

/// Asks until there is an answer, however long a fault lasts; `what` says what failed. For requests that may be done twice.
pub async fn until_answered<T, F>(
    clock: &impl Clock,
    what: &str,
    mut request: impl FnMut() -> F,
) -> Result<T, PortError>
where
    F: Future<Output = Result<T, PortError>>,
{
    let mut retry = Retry::default();
    loop {
        match request().await {
            Err(error) if error.fault.reaction() == Reaction::BackOff => retry.outlast(clock, &error, what).await,
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_less_and_less_often() {
        let mut retry = Retry::default();
        let told: Vec<u32> = (1..=200).filter(|_| retry.is_to_be_told()).collect();
        assert_eq!(told, [3, 12, 48, 192]);
        retry.reset();
        assert!(!retry.is_to_be_told() && !retry.is_to_be_told() && retry.is_to_be_told());
    }
}
