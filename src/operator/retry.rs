//! Requests of somebody who waits at a terminal: a fault that passes is outlasted, but not for long.

use std::time::Duration;

use crate::engine::retry::Retry;
use crate::model::Moment;
use crate::ports::{Clock, Entry, Fault, Guard, PortError, StateStore};

/// How long a fault may last before it is told.
const OUTAGE: Duration = Duration::from_secs(5);

/// An outage as it is lived through.
#[derive(Default)]
pub(super) struct Outage {
    retry: Retry,
    since: Option<Moment>,
}

impl Outage {
    /// Waits a little, if the fault may pass and has not lasted too long.
    pub(super) async fn outlast(&mut self, clock: &impl Clock, error: PortError) -> Result<(), PortError> {
        let now = clock.now();
        let since = *self.since.get_or_insert(now);
        let may_pass = matches!(error.fault, Fault::Throttled | Fault::PartitionThrottled | Fault::Abandoned);
        if !may_pass || now.since(since) > OUTAGE {
            return Err(error);
        }
        tracing::debug!(%error, "trying again");
        self.retry.wait(clock).await;
        Ok(())
    }
}

/// Asks until there is an answer, or the fault has lasted too long. For requests that may be done twice.
pub(super) async fn patiently<T, F>(clock: &impl Clock, mut request: impl FnMut() -> F) -> Result<T, PortError>
where
    F: Future<Output = Result<T, PortError>>,
{
    let mut outage = Outage::default();
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => outage.outlast(clock, error).await?,
        }
    }
}

/// Stores an entry under a name that nobody else uses. `given_up` says when a request for it was last given up, if any
/// was, however this ends: it may still land, if nothing lies there by then.
pub(super) async fn put_new(
    clock: &impl Clock,
    state: &impl StateStore,
    entry: &Entry,
    given_up: &mut Option<Moment>,
) -> Result<(), PortError> {
    let mut outage = Outage::default();
    loop {
        match state.put(entry, Guard::Absent).await {
            Ok(()) => return Ok(()),
            // Its own earlier request has landed.
            Err(error) if error.fault == Fault::Conflict && given_up.is_some() => return Ok(()),
            Err(error) => {
                if error.fault == Fault::Abandoned {
                    *given_up = Some(clock.now());
                }
                outage.outlast(clock, error).await?;
            }
        }
    }
}
