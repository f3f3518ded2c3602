//! The made-up application: fills the table, keeps writing to it, and asks its index.
//!
//! It stands for somebody else's program, so it calls the SDK by itself, not through the migration's ports.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use aws_smithy_types::error::display::DisplayErrorContext;
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::approvals::{ApprovalKey, INDEX, SOURCE, approval, event};
use super::book::{Book, Deed};
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
    client: Client,
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
    /// An application that reaches the table by `client`.
    pub(super) fn new(client: Client) -> Self {
        Self { client }
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
                let application = self.clone();
                tasks.spawn(async move { application.put_batch(batch).await.map(|()| until - begun) });
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

    async fn put_batch(&self, batch: Vec<Item>) -> Result<(), EngineError> {
        let puts = batch.into_iter().map(|item| PutRequest::builder().set_item(Some(item.into_attributes())).build());
        let requests: Result<Vec<_>, _> =
            puts.map(|put| put.map(|put| WriteRequest::builder().put_request(put).build())).collect();
        let mut left = requests.map_err(|error| failed("BatchWriteItem", &error))?;
        while !left.is_empty() {
            let sent = self.client.batch_write_item().request_items(SOURCE, left).send().await;
            let reply = sent.map_err(|error| failed("BatchWriteItem", &DisplayErrorContext(error)))?;
            left = reply.unprocessed_items.and_then(|mut items| items.remove(SOURCE)).unwrap_or_default();
        }
        Ok(())
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
                let put = self.client.put_item().table_name(SOURCE).set_item(Some(item.into_attributes()));
                put.send().await.map_err(|error| failed("PutItem", &DisplayErrorContext(error)))?;
                written.inserts += 1;
            }
            Deed::Update { key, status } => {
                let update = self
                    .client
                    .update_item()
                    .table_name(SOURCE)
                    .set_key(Some(key.attributes()))
                    .update_expression(
                        "SET #status = :status, history = list_append(history, :event) ADD revision :one",
                    )
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":status", AttributeValue::S(status.to_owned()))
                    .expression_attribute_values(":event", AttributeValue::L(vec![event(status, 1)]))
                    .expression_attribute_values(":one", AttributeValue::N("1".into()));
                update.send().await.map_err(|error| failed("UpdateItem", &DisplayErrorContext(error)))?;
                written.updates += 1;
            }
            Deed::Delete(key) => {
                let delete = self.client.delete_item().table_name(SOURCE).set_key(Some(key.attributes()));
                delete.send().await.map_err(|error| failed("DeleteItem", &DisplayErrorContext(error)))?;
                written.deletes += 1;
            }
        }
        Ok(())
    }

    /// What the index of `table` holds for a user: its first page.
    pub(super) async fn approvals_of(&self, user: &str, table: &str) -> Result<Vec<Item>, EngineError> {
        let query = self
            .client
            .query()
            .table_name(table)
            .index_name(INDEX)
            .key_condition_expression("user_id = :user")
            .expression_attribute_values(":user", AttributeValue::S(user.to_owned()));
        let reply = query.send().await.map_err(|error| failed("Query", &DisplayErrorContext(error)))?;
        Ok(reply.items.unwrap_or_default().into_iter().map(Item::new).collect())
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

fn failed(operation: &str, error: &dyn fmt::Display) -> EngineError {
    EngineError::refused(
        format!("the demo's application failed: {operation} on {SOURCE}: {error}"),
        "the embedded DynamoDB answers it: try again with fewer --items",
    )
}
