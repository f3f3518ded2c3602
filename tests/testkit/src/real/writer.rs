//! Writers from outside: applications that go on using the source meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::ReturnValue;
use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::clock;
use super::items::{self, STATUSES, n, s};
use super::normal;
use super::table::{Item, Table};

/// What the writers do. Keys are those of [`items::key`].
#[derive(Clone)]
pub struct Plan {
    /// Keys 0 up to here are written. Each belongs to one worker, so that the order of its writes is known.
    pub keys: usize,
    /// So many of the first keys are written by all workers, and far more often. They are not remembered.
    pub hot: usize,
    pub workers: u8,
    pub writes_per_second: f64,
    /// Weights of: put, update, delete, delete and re-insert.
    pub mix: [u32; 4],
}

impl Default for Plan {
    /// A little of everything, slow enough for the embedded endpoint on a busy machine.
    fn default() -> Self {
        Self { keys: 200, hot: 2, workers: 4, writes_per_second: 60.0, mix: [3, 4, 2, 1] }
    }
}

/// Writers at work.
pub struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    workers: JoinSet<HashMap<usize, Option<Item>>>,
    table: Table,
    handle: Handle,
}

/// What the writers did.
pub struct Tally {
    pub acknowledged: u64,
    /// The last acknowledged image of each key that one worker owns; `None` where it was deleted.
    images: HashMap<usize, Option<Item>>,
    table: Table,
}

impl Writers {
    pub fn start(table: &Table, plan: &Plan, seed: u64, handle: &Handle) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for number in 0..plan.workers {
            let worker = Worker {
                number,
                plan: plan.clone(),
                table: table.clone(),
                rng: Rng::with_seed(seed.wrapping_add(number.into())),
                acknowledged: Arc::clone(&acknowledged),
                images: HashMap::new(),
            };
            workers.spawn_on(worker.work(Arc::clone(&stop)), handle);
        }
        Self { stop, acknowledged, workers, table: table.clone(), handle: handle.clone() }
    }

    /// Waits until so many more writes have been acknowledged.
    pub fn wait_for(&self, more: u64) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        clock::wait_for("the writers", || match self.acknowledged.load(Ordering::Relaxed) {
            done if done >= goal => Ok(()),
            done => Err(format!("{done} of {goal} writes were acknowledged")),
        });
    }

    /// Stops the writers, and makes sure that they and the source agree.
    pub fn finish(self) {
        let disagreements = self.stop().disagreements();
        assert!(disagreements.is_empty(), "{disagreements:#?}");
    }

    /// Lets every worker finish what it has begun.
    pub fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let workers = std::mem::take(&mut self.workers);
        let images = self.handle.block_on(workers.join_all()).into_iter().flatten().collect();
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        Tally { acknowledged, images, table: self.table.clone() }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    /// The source must hold what was acknowledged: otherwise the test itself is broken.
    pub fn disagreements(&self) -> Vec<String> {
        let keys = self.table.layout.keys;
        let source: HashMap<_, _> = self
            .table
            .scan()
            .iter()
            .map(|item| (format!("{:?}", normal::image(&self.table.key_of(item))), normal::image(item)))
            .collect();
        let mut found = Vec::new();
        for (&number, written) in &self.images {
            let key = format!("{:?}", normal::image(&items::key(keys, number)));
            if source.get(&key) != written.as_ref().map(normal::image).as_ref() {
                found.push(format!("{key}: the source does not hold what was acknowledged last"));
            }
        }
        found
    }
}

struct Worker {
    number: u8,
    plan: Plan,
    table: Table,
    rng: Rng,
    acknowledged: Arc<AtomicU64>,
    images: HashMap<usize, Option<Item>>,
}

impl Worker {
    async fn work(mut self, stop: Arc<AtomicBool>) -> HashMap<usize, Option<Item>> {
        let pause = Duration::from_secs_f64(f64::from(self.plan.workers) / self.plan.writes_per_second);
        let mut next = clock::now();
        while !stop.load(Ordering::Relaxed) {
            self.act().await;
            // A slow endpoint lowers the rate; what was missed is not made up for.
            next = (next + pause).max(clock::now());
            tokio::time::sleep_until(next.into()).await;
        }
        self.images
    }

    async fn act(&mut self) {
        if self.plan.hot > 0 && self.rng.u8(..4) == 0 {
            let hot = self.rng.usize(..self.plan.hot);
            self.update(hot).await;
            return;
        }
        let workers = usize::from(self.plan.workers);
        let own = (self.plan.keys - self.plan.hot) / workers;
        let number = self.plan.hot + self.rng.usize(..own) * workers + usize::from(self.number);
        let image = match self.choose() {
            0 => Some(self.put(number).await),
            1 => Some(self.update(number).await),
            2 => {
                self.delete(number).await;
                None
            }
            _ => {
                self.delete(number).await;
                Some(self.put(number).await)
            }
        };
        self.images.insert(number, image);
    }

    fn choose(&mut self) -> usize {
        let total: u32 = self.plan.mix.iter().sum();
        let mut left = self.rng.u32(..total);
        let chosen = self.plan.mix.iter().position(|&weight| {
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        chosen.unwrap_or(0)
    }

    async fn put(&mut self, number: usize) -> Item {
        let item = items::order(self.table.layout.keys, number, &mut self.rng);
        let request = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item.clone()));
        self.done(request.send().await);
        item
    }

    /// Updates the item, or makes one.
    async fn update(&mut self, number: usize) -> Item {
        let request = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(items::key(self.table.layout.keys, number)))
            .expression_attribute_names("#s", "status")
            .update_expression("SET #s = :s, updated_at = :u, customer = :c, email = :e ADD edits :one")
            .expression_attribute_values(":s", s(STATUSES[self.rng.usize(..STATUSES.len())]))
            .expression_attribute_values(":u", n(1_800_000_000 + self.rng.u64(..100_000_000)))
            .expression_attribute_values(":c", s(format!("CUST-{:04}", self.rng.u32(..200))))
            .expression_attribute_values(":e", s(format!("user{}@example.com", self.rng.u32(..10_000))))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::AllNew);
        let reply = self.done(request.send().await);
        reply.attributes.unwrap()
    }

    async fn delete(&mut self, number: usize) {
        let key = items::key(self.table.layout.keys, number);
        let request = self.table.client.delete_item().table_name(&self.table.name).set_key(Some(key));
        self.done(request.send().await);
    }

    /// Counts a write; fails the test when it was refused, since then nobody knows what the source holds.
    fn done<T, E: std::error::Error>(&self, reply: Result<T, E>) -> T {
        let reply = reply.unwrap_or_else(|error| panic!("a writer's request failed: {}", DisplayErrorContext(error)));
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        reply
    }
}
