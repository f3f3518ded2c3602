//! Invariant 6: one active process, which stops writing before its lease can be taken.
//!
//! The lease is an entry whose version is a heartbeat counter. A standby times an unchanged counter on its own clock.
//! The holder's deadline counts from the *sending* of its last good renewal, by boot clock and wall clock, whichever
//! says more time has passed: a suspended machine's monotonic clock may stand still. A write is sent, and waited for, only
//! until the deadline; then it is given up. It may land for the abandonment bound: the successor waits for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::entities::LeaseRecord;
use super::entry::{LEASE, decode, encode};
use crate::engine::EngineError;
use crate::engine::retry::{Retry, until_answered};
use crate::model::{Moment, Timestamp};
use crate::ports::{Clock, Fault, Guard, PortError, Reaction, StateKey, StatePorts, StateStore};
use crate::protocol::invariant::{Invariant, Violation};

/// Who asks for the lease, and how it is kept.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// A name unique to this process.
    pub owner: String,
    /// The machine, for people.
    pub host: String,
    /// How long the lease lasts without renewal.
    pub duration: Duration,
    /// This process's abandonment bound.
    pub abandon: Duration,
}

/// What a standby sees while it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// The holder.
    pub owner: String,
    /// Its machine.
    pub host: String,
}

/// The lease, held.
pub struct Lease<P> {
    ports: Arc<P>,
    key: StateKey,
    claimant: Claimant,
    epoch: u64,
    since: Timestamp,
    state: Mutex<State>,
    renewed: Notify,
    lost: CancellationToken,
}

/// What changes with each renewal.
#[derive(Clone, Copy, Debug)]
struct State {
    version: u64,
    boot_deadline: Moment,
    wall_deadline: Timestamp,
}

/// A write whose outcome is definite.
pub struct Sent {
    /// What the last request for it came to.
    pub outcome: Result<(), PortError>,
    /// An earlier request for it was given up, and may still take effect.
    pub given_up: bool,
}

/// A successful acquisition.
pub struct Acquired<P> {
    /// The lease.
    pub lease: Arc<Lease<P>>,
    /// How long to wait before the first write: a predecessor's abandoned requests may still land.
    pub settle: Duration,
}

/// Waits until the lease is free or stale, and takes it. `waiting` is told whenever the holder seen changes.
pub async fn acquire<P: StatePorts>(
    ports: &Arc<P>,
    partition: &str,
    claimant: &Claimant,
    mut waiting: impl FnMut(Standby),
) -> Result<Acquired<P>, EngineError> {
    let key = StateKey { partition: partition.to_owned(), sort: LEASE.to_owned() };
    let clock = ports.clock();
    let (mut retry, mut seen) = (Retry::default(), None::<(u64, Moment)>);
    loop {
        let (asked, asked_wall) = (clock.now(), clock.wall());
        let attempt = match ports.state().get(&key).await {
            Ok(None) => Some((1, Guard::Absent, None)),
            Ok(Some(entry)) => {
                let record: LeaseRecord = decode(&entry)?;
                let patience = claimant.duration.max(Duration::from_millis(record.duration_millis));
                let unchanged = match seen {
                    Some((version, first)) if version == entry.version => asked.since(first),
                    _ => {
                        seen = Some((entry.version, clock.now()));
                        if !record.released {
                            waiting(Standby { owner: record.owner.clone(), host: record.host.clone() });
                        }
                        Duration::ZERO
                    }
                };
                let guard = Guard::Unchanged { version: entry.version, epoch: u64::MAX };
                // Our own abandoned attempt may have landed: the owner's name is unique to this process.
                let free = record.released || record.owner == claimant.owner || unchanged > patience;
                free.then_some((entry.epoch + 1, guard, Some((entry.version, record))))
            }
            Err(error) if error.fault.reaction() == Reaction::BackOff => None,
            Err(error) => return Err(error.into()),
        };
        if let Some((epoch, guard, predecessor)) = attempt {
            let version = predecessor.as_ref().map_or(1, |(version, _)| version + 1);
            let state = State {
                version,
                boot_deadline: asked.plus(claimant.duration),
                wall_deadline: asked_wall.plus(claimant.duration),
            };
            let entry = encode(&key, version, epoch, &record(claimant, asked_wall, false, false))?;
            match ports.state().put(&entry, guard).await {
                Ok(()) => {
                    let settle = match predecessor {
                        None => Duration::ZERO,
                        Some((_, record)) if record.released && record.quiet => Duration::ZERO,
                        Some((_, record)) => claimant.abandon.max(Duration::from_millis(record.abandon_millis)),
                    };
                    let lease = Lease {
                        ports: Arc::clone(ports),
                        key,
                        claimant: claimant.clone(),
                        epoch,
                        since: asked_wall,
                        state: Mutex::new(state),
                        renewed: Notify::new(),
                        lost: CancellationToken::new(),
                    };
                    return Ok(Acquired { lease: Arc::new(lease), settle });
                }
                // Somebody was faster, or our own abandoned attempt landed: either way what lies there is read again.
                Err(error) if error.fault == Fault::Conflict => seen = None,
                Err(error) if error.fault.reaction() == Reaction::BackOff => {}
                Err(error) => return Err(error.into()),
            }
        }
        if seen.is_some() {
            clock.sleep((claimant.duration / 10).clamp(Duration::from_millis(50), Duration::from_secs(2))).await;
        } else {
            retry.wait(clock).await;
        }
    }
}

fn record(claimant: &Claimant, since: Timestamp, released: bool, quiet: bool) -> LeaseRecord {
    LeaseRecord {
        owner: claimant.owner.clone(),
        host: claimant.host.clone(),
        duration_millis: millis(claimant.duration),
        abandon_millis: millis(claimant.abandon),
        released,
        quiet,
        since,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl<P: StatePorts> Lease<P> {
    /// The epoch under which everything durable is written.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// This process's name.
    pub fn owner(&self) -> &str {
        &self.claimant.owner
    }

    /// Since when it is held, on this machine's wall clock.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// This machine's name.
    pub fn host(&self) -> &str {
        &self.claimant.host
    }

    /// Cancelled once another process holds the lease.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Whether a write may be sent now.
    pub fn may_write(&self) -> bool {
        let clock = self.ports.clock();
        let state = self.state();
        !self.lost.is_cancelled() && clock.now() <= state.boot_deadline && clock.wall() <= state.wall_deadline
    }

    /// Drives what may be done under the lease alone, while it lasts. `None`: it ran out first, and the work is given up.
    /// Clocks are looked at whenever anything is to be done for it: a machine that stood still sends nothing more.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let driven = poll_fn(|context| {
            let lasts = self.may_write();
            if lasts { work.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
        });
        tokio::select! {
            biased;
            done = driven => done,
            () = self.over() => None,
        }
    }

    /// Asks until there is an answer, while the lease is not lost. For what may be done twice, and by anybody.
    pub async fn until_answered<T, F>(&self, what: &str, request: impl FnMut() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, PortError>>,
    {
        tokio::select! {
            biased;
            () = self.lost.cancelled() => Err(EngineError::LeaseLost),
            answer = until_answered(self.ports.clock(), what, request) => Ok(answer?),
        }
    }

    /// Sends a write, only while the lease lasts, until its outcome is definite.
    pub async fn until_definite<F>(&self, what: &str, request: impl Fn() -> F) -> Result<Sent, EngineError>
    where
        F: Future<Output = Result<(), PortError>>,
    {
        let (mut retry, mut given_up) = (Retry::default(), false);
        loop {
            self.permit().await?;
            match self.during(request()).await {
                None => given_up = true,
                Some(Err(error)) if error.fault.reaction() == Reaction::BackOff => {
                    given_up |= error.fault == Fault::Abandoned;
                    retry.outlast(self.ports.clock(), &error, what).await;
                }
                Some(outcome) => return Ok(Sent { outcome, given_up }),
            }
        }
    }

    /// Waits until a write may be sent.
    pub async fn permit(&self) -> Result<(), EngineError> {
        loop {
            let renewed = self.renewed.notified();
            if self.may_write() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return Err(EngineError::LeaseLost),
                () = renewed => {}
            }
        }
    }

    /// Waits until the lease is lost, or ran out unrenewed: from then on somebody else may hold it.
    async fn over(&self) {
        let clock = self.ports.clock();
        while self.may_write() {
            let renewed = self.renewed.notified();
            let left = {
                let state = self.state();
                state.boot_deadline.since(clock.now()).min(state.wall_deadline.since(clock.wall()))
            };
            tokio::select! {
                biased;
                () = self.lost.cancelled() => return,
                () = renewed => {}
                () = clock.sleep(left.max(Duration::from_millis(1))) => {}
            }
        }
    }

    /// Renews the lease four times in its span until it is lost. Owned by the runtime, beside everything else.
    pub async fn keep(&self) -> EngineError {
        let clock = self.ports.clock();
        let pause = self.claimant.duration / 4;
        loop {
            clock.sleep(pause).await;
            let mut retry = Retry::default();
            while let Err(error) = self.renew().await {
                match error {
                    EngineError::Port(port) if port.fault.reaction() == Reaction::BackOff => {
                        tracing::warn!(error = %port, "the lease could not be renewed; trying again");
                        clock.sleep(retry.next(clock).min(pause)).await;
                    }
                    other => {
                        self.lost.cancel();
                        return other;
                    }
                }
            }
        }
    }

    /// Gives the lease back, trying for as long as it is held. `quiet`: no request of ours can still land.
    pub async fn release(&self, quiet: bool) -> Result<(), EngineError> {
        let (mut retry, mut given_up) = (Retry::default(), false);
        let released = loop {
            match self.write(true, quiet).await {
                // Among others: a renewal that was under way when the keeper ended took effect.
                Err(EngineError::Port(error)) if error.fault.reaction() == Reaction::BackOff && self.may_write() => {
                    given_up |= error.fault == Fault::Abandoned;
                    retry.wait(self.ports.clock()).await;
                }
                // A request whose reply was lost has done it.
                Err(EngineError::LeaseLost) if given_up => break Ok(()),
                other => break other.map(|_| ()),
            }
        };
        self.lost.cancel();
        released
    }

    async fn renew(&self) -> Result<(), EngineError> {
        let written = self.write(false, false).await?;
        *self.state.lock() = written;
        self.renewed.notify_waiters();
        Ok(())
    }

    /// Writes the record over the version last known; the deadline counts from now, before it is sent.
    async fn write(&self, released: bool, quiet: bool) -> Result<State, EngineError> {
        let clock = self.ports.clock();
        let span = self.claimant.duration;
        let (boot_deadline, wall_deadline) = (clock.now().plus(span), clock.wall().plus(span));
        let known = self.state().version;
        let body = record(&self.claimant, self.since, released, quiet);
        let entry = encode(&self.key, known + 1, self.epoch, &body)?;
        let guard = Guard::Unchanged { version: known, epoch: self.epoch };
        match self.ports.state().put(&entry, guard).await {
            Ok(()) => Ok(State { version: known + 1, boot_deadline, wall_deadline }),
            Err(error) if error.fault == Fault::Conflict => {
                // A renewal whose reply was lost took effect: the entry is still ours, under a version not yet known.
                let found = self.ports.state().get(&self.key).await?.ok_or(EngineError::LeaseLost)?;
                let holder: LeaseRecord = decode(&found)?;
                if found.epoch != self.epoch || holder.owner != self.claimant.owner {
                    // Somebody may have taken it where an earlier request had given it back.
                    let was_given_back = released && found.version > known + 1;
                    return Err(if was_given_back { EngineError::LeaseLost } else { self.taken() });
                }
                self.state.lock().version = found.version;
                if released && holder.released {
                    // So an earlier request has given it back.
                    return Ok(self.state());
                }
                Err(EngineError::Port(crate::ports::PortError { fault: Fault::Throttled, ..error }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Another process holds the lease. Before its end here, nobody may have taken it.
    fn taken(&self) -> EngineError {
        if self.may_write() {
            let detail = "another process took the lease before it had run out";
            return Violation::new(Invariant::OneWriter, detail).into();
        }
        EngineError::LeaseLost
    }

    fn state(&self) -> State {
        *self.state.lock()
    }
}
