//! What an operator does from any machine with credentials for the state table.
//!
//! | file | does |
//! |---|---|
//! | this | every look at the state table, ending a migration, and taking a dead holder's lease |
//! | `command` | asks the active process, and tells what came of it |
//! | `reseed` | starts over with an empty shadow |
//! | `forget` | removes an ended migration |
//! | `retry` | outlasts a fault, but not for long: somebody waits at a terminal |
//!
//! Looking needs no lease. What changes a migration is done by its active process, or, where nobody holds the lease, under it
//! (`alone`), so that it cannot meet with another writer.

mod command;
mod forget;
mod reseed;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use self::command::command;
pub use self::forget::forget;
pub use self::reseed::reseed;
use self::retry::{patiently, put_new};
use crate::engine::EngineError;
use crate::engine::state::entities::{
    DirectoryRecord, EVENT_SECONDS, EventRecord, LeaseRecord, Live, Meta, QuarantineRecord, RestlessRecord,
};
use crate::engine::state::entry::{
    DIRECTORY, EVENT, LEASE, LIVE, META, QUARANTINE, RESTLESS, decode, encode, partition_of, unique_name,
};
use crate::engine::state::holder::Holder;
use crate::engine::state::journal::{Journal, Trail};
use crate::engine::state::lease::{Acquired, acquire};
use crate::engine::state::store::Store;
use crate::model::Timestamp;
use crate::ports::{Clock, Entry, Fault, Guard, StateKey, StatePorts, StateStore};
use crate::protocol::command::Verb;
use crate::protocol::phase::Event;
use crate::runtime::{Job, Status};

/// How often something is looked at that is waited for.
const POLL: Duration = Duration::from_millis(200);

/// A migration as its entries show it.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The migration.
    pub meta: Meta,
    /// Who holds, or last held, the lease.
    pub lease: Option<LeaseRecord>,
    /// Its counter, which moves while the holder is alive.
    pub lease_counter: u64,
    /// What the holder said last, and when.
    pub live: Option<(Timestamp, Status)>,
}

/// The ids of all migrations in the state table.
pub async fn migrations<P: StatePorts>(ports: &P) -> Result<Vec<String>, EngineError> {
    let entries = patiently(ports.clock(), || ports.state().list(DIRECTORY, "")).await?;
    entries.iter().map(|entry| Ok(decode::<DirectoryRecord>(entry)?.migration)).collect()
}

/// One migration, or `None` when the state table does not know it.
pub async fn overview<P: StatePorts>(ports: &P, migration: &str) -> Result<Option<Overview>, EngineError> {
    let Some(meta) = get(ports, migration, META).await? else { return Ok(None) };
    let meta: Meta = decode(&meta)?;
    let lease = lease_of(ports, migration).await?;
    let live = match get(ports, migration, LIVE).await? {
        Some(entry) => {
            let live: Live = decode(&entry)?;
            serde_json::from_value(live.status).ok().map(|status| (live.at, status))
        }
        None => None,
    };
    let (lease, lease_counter) = lease.map_or((None, 0), |(lease, counter)| (Some(lease), counter));
    Ok(Some(Overview { meta, lease, lease_counter, live }))
}

/// Everything in quarantine.
pub async fn quarantine<P: StatePorts>(ports: &P, migration: &str) -> Result<Vec<QuarantineRecord>, EngineError> {
    list(ports, migration, QUARANTINE).await?.iter().map(decode).collect()
}

/// The source keys that still changed when the drain of this cutover failed.
pub async fn restless<P: StatePorts>(ports: &P, migration: &str, cutover: &str) -> Result<Vec<Value>, EngineError> {
    let found = get(ports, migration, RESTLESS).await?.as_ref().map(decode::<RestlessRecord>).transpose()?;
    Ok(found.filter(|found| found.cutover == cutover).map(|found| found.keys).unwrap_or_default())
}

/// The audit trail, oldest first.
pub async fn audit<P: StatePorts>(ports: &P, migration: &str) -> Result<Vec<EventRecord>, EngineError> {
    let entries = list(ports, migration, EVENT).await?;
    let mut events: Vec<EventRecord> = entries.iter().map(decode).collect::<Result<_, _>>()?;
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// Whether somebody holds the lease: its counter moves, or has not stood still for long enough to tell.
pub async fn is_held<P: StatePorts>(ports: &P, migration: &str) -> Result<bool, EngineError> {
    let clock = ports.clock();
    let mut holder = Holder::default();
    loop {
        let alive = holder.is_alive(lease_of(ports, migration).await?, clock.now());
        if !alive || holder.has_moved() {
            return Ok(alive);
        }
        clock.sleep(POLL).await;
    }
}

/// What came of asking for the end of a migration.
#[derive(Debug)]
pub enum Aborted {
    /// It has ended, and is this.
    Done(Box<Overview>),
    /// Its active process refuses, for this reason.
    Refused(String),
}

/// Ends a migration: through its active process, or by taking the lease where nobody holds it.
pub async fn abort<P: StatePorts>(ports: &Arc<P>, migration: &str, job: &OperatorJob) -> Result<Aborted, EngineError> {
    require(&**ports, migration).await?;
    if is_held(&**ports, migration).await? {
        let answer = command(&**ports, migration, &job.who, Verb::Abort).await?;
        if !answer.done {
            return Ok(Aborted::Refused(answer.message));
        }
    } else {
        alone(ports, migration, job, async |journal| journal.transition(Event::Abort, None).await).await?;
    }
    Ok(Aborted::Done(Box::new(require(&**ports, migration).await?)))
}

/// Gives back the lease of a holder that is known to be dead, so that nobody waits until it runs out. Refused while its
/// counter moves. Returns what was given back.
pub async fn release_lease<P: StatePorts>(ports: &P, migration: &str, who: &str) -> Result<LeaseRecord, EngineError> {
    let clock = ports.clock();
    let nobody =
        || EngineError::refused(format!("nobody holds the lease of migration {migration}"), "start `shadowtable run`");
    let alive = |record: &LeaseRecord| {
        EngineError::refused(
            format!("the holder {} on {} is alive: it renews the lease", record.owner, record.host),
            "stop that process; its standby takes over at once",
        )
    };
    let held = async || match get(ports, migration, LEASE).await? {
        Some(entry) => Ok(Some((decode::<LeaseRecord>(&entry)?, entry)).filter(|(record, _)| !record.released)),
        None => Ok::<_, EngineError>(None),
    };
    let (record, entry) = held().await?.ok_or_else(nobody)?;
    // A holder renews four times in its span.
    clock.sleep(Duration::from_millis(record.duration_millis) / 2).await;
    let (_, later) = held().await?.ok_or_else(nobody)?;
    if later.version != entry.version {
        return Err(alive(&record));
    }
    // What it sent may still land.
    let released = LeaseRecord { released: true, quiet: false, ..record.clone() };
    let guard = Guard::Unchanged { version: entry.version, epoch: entry.epoch };
    let released = encode(&entry.key, entry.version + 1, entry.epoch, &released)?;
    match patiently(clock, || ports.state().put(&released, guard)).await {
        Ok(()) => {
            let what = format!("the lease of {} on {} was released by force, by {who}", record.owner, record.host);
            note(ports, migration, entry.epoch, &what).await?;
            Ok(record)
        }
        Err(error) if error.fault == Fault::Conflict => match held().await? {
            Some((_, found)) if found.epoch == entry.epoch => Err(alive(&record)),
            // A request that was given up was done, or it was given back or taken meanwhile: it is no longer held so.
            _ => Ok(record),
        },
        Err(error) => Err(error.into()),
    }
}

/// Adds a line to the audit trail, without a lease.
async fn note<P: StatePorts>(ports: &P, migration: &str, epoch: u64, what: &str) -> Result<(), EngineError> {
    let (clock, at) = (ports.clock(), ports.clock().service());
    let key = StateKey { partition: partition_of(migration), sort: format!("{EVENT}{}", unique_name(clock)) };
    let event = EventRecord { at, owner: "an operator".to_owned(), what: what.to_owned() };
    let entry = Entry { expires: Some(at.millis() / 1000 + EVENT_SECONDS), ..encode(&key, 1, epoch, &event)? };
    Ok(put_new(clock, ports.state(), &entry, &mut None).await?)
}

/// What taking the lease needs.
#[derive(Clone, Debug)]
pub struct OperatorJob {
    /// How long the lease lasts.
    pub lease: Duration,
    /// The abandonment bound.
    pub abandon: Duration,
    /// This machine's name, for people.
    pub host: String,
    /// Who does it, for the audit trail.
    pub who: String,
}

impl OperatorJob {
    /// As configured for a migration.
    pub fn of(job: &Job) -> Self {
        Self {
            lease: job.engine.lease.duration,
            abandon: job.engine.apply.abandon,
            host: job.host.clone(),
            who: job.who.clone(),
        }
    }
}

/// Does something under the lease, while nobody else holds it.
async fn alone<P: StatePorts>(
    ports: &Arc<P>,
    migration: &str,
    job: &OperatorJob,
    act: impl AsyncFnOnce(&mut Journal<P>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let clock = ports.clock();
    let claimant = crate::engine::state::lease::Claimant {
        owner: unique_name(clock),
        host: job.host.clone(),
        duration: job.lease,
        abandon: job.abandon,
    };
    let partition = partition_of(migration);
    let Acquired { lease, settle } = acquire(ports, &partition, &claimant, |_| {}).await?;
    let store = Store::new(Arc::clone(ports), Arc::clone(&lease), partition, job.abandon);
    let work = async {
        clock.sleep(settle).await;
        let trail = Trail::new(Arc::new(store), Arc::new(|_| {}));
        let mut journal = Journal::open(trail, Some(job.who.clone())).await?.ok_or_else(|| unknown(migration))?;
        act(&mut journal).await
    };
    let done = tokio::select! {
        biased;
        error = lease.keep() => Err(error),
        done = work => done,
    };
    lease.release(done.is_ok()).await?;
    done
}

async fn lease_of<P: StatePorts>(ports: &P, migration: &str) -> Result<Option<(LeaseRecord, u64)>, EngineError> {
    match get(ports, migration, LEASE).await? {
        Some(entry) => Ok(Some((decode(&entry)?, entry.version))),
        None => Ok(None),
    }
}

async fn get<P: StatePorts>(ports: &P, migration: &str, sort: &str) -> Result<Option<Entry>, EngineError> {
    let key = StateKey { partition: partition_of(migration), sort: sort.into() };
    Ok(patiently(ports.clock(), || ports.state().get(&key)).await?)
}

async fn list<P: StatePorts>(ports: &P, migration: &str, prefix: &str) -> Result<Vec<Entry>, EngineError> {
    let partition = partition_of(migration);
    Ok(patiently(ports.clock(), || ports.state().list(&partition, prefix)).await?)
}

/// One migration; one that the state table does not know is refused.
pub async fn require<P: StatePorts>(ports: &P, migration: &str) -> Result<Overview, EngineError> {
    overview(ports, migration).await?.ok_or_else(|| unknown(migration))
}

fn unknown(migration: &str) -> EngineError {
    EngineError::refused(
        format!("the state table knows no migration {migration}"),
        "see `shadowtable list`; `shadowtable run` begins one",
    )
}
