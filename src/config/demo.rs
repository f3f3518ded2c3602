//! What suits a show of half a minute, on an endpoint in the same process.

use std::time::Duration;

use super::settings::LogSettings;
use crate::engine::EngineSettings;

/// What the demo logs: progress is shown already, and the emulator reports every conditional write that loses and every
/// operation that it does not offer.
const LOG_LEVEL: &str = "warn,dynoxide=off,shadowtable::runtime::state_table=error";

/// Sets what was not given. `given` tells it by key.
pub(super) fn tune(engine: &mut EngineSettings, log: &mut LogSettings, given: impl Fn(&str) -> bool) {
    let spans = [
        ("tail.idle_poll_seconds", &mut engine.tail.idle_poll, 100),
        ("tail.busy_poll_seconds", &mut engine.tail.busy_poll, 50),
        ("tail.caught_up_seconds", &mut engine.tail.caught_up, 1_000),
        ("tail.discover_seconds", &mut engine.tail.discover, 5_000),
        ("lease.checkpoint_seconds", &mut engine.lease.checkpoint, 500),
        ("cutover.quiet_seconds", &mut engine.cutover.quiet, 1_000),
    ];
    for (key, span, millis) in spans {
        if !given(key) {
            *span = Duration::from_millis(millis);
        }
    }
    // The emulator answers one request at a time: more of them would only wait in front of it, and long pages hold up
    // the others.
    if !given("copy.concurrency") {
        engine.copy.concurrency = 2;
    }
    if !given("copy.page_items") {
        engine.copy.page_items = Some(250);
    }
    if !given("apply.concurrency") {
        engine.apply.concurrency = 4;
    }
    if !given("log.level") {
        LOG_LEVEL.clone_into(&mut log.level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_stays() {
        let (mut engine, mut log) = (EngineSettings::default(), LogSettings::default());
        tune(&mut engine, &mut log, |_| true);
        assert_eq!((engine, log), (EngineSettings::default(), LogSettings::default()));
    }

    #[test]
    fn what_was_not_given_is_quick() {
        let (mut engine, mut log) = (EngineSettings::default(), LogSettings::default());
        tune(&mut engine, &mut log, |key| key == "tail.idle_poll_seconds");
        assert_eq!(engine.tail.idle_poll, Duration::from_secs(1));
        assert_eq!(engine.tail.caught_up, Duration::from_secs(1));
        assert_eq!(engine.lease.checkpoint, Duration::from_millis(500));
        assert_eq!(log.level, LOG_LEVEL);
    }
}
