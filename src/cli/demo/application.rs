//! The made-up application: fills the table, keeps writing to it, and asks its index.

use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::approvals::{ApprovalKey, INDEX, SHADOW, SOURCE, approval, event};
use super::book::{Book, Deed};
use crate::aws::{ApplicationTable, Connection, Update};
use crate::engine::EngineError;
use crate::model::{AttributeValue, Item};

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
    tasks: JoinSet<Result<Written, EngineError>>,
    stop: CancellationToken,
    written: Written,
}

impl Application {
    /// An application that uses the source, and may look at the shadow.
    pub(super) fn new(connection: &Connection) -> Self {
        let table = |name: &str| ApplicationTable::new(connection, name);
        Self { table: table(SOURCE), successor: table(SHADOW) }
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

    /// Starts to write to a table that holds the first `items` approvals.
    pub(super) fn start(&self, items: u32) -> Writers {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for writer in 0..WRITERS {
            let book = Book::new(SEED, writer, WRITERS, items);
            tasks.spawn(self.clone().write(book, stop.clone()));
        }
        Writers { tasks, stop, written: Written::default() }
    }

    /// Writes round by round until stopped. A request that was begun is finished.
    async fn write(self, mut book: Book, stop: CancellationToken) -> Result<Written, EngineError> {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = Written::default();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(written),
                _ = rounds.tick() => {}
            }
            for deed in book.next() {
                self.carry_out(deed, &mut written).await?;
            }
        }
    }

    async fn carry_out(&self, deed: Deed, written: &mut Written) -> Result<(), EngineError> {
        match deed {
            Deed::Insert(item) => {
                self.table.put(item).await?;
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
                self.table.update(key.attributes(), update).await?;
                written.updates += 1;
            }
            Deed::Delete(key) => {
                self.table.delete(key.attributes()).await?;
                written.deletes += 1;
            }
        }
        Ok(())
    }

    /// What the indexes of source and shadow hold for a user.
    pub(super) async fn approvals_of(&self, user: &str) -> Result<(Vec<Item>, Vec<Item>), EngineError> {
        let source = self.table.query(INDEX, "user_id", user).await?;
        Ok((source, self.successor.query(INDEX, "user_id", user).await?))
    }
}

impl Writers {
    /// Resolves when a writer ends by itself, which only an error makes it do.
    pub(super) async fn failed(&mut self) -> EngineError {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => EngineError::Task(error.to_string()),
            Some(Ok(Ok(_))) | None => EngineError::Task("a writer of the demo ended too early".into()),
        }
    }

    /// Lets every writer finish its request. What they wrote in all.
    pub(super) async fn stop(mut self) -> Result<Written, EngineError> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            self.written = self.written.plus(ended.map_err(|error| EngineError::Task(error.to_string()))??);
        }
        Ok(self.written)
    }
}
