//! What fences, opens or switches: under the lease, and never two at a time.
//!
//! A program that is killed, and a request that is abandoned, may still take effect. So whatever is cut short is noted, the next
//! one waits until it is over, and a process that ends before then does not say that it left nothing behind.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::cutover::{Failure, StepFailure};
use crate::engine::state::lease::Lease;
use crate::model::Moment;
use crate::ports::{Clock, Ports};

/// What a cutover's steps do outside, in this process and its predecessors.
pub(super) struct Acting<P> {
    ports: Arc<P>,
    lease: Arc<Lease<P>>,
    /// How long what was cut short may act.
    abandon: Duration,
    until: Arc<Mutex<Option<Moment>>>,
}

impl<P: Ports> Acting<P> {
    pub(super) fn new(ports: Arc<P>, lease: Arc<Lease<P>>, abandon: Duration) -> Self {
        Self { ports, lease, abandon, until: Arc::default() }
    }

    /// Something that nobody looks after may act for so long.
    pub(super) fn may_act_for(&self, span: Duration) {
        may_act_until(&self.until, self.ports.clock().now().plus(span));
    }

    /// Until when something that nobody looks after may act.
    pub(super) fn until(&self) -> Option<Moment> {
        *self.until.lock()
    }

    /// Whether nothing acts that nobody looks after.
    pub(super) fn is_over(&self) -> bool {
        self.until().is_none_or(|until| until <= self.ports.clock().now())
    }

    /// Waits until nothing acts that nobody looks after.
    pub(super) async fn outlast(&self) {
        if let Some(until) = self.until() {
            let clock = self.ports.clock();
            clock.sleep(until.since(clock.now())).await;
        }
    }

    /// Drives something that acts while the lease lasts: from its end on somebody else may do the same.
    pub(super) fn drive<W: Future<Output = Result<String, StepFailure>> + Send>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<String, StepFailure>> + Send + use<P, W> {
        let (lease, abandon) = (Arc::clone(&self.lease), self.abandon);
        let cut_short =
            CutShort { ports: Arc::clone(&self.ports), abandon, until: Arc::clone(&self.until), ended: false };
        async move {
            // Owned here, so that it goes whenever this goes.
            let mut cut_short = cut_short;
            let done = lease.during(work).await;
            if done.is_none() {
                cut_short.ports.clock().sleep(abandon).await;
            }
            cut_short.ended = true;
            done.unwrap_or_else(|| Err(Failure::LeaseRanOut.into()))
        }
    }
}

/// Notes that what was driven did not come to its end.
struct CutShort<P: Ports> {
    ports: Arc<P>,
    abandon: Duration,
    until: Arc<Mutex<Option<Moment>>>,
    ended: bool,
}

impl<P: Ports> Drop for CutShort<P> {
    fn drop(&mut self) {
        if !self.ended {
            may_act_until(&self.until, self.ports.clock().now().plus(self.abandon));
        }
    }
}

fn may_act_until(noted: &Mutex<Option<Moment>>, until: Moment) {
    let mut noted = noted.lock();
    *noted = Some(until).max(*noted);
}
