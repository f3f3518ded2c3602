//! What tests of a cutover ask, wait for, and demand at its end.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::engine::Switch;
use shadowtable::engine::state::entities::Answer;
use shadowtable::operator::command;
use shadowtable::protocol::command::Verb;
use shadowtable::runtime::Job;
use tokio::time::sleep;

use super::{assert_exact, program, until, with_pointer};
use crate::fakes::{FakePorts, SHADOW, SOURCE, World};

/// Longer than any cutover takes that is not stuck.
pub const LONG: Duration = Duration::from_mins(10);

pub fn with_command(world: &World) -> Job {
    let mut job = with_pointer(world);
    job.engine.cutover.switch = Some(Switch::Command(program("switch")));
    job
}

pub async fn ask(world: &Arc<World>, verb: Verb) -> Answer {
    let ports = FakePorts::new(&world.process());
    command(&ports, "orders", "somebody", verb).await.unwrap()
}

/// Asks, and is gone after `patience`, or takes it back where nobody holds the lease.
pub async fn leave(world: &Arc<World>, verb: Verb, patience: Duration) {
    let ports = FakePorts::new(&world.process());
    let asking = command(&ports, "orders", "somebody", verb);
    let _ = tokio::time::timeout(patience, asking).await;
}

pub async fn cutover(world: &Arc<World>) -> Answer {
    ask(world, Verb::Cutover { dry_run: false, by: "laptop".into(), fenced: false }).await
}

/// The application writes for a while, wherever it may.
pub async fn live_writes(world: &World, rounds: u32) {
    for round in 0..rounds {
        let open = {
            let state = world.state();
            !state.fenced && state.pointer == SOURCE
        };
        if open {
            world.put(&format!("item-{}", round % 7), &[]);
        }
        sleep(Duration::from_millis(150)).await;
    }
}

pub async fn until_phase(world: &World, phase: &str) {
    until(world, &format!("the phase is {phase}"), |state| state.phase() == phase).await;
}

/// The application uses the shadow, which holds all of the source; the source stays fenced.
pub fn assert_switched(world: &World) {
    assert_exact(world);
    let state = world.state();
    assert_eq!((state.pointer.as_str(), state.fenced), (SHADOW, true));
}

/// Nothing changed for the application.
pub fn assert_as_before(world: &World) {
    assert_exact(world);
    let state = world.state();
    assert_eq!((state.pointer.as_str(), state.fenced), (SOURCE, false));
}
