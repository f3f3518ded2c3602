//! Time and chance, owned by one port so that tests and the simulator own them.

use std::future::Future;
use std::time::Duration;

use crate::model::{Moment, Timestamp};

/// Time and chance.
pub trait Clock: Send + Sync + 'static {
    /// The boot clock: what leases, bounds and time-outs are measured on.
    fn now(&self) -> Moment;
    /// The local wall clock.
    fn wall(&self) -> Timestamp;
    /// The service's clock: the boot clock, set by the replies' `Date` headers. Setting the wall clock does not move it.
    fn service(&self) -> Timestamp;
    /// The latest that the service's clock may show: what is told as an age must not be too low.
    fn latest_service(&self) -> Timestamp {
        self.service()
    }
    /// A number in `[0, 1)` from a seeded source, for jitter.
    fn random(&self) -> f64;
    /// Waits.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
}
