//! What fails is told as shortly as can be.

use std::time::Duration;

use testkit::histories::history::{Act, History, Step};
use testkit::histories::shrink::{outcome, shrink};

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
