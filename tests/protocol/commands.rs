//! What operators ask comes about once, or not at all, and is told as it is: whatever becomes of requests, and of whoever
//! does it.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::engine::state::entities::Answer;
use shadowtable::operator::command;
use shadowtable::ports::Fault;
use shadowtable::protocol::command::{Paused, Verb};
use tokio::time::{sleep, timeout};

use testkit::fakes::{Call, Event, FakePorts, Fate, World};
use testkit::harness::{Kind, Running, assert_exact, job, simulate, start, until, with_pointer};

/// Longer than the abandonment bound.
const LATE: Duration = Duration::from_secs(30);

const PAUSE: Verb = Verb::Pause { paused: Paused::All };

fn cutover() -> Verb {
    Verb::Cutover { dry_run: false, by: "laptop".into(), fenced: false }
}

/// How often the audit trail says something that begins so.
fn told(world: &World, what: &str) -> usize {
    let state = world.state();
    let told = state.entries_at("EVENT#").filter(|entry| entry.body["what"].as_str().unwrap().contains(what));
    told.count()
}

fn pauses(world: &World) -> usize {
    told(world, "paused: all")
}

/// Asks from a machine whose requests meet with these fates, by their number among those of their kind.
async fn ask(
    world: &Arc<World>,
    verb: Verb,
    mut fate: impl FnMut(&Call, usize) -> Fate + Send + 'static,
) -> Result<Answer, EngineError> {
    let process = world.process();
    let (machine, mut gets, mut puts, mut deletes) = (process.id(), 0, 0, 0);
    world.script(move |from, call| {
        let number = match call {
            Call::StateGet(_) => &mut gets,
            Call::StatePut(_) => &mut puts,
            Call::StateDelete(_) => &mut deletes,
            _ => return Fate::answered(),
        };
        if from != machine {
            return Fate::answered();
        }
        *number += 1;
        fate(call, *number)
    });
    let answer = command(&FakePorts::new(&process), "orders", "somebody", verb).await;
    world.no_more_faults();
    answer
}

async fn running(kind: Kind, seed: u64) -> (Arc<World>, Running) {
    let world = kind.world(seed);
    let mut running = start(&world, &with_pointer(&world));
    running.caught_up().await;
    (world, running)
}

#[test]
fn faults_that_pass_are_outlasted() {
    simulate(async {
        let (world, _running) = running(Kind::SameKey, 1).await;
        for fault in [Fate::throttled, Fate::lost, Fate::reply_lost] {
            let before = pauses(&world);
            let fate = move |_: &Call, number| if number % 3 == 0 { Fate::answered() } else { fault() };
            assert!(ask(&world, PAUSE, fate).await.unwrap().done);
            sleep(LATE).await;
            assert_eq!(pauses(&world), before + 1, "once");
        }
    });
}

#[test]
fn a_command_that_a_predecessors_late_request_marked_as_begun_is_done_under_the_same_lease() {
    simulate(async {
        let (world, _running) = running(Kind::SameKey, 13).await;
        let (there, mut met) = (Arc::clone(&world), false);
        world.script(move |_, call| {
            if let Call::StatePut(begun) = call
                && begun.key.sort.starts_with("COMMAND#")
                && begun.body["begun"] == true
                && !std::mem::replace(&mut met, true)
            {
                let mut state = there.state();
                let command = state.entries.get_mut(&begun.key).unwrap();
                command.version += 1;
                command.body["begun"] = true.into();
            }
            Fate::answered()
        });
        let answer = command(&FakePorts::new(&world.process()), "orders", "somebody", PAUSE).await.unwrap();
        assert!(answer.done, "{answer:?}");
        assert_eq!((pauses(&world), world.state().entry("LEASE").unwrap().epoch), (1, 1));
    });
}

#[test]
fn a_command_whose_first_request_lands_late_is_done_once() {
    simulate(async {
        let (world, _running) = running(Kind::SameKey, 2).await;
        let answer = ask(&world, PAUSE, |call, number| match call {
            Call::StatePut(_) if number == 1 => Fate::late(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        assert!(answer.await.unwrap().done);
        sleep(LATE).await;
        assert_eq!(pauses(&world), 1);
    });
}

#[test]
fn what_was_taken_back_is_not_done_when_a_request_for_it_lands_late() {
    simulate(async {
        let (world, first) = running(Kind::SameKey, 3).await;
        first.stop().await.unwrap();
        let refused = ask(&world, PAUSE, |call, number| match call {
            Call::StatePut(_) if number == 1 => Fate::late(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        let error = refused.await.unwrap_err().to_string();
        assert!(error.contains("nobody holds the lease"), "{error}");
        let mut second = start(&world, &job(&world));
        second.caught_up().await;
        sleep(LATE).await;
        assert_eq!(pauses(&world), 0);
        assert_exact(&world);
    });
}

#[test]
fn an_outage_ends_the_wait_and_says_what_is_not_known() {
    simulate(async {
        let (world, _running) = running(Kind::SameKey, 4).await;
        let unsure = [
            Box::new(|call: &Call, _| match call {
                Call::StatePut(_) => Fate::lost(),
                _ => Fate::answered(),
            }) as Box<dyn FnMut(&Call, usize) -> Fate + Send>,
            // It is there, and what follows would tell that it is not.
            Box::new(|call, number| match call {
                Call::StatePut(_) if number == 1 => Fate::reply_lost(),
                Call::StatePut(_) => Fate::throttled(),
                _ => Fate::answered(),
            }),
            // It is asked for, and then nothing can be read.
            Box::new(|call, number| match call {
                Call::StateGet(_) if number > 4 => Fate::throttled(),
                _ => Fate::answered(),
            }),
            Box::new(|call, number| match call {
                Call::StateGet(_) if number > 4 => Fate::fault(Fault::Denied),
                _ => Fate::answered(),
            }),
        ];
        for fate in unsure {
            let error = ask(&world, PAUSE, fate).await.unwrap_err().to_string();
            assert!(error.contains("nobody knows whether the command was done"), "{error}");
        }
        let refused = ask(&world, PAUSE, |call, _| match call {
            Call::StatePut(_) => Fate::throttled(),
            _ => Fate::answered(),
        });
        let error = refused.await.unwrap_err().to_string();
        assert!(!error.contains("nobody knows"), "it was not done, for certain: {error}");
    });
}

/// Asks, and lets nothing of this kind be stored until the process that is at it has died. Then another one takes over, or
/// none does.
async fn dies(
    world: &Arc<World>,
    first: Running,
    verb: &Verb,
    stored: impl Fn(&Call) -> bool + Send + 'static,
    successor: bool,
) -> (Result<Answer, EngineError>, Option<Running>) {
    world.script(move |_, call| if stored(call) { Fate::throttled() } else { Fate::answered() });
    let process = world.process();
    let (ports, death) = (FakePorts::new(&process), async {
        sleep(Duration::from_secs(3)).await;
        first.crash().await;
        world.no_more_faults();
        successor.then(|| start(world, &with_pointer(world)))
    });
    tokio::join!(command(&ports, "orders", "somebody", verb.clone()), death)
}

fn is_answer(call: &Call) -> bool {
    matches!(call, Call::StatePut(entry) if entry.key.sort.starts_with("COMMAND#") && !entry.body["answer"].is_null())
}

fn is_effect(call: &Call) -> bool {
    matches!(call, Call::StatePut(entry) if entry.key.sort == "META")
}

#[test]
fn what_a_process_did_before_it_died_is_told_and_not_done_again() {
    simulate(async {
        for successor in [true, false] {
            for (seed, verb) in
                [PAUSE, Verb::Postpone { postponed: true }, Verb::Abort, cutover()].into_iter().enumerate()
            {
                let (world, first) = running(Kind::SameKey, 10 + u64::try_from(seed).unwrap()).await;
                let (answer, second) = dies(&world, first, &verb, is_answer, successor).await;
                let context = format!("{verb:?}, a successor: {successor}");
                let answer = answer.unwrap_or_else(|error| panic!("{context}: {error}"));
                assert!(answer.done, "{context}: {}", answer.message);
                sleep(LATE * 4).await;
                let done = match verb {
                    Verb::Pause { .. } => pauses(&world),
                    Verb::Postpone { .. } => told(&world, "cutovers are put off"),
                    Verb::Abort => usize::from(world.state().phase() == "aborted"),
                    _ => told(&world, "asked for from laptop"),
                };
                assert_eq!(done, 1, "{context}");
                if second.is_some() && verb == cutover() {
                    until(&world, "the cutover ended", |state| state.phase() == "switched").await;
                }
            }
        }
    });
}

#[test]
fn what_a_process_began_and_did_not_do_is_done_by_its_successor_or_told() {
    simulate(async {
        let (world, first) = running(Kind::SameKey, 20).await;
        let (answer, _second) = dies(&world, first, &PAUSE, is_effect, true).await;
        assert!(answer.unwrap().done);
        assert_eq!(pauses(&world), 1);

        let (world, first) = running(Kind::SameKey, 21).await;
        let (answer, _) = dies(&world, first, &PAUSE, is_effect, false).await;
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("fell silent before it told what came of it"), "{error}");
        let mut second = start(&world, &job(&world));
        second.caught_up().await;
        assert_eq!(pauses(&world), 0, "nor is it done later");
    });
}

/// Whoever asks has read the answer and deleted it before the process hears that it is stored.
#[test]
fn an_answer_that_was_fetched_before_its_reply_came_upsets_nothing() {
    simulate(async {
        let (world, mut holder) = running(Kind::SameKey, 30).await;
        let epoch = |world: &World| world.state().entry("LEASE").unwrap().epoch;
        let begun = |world: &World| {
            let state = world.state();
            state.log.iter().filter(|(_, _, event)| matches!(event, Event::Iterator { .. })).count()
        };
        let before = (epoch(&world), begun(&world));
        let process = world.process();
        let mut lost = false;
        world.script(move |_, call| {
            if is_answer(call) && !std::mem::replace(&mut lost, true) {
                return Fate::reply_lost();
            }
            Fate::answered()
        });
        let postpone = Verb::Postpone { postponed: true };
        assert!(command(&FakePorts::new(&process), "orders", "somebody", postpone).await.unwrap().done);
        sleep(LATE).await;
        assert!(holder.is_running());
        assert_eq!((epoch(&world), begun(&world)), before, "nothing began anew");
    });
}

/// Its turn comes when the one before it is over, and whoever asked has gone by then.
#[test]
fn a_command_that_waited_too_long_for_its_turn_is_not_done() {
    simulate(async {
        let (world, _running) = running(Kind::SameKey, 31).await;
        world.script(|_, call| if is_effect(call) { Fate::throttled() } else { Fate::answered() });
        let (first, second) = (FakePorts::new(&world.process()), FakePorts::new(&world.process()));
        let resume = Verb::Pause { paused: Paused::None };
        let others = async {
            sleep(Duration::from_secs(5)).await;
            timeout(Duration::from_secs(5), command(&second, "orders", "somebody", resume))
                .await
                .expect_err("it waits for its turn");
            sleep(Duration::from_mins(10)).await;
            world.no_more_faults();
        };
        let (answer, ()) = tokio::join!(command(&first, "orders", "somebody", PAUSE), others);
        assert!(answer.unwrap().done);
        sleep(LATE).await;
        assert_eq!((pauses(&world), told(&world, "paused: none")), (1, 0));
        let state = world.state();
        let answers: Vec<_> = state.entries_at("COMMAND#").map(|entry| entry.body["answer"].to_string()).collect();
        assert!(matches!(&*answers, [only] if only.contains("ask again")), "{answers:?}");
    });
}
