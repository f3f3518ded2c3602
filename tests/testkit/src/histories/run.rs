//! Plays a history, looks at the rules after every step, and demands the right end.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::operator::command;
use shadowtable::protocol::command::{Paused, Verb};
use shadowtable::runtime::{Job, Readiness};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::end::{assert_end, assert_moved};
use super::faults::{self, Class};
use super::history::{Act, History, Question, Write};
use crate::fakes::{FakePorts, Freeze, REFUSED, SHADOW, SOURCE, World};
use crate::harness::{Running, given, start, with_pointer};

/// Within this everything that was sent has landed, and whoever stood by has taken over.
const SETTLED: Duration = Duration::from_mins(2);
/// How often the end is looked for, and how often at most.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 1_200;

/// A drain that is longer than this finds records that an empty page kept back.
const KEPT_BACK: Duration = Duration::from_secs(5);

/// That listings are inconsistent for so long is assumed not to happen.
const INCONSISTENT: Duration = Duration::from_secs(30);

/// What came of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The migration mirrors, and the shadow is equal.
    Mirrored,
    /// The application was moved over.
    Switched,
    /// History was lost, and the migration says so.
    NeedsReseed,
    /// The application was moved over, then history was lost: changes that came later are not known, and it says so.
    Unmirrored,
}

/// What was seen, for those who ask how much the histories reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub cutovers: usize,
    pub processes: usize,
    pub requests: u64,
    /// A digest of all that happened at the service, in order.
    pub digest: u64,
}

/// Plays a history. Panics at the first rule that is broken.
pub async fn play(history: &History) -> (End, Seen) {
    let made_of = &history.world;
    let world = made_of.kind.world_with(history.seed, made_of.shards, made_of.view);
    let mut play = Play::new(history, &world);
    for write in &history.before {
        play.write(write);
    }
    {
        let stream = &mut world.state().stream;
        stream.children_late = made_of.children_late;
        stream.listing_page = made_of.listing_page;
        stream.delay = made_of.records_late;
        stream.hides_leaves = false;
    }
    // A page is kept back for a poll.
    world.state().drains = history.quiet >= KEPT_BACK || !history.faults.contains(&Class::EmptyPage);
    faults::allow(&world, history.seed, history.faults.clone());
    play.start();
    for (number, step) in history.steps.iter().enumerate() {
        play.step(&step.act).await;
        if step.then > INCONSISTENT {
            world.state().stream.unlisted.clear();
        }
        sleep(step.then).await;
        play.look(&format!("after step {number}"));
    }
    play.end().await
}

/// The job of a history: every limit is met.
fn job(world: &World, history: &History) -> Job {
    let (mut job, limits) = (with_pointer(world), &history.limits);
    job.engine.copy.page_items = Some(limits.page_items);
    job.engine.apply.concurrency = limits.concurrency;
    job.engine.apply.memory_bytes = limits.memory_bytes;
    job.engine.apply.overtaken_limit = Some(limits.overtaken);
    job.engine.apply.recent_keys = limits.recheck_keys;
    job.engine.cutover.quiet = history.quiet;
    job.engine.cutover.max_lag = Duration::from_mins(2);
    job
}

struct Play<'a> {
    history: &'a History,
    world: Arc<World>,
    job: Job,
    running: Vec<Running>,
    /// The one that stands still, and how many steps it still does.
    frozen: Option<(Running, Freeze, usize)>,
    asking: JoinSet<()>,
    seen: Seen,
}

impl<'a> Play<'a> {
    fn new(history: &'a History, world: &Arc<World>) -> Self {
        Self {
            history,
            world: Arc::clone(world),
            job: job(world, history),
            running: Vec::new(),
            frozen: None,
            asking: JoinSet::new(),
            seen: Seen::default(),
        }
    }

    fn start(&mut self) {
        self.seen.processes += 1;
        self.running.push(start(&self.world, &self.job));
    }

    fn write(&self, write: &Write) {
        match write {
            Write::Delete { id } => self.world.delete(&name("item", *id)),
            Write::Expire { id } => self.world.expire(&name("item", *id)),
            Write::Put { id, place, email, poison } => {
                let (place, email) = (place.map(|place| name("place", place)), email.map(|email| name("email", email)));
                let mut attributes = Vec::new();
                attributes.extend(place.as_deref().map(|place| ("place", place)));
                attributes.extend(email.as_deref().map(|email| ("email", email)));
                attributes.extend(poison.then_some((REFUSED, "yes")));
                self.world.put(&name("item", *id), &attributes);
            }
        }
    }

    async fn step(&mut self, act: &Act) {
        match *act {
            Act::Write(ref write) if self.is_open() => self.write(write),
            Act::Trespass(ref write) => self.write(write),
            Act::Split { shard, children } => {
                let open = self.world.state().stream.open();
                self.world.split(&open[shard % open.len()], children);
            }
            Act::Unlist(bits) => {
                let stream = &mut self.world.state().stream;
                let open = stream.open();
                let closed = stream.shards.iter().map(|shard| shard.id.clone()).filter(|id| !open.contains(id));
                stream.unlisted = closed.zip(0..64).filter(|(_, bit)| bits >> bit & 1 == 1).map(|(id, _)| id).collect();
            }
            Act::Start if self.running.len() + usize::from(self.frozen.is_some()) < 2 => self.start(),
            Act::Crash(process) if !self.running.is_empty() => {
                let process = process % self.running.len();
                let crashing = self.running.remove(process);
                self.crash(crashing).await;
            }
            Act::CrashAt { process, calls, death } if !self.running.is_empty() => {
                let process = &self.running[process % self.running.len()].process;
                process.dies_at(process.calls() + calls, death);
            }
            Act::Stop(process) if !self.running.is_empty() => {
                let process = process % self.running.len();
                let stopping = self.running.remove(process);
                let process = Arc::clone(&stopping.process);
                // Under faults it may fail to give the lease back, or to save; the next one does not depend on it.
                let end = tokio::select! {
                    end = stopping.stop() => end,
                    () = process.died() => Ok(()),
                };
                self.ended(end);
            }
            Act::Freeze { process, how, steps, jump } if self.frozen.is_none() && !self.running.is_empty() => {
                let process = process % self.running.len();
                let freezing = self.running.remove(process);
                freezing.process.freeze();
                freezing.process.jump(jump);
                self.frozen = Some((freezing, how, steps));
            }
            Act::Jump { process, seconds } if !self.running.is_empty() => {
                self.running[process % self.running.len()].process.jump(seconds);
            }
            Act::Ask(question) => self.ask(question),
            Act::Outage { span, asleep, ref meanwhile } => self.outage(span, asleep, meanwhile).await,
            Act::Relist => self.world.state().stream.unlisted.clear(),
            _ => {}
        }
        self.reap().await;
    }

    async fn outage(&mut self, span: Duration, asleep: Option<Freeze>, meanwhile: &[Write]) {
        self.thaw();
        let mut sleeping = Vec::new();
        for one in std::mem::take(&mut self.running) {
            match asleep {
                Some(how) => {
                    one.process.freeze();
                    sleeping.push((one, how));
                }
                None => self.crash(one).await,
            }
        }
        let intervals = u32::try_from(meanwhile.len() + 1).unwrap_or(u32::MAX);
        for write in meanwhile {
            sleep(span / intervals).await;
            let open = self.world.state().stream.open();
            for shard in open {
                self.world.roll(&shard);
            }
            if self.is_open() {
                self.write(write);
            }
        }
        sleep(span / intervals).await;
        self.world.state().stream.unlisted.clear();
        for (one, how) in sleeping {
            one.process.thaw(how);
            self.running.push(one);
        }
    }

    /// The application writes only where it may.
    fn is_open(&self) -> bool {
        let state = self.world.state();
        let leaks = self.history.leaky && state.phase() == "switching";
        (!state.fenced || leaks) && state.pointer == SOURCE
    }

    fn ask(&mut self, question: Question) {
        let verb = match question {
            Question::Decide => {
                let meta = self.world.state().entry("META").cloned();
                if meta
                    .is_some_and(|meta| meta.body["phase"] == "switching" && !meta.body["cutover"]["trouble"].is_null())
                {
                    self.decide();
                }
                return;
            }
            Question::Cutover => Verb::Cutover { dry_run: false, by: "laptop".into(), fenced: false },
            Question::GiveUp => Verb::GiveUp { vouched: false },
            Question::PauseCopy => Verb::Pause { paused: Paused::Copy },
            Question::PauseAll => Verb::Pause { paused: Paused::All },
            Question::Resume => Verb::Pause { paused: Paused::None },
            Question::Retry => Verb::Retry { ids: Vec::new() },
        };
        self.send(verb);
    }

    fn send(&mut self, verb: Verb) {
        let ports = FakePorts::new(&self.world.process());
        // Whoever asks may hear of faults, or that nobody is there.
        self.asking.spawn_local(async move { drop(command(&ports, "orders", "somebody", verb).await) });
    }

    fn thaw(&mut self) {
        if let Some((thawed, how, _)) = self.frozen.take() {
            thawed.process.thaw(how);
            self.running.push(thawed);
        }
    }

    /// Dead processes are gone, who stood still long enough goes on, and somebody runs the migration.
    async fn reap(&mut self) {
        let (dead, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|one| one.process.is_dead());
        self.running = alive;
        for one in dead {
            self.crash(one).await;
        }
        if let Some((_, _, steps)) = &mut self.frozen {
            *steps -= 1;
        }
        if self.frozen.as_ref().is_some_and(|(_, _, steps)| *steps == 0) {
            self.thaw();
        }
        let mut ends = Vec::new();
        self.running.retain_mut(|one| {
            one.try_end().is_none_or(|end| {
                ends.push(end);
                false
            })
        });
        for end in ends {
            self.ended(end);
        }
        if self.running.is_empty() && self.world.state().phase() != "needs-reseed" {
            self.start();
        }
    }

    /// Ends it where it stands, unless it has ended by itself.
    async fn crash(&self, mut one: Running) {
        match one.try_end() {
            Some(end) => self.ended(end),
            None => one.crash().await,
        }
    }

    /// A process ends by itself where history was lost, and never because it broke a rule or panicked. (One that is stopped
    /// may hear of faults.)
    fn ended(&self, end: Result<(), EngineError>) {
        match end {
            Err(EngineError::Lost(what)) => assert!(self.history.may_lose(), "history is said to be lost: {what}"),
            Err(error) if error.is_defect() => panic!("a process ended: {error}"),
            _ => {}
        }
    }

    /// No rule is broken, and no figure is better than the truth.
    fn look(&mut self, when: &str) {
        let (now, waits, broken) = {
            let state = self.world.state();
            (self.world.service(), state.oldest_waiting().cloned(), state.violations.clone())
        };
        assert!(broken.is_empty(), "{when}: {broken:#?}");
        let truth = waits.as_ref().map_or(0.0, |oldest| now.since(oldest.at).as_secs_f64());
        for one in &self.running {
            let Some(status) = one.status().filter(|status| status.lease.held) else { continue };
            let told = status.lag_seconds().unwrap_or(f64::INFINITY);
            assert!(told >= truth, "{when}: the lag is told as {told} s, and is {truth} s at least: {waits:?}");
        }
    }

    /// The faults are over: all that was left undone is done.
    async fn end(mut self) -> (End, Seen) {
        self.world.no_more_faults();
        self.world.state().stream.unlisted.clear();
        self.thaw();
        self.reap().await;
        sleep(SETTLED).await;
        let mut looks = 0;
        let end = loop {
            self.reap().await;
            self.look("at the end");
            let phase = self.world.state().phase();
            match phase.as_str() {
                "needs-reseed" => break End::NeedsReseed,
                "switched" if self.is_unmirrored() => break End::Unmirrored,
                "switching" => self.decide(),
                "switched" => {
                    // What is late is read, and put aside.
                    sleep(SETTLED).await;
                    assert_moved(&self.world);
                    break End::Switched;
                }
                "tailing" | "copying" if self.is_idle() => {
                    self.send(Verb::Pause { paused: Paused::None });
                    // What somebody asked for minutes ago may begin meanwhile.
                    if self.caught_up().await && self.world.state().phase() == "tailing" {
                        assert_end(&self.world);
                        break End::Mirrored;
                    }
                }
                _ => {}
            }
            looks += 1;
            assert!(looks < LOOKS, "it does not come to an end: {}", self.describe());
            sleep(LOOK).await;
        };
        if matches!(end, End::NeedsReseed | End::Unmirrored) {
            assert!(self.history.may_lose(), "history is said to be lost");
        }
        self.seen.requests = self.running.iter().map(|one| one.process.calls()).sum();
        let fences = |program: &&String| *program == "fence";
        self.seen.cutovers = self.world.state().programs.iter().filter(fences).count();
        self.seen.digest = self.world.digest();
        (end, self.seen)
    }

    fn is_unmirrored(&self) -> bool {
        let state = self.world.state();
        let reason = state.entry("META").and_then(|meta| meta.body["reason"].as_str());
        reason.is_some_and(|reason| reason.contains("nothing is mirrored"))
    }

    /// An operator who looks where the application writes.
    fn decide(&mut self) {
        let moved = self.world.state().pointer == SHADOW;
        let verb = if moved { Verb::DeclareSwitched } else { Verb::GiveUp { vouched: true } };
        self.send(verb);
    }

    /// Whether no cutover is under way.
    fn is_idle(&self) -> bool {
        self.running.iter().any(|one| one.monitor.readiness() == Readiness::Active)
    }

    /// Whether all that was written is durable, by what the active process says.
    async fn caught_up(&mut self) -> bool {
        // What was written just now has not been polled for yet, and the status cannot know.
        sleep(Duration::from_secs(5)).await;
        let mut active = self.running.iter().filter_map(Running::status);
        active.any(|status| status.leg().is_some_and(|leg| leg.quiet_seconds > 0.0) && status.copy.ratio >= 1.0)
    }

    fn describe(&self) -> String {
        let mut told = format!("the phase is {}", self.world.state().phase());
        for one in &self.running {
            let _ = write!(told, "; {:?} {:?}", one.monitor.readiness(), one.status());
        }
        told
    }
}

impl Drop for Play<'_> {
    /// Tells all that happened in a history that failed, where the environment says `TELL`.
    fn drop(&mut self) {
        if std::thread::panicking() && given("TELL").is_some() {
            self.world.tell();
        }
    }
}

fn name(of: &str, number: u32) -> String {
    format!("{of}-{number}")
}
