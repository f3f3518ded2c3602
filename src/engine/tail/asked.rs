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
