//! The made-up application: fills the table, keeps writing to it, follows a pointer to its successor, and asks its index.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::approvals::{ApprovalKey, INDEX, POINTER_ATTRIBUTE, SETTINGS, SHADOW, SOURCE, approval, event, pointer_key};
use super::book::{Book, Deed};
use crate::aws::{ApplicationTable, AwsPorts, Connection, Update};
use crate::engine::EngineError;
use crate::model::{AttributeValue, Item};
use crate::ports::{Clock, StatePorts};

/// The seed of all items and all deeds.
const SEED: u64 = 0x0073_6861_646f_7774;
/// Writers at the same time.
const WRITERS: u32 = 4;
/// Between two rounds of one writer: about 160 requests a second in all. The emulator looks through all the records that
/// it keeps at every write, and keeps them all; this many leave it idle for the most part, for minutes.
const ROUND: Duration = Duration::from_millis(30);
/// Items of one batch, the service's limit.
const BATCH: u32 = 25;
/// Batches in flight while the table is filled.
const LOADERS: usize = 4;

/// The application.
#[derive(Clone, Debug)]
pub(super) struct Application {
    table: ApplicationTable,
    successor: ApplicationTable,
    settings: ApplicationTable,
}

/// How many requests were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Written {
    pub(super) inserts: u64,
    pub(super) updates: u64,
    pub(super) deletes: u64,
}

impl Written {
    /// Of all kinds.
    pub(super) fn total(self) -> u64 {
        self.inserts + self.updates + self.deletes
    }

    fn plus(self, other: Self) -> Self {
        Self {
            inserts: self.inserts + other.inserts,
            updates: self.updates + other.updates,
            deletes: self.deletes + other.deletes,
        }
    }
}

/// Writers at work. Dropped, they are gone.
#[derive(Debug)]
pub(super) struct Writers {
    tasks: JoinSet<Result<Log, EngineError>>,
    stop: CancellationToken,
    gate: Arc<Gate>,
}

/// What one writer did, or all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// All that was answered.
    pub(super) written: Written,
    /// What was answered by the shadow, in order for each key.
    pub(super) after_switch: Vec<Deed>,
    /// The longest time between two answers around the cutover.
    pub(super) longest_pause: Duration,
}

/// Stops writes to the source: the application's own fence.
#[derive(Debug, Default)]
struct Gate {
    closed: AtomicBool,
    /// Held shared by everybody who writes to the source.
    writing: RwLock<()>,
}

impl Application {
    /// An application that uses the source, and may look at the shadow.
    pub(super) fn new(connection: &Connection) -> Self {
        let table = |name: &str| ApplicationTable::new(connection, name);
        Self { table: table(SOURCE), successor: table(SHADOW), settings: table(SETTINGS) }
    }

    /// Fills the table with `items` approvals; `loaded` is told how many are there.
    pub(super) async fn load(&self, items: u32, mut loaded: impl FnMut(u32)) -> Result<(), EngineError> {
        let mut rng = Rng::with_seed(SEED);
        let (mut tasks, mut begun, mut done) = (JoinSet::new(), 0, 0);
        loop {
            while begun < items && tasks.len() < LOADERS {
                let until = items.min(begun + BATCH);
                let batch: Vec<_> =
                    (begun..until).map(|number| approval(&ApprovalKey::numbered(number), &mut rng)).collect();
                let table = self.table.clone();
                tasks.spawn(async move { table.put_all(batch).await.map(|()| until - begun) });
                begun = until;
            }
            match tasks.join_next().await {
                Some(put) => {
                    done += put.map_err(|error| EngineError::Task(error.to_string()))??;
                    loaded(done);
                }
                None => return Ok(()),
            }
        }
    }

    /// Makes the item that names the table which the application uses.
    pub(super) async fn make_pointer(&self) -> Result<(), EngineError> {
        let mut pointer = pointer_key();
        pointer.insert(POINTER_ATTRIBUTE.to_owned(), AttributeValue::S(SOURCE.to_owned()));
        Ok(self.settings.put(Item::new(pointer)).await?)
    }

    /// Starts to write to a table that holds the first `items` approvals.
    pub(super) fn start(&self, items: u32, clock: &Arc<AwsPorts>) -> Writers {
        let (mut tasks, stop, gate) = (JoinSet::new(), CancellationToken::new(), Arc::<Gate>::default());
        for writer in 0..WRITERS {
            let book = Book::new(SEED, writer, WRITERS, items);
            tasks.spawn(self.clone().write(book, Arc::clone(&gate), Arc::clone(clock), stop.clone()));
        }
        Writers { tasks, stop, gate }
    }

    /// Writes round by round until stopped. A request that was begun is finished. While the source is closed, it waits
    /// until the pointer names another table, and goes on there.
    async fn write(
        self,
        mut book: Book,
        gate: Arc<Gate>,
        ports: Arc<AwsPorts>,
        stop: CancellationToken,
    ) -> Result<Log, EngineError> {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut log, mut switched) = (Log::default(), false);
        let mut answered = ports.clock().now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(log),
                _ = rounds.tick() => {}
            }
            let writing = gate.writing.read().await;
            if !switched && gate.closed.load(Ordering::Acquire) {
                drop(writing);
                switched = self.is_switched().await?;
                continue;
            }
            let table = if switched { &self.successor } else { &self.table };
            for deed in book.next() {
                carry_out(table, deed.clone(), &mut log.written).await?;
                let now = ports.clock().now();
                if switched {
                    log.after_switch.push(deed);
                    log.longest_pause = log.longest_pause.max(now.since(answered));
                }
                answered = now;
            }
        }
    }

    /// Whether the pointer names the shadow.
    async fn is_switched(&self) -> Result<bool, EngineError> {
        let pointer = self.settings.get(pointer_key()).await?;
        let named = pointer.as_ref().and_then(|pointer| pointer.get(POINTER_ATTRIBUTE)?.as_s().ok());
        Ok(named.is_some_and(|named| named == SHADOW))
    }

    /// What the indexes of source and shadow hold for a user.
    pub(super) async fn approvals_of(&self, user: &str) -> Result<(Vec<Item>, Vec<Item>), EngineError> {
        let source = self.table.query(INDEX, "user_id", user).await?;
        Ok((source, self.successor.query(INDEX, "user_id", user).await?))
    }
}

async fn carry_out(table: &ApplicationTable, deed: Deed, written: &mut Written) -> Result<(), EngineError> {
    match deed {
        Deed::Insert(item) => {
            table.put(item).await?;
            written.inserts += 1;
        }
        Deed::Update { key, status } => {
            let update = Update {
                expression: "SET #status = :status, history = list_append(history, :event) ADD revision :one",
                names: [("#status", "status")],
                values: [
                    (":status", AttributeValue::S(status.to_owned())),
                    (":event", AttributeValue::L(vec![event(status, 1)])),
                    (":one", AttributeValue::N("1".into())),
                ],
            };
            table.update(key.attributes(), update).await?;
            written.updates += 1;
        }
        Deed::Delete(key) => {
            table.delete(key.attributes()).await?;
            written.deletes += 1;
        }
    }
    Ok(())
}

impl Writers {
    /// Closes the source: when this returns, every write to it has been answered, and none will be sent any more.
    pub(super) async fn fence(&self) {
        self.gate.closed.store(true, Ordering::Release);
        drop(self.gate.writing.write().await);
    }

    /// Resolves when a writer ends by itself, which only an error makes it do.
    pub(super) async fn failed(&mut self) -> EngineError {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => EngineError::Task(error.to_string()),
            Some(Ok(Ok(_))) | None => EngineError::Task("a writer of the demo ended too early".into()),
        }
    }

    /// Lets every writer finish its request. What they did in all.
    pub(super) async fn stop(mut self) -> Result<Log, EngineError> {
        self.stop.cancel();
        let mut all = Log::default();
        while let Some(ended) = self.tasks.join_next().await {
            let log = ended.map_err(|error| EngineError::Task(error.to_string()))??;
            all.written = all.written.plus(log.written);
            all.after_switch.extend(log.after_switch);
            all.longest_pause = all.longest_pause.max(log.longest_pause);
        }
        Ok(all)
    }
}
