//! Time and chance of the real machine.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use super::ServiceSkew;
use crate::model::Timestamp;
use crate::ports::{Clock, Moment};

/// The clock that goes on while the machine is suspended. macOS has no `CLOCK_BOOTTIME`; its `CLOCK_MONOTONIC` does
/// that. Elsewhere `CLOCK_MONOTONIC` stands still meanwhile, which the lease makes up for by the wall clock; the service's
/// time is then too early until the next reply.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

/// The machine's clocks, and a seeded source of chance.
#[derive(Debug)]
pub struct SystemClock {
    skew: Arc<ServiceSkew>,
    chance: Mutex<fastrand::Rng>,
}

impl SystemClock {
    /// A clock whose service time follows `skew`, and whose jitter follows `seed`.
    pub fn new(skew: Arc<ServiceSkew>, seed: u64) -> Self {
        Self { skew, chance: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        boot_now()
    }

    fn wall(&self) -> Timestamp {
        wall_now()
    }

    fn service(&self) -> Timestamp {
        self.skew.service_time(self.skew.steady())
    }

    fn latest_service(&self) -> Timestamp {
        self.skew.latest_service_time(self.skew.steady())
    }

    fn random(&self) -> f64 {
        self.chance.lock().f64()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// The boot clock.
pub(super) fn boot_now() -> Moment {
    let time = clock_gettime(BOOT_CLOCK);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Moment(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos)))
}

/// The local wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock port: the one place that reads the machine's clock")]
pub(super) fn wall_now() -> Timestamp {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let clock = SystemClock::new(Arc::default(), 7);
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(first.0 > Duration::ZERO);
    }

    #[test]
    fn chance_is_seeded_and_below_one() {
        let draw = |seed| {
            let clock = SystemClock::new(Arc::default(), seed);
            (0..100).map(|_| clock.random()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert!(draw(3).iter().all(|number| (0.0..1.0).contains(number)));
    }
}
