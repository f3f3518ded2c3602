//! What the log says while all goes well: a line a minute, and one whenever another tenth of the copy is done.

use std::time::Duration;

use super::Monitor;
use super::status::Status;
use crate::model::{Moment, counted, grouped, tenths};
use crate::ports::Clock;

/// How often it is said how things are.
const EVERY: Duration = Duration::from_mins(1);
/// How often it is looked whether a milestone was passed.
const LOOK: Duration = Duration::from_secs(2);

/// Says how things are until it is dropped.
pub(super) async fn tell(clock: &impl Clock, monitor: &Monitor) {
    let mut told = Told::default();
    loop {
        clock.sleep(LOOK).await;
        if let Some(status) = monitor.status()
            && told.is_due(status.copy.ratio, clock.now())
        {
            tracing::info!("{}", line(&status));
        }
    }
}

/// What was said last.
#[derive(Default)]
struct Told {
    at: Option<Moment>,
    /// Tenths of the copy that were done.
    tenths: Option<u32>,
}

impl Told {
    fn is_due(&mut self, copied: f64, now: Moment) -> bool {
        let done = (0..10).take_while(|tenth| copied * 10.0 >= f64::from(tenth + 1)).count();
        let done = u32::try_from(done).unwrap_or(0);
        // The first look is what it resumes from, and that is said where it resumes.
        let passed = self.tenths.replace(done).is_some_and(|before| done > before);
        let since = *self.at.get_or_insert(now);
        let due = passed || now.since(since) >= EVERY;
        if due {
            self.at = Some(now);
        }
        due
    }
}

/// The figures that matter, in one line.
pub(super) fn line(status: &Status) -> String {
    let span = |seconds: Option<f64>| {
        seconds.map_or_else(|| "not known".to_owned(), |seconds| format!("{} s", tenths(seconds)))
    };
    let hours =
        status.headroom_seconds().map_or_else(|| "not known".to_owned(), |left| format!("{} h", tenths(left / 3600.0)));
    let phase = status.phase.map_or_else(|| "no phase".to_owned(), |phase| phase.to_string());
    let copy = copying(status).unwrap_or_default();
    let paused = if status.paused == crate::protocol::command::Paused::None { "" } else { ", PAUSED" };
    format!(
        "{phase}{copy}, lag {}, headroom {hours}, {} changes a second, {} in quarantine{paused}",
        span(status.lag_seconds()),
        tenths(status.rates.changes_per_second),
        grouped(status.quarantine()),
    )
}

/// How far the copy is, unless it is complete.
fn copying(status: &Status) -> Option<String> {
    let copy = Some(&status.copy).filter(|copy| copy.ratio < 1.0 && copy.segments > 0)?;
    let left = match (copy.eta_seconds, copy.eta_at_most_seconds) {
        (None, _) => String::new(),
        (Some(least), None) => format!(", at least {} min left", minutes(least)),
        (Some(least), Some(most)) => format!(", {} to {} min left", minutes(least), minutes(most)),
    };
    let (done, rate) = (tenths(copy.ratio * 100.0), tenths(status.rates.items_copied_per_second));
    Some(format!(", {done} % copied ({} at {rate} a second{left})", counted(copy.items, "item")))
}

fn minutes(seconds: f64) -> String {
    grouped(Duration::try_from_secs_f64(seconds / 60.0).unwrap_or_default().as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_is_told_and_otherwise_a_minute_at_a_time() {
        let mut told = Told::default();
        let mut is_due = |second, copied| told.is_due(copied, Moment(Duration::from_secs(second)));
        assert!(!is_due(0, 0.45), "the first look is told where it resumes");
        assert!(!is_due(10, 0.49));
        assert!(is_due(20, 0.51));
        assert!(!is_due(79, 0.55));
        assert!(is_due(80, 0.55), "a minute since the last line");
        assert!(!is_due(100, 0.55));
        assert!(is_due(101, 1.0));
        assert!(!is_due(102, 1.0));
        assert!(is_due(161, 1.0), "while it tails, too");
    }
}
