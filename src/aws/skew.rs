//! What the service's clock shows, learnt from the replies' `Date` headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::date_time::Format;

use super::clock::{boot_now, wall_now};
use crate::model::{Moment, Timestamp};

/// The service's clock minus a steady one of this machine: the wall clock as it was in the beginning, carried on by the boot
/// clock. Setting the wall clock therefore moves nothing that is measured by the service's clock, be it for a moment.
///
/// A `Date` header is floored to the second: a reply dated D was stamped in [D, D + 1 s) by the service's clock, at a
/// moment between sending the request and receiving the reply by the steady one. So every reply says no more than
/// `D − received ≤ skew < D + 1 s − sent`. The estimate stays where it is unless a reply contradicts it, and then moves
/// to the nearest bound. It therefore does not jitter by the second that the header hides, stays at zero as long as
/// the local clock agrees, and over many replies comes within a round trip of the truth.
///
/// The bounds of all replies together are kept beside it: how far the service's clock may be ahead at most is what lag
/// needs, so that it is not told too low. They begin anew when a reply contradicts them, as a clock that was set does.
#[derive(Debug)]
pub struct ServiceSkew {
    began: (Moment, Timestamp),
    millis: AtomicI64,
    at_least: AtomicI64,
    at_most: AtomicI64,
}

impl Default for ServiceSkew {
    fn default() -> Self {
        Self {
            began: (boot_now(), wall_now()),
            millis: AtomicI64::new(0),
            at_least: AtomicI64::new(i64::MIN),
            at_most: AtomicI64::new(i64::MAX),
        }
    }
}

impl ServiceSkew {
    /// The estimate, in milliseconds; positive when the service's clock is ahead.
    pub fn millis(&self) -> i64 {
        self.millis.load(Ordering::Relaxed)
    }

    /// What the steady clock shows.
    pub fn steady(&self) -> Timestamp {
        let (boot, wall) = self.began;
        wall.plus(boot_now().since(boot))
    }

    /// The latest that the service's clock may show when the steady one shows `steady`, as far as replies told.
    pub fn latest_service_time(&self, steady: Timestamp) -> Timestamp {
        let at_most = self.at_most.load(Ordering::Relaxed);
        let ahead = if at_most == i64::MAX { self.millis() } else { at_most.max(self.millis()) };
        Timestamp::from_millis(steady.millis().saturating_add(ahead))
    }

    /// What the service's clock shows when the steady one shows `steady`.
    pub fn service_time(&self, steady: Timestamp) -> Timestamp {
        Timestamp::from_millis(steady.millis().saturating_add(self.millis()))
    }

    /// Learns from one reply: dated `date` (whole seconds), to a request sent and received at these times of the steady clock.
    pub fn observe(&self, sent: Timestamp, received: Timestamp, date: Timestamp) {
        let at_least = date.millis().saturating_sub(received.millis());
        let at_most = date.millis().saturating_add(999).saturating_sub(sent.millis());
        // A clock that went back in between leaves no room: nothing can be learnt.
        if at_least > at_most {
            return;
        }
        let (low, high) = (self.at_least.load(Ordering::Relaxed), self.at_most.load(Ordering::Relaxed));
        let (low, high) = match (low.max(at_least), high.min(at_most)) {
            (low, high) if low > high => (at_least, at_most),
            bounds => bounds,
        };
        // Replies that are noted at the same time may each miss the other's: the bounds are then a little wider.
        self.at_least.store(low, Ordering::Relaxed);
        self.at_most.store(high, Ordering::Relaxed);
        let estimate = self.millis();
        let better = estimate.clamp(at_least, at_most);
        if better != estimate {
            self.millis.store(better, Ordering::Relaxed);
        }
    }
}

/// Shows every reply's `Date` to a [`ServiceSkew`], error replies included.
#[derive(Clone, Debug)]
pub(super) struct DateReader(pub(super) Arc<ServiceSkew>);

/// When the request was sent, by the steady clock.
#[derive(Debug)]
struct SentAt(Timestamp);

impl Storable for SentAt {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for DateReader {
    fn name(&self) -> &'static str {
        "DateReader"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        state.interceptor_state().store_put(SentAt(self.0.steady()));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        // A reply without a readable date teaches nothing, and is no reason to fail the request.
        let date = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok());
        if let (Some(date), Some(SentAt(sent))) = (date, state.load::<SentAt>()) {
            self.0.observe(*sent, self.0.steady(), Timestamp::from_seconds(date.secs()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Replies to requests that take `latency` each, stamped halfway by a clock that is `skew` ahead.
    fn after_replies(estimate: &ServiceSkew, skew: i64, latency: i64, count: i64) -> Vec<i64> {
        (0..count)
            .map(|index| {
                let sent = 1_800_000_000_123 + index * 137;
                let stamped = sent + latency / 2 + skew;
                estimate.observe(
                    Timestamp::from_millis(sent),
                    Timestamp::from_millis(sent + latency),
                    Timestamp::from_seconds(stamped.div_euclid(1000)),
                );
                estimate.millis()
            })
            .collect()
    }

    #[test]
    fn setting_the_wall_clock_moves_nothing() {
        let set = Timestamp::from_seconds(1_000);
        let skew = ServiceSkew { began: (boot_now(), set), ..ServiceSkew::default() };
        assert!(
            (set..set.plus(Duration::from_mins(1))).contains(&skew.steady()),
            "the wall clock shows {}",
            wall_now()
        );
    }

    #[test]
    fn a_local_clock_that_agrees_is_never_corrected() {
        assert!(after_replies(&ServiceSkew::default(), 0, 20, 1_000).iter().all(|&millis| millis == 0));
    }

    #[test]
    fn the_estimate_comes_within_a_round_trip_and_stays_there() {
        for skew in [-90_500, -300, 450, 7_250] {
            let estimate = ServiceSkew::default();
            after_replies(&estimate, skew, 20, 200);
            let settled = after_replies(&estimate, skew, 20, 200);
            assert!(settled.iter().all(|millis| (millis - skew).abs() <= 20), "{skew}: {settled:?}");
            assert!(settled.iter().all(|millis| *millis == settled[0]), "{skew}: {settled:?}");
        }
    }

    #[test]
    fn the_latest_time_is_never_before_the_services_own_and_comes_near_it() {
        for skew in [-90_500, 0, 450, 600_000] {
            let clock = ServiceSkew::default();
            let wall = Timestamp::from_seconds(1_800_000_000);
            for round in 0..200 {
                after_replies(&clock, skew, 20, 1 + round % 3);
                let latest = clock.latest_service_time(wall).millis() - wall.millis();
                assert!(latest >= skew, "{skew}: {latest}");
            }
            after_replies(&clock, skew, 20, 200);
            let latest = clock.latest_service_time(wall).millis() - wall.millis();
            assert!(latest - skew <= 30, "{skew}: {latest}");
        }
    }

    #[test]
    fn a_slow_reply_does_not_move_a_good_estimate() {
        let estimate = ServiceSkew::default();
        after_replies(&estimate, 450, 20, 200);
        let before = estimate.millis();
        after_replies(&estimate, 450, 8_000, 200);
        assert_eq!(estimate.millis(), before);
    }

    #[test]
    fn a_clock_set_back_during_a_request_teaches_nothing() {
        let estimate = ServiceSkew::default();
        estimate.observe(Timestamp::from_seconds(100), Timestamp::from_seconds(50), Timestamp::from_seconds(100));
        assert_eq!(estimate.millis(), 0);
    }
}
