//! Live progress on stderr: a bar on a terminal, otherwise a plain line about once a second.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::cli::output::talk;
use crate::cli::table::span;
use crate::config;
use crate::model::Moment;

/// Time between two plain lines.
const LINE: Duration = Duration::from_secs(1);
/// The bar and what stands beside it.
const TEMPLATE: &str = "{prefix:<11} {bar:32} {msg}";

/// What there is to be seen at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Scene {
    /// What goes on: the phase, or what the demo does around it.
    pub(super) act: String,
    /// Items done, and to be done.
    pub(super) done: u64,
    pub(super) of: u64,
    /// The lag, where there is one.
    pub(super) lag_seconds: Option<f64>,
    /// Stream records offered to the applier, and writes that are not durable yet.
    pub(super) changes: u64,
    pub(super) pending: usize,
}

/// Where progress is shown.
#[derive(Debug)]
pub(super) struct Display {
    bar: Option<ProgressBar>,
    began: Moment,
    act: String,
    act_began: Moment,
    spoken: Option<Moment>,
}

impl Display {
    /// A bar, where stderr is a terminal that takes one.
    pub(super) fn new(now: Moment) -> Self {
        let bar = (std::io::stderr().is_terminal() && !config::no_color()).then(|| {
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style.progress_chars("=> "))
        });
        Self { bar, began: now, act: String::new(), act_began: now, spoken: None }
    }

    /// Says a line that stays.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| talk(line)),
            None => talk(line),
        }
    }

    /// Shows how things are. May be called as often as one likes.
    pub(super) fn show(&mut self, scene: &Scene, now: Moment) {
        if self.act != scene.act {
            self.act.clone_from(&scene.act);
            self.act_began = now;
            self.spoken = None;
        }
        let known = describe(scene, now.since(self.act_began));
        if let Some(bar) = &self.bar {
            bar.set_prefix(scene.act.clone());
            bar.set_length(scene.of);
            bar.set_position(scene.done);
            bar.set_message(known);
        } else if self.spoken.is_none_or(|spoken| now.since(spoken) >= LINE) {
            self.spoken = Some(now);
            let at = span(now.since(self.began).as_secs_f64());
            talk(&format!("{at:>8}  {:<12}{known}", scene.act));
        }
    }

    /// Clears the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Display {
    /// Whatever ends the demo leaves a clean line.
    fn drop(&mut self) {
        self.end();
    }
}

/// All that is known, in words.
fn describe(scene: &Scene, running: Duration) -> String {
    let (done, of) = (HumanCount(scene.done), HumanCount(scene.of));
    let items = (scene.of > 0).then(|| {
        let rate = HumanCount(per_second(scene.done, running));
        let rate = if scene.done > 0 && scene.done < scene.of { format!(" ({rate}/s)") } else { String::new() };
        format!("{done} of {of} items{rate}")
    });
    let tail = scene.lag_seconds.map(|lag| {
        let changes = HumanCount(scene.changes);
        format!("lag {}, {changes} changes, {} pending", span(lag), scene.pending)
    });
    let known: Vec<_> = items.into_iter().chain(tail).collect();
    known.join(", ")
}

/// The mean rate, in whole numbers.
pub(super) fn per_second(count: u64, over: Duration) -> u64 {
    let millis = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1000).checked_div(millis).unwrap_or(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said() {
        let loading = Scene { act: "loading".into(), done: 5_000, of: 20_000, ..Scene::default() };
        assert_eq!(describe(&loading, Duration::from_secs(2)), "5,000 of 20,000 items (2,500/s)");
        let tailing = Scene { done: 20_000, lag_seconds: Some(0.42), changes: 1_234, pending: 3, ..loading };
        assert_eq!(
            describe(&tailing, Duration::from_secs(9)),
            "20,000 of 20,000 items, lag 0.4 s, 1,234 changes, 3 pending"
        );
        assert_eq!(describe(&Scene::default(), Duration::ZERO), "");
    }

    #[test]
    fn a_rate_over_no_time_is_the_count() {
        assert_eq!(per_second(7, Duration::ZERO), 7);
        assert_eq!(per_second(20_000, Duration::from_millis(2_500)), 8_000);
    }
}
