//! One random history, all of it as data: what is done, when, and which faults there are. It is made from a seed, and a
//! failing one can be shrunk.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use shadowtable::model::ViewType;

use super::faults::Class;
use crate::fakes::{Death, Freeze};
use crate::harness::Kind;

/// A history.
#[derive(Clone, Debug)]
pub struct History {
    pub seed: u64,
    pub world: WorldPlan,
    pub limits: Limits,
    /// The classes of faults that there are.
    pub faults: BTreeSet<Class>,
    /// What the source holds before anything runs.
    pub before: Vec<Write>,
    pub steps: Vec<Step>,
    /// How long nothing may change before the source counts as drained: it may be shorter than the abandonment bound.
    pub quiet: Duration,
    /// The fence lets writes through once the switch is intended.
    pub leaky: bool,
    /// Whether a long outage may end in lost history.
    pub forgives_loss: bool,
}

/// What the world is made of.
#[derive(Clone, Copy, Debug)]
pub struct WorldPlan {
    pub kind: Kind,
    pub view: ViewType,
    pub shards: u64,
    /// Shards on a page of a listing.
    pub listing_page: usize,
    /// How long a child is not listed.
    pub children_late: Duration,
    /// How long after its write a record can be read: less than the drain lasts.
    pub records_late: Duration,
}

/// The program's limits, so low that each of them is met.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub page_items: u32,
    pub concurrency: u32,
    pub memory_bytes: usize,
    pub overtaken: usize,
    pub recheck_keys: usize,
}

/// Something that is done, and how long nothing more is done afterwards.
#[derive(Clone, Debug)]
pub struct Step {
    pub act: Act,
    pub then: Duration,
}

/// A write of the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// An item as it shall be.
    Put {
        id: u32,
        /// The key attributes of the shadow: without one of them the transform refuses the item.
        place: Option<u32>,
        email: Option<u32>,
        /// The shadow refuses it for good.
        poison: bool,
    },
    /// The application deletes it.
    Delete { id: u32 },
    /// It expires.
    Expire { id: u32 },
}

/// What can be done.
#[derive(Clone, Debug)]
pub enum Act {
    /// The application writes, unless it is fenced or uses the shadow.
    Write(Write),
    /// Somebody writes whom the fence does not hold.
    Trespass(Write),
    /// The open shard of this number closes, and so many children continue it.
    Split { shard: usize, children: u64 },
    /// Listings leave these shards out, where they are closed: by number, as bits.
    Unlist(u64),
    /// Listings are complete again.
    Relist,
    /// One more process, if there is only one.
    Start,
    /// This process ends where it stands.
    Crash(usize),
    /// This process ends at a request, so many requests from now.
    CrashAt { process: usize, calls: u64, death: Death },
    /// This process is stopped as an operator would.
    Stop(usize),
    /// This process stands still for so many steps, and its wall clock is found to have jumped by so many seconds.
    Freeze { process: usize, how: Freeze, steps: usize, jump: i64 },
    /// This process's wall clock jumps by so many seconds.
    Jump { process: usize, seconds: i64 },
    /// An operator asks for something.
    Ask(Question),
    /// Nothing runs for a long time. Meanwhile, at equal intervals, all shards roll and the application writes.
    Outage {
        span: Duration,
        /// The machines sleep; otherwise the processes end.
        asleep: Option<Freeze>,
        meanwhile: Vec<Write>,
    },
}

/// What an operator asks for, without waiting for the answer.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    Cutover,
    GiveUp,
    /// What a failed switch asks for, by somebody who looks where the application writes.
    Decide,
    PauseCopy,
    PauseAll,
    Resume,
    Retry,
}

impl History {
    /// The history of this seed.
    pub fn of(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let kind = *pick(&mut chance, &[Kind::SameKey, Kind::Moving, Kind::Owned]);
        let without_new_images = kind == Kind::SameKey && chance.u32(0..3) == 0;
        let view = if without_new_images { ViewType::KeysOnly } else { ViewType::NewAndOldImages };
        let quiet = Duration::from_millis(chance.u64(500..12_000));
        let longest = if chance.u32(0..3) == 0 { quiet.min(RECORDS_LATE).mul_f64(0.9) } else { Duration::ZERO };
        let few = chance.u64(1..4);
        // One in sixteen has as many shards as take several pages to list.
        let (shards, listing_page) = if seed % 16 == 7 { (20 + seed % 101, 15) } else { (few, 100) };
        let world = WorldPlan {
            kind,
            view,
            shards,
            listing_page,
            children_late: Duration::from_millis(chance.u64(0..4_000)),
            records_late: longest.mul_f64(chance.f64()),
        };
        let limits = Limits {
            page_items: chance.u32(1..5),
            concurrency: chance.u32(1..5),
            memory_bytes: chance.usize(1_000..20_000),
            overtaken: chance.usize(1..10),
            recheck_keys: chance.usize(1..20),
        };
        // A history with few kinds of faults gets further than one with all.
        let rate = chance.u32(0..4);
        let faults = Class::ALL.into_iter().filter(|_| chance.u32(0..3) < rate).collect();
        let mut writer = Writer::of(&mut chance);
        let before = (0..chance.u32(0..30)).map(|_| writer.write(&mut chance)).collect();
        let (clock_jumps, calm) = (chance.bool(), chance.u32(0..4) == 0);
        let mut maker = Maker { writer, clock_jumps, calm, regrets: false };
        let mut steps: Vec<_> = (0..chance.u32(60..200)).map(|_| maker.step(&mut chance)).collect();
        // One outage that may be too long, or days of them.
        let (outages, longest) = match chance.u32(0..8) {
            0 => (1, Duration::from_hours(30)),
            1 => (chance.usize(2..6), Duration::from_hours(20)),
            _ => (0, Duration::ZERO),
        };
        for _ in 0..outages {
            let outage = maker.outage(&mut chance, longest, world.shards);
            let at = chance.usize(0..steps.len());
            steps.splice(at..at, outage);
        }
        let leaky = chance.u32(0..3) == 0;
        Self { seed, world, limits, faults, before, steps, quiet, leaky, forgives_loss: true }
    }

    /// How much there is of it.
    pub fn size(&self) -> usize {
        self.faults.len() + self.before.len() + self.steps.len()
    }

    /// Whether history may be lost in it.
    pub fn may_lose(&self) -> bool {
        let outage = |step: &Step| if let Act::Outage { span, .. } = step.act { span } else { Duration::ZERO };
        self.forgives_loss && self.steps.iter().map(outage).sum::<Duration>() > Duration::from_hours(22)
    }
}

fn pick<'a, T>(chance: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[chance.usize(0..from.len())]
}

/// How the application of one history writes.
struct Writer {
    /// How many different items, places and addresses there are.
    ids: u32,
    places: u32,
    emails: u32,
    /// Every second write is to one item.
    hot: bool,
    /// Some items have no place, or are refused by the shadow: while there are such, no cutover begins.
    faulty: bool,
}

impl Writer {
    fn of(chance: &mut fastrand::Rng) -> Self {
        Self {
            ids: chance.u32(1..20),
            places: chance.u32(1..4),
            emails: chance.u32(1..10),
            hot: chance.bool(),
            faulty: chance.bool(),
        }
    }

    fn write(&mut self, chance: &mut fastrand::Rng) -> Write {
        let id = if self.hot && chance.bool() { 0 } else { chance.u32(0..self.ids) };
        match chance.u32(0..20) {
            0..5 => Write::Delete { id },
            5 => Write::Expire { id },
            _ => Write::Put {
                id,
                place: (!self.faulty || chance.u32(0..24) > 0).then(|| chance.u32(0..self.places)),
                email: (!self.faulty || chance.u32(0..24) > 0).then(|| chance.u32(0..self.emails)),
                poison: self.faulty && chance.u32(0..15) == 0,
            },
        }
    }
}

struct Maker {
    writer: Writer,
    /// Wall clocks jump; then no machine sleeps that has no boot clock: nothing could tell how long it slept.
    clock_jumps: bool,
    /// Processes are left alone.
    calm: bool,
    /// A cutover was asked for, and is given up at once.
    regrets: bool,
}

impl Maker {
    fn step(&mut self, chance: &mut fastrand::Rng) -> Step {
        let regretted = std::mem::take(&mut self.regrets);
        let act = match chance.u32(0..100) {
            _ if regretted => Act::Ask(Question::GiveUp),
            0..70 => Act::Write(self.writer.write(chance)),
            70..78 => stream_event(chance),
            78..80 => Act::Trespass(self.writer.write(chance)),
            80..88 => {
                let question = question(chance);
                self.regrets = matches!(question, Question::Cutover) && chance.u32(0..4) == 0;
                Act::Ask(question)
            }
            _ if self.calm => Act::Relist,
            _ => self.process_event(chance),
        };
        // Long enough for a successor to act, programs of its predecessor waited for.
        let long = matches!(act, Act::Freeze { .. }) && chance.u32(0..4) == 0;
        let then = if long { chance.u64(60_000..300_000) } else { chance.u64(0..1_500) };
        Step { act, then: Duration::from_millis(then) }
    }

    /// An outage, sometimes just after all shards rolled: their children may not be listed yet.
    fn outage(&mut self, chance: &mut fastrand::Rng, longest: Duration, shards: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        if chance.bool() {
            let roll = || Step { act: Act::Split { shard: 0, children: 1 }, then: Duration::ZERO };
            steps.extend((0..shards).map(|_| roll()));
            steps.push(Step { act: Act::Relist, then: Duration::from_millis(chance.u64(0..4_000)) });
        }
        let span = Duration::from_secs(chance.u64(3_600..longest.as_secs()));
        let rolls = span.as_secs() / ROLL.as_secs();
        let meanwhile = (0..rolls).map(|_| self.writer.write(chance)).collect();
        let asleep = (chance.u32(0..3) == 0).then(|| self.freeze(chance));
        let then = Duration::from_millis(chance.u64(0..30_000));
        steps.push(Step { act: Act::Outage { span, asleep, meanwhile }, then });
        // Sometimes the next outage comes before all that was missed is read.
        steps.push(Step { act: Act::Relist, then: Duration::from_secs(chance.u64(0..240)) });
        steps
    }

    fn freeze(&self, chance: &mut fastrand::Rng) -> Freeze {
        let hows = [Freeze::Stopped, Freeze::Suspended, Freeze::SuspendedWithoutBootClock];
        *pick(chance, if self.clock_jumps { &hows[..2] } else { &hows })
    }

    fn process_event(&self, chance: &mut fastrand::Rng) -> Act {
        let process = chance.usize(0..2);
        match chance.u32(0..12) {
            0 | 1 => Act::Crash(process),
            2..5 => {
                Act::CrashAt { process, calls: chance.u64(1..40), death: *pick(chance, &[Death::Before, Death::After]) }
            }
            5 => Act::Stop(process),
            6 | 7 => {
                let how = self.freeze(chance);
                let jump = if self.clock_jumps && chance.bool() { jump(chance) } else { 0 };
                Act::Freeze { process, how, steps: chance.usize(1..50), jump }
            }
            8 if self.clock_jumps => Act::Jump { process, seconds: jump(chance) },
            _ => Act::Start,
        }
    }
}

/// A record can be read sooner than a shard counts as caught up without it.
const RECORDS_LATE: Duration = Duration::from_secs(4);
/// Shards roll about so often.
const ROLL: Duration = Duration::from_hours(4);

/// By how many seconds a wall clock jumps: by a day and more, either way.
fn jump(chance: &mut fastrand::Rng) -> i64 {
    chance.i64(-90_000..90_000)
}

fn stream_event(chance: &mut fastrand::Rng) -> Act {
    match chance.u32(0..8) {
        0..3 => Act::Split { shard: chance.usize(0..4), children: chance.u64(1..4) },
        3 => Act::Unlist(chance.u64(..)),
        _ => Act::Relist,
    }
}

fn question(chance: &mut fastrand::Rng) -> Question {
    use Question::{Cutover, Decide, GiveUp, PauseAll, PauseCopy, Resume, Retry};
    *pick(
        chance,
        &[
            Cutover, Cutover, Cutover, Cutover, GiveUp, Decide, Decide, PauseCopy, PauseAll, Resume, Resume, Resume,
            Retry,
        ],
    )
}

impl fmt::Display for History {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "seed {}: {:?}", self.seed, self.world)?;
        writeln!(out, "  {:?}, quiet for {} ms, leaky: {}", self.limits, self.quiet.as_millis(), self.leaky)?;
        writeln!(out, "  faults: {:?}", self.faults)?;
        writeln!(out, "  the source holds, as written: {:?}", self.before)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(out, "  {number:>4} {:?}, then {} ms", step.act, step.then.as_millis())?;
        }
        Ok(())
    }
}
