//! Reads a table's stream by shards and offers its changes.
//!
//! One task lists shards, asks what continues finished ones, and starts readers for those whose parent is finished and stored
//! (invariant 4). Each reader offers its shard's changes in order. One task saves checkpoints behind what is settled (invariant
//! 3), and looks for lost history (invariant 8). What may be read, and from where, is decided in `protocol::lineage`.

mod asked;
mod board;
mod checkpoint;
mod discover;
mod listing;
mod pin;
mod reader;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use self::asked::Asked;
use self::board::Board;
use self::listing::Lister;
pub use self::pin::{Pinned, pin};
use super::Replication;
use super::apply::Applier;
use crate::engine::error::EngineError;
use crate::engine::settings::{LeaseSettings, TailSettings};
use crate::engine::state::entities::Pin;
use crate::engine::state::entry::shards_of;
use crate::engine::state::store::Stored;
use crate::engine::watched::Watched;
use crate::model::{Timestamp, ViewType};
use crate::ports::{Clock, Ports, RecordsPage};
use crate::protocol::command::Paused;
use crate::protocol::leg::Intake;
use crate::protocol::lineage::{Lineage, ShardRecord};
use crate::protocol::room::Footprint;

/// Requests to shards under way at most: each holds a connection, of 80 KB and a file descriptor. Answered within 10 ms, they are 25,000
/// a second, as many as 6,000 busy shards are asked.
const REQUESTS: usize = 256;

/// The tail of one leg.
pub struct Tail<P> {
    on: Replication<P>,
    applier: Arc<Applier<P>>,
    settings: TailSettings,
    lease: LeaseSettings,
    pin: Pin,
    board: Mutex<Board>,
    /// What a record takes in memory.
    footprint: Mutex<Footprint>,
    /// What its records carry: without new images, items are read back.
    view: ViewType,
    /// First pages of shards pinned by this process.
    live: Mutex<HashMap<String, RecordsPage>>,
    paused: Arc<Watched<Paused>>,
    /// Requests to shards that may be sent now.
    requests: Semaphore,
    /// Held while checkpoints are stored: each is stored over the version stored before.
    saving: tokio::sync::Mutex<()>,
    /// A shard's end was seen: its final checkpoint is due.
    turned: Notify,
    /// A shard's final checkpoint was stored: its children may be read.
    finished: Notify,
    /// Shards are there that may not be read yet, or may be now.
    found: Notify,
    /// All shards are to be listed now.
    list_soon: Notify,
    lister: Lister<P>,
    /// Held while shards are taken in: each is stored behind its parent.
    taking: tokio::sync::Mutex<()>,
}

/// The figures of the tail, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TailFigures {
    /// The age of the oldest change that may not be durable; not known until this process has seen a listing.
    pub lag: Option<Duration>,
    /// Since the last successful poll of the shard that waits longest for one; `None` before the first.
    pub since_poll: Option<Duration>,
    /// The oldest known-through time of all shards that are not finished.
    pub known_through: Timestamp,
    /// The same as it is stored: from there a restart would read again.
    pub stored_through: Timestamp,
    /// Whether every shard is caught up and nothing is pending.
    pub caught_up: bool,
    /// Shards being read.
    pub open: usize,
    /// Shards known and not yet read.
    pub waiting: usize,
    /// Shards read to their end.
    pub finished: usize,
    /// When the last change arrived.
    pub last_change: Option<Timestamp>,
}

/// What stands against it that a stream was read without finding a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disturbance {
    /// No listing was asked for since then.
    #[error("the stream's shards were not listed yet since then")]
    NotListed,
    /// Listings are inconsistent.
    #[error("a listing showed a shard whose parent is not known")]
    Orphan,
    /// Its children may hold changes.
    #[error("shard {0} ended, and what continues it is not listed yet")]
    Unfollowed(String),
    /// Nobody reads this shard.
    #[error("shard {0} is not being read")]
    NotRead(String),
    /// Changes of this shard are offered and not applied.
    #[error("changes of shard {0} are not durable yet")]
    NotDurable(String),
    /// Its last poll was too long ago.
    #[error("shard {0} does not answer")]
    Silent(String),
    /// There is no shard to read.
    #[error("no shard is open")]
    NothingOpen,
}

/// What a page brought.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    /// Records on it.
    records: usize,
    /// Those that a request made: an expiry is nobody's doing.
    by_requests: usize,
}

/// What the tail is built from besides its ports.
pub struct TailParts {
    /// Where it begins.
    pub pin: Pin,
    /// First pages of shards that were pinned just now.
    pub live: HashMap<String, RecordsPage>,
    /// What the stream's records carry.
    pub view: ViewType,
    /// How it reads.
    pub settings: TailSettings,
    /// How often it saves.
    pub lease: LeaseSettings,
    /// What an operator paused.
    pub paused: Arc<Watched<Paused>>,
}

impl<P: Ports> Tail<P> {
    /// Resumes from stored checkpoints. Fails at once when history was lost meanwhile.
    pub async fn resume(on: Replication<P>, applier: Arc<Applier<P>>, from: TailParts) -> Result<Self, EngineError> {
        let stored: Vec<Stored<ShardRecord>> = on.store.load_all(&shards_of(on.leg)).await?;
        let mut lineage = Lineage::restore(stored.iter().map(|stored| stored.value.clone()), from.pin.at);
        if applier.intake() != Intake::Open {
            lineage.close();
        }
        if let Some(lost) = lineage.lost(from.settings.retention_margin, on.clock().service()) {
            return Err(lost.into());
        }
        let TailParts { pin, live, view, settings, lease, paused } = from;
        let board = Mutex::new(Board::new(lineage, stored));
        let footprint = Mutex::new(if view.has_new_images() { Footprint::default() } else { Footprint::largest() });
        let lister = Lister::new(on.clone(), &pin.stream_arn);
        Ok(Self {
            on,
            applier,
            settings,
            lease,
            pin,
            board,
            footprint,
            view,
            live: Mutex::new(live),
            paused,
            requests: Semaphore::new(REQUESTS),
            saving: tokio::sync::Mutex::default(),
            turned: Notify::new(),
            finished: Notify::new(),
            found: Notify::new(),
            list_soon: Notify::new(),
            lister,
            taking: tokio::sync::Mutex::default(),
        })
    }

    /// Reads until cancelled, or until something stops it.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), EngineError> {
        let saving = Arc::clone(&self);
        let reading = async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                ended = self.discover() => ended,
            }
        };
        // Reading stops at once; a checkpoint that is being stored is waited for, since it is not known otherwise under
        // which version the next one must be stored.
        tokio::try_join!(reading, saving.keep_checkpoints(&stop)).map(|((), ())| ())
    }

    /// The figures of this moment.
    pub fn figures(&self) -> TailFigures {
        let now = self.on.clock().latest_service();
        let applier = &self.applier;
        self.board().figures(self.settings.caught_up, self.pin.at, now, |reader| applier.progress(reader))
    }

    /// For how long, from `since` on and until a moment ago, every shard was polled without finding a change that a
    /// request made; or what stands against that.
    pub fn undisturbed(&self, since: Timestamp) -> Result<Duration, Disturbance> {
        let (now, applier) = (self.on.clock().service(), &self.applier);
        self.board().undisturbed(since, now, self.settings.caught_up, |reader| applier.progress(reader))
    }

    /// When the stream's shards were last listed.
    pub fn listed(&self) -> Option<Timestamp> {
        self.board().lineage.listed()
    }

    /// Lists the stream's shards soon.
    pub fn list_soon(&self) {
        self.list_soon.notify_one();
    }

    fn footprint(&self) -> MutexGuard<'_, Footprint> {
        self.footprint.lock()
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, RecordsPage>> {
        self.live.lock()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock()
    }
}
