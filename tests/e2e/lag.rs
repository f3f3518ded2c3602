//! Lag is never below the truth: what is reported, against what is really missing in the shadow.
//!
//! The truth is measured from outside. A writer notes when each of its writes was acknowledged. Lag is scraped, and then
//! the shadow is read at its endpoint: whatever is missing even now was missing when lag was told, so its age at that
//! moment is what lag must not fall below.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::StreamViewType;
use rustix::process::Signal;

use super::{ID, after, before, ctx};
use testkit::real::chaos::{Chaos, Effect, Rule};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items::{self, item, s};
use testkit::real::migration::Migration;
use testkit::real::process::Process;
use testkit::real::table::Table;

/// How long a fault lasts.
const FAULT: Duration = Duration::from_secs(8);
/// Between two writes.
const STEP: Duration = Duration::from_millis(150);

/// Writes and remembers when each was acknowledged.
struct Ledger {
    acknowledged: Arc<Mutex<Vec<(String, Instant)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ledger {
    fn start(source: &Table) -> Self {
        let (acknowledged, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (source, noted, stopping) = (source.clone(), Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let id = format!("written-{number}");
                source.put(&item([("id", s(&id))]));
                noted.lock().unwrap().push((id, clock::now()));
                std::thread::sleep(STEP);
            }
        });
        Self { acknowledged, stop, thread: Some(thread) }
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// The age at `then` of the oldest write that the shadow does not have now.
    fn truth(&self, shadow: &Table, then: Instant) -> Option<Duration> {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let there: BTreeSet<String> = shadow.scan().iter().map(|item| item["id"].as_s().unwrap().clone()).collect();
        let missing = acknowledged.iter().find(|(id, at)| *at < then && !there.contains(id));
        missing.map(|(_, at)| then - *at)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What was seen while a fault lasted.
#[derive(Default)]
struct Seen {
    /// Truth and report, in seconds.
    samples: Vec<(f64, f64)>,
}

impl Seen {
    fn note(&mut self, truth: f64, reported: f64) {
        assert!(reported >= truth, "lag is told as {reported:.2} s and is {truth:.2} s");
        self.samples.push((truth, reported));
    }

    /// One line of the page's table.
    fn tell(&self, case: &str) {
        let (truth, reported) = *self.samples.last().unwrap();
        let least = self.samples.iter().map(|(truth, reported)| reported - truth).fold(f64::INFINITY, f64::min);
        println!("LAG | {case} | {truth:.1} | {reported:.1} | {least:.2} | {} |", self.samples.len());
    }
}

/// What the program tells, if it answers and knows.
fn reported(process: &mut Process) -> Option<f64> {
    let metrics = process.get("/metrics").ok()?.body;
    let line = metrics.lines().find(|line| line.starts_with("shadowtable_lag_seconds{"))?;
    line.rsplit(' ').next()?.parse().ok().filter(|lag: &f64| !lag.is_nan())
}

struct Scene {
    migration: Migration,
    process: Process,
    chaos: Chaos,
    ledger: Ledger,
}

impl Scene {
    /// A migration that tails through the proxy, under writes.
    fn start(ctx: &Ctx, change: impl FnOnce(&mut Migration, &Chaos)) -> Self {
        let source = ctx.table("source", before(ID));
        source.create_with(&items::orders(ID, 30, ctx.seed()), StreamViewType::NewAndOldImages);
        let mut migration = Migration::new(ctx, &source, after(ID));
        let chaos = Chaos::before(&source.place, ctx.handle(), ctx.seed());
        migration.project.set("source.endpoint_url", chaos.url());
        migration.project.set("shadow.endpoint_url", chaos.url());
        change(&mut migration, &chaos);
        let mut process = migration.run();
        process.wait_for_tailing();
        let ledger = Ledger::start(&source);
        Self { migration, process, chaos, ledger }
    }

    fn watch(&mut self, span: Duration) -> Seen {
        let (mut seen, until) = (Seen::default(), clock::now() + span);
        while clock::now() < until {
            let then = clock::now();
            if let Some(reported) = reported(&mut self.process) {
                let truth = self.ledger.truth(&self.migration.shadow, then);
                seen.note(truth.map_or(0.0, |truth| truth.as_secs_f64()), reported);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(seen.samples.len() > 3, "only {} samples", seen.samples.len());
        seen
    }

    /// While `rules` hold, lag grows with the truth; afterwards everything arrives.
    fn fault(mut self, case: &str, rules: impl Into<Vec<Rule>>) {
        self.watch(Duration::from_secs(2));
        self.chaos.set(rules);
        let seen = self.watch(FAULT);
        seen.tell(case);
        let (truth, reported) = *seen.samples.last().unwrap();
        let grown = FAULT.as_secs_f64() - 2.5;
        assert!(truth > grown && reported > grown, "after {FAULT:?} the truth is {truth:.1} s, told {reported:.1} s");
        self.chaos.set([]);
        self.end();
    }

    fn end(mut self) {
        self.watch(Duration::from_secs(2));
        self.ledger.stop();
        self.migration.finish(self.process);
    }
}

#[test]
fn lag_grows_while_a_shards_reader_hangs() {
    let ctx = &ctx();
    Scene::start(ctx, |_, _| {}).fault("a shard's reader hangs", [Rule::on("GetRecords", Effect::Hang)]);
}

#[test]
fn lag_grows_while_the_endpoint_is_down() {
    let ctx = &ctx();
    Scene::start(ctx, |_, _| {}).fault("the endpoint is down", [Rule::always(Effect::Reset)]);
}

#[test]
fn lag_grows_while_credentials_are_expired() {
    let ctx = &ctx();
    let expired = Rule::always(Effect::Refuse("ExpiredTokenException"));
    Scene::start(ctx, |_, _| {}).fault("credentials are expired", [expired]);
}

#[test]
fn lag_grows_while_the_applier_is_throttled() {
    let ctx = &ctx();
    let throttled = Rule::on("BatchWriteItem", Effect::Refuse("ProvisionedThroughputExceededException"));
    Scene::start(ctx, |_, _| {}).fault("the applier is throttled", [throttled]);
}

#[test]
fn lag_grows_while_replies_to_writes_are_lost_or_fail() {
    let ctx = &ctx();
    // The write takes effect, so the truth does not grow; lag may not know that.
    let mut scene = Scene::start(ctx, |_, _| {});
    scene.chaos.set([Rule::on("BatchWriteItem", Effect::LoseReply)]);
    let seen = scene.watch(FAULT);
    seen.tell("replies to writes are lost");
    assert!(seen.samples.last().unwrap().1 > FAULT.as_secs_f64() - 3.0, "what has no outcome counts as missing");
    scene.chaos.set([Rule::on("BatchWriteItem", Effect::Refuse("InternalServerError"))]);
    scene.watch(Duration::from_secs(3));
    scene.chaos.set([]);
    scene.end();
}

#[test]
fn lag_is_true_while_every_answer_is_slow() {
    let ctx = &ctx();
    let mut scene = Scene::start(ctx, |_, _| {});
    scene.chaos.set([Rule::on("GetRecords", Effect::Delay(Duration::from_millis(700)))]);
    scene.watch(FAULT).tell("every page of records takes 0.7 s longer");
    scene.chaos.set([]);
    scene.end();
}

#[test]
fn lag_grows_while_a_child_shard_is_not_discovered() {
    let ctx = &ctx();
    let mut scene = Scene::start(ctx, |_, _| {});
    scene.watch(Duration::from_secs(2));
    scene.chaos.hide_children(true);
    scene.chaos.split(0, 2);
    let seen = scene.watch(FAULT);
    seen.tell("a child shard is never listed");
    let (truth, reported) = *seen.samples.last().unwrap();
    assert!(truth > 4.0 && reported > 4.0, "the truth is {truth:.1} s, told {reported:.1} s");
    scene.chaos.hide_children(false);
    scene.end();
}

#[test]
fn lag_is_true_over_a_split_under_writes() {
    let ctx = &ctx();
    let mut scene = Scene::start(ctx, |_, _| {});
    scene.watch(Duration::from_secs(2));
    scene.chaos.split(0, 3);
    scene.watch(FAULT).tell("the shard splits in three");
    scene.end();
}

#[test]
fn lag_is_true_when_a_paused_process_goes_on() {
    let ctx = &ctx();
    // A lease that outlasts the pause: without one it would tell nothing at all.
    let mut scene = Scene::start(ctx, |migration, _| migration.project.set("lease.duration_seconds", 60.0));
    scene.watch(Duration::from_secs(2));
    scene.process.signal(Signal::STOP);
    std::thread::sleep(FAULT);
    let (ledger, shadow) = (&scene.ledger, &scene.migration.shadow);
    let truth = ledger.truth(shadow, clock::now()).unwrap();
    assert!(truth + Duration::from_secs(2) > FAULT, "{truth:?}");
    scene.process.signal(Signal::CONT);
    scene.watch(Duration::from_secs(5)).tell("the process was paused for 8 s, from then on");
    scene.end();
}

/// Ten minutes pass while nobody reads. Between two pages of such a backlog nothing is pending, and nothing is caught up.
#[test]
fn lag_is_true_ten_minutes_behind_and_between_two_pages() {
    const PASSED: i64 = 600;
    let ctx = &ctx();
    let Scene { migration, process, chaos, mut ledger } =
        Scene::start(ctx, |migration, _| migration.project.set("tail.busy_poll_seconds", 0.3));
    process.stop();
    std::thread::sleep(Duration::from_secs(3));
    ledger.stop();
    chaos.pass(PASSED, 1);
    let mut scene = Scene { process: migration.run(), migration, chaos, ledger };
    let (mut seen, until) = (Seen::default(), clock::now() + FAULT);
    while clock::now() < until {
        let then = clock::now();
        let told = reported(&mut scene.process);
        let truth = scene.ledger.truth(&scene.migration.shadow, then);
        if let (Some(told), Some(truth)) = (told, truth) {
            seen.note(truth.as_secs_f64() + 600.0, told);
        }
        std::thread::sleep(Duration::from_millis(70));
    }
    assert!(seen.samples.len() > 10, "only {} samples", seen.samples.len());
    seen.tell("ten minutes behind, a record a page");
    scene.end();
}
