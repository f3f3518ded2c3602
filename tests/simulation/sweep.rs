//! A small migration from provision to finished cutover, upset at each of its calls: the process dies before the call, or
//! after it was sent, or the call takes effect and its reply is lost. Somebody starts it again, and asks again.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::operator::command;
use shadowtable::protocol::command::Verb;
use shadowtable::runtime::Job;
use tokio::task::JoinSet;
use tokio::time::sleep;

use testkit::fakes::{Death, FakePorts, Fate, Process, SHADOW, World};
use testkit::harness::{Kind, Running, simulate, start_as, with_pointer};
use testkit::histories::end::assert_moved;

/// What happens at the call of this number.
#[derive(Clone, Copy, Debug)]
enum Upset {
    Dies(Death),
    LosesTheReply,
}

const LOOK: Duration = Duration::from_millis(500);
/// As many looks as the longest way to the end takes, several times over.
const LOOKS: u32 = 4_000;

/// Drives one migration, as an application, an operator and whoever starts processes again.
struct Sweep {
    world: Arc<World>,
    job: Job,
    first: Arc<Process>,
    running: Running,
    asking: JoinSet<()>,
    written: bool,
}

impl Sweep {
    fn new(kind: Kind) -> Self {
        let world = kind.world(1);
        for (id, email) in [("a", "x"), ("b", "y"), ("c", "z")] {
            world.put(id, &[("place", "here"), ("email", email)]);
        }
        let mut job = with_pointer(&world);
        job.engine.copy.page_items = Some(2);
        job.engine.cutover.quiet = Duration::from_secs(2);
        let first = world.process();
        let running = start_as(Arc::clone(&first), &job);
        Self { world, job, first, running, asking: JoinSet::new(), written: false }
    }

    /// The first process meets this at this call.
    fn upset(&self, at: u64, upset: Upset) {
        match upset {
            Upset::Dies(death) => self.first.dies_at(at, death),
            Upset::LosesTheReply => {
                let (first, mut sent) = (self.first.id(), 0);
                self.world.script(move |process, _| {
                    sent += u64::from(process == first);
                    if process == first && sent == at { Fate::reply_lost() } else { Fate::answered() }
                });
            }
        }
    }

    /// Until the migration is finished. Returns how many calls the first process made.
    async fn play(mut self) -> u64 {
        for _ in 0..LOOKS {
            self.start_again().await;
            let phase = self.world.state().phase();
            match phase.as_str() {
                "finished" => {
                    assert_moved(&self.world);
                    return self.first.calls();
                }
                "switched" => self.ask(Verb::Finish),
                "switching" => self.decide(),
                "copying" => self.write(),
                "tailing" if !self.written => self.write(),
                "tailing" if self.is_caught_up() => {
                    self.ask(Verb::Cutover { dry_run: false, by: "laptop".into(), fenced: false });
                }
                _ => {}
            }
            sleep(LOOK).await;
        }
        panic!("it does not come to an end: {}", self.world.state().phase());
    }

    /// The application writes once while it may: changes, a deletion, and a shard that splits.
    fn write(&mut self) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        self.world.put("a", &[("place", "there"), ("email", "x")]);
        self.world.delete("b");
        self.world.split(&self.world.shard_of("a"), 2);
        self.world.put("d", &[("place", "here"), ("email", "y")]);
        self.world.put("a", &[("place", "there"), ("email", "w")]);
    }

    fn is_caught_up(&self) -> bool {
        self.running
            .status()
            .is_some_and(|status| status.leg().is_some_and(|leg| leg.quiet_seconds > 0.0) && status.copy.ratio >= 1.0)
    }

    async fn start_again(&mut self) {
        let ended = self.running.try_end();
        if let Some(Err(error)) = &ended {
            // A reply that is lost may end it with an error, and it is started again; but not as lost history or a defect.
            assert!(!matches!(error, EngineError::Lost(_)) && !error.is_defect(), "{error}");
        }
        if self.world.state().phase() != "finished" && (ended.is_some() || self.running.process.is_dead()) {
            let next = start_as(self.world.process(), &self.job);
            std::mem::replace(&mut self.running, next).crash().await;
        }
    }

    /// An operator who looks where the application writes.
    fn decide(&mut self) {
        let troubled = self.world.state().entry("META").is_some_and(|meta| !meta.body["cutover"]["trouble"].is_null());
        let moved = self.world.state().pointer == SHADOW;
        if troubled {
            self.ask(if moved { Verb::DeclareSwitched } else { Verb::GiveUp { vouched: true } });
        }
    }

    /// Asks, unless an answer is waited for.
    fn ask(&mut self, verb: Verb) {
        while self.asking.try_join_next().is_some() {}
        if self.asking.is_empty() {
            let ports = FakePorts::new(&self.world.process());
            // Whoever asks may find that nobody answers any more.
            self.asking.spawn_local(async move { drop(command(&ports, "orders", "somebody", verb).await) });
        }
    }
}

fn sweep(kind: Kind, upset: Upset) {
    let calls = simulate(async { Sweep::new(kind).play().await });
    assert!(calls > 100, "a whole migration takes more calls than {calls}");
    for at in 1..=calls {
        println!("CALL={at} of {calls} {kind:?} {upset:?}");
        simulate(async {
            let sweep = Sweep::new(kind);
            sweep.upset(at, upset);
            sweep.play().await;
        });
    }
}

#[test]
fn a_death_before_any_call_comes_to_the_right_end() {
    sweep(Kind::SameKey, Upset::Dies(Death::Before));
}

#[test]
fn a_death_after_any_call_comes_to_the_right_end() {
    sweep(Kind::SameKey, Upset::Dies(Death::After));
}

#[test]
fn a_lost_reply_to_any_call_comes_to_the_right_end() {
    sweep(Kind::SameKey, Upset::LosesTheReply);
}

#[test]
fn a_death_after_any_call_of_a_migration_that_claims_keys_comes_to_the_right_end() {
    sweep(Kind::Owned, Upset::Dies(Death::After));
}
