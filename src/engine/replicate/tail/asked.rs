//! When something was asked of the service.

use crate::model::{Moment, Timestamp};
use crate::ports::Clock;

/// When something was asked: by the boot clock, and by what was known of the service's then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) moment: Moment,
    service: Timestamp,
}

impl Asked {
    pub(super) fn now(clock: &impl Clock) -> Self {
        Self { moment: clock.now(), service: clock.service() }
    }

    /// By the service's clock, of which the reply may have told more. The earlier of both, since what counts as asked too
    /// late would count as read too far.
    pub(super) fn at(self, clock: &impl Clock) -> Timestamp {
        let passed = clock.now().since(self.moment);
        self.service.min(clock.service().minus(passed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What the clocks show at one moment, in seconds.
    struct Showing {
        boot: u64,
        service: i64,
    }

    impl Clock for Showing {
        fn now(&self) -> Moment {
            Moment(Duration::from_secs(self.boot))
        }

        fn wall(&self) -> Timestamp {
            self.service()
        }

        fn service(&self) -> Timestamp {
            Timestamp::from_seconds(self.service)
        }

        fn random(&self) -> f64 {
            0.0
        }

        async fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn what_was_asked_counts_from_the_earlier_reckoning() {
        let asked = |boot, service, later: Showing| Asked::now(&Showing { boot, service }).at(&later);
        let at = Timestamp::from_seconds;
        assert_eq!(asked(10, 500, Showing { boot: 12, service: 502 }), at(500));
        // The reply set the clock back: it had been an hour ahead.
        assert_eq!(asked(10, 4_100, Showing { boot: 12, service: 502 }), at(500));
        // The reply set it forward, or the boot clock stood still meanwhile.
        assert_eq!(asked(10, 500, Showing { boot: 12, service: 4_102 }), at(500));
    }
}
