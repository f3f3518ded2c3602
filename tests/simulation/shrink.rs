//! Makes a failing history as short as it gets while it still fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::harness::simulate;
use crate::history::History;
use crate::run::{End, Seen, play};

/// Plays a history in a world of its own. Fails with the words of the first rule that was broken.
pub(crate) fn outcome(history: &History) -> Result<(End, Seen), String> {
    catch_unwind(AssertUnwindSafe(|| simulate(play(history)))).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "no words".into())
}

/// Leaves out what the failure does not need: classes of faults, steps, items. Whatever fails counts: it need not be
/// the same rule.
pub(crate) fn shrink(failing: &History) -> History {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::history::{Act, Step};

    /// Nothing of a history is needed for a failure that one of its steps makes.
    #[test]
    fn a_failing_history_is_shrunk_to_what_makes_it_fail() {
        let mut history = History::of(7);
        // No step of a history asks for this: more than a day without anybody is said to be no loss.
        let outage = Step {
            act: Act::Outage { span: Duration::from_hours(40), asleep: None, meanwhile: Vec::new() },
            then: Duration::ZERO,
        };
        history.steps.insert(history.steps.len() / 2, outage);
        history.forgives_loss = false;
        let told = outcome(&history).unwrap_err();
        assert!(told.contains("history is said to be lost"), "{told}");
        let shrunk = shrink(&history);
        let is_outage = |step: &Step| matches!(step.act, Act::Outage { span, .. } if span == Duration::from_hours(40));
        assert!(shrunk.steps.iter().any(is_outage) && shrunk.steps.len() <= 3, "{shrunk}");
        assert!(shrunk.faults.is_empty() && shrunk.before.is_empty(), "{shrunk}");
    }
}
