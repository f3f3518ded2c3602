//! Time and chance, owned by one port so that tests and the simulator own them.

use std::future::Future;
use std::time::Duration;

use crate::model::Timestamp;

/// A point on a clock that never goes back and goes on while the machine is suspended, since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

impl Moment {
    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment moved forward.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// Time and chance.
pub trait Clock: Send + Sync + 'static {
    /// The boot clock: what leases, bounds and time-outs are measured on.
    fn now(&self) -> Moment;
    /// The local wall clock.
    fn wall(&self) -> Timestamp;
    /// The service's clock: the wall clock corrected by the replies' `Date` headers.
    fn service(&self) -> Timestamp;
    /// A number in `[0, 1)` from a seeded source, for jitter.
    fn random(&self) -> f64;
    /// Waits.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
}
