//! Sends what the slots give out.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Applier;
use crate::engine::error::EngineError;
use crate::engine::retry::Retry;
use crate::model::Moment;
use crate::ports::{Clock, Fault, PortError, Ports, Reaction, TableWriter};
use crate::protocol::budget::Budget;
use crate::protocol::leg::Intake;
use crate::protocol::slots::{Batch, Held, Recording};
use crate::protocol::window::Window;

/// Quarantine entries being stored at the same time at most.
const RECORDINGS: usize = 16;

/// How a request ended, for the dispatcher's pace. What it means for the slots has been told to them already.
enum Ended {
    /// A write was answered in full.
    Done { spent: f64 },
    /// A write that was begun then was answered in part, throttled or given up.
    Pressed { spent: f64, begun: Moment },
    /// A quarantine entry was stored.
    Recorded,
}

/// The dispatcher's pace.
struct Pace {
    window: Window,
    budget: Budget,
    retry: Retry,
    /// Nothing is sent before this: something was throttled or given up.
    hold: Option<Moment>,
    writes: usize,
    recordings: usize,
}

impl<P: Ports> Applier<P> {
    /// Sends until cancelled; then lets what is in flight finish. Pending writes stay pending: their checkpoints have
    /// not moved.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), EngineError> {
        let mut flying = JoinSet::new();
        let mut pace = Pace {
            window: Window::new(self.settings.concurrency),
            budget: Budget::new(self.settings.write_units_per_second, self.now()),
            retry: Retry::default(),
            hold: None,
            writes: 0,
            recordings: 0,
        };
        loop {
            let work = self.work.notified();
            self.start_recordings(&mut flying, &mut pace);
            let pause = self.start_writes(&mut flying, &mut pace)?;
            // Outcomes first: they free room and places. Stopping next, then new work, then time.
            tokio::select! {
                biased;
                Some(ended) = flying.join_next(), if !flying.is_empty() => self.ended(ended, &mut pace)?,
                () = stop.cancelled() => break,
                () = self.on.store.lease().lost().cancelled() => break,
                () = work => {}
                () = self.on.clock().sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
            }
        }
        while let Some(ended) = flying.join_next().await {
            self.ended(ended, &mut pace)?;
        }
        Ok(())
    }

    /// Starts as many writes as pace and lease allow. Returns how long to wait at most before trying again; `None` when
    /// only new work or an outcome can change anything.
    fn start_writes(
        self: &Arc<Self>,
        flying: &mut JoinSet<Result<Ended, EngineError>>,
        pace: &mut Pace,
    ) -> Result<Option<Duration>, EngineError> {
        /// How soon a lease that ran low is looked at again.
        const LEASE_POLL: Duration = Duration::from_millis(50);
        while pace.writes < pace.window.size() {
            let now = self.now();
            if let Some(hold) = pace.hold.filter(|hold| *hold > now) {
                return Ok(Some(hold.since(now)));
            }
            let debt = pace.budget.wait(now);
            if !debt.is_zero() {
                return Ok(Some(debt));
            }
            if !self.on.store.lease().may_write() {
                return Ok(Some(LEASE_POLL));
            }
            let Some(batch) = self.core().take(now)? else {
                return Ok(self.core().next_release().map(|release| release.since(now).max(Duration::from_millis(1))));
            };
            pace.budget.charge(batch.estimated_units, now);
            pace.writes += 1;
            let applier = Arc::clone(self);
            flying.spawn(async move { applier.send(batch).await });
        }
        Ok(None)
    }

    fn start_recordings(self: &Arc<Self>, flying: &mut JoinSet<Result<Ended, EngineError>>, pace: &mut Pace) {
        while pace.recordings < RECORDINGS {
            let Some(recording) = self.core().take_recording() else { return };
            pace.recordings += 1;
            let applier = Arc::clone(self);
            flying.spawn(async move { applier.record(recording).await });
        }
    }

    fn ended(
        &self,
        ended: Result<Result<Ended, EngineError>, tokio::task::JoinError>,
        pace: &mut Pace,
    ) -> Result<(), EngineError> {
        let now = self.now();
        match ended.map_err(|error| EngineError::Task(error.to_string()))?? {
            Ended::Done { spent } => {
                pace.window.succeeded();
                pace.retry.reset();
                pace.budget.charge(spent, now);
                pace.writes -= 1;
            }
            Ended::Pressed { spent, begun } => {
                pace.window.throttled(begun, now);
                pace.hold = Some(now.plus(pace.retry.next(self.on.clock())));
                pace.budget.charge(spent, now);
                pace.writes -= 1;
            }
            Ended::Recorded => pace.recordings -= 1,
        }
        self.room.notify_waiters();
        self.settled.notify_waiters();
        self.rereads.notify_one();
        Ok(())
    }

    /// One request, and what it means for the slots. `spent` is what it cost beyond the estimate.
    async fn send(&self, batch: Batch) -> Result<Ended, EngineError> {
        let begun = self.now();
        let (outcome, pressed) = match batch.writes.as_slice() {
            [write] if write.owner.is_some() => {
                match self.within("a conditional write", self.on.writer().write_owned(write)).await {
                    Ok(reply) => {
                        let held = if reply.done { Held::Mine } else { Held::Anothers };
                        self.core().owned(&batch, held, self.now());
                        (Ok(reply.write_units), false)
                    }
                    Err(error) => (Err(error), true),
                }
            }
            writes => match self.within("BatchWriteItem", self.on.writer().write_batch(writes)).await {
                Ok(reply) => {
                    self.core().processed(&batch, &reply.unprocessed, self.now());
                    let left = reply.unprocessed.len();
                    self.on.meters.writes_unprocessed.increment(u64::try_from(left).unwrap_or(0));
                    (Ok(reply.write_units), left > 0)
                }
                Err(error) => (Err(error), true),
            },
        };
        match outcome {
            Ok(units) => {
                self.on.meters.wrote(&batch, units);
                self.core().take_latencies().into_iter().for_each(|latency| self.on.meters.applied(latency));
                let spent = units.map_or(0.0, |units| units - batch.estimated_units);
                Ok(if pressed { Ended::Pressed { spent, begun } } else { Ended::Done { spent } })
            }
            Err(error) => self.failed(&batch, error, begun),
        }
    }

    fn failed(&self, batch: &Batch, error: PortError, begun: Moment) -> Result<Ended, EngineError> {
        self.on.meters.failed(&error);
        match error.fault {
            Fault::Rejected => {
                self.core().refused(batch, &error.message);
                return Ok(Ended::Done { spent: -batch.estimated_units });
            }
            Fault::Abandoned => {
                tracing::warn!(%error, writes = batch.writes.len(), "a write was given up; the same images are sent again");
                self.core().abandoned(batch, self.now());
            }
            fault if fault.reaction() == Reaction::BackOff || fault == Fault::Busy => {
                tracing::debug!(%error, "a write was refused for now");
                self.core().throttled(batch);
            }
            _ => return Err(error.into()),
        }
        Ok(Ended::Pressed { spent: -batch.estimated_units, begun })
    }

    /// Gives a request up after its time, whatever the client does, and when the lease has run out (invariant 6).
    async fn within<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let resource = || format!("the {}", self.on.leg.to());
        let given_up =
            |message: String| PortError { fault: Fault::Abandoned, operation, resource: resource(), message };
        let limit = self.settings.request_timeout;
        tokio::select! {
            biased;
            reply = self.on.store.lease().during(request) => {
                reply.unwrap_or_else(|| Err(given_up("the lease ran out before it was answered".into())))
            }
            () = self.on.clock().sleep(limit) => Err(given_up(format!("no reply within {limit:?}"))),
        }
    }

    /// Stores or clears a quarantine entry; only then does its place go on.
    async fn record(&self, recording: Recording) -> Result<Ended, EngineError> {
        self.quarantine.store(&self.on.store, &recording, self.on.clock().service()).await?;
        let size = {
            let mut core = self.core();
            core.recorded(&recording, self.now());
            // After the switch's intent they are late changes: ending the process would help nobody.
            if core.intake() == Intake::Open { core.quarantined() } else { 0 }
        };
        if u64::try_from(size).unwrap_or(u64::MAX) > self.settings.quarantine_limit {
            return Err(EngineError::refused(
                format!("{size} items are in quarantine, more than apply.quarantine_limit"),
                "look at them with `shadowtable quarantine list`; correct the items in the source or raise the limit, then run \
                 again. Another layout or transform needs `shadowtable reseed`",
            ));
        }
        Ok(Ended::Recorded)
    }
}
