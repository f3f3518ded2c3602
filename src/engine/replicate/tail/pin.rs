//! Pins the stream, before the first Scan.

use std::collections::{BTreeSet, HashMap};

use super::listing::Lister;
use crate::engine::error::EngineError;
use crate::engine::parallel::for_each;
use crate::engine::replicate::Replication;
use crate::engine::retry::Retry;
use crate::engine::state::entities::Pin;
use crate::engine::state::entry::{pin_sort, shard_sort, shards_of};
use crate::model::{ListedShard, StartAt, Timestamp};
use crate::ports::{ChangeFeed, Clock, Fault, PortError, Ports, Reaction, RecordsPage};
use crate::protocol::lineage::{ShardRecord, ShardStage};

/// A fresh pin.
pub struct Pinned {
    /// What was stored.
    pub pin: Pin,
    /// The first page of each pinned shard, with the iterator that goes on from it. They live in this process only: a
    /// restart reads those shards from their beginning.
    pub live: HashMap<String, RecordsPage>,
}

/// Gives every open shard a position at its end and stores that. Everything that was written before is shown by the
/// copy, which begins after it. An earlier, unfinished pin is made anew: nothing was copied behind it.
pub async fn pin<P: Ports>(on: &Replication<P>, table_id: &str, stream_arn: &str) -> Result<Pinned, EngineError> {
    let store = &on.store;
    let stale = store.load_all::<ShardRecord>(&shards_of(on.leg)).await?;
    for_each(stale, |stale| async move { store.delete(&stale.sort).await }).await?;
    // The first reply tells the service's clock; the pin's time is read after it and before any shard is pinned.
    again(on.clock(), async || on.feed().shards(stream_arn, None).await).await?;
    let at = on.clock().service();
    let listing = Lister::new(on.clone(), stream_arn).all().await?.shards;
    let parents: BTreeSet<&str> = listing.iter().filter_map(|shard| shard.parent.as_deref()).collect();
    // A shard with children is closed, whatever else is said of it: all it holds was written before the pin.
    let is_closed = |shard: &ListedShard| parents.contains(shard.id.as_str());
    let pinned = for_each(&listing, |shard| pin_shard(on, stream_arn, shard, is_closed(shard), at)).await?;
    let live: HashMap<String, RecordsPage> = pinned.into_iter().flatten().collect();
    let pin = Pin { stream_arn: stream_arn.to_owned(), table_id: table_id.to_owned(), at };
    store.replace(&pin_sort(on.leg), &pin).await?;
    tracing::info!(shards = listing.len(), open = live.len(), "the stream is pinned");
    Ok(Pinned { pin, live })
}

/// Reads a shard once at its end, unless it is closed, and stores how far it is: up to the pin.
async fn pin_shard<P: Ports>(
    on: &Replication<P>,
    stream_arn: &str,
    shard: &ListedShard,
    is_closed: bool,
    at: Timestamp,
) -> Result<Option<(String, RecordsPage)>, EngineError> {
    let page = if is_closed {
        None
    } else {
        let page = again(on.clock(), async || {
            let iterator = on.feed().iterator(stream_arn, &shard.id, &StartAt::Latest).await?;
            on.feed().records(&iterator, 1).await
        });
        Some(page.await?).filter(|page| page.next.is_some())
    };
    let stage = if page.is_some() { ShardStage::Pinned } else { ShardStage::BeforePin };
    let (shard, parent) = (shard.id.clone(), shard.parent.clone());
    let record = ShardRecord { shard, parent, stage, position: None, created: None, known_through: at };
    let mut stored = on.store.create(&shard_sort(on.leg, &record.shard), &record).await?;
    if stored.value != record {
        // A request of an earlier pin landed after that was cleared away.
        on.store.update(&mut stored, record).await?;
    }
    Ok(page.map(|page| (stored.value.shard, page)))
}

/// Tries a request again until it is answered.
async fn again<T>(clock: &impl Clock, request: impl AsyncFn() -> Result<T, PortError>) -> Result<T, EngineError> {
    let mut retry = Retry::default();
    loop {
        match request().await {
            // An iterator that expired before its first use, on a machine that was suspended, is asked for anew.
            Err(error) if error.fault.reaction() == Reaction::BackOff || error.fault == Fault::IteratorExpired => {
                retry.outlast(clock, &error, "the stream could not be pinned").await;
            }
            other => return Ok(other?),
        }
    }
}
