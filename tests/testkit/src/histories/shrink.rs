//! Makes a failing history as short as it gets while it still fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::history::History;
use super::run::{End, Seen, play};
use crate::harness::simulate;

/// Plays a history in a world of its own. Fails with the words of the first rule that was broken.
pub fn outcome(history: &History) -> Result<(End, Seen), String> {
    catch_unwind(AssertUnwindSafe(|| simulate(play(history)))).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "no words".into())
}

/// Leaves out what the failure does not need: classes of faults, steps, items. Whatever fails counts: it need not be
/// the same rule.
pub fn shrink(failing: &History) -> History {
    let mut history = failing.clone();
    let fails = |history: &History| outcome(history).is_err();
    loop {
        let size = history.size();
        for class in history.faults.clone() {
            let mut shorter = history.clone();
            shorter.faults.remove(&class);
            if fails(&shorter) {
                history = shorter;
            }
        }
        history = without(&history, |history| &mut history.steps, &fails);
        history = without(&history, |history| &mut history.before, &fails);
        if history.size() == size {
            return history;
        }
    }
}

/// Leaves out runs of entries of one list, long ones first.
fn without<T: Clone>(
    history: &History,
    list: impl Fn(&mut History) -> &mut Vec<T>,
    fails: &impl Fn(&History) -> bool,
) -> History {
    let mut history = history.clone();
    let mut run = list(&mut history).len();
    while run > 0 {
        let mut from = 0;
        while from < list(&mut history).len() {
            let mut shorter = history.clone();
            let entries = list(&mut shorter);
            let to = entries.len().min(from + run);
            entries.drain(from..to);
            if fails(&shorter) {
                history = shorter;
            } else {
                from += run;
            }
        }
        run /= 2;
    }
    history
}
