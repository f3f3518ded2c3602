//! Sends what the slots give out.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Applier;
use crate::engine::error::EngineError;
use crate::engine::retry::Retry;
use crate::engine::settings::ApplySettings;
use crate::model::Moment;
use crate::ports::{Clock, Fault, PortError, Ports, Reaction, TableWriter};
use crate::protocol::budget::Budget;
use crate::protocol::leg::Intake;
use crate::protocol::slots::{Admission, Batch, Held, Kind, Recording, Taken};
use crate::protocol::window::Window;

/// Quarantine entries being stored at the same time at most.
const RECORDINGS: usize = 16;

/// The copy gives way when a larger share of its writes comes back.
const LEFT_BY_PARTITIONS: f64 = 0.05;
/// Requests over which that share is smoothed.
const SMOOTHED_OVER: f64 = 32.0;

/// How a request ended, for the dispatcher's pace. What it means for the slots has been told to them already.
enum Ended {
    /// A write.
    Wrote(Wrote),
    /// A quarantine entry was stored.
    Recorded,
}

/// How a write ended.
struct Wrote {
    kind: Kind,
    begun: Moment,
    /// What it cost beyond the estimate.
    spent: f64,
    pressure: Pressure,
    /// The share of its writes that a partition did not take, from 0 to 1.
    left: f64,
}

/// What a write's end says of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pressure {
    /// It took all.
    None,
    /// It left out a part, and did not say why.
    Untold,
    /// A partition serves no more. That is nothing to other keys.
    Partition,
    /// The table or the account serves no more, or no reply came.
    Table,
}

/// The dispatcher's pace.
struct Pace {
    budget: Budget,
    retry: Retry,
    /// Nothing is sent before this: the table was throttled, or something given up.
    hold: Option<Moment>,
    changes: Flow,
    copied: Flow,
    /// The share of copied images that partitions did not take when they were sent first, smoothed.
    left: f64,
    /// What is sent again has a window of its own: a hot partition bears only so many requests, and must not take those
    /// of the others.
    again: Flow,
    recordings: usize,
}

/// Requests of one kind.
struct Flow {
    window: Window,
    in_flight: usize,
}

impl Flow {
    fn new(concurrency: u32) -> Self {
        Self { window: Window::new(concurrency), in_flight: 0 }
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.window.size()
    }
}

impl Pace {
    fn new(settings: &ApplySettings, now: Moment) -> Self {
        Self {
            budget: Budget::new(settings.write_units_per_second, now),
            retry: Retry::default(),
            hold: None,
            changes: Flow::new(settings.concurrency),
            copied: Flow::new(settings.concurrency),
            left: 0.0,
            again: Flow::new(settings.concurrency),
            recordings: 0,
        }
    }

    fn flow(&mut self, kind: Kind) -> &mut Flow {
        match kind {
            Kind::Changes => &mut self.changes,
            Kind::Copied => &mut self.copied,
            Kind::Again => &mut self.again,
        }
    }

    /// No copied image goes while changes may be waiting.
    fn admission(&self, units: f64) -> Admission {
        let changes = self.changes.has_room();
        Admission { changes, copied: changes && self.copied.has_room(), again: self.again.has_room(), units }
    }

    fn has_room(&self) -> bool {
        self.changes.has_room() || self.copied.has_room() || self.again.has_room()
    }

    /// Copied images go to all partitions alike. Where those leave more of them than one that is hot would, the copy is too
    /// fast: it gives way, and changes find capacity.
    fn copied(&mut self, left: f64, begun: Moment, now: Moment) {
        self.left += (left - self.left) / SMOOTHED_OVER;
        if self.left > LEFT_BY_PARTITIONS {
            self.copied.window.throttled(begun, now);
        } else if left == 0.0 {
            self.copied.window.succeeded();
        }
    }
}

impl<P: Ports> Applier<P> {
    /// Sends until cancelled; then lets what is in flight finish. Pending writes stay pending: their checkpoints have
    /// not moved.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), EngineError> {
        let mut flying = JoinSet::new();
        let mut pace = Pace::new(&self.settings, self.now());
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
        while pace.has_room() {
            let now = self.now();
            if let Some(hold) = pace.hold.filter(|hold| *hold > now) {
                return Ok(Some(hold.since(now)));
            }
            if !self.on.store.lease().may_write() {
                return Ok(Some(LEASE_POLL));
            }
            let units = pace.budget.left(now);
            let admitted = pace.admission(units);
            let (taken, release) = {
                let mut core = self.core();
                (core.take(admitted, now)?, core.next_release())
            };
            let release = release.map(|release| release.since(now).max(Duration::from_millis(1)));
            let batch = match taken {
                Taken::Batch(batch) => batch,
                Taken::TooDear(units) => {
                    let saved_up = pace.budget.wait(units, now);
                    return Ok(Some(release.map_or(saved_up, |release| release.min(saved_up))));
                }
                Taken::Nothing => return Ok(release),
            };
            pace.budget.charge(batch.estimated_units, now);
            pace.flow(batch.kind).in_flight += 1;
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
            Ended::Wrote(Wrote { kind, begun, spent, pressure, left }) => {
                pace.budget.charge(spent, now);
                pace.flow(kind).in_flight -= 1;
                if kind == Kind::Copied {
                    pace.copied(left, begun, now);
                }
                match pressure {
                    Pressure::None => {
                        if kind != Kind::Copied {
                            pace.flow(kind).window.succeeded();
                        }
                        pace.retry.reset();
                    }
                    Pressure::Untold => {}
                    Pressure::Partition => pace.again.window.throttled(begun, now),
                    Pressure::Table => {
                        for kind in [Kind::Changes, Kind::Copied, Kind::Again] {
                            pace.flow(kind).window.throttled(begun, now);
                        }
                        pace.hold = Some(now.plus(pace.retry.next(self.on.clock())));
                    }
                }
            }
            Ended::Recorded => pace.recordings -= 1,
        }
        self.settled.notify_waiters();
        self.rereads.notify_one();
        Ok(())
    }

    /// One request, and what it means for the slots.
    async fn send(&self, batch: Batch) -> Result<Ended, EngineError> {
        let (begun, kind) = (self.now(), batch.kind);
        let outcome = match batch.writes.as_slice() {
            [write] if write.owner.is_some() => {
                self.within("a conditional write", self.on.writer().write_owned(write)).await.map(|reply| {
                    let held = if reply.done { Held::Mine } else { Held::Anothers };
                    self.core().owned(&batch, held, self.now());
                    (reply.write_units, Pressure::None, 0)
                })
            }
            writes => self.within("BatchWriteItem", self.on.writer().write_batch(writes)).await.map(|reply| {
                self.core().processed(&batch, &reply.unprocessed, self.on.clock().random(), self.now());
                let left = reply.unprocessed.len();
                self.on.meters.writes_unprocessed.increment(u64::try_from(left).unwrap_or(0));
                (reply.write_units, if left > 0 { Pressure::Untold } else { Pressure::None }, left)
            }),
        };
        let (spent, pressure, left) = match outcome {
            Ok((units, pressure, left)) => {
                self.on.meters.wrote(&batch, units);
                self.core().take_latencies().into_iter().for_each(|latency| self.on.meters.applied(latency));
                (units.map_or(0.0, |units| units - batch.estimated_units), pressure, left)
            }
            Err(error) => {
                let pressure = self.failed(&batch, error)?;
                let left = if pressure == Pressure::Partition { batch.writes.len() } else { 0 };
                (-batch.estimated_units, pressure, left)
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "25 at most")]
        let left = left as f64 / batch.writes.len().max(1) as f64;
        Ok(Ended::Wrote(Wrote { kind, begun, spent, pressure, left }))
    }

    fn failed(&self, batch: &Batch, error: PortError) -> Result<Pressure, EngineError> {
        self.on.meters.failed(&error);
        let now = self.now();
        match error.fault {
            Fault::Rejected => {
                self.core().refused(batch, &error.message, now);
                return Ok(Pressure::None);
            }
            Fault::PartitionThrottled => {
                tracing::debug!(%error, writes = batch.writes.len(), "a partition takes no more for now");
                self.core().partition_throttled(batch, self.on.clock().random(), now);
                return Ok(Pressure::Partition);
            }
            Fault::Abandoned => {
                tracing::warn!(%error, writes = batch.writes.len(), "a write was given up; the same images are sent again");
                self.core().abandoned(batch, now);
            }
            fault if fault.reaction() == Reaction::BackOff || fault == Fault::Busy => {
                tracing::debug!(%error, "a write was refused for now");
                self.core().throttled(batch, now);
            }
            _ => return Err(error.into()),
        }
        Ok(Pressure::Table)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    /// The windows of copied images and of changes, after so many requests of which partitions left this.
    fn windows(pace: &mut Pace, left: f64, from: u64) -> (usize, usize) {
        for millis in from..from + 1_000 {
            pace.copied(left, at(millis), at(millis + 1));
            pace.changes.window.succeeded();
        }
        (pace.copied.window.size(), pace.changes.window.size())
    }

    #[test]
    fn no_copied_image_goes_while_changes_wait() {
        let mut pace = Pace::new(&ApplySettings::default(), at(0));
        assert!(pace.admission(1.0).copied);
        pace.changes.in_flight = pace.changes.window.size();
        assert!(!pace.admission(1.0).copied && pace.admission(1.0).again);
    }

    #[test]
    fn the_copy_gives_way_to_changes_where_partitions_leave_more_than_a_hot_one_would() {
        let mut pace = Pace::new(&ApplySettings::default(), at(0));
        assert_eq!(windows(&mut pace, 0.0, 0), (64, 64));
        assert_eq!(windows(&mut pace, 0.04, 1_000), (64, 64), "one hot partition of many");
        assert_eq!(windows(&mut pace, 0.3, 2_000), (1, 64));
        assert!(windows(&mut pace, 0.0, 3_000).0 > 30, "it comes back by one for each windowful");
    }
}
