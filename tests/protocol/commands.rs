//! What operators ask comes about once, or not at all, whatever becomes of their requests.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::EngineError;
use shadowtable::engine::entities::{CommandVerb, Paused};
use shadowtable::runtime::operator::command;
use tokio::time::sleep;

use crate::fakes::{Call, FakePorts, Fate, World};
use crate::harness::{Kind, assert_exact, job, simulate, start};

/// Longer than the abandonment bound.
const LATE: Duration = Duration::from_secs(30);

fn pauses(world: &World) -> usize {
    let state = world.state();
    let told = state.entries_at("EVENT#").filter(|entry| entry.body["what"] == "paused: all");
    told.count()
}

/// Asks for a pause from a machine whose requests meet with these fates, by their number among those of their kind.
async fn pause(
    world: &Arc<World>,
    mut fate: impl FnMut(&Call, usize) -> Fate + Send + 'static,
) -> Result<bool, EngineError> {
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
    let answer = command(&FakePorts::new(&process), "orders", CommandVerb::Pause { paused: Paused::All }).await;
    world.no_more_faults();
    answer.map(|answer| answer.done)
}

#[test]
fn faults_that_pass_are_outlasted() {
    simulate(async {
        let world = Kind::SameKey.world(1);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        for fault in [Fate::throttled, Fate::lost] {
            let before = pauses(&world);
            let done = pause(&world, move |_, number| if number % 3 == 0 { Fate::answered() } else { fault() }).await;
            assert!(done.unwrap());
            sleep(LATE).await;
            assert_eq!(pauses(&world), before + 1, "once");
        }
    });
}

#[test]
fn a_command_whose_first_request_lands_late_is_done_once() {
    simulate(async {
        let world = Kind::SameKey.world(2);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let done = pause(&world, |call, number| match call {
            Call::StatePut(_) if number == 1 => Fate::late(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        assert!(done.await.unwrap());
        sleep(LATE).await;
        assert_eq!(pauses(&world), 1);
    });
}

#[test]
fn what_was_taken_back_is_not_done_when_a_request_for_it_lands_late() {
    simulate(async {
        let world = Kind::SameKey.world(3);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        running.stop().await.unwrap();
        let refused = pause(&world, |call, number| match call {
            Call::StatePut(_) if number == 1 => Fate::late(Duration::from_secs(8)),
            _ => Fate::answered(),
        });
        let error = refused.await.unwrap_err().to_string();
        assert!(error.contains("nobody holds the lease"), "{error}");
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        sleep(LATE).await;
        assert_eq!(pauses(&world), 0);
        assert_exact(&world);
    });
}

#[test]
fn an_outage_ends_the_wait_and_says_what_is_not_known() {
    simulate(async {
        let world = Kind::SameKey.world(4);
        let mut running = start(&world, &job(&world));
        running.caught_up().await;
        let lost = pause(&world, |call, _| match call {
            Call::StatePut(_) => Fate::lost(),
            _ => Fate::answered(),
        });
        let error = lost.await.unwrap_err().to_string();
        assert!(error.contains("nobody knows whether the command was done"), "{error}");
        let refused = pause(&world, |call, _| match call {
            Call::StatePut(_) => Fate::throttled(),
            _ => Fate::answered(),
        });
        let error = refused.await.unwrap_err().to_string();
        assert!(!error.contains("nobody knows"), "it was not done, for certain: {error}");
    });
}
