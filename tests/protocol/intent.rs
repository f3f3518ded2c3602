//! Nothing stirs any more when the switch is intended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use testkit::fakes::{Call, Event, Fate, tokio_now};
use testkit::harness::cutover::{assert_as_before, assert_switched, cutover, until_phase};
use testkit::harness::{Kind, simulate, start, until, with_pointer};

#[test]
fn nothing_is_left_to_be_written_when_the_switch_is_intended() {
    simulate(async {
        let world = Kind::SameKey.world(15);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        world.put("a", &[]);
        running.caught_up().await;
        world.script(|_, call| match call {
            Call::Get => Fate::slow_reply(Duration::from_secs(8)),
            Call::Write(_) => Fate::throttled(),
            _ => Fate::answered(),
        });
        assert!(cutover(&world).await.done);
        until_phase(&world, "drained").await;
        let stirring = world.put("b", &[]);
        sleep(Duration::from_secs(20)).await;
        assert_eq!(world.state().phase(), "fenced", "it waits for the write, which is not durable");
        world.no_more_faults();
        until_phase(&world, "switched").await;
        assert_switched(&world);
        let state = world.state();
        let at = |wanted: &dyn Fn(&Event) -> bool| state.log.iter().position(|(_, _, event)| wanted(event)).unwrap();
        let written =
            at(&|event| matches!(event, Event::Shadow { version: Some(version), .. } if *version == stirring));
        let intended = at(&|event| matches!(event, Event::Stored(entry) if entry.body["phase"] == "switching"));
        assert!(written < intended);
        drop(state);
        assert!(running.is_running());
    });
}

/// The mirror's two looks before the intent are nothing but a turn of its thread apart: the reply with the change comes at the
/// same moment as the one that the first look follows.
#[test]
fn a_change_that_comes_between_the_two_looks_before_the_intent_gives_it_up() {
    simulate(async {
        let world = Kind::SameKey.world(16);
        let mut running = start(&world, &with_pointer(&world));
        running.caught_up().await;
        let meeting = Arc::new(Mutex::new(None::<Instant>));
        world.script({
            let meeting = Arc::clone(&meeting);
            move |_, call| {
                let mut meeting = meeting.lock().unwrap();
                match call {
                    Call::StatePut(entry) if entry.body.to_string().contains("the recheck ended") => {
                        *meeting = Some(tokio_now() + Duration::from_secs(3));
                    }
                    Call::Records => {}
                    _ => return Fate::answered(),
                }
                meeting.map_or(Fate::answered(), |at| Fate::answered().heard_at(at))
            }
        });
        assert!(cutover(&world).await.done);
        until(&world, "the recheck ended", |_| meeting.lock().unwrap().is_some()).await;
        world.put("b", &[]);
        until_phase(&world, "tailing").await;
        world.no_more_faults();
        running.caught_up().await;
        assert_as_before(&world);
        let trouble = world.state().entry("META").unwrap().body["cutover"]["trouble"].as_str().unwrap().to_owned();
        assert!(trouble.contains("not durable"), "{trouble}");
    });
}
