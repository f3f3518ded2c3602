//! The real program with the real SDK, through proxies that give it what production does: shards that roll and split,
//! throttles, batches done in part, lost replies, writes that land late, expired iterators, trimmed records, permissions
//! that are taken away.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use fastrand::Rng;
use rustix::process::Signal;

use super::{ID, after, before, ctx};
use testkit::real::application::Application;
use testkit::real::chaos::{Chaos, Deny, Effect, Rule};
use testkit::real::clock;
use testkit::real::context::Ctx;
use testkit::real::items;
use testkit::real::layout::Layout;
use testkit::real::migration::Migration;
use testkit::real::process::{Process, Status};
use testkit::real::project::CAUGHT_UP;
use testkit::real::table::Table;
use testkit::real::tenants;
use testkit::real::writer::Plan;

const KILLS: usize = 100;
/// So much later a late write lands: it was given up before, and the abandonment bound has not passed.
const LATE: Effect = Effect::Late(Duration::from_millis(700));
/// Within this, requests that had passed the proxy when its rules changed are answered.
const SETTLED: Duration = Duration::from_millis(500);
const THROTTLED: Effect = Effect::Refuse("ProvisionedThroughputExceededException");
const FAILED: Effect = Effect::Refuse("InternalServerError");

/// A migration whose requests meet with faults: one proxy before tables and stream, one before the state table.
struct Scene {
    chaos: Chaos,
    state: Chaos,
    migration: Migration,
}

impl Scene {
    /// Lease and abandonment bound of a second: a crash costs two.
    fn of(ctx: &Ctx, source: &Table, target: Layout) -> Self {
        let chaos = Chaos::before(&source.place, ctx.handle(), ctx.seed());
        let mut migration = Migration::new(ctx, source, target);
        let state = Chaos::before(&migration.state.place, ctx.handle(), !ctx.seed());
        for (role, proxy) in [("source", &chaos), ("shadow", &chaos), ("state", &state)] {
            migration.project.set(&format!("{role}.endpoint_url"), proxy.url());
        }
        migration.project.set("lease.duration_seconds", 1.0);
        migration.project.set("apply.abandon_seconds", 1.0);
        migration.project.set("apply.request_timeout_seconds", 0.5);
        Self { chaos, state, migration }
    }

    /// Of so many orders, which stay as they are.
    fn of_orders(ctx: &Ctx, orders: usize, view: StreamViewType) -> Self {
        let source = ctx.table("source", before(ID));
        source.create_with(&items::orders(ID, orders, ctx.seed()), view);
        Self::of(ctx, &source, after(ID))
    }

    /// So many orders, copied, and the process that goes on tailing.
    fn tailing(ctx: &Ctx, orders: usize) -> (Self, Process) {
        let scene = Self::of_orders(ctx, orders, StreamViewType::NewAndOldImages);
        let mut process = scene.migration.run();
        process.wait_for_tailing();
        (scene, process)
    }

    /// A little of everything from now on.
    fn bad_weather(&self) {
        let slow = Effect::Delay(Duration::from_millis(200));
        let mut rules = vec![
            Rule::sometimes(5, "BatchWriteItem", THROTTLED),
            Rule::sometimes(10, "BatchWriteItem", Effect::Unprocessed),
            Rule::sometimes(2, "GetRecords", Effect::Refuse("LimitExceededException")),
            Rule::sometimes(2, "GetShardIterator", Effect::Reset),
            Rule::sometimes(2, "DescribeStream", Effect::Refuse("ThrottlingException")),
            Rule::sometimes(2, "DescribeTable", FAILED),
        ];
        for read in ["Scan", "GetItem", "GetRecords"] {
            rules.extend([
                Rule::sometimes(2, read, THROTTLED),
                Rule::sometimes(2, read, FAILED),
                Rule::sometimes(2, read, Effect::LoseReply),
                Rule::sometimes(2, read, slow.clone()),
            ]);
        }
        // UpdateItem moves the application's pointer.
        for write in ["BatchWriteItem", "PutItem", "DeleteItem", "UpdateItem"] {
            rules.extend([
                Rule::sometimes(4, write, LATE),
                Rule::sometimes(4, write, Effect::LoseReply),
                Rule::sometimes(2, write, Effect::Reset),
                Rule::sometimes(2, write, FAILED),
                Rule::sometimes(4, write, slow.clone()),
            ]);
        }
        self.chaos.set(rules);
        self.chaos.floor_times(60);
        let mut rules = vec![Rule::sometimes(1, "PutItem", LATE), Rule::sometimes(1, "PutItem", Effect::Reset)];
        for operation in ["PutItem", "DeleteItem", "GetItem", "Query"] {
            rules.extend([
                Rule::sometimes(1, operation, THROTTLED),
                Rule::sometimes(2, operation, Effect::LoseReply),
                Rule::sometimes(1, operation, FAILED),
                Rule::sometimes(2, operation, Effect::Delay(Duration::from_millis(100))),
            ]);
        }
        self.state.set(rules);
    }

    fn good_weather(&self) {
        self.chaos.set([]);
        self.chaos.hide_children(false);
        self.state.set([]);
    }

    /// Open shards end behind all that was written so far, and so many children continue each of them.
    fn split_behind_all(&self, rng: &mut Rng, splits: usize) {
        self.chaos.pass_all(&self.migration.source);
        for _ in 0..splits {
            self.chaos.split(rng.usize(..8), rng.usize(1..4));
        }
    }

    /// Kills it so many times, a third of them while it copies, each after so many milliseconds; meanwhile shards split and
    /// iterators expire. Returns how often it was killed in which phase.
    fn kill_and_split(&mut self, rng: &mut Rng, kills: usize, life: Range<u64>) -> BTreeMap<String, usize> {
        let mut phases = BTreeMap::new();
        for kill in 0..kills {
            if kill == kills / 3 {
                self.migration.full_speed();
            }
            let mut process = self.migration.run();
            // One in three dies wherever it is; the others get to work first.
            if kill == kills / 3 {
                // How long the copy takes in bad weather depends on the machine.
                self.good_weather();
                process.wait_for_tailing();
                self.bad_weather();
            } else if kill == 0 || rng.u8(..3) > 0 {
                process.wait_until("copy or tail", |status| {
                    status.holds_lease() && ["copying", "tailing"].contains(&status.phase())
                });
                self.bad_weather();
            }
            std::thread::sleep(Duration::from_millis(rng.u64(life.clone()) / 2));
            self.chaos.hide_children(rng.u8(..4) == 0);
            if kill % 3 == 0 {
                self.chaos.split(rng.usize(..8), rng.usize(1..4));
            } else if rng.u8(..8) == 0 {
                self.chaos.expire_iterators();
            }
            std::thread::sleep(Duration::from_millis(rng.u64(life.clone()) / 2));
            let phase = process.status().map_or("unknown".to_owned(), |status| status.phase().to_owned());
            *phases.entry(phase).or_default() += 1;
            process.sigkill();
        }
        println!("{kills} kills: {phases:?}");
        phases
    }
}

fn on_the_move(keys: usize) -> Plan {
    Plan { keys, writes_per_second: 40.0, ..Plan::default() }
}

/// Two migrations at a time, one of which reads every changed item back.
#[test]
fn a_hundred_sigkills_with_splits_and_throttles_lose_nothing() {
    let ctx = &ctx();
    std::thread::scope(|scope| {
        for (number, view) in (0..).zip([StreamViewType::NewAndOldImages, StreamViewType::KeysOnly]) {
            scope.spawn(move || {
                let mut scene = Scene::of_orders(ctx, 300, view);
                scene.migration = scene.migration.slow_copy(30.0);
                let writers = scene.migration.writers(ctx, &on_the_move(300));
                let mut rng = Rng::with_seed(ctx.seed() + number);
                let phases = scene.kill_and_split(&mut rng, KILLS / 2, 0..600);
                let at_work = ["copying", "tailing"].map(|phase| phases.get(phase).copied().unwrap_or(0));
                assert!(at_work[0] > 3 && at_work[1] > 6, "spread over copy and tail: {phases:?}");
                let mut process = scene.migration.run();
                process.wait_for_tailing();
                writers.finish();
                scene.good_weather();
                scene.migration.finish(process);
            });
        }
    });
}

/// Whoever leaves a slot and whoever takes it are in different shards, so nothing but ownership keeps their order.
#[test]
fn shadow_keys_swapped_between_shards_survive_bad_weather() {
    const SWAPS: usize = 600;
    let ctx = &ctx();
    let source = ctx.table("source", Layout::new(tenants::BY_ID));
    source.create_with(&tenants::tenants(), StreamViewType::NewAndOldImages);
    let mut scene = Scene::of(ctx, &source, Layout::new(tenants::BY_SLOT));
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| tenants::swap(&source, SWAPS, Duration::from_millis(30), ctx.seed()));
        scene.kill_and_split(&mut Rng::with_seed(!ctx.seed()), 8, 500..3000);
        swapping.join().unwrap();
    });
    let mut process = scene.migration.run();
    process.wait_for_tailing();
    scene.good_weather();
    scene.migration.finish(process);
}

/// Every fifth batch lands when it was given up and the next image of its keys is waiting.
#[test]
fn a_batch_that_lands_late_overwrites_nothing() {
    const KEYS: usize = 8;
    let ctx = &ctx();
    let (scene, mut process) = Scene::tailing(ctx, KEYS);
    for _ in 0..4 {
        scene.chaos.set([Rule::sometimes(20, "BatchWriteItem", LATE)]);
        let plan = Plan { keys: KEYS, hot: 0, writes_per_second: 30.0, mix: [1, 4, 2, 1], ..Plan::default() };
        let writers = scene.migration.writers(ctx, &plan);
        writers.wait_for(90);
        writers.finish();
        scene.good_weather();
        process.drain(CAUGHT_UP);
        scene.migration.check();
    }
    scene.migration.finish(process);
}

/// A holder is stopped with its requests on the way, and goes on when another one has taken over.
#[test]
fn a_holder_that_was_frozen_writes_nothing_after_a_takeover() {
    let ctx = &ctx();
    let mut scene = Scene::of_orders(ctx, 50, StreamViewType::NewAndOldImages);
    // So that nobody loses it for want of a processor.
    scene.migration.project.set("lease.duration_seconds", 3.0);
    let mut first = scene.migration.run();
    first.wait_for_tailing();
    let mut second = scene.migration.run();
    for _ in 0..3 {
        let writers = scene.migration.writers(ctx, &on_the_move(50));
        writers.wait_for(20);
        scene.chaos.set([Rule::on("BatchWriteItem", LATE)]);
        writers.wait_for(20);
        first.signal(Signal::STOP);
        scene.good_weather();
        let taken = second.wait_until("a takeover", Status::holds_lease);
        writers.wait_for(20);
        writers.finish();
        second.drain(CAUGHT_UP);
        // Whatever it writes now, nothing comes after it.
        first.signal(Signal::CONT);
        first.wait_until("standby for its successor", |status| {
            !status.holds_lease() && status.text("/lease/owner") == taken.text("/lease/owner")
        });
        second.drain(CAUGHT_UP);
        scene.migration.check();
        std::mem::swap(&mut first, &mut second);
    }
    second.stop();
    scene.migration.finish(first);
}

/// Written and split, again and again, before the first run and between two.
#[test]
fn shards_that_split_while_nobody_ran_are_read_in_their_order() {
    let ctx = &ctx();
    let scene = Scene::of_orders(ctx, 30, StreamViewType::NewAndOldImages);
    let mut rng = Rng::with_seed(ctx.seed());
    for _ in 0..3 {
        for _ in 0..3 {
            // Few keys, so that each has images in many shards.
            let writers = scene.migration.writers(ctx, &Plan { keys: 10, writes_per_second: 200.0, ..Plan::default() });
            writers.wait_for(40);
            writers.finish();
            scene.split_behind_all(&mut rng, 3);
        }
        let mut running = scene.migration.run();
        running.wait_for_tailing();
        running.drain(CAUGHT_UP);
        scene.migration.check();
        running.stop();
    }
}

#[test]
fn shards_that_split_again_and_again_are_followed() {
    let ctx = &ctx();
    let (scene, mut process) = Scene::tailing(ctx, 50);
    let writers = scene.migration.writers(ctx, &on_the_move(50));
    let mut rng = Rng::with_seed(ctx.seed());
    for _ in 0..20 {
        scene.chaos.split(rng.usize(..8), rng.usize(1..4));
        std::thread::sleep(Duration::from_millis(300));
    }
    writers.finish();
    process.wait_until("readers of them all", |status| status.number("/legs/0/tail/shards_open") > 5.0);
    scene.migration.finish(process);
}

#[test]
fn iterators_that_expire_are_replaced() {
    let ctx = &ctx();
    let (scene, process) = Scene::tailing(ctx, 50);
    let writers = scene.migration.writers(ctx, &on_the_move(50));
    for _ in 0..20 {
        let before = scene.chaos.expired();
        clock::wait_for("a request with an expired iterator", || {
            // There may be none to expire: the reader is asking for one.
            scene.chaos.expire_iterators();
            std::thread::sleep(Duration::from_millis(100));
            if scene.chaos.expired() > before { Ok(()) } else { Err("none came".into()) }
        });
    }
    writers.finish();
    scene.migration.finish(process);
}

#[test]
fn records_that_were_trimmed_while_nobody_ran_are_lost_history() {
    let ctx = &ctx();
    let (scene, mut process) = Scene::tailing(ctx, 20);
    scene.migration.source.put(&items::smallest(ID, 500));
    process.drain(CAUGHT_UP);
    process.stop();
    scene.migration.source.put(&items::smallest(ID, 501));
    scene.chaos.trim();
    scene.migration.project.start(&["run"]).wait_for_reseed(&["trimmed"]);
    assert_eq!(scene.migration.project.status().phase(), "needs-reseed");
}

#[test]
fn records_that_are_trimmed_under_their_reader_are_lost_history() {
    let ctx = &ctx();
    let (scene, mut process) = Scene::tailing(ctx, 20);
    scene.migration.source.put(&items::smallest(ID, 500));
    process.drain(CAUGHT_UP);
    scene.chaos.set([Rule::on("GetRecords", FAILED)]);
    std::thread::sleep(SETTLED);
    scene.migration.source.put(&items::smallest(ID, 501));
    scene.chaos.trim();
    scene.good_weather();
    process.wait_for_reseed(&["trimmed"]);
    assert_eq!(scene.migration.project.status().phase(), "needs-reseed");
}

#[test]
fn a_permission_that_is_taken_away_ends_the_process_with_its_name() {
    let ctx = &ctx();
    let mut scene = Scene::of_orders(ctx, 50, StreamViewType::NewAndOldImages);
    scene.migration = scene.migration.slow_copy(1.0);
    let writers = scene.migration.writers(ctx, &on_the_move(50));
    for operations in [&["Scan"], &["BatchWriteItem"], &["GetRecords"], &["DescribeStream"]] as [&[&str]; 4] {
        let mut process = scene.migration.run();
        if operations == ["Scan"] {
            process.wait_until("the copy", |status| status.phase() == "copying");
        } else {
            process.wait_for_tailing();
        }
        let access_key = scene.migration.source.place.access_key.clone();
        scene.chaos.deny([Deny { access_key, operations, table: None, file: None }]);
        let ended = process.wait_exit();
        assert_eq!(ended.code, Some(1), "{operations:?}: {}", ended.stderr);
        let hint = format!("allow dynamodb:{} on ", operations[0]);
        assert!(ended.stderr.contains(&hint), "{hint} is missing in {}", ended.stderr);
        scene.chaos.deny([]);
        scene.migration.full_speed();
    }
    let mut process = scene.migration.run();
    process.wait_for_tailing();
    writers.finish();
    scene.migration.finish(process);
}

/// The state table, too, says that the token has expired, so the lease runs out meanwhile.
#[test]
fn credentials_that_expire_are_waited_for() {
    let ctx = &ctx();
    let (scene, mut process) = Scene::tailing(ctx, 50);
    let writers = scene.migration.writers(ctx, &on_the_move(50));
    for _ in 0..2 {
        let expired = Rule::always(Effect::Refuse("ExpiredTokenException"));
        scene.chaos.set([expired.clone()]);
        scene.state.set([expired]);
        process.wait_until("the end of its lease", |status| !status.holds_lease());
        writers.wait_for(40);
        scene.good_weather();
        process.wait_for_tailing();
    }
    writers.finish();
    scene.migration.finish(process);
}

/// The phase, once a cutover is under way, or over, or nothing comes of it.
fn under_way(process: &mut Process) -> String {
    let mut phase = String::new();
    for _ in 0..80 {
        phase = process.status().map_or_else(|error| error, |status| status.phase().to_owned());
        if ["fencing", "fenced", "drained", "switching", "switched"].contains(&phase.as_str()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    phase
}

/// Fence, drain, recheck and switch in bad weather, with deaths in between, until the application has moved.
#[test]
fn a_cutover_in_bad_weather_loses_nothing() {
    let ctx = &ctx();
    let mut scene = Scene::of_orders(ctx, 60, StreamViewType::NewAndOldImages);
    let mut application = Application::new(ctx, &scene.migration.source, &scene.migration.shadow);
    application.configure(&mut scene.migration);
    scene.migration.project.set("cutover.drain_timeout_seconds", 20.0);
    let mut process = scene.migration.run();
    process.wait_for_tailing();
    application.start();
    application.wait_for(20);
    for _ in 0..4 {
        scene.chaos.split(0, 2);
    }
    scene.bad_weather();
    let mut rng = Rng::with_seed(ctx.seed());
    let mut killed = BTreeMap::new();
    for attempt in 1.. {
        let asking = scene.migration.project.start(&["cutover", "--yes"]);
        for _ in 0..if attempt == 1 { 3 } else { 0 } {
            let phase = under_way(&mut process);
            std::thread::sleep(Duration::from_millis(rng.u64(..1500)));
            process.sigkill();
            process = scene.migration.run();
            *killed.entry(phase).or_insert(0) += 1;
        }
        let told = asking.wait_exit();
        let end = process.wait_until("a definite end", |status| {
            status.holds_lease() && ["tailing", "switched"].contains(&status.phase())
        });
        println!("attempt {attempt} exits with {:?}: {}; killed while {killed:?}", told.code, end.phase());
        if end.phase() == "switched" {
            assert_ne!(told.code, Some(2), "who asked was told that it does not begin: {}{}", told.stdout, told.stderr);
            break;
        }
        assert_ne!(told.code, Some(0), "{}", told.stdout);
        assert!(!application.is_fenced(), "an attempt that failed leaves the source open");
        assert!(attempt < 8, "the last attempt: {}{}", told.stdout, told.stderr);
    }
    assert!(application.is_fenced());
    assert_eq!(application.pointed_at(), scene.migration.shadow.name);
    application.wait_for(20);
    application.stop();
    application.assert_all_in(&scene.migration.shadow);
    scene.good_weather();
    process.stop();
}
